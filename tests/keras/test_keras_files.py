"""What is not numbers: legacy files, JSON and summaries, compared with real Keras in one process."""

from __future__ import annotations

import json
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


TABLE = np.random.default_rng(2).standard_normal((7, 4)).astype("float32")


def embedded(library: Any, value: Any) -> Any:
    """A tagger with pretrained embeddings, in either library."""
    return library.Sequential(
        [
            library.Input((3,), dtype="int32"),
            library.layers.Embedding(7, 4, embeddings_initializer=library.initializers.Constant(value)),
            library.layers.Dense(2, bias_initializer=library.initializers.Constant(np.array([1.0, 2.0]))),
        ]
    )


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("value", [TABLE, TABLE.astype("float64"), np.float32(0.3), np.arange(4), [1.0, 2.0, 3.0, 4.0]])
def test_constant_arrays_both_ways(value: Any, ending: str, tmp_path: Path) -> None:
    theirs, ours = embedded(keras, value), embedded(pyrnn, value)
    descriptions = [
        json.dumps(module.serialize(model.layers[0].embeddings_initializer))
        for module, model in ((keras.initializers, theirs), (pyrnn.initializers, ours))
    ]
    assert descriptions[0] == descriptions[1]
    theirs.save(tmp_path / f"theirs.{ending}")
    ours.save(tmp_path / f"ours.{ending}")
    by_us = pyrnn.load_model(tmp_path / f"theirs.{ending}")
    by_keras = keras.models.load_model(tmp_path / f"ours.{ending}", compile=False)
    for again in (by_us, pyrnn.models.model_from_json(theirs.to_json())):
        assert again.layers[0].embeddings_initializer((7, 4)).tobytes() == ours.get_weights()[0].tobytes()
    for again in (by_keras, keras.models.model_from_json(ours.to_json())):
        made = np.asarray(again.layers[0].embeddings_initializer((7, 4)))
        assert made.tobytes() == np.asarray(theirs.get_weights()[0]).tobytes()


def test_moments_both_ways() -> None:
    mean, variance = np.float32([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    options = {"mean": mean, "variance": variance}
    theirs, ours = (library.Sequential([library.Input((3,)), library.layers.Normalization(**options)])
                    for library in (keras, pyrnn))  # fmt: skip
    by_us, by_keras = pyrnn.models.model_from_json(theirs.to_json()), keras.models.model_from_json(ours.to_json())
    expected = ours.predict(x, verbose=0)
    assert np.array_equal(by_us.predict(x, verbose=0), expected)
    for model in (theirs, by_keras):
        assert_close(expected, np.asarray(model.predict(x, verbose=0)), TERMS)


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(y_pred - y_true)


def test_functions_both_ways() -> None:
    for description in (pyrnn.losses.serialize(pyrnn.losses.as_loss(own_loss)), keras.losses.serialize(own_loss)):
        assert keras.saving.deserialize_keras_object(description, custom_objects={"own_loss": own_loss}) is own_loss
        assert pyrnn.losses.deserialize(description, {"own_loss": own_loss}) is own_loss
    for name in ("relu", "tanh"):  # within the config of a custom class
        for library in (pyrnn, keras):
            description = library.saving.serialize_keras_object(library.activations.get(name))
            assert pyrnn.saving.deserialize_keras_object(description) is pyrnn.activations.get(name)
            assert keras.saving.deserialize_keras_object(description) is keras.activations.get(name)


@pytest.mark.parametrize(
    "value", [TABLE, np.array([1, 2]), np.float32(0.1), np.int64(3), np.array(2.5), b"bytes", slice(1, None, 2), ...,
              (1, (2.5, None)), {"a": [True, "x", np.bool_(False)]}, np.array([True, False]), [np.ones(2)]], ids=str,
)  # fmt: skip
def test_values_are_written_as_keras_writes_them(value: Any) -> None:
    theirs = json.dumps(keras.saving.serialize_keras_object(value))
    assert json.dumps(pyrnn.saving.serialize_keras_object(value)) == theirs
    for again in (pyrnn.saving.deserialize_keras_object(json.loads(theirs)),
                  keras.saving.deserialize_keras_object(json.loads(theirs))):  # fmt: skip
        assert json.dumps(pyrnn.saving.serialize_keras_object(again)) == theirs


def rounded(description: dict[str, Any]) -> dict[str, Any]:
    """Keras's regularizers round their factors to float32."""
    config = {name: float(np.float32(v)) if isinstance(v, float) else v for name, v in description["config"].items()}
    return {**description, "config": config}


def test_objects_are_written_as_keras_writes_them() -> None:
    """Of every class that both have, with the arguments that it must have."""
    compared = 0
    for kind in ("initializers", "regularizers", "constraints"):
        for name, cls in vars(getattr(pyrnn, kind)).items():
            base = name in ("Initializer", "Regularizer", "Constraint", "constraint")
            if base or not isinstance(cls, type) or not hasattr(getattr(keras, kind), name):
                continue
            theirs = keras.saving.serialize_keras_object(getattr(keras, kind).__dict__[name]())
            ours = pyrnn.saving.serialize_keras_object(cls())
            if cls is not pyrnn.initializers.Identity:  # of which Keras forgets the gain
                assert rounded(ours) == rounded(theirs)
            again = keras.saving.deserialize_keras_object(ours)
            assert type(again).__name__ == type(keras.saving.deserialize_keras_object(theirs)).__name__
            compared += 1
    assert compared > 20


def test_folders_of_models(tmp_path: Path) -> None:
    """What `zipped=False` writes is read by the other library."""
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    models = []
    for k in (keras, pyrnn):
        model = k.Sequential([k.Input((5, 3)), k.layers.LSTM(4), k.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, np.ones((4, 1), "float32"), verbose=0)
        models.append(model)
    theirs, ours = models
    theirs.save(tmp_path / "theirs", zipped=False)
    ours.save(tmp_path / "ours", zipped=False)
    read_here, read_there = pyrnn.load_model(tmp_path / "theirs"), keras.saving.load_model(tmp_path / "ours")
    np.testing.assert_allclose(read_here.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(read_there.predict(x, verbose=0), ours.predict(x, verbose=0), rtol=1e-4, atol=1e-6)
    assert int(read_here.optimizer.iterations) == int(read_there.optimizer.iterations.numpy()) == 1


@pytest.mark.parametrize("most", [600, 3000, 1e9], ids=["many", "few", "one"])
def test_weights_in_several_files_both_ways(most: float, tmp_path: Path) -> None:
    x, y = np.ones((4, 5, 4), "float32"), np.ones((4, 1), "float32")
    theirs, ours = [], []
    for k, made in ((keras, theirs), (pyrnn, ours)):
        for _ in range(3):
            stack = [k.layers.SimpleRNN(12), k.layers.Dense(7), k.layers.BatchNormalization(), k.layers.Dense(1)]
            made.append(k.Sequential([k.Input((5, 4)), *stack]))
            made[-1].compile("adam", "mse")
            made[-1].fit(x, y, verbose=0)
    theirs[0].save_weights(tmp_path / "theirs.weights.json", max_shard_size=most / 1024**3)
    ours[0].save_weights(tmp_path / "ours.weights.json", max_shard_size=most / 1024**3)
    for source, name in ((theirs[0], "theirs"), (ours[0], "ours")):
        assert (len(list(tmp_path.glob(f"{name}_*.weights.h5"))) == 1) == (most == 1e9)
        for reader in (theirs[1], ours[1]):
            reader.load_weights(tmp_path / f"{name}.weights.json")
            for value, expected in zip(reader.get_weights(), source.get_weights(), strict=True):
                assert np.array_equal(value, expected)
    for reader in (theirs[2], ours[2]):
        with pytest.raises(ValueError, match=r"must end in [`']\.weights\.json[`']"):
            reader.save_weights(tmp_path / "model.h5", max_shard_size=1)
