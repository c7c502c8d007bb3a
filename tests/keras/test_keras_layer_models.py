"""Special layers compared with Keras's (noise, adapt, functions), and models of them in training and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers

SAMPLES, TIME, FEATURES, EPOCHS = 24, 12, 5, 3
# Terms summed on the way from a weight to its value after the last step: samples, steps, units, epochs.
TERMS = SAMPLES * TIME * 16 * EPOCHS

# Noise: class name and arguments -> mean and variance of what becomes of 1, and the share of zeros.
ALPHA = -1.6732632423543772 * 1.0507009873554805


def alpha_dropout(rate: float) -> tuple[float, float, float]:
    a = ((1 - rate) * (1 + rate * ALPHA**2)) ** -0.5
    return a * (1 - rate), (a * (1 - ALPHA)) ** 2 * rate * (1 - rate), 0.0


NOISE: list[tuple[str, dict[str, Any], tuple[float, float, float]]] = [
    ("Dropout", {"rate": 0.3}, (1.0, 0.3 / 0.7, 0.3)),
    ("Dropout", {"rate": 0.5, "noise_shape": (None, 1, None)}, (1.0, 1.0, 0.5)),
    ("SpatialDropout1D", {"rate": 0.2}, (1.0, 0.25, 0.2)),
    ("GaussianNoise", {"stddev": 0.4}, (1.0, 0.16, 0.0)),
    ("GaussianDropout", {"rate": 0.3}, (1.0, 0.3 / 0.7, 0.0)),
    ("AlphaDropout", {"rate": 0.1}, alpha_dropout(0.1)),
    ("AlphaDropout", {"rate": 0.4, "noise_shape": (None, 1, None)}, alpha_dropout(0.4)),
]
SIGMAS = 6


@pytest.mark.parametrize(("name", "kwargs", "moments"), NOISE)
def test_noise_has_keras_moments(name: str, kwargs: dict[str, Any], moments: tuple[float, float, float]) -> None:
    mean, variance, zeros = moments
    shared = name == "SpatialDropout1D" or "noise_shape" in kwargs
    x = np.ones((200, 8, 60) if shared else (40, 20, 60), np.float32)
    for library in (pyrnn, keras):
        layer = getattr(library.layers, name)(**kwargs, seed=3)
        assert np.array_equal(np.asarray(keras.ops.convert_to_numpy(layer(x))), x)
        y = np.asarray(keras.ops.convert_to_numpy(layer(x, training=True)), np.float64)
        assert not np.array_equal(y, keras.ops.convert_to_numpy(layer(x, training=True)))
        if shared:
            assert (y == y[:, :1]).all()
            y = y[:, 0]
        square, root = (y - mean) ** 2, np.sqrt(y.size)
        assert abs(y.mean() - mean) < SIGMAS * y.std() / root
        assert abs(square.mean() - variance) < SIGMAS * max(square.std(), variance * 1e-6) / root + 1e-6
        assert abs((y == 0).mean() - zeros) <= SIGMAS * np.sqrt(zeros * (1 - zeros)) / root


@pytest.mark.parametrize(("name", "kwargs"), [each[:2] for each in NOISE])
def test_gradient_of_noise(name: str, kwargs: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, other, dy = rng.normal(size=(3, 4, 5, 6))
    made = [layers.REGISTRY[name](**kwargs, seed=1, dtype="float64") for _ in range(2)]
    y, z = (layer(each, training=True) for layer, each in zip(made, (x, other), strict=True))
    dx = made[0].backward(dy)
    assert dx is not None
    assert_close(dx * (x - other), dy * (y - z), 1024, "dx")


@pytest.mark.parametrize("axis", [-1, 1, None, (1, 2), (0, 2)])
@pytest.mark.parametrize("batches", [False, True])
def test_adapt(axis: Any, batches: bool) -> None:
    rng = np.random.default_rng(0)
    size = 4 if isinstance(axis, tuple) and 0 in axis else 6
    data = (rng.normal(size=(12, 3, 5)) * 7 + 30).astype("float32")
    parts = np.split(data, 12 // size)
    parts = parts[:1] if size == 4 else parts
    batch = parts if batches else parts[0] if size == 4 else data
    ours, theirs = layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
    ours.adapt(batch)
    theirs.adapt(np.concatenate(batch) if batches else batch)  # Keras walks batches through TensorFlow
    for weight, value in zip(ours.weights, theirs.weights, strict=True):
        expected = keras.ops.convert_to_numpy(value)
        assert weight.dtype == expected.dtype
        assert_close(weight.numpy().astype("float32"), expected, data.size, weight.name)
    x = data[:size]
    assert_close(ours(x), keras.ops.convert_to_numpy(theirs(x)), data.size, "output")


def halve(x: Any, by: float = 2.0) -> Any:
    return x / by


halve.gradient = lambda x, y, dy, by=2.0: dy / by


@pytest.mark.parametrize("kwargs", [{}, {"output_shape": (4,)}, {"arguments": {"by": 4.0}, "output_shape": (4,)}])
def test_named_functions_go_both_ways(kwargs: dict[str, Any]) -> None:
    ours = layers.Lambda(halve, **kwargs, name="layer")
    theirs = keras.layers.Lambda(halve, **kwargs, name="layer")
    x = np.ones((2, 4), "float32")
    assert np.array_equal(ours(x), keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(x))))
    config, mine = keras.layers.serialize(theirs), layers.serialize(ours)
    assert mine["config"] == config["config"]
    for read in (
        layers.deserialize(config, {"halve": halve}),
        keras.layers.deserialize(mine, {"halve": halve}),
    ):
        assert read.get_config() == ours.get_config()


STACKS: dict[str, Any] = {
    "embedding": lambda L: [
        L.Embedding(12, 8, mask_zero=True, embeddings_regularizer="l2"),
        L.SpatialDropout1D(0.0),
        L.LSTM(7, return_sequences=True),
        L.GlobalAveragePooling1D(),
        L.Dense(1),
    ],
    "batch": lambda L: [
        L.Embedding(12, 6),
        L.Conv1D(8, 3, use_bias=False),
        L.BatchNormalization(momentum=0.8),
        L.LeakyReLU(),
        L.ZeroPadding1D(1),
        L.UpSampling1D(2),
        L.Cropping1D((1, 2)),
        L.GRU(6),
        L.ActivityRegularization(l2=0.1),
        L.Dense(1),
    ],
    "convolutions": lambda L: [
        L.Embedding(12, 6),
        L.DepthwiseConv1D(3, padding="same", depth_multiplier=2, depthwise_regularizer="l2"),
        L.SeparableConv1D(5, 3, strides=2, activation="tanh", pointwise_constraint="max_norm"),
        L.Conv1DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        L.GRU(6),
        L.Dense(1),
    ],
    "masked": lambda L: [
        L.Embedding(12, 6, mask_zero=True),
        L.BatchNormalization(momentum=0.8, renorm=True),
        L.GaussianNoise(0.0),
        L.SimpleRNN(6, return_sequences=True),
        L.BatchNormalization(),
        L.ELU(),
        L.Bidirectional(L.GRU(4)),
        L.Dense(1),
    ],
    "normal": lambda L: [
        L.Embedding(12, 6, trainable=False),
        L.Normalization(mean=0.1, variance=2.0, axis=None),
        L.LayerNormalization(axis=[1, 2]),
        L.PReLU(shared_axes=[1]),
        L.Permute((2, 1)),
        L.GroupNormalization(3),
        L.RMSNormalization(),
        L.ReLU(negative_slope=0.1),
        L.UnitNormalization(),
        L.Identity(),
        L.Softmax(axis=1),
        L.Flatten(),
        L.Dense(1),
    ],
}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("stack", STACKS)
def test_training_and_files(stack: str, optimizer: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 12, (SAMPLES, TIME)).astype("float32")
    x[:, 0] = 1  # no row is all masked
    y = (rng.random((SAMPLES, 1)) + 1).astype("float32")
    theirs = keras.Sequential([keras.Input((TIME,)), *STACKS[stack](keras.layers)])
    ours = pyrnn.Sequential([pyrnn.Input((TIME,)), *STACKS[stack](pyrnn.layers)])
    for model in (theirs, ours):
        model.compile(optimizer, "mse")
    ours.set_weights(theirs.get_weights())
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 8, "shuffle": False, "verbose": 0}
    expected, actual = theirs.fit(x, y, **options).history, ours.fit(x, y, **options).history
    assert_close(np.float32(actual["loss"]), np.float32(expected["loss"]), TERMS, "loss")
    for weight, value in zip(ours.weights, theirs.get_weights(), strict=True):
        assert_close(weight.numpy(), value, TERMS, weight.path)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    read_by_keras = keras.models.load_model(tmp_path / "ours.keras")
    read_by_us = pyrnn.load_model(tmp_path / "theirs.keras")
    outputs = theirs.predict(x, verbose=0)
    for model in (ours, read_by_keras, read_by_us):
        assert_close(np.asarray(model.predict(x, verbose=0)), outputs, TERMS, "output")
    for mine, value in zip(read_by_us.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(mine, value)


def test_adapted_state_in_files(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, 3, (SAMPLES, FEATURES)).astype("float32")
    models = [m.Sequential([m.Input((FEATURES,)), m.layers.Normalization(), m.layers.Dense(1)]) for m in (pyrnn, keras)]
    for i, (model, read) in enumerate(zip(models, (keras.models.load_model, pyrnn.load_model), strict=True)):
        model.layers[0].adapt(x)
        model.save(tmp_path / f"{i}.keras")
        again = read(tmp_path / f"{i}.keras")
        expected = np.asarray(model.predict(x, verbose=0))
        assert_close(np.asarray(again.predict(x, verbose=0)), expected, TERMS, "output")


SECOND_NAMES = (
    "AvgPool1D",
    "Convolution1D",
    "Convolution1DTranspose",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "MaxPool1D",
    "SeparableConvolution1D",
)


@pytest.mark.parametrize("name", SECOND_NAMES)
def test_second_names(name: str) -> None:
    assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__


def test_integer_inputs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 9, (SAMPLES, TIME))
    stack = [keras.Input((TIME,), dtype="int32"), keras.layers.Embedding(9, 4, mask_zero=True), keras.layers.GRU(3)]
    theirs = keras.Sequential(stack)
    theirs.save(tmp_path / "theirs.keras")
    ours = pyrnn.load_model(tmp_path / "theirs.keras")
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), TERMS, "output")
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    assert_close(np.asarray(again.predict(x, verbose=0)), theirs.predict(x, verbose=0), TERMS, "output")
    assert again.get_config()["layers"][0] == theirs.get_config()["layers"][0]
