"""An encoder and a decoder with attention: teacher forcing, then the loop that predicts step by step, as in Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import pyrnn

RANDOM = np.random.default_rng(11)
SOURCE = RANDOM.integers(1, 7, (8, 6))
TARGET = RANDOM.integers(1, 5, (8, 5))
DELAYED = np.concatenate([np.zeros((8, 1), int), TARGET[:, :-1]], axis=1)
UNITS, STEPS = 4, 7


def models(k: Any, cell: str) -> tuple[Any, Any, Any]:
    """The model that is trained, the encoder, and the model of one step."""
    kind, count = getattr(k.layers, cell), 2 if cell == "LSTM" else 1
    source, delayed = k.Input((None,)), k.Input((None,))
    read, write = k.layers.Embedding(7, 3), k.layers.Embedding(5, 3)
    encoder = kind(UNITS, return_sequences=True, return_state=True)
    decoder = kind(UNITS, return_sequences=True, return_state=True)
    attention, join, head = k.layers.Attention(), k.layers.Concatenate(), k.layers.Dense(5, activation="softmax")
    encoded, *states = encoder(read(source))
    decoded, *_ = decoder(write(delayed), initial_state=states)
    trained = k.Model([source, delayed], head(join([decoded, attention([decoded, encoded])])))
    encode = k.Model(source, [encoded, *states])
    token, memory = k.Input((1,)), k.Input((None, UNITS))
    before = [k.Input((UNITS,)) for _ in range(count)]
    next_output, *after = decoder(write(token), initial_state=before)
    step = k.Model([token, memory, *before], [head(join([next_output, attention([next_output, memory])])), *after])
    return trained, encode, step


def decoded(encode: Any, step: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The most likely tokens, each read as the next input, and their probabilities."""
    memory, *states = encode.predict(SOURCE, verbose=0)
    token, tokens, chances = np.zeros((8, 1)), [], []
    for _ in range(STEPS):
        chance, *states = step.predict([token, memory, *states], verbose=0)
        token = chance[:, -1].argmax(axis=-1)[:, None]
        tokens.append(token)
        chances.append(chance)
    return np.concatenate(tokens, axis=1), np.concatenate(chances, axis=1)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
def test_teacher_forcing_and_the_loop_are_those_of_keras(cell: str) -> None:
    theirs, ours = models(keras, cell), models(pyrnn, cell)
    ours[0].set_weights(theirs[0].get_weights())
    histories = []
    for k, (trained, _, _) in ((keras, theirs), (pyrnn, ours)):
        trained.compile(k.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
        fitted = trained.fit([SOURCE, DELAYED], TARGET, batch_size=4, epochs=3, shuffle=False, verbose=0)
        histories.append(fitted.history)
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-4, atol=1e-5)
    expected, results = decoded(*theirs[1:]), decoded(*ours[1:])
    np.testing.assert_array_equal(results[0], expected[0])
    np.testing.assert_allclose(results[1], expected[1], rtol=1e-3, atol=1e-5)
