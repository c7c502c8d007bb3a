"""Activations, labels and losses under the names of keras.ops.nn."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from pyrnn import activations, backend
from pyrnn.ops import primitives
from pyrnn.ops.dispatch import OPERATIONS, array, limited, operation
from pyrnn.validation import warn_of_ones


def _activation(name: str) -> Any:
    return primitives.function(name, functools.partial(_forward, name), functools.partial(_backward, name))


def _ready(x: Any) -> Any:
    return np.require(x, requirements=["C", "A"])


def _forward(name: str, x: Any) -> Any:
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float32)
    return backend.activation_forward(_ready(x), name).reshape(np.shape(x) if name != "glu" else (*x.shape[:-1], -1))


def _backward(name: str, x: Any, y: Any, dy: Any) -> Any:
    return backend.activation_backward(_ready(x), _ready(y), _ready(np.asarray(dy, x.dtype)), name)


_AXES = ("softmax", "log_softmax", "sparsemax", "glu")
_OPTIONS = ("leaky_relu", "elu", "celu", "gelu", "hard_shrink", "soft_shrink")
_functions = {name: _activation(name) for name in activations.NAMES if name not in ("linear", "exponential")}


def _elementwise(name: str) -> Any:
    def function(numpy: Any, x: Any) -> Any:
        return _functions[name](array(x, True))

    return function


def _along_axis(name: str) -> Any:
    def function(numpy: Any, x: Any, axis: Any = -1) -> Any:
        x = array(x, True)
        if name == "softmax":
            warn_of_ones(axis, x.shape)
        if axis is None:
            axis = tuple(range(x.ndim))
        if isinstance(axis, int) and axis in (-1, x.ndim - 1):
            return _functions[name](x)
        if isinstance(axis, int):
            return numpy.swapaxes(_functions[name](numpy.swapaxes(x, axis, -1)), axis, -1)
        rest = [place for place in range(x.ndim) if place not in {each % x.ndim for each in axis}]
        order = [*rest, *(each % x.ndim for each in axis)]
        moved = numpy.transpose(x, order)
        flat = _functions[name](numpy.reshape(moved, (*moved.shape[: len(rest)], -1)))
        return numpy.transpose(numpy.reshape(flat, moved.shape), np.argsort(order))

    return function


for _name in _functions:
    if _name in _AXES:
        _example, _shape = ("ops.glu(x, axis=0).shape", "(1, 3)") if _name == "glu" else ("", "(2, 3)")
        operation(f"Compute the activation {_name} along an axis.", _example, _shape, _name)(_along_axis(_name))
    elif _name not in _OPTIONS:
        operation(f"Compute {activations.FORMULAS[_name]}.", name=_name)(_elementwise(_name))
for _alias, _name in activations.ALIASES.items():
    OPERATIONS[_alias] = OPERATIONS[_name]


@operation("Compute x where it is positive, else negative_slope x.")
def leaky_relu(numpy: Any, x: Any, negative_slope: float = 0.2) -> Any:
    x = array(x, True)
    return numpy.where(x > 0, x, negative_slope * x)


@operation("Compute x where it is positive, else alpha (exp(x) - 1).")
def elu(numpy: Any, x: Any, alpha: float = 1.0) -> Any:
    x = array(x, True)
    return _functions["elu"](x) if alpha == 1 else numpy.where(x > 0, x, alpha * _functions["elu"](x))


@operation("Compute max(x, 0) + min(alpha (exp(x / alpha) - 1), 0).")
def celu(numpy: Any, x: Any, alpha: float = 1.0) -> Any:
    return alpha * _functions["elu"](array(x, True) / alpha)


@operation("Compute x times the normal distribution function of x.")
def gelu(numpy: Any, x: Any, approximate: bool = True) -> Any:
    x = array(x, True)
    if not approximate:
        return _functions["gelu"](x)
    return 0.5 * x * (1 + _functions["tanh"](0.7978845608028654 * (x + 0.044715 * x * x * x)))


@operation("Compute x where |x| is larger than the threshold, else 0.")
def hard_shrink(numpy: Any, x: Any, threshold: float = 0.5) -> Any:
    x = array(x, True)
    return numpy.where(numpy.abs(x) > threshold, x, 0 * x)


@operation("Compute sign(x) max(|x| - threshold, 0).")
def soft_shrink(numpy: Any, x: Any, threshold: float = 0.5) -> Any:
    x = array(x, True)
    return numpy.sign(x) * numpy.maximum(numpy.abs(x) - threshold, 0 * x)


@operation("Compute x where it is larger than the threshold, else a value.", "ops.threshold(x, 0.5, 0.0).shape")
def threshold(numpy: Any, x: Any, threshold: float, default_value: float) -> Any:
    x = array(x, True)
    return numpy.where(x > threshold, x, 0 * x + default_value)


@operation("Compute a vector of 0 and 1 for each label.", "ops.one_hot([0, 2], 3).shape")
def one_hot(numpy: Any, x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    if sparse:
        raise ValueError("sparse must be False: sparse tensors are not supported")
    labels = np.asarray(array(x))
    if labels.dtype.kind not in "biu":
        labels = labels.astype(np.int32)
    limited(*labels.shape, num_classes)
    vectors = (labels[..., None] == np.arange(num_classes)).astype(dtype or "float32")
    return np.moveaxis(vectors, -1, axis)


def _probabilities(numpy: Any, output: Any, from_logits: bool) -> Any:
    """Logarithms of probabilities along the last axis."""
    output = array(output, True)
    if from_logits:
        return _functions["log_softmax"](output)
    output = output / numpy.sum(output, axis=-1, keepdims=True)
    return numpy.log(numpy.clip(output, 1e-7, 1 - 1e-7))


@operation("Compute the cross-entropy of probabilities.", "ops.categorical_crossentropy(x, x / 3).shape", "(2,)")
def categorical_crossentropy(numpy: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    if axis != -1:
        target, output = numpy.moveaxis(array(target), axis, -1), numpy.moveaxis(array(output), axis, -1)
    return -numpy.sum(array(target, True) * _probabilities(numpy, output, from_logits), axis=-1)


@operation("Compute the cross-entropy of labels.", "ops.sparse_categorical_crossentropy([0, 1], x / 3).shape", "(2,)")
def sparse_categorical_crossentropy(
    numpy: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    if axis != -1:
        output = numpy.moveaxis(array(output), axis, -1)
    logarithms = _probabilities(numpy, output, from_logits)
    labels = np.asarray(array(target)).astype(np.int32)
    if labels.ndim == logarithms.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != logarithms.shape[:-1]:
        raise ValueError(f"target must have shape {logarithms.shape[:-1]}, got {labels.shape}")
    return -logarithms[(*np.indices(labels.shape), labels)]


@operation("Compute the cross-entropy of probabilities of two classes.", "ops.binary_crossentropy(x, x / 2).shape")
def binary_crossentropy(numpy: Any, target: Any, output: Any, from_logits: bool = False) -> Any:
    target, output = array(target, True), array(output, True)
    if from_logits:
        return _functions["softplus"](output) - target * output
    output = numpy.clip(output, 1e-7, 1 - 1e-7)
    return -(target * numpy.log(output) + (1 - target) * numpy.log(1 - output))


@operation("Compute mean and variance along axes.", "ops.moments(x, axes=0)[0].shape", "(3,)")
def moments(numpy: Any, x: Any, axes: Any, keepdims: bool = False) -> Any:
    x, axis = array(x, True), tuple(axes) if isinstance(axes, list) else axes
    if x.dtype == np.float16:  # sums of half precision overflow
        values = x.astype(np.float32)
        largest = float(np.finfo(x.dtype).max)
        return tuple(
            numpy.clip(function(values, axis=axis, keepdims=keepdims), -largest, largest).astype(x.dtype)
            for function in (numpy.mean, numpy.var)
        )
    return numpy.mean(x, axis=axis, keepdims=keepdims), numpy.var(x, axis=axis, keepdims=keepdims)


# The activations on symbols and on arrays that autograd traces.


def _relu(x: Any, negative_slope: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    run = OPERATIONS
    if not negative_slope and max_value is None and not threshold:
        return run["relu"](x)
    y = run["where"](run["greater"](x, threshold), x, 0.0)
    if max_value is not None:
        y = run["clip"](y, 0.0, max_value)
    if negative_slope:
        y = run["subtract"](y, run["multiply"](run["relu"](run["subtract"](threshold, x)), negative_slope))
    return y


def _squareplus(x: Any, b: float = 4.0) -> Any:
    root = OPERATIONS["sqrt"](OPERATIONS["add"](OPERATIONS["multiply"](x, x), b))
    return OPERATIONS["multiply"](OPERATIONS["add"](x, root), 0.5)


def _gelu(x: Any, approximate: bool = False) -> Any:
    return OPERATIONS["gelu"](x, approximate=approximate)


def _linear(x: Any) -> Any:
    return OPERATIONS["multiply"](x, 1.0)


activations.ON_SYMBOLS.update({name: OPERATIONS[name] for name in activations.NAMES if name in OPERATIONS})
activations.ON_SYMBOLS.update(
    relu=_relu,
    squareplus=_squareplus,
    gelu=_gelu,
    linear=_linear,
    threshold=threshold,
    exponential=lambda x: OPERATIONS["exp"](x),
)
activations.EQUIVALENT.update({OPERATIONS[name]: name for name in _functions if name != "gelu"})
