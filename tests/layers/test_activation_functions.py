"""Activation functions with arguments, and functions and layers as activations of layers."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import activations, layers, ops
from pyrnn.models import clone_model

X = np.linspace(-3, 3, 24).reshape(2, 3, 4)
E = np.exp(X)
RANDOM = np.random.default_rng(9)


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


def test_threshold() -> None:
    for x in (X, X.astype("float32"), X.astype(int)):
        y = activations.threshold(x, 0.5, -1.0)
        assert y.dtype == ("float64" if x is X else "float32")
        np.testing.assert_array_equal(y, np.where(x > 0.5, x, -1))
    model = pyrnn.Sequential([pyrnn.Input((3, 4)), layers.Dense(2, lambda x: activations.threshold(x, 0.5, -1.0))])
    linear = X.astype("float32") @ model.layers[0].kernel.array
    np.testing.assert_allclose(model.predict(X, verbose=0), np.where(linear > 0.5, linear, -1), rtol=1e-5)
    model.forward_pass(X.astype("float32"), training=True)
    model.backward_pass(np.ones_like(linear))
    passed = np.einsum("bti,bto->io", X, linear > 0.5)
    np.testing.assert_allclose(model.layers[0].kernel.gradient, passed, rtol=1e-5, atol=1e-5)
    symbol = layers.Input((3, 4))
    graph = pyrnn.Model(symbol, activations.threshold(symbol, threshold=0.5, default_value=-1.0))
    np.testing.assert_allclose(graph.predict(X, verbose=0), np.where(X > 0.5, X, -1), rtol=1e-6)
    with pytest.raises(ValueError, match="'threshold' needs numbers: pass lambda"):
        layers.Dense(2, activation="threshold")
    with pytest.raises(TypeError, match="x must hold numbers"):
        activations.threshold("x", 0, 0)
    with pytest.raises(TypeError, match="default_value must be"):
        activations.threshold(X, 0, "x")


@pytest.mark.parametrize("softmax", [activations.softmax, ops.softmax])  # type: ignore[attr-defined]
def test_a_softmax_of_one_value_warns(softmax: Callable[..., Any]) -> None:
    symbol = layers.Dense(1)(layers.Input((3,)))
    for x, axes in ((np.zeros((2, 1)), ((), (1,), (-1,))), (np.zeros((1, 2)), ((0,), (-2,))), (symbol, ((),))):
        for axis in axes:
            with pytest.warns(UserWarning, match=rf"softmax over axis {axis[0] if axis else -1}, which has size 1, is"):
                softmax(x, *axis)
    with pytest.warns(UserWarning, match="is always 1: use sigmoid"):
        assert softmax(np.zeros((2, 1, 3)), axis=1).min() == 1
    for x, others in ((np.zeros((2, 1)), (0, (0, 1))), (np.zeros((1, 2)), (1, -1)), (layers.Input((None,)), (0, 1))):
        for other in others:
            softmax(x, axis=other)


def gated(x: Any) -> Any:
    return x * ops.sigmoid(x)


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "Dense": lambda f: layers.Dense(3, activation=f, dtype="float64"),
    "Activation": lambda f: layers.Activation(f, dtype="float64"),
    "Conv1D": lambda f: layers.Conv1D(4, 2, activation=f, groups=2, dtype="float64"),
    "SeparableConv1D": lambda f: layers.SeparableConv1D(3, 2, activation=f, dtype="float64"),
    "DepthwiseConv1D": lambda f: layers.DepthwiseConv1D(2, activation=f, dtype="float64"),
    "Conv1DTranspose": lambda f: layers.Conv1DTranspose(3, 2, activation=f, dtype="float64"),
    "SimpleRNN": lambda f: layers.SimpleRNN(3, activation=f, dtype="float64"),
    "LSTM": lambda f: layers.LSTM(3, activation=f, return_sequences=True, dtype="float64"),
    "GRU": lambda f: layers.GRU(3, activation=f, dtype="float64"),
    "Bidirectional": lambda f: layers.Bidirectional(layers.GRU(3, activation=f, dtype="float64")),
}
# Each computes what an activation of the kernel does.
FUNCTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "a function": (lambda: gated, "silu"),
    "a ufunc": (lambda: np.tanh, "tanh"),
    "an activation with an argument": (lambda: lambda x: activations.relu(x, max_value=6.0), "relu6"),
    "a layer": (lambda: layers.LeakyReLU(0.2, dtype="float64"), "leaky_relu"),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("holder", HOLDERS)
def test_functions_and_layers_compute_what_the_kernel_does(holder: str, function: str) -> None:
    make, name = FUNCTIONS[function]
    results: list[Any] = []
    by_name, by_function = HOLDERS[holder](name), HOLDERS[holder](make())
    for layer in (by_name, by_function):
        layer.build((2, 3, 4))
    by_name.set_weights([RANDOM.normal(size=weight.shape) for weight in by_name.weights])
    by_function.set_weights(by_name.get_weights())
    for layer in (by_name, by_function):
        y = layer(X, training=True)
        dx = layer.backward(np.cos(y), need_dx=True)
        results.append([y, dx, *(weight.gradient.copy() for weight in layer.weights)])
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)


def test_equal_operations_run_in_the_kernel() -> None:
    for layer in (layers.Dense(2, activation=ops.relu), layers.LSTM(2, activation=ops.relu)):
        assert layer.activation is activations.relu
        assert layer.get_config()["activation"] == "relu"
    assert not layers.LSTM(2, activation=ops.tanh).runs_in_python
    assert layers.LSTM(2, recurrent_activation=ops.gelu).runs_in_python


@pytest.mark.parametrize("name", activations.NAMES)
def test_activations_run_on_symbols_and_are_differentiated(name: str) -> None:
    function = getattr(activations, name)
    for arguments in [{}, *([{activations.ARGUMENTS[name][0]: 0.75}] if name in ("relu", "elu", "squareplus") else [])]:
        x = pyrnn.Input((3, 4), dtype="float64")
        model = pyrnn.Model(x, function(layers.Dense(4, dtype="float64")(x), **arguments))
        kernel = model.layers[1].kernel
        y, _ = model.forward_pass(X, training=True)
        np.testing.assert_allclose(y, function(X @ kernel.array, **arguments), rtol=1e-5, atol=1e-7)
        model.backward_pass(np.ones_like(y))
        gradient, value, sums = kernel.gradient[0, 0], kernel.array[0, 0], []
        for step in (1e-6, -1e-6):
            kernel.array[0, 0] = value + step
            sums.append(function(X @ kernel.array, **arguments).sum())
        kernel.array[0, 0] = value
        assert gradient == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-4, abs=1e-4)


def test_a_layer_with_weights_is_trained() -> None:
    x = X.astype(np.float32)
    model = pyrnn.Sequential([pyrnn.Input((3, 4)), layers.Dense(3, activation=layers.PReLU(alpha_initializer="ones"))])
    assert len(model.weights) == 3
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(x, x[..., :3], verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with pytest.raises(ValueError, match="must be a layer without weights and random numbers, got <PReLU"):
        layers.LSTM(3, activation=layers.PReLU()).build((None, 3, 4))


@pytest.mark.parametrize(
    "activation", [gated, layers.LeakyReLU(0.3), lambda x: x * x], ids=["named", "layer", "lambda"]
)
def test_they_come_back_from_files_and_copies(activation: Any, tmp_path: Path) -> None:
    x = X.astype(np.float32)
    stack = [layers.LSTM(2, activation=activation, return_sequences=True), layers.Dense(2, activation=activation)]
    model = pyrnn.Sequential([pyrnn.Input((3, 4)), *stack])
    expected = model.predict(x, verbose=0)
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(x, verbose=0), expected)
    if getattr(activation, "__name__", "") == "<lambda>":
        with pytest.raises(ValueError, match="must be a function with a name"):
            model.save(tmp_path / "m.keras")
        return
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", custom_objects={"gated": gated})
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(x, verbose=0), expected)


def test_a_registered_function_is_found_by_its_name() -> None:
    with pyrnn.utils.custom_object_scope({"gated": gated}):
        assert layers.Dense(2, activation="gated").activation is gated
        assert activations.get(activations.serialize(gated)) is gated


def test_a_stream_runs_a_dense_layer_and_explains_a_recurrent_one() -> None:
    model = pyrnn.Sequential([pyrnn.Input((3, 4)), layers.GRU(2, return_sequences=True), layers.Dense(2, gated)])
    stream, expected = model.stream(), model.predict(X.astype(np.float32)[:1], verbose=0)
    steps = [stream.step(step) for step in X.astype(np.float32)[0]]
    np.testing.assert_allclose(np.reshape(steps, expected.shape), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="its activation is a function"):
        pyrnn.Sequential([pyrnn.Input((3, 4)), layers.GRU(2, activation=gated)]).stream()


def test_what_an_activation_must_be() -> None:
    for wrong in (3, layers.ReLU, lambda: 1, layers.LSTMCell(2)):
        with pytest.raises(TypeError, match=r"must be a (name such as 'relu', a )?function"):
            layers.Dense(2, activation=wrong)
    with pytest.raises(ValueError, match=r"must return numbers in the shape of its argument, \(2, 3, 2\), got"):
        layers.Dense(2, activation=lambda x: x[..., :1])(X)
    with pytest.raises(ValueError, match=r"autograd cannot differentiate|changes its argument in place"):
        layer = layers.Dense(2, activation=lambda x: np.add(x, 1, out=x))
        layer(X)
