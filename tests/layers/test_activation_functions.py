"""Activation functions with arguments, which layers do not use."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pyrnn import activations

X = np.linspace(-3, 3, 24).reshape(2, 3, 4)
E = np.exp(X)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("relu", {"negative_slope": 0.5}, np.where(X > 0, X, 0.5 * X)),
        ("relu", {"max_value": 1.0, "threshold": 0.5}, np.where(X > 0.5, X, 0).clip(0, 1)),
        ("relu", {"negative_slope": 0.5, "threshold": 1.0}, np.where(X > 1, X, 0.5 * (X - 1))),
        ("leaky_relu", {"negative_slope": 0.5}, np.where(X > 0, X, 0.5 * X)),
        ("elu", {"alpha": 2.0}, np.where(X > 0, X, 2 * (E - 1))),
        ("celu", {"alpha": 2.0}, np.where(X > 0, X, 2 * (np.exp(X / 2) - 1))),
        ("soft_shrink", {"threshold": 1.0}, X - X.clip(-1, 1)),
        ("hard_shrink", {"threshold": 1.0}, np.where(abs(X) > 1, X, 0)),
        ("squareplus", {"b": 2}, (X + np.sqrt(X**2 + 2)) / 2),
        ("gelu", {"approximate": True}, X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))) / 2),
        ("softmax", {"axis": 1}, E / E.sum(1, keepdims=True)),
        ("log_softmax", {"axis": 0}, X - np.log(E.sum(0, keepdims=True))),
        ("softmax", {"axis": (0, 2)}, E / E.sum((0, 2), keepdims=True)),
        ("log_softmax", {"axis": [-1, 0, 1]}, X - np.log(E.sum(keepdims=True))),
        ("sparsemax", {"axis": 0}, np.stack([0 * X[0], 1 + 0 * X[1]])),
        ("glu", {"axis": 0}, X[:1] / (1 + np.exp(-X[1:]))),
    ],
)
def test_arguments(name: str, arguments: dict[str, object], expected: np.ndarray) -> None:
    function = getattr(activations, name)
    for dtype in ("float32", "float64"):
        y = function(X.astype(dtype), **arguments)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", activations.ARGUMENTS)
def test_the_defaults_are_the_kernels(name: str) -> None:
    function = getattr(activations, name)
    defaults = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    del defaults["x"]
    np.testing.assert_allclose(function(X, **defaults), function(X), rtol=1e-14)


def test_unknown_arguments_are_errors() -> None:
    np.testing.assert_array_equal(activations.elu(X, 2.0), activations.elu(x=X, alpha=2.0))  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="alpha"):
        activations.relu(X, alpha=0.5)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="axis must be one of the 3 axes of x, got 3"):
        activations.softmax(X, axis=3)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"axis must be some of the 3 axes of x, got \(0, 3\)"):
        activations.softmax(X, axis=(0, 3))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="alpha must be"):
        activations.celu(X, 0.0)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"tanh takes x only, got 1 more arguments.*axis"):
        activations.tanh(X, axis=0)  # type: ignore[attr-defined]
