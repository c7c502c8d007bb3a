"""What is not numbers: legacy files, JSON and summaries, compared with real Keras in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from test_keras_models import STACKS, TERMS, make_pair
from tolerance import assert_close

import pyrnn


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((16, 12, 5)).astype("float32"), rng.random((16, 1)).astype("float32")


def trained(stack: str, data: tuple[Any, Any], optimizer: str = "adam") -> tuple[Any, Any]:
    theirs, ours = make_pair(stack, optimizer, "mse")
    for model in (theirs, ours):
        model.fit(*data, batch_size=8, shuffle=False, verbose=0)
    return theirs, ours


@pytest.mark.parametrize("ending", ["h5", "hdf5"])
@pytest.mark.parametrize("stack", STACKS)
def test_legacy_models_both_ways(stack: str, ending: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    theirs, ours = trained(stack, data)
    theirs.save(tmp_path / f"theirs.{ending}")
    ours.save(tmp_path / f"ours.{ending}")
    by_us = pyrnn.load_model(tmp_path / f"theirs.{ending}")
    # Compiled, Keras reads no legacy file here, not even its own
    by_keras = keras.models.load_model(tmp_path / f"ours.{ending}", compile=False)
    assert by_us.optimizer.iterations == 2
    for mine, value in zip(by_us.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(mine, value)
    for value, mine in zip(by_keras.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(mine, value)
    # One more step: the optimizer's state came along, from our own file too.
    again = pyrnn.load_model(tmp_path / f"ours.{ending}")
    losses = [float(np.asarray(model.train_on_batch(*data)[0])) for model in (theirs, by_us, ours, again)]
    for mine, value in zip(by_us.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, value, TERMS, "weight after one more step")
    for mine, value in zip(again.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(mine, value)
    assert_close(np.float32(losses), np.float32([losses[0]] * 4), TERMS, "loss")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("stack", STACKS)
def test_keras_passes_over_random_streams(stack: str, ending: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    _, ours = trained(stack, data)
    ours.save(tmp_path / f"ours.{ending}", include_rng=True)
    # Compiled, Keras reads no legacy file here, not even its own
    by_keras = keras.models.load_model(tmp_path / f"ours.{ending}", compile=ending == "keras")
    for value, mine in zip(by_keras.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(mine, value)
    if ending == "keras":
        assert int(by_keras.optimizer.iterations) == 2


@pytest.mark.parametrize("stack", STACKS)
def test_legacy_weights_both_ways(stack: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    theirs, ours = trained(stack, data)
    path = tmp_path / "ours.h5"
    ours.save_weights(path)
    with h5py.File(path) as file:
        names = [name if isinstance(name, str) else name.decode() for name in file.attrs["layer_names"]]
    assert names == [layer.name for layer in ours.layers]
    fresh = make_pair(stack, "sgd", "mse")[0]
    legacy = keras.src.legacy.saving.legacy_h5_format
    with h5py.File(path) as file:
        legacy.load_weights_from_hdf5_group(file, fresh)
    for value, mine in zip(fresh.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(mine, value)
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        legacy.save_weights_to_hdf5_group(file, theirs)
    ours.load_weights(tmp_path / "theirs.h5")
    for mine, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(mine, value)


@pytest.mark.parametrize("stack", STACKS)
def test_json_both_ways(stack: str) -> None:
    theirs, ours = make_pair(stack, "adam", "mse")
    by_us, by_keras = pyrnn.models.model_from_json(theirs.to_json()), keras.models.model_from_json(ours.to_json())
    assert [w.shape for w in by_us.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [tuple(w.shape) for w in by_keras.weights] == [w.shape for w in ours.weights]
    assert [layer.name for layer in by_keras.layers] == [layer.name for layer in ours.layers]
    x = np.random.default_rng(0).standard_normal((3, 12, 5)).astype("float32")
    by_us.set_weights(theirs.get_weights())
    assert_close(by_us.predict(x, verbose=0), theirs.predict(x, verbose=0), TERMS)


@pytest.mark.parametrize("options", [{}, {"show_trainable": True}, {"line_length": 60}, {"positions": [0.5, 0.7, 1.0]}])
@pytest.mark.parametrize("stack", STACKS)
def test_summary(stack: str, options: dict[str, Any], data: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    theirs, ours = make_pair(stack, "adam", "mse")
    theirs.layers[-1].trainable = ours.layers[-1].trainable = False
    ours.name = theirs.name
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        mine.name = other.name
    texts: list[str] = []
    for model in (theirs, ours):
        model.summary(print_fn=texts.append, **options)
    assert texts[0] == texts[1]
