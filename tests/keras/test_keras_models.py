"""Whole models against real Keras: outputs, histories and weights over training, files both ways (extra `keras`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

SAMPLES, TIME, FEATURES, EPOCHS = 24, 12, 5, 4
# Terms summed on the way from a weight to its value after the last step: samples, steps, units, epochs.
TERMS = SAMPLES * TIME * 64 * EPOCHS

STACKS: dict[str, Any] = {
    "book": lambda L: [L.SimpleRNN(16), L.Dense(1)],
    "stack": lambda L: [
        L.SimpleRNN(16, return_sequences=True),
        L.SimpleRNN(32, return_sequences=True),
        L.SimpleRNN(64),
        L.Dense(1),
    ],
    "lstm": lambda L: [
        L.Masking(),
        L.LSTM(16, return_sequences=True),
        L.LSTM(8, activation="relu", unit_forget_bias=False, go_backwards=True),
        L.Dense(1),
    ],
    "gru": lambda L: [
        L.GRU(16, return_sequences=True, kernel_regularizer="l2"),
        L.GRU(9, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid"),
        L.GRU(7, use_bias=False, activity_regularizer="l1"),
        L.Dense(1),
    ],
    "bidirectional": lambda L: [
        L.Masking(),
        L.Bidirectional(L.LSTM(8, return_sequences=True)),
        L.Bidirectional(L.GRU(5, return_sequences=True), merge_mode="mul"),
        L.Bidirectional(L.SimpleRNN(5), merge_mode="ave"),
        L.Dense(1),
    ],
    "cells": lambda L: [
        L.Masking(),
        L.RNN(L.LSTMCell(6), return_sequences=True),
        L.RNN([L.GRUCell(5), L.SimpleRNNCell(7), L.LSTMCell(4)], return_sequences=True, go_backwards=True),
        L.Bidirectional(L.RNN(L.GRUCell(3, reset_after=False))),
        L.Dense(1),
    ],
    "conv": lambda L: [
        L.Conv1D(16, 3, activation="relu"),
        L.MaxPooling1D(3),
        L.Conv1D(8, 2, padding="causal", dilation_rate=2, groups=2, activity_regularizer="l2"),
        L.Flatten(),
        L.Dense(1),
    ],
    "mask": lambda L: [
        L.Masking(),
        L.SimpleRNN(8, return_sequences=True, go_backwards=True),
        L.SimpleRNN(7, activation="relu"),
        L.Dense(1),
    ],
    "time-distributed": lambda L: [
        L.SimpleRNN(8, return_sequences=True, kernel_regularizer="l2", activation="gelu"),
        L.TimeDistributed(L.Dense(3, activation="silu")),
        L.GlobalAveragePooling1D(),
        L.Dense(1),
    ],
    "shapes": lambda L: [
        L.Rescaling(0.5),
        L.Conv1D(8, 3, padding="same", strides=2),
        L.AveragePooling1D(2),
        L.Reshape((24,)),
        L.RepeatVector(4),
        L.Dropout(0.0),
        L.SimpleRNN(6, use_bias=False),
        L.Activation("softsign"),
        L.Dense(1),
    ],
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda M: M.SGD(1e-5, momentum=0.9, nesterov=True),
    "adam": lambda M: M.Adam(1e-3, clipnorm=1.0),
    "adamw": lambda M: M.AdamW(1e-3, global_clipnorm=1.0),
    "rmsprop": lambda M: M.RMSprop(1e-3, clipvalue=0.5),
}


def make_pair(stack: str, optimizer: str, loss: str) -> tuple[Any, Any]:
    """The same model in Keras and here, with Keras's weights."""
    theirs = keras.Sequential([keras.Input((TIME, FEATURES)), *STACKS[stack](keras.layers)])
    ours = pyrnn.Sequential([pyrnn.Input((TIME, FEATURES)), *STACKS[stack](pyrnn.layers)])
    theirs.compile(OPTIMIZERS[optimizer](keras.optimizers), loss, metrics=["mae"])
    ours.compile(OPTIMIZERS[optimizer](pyrnn.optimizers), loss, metrics=["mae"])
    ours.set_weights(theirs.get_weights())
    return theirs, ours


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, TIME, FEATURES)).astype("float32")
    x[3, 7:] = x[5, 2:4] = x[9] = 0  # masked ends, holes and a whole row
    return x, (rng.random((SAMPLES, 1)) + 1).astype("float32")


@pytest.mark.parametrize("loss", ["mse", "mape", "huber"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stack", STACKS)
def test_training(stack: str, optimizer: str, loss: str, data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(stack, optimizer, loss)
    assert_close(ours.predict(data[0], verbose=0), theirs.predict(data[0], verbose=0), TERMS, "output")
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 8, "shuffle": False, "verbose": 0}
    expected, actual = theirs.fit(*data, **options).history, ours.fit(*data, **options).history
    assert expected.keys() == actual.keys()
    for name in expected:
        assert_close(np.float32(actual[name]), np.float32(expected[name]), TERMS, name)
    for weight, value in zip(ours.weights, theirs.get_weights(), strict=True):
        assert_close(weight.numpy(), value, TERMS, weight.path)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("stack", STACKS)
def test_files_both_ways(stack: str, optimizer: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(stack, optimizer, "mape")
    for model in (theirs, ours):
        model.fit(*data, epochs=1, batch_size=8, shuffle=False, verbose=0)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    read_by_keras = keras.models.load_model(tmp_path / "ours.keras")
    read_by_us = pyrnn.load_model(tmp_path / "theirs.keras")
    assert int(read_by_keras.optimizer.iterations) == read_by_us.optimizer.iterations == 3
    expected = theirs.predict(data[0], verbose=0)
    for model in (read_by_keras, read_by_us):
        assert_close(np.asarray(model.predict(data[0], verbose=0)), expected, TERMS, "output")
        before = float(np.asarray(model.train_on_batch(*data)[0]))
        assert_close(np.float32([before]), np.float32([float(ours.test_on_batch(*data)[0])]), TERMS, "loss")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    for mine, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(mine, value)
