"""Losses and metrics written with `ops`: histories and weights are those of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

RNG = np.random.default_rng(8)
X, Y = (RNG.normal(size=(8, size)).astype("float32") for size in (3, 2))
KERNEL = RNG.normal(size=(3, 2)).astype("float32")


def pinball(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return k.ops.mean(k.ops.maximum(0.9 * error, -0.1 * error), axis=-1)

    return loss


def weighted(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return k.ops.mean(k.ops.square(y_true - y_pred) * k.ops.where(y_true > 0, 2.0, 1.0), axis=-1)

    return loss


def scalar(k: Any) -> Any:
    return lambda y_true, y_pred: k.ops.sum(k.ops.log(k.ops.cosh(y_pred - y_true)))


def with_a_loss_of_keras(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return k.losses.mean_squared_error(y_true, y_pred) + 0.1 * k.ops.mean(k.ops.abs(y_pred), axis=-1)

    return loss


def with_an_activation(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return k.ops.mean(k.activations.softplus(y_pred) - y_true * y_pred, axis=-1)

    return loss


def over_the_batch(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        mean, _ = k.ops.moments(y_pred, axes=0)
        return k.ops.sqrt(k.ops.mean(k.ops.square(y_true - y_pred), axis=-1) + 1e-6) + k.ops.sum(mean * mean)

    return loss


def by_column(k: Any) -> Any:
    def loss(y_true: Any, y_pred: Any) -> Any:
        columns = [k.ops.square(y_true[:, i] - y_pred[:, i]) * (i + 1) for i in range(y_pred.shape[-1])]
        return k.ops.norm(k.ops.stack(columns, axis=-1), axis=-1) + k.ops.logsumexp(y_pred, axis=-1)

    return loss


def a_class(k: Any) -> Any:
    class Clipped(k.losses.Loss):
        def __init__(self, delta: float = 0.7, name: str = "clipped") -> None:
            super().__init__(name=name)
            self.delta = delta

        def call(self, y_true: Any, y_pred: Any) -> Any:
            error = k.ops.abs(y_true - y_pred)
            outer = self.delta * (error - 0.5 * self.delta)
            return k.ops.mean(k.ops.where(error < self.delta, 0.5 * k.ops.square(error), outer), axis=-1)

    return Clipped()


def metrics(k: Any) -> list[Any]:
    def mean_error(y_true: Any, y_pred: Any) -> Any:
        return k.ops.mean(k.ops.abs(y_true - y_pred), axis=-1)

    def root(y_true: Any, y_pred: Any) -> Any:
        return k.ops.sqrt(k.ops.mean(k.ops.square(y_true - y_pred)))

    class Total(k.metrics.Metric):
        def __init__(self, name: str = "total") -> None:
            super().__init__(name=name)
            self.value = self.add_variable(shape=(), initializer="zeros", name="value")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.value.assign(self.value + k.ops.sum(k.ops.abs(y_true - y_pred)))

        def result(self) -> Any:
            return self.value

    return [mean_error, root, Total()]


LOSSES = [
    pinball, weighted, scalar, with_a_loss_of_keras, with_an_activation, over_the_batch, by_column, a_class,
]  # fmt: skip


@pytest.mark.parametrize("make", LOSSES, ids=[make.__name__ for make in LOSSES])
def test_histories_and_weights_are_those_of_keras(make: Any) -> None:
    histories, kernels = [], []
    for k in (keras, pyrnn):
        model = k.Sequential([k.Input((3,)), k.layers.Dense(2, use_bias=False)])
        model.set_weights([KERNEL])
        model.compile("sgd", make(k), metrics=metrics(k))
        histories.append(model.fit(X, Y, batch_size=4, shuffle=False, epochs=3, verbose=0).history)
        kernels.append(model.get_weights()[0])
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        assert_close(np.float32(histories[1][name]), np.float32(values), terms=100, what=name)
    assert_close(kernels[1], kernels[0], terms=100)
