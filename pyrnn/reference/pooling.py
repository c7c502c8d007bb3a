"""Pooling over time. Padding never counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.convolution import window_geometry

Array = NDArray[Any]


def _windows(x: Array, mode: str, pool_size: int, strides: int, padding: str) -> list[slice]:
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"x must have shape (B, T, C), none of them 0, got {x.shape}")
    if mode not in ("max", "average"):
        raise ValueError(f"mode must be 'max' or 'average', got {mode!r}")
    left, _, out = window_geometry(x.shape[1], pool_size, strides, 1, padding)
    return [slice(max(0, t * strides - left), t * strides - left + pool_size) for t in range(out)]


def pool1d_forward(x: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    pool = np.max if mode == "max" else np.mean
    return np.stack([pool(x[:, w], axis=1) for w in _windows(x, mode, pool_size, strides, padding)], axis=1)


def pool1d_backward(x: Array, dy: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    dx = np.zeros_like(x)
    rows, channels = np.ogrid[: x.shape[0], : x.shape[2]]
    for t, window in enumerate(_windows(x, mode, pool_size, strides, padding)):
        if mode == "max":
            dx[rows, window.start + x[:, window].argmax(axis=1), channels] += dy[:, t]
        else:
            dx[:, window] += dy[:, t, None] / x[:, window].shape[1]
    return dx
