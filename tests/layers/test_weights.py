"""Weights in NumPy's operators and functions behave like arrays, and get a new version whenever they change."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from pyrnn import optimizers
from pyrnn.layers import Dense
from pyrnn.parameters import ParameterVector, Weight

BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
]  # fmt: skip
IN_PLACE = [
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow,
]  # fmt: skip
SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3)]


def weight_of(shape: tuple[int, ...]) -> tuple[Weight, np.ndarray]:
    weight = Weight(shape, "w", "float64")
    weight.assign(np.random.default_rng(1).uniform(1, 2, shape))
    return weight, weight.numpy()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)
def test_operators(operation: Any, shape: tuple[int, ...]) -> None:
    weight, values = weight_of(shape)
    version = weight.version
    for left, right, expected in (
        (weight, 1.5, operation(values, 1.5)), (1.5, weight, operation(1.5, values)),
        (weight, weight, operation(values, values)), (np.ones(3), weight, operation(np.ones(3), values)),
    ):  # fmt: skip
        result = operation(left, right)
        assert not isinstance(result, Weight)
        assert np.array_equal(result, expected)
    assert weight.version == version and np.array_equal(weight.array, values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("operation", IN_PLACE, ids=lambda f: f.__name__)
def test_operators_in_place(operation: Any, shape: tuple[int, ...]) -> None:
    weight, values = weight_of(shape)
    array, version = weight.array, weight.version
    result = operation(weight, 1.5)
    assert result is weight and weight.array is array and weight.version > version
    assert np.array_equal(weight.array, operation(values, 1.5))
    version = weight.version
    with pytest.raises(ValueError, match="broadcast"):
        operation(weight, np.ones((5, 4, 3)))
    assert weight.version == version


def test_indices_functions_and_conversions() -> None:
    weight, values = weight_of((2, 3))
    version = weight.version
    weight[...] += 1
    weight[0, 1] = 7
    weight[1] *= 2
    values += 1
    values[0, 1] = 7
    values[1] *= 2
    assert np.array_equal(weight.array, values) and weight.version > version
    assert np.array_equal(weight[1], values[1]) and np.array_equal(-weight, -values)
    assert np.array_equal(np.tanh(weight), np.tanh(values)) and np.sum(weight) == values.sum()
    assert np.array_equal(np.matmul(weight, np.ones(3)), values @ np.ones(3))
    assert np.add.reduce(weight, axis=0).tolist() == values.sum(axis=0).tolist()
    target = np.zeros((2, 3))
    assert np.add(weight, 1, out=target) is target and np.array_equal(target, values + 1)
    whole, fraction = Weight((2, 3), "a", "float64"), np.zeros((2, 3))
    assert np.modf(weight, out=(fraction, whole))[1] is whole and np.array_equal(whole.array, np.floor(values))
    weight.assign_add(np.ones((2, 3)))
    weight.assign_sub(2 * np.ones((2, 3)))
    assert np.array_equal(weight.array, values - 1)
    assert len(weight) == 2 and weight.ndim == 2 and [row.tolist() for row in weight] == (values - 1).tolist()
    number, _ = weight_of(())
    number.assign(2.0)
    assert float(number) == 2.0 and int(number) == 2 and bool(number)
    with pytest.raises(TypeError, match="unsized"):
        len(number)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(weight)
    with pytest.raises(ValueError, match="shape"):
        weight.assign_add(np.ones((5, 2, 3)))
    assert len({weight, number, weight}) == 2  # hashed by identity


def test_predictions_follow_every_way_to_write() -> None:
    """Packed copies of the kernel are renewed."""
    layer, x = Dense(2, use_bias=False), np.ones((1, 3), np.float32)
    layer.build((None, 3))
    for write in (
        lambda w: operator.imul(w, 2), lambda w: operator.setitem(w, 0, 5), lambda w: operator.setitem(w, ..., 1),
        lambda w: w.assign_add(np.ones((3, 2))), lambda w: np.negative(w, out=w),
    ):  # fmt: skip
        layer(x)
        write(layer.kernel)
        assert np.allclose(layer(x), x @ layer.kernel.array)


@pytest.mark.parametrize("kind", optimizers.CLASSES, ids=lambda cls: cls.__name__)
def test_optimizers_step_weights_of_any_rank(kind: type[optimizers.Optimizer]) -> None:
    """A weight of shape (), (1,), (1, 1) or three axes takes the same step as in a separate vector."""
    shapes: list[tuple[int, ...]] = [(), (1,), (1, 1), (2, 3), (2, 2, 2)]
    weights = [Weight(shape, f"w{i}", "float64") for i, shape in enumerate(shapes)]
    vector, optimizer = ParameterVector(weights), kind(learning_rate=0.1)
    optimizer.build(vector)
    for step in range(3):
        vector.gradients[...] = np.linspace(0.5, 1.5 + step, len(vector))
        optimizer.step()
    assert np.isfinite(vector.values).all() and (vector.values != 0).all()
    assert optimizer.iterations == 3
