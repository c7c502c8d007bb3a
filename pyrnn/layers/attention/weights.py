"""Attention weights: scores, masks, softmax and dropout, and how they weigh the values; forward and backward."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pyrnn import backend
from pyrnn.layers.base import Array


def causal_mask(queries: int, values: int) -> Array:
    """Return which values a query may read if it reads none after its own step.

    Args:
        queries: number of queries Q.
        values: number of values V.

    Returns:
        Booleans (Q, V).
    """
    return np.tri(queries, values, dtype=bool)


class Weighed(NamedTuple):
    """What `weigh` saves for backward.

    Args:
        scores: the masked scores (..., Q, V).
        weights: their softmax (..., Q, V).
        factors: factors of dropout (..., Q, V), or None.
        used: the weights after dropout (..., Q, V).
        values: the values (..., V, F).
    """

    scores: Array
    weights: Array
    factors: Array | None
    used: Array
    values: Array


def weigh(scores: Array, values: Array, factors: Array | None, reads: Array | None = None) -> tuple[Array, Weighed]:
    """Return the averages of the values with softmax(scores) as weights.

    Args:
        scores: the masked scores (..., Q, V), C-contiguous.
        values: the values (..., V, F).
        factors: factors of dropout (..., Q, V), or None.
        reads: booleans (..., Q, 1), False for queries whose weights are all 0, or None.

    Returns:
        The averages (..., Q, F), and what `weigh_backward` needs.
    """
    weights = backend.activation_forward(scores, "softmax")
    if reads is not None:
        weights = np.where(reads, weights, weights.dtype.type(0))
    used = weights if factors is None else weights * factors
    return used @ values, Weighed(scores, weights, factors, used, values)


def weigh_backward(
    dy: Array, saved: Weighed, d_used: Array | None = None, d_weights: Array | None = None
) -> tuple[Array, Array]:
    """Return the gradients of `weigh` by scores and values.

    Args:
        dy: gradient by the averages (..., Q, F).
        saved: the second result of `weigh`.
        d_used: gradient by the weights after dropout (..., Q, V), in addition, or None.
        d_weights: gradient by the weights before dropout (..., Q, V), in addition, or None.

    Returns:
        The gradients by the scores (..., Q, V) and by the values (..., V, F).
    """
    gradient: Any = dy @ saved.values.swapaxes(-1, -2)
    if d_used is not None:
        gradient = gradient + d_used
    if saved.factors is not None:
        gradient = gradient * saved.factors
    if d_weights is not None:
        gradient = gradient + d_weights
    d_scores = backend.activation_backward(saved.scores, saved.weights, np.ascontiguousarray(gradient), "softmax")
    return d_scores, saved.used.swapaxes(-1, -2) @ dy
