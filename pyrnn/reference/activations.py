"""Every activation and its gradient, with the formulas of Keras's documentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Of selu.
ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805
_erf = np.vectorize(math.erf, otypes=[np.float64])


class Activation(NamedTuple):
    """An activation y = forward(z) and its gradient dz = backward(dy, y, z)."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array, Array], Array]
    reads_input: bool = False  # whether backward reads z


def _of_output(forward: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Activation:
    """An elementwise activation whose derivative is a function of its output."""
    return Activation(forward, lambda dy, y, z: dy * slope(y))


def _of_input(forward: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Activation:
    """An elementwise activation whose derivative is a function of its input."""
    return Activation(forward, lambda dy, y, z: dy * slope(z), reads_input=True)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _sparsemax(x: Array) -> Array:
    """Sort, find the support, subtract its threshold. Source: Martins and Astudillo 2016, algorithm 1."""
    z = -np.sort(-x, axis=-1)
    k = np.arange(1, x.shape[-1] + 1)
    sums = np.cumsum(z, axis=-1)
    support = (1 + k * z > sums).sum(axis=-1, keepdims=True)
    tau = (np.take_along_axis(sums, support - 1, axis=-1) - 1) / support
    return np.where(np.isfinite(z.max(axis=-1, keepdims=True)), np.maximum(x - tau, 0), np.nan)


def _sparsemax_gradient(dy: Array, y: Array, z: Array) -> Array:
    support = y > 0
    within = np.where(support, dy, 0).sum(axis=-1, keepdims=True)
    return np.where(support, dy - within / np.maximum(support.sum(axis=-1, keepdims=True), 1), 0)


def _glu(x: Array) -> Array:
    a, b = np.split(x, 2, axis=-1)
    return np.asarray(a * sigmoid(b))


def _glu_gradient(dy: Array, y: Array, z: Array) -> Array:
    a, b = np.split(z, 2, axis=-1)
    gate = sigmoid(b)
    return np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis=-1)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return np.asarray(t + x * (1 - t * t) * sigmoid(x))


def _gelu_slope(z: Array) -> Array:
    return np.asarray((1 + _erf(z * math.sqrt(0.5))) / 2 + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi))


ACTIVATIONS: dict[str, Activation] = {
    "linear": _of_output(lambda x: x.copy(), np.ones_like),
    # A unit whose output is 0 passes nothing back, not even infinity.
    "relu": Activation(lambda x: np.where(x < 0, 0, x), lambda dy, y, z: np.where(y > 0, dy, 0)),
    "tanh": _of_output(np.tanh, lambda y: 1 - y * y),
    "sigmoid": _of_output(sigmoid, lambda y: y * (1 - y)),
    "leaky_relu": _of_output(lambda x: np.where(x < 0, 0.2 * x, x), lambda y: np.where(y > 0, 1, 0.2)),
    "relu6": _of_output(lambda x: np.clip(x, 0, 6), lambda y: (y > 0) & (y < 6)),
    "elu": _of_output(lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x), lambda y: np.where(y > 0, 1, y + 1)),
    "selu": _of_output(
        lambda x: SCALE * np.where(x < 0, ALPHA * np.expm1(np.minimum(x, 0)), x),
        lambda y: np.where(y > 0, SCALE, y + SCALE * ALPHA),
    ),
    "celu": _of_output(lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x), lambda y: np.where(y > 0, 1, y + 1)),
    "softplus": _of_output(softplus, lambda y: -np.expm1(-y)),
    "softsign": _of_output(lambda x: x / (1 + np.abs(x)), lambda y: (1 - np.abs(y)) ** 2),
    "exponential": _of_output(np.exp, lambda y: y),
    "hard_sigmoid": _of_output(lambda x: np.clip(x + 3, 0, 6) / 6, lambda y: ((y > 0) & (y < 1)) / 6),
    "hard_tanh": _of_output(lambda x: np.clip(x, -1, 1), lambda y: np.abs(y) < 1),
    "sparse_sigmoid": _of_output(lambda x: np.clip((x + 1) / 2, 0, 1), lambda y: ((y > 0) & (y < 1)) / 2),
    "softmax": Activation(_softmax, lambda dy, y, z: y * (dy - (dy * y).sum(axis=-1, keepdims=True))),
    "log_softmax": Activation(_log_softmax, lambda dy, y, z: dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)),
    "sparsemax": Activation(_sparsemax, _sparsemax_gradient),
    "squareplus": _of_input(lambda x: (x + np.sqrt(x * x + 4)) / 2, lambda z: (1 + z / np.sqrt(z * z + 4)) / 2),
    "soft_shrink": _of_input(lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), lambda z: np.abs(z) > 0.5),
    "sparse_plus": _of_input(
        lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)), lambda z: np.clip((z + 1) / 2, 0, 1)
    ),
    "silu": _of_input(lambda x: x * sigmoid(x), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "gelu": _of_input(lambda x: x * (1 + _erf(x * math.sqrt(0.5))) / 2, _gelu_slope),
    "tanh_shrink": _of_input(lambda x: x - np.tanh(x), lambda z: np.tanh(z) ** 2),
    "hard_silu": _of_input(
        lambda x: x * (np.clip(x + 3, 0, 6) / 6), lambda z: np.where(z <= -3, 0, np.where(z >= 3, 1, (2 * z + 3) / 6))
    ),
    "hard_shrink": _of_input(lambda x: np.where(np.abs(x) <= 0.5, 0, x), lambda z: np.abs(z) > 0.5),
    "mish": _of_input(lambda x: x * np.tanh(softplus(x)), _mish_slope),
    "log_sigmoid": _of_input(lambda x: -softplus(-x), lambda z: sigmoid(-z)),
    "glu": Activation(_glu, _glu_gradient, reads_input=True),
}


def require(activation: str | Activation) -> None:
    """Reject an activation that cannot follow a matrix product.

    Raises:
        ValueError: if there is none of that name, or it is "glu".
    """
    if isinstance(activation, Activation):
        return
    if activation == "glu":
        raise ValueError("activation 'glu' halves its last axis: use it as a layer of its own, Activation('glu')")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be the name of an activation, got {activation!r}")


def _named(activation: str | Activation) -> Activation:
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation


def apply(z: Array, activation: str | Activation) -> Array:
    """Return act(z) in the dtype of z."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(_named(activation).forward(z), z.dtype)


def slope_times(dy: Array, y: Array, z: Array | None, activation: str | Activation) -> Array:
    """Return dz from dy; z is None where backward does not read it."""
    return np.asarray(_named(activation).backward(dy, y, y if z is None else z), dy.dtype)


def activation_forward(x: Array, activation: str) -> Array:
    if activation != "glu":
        require(activation)
    elif x.ndim < 1 or x.shape[-1] % 2:
        raise ValueError(f"glu needs an even last axis, got shape {x.shape}")
    return apply(x, activation)


def activation_backward(x: Array, y: Array, dy: Array, activation: str) -> Array:
    if activation != "glu":
        require(activation)
    return slope_times(dy, y, x, activation)
