"""Sequences of another length than a model was built for, and changes to a built model, compared with Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

RNG = np.random.default_rng(0)
STACKS: dict[str, Callable[[Any], list[Any]]] = {
    "lstm": lambda L: [L.LSTM(3)],
    "sequences": lambda L: [L.GRU(3, return_sequences=True), L.Dense(2)],
    "bidirectional": lambda L: [L.Bidirectional(L.SimpleRNN(3))],
    "convolution": lambda L: [L.Conv1D(3, 2, strides=2), L.LSTM(2)],
    "pooling": lambda L: [L.MaxPooling1D(2), L.GlobalAveragePooling1D()],
    "normalization": lambda L: [L.BatchNormalization(), L.LayerNormalization(), L.LSTM(2)],
    "prelu": lambda L: [L.PReLU(shared_axes=[1]), L.LSTM(2)],
    "masking": lambda L: [L.TimeDistributed(L.Dense(2)), L.Masking(), L.GRU(2)],
    "flat": lambda L: [L.LSTM(3, return_sequences=True), L.Flatten()],
    "padding": lambda L: [L.ZeroPadding1D(2), L.Cropping1D((1, 2)), L.UpSampling1D(2), L.GRU(3)],
    "flat then dense": lambda L: [L.LSTM(3, return_sequences=True), L.Flatten(), L.Dense(2)],
    "slopes of steps": lambda L: [L.PReLU(), L.LSTM(2)],
    "reshaped": lambda L: [L.Reshape((4, 2)), L.LSTM(2)],
}


def pair(name: str) -> tuple[pyrnn.Sequential, Any]:
    ours = pyrnn.Sequential([pyrnn.Input((4, 2)), *STACKS[name](pyrnn.layers)])
    theirs = keras.Sequential([keras.Input((4, 2)), *STACKS[name](keras.layers)])
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("steps", [4, 7])
@pytest.mark.parametrize("name", STACKS)
def test_another_length(name: str, steps: int) -> None:
    ours, theirs = pair(name)
    x = RNG.normal(size=(3, steps, 2)).astype("float32")
    try:
        expected = theirs.predict(x, verbose=0)
    except (ValueError, RuntimeError):
        with pytest.raises(ValueError, match=r"does not fit the model|expects x of|target_shape must"):
            ours.predict(x, verbose=0)
    else:
        assert_close(ours.predict(x, verbose=0), expected, 64)


@pytest.mark.parametrize("shape", [(None, 4, 2), (None, 5, 2), (None, 4), (3, 4, 3)])
def test_building_again(shape: Any) -> None:
    ours, theirs = pair("lstm")
    try:
        theirs.build(shape)
    except ValueError:
        with pytest.raises(ValueError, match="is already built"):
            ours.build(shape)
    else:
        ours.build(shape)


@pytest.mark.parametrize("module", ["pyrnn", "keras"])
def test_flags_and_sizes_that_both_refuse(module: str) -> None:
    library = {"pyrnn": pyrnn, "keras": keras}[module]
    for call in (
        lambda: library.layers.Dense(3, trainable=1),
        lambda: library.layers.Dropout(0.5, noise_shape=(0, 1)),
        lambda: library.layers.Dropout(0.5, noise_shape=(-1, 1)),
        lambda: library.Sequential([library.Input((4, 2)), library.layers.LSTM(3), library.layers.LSTM(2)]),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()


def test_an_array_in_the_place_of_a_weight() -> None:
    x, bias = RNG.normal(size=(3, 4, 2)).astype("float32"), np.array([0.5, -1], "float32")
    ours, theirs = pair("sequences")
    ours.layers[1].bias = theirs.layers[1].bias = bias
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), 64)


def test_the_learning_rate_is_assigned() -> None:
    x, y = RNG.normal(size=(6, 4, 2)).astype("float32"), RNG.normal(size=(6, 3)).astype("float32")
    both = pair("lstm")
    for model in both:
        model.compile("sgd", "mse")
        model.optimizer.learning_rate.assign(0.5)
        model.fit(x, y, verbose=0, shuffle=False, batch_size=2)
    for first, other in zip(both[0].get_weights(), both[1].get_weights(), strict=True):
        assert_close(first, other, 256)


RANKS: dict[str, Any] = {
    "LayerNormalization": lambda k: k.layers.LayerNormalization(),
    "RMSNormalization": lambda k: k.layers.RMSNormalization(),
    "UnitNormalization": lambda k: k.layers.UnitNormalization(),
    "BatchNormalization": lambda k: k.layers.BatchNormalization(),
    "Dense": lambda k: k.layers.Dense(2, kernel_initializer="ones"),
    "Flatten": lambda k: k.layers.Flatten(),
    "TimeDistributed": lambda k: k.layers.TimeDistributed(k.layers.Dense(2, kernel_initializer="ones")),
    "LSTM": lambda k: k.layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="ones"),
    "PReLU": lambda k: k.layers.PReLU(),
}


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (2, 7, 3), (2, 4, 5, 3), (2, 5, 4)], ids=str)
@pytest.mark.parametrize("name", RANKS)
def test_shapes_after_a_build(name: str, shape: tuple[int, ...]) -> None:
    """A layer that was built for (None, 5, 3) takes and rejects what Keras's does."""
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    results = []
    for k in (keras, pyrnn):
        layer = RANKS[name](k)
        layer.build((None, 5, 3))
        try:
            y = layer(x)
            results.append(np.asarray(y.detach() if k is keras else y))
        except (ValueError, RuntimeError):
            results.append(None)
    if results[0] is None or results[1] is None:
        assert results[0] is results[1] is None
    else:
        np.testing.assert_allclose(results[1], results[0], rtol=1e-4, atol=1e-5)
