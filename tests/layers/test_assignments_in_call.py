"""Weights that `call` assigns to: each run changes them, and what is read afterwards is the new value."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, ops

X = np.arange(8, dtype=np.float32).reshape(4, 2)
Y = np.ones((4, 1), np.float32)
Z = np.random.default_rng(0).normal(2, 1, size=(8, 3))


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
    with pytest.raises(TypeError, match="is no weight of a layer whose call"):
        Wrong(lambda layer, x: x.assign(x))(X)
    with pytest.raises(TypeError, match="is no weight of a layer whose call"):
        pyrnn.Input((2,)).assign(3)


@pyrnn.utils.register_keras_serializable("assignments")
class Centered(layers.Layer):
    """Counts its runs, and subtracts a running mean that training updates."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.runs = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False)
        self.state = {"mean": pyrnn.Variable(np.zeros(3), dtype="float64", trainable=False)}
        self.scale = self.add_weight(shape=(3,), initializer="ones")

    def call(self, x: Any, training: bool = False) -> Any:
        self.runs.assign_add(1)
        mean = self.state["mean"]
        if training:
            returned = mean.assign(0.5 * mean + 0.5 * ops.mean(x, axis=0))
            x = x + 0 * returned
        return (x - mean) * self.scale


def test_each_run_assigns_and_operations_after_it_read_the_new_value() -> None:
    layer = Centered(dtype="float64")
    np.testing.assert_array_equal(layer(Z), Z)
    assert int(layer.runs) == 1
    y = layer(Z, training=True)
    np.testing.assert_allclose(layer.state["mean"], Z.mean(0) / 2)
    np.testing.assert_allclose(y, Z - Z.mean(0) / 2)
    layer(Z, training=True)
    np.testing.assert_allclose(layer.state["mean"], Z.mean(0) * 0.75)
    assert int(layer.runs) == 3


def test_fit_evaluate_and_predict_assign_in_each_batch(tmp_path: Path) -> None:
    layer = Centered(dtype="float64")
    model = pyrnn.Sequential([pyrnn.Input((3,)), layer, layers.Dense(1, dtype="float64")])
    model.compile("sgd", "mse")
    model.fit(Z, Z[:, :1], batch_size=4, epochs=3, verbose=0)
    assert int(layer.runs) == 6
    model.evaluate(Z, Z[:, :1], batch_size=4, verbose=0)
    model.predict(Z, batch_size=2, verbose=0)
    assert int(layer.runs) == 12
    model.save(tmp_path / "m.keras")
    for again in (pyrnn.load_model(tmp_path / "m.keras"), copy.deepcopy(model)):
        assert int(again.layers[0].runs) == 12
        again.predict(Z, verbose=0)
        assert int(again.layers[0].runs) == 13 and int(layer.runs) == 12


def test_the_gradient_is_taken_at_the_values_of_the_run() -> None:
    class Scaled(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(), initializer="ones", trainable=False)

        def call(self, x: Any) -> Any:
            y = x * self.scale
            self.scale.assign_sub(0.5)
            return y

    x, layer = pyrnn.Input((3,)), Scaled(dtype="float64")
    dense = layers.Dense(1, use_bias=False, dtype="float64")
    model = pyrnn.Model(x, layer(dense(x)))
    model.compile(pyrnn.optimizers.SGD(1.0), "mse")
    before = dense.kernel.numpy()
    y = Z @ before
    model.train_on_batch(Z, np.zeros((8, 1)))
    np.testing.assert_allclose(before - dense.kernel.numpy(), 2 * Z.T @ y / 8, rtol=1e-6)
    assert float(layer.scale) == 0.5


def test_models_and_cells_assign_too() -> None:
    class Counting(pyrnn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)
            self.runs = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.runs.assign(self.runs + 1)
            return self.dense(x)

    model = Counting()
    model.compile("sgd", "mse")
    model.fit(Z, Z[:, :1], batch_size=4, verbose=0)
    assert float(model.runs) == 2

    class Dense(layers.Dense):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.runs = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.runs.assign_add(1)
            return super().call(x)

    dense = Dense(2)
    dense(Z)
    assert float(dense.runs) == 1


def test_what_would_read_an_old_value_is_rejected() -> None:
    class Halved(layers.Dense):
        def call(self, x: Any) -> Any:
            self.kernel.assign(self.kernel / 2)
            return super().call(x)

    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def build(self, input_shape: Any) -> None:
            self.dense.build(input_shape)

        def call(self, x: Any) -> Any:
            self.dense.bias.assign_add(ops.ones(2))
            return self.dense(x)

    class Wrong(Centered):
        def call(self, x: Any) -> Any:
            self.scale.assign(ops.ones((2,)))
            return x

    for layer, message in (
        (Halved(2), r"must not assign to weight 'halved\w*/kernel', which layer 'halved\w*' reads in the same call"),
        (Outer(), r"must not assign to weight 'dense\w*/bias', which layer 'dense\w*' reads in the same call"),
        (Wrong(), r"has shape \(3,\), call\(\) assigns \(2,\) to it"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            layer(Z)
