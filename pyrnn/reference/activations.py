"""Every activation with its derivative, as the formulas stand in Keras's documentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805
_erf = np.vectorize(math.erf, otypes=[np.float64])


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
    """Martins and Astudillo 2016, algorithm 1: sort, find the support, cut at its threshold."""
    z = -np.sort(-x, axis=-1)
    k = np.arange(1, x.shape[-1] + 1)
    sums = np.cumsum(z, axis=-1)
    support = (1 + k * z > sums).sum(axis=-1, keepdims=True)
    tau = (np.take_along_axis(sums, support - 1, axis=-1) - 1) / support
    return np.where(np.isfinite(z.max(axis=-1, keepdims=True)), np.maximum(x - tau, 0), np.nan)


def _glu(x: Array) -> Array:
    a, b = np.split(x, 2, axis=-1)
    return np.asarray(a * sigmoid(b))


FORWARD: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x.copy(),
    "relu": lambda x: np.where(x < 0, 0, x),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "leaky_relu": lambda x: np.where(x < 0, 0.2 * x, x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "selu": lambda x: SCALE * np.where(x < 0, ALPHA * np.expm1(np.minimum(x, 0)), x),
    "celu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sparsemax": _sparsemax,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + _erf(x * math.sqrt(0.5))) / 2,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_silu": lambda x: x * (np.clip(x + 3, 0, 6) / 6),
    "hard_shrink": lambda x: np.where(np.abs(x) <= 0.5, 0, x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "log_sigmoid": lambda x: -softplus(-x),
    "glu": _glu,
}


def _mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return np.asarray(t + x * (1 - t * t) * sigmoid(x))


# Derivative from (output y, pre-activation z); z is None where y is enough.
SLOPES: dict[str, Callable[[Array, Array], Array]] = {
    "linear": lambda y, z: np.ones_like(y),
    "relu": lambda y, z: y > 0,
    "tanh": lambda y, z: 1 - y * y,
    "sigmoid": lambda y, z: y * (1 - y),
    "leaky_relu": lambda y, z: np.where(y > 0, 1, 0.2),
    "relu6": lambda y, z: (y > 0) & (y < 6),
    "elu": lambda y, z: np.where(y > 0, 1, y + 1),
    "selu": lambda y, z: np.where(y > 0, SCALE, y + SCALE * ALPHA),
    "celu": lambda y, z: np.where(y > 0, 1, y + 1),
    "softplus": lambda y, z: -np.expm1(-y),
    "softsign": lambda y, z: (1 - np.abs(y)) ** 2,
    "exponential": lambda y, z: y,
    "hard_sigmoid": lambda y, z: ((y > 0) & (y < 1)) / 6,
    "hard_tanh": lambda y, z: np.abs(y) < 1,
    "sparse_sigmoid": lambda y, z: ((y > 0) & (y < 1)) / 2,
    "squareplus": lambda y, z: (1 + z / np.sqrt(z * z + 4)) / 2,
    "soft_shrink": lambda y, z: np.abs(z) > 0.5,
    "sparse_plus": lambda y, z: np.clip((z + 1) / 2, 0, 1),
    "silu": lambda y, z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    "gelu": lambda y, z: (1 + _erf(z * math.sqrt(0.5))) / 2 + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    "tanh_shrink": lambda y, z: np.tanh(z) ** 2,
    "hard_silu": lambda y, z: np.where(z <= -3, 0, np.where(z >= 3, 1, (2 * z + 3) / 6)),
    "hard_shrink": lambda y, z: np.abs(z) > 0.5,
    "mish": lambda y, z: _mish_slope(z),
    "log_sigmoid": lambda y, z: sigmoid(-z),
}
PREACTIVATION = frozenset(SLOPES) & {
    "squareplus",
    "soft_shrink",
    "sparse_plus",
    "silu",
    "gelu",
    "tanh_shrink",
    "hard_silu",
    "hard_shrink",
    "mish",
    "log_sigmoid",
}


def require(activation: str) -> None:
    """Refuse what cannot stand behind a matrix product."""
    if activation == "glu":
        raise ValueError("activation 'glu' halves its last axis: use it as a layer of its own, Activation('glu')")
    if activation not in FORWARD:
        raise ValueError(f"activation must be the name of an activation, got {activation!r}")


def apply(z: Array, activation: str) -> Array:
    """act(z) in z's dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(FORWARD[activation](z), z.dtype)


def slope_times(dy: Array, y: Array, z: Array | None, activation: str) -> Array:
    """dz from dy: elementwise, or along the last axis for the softmax family."""
    if activation == "softmax":
        dz = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    elif activation == "log_softmax":
        dz = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
    elif activation == "sparsemax":
        inside = y > 0
        within = np.where(inside, dy, 0)
        dz = np.where(
            inside, dy - within.sum(axis=-1, keepdims=True) / np.maximum(inside.sum(axis=-1, keepdims=True), 1), 0
        )
    elif activation == "relu":
        dz = np.where(y > 0, dy, 0)  # a unit that gives 0 takes nothing, not even infinity
    else:
        dz = dy * SLOPES[activation](y, y if z is None else z)
    return np.asarray(dz, dy.dtype)


def activation_forward(x: Array, activation: str) -> Array:
    if activation != "glu":
        require(activation)
    elif x.ndim < 1 or x.shape[-1] % 2:
        raise ValueError(f"glu needs an even last axis, got shape {x.shape}")
    return apply(x, activation)


def activation_backward(x: Array, y: Array, dy: Array, activation: str) -> Array:
    if activation == "glu":
        a, b = np.split(x, 2, axis=-1)
        gate = sigmoid(b)
        return np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis=-1).astype(x.dtype)
    require(activation)
    return slope_times(dy, y, x, activation)
