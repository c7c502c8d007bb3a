"""Activation functions with arguments have Keras's names, defaults and values."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

from pyrnn import activations

X = np.linspace(-3, 3, 24, dtype="float32").reshape(2, 3, 4)
OTHERS: dict[str, list[dict[str, object]]] = {
    "relu": [
        {"negative_slope": 0.3}, {"max_value": 2.0}, {"threshold": 1.0}, {"max_value": 2.0, "threshold": -1.0},
        {"negative_slope": 0.3, "max_value": 2.0, "threshold": 1.0},
    ],
    "gelu": [{"approximate": True}],
    "softmax": [{"axis": -2}, {"axis": 0}],
    "log_softmax": [{"axis": -2}, {"axis": 0}],
    "glu": [{"axis": 0}],
}  # fmt: skip


# Keras's sparsemax does not sum to 1 on PyTorch.
@pytest.mark.parametrize("name", sorted(activations.ARGUMENTS.keys() - {"sparsemax"}))
def test_arguments(name: str) -> None:
    ours, theirs = getattr(activations, name), getattr(keras.activations, name)
    signatures = [
        {each.name: each.default for each in inspect.signature(function).parameters.values()}
        for function in (ours, theirs)
    ]
    assert signatures[0] == signatures[1]
    argument = activations.ARGUMENTS[name][0]
    for arguments in ({}, *OTHERS.get(name, [{argument: 0.75}])):
        expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(X), **arguments))
        np.testing.assert_allclose(ours(X, **arguments), expected, rtol=1e-5, atol=1e-6, err_msg=str(arguments))


def test_threshold() -> None:
    expected = keras.activations.threshold(keras.ops.convert_to_tensor(X), 0.5, -1.0)
    np.testing.assert_array_equal(activations.threshold(X, 0.5, -1.0), keras.ops.convert_to_numpy(expected))
    assert str(inspect.signature(keras.activations.threshold)) == "(x, threshold, default_value)"
    assert list(inspect.signature(activations.threshold).parameters) == ["x", "threshold", "default_value"]
