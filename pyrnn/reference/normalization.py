"""Layer normalization in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def layer_norm_forward(
    x: Array, gamma: Array | None, beta: Array | None, *, epsilon: float, training: bool
) -> tuple[Array, tuple[Array, ...]]:
    """As `_core.layer_norm_forward`."""
    centred = x - x.mean(axis=-1, keepdims=True)
    factor = 1 / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon))
    normal: Array = centred * factor
    y = normal if gamma is None else normal * gamma
    y = y if beta is None else y + beta
    return y, (normal, factor.reshape(-1)) if training else ()


def layer_norm_backward(
    dy: Array,
    saved: tuple[Array, ...],
    gamma: Array | None,
    *,
    d_gamma: Array | None,
    d_beta: Array | None,
    need_dx: bool,
) -> Array | None:
    """As `_core.layer_norm_backward`."""
    normal, factor = saved
    before = tuple(range(dy.ndim - 1))
    if d_beta is not None:
        d_beta[...] = dy.sum(axis=before)
    if d_gamma is not None:
        d_gamma[...] = (dy * normal).sum(axis=before)
    if not need_dx:
        return None
    if gamma is not None:
        dy = dy * gamma
    inner = dy - dy.mean(axis=-1, keepdims=True) - normal * (dy * normal).mean(axis=-1, keepdims=True)
    dx: Array = inner * factor.reshape(*dy.shape[:-1], 1)
    return dx
