"""Operations give what keras.ops gives: values and dtypes."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from ops.cases import CASES, Case

import pyrnn
from pyrnn.layers.serialization import serialize
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.structures import leaves, mapped


def arrays(result: Any) -> list[Any]:
    entries = result if isinstance(result, list | tuple) else [result]
    return [keras.ops.convert_to_numpy(each) for each in entries]


# On PyTorch, Keras's sparsemax subtracts the threshold of another row: its rows do not add up to 1.
@pytest.mark.parametrize("case", [case for case in CASES if case.name != "sparsemax"])
def test_values_are_those_of_keras(case: Case) -> None:
    theirs = getattr(keras.ops, case.name, None) or getattr(keras.activations, case.name)
    args = [keras.ops.convert_to_tensor(each) if isinstance(each, np.ndarray) else each for each in case.args]
    expected, result = arrays(theirs(*args, **case.kwargs)), arrays(OPERATIONS[case.name](*case.args, **case.kwargs))
    assert len(result) == len(expected)
    for ours, other in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, other, rtol=2e-5, atol=2e-6)
        assert ours.shape == other.shape
        if case.name not in ("shape", "ndim", "size"):
            assert ours.dtype == other.dtype or (case.name == "top_k" and other.dtype == np.int64)  # as on TensorFlow


def symbols(case: Case, make: Any) -> list[Any]:
    """The arguments, symbols in place of arrays."""
    return [mapped(lambda leaf: make(leaf) if isinstance(leaf, np.ndarray) else leaf, each) for each in case.args]


# amax and amin are max and min here; Keras builds mish of other operations; symbols of pyrnn are floats, not indices.
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if any(isinstance(leaf, np.ndarray) for leaf in leaves(list(case.args)))
        and case.name not in ("amax", "amin", "convert_to_numpy", "mish", "shape", "ndim", "size", "take_along_axis")
    ],
)
def test_descriptions_are_those_of_keras(case: Case) -> None:
    theirs = getattr(keras.ops, case.name, None) or getattr(keras.activations, case.name)
    made = theirs(*symbols(case, lambda x: keras.KerasTensor(x.shape, str(x.dtype))), **case.kwargs)
    operation = keras.tree.flatten(made)[0]._keras_history.operation
    expected = keras.saving.serialize_keras_object(operation)
    ours = leaves(OPERATIONS[case.name](*symbols(case, lambda x: pyrnn.Input(batch_shape=x.shape)), **case.kwargs))[0]
    description = serialize(ours.node.layer)
    for key in ("module", "class_name", "registered_name"):
        assert description[key] == expected[key]
    config, other = (json.loads(json.dumps(each["config"])) for each in (description, expected))
    # What Keras adds: arguments that pyrnn does not have, in their defaults.
    extra = {key: other.pop(key) for key in set(other) - set(config)}
    assert not any(value for key, value in extra.items() if key != "b")
    for each in (config, other):
        each.pop("name"), each.pop("dtype", None)
    assert config == other
    node = operation._inbound_nodes[-1]
    assert len(ours.node.args) == len(node.arguments.args) or case.name == "isclose"


def sample(*shape: int, dtype: str = "float32") -> Any:
    random = np.random.default_rng(len(shape))
    return random.integers(1, 4, shape).astype(dtype) if dtype == "int32" else random.uniform(0.2, 0.9, shape)


_UNARY = (
    "exp", "log1p", "sqrt", "tanh", "abs", "square", "negative", "sign", "round", "isnan", "sigmoid", "softplus",
    "gelu", "erf", "rsqrt",
)  # fmt: skip
_BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "power", "mod", "floor_divide", "equal", "less_equal",
    "logical_and",
)  # fmt: skip


def grid() -> dict[str, tuple[str, list[Any], dict[str, Any]]]:
    """0-d and empty arrays, broadcasting, numbers, integers and every axis."""
    calls: list[tuple[str, list[Any], dict[str, Any]]] = []
    for name in _UNARY:
        calls += [(name, [each], {}) for each in (sample(), sample(0), sample(2, 0))]
        if name not in ("softplus", "gelu"):  # which PyTorch has for floats only
            calls.append((name, [sample(3, dtype="int32")], {}))
    pairs = [
        (sample(2, 3), sample(3)), (sample(2, 1), sample(1, 3)), (sample(), sample(2)), (sample(2), sample()),
        (sample(2, 3), 2), (2, sample(2, 3)), (sample(2, dtype="int32"), 2), (sample(2, dtype="int32"), 2.5),
        (sample(2, dtype="int32"), sample(2)), (sample(2, 0), sample(0)), (sample(2), True),
    ]  # fmt: skip
    for name in _BINARY:
        calls += [(name, list(pair), {}) for pair in pairs]
    for name in ["sum", "prod", "mean", "var", "std", "max", "min", "logsumexp"]:
        calls += [(name, [sample(2, 3, 4)], {"axis": axis}) for axis in (None, 0, -1, 1, (0, 2), (0, 1, 2))]
        calls += [(name, [sample(2, 3, 4)], {"axis": 1, "keepdims": True}), (name, [sample()], {})]
    calls += [("sum", [sample(0, 3)], {"axis": axis}) for axis in (0, 1)]
    for name in ["cumsum", "cumprod", "sort", "argsort", "flip", "argmax", "softmax", "log_softmax", "normalize"]:
        calls += [(name, [sample(2, 3, 4)], {"axis": axis}) for axis in (0, 1, 2, -1, -2)]
    for axis in (0, 1, -1):
        calls += [(name, [[sample(2, 3)] * 2], {"axis": axis}) for name in ("concatenate", "stack")]
        calls += [(name, [sample(2, 3)], {"axis": axis}) for name in ("expand_dims", "unstack", "diff")]
        calls += [("repeat", [sample(2, 3), 2], {"axis": axis}), ("split", [sample(6, 6), [2, 3]], {"axis": axis})]
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((2, 0), (0, 3)),
    ]
    calls += [("matmul", [sample(*a), sample(*b)], {}) for a, b in shapes]
    keys = (0, -1, slice(1, None), (slice(None), 0), (..., 1), (None, 0), (0, 1), slice(None, None, 2))
    calls += [("get_item", [sample(3, 4), key], {}) for key in keys]
    return {f"{number}-{call[0]}": call for number, call in enumerate(calls)}


GRID = grid()


@pytest.mark.parametrize("key", GRID)
def test_shapes_axes_and_numbers(key: str) -> None:
    name, args, kwargs = GRID[key]
    args = mapped(lambda leaf: leaf.astype("float32") if getattr(leaf, "dtype", None) == np.float64 else leaf, args)
    tensors = mapped(lambda leaf: keras.ops.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf, args)
    expected = arrays(getattr(keras.ops, name)(*tensors, **kwargs))
    for ours, other in zip(arrays(OPERATIONS[name](*args, **kwargs)), expected, strict=True):
        np.testing.assert_allclose(ours, other, rtol=2e-5, atol=2e-6)
        assert ours.shape == np.shape(other) and ours.dtype == np.asarray(other).dtype
