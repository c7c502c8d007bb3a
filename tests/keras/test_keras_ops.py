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
        and case.name not in ("amax", "amin", "mish", "shape", "ndim", "size", "take_along_axis")
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
