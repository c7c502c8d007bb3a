"""Dense layers and convolutions over time, as one matrix product over windows of x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.activations import ACTIVATIONS, apply, require, slope_times

Array = NDArray[Any]


def window_geometry(steps: int, size: int, stride: int, dilation: int, padding: str) -> tuple[int, int, int]:
    """Return (padding left, padding right, output steps). "same" follows TensorFlow: an odd step goes right."""
    reach = (size - 1) * dilation + 1
    if padding == "valid":
        if steps < reach:
            raise ValueError(f"x must have at least {reach} time steps for this window, got {steps}")
        return 0, 0, (steps - reach) // stride + 1
    if padding == "causal":
        return reach - 1, 0, (steps - 1) // stride + 1
    if padding == "same":
        out = -(-steps // stride)
        total = max(0, (out - 1) * stride + reach - steps)
        return total // 2, total - total // 2, out
    raise ValueError(f"padding must be 'valid', 'same' or 'causal', got {padding!r}")


def _finish(z: Array, activation: str, training: bool) -> tuple[Array, tuple[Array, ...]]:
    y = apply(z, activation)
    if not training:
        return y, ()
    return y, ((y, z) if ACTIVATIONS[activation].reads_input else (y,))


def _dz(saved: Sequence[Array], dy: Array, activation: str) -> Array:
    return slope_times(dy, saved[0], saved[1] if len(saved) == 2 else None, activation)


def dense_forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    activation: str,
    training: bool,
    workspace: object,
    version: int | None,
) -> tuple[Array, tuple[Array, ...]]:
    require(activation)
    if x.size == 0 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"x must have shape (..., features) = (..., {kernel.shape[0]}), got {x.shape}")
    z = x @ kernel
    return _finish(z if bias is None else z + bias, activation, training)


def dense_backward(
    x: Array,
    kernel: Array,
    saved: Sequence[Array],
    dy: Array,
    activation: str,
    d_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: object,
    version: int | None,
) -> Array | None:
    dz = _dz(saved, dy, activation)
    rows = dz.reshape(-1, kernel.shape[1])
    d_kernel[...] = x.reshape(-1, kernel.shape[0]).T @ rows
    if d_bias is not None:
        d_bias[...] = rows.sum(axis=0)
    return dz @ kernel.T if need_dx else None


def _taps(x: Array, kernel: Array, strides: int, padding: str, dilation: int) -> tuple[Array, Array, int]:
    """Return padded x, the time index of each output step and tap (T', K), and the padding on the left."""
    size = kernel.shape[0]
    left, right, out = window_geometry(x.shape[1], size, strides, dilation, padding)
    index = np.arange(out)[:, None] * strides + np.arange(size) * dilation
    return np.pad(x, ((0, 0), (left, right), (0, 0))), index, left


def conv1d_forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    *,
    strides: int,
    padding: str,
    dilation_rate: int,
    activation: str,
    training: bool,
    workspace: object,
    version: int | None,
) -> tuple[Array, tuple[Array, ...]]:
    require(activation)
    if x.ndim != 3 or 0 in x.shape or x.shape[2] != kernel.shape[1]:
        raise ValueError(f"x must have shape (B, T, C) with C = {kernel.shape[1]}, none of them 0, got {x.shape}")
    padded, index, _ = _taps(x, kernel, strides, padding, dilation_rate)
    z = np.einsum("btkc,kco->bto", padded[:, index], kernel)
    return _finish(z if bias is None else z + bias, activation, training)


def conv1d_backward(
    x: Array,
    kernel: Array,
    saved: Sequence[Array],
    dy: Array,
    *,
    strides: int,
    padding: str,
    dilation_rate: int,
    activation: str,
    d_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: object,
    version: int | None,
) -> Array | None:
    dz = _dz(saved, dy, activation)
    padded, index, left = _taps(x, kernel, strides, padding, dilation_rate)
    d_kernel[...] = np.einsum("btkc,bto->kco", padded[:, index], dz)
    if d_bias is not None:
        d_bias[...] = dz.sum(axis=(0, 1))
    if not need_dx:
        return None
    dx = np.zeros_like(padded)
    windows = np.einsum("bto,kco->btkc", dz, kernel)
    for t, steps in enumerate(index):
        dx[:, steps] += windows[:, t]
    return np.ascontiguousarray(dx[:, left : left + x.shape[1]])
