"""Subclasses of built-in layers that override `call` and use `super().call`; shapes without a call."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, ops

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float64)


@pyrnn.utils.register_keras_serializable("inherited")
class Always(layers.Dropout):
    """Dropout that is active in inference too."""

    def call(self, inputs: Any) -> Any:
        return super().call(inputs, training=True)


@pyrnn.utils.register_keras_serializable("inherited")
class Twice(layers.Dense):
    """The layer applied to its input and to twice the input, and its kernel in the arithmetic."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.offset = self.add_weight(shape=(), initializer="ones", name="offset")

    def call(self, x: Any) -> Any:
        return super().call(x) * super().call(2 * x) + ops.sum(self.kernel**2) + self.offset


@pyrnn.utils.register_keras_serializable("inherited")
class WithLast(layers.LSTM):
    """The outputs of all steps, and twice the state of the last one."""

    def call(self, x: Any, mask: Any = None, training: bool = False) -> Any:
        sequence, h, _ = super().call(x, mask=mask, training=training)
        return sequence, 2 * h


def stacked() -> pyrnn.Model:
    x = pyrnn.Input((5, 3), dtype="float64")
    options: dict[str, Any] = {"dtype": "float64", "return_sequences": True, "return_state": True}
    sequence, last = WithLast(2, **options)(layers.Masking(0.5, dtype="float64")(x))
    y = Twice(2, "tanh", activity_regularizer="l2", dtype="float64")(sequence)
    return pyrnn.Model(x, layers.Add(dtype="float64")([y, layers.RepeatVector(5, dtype="float64")(last)]))


def test_the_gradient_is_that_of_finite_differences() -> None:
    model = stacked()
    model.compile("sgd", "mse")
    y, eps = np.zeros((4, 5, 2)), 1e-6
    expected = []
    for weight in model.trainable_weights:
        for place in ((0,) * weight.ndim, tuple(size - 1 for size in weight.shape)):
            value, losses = float(weight.array[place]), []
            for step in (eps, -eps):
                weight[place] = value + step
                losses.append(model.evaluate(X, y, verbose=0))
            weight[place] = value
            expected.append((losses[0] - losses[1]) / (2 * eps))
    before = [weight.numpy() for weight in model.trainable_weights]
    model.optimizer.learning_rate = 1.0
    model.train_on_batch(X, y)
    computed = [
        (old - weight.numpy())[place]
        for old, weight in zip(before, model.trainable_weights, strict=True)
        for place in ((0,) * weight.ndim, tuple(size - 1 for size in weight.shape))
    ]
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-7)


def test_outputs_are_those_of_the_class_and_what_call_adds() -> None:
    dense, twice = layers.Dense(2), Twice(2)
    x = X[:, 0].astype(np.float32)
    y = twice(x)
    dense.build((None, 3))
    dense.set_weights(twice.get_weights()[:2])
    expected = dense(x) * dense(2 * x) + (dense.kernel.numpy() ** 2).sum() + 1
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(twice.call(x), expected, rtol=1e-6)  # without the checks of a call
    np.testing.assert_array_equal(dense.call(x), dense(x))
    assert not twice.per_step  # its call may read all steps


def test_dropout_of_a_subclass_is_active_in_predict() -> None:
    model = pyrnn.Sequential([pyrnn.Input((3,)), Always(0.5), layers.Dense(2)])
    x = np.ones((64, 3), np.float32)
    assert not np.array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    model.compile("sgd", "mse")
    model.fit(x, x[:, :2], verbose=0)


def test_they_come_back_from_files_and_copies(tmp_path: Path) -> None:
    model = stacked()
    model.save(tmp_path / "m.keras")
    expected = model.predict(X, verbose=0)
    for again in (pyrnn.load_model(tmp_path / "m.keras"), copy.deepcopy(model)):
        np.testing.assert_array_equal(again.predict(X, verbose=0), expected)


def test_a_subclass_of_a_subclass_calls_it() -> None:
    class Thrice(Twice):
        def call(self, x: Any) -> Any:
            return super().call(x) + 1

    layer = Thrice(2)
    y = layer(X[:, 0])
    other = Twice(2)
    other.build((None, 3))
    other.set_weights(layer.get_weights())
    np.testing.assert_allclose(y, other(X[:, 0]) + 1, rtol=1e-6)


def test_layers_without_a_computation_say_so() -> None:
    layer = layers.Layer()
    for method in (layer.call, layer.compute_output_shape):
        with pytest.raises(NotImplementedError, match=r"Layer must define call\(x\)"):
            method((2, 3))
    assert layers.InputLayer((2,)).call() is None


def test_the_shapes_of_outputs_are_found_without_a_call() -> None:
    class Pair(layers.Layer):
        def call(self, x: Any) -> Any:
            raise RuntimeError("not called")

        def compute_output_shape(self, input_shape: Any) -> Any:
            return {"a": input_shape, "b": (input_shape, (None, 1))}

    x = pyrnn.Input((3,))
    outputs = Pair().compute_output_spec(x)
    assert outputs["a"].shape == (None, 3) and outputs["b"][1].shape == (None, 1) and type(outputs["b"]) is tuple
    assert Twice(4).compute_output_spec(x).shape == layers.Dense(4).compute_output_spec(x).shape == (None, 4)
    states = layers.LSTM(2, return_state=True).compute_output_spec(pyrnn.Input((5, 3)))
    assert [each.shape for each in states] == [(None, 2)] * 3
    assert layers.Concatenate().compute_output_spec([x, x]).shape == (None, 6)
    with pytest.raises(ValueError, match="the graph is disconnected"):
        pyrnn.Model(x, layers.Dense(4).compute_output_spec(x))
