"""Graphs with merge and attention layers compared with Keras's: outputs, histories, files both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 6, 4)).astype("float32")
X[0, 4:] = 0
Y = X[:, 0, :1]


def residual(library: Any, x: Any) -> Any:
    layers = library.layers
    h = layers.Dense(4, activation="tanh")(x)
    return layers.GRU(3)(layers.Add()([x, layers.LSTM(4, return_sequences=True)(h)]))


def siamese(library: Any, x: Any) -> Any:
    layers = library.layers
    shared = layers.GRU(4)
    left, right = shared(x), shared(layers.Dense(4)(x))
    return layers.concatenate([layers.dot([left, right], axes=1, normalize=True), layers.multiply([left, right])])


def encoder_decoder(library: Any, x: Any) -> Any:
    layers = library.layers
    steps, *states = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    decoded = layers.LSTM(4, return_sequences=True)(layers.Dense(3)(x), initial_state=states)
    read = layers.AdditiveAttention()([decoded, steps])
    return layers.Flatten()(layers.Concatenate()([decoded, read, layers.Attention(use_scale=True)([decoded, steps])]))


def masked(library: Any, x: Any) -> Any:
    layers = library.layers
    h = layers.Masking()(x)
    left, right = layers.GRU(3, return_sequences=True)(h), layers.LSTM(3, return_sequences=True)(h)
    return layers.LSTM(2)(layers.Maximum()([layers.Average()([left, right]), layers.Subtract()([left, right])]))


def transformer(library: Any, x: Any) -> Any:
    layers = library.layers
    read = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    h = layers.LayerNormalization()(layers.Add()([x, read]))
    return layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3, use_gate=True)(h, x, key=h))


def masked_heads(library: Any, x: Any) -> Any:
    layers = library.layers
    h = layers.Masking()(x)
    return layers.LSTM(2)(layers.MultiHeadAttention(2, 3)(h, h))


def masked_causal(library: Any, x: Any) -> Any:
    layers = library.layers
    h = layers.Masking()(x)
    return layers.LSTM(2)(layers.Attention()([h, layers.Dense(4)(h)], use_causal_mask=True))


def constant_mask(library: Any, x: Any) -> Any:
    layers = library.layers
    read = layers.MultiHeadAttention(2, 3)(x, x, attention_mask=np.tri(6, dtype=bool))
    return layers.Flatten()(read)


def joined_in_time(library: Any, x: Any) -> Any:
    layers = library.layers
    return layers.LSTM(2)(layers.Concatenate(axis=1)([layers.Masking()(x), x]))


GRAPHS = [
    residual,
    siamese,
    encoder_decoder,
    masked,
    transformer,
    masked_heads,
    masked_causal,
    constant_mask,
    joined_in_time,
]


def made(graph: Any, library: Any) -> Any:
    x = library.Input((6, 4))
    model = library.Model(x, library.layers.Dense(1, name="head")(graph(library, x)))
    model.compile(library.optimizers.SGD(0.05), "mse")
    return model


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_models(graph: Any, tmp_path: Path) -> None:
    ours, theirs = made(graph, pyrnn), made(graph, keras)
    assert [weight.shape for weight in ours.weights] == [tuple(weight.shape) for weight in theirs.weights]
    ours.set_weights(theirs.get_weights())
    assert_close(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), 4096)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    actual, expected = ours.fit(X, Y, **options).history["loss"], theirs.fit(X, Y, **options).history["loss"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    for weight, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-3, atol=1e-4)
    theirs.save(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    expected_y = ours.predict(X, verbose=0)
    assert_close(keras.models.load_model(tmp_path / "ours.keras").predict(X, verbose=0), expected_y, 4096)
    expected_y = theirs.predict(X, verbose=0)
    assert_close(pyrnn.load_model(tmp_path / "theirs.keras").predict(X, verbose=0), expected_y, 4096)
