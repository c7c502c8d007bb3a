"""Operations of a graph that run, and are differentiated, as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, ops, regions
from pyrnn.ops import differentiation
from pyrnn.regions import Region

X = np.random.default_rng(5).normal(size=(4, 6, 3)).astype(np.float32)


def model_with_operations() -> Any:
    x = pyrnn.Input((6, 3))
    h = layers.LSTM(3, return_sequences=True, name="below")(x)
    gate = ops.sigmoid(h) * ops.tanh(h)
    above = layers.LSTM(3, return_sequences=True, name="above")(gate)
    return pyrnn.Model(x, [ops.mean(gate + above, axis=1), ops.max(h, axis=-1)])


def regions_of(model: Any) -> list[Region]:
    return [call.layer for call in model._plan._calls if isinstance(call.layer, Region)]


def test_connected_operations_are_one_region_and_layers_divide_them() -> None:
    sizes = sorted(len(region._calls) for region in regions_of(model_with_operations()))
    assert sizes == [1, 2, 3]  # max of h; mean of a sum; sigmoid, tanh and their product


def test_a_way_through_a_layer_keeps_operations_apart() -> None:
    x = pyrnn.Input((6, 3))
    first = ops.exp(x)
    model = pyrnn.Model(x, first + layers.Dense(3)(ops.tanh(first)))
    assert sorted(len(region._calls) for region in regions_of(model)) == [1, 2]


def test_a_region_is_differentiated_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*args: Any) -> Any:
        calls.append(args)
        return differentiation.differentiate(*args)

    monkeypatch.setattr(regions, "differentiate", counting)
    model = model_with_operations()
    model.compile("sgd", "mse")
    model.train_on_batch(X, [np.zeros((4, 3)), np.zeros((4, 6))])
    assert len(calls) == 3


def test_gradients_through_regions_are_those_of_finite_differences() -> None:
    class Gated(layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="float64")
            self.below = layers.LSTM(3, return_sequences=True, dtype="float64")
            self.above = layers.LSTM(3, return_sequences=True, dtype="float64")

        def call(self, x: Any) -> Any:
            h = self.below(x)
            gate = ops.sigmoid(h) * ops.tanh(h)
            return ops.concatenate([ops.mean(gate + self.above(gate), axis=1), ops.max(h, axis=1)])

    errors = pyrnn.utils.check_gradients(Gated(), X)
    assert len(errors) == 7 and max(errors.values()) < 1e-6


def test_an_output_of_a_region_without_loss_has_no_gradient() -> None:
    model = model_with_operations()
    model.compile("sgd", ["mse", None])
    before = model.get_layer("above").get_weights()
    model.train_on_batch(X, np.ones((4, 3), np.float32))
    assert not np.array_equal(before[0], model.get_layer("above").get_weights()[0])
    assert all(not region._tape for region in regions_of(model))


def test_a_pass_without_backward_leaves_nothing_behind() -> None:
    model = model_with_operations()
    for _ in range(3):
        model(X, training=True)
    assert all(len(region._tape) == 1 for region in regions_of(model))


def test_a_prediction_does_not_differentiate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "differentiate", None)
    outputs = model_with_operations().predict(X, verbose=0)
    assert [y.shape for y in outputs] == [(4, 3), (4, 6)]
    assert all(y.dtype == np.float32 and y.flags.c_contiguous for y in outputs)
