"""Weights that `call` assigns to: each run changes them, and what is read afterwards is the new value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, ops

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.ones((4, 1), np.float32)


class Counting(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.counter = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.counter.assign_add(1)
        return x


def test_each_run_counts_in_training_and_prediction() -> None:
    layer = Counting()
    model = pyrnn.Sequential([pyrnn.Input((2,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    assert float(layer.counter) == 0
    model.fit(X, Y, batch_size=2, epochs=3, verbose=0)
    assert float(layer.counter) == 6
    model.predict(X, batch_size=3, verbose=0)
    assert float(layer.counter) == 8
    layer(X)
    assert float(layer.counter) == 9 and isinstance(layer.counter, pyrnn.parameters.Weight)


class Averaging(layers.Layer):
    """Subtracts a running mean, which training updates; both assignments are seen by what follows."""

    def build(self, shape: Any) -> None:
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(x, axis=0))
            self.mean.assign_sub(np.ones(2, np.float32))
        return (x - self.mean) * self.scale


def test_values_are_new_afterwards_and_gradients_are_those_of_the_rest() -> None:
    layer = Averaging()
    model = pyrnn.Sequential([pyrnn.Input((2,)), layer])
    rate = 0.25
    model.compile(pyrnn.optimizers.SGD(rate), lambda y_true, y_pred: ops.sum(y_pred, axis=-1))
    model.train_on_batch(X, X)
    mean = 0.5 * X.mean(axis=0) - 1
    np.testing.assert_allclose(layer.mean.numpy(), mean)
    np.testing.assert_allclose(layer.scale.numpy(), 1 - rate * (X - mean).sum(axis=0) / 4, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X, verbose=0), (X - mean) * layer.scale.numpy(), rtol=1e-6)
    np.testing.assert_allclose(layer.mean.numpy(), mean)


class Wrong(Counting):
    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def call(self, x: Any) -> Any:
        self.act(self, x)
        return x


def test_what_cannot_be_assigned() -> None:
    with pytest.raises(ValueError, match=r"has shape \(\), call\(\) assigns \(2,\) to it"):
        Wrong(lambda layer, x: layer.counter.assign(np.ones(2)))(X)
    with pytest.raises(TypeError, match="must be a weight of layer"):
        Wrong(lambda layer, x: x.assign(x))(X)
    with pytest.raises(TypeError, match="is no weight of a layer whose call"):
        pyrnn.Input((2,)).assign(3)
