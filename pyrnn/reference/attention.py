"""Attention in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _by_head(x: Array) -> Array:
    """(B, T, N, D) as (B, N, T, D), and back."""
    return x.swapaxes(1, 2)


def _tanh_of_sums(query: Array, key: Array) -> Array:
    """tanh(query + key) of every pair: (B, N, Q, V, D)."""
    sums: Array = np.tanh(_by_head(query)[..., :, None, :] + _by_head(key)[..., None, :, :])
    return sums


def attention_forward(
    query: Array,
    key: Array,
    value: Array,
    *,
    additive: Array | None,
    scale: float,
    masks: Sequence[Array],
    causal: bool,
    penalty: float,
    zero_unread: bool,
    factors: Array | None,
    need_weights: bool,
    workspace: object,
) -> tuple[Array, Array | None]:
    """As `_core.attention_forward`."""
    kind = query.dtype.type
    if additive is None:
        scores = _by_head(query) @ _by_head(key).swapaxes(-1, -2) * kind(scale)
    else:
        scores = _tanh_of_sums(query, key) @ additive * kind(scale)
    allowed = np.ones(scores.shape, bool)
    for mask in masks:
        allowed &= mask
    if causal:
        allowed &= np.tri(*scores.shape[-2:], dtype=np.bool_)
    scores = np.where(allowed, scores, scores - kind(penalty))
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    if zero_unread:
        weights = np.where(allowed.any(axis=-1, keepdims=True), weights, kind(0))
    used = weights if factors is None else weights * factors
    y = np.ascontiguousarray(_by_head(used @ _by_head(value)))
    return y, weights if need_weights else None


def attention_backward(
    query: Array,
    key: Array,
    value: Array,
    weights: Array,
    dy: Array,
    d_weights: Array | None,
    *,
    additive: Array | None,
    scale: float,
    factors: Array | None,
    need_d_scale: bool,
    workspace: object,
) -> tuple[Array, Array, Array, Array | None, float | None]:
    """As `_core.attention_backward`."""
    q, k, d = _by_head(query), _by_head(key), _by_head(dy)
    used = weights if factors is None else weights * factors
    gradient = d @ _by_head(value).swapaxes(-1, -2)
    if factors is not None:
        gradient = gradient * factors
    if d_weights is not None:
        gradient = gradient + d_weights
    by_score = weights * (gradient - (gradient * weights).sum(axis=-1, keepdims=True))
    times = query.dtype.type(scale)
    d_value = np.ascontiguousarray(_by_head(used.swapaxes(-1, -2) @ d))
    if additive is None:
        d_additive, by_head = None, (by_score @ k, by_score.swapaxes(-1, -2) @ q)
        d_scale = np.vdot(by_head[0], q)
    else:
        tanh = _tanh_of_sums(query, key)
        d_additive = np.einsum("bnqv,bnqvd->d", by_score, tanh)
        d_scale = np.vdot(d_additive, additive)
        d_additive *= times
        by_sum = by_score[..., None] * additive * (1 - tanh * tanh)
        by_head = by_sum.sum(axis=3), by_sum.sum(axis=2)
    d_query, d_key = (np.ascontiguousarray(_by_head(each)) * times for each in by_head)
    return d_query, d_key, d_value, d_additive, float(d_scale) if need_d_scale else None
