"""Files: round trips, training that goes on from a file, damaged files, nothing changed on failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn.layers import Conv1D, Dense, Dropout, Flatten, MaxPooling1D, Rescaling, SimpleRNN, TimeDistributed


def make_model(units: int = 4) -> Any:
    model = pyrnn.Sequential(
        [
            pyrnn.Input((10, 3)),
            Rescaling(2.0),
            SimpleRNN(units, return_sequences=True),
            SimpleRNN(4, return_sequences=True),
            Dropout(0.0),
            TimeDistributed(Dense(3)),
            Conv1D(2, 3),
            MaxPooling1D(2),
            Flatten(),
            Dense(1),
        ]
    )
    model.compile("adam", "mae", metrics=["mse"])
    return model


@pytest.fixture
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((8, 10, 3)).astype("float32"), rng.standard_normal((8, 1)).astype("float32")


def test_training_goes_on_from_a_file_to_the_bit(tmp_path: Path, data: tuple[Any, Any]) -> None:
    model = make_model()
    for _ in range(3):
        model.train_on_batch(*data)
    model.save(tmp_path / "m.keras")
    loaded = pyrnn.load_model(tmp_path / "m.keras")
    assert loaded.optimizer.iterations == 3
    for _ in range(2):
        assert model.train_on_batch(*data) == loaded.train_on_batch(*data)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_weights_round_trip(tmp_path: Path, data: tuple[Any, Any]) -> None:
    model, other = make_model(), make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert np.array_equal(model.predict(data[0], verbose=0), other.predict(data[0], verbose=0))


@pytest.mark.parametrize("keep", [0, 10, 1000, -5])
def test_truncated_files_are_refused_and_change_nothing(tmp_path: Path, keep: int) -> None:
    model = make_model()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    before = model.get_weights()
    for name in ("m.keras", "m.weights.h5"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"m\.keras"):
        pyrnn.load_model(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m\.weights\.h5"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_wrong_shapes_are_refused_and_change_nothing(tmp_path: Path) -> None:
    make_model(units=5).save_weights(tmp_path / "m.weights.h5")
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="has shape"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_names_and_unbuilt_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '\.keras'"):
        make_model().save(tmp_path / "m.txt")
    with pytest.raises(ValueError, match="built before"):
        pyrnn.Sequential([Dense(1)]).save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []
