"""The book's code, verbatim but for the import lines, on data small enough for a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pyrnn.layers import Dense, SimpleRNN
from pyrnn.models import Sequential
from pyrnn.utils import set_random_seed

max_len, n_features = 12, 5
batch_size, n_train_samples, n_val_samples = 8, 32, 16


def endless(seed: int) -> Iterator[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    while True:
        x = rng.standard_normal((batch_size, max_len, n_features)).astype("float32")
        yield x, 3.0 + 0.5 * x[:, -1, :1]


def check(history: Any, epochs: int) -> None:
    assert len(history.history["loss"]) == len(history.history["val_loss"]) == epochs
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("loss", ["mean_absolute_percentage_error", "mape"])
def test_simple_rnn(loss: str) -> None:
    set_random_seed(0)
    train_gen, val_gen = endless(0), endless(1)

    model = Sequential()
    model.add(SimpleRNN(16, input_shape=(max_len, n_features)))
    model.add(Dense(1))
    model.compile(optimizer='adam', loss=loss)  # fmt: skip
    history = model.fit_generator(train_gen, epochs=20, steps_per_epoch=n_train_samples // batch_size,
                                  validation_data=val_gen, validation_steps=n_val_samples // batch_size)  # fmt: skip

    check(history, epochs=20)
    assert model.count_params() == 16 * (n_features + 16 + 1) + 17


def test_stack() -> None:
    set_random_seed(0)
    train_gen, val_gen = endless(0), endless(1)

    model = Sequential()
    model.add(SimpleRNN(16, return_sequences=True, input_shape=(max_len, n_features)))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(64))
    model.add(Dense(1))
    model.compile(optimizer='adam', loss='mean_absolute_percentage_error')  # fmt: skip
    history = model.fit_generator(train_gen, epochs=20, steps_per_epoch=n_train_samples // batch_size,
                                  validation_data=val_gen, validation_steps=n_val_samples // batch_size)  # fmt: skip

    check(history, epochs=20)
    assert model.predict(next(val_gen)[0], verbose=0).shape == (batch_size, 1)


def test_recurrent_layer_returns_its_last_output_by_default() -> None:
    assert Sequential([SimpleRNN(16, input_shape=(max_len, n_features))]).output_shape == (None, 16)
