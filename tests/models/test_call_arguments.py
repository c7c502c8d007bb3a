"""`training=` and `mask=` of a call on symbols hold whenever the model runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, layers, ops

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0]], bool)


def remade(model: Any, way: str, folder: Path) -> Any:
    if way == "itself":
        return model
    if way == "pickle":
        return pickle.loads(pickle.dumps(model))
    if way == "clone":
        clone = pyrnn.models.clone_model(model)
        clone.set_weights(model.get_weights())
        return clone
    model.save(folder / way)
    return pyrnn.load_model(folder / way)


WAYS = ("itself", "pickle", "clone", "m.keras", "m.h5")


def dropping() -> Any:
    x = Input((64,))
    return Model(x, layers.Dropout(0.5, seed=1)(x, training=True))


@pytest.mark.parametrize("way", WAYS)
def test_dropout_that_is_called_with_training_drops_in_predict(way: str, tmp_path: Path) -> None:
    model = remade(dropping(), way, tmp_path)
    ones = np.ones((2, 64), np.float32)
    first, second = model.predict(ones, verbose=0), model.predict(ones, verbose=0)
    assert 0.2 < (first == 0).mean() < 0.8
    assert not np.array_equal(first, second)


def test_a_prediction_with_training_leaves_nothing_behind() -> None:
    model = dropping()
    model.predict(np.ones((2, 64)), verbose=0)
    assert not model.layers[1]._tape


def resting() -> Any:
    x = Input((3,))
    h = layers.BatchNormalization()(layers.Dense(3)(x), training=False)
    return Model(x, layers.Dense(2)(layers.Dropout(0.5)(h, training=False)))


@pytest.mark.parametrize("way", WAYS)
def test_layers_that_are_called_without_training_act_as_in_inference(way: str, tmp_path: Path) -> None:
    start = resting()
    model = remade(start, way, tmp_path)
    x, y = X[:, 0], np.ones((4, 2), np.float32)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model(x, training=True), expected)
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [True, True, True, True, False, False, True, True]  # all but the moving statistics


def test_gradients_pass_through_layers_that_act_as_in_inference() -> None:
    class Resting(layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="float64")
            self.dense = layers.Dense(3, dtype="float64")
            self.norm = layers.BatchNormalization(dtype="float64")
            self.lstm = layers.LSTM(4, dropout=0.5, recurrent_dropout=0.5, dtype="float64")
            self.noise = layers.GaussianNoise(1.0, dtype="float64")

        def call(self, x: Any) -> Any:
            h = self.norm(self.dense(x), training=False)
            return self.noise(self.lstm(h, training=False), training=False)

    errors = pyrnn.utils.check_gradients(Resting(), X)
    assert len(errors) == 8 and max(errors.values()) < 1e-6


def test_a_nested_model_that_is_called_without_training_acts_as_in_inference() -> None:
    inner = pyrnn.Sequential([Input((3,)), layers.Dropout(0.9), layers.BatchNormalization()])
    x = Input((3,))
    model = Model(x, inner(x, training=False))
    np.testing.assert_array_equal(model(X[:, 0], training=True), model(X[:, 0]))


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_that_is_an_input(way: str, tmp_path: Path) -> None:
    x, mask = Input((6, 3), name="x"), Input((6,), dtype="bool", name="mask")
    lstm = layers.LSTM(4, return_sequences=True)
    first = Model([x, mask], layers.GRU(2)(lstm(x, mask=mask)))
    expected = first.layers[-1](lstm(X, mask=MASK), mask=MASK)
    model = remade(first, way, tmp_path)
    np.testing.assert_array_equal(model.predict([X, MASK], verbose=0), expected)


def test_a_mask_that_a_layer_computes() -> None:
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    embedding, lstm = layers.Embedding(5, 3), layers.LSTM(4)
    masking = layers.Embedding(5, 3, mask_zero=True)
    x = Input((4,), dtype="int32")
    model = Model(x, lstm(embedding(x), mask=masking.compute_mask(x)))
    np.testing.assert_array_equal(model.predict(ids, verbose=0), lstm(embedding(ids), mask=ids != 0))
    series = Input((6, 3))
    model = Model(series, lstm(series * 2, mask=layers.Masking().compute_mask(series)))
    some = np.where(MASK[..., None], X, 0).astype(np.float32)
    np.testing.assert_array_equal(model.predict(some, verbose=0), lstm(some * 2, mask=MASK))


def test_a_mask_of_attention_and_its_gradient() -> None:
    query, value, mask = Input((6, 3)), Input((6, 3)), Input((6,), dtype="bool")
    attention = layers.Attention()
    model = Model([query, value, mask], layers.Dense(1)(attention([query, value], mask=[None, mask])))
    expected = model.layers[-1](attention([X, X], mask=[None, MASK]))
    np.testing.assert_array_equal(model.predict([X, X, MASK], verbose=0), expected)
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch([X, X, MASK], np.zeros((4, 6, 1))))


def test_a_mask_made_of_operations() -> None:
    x = Input((6, 3))
    lstm = layers.LSTM(4)
    model = Model(x, lstm(x, mask=ops.any(ops.greater(x, 0), axis=-1)))
    np.testing.assert_array_equal(model.predict(X, verbose=0), lstm(X, mask=(X > 0).any(-1)))
