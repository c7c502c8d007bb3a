"""Losses of classes and probabilities other than cross entropies."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses.alignment import EPSILON, Array, match_ranks, with_classes
from pyrnn.losses.base import Elementwise, Lazy, Paired, Reduction
from pyrnn.losses.labels import OneHot
from pyrnn.typing import DtypeLike, Name

__all__ = [
    "CategoricalHinge",
    "Hinge",
    "KLDivergence",
    "SquaredHinge",
]


class KLDivergence(Paired):
    """Kullback-Leibler divergence: sum(y_true * log(y_true / y_pred)), with both between 1e-7 and 1.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
        >>> round(pyrnn.losses.KLDivergence()(y_true, y_pred), 4)
        0.1438
        >>> pyrnn.losses.kl_divergence(y_true, y_pred).round(4)
        array([0.1438])
    """

    default_name = "kl_divergence"
    aliases = (
        "kld",
        "KLD",
    )

    @checked
    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: Name | None = None, dtype: DtypeLike = None
    ) -> None:
        super().__init__(name, reduction, dtype)

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        low = y_pred.dtype.type(EPSILON)
        true = np.clip(match_ranks(y_true, y_pred).astype(y_pred.dtype), low, 1)
        pred = np.clip(y_pred, low, 1)
        return (true * np.log(true / pred)).sum(axis=-1), lambda: -true / pred * ((y_pred >= low) & (y_pred <= 1))


def _signs(y_true: Array, dtype: Any) -> Array:
    """Labels -1 and 1, made of 0 and 1 where there are no others."""
    y_true = y_true.astype(dtype)
    return 2 * y_true - 1 if ((y_true == 0) | (y_true == 1)).all() else y_true


class Hinge(Elementwise):
    """Hinge loss: mean(max(1 - y_true * y_pred, 0)), with y_true -1 or 1 (0 and 1 are converted).

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[-0.5, 0.5]])
        >>> pyrnn.losses.Hinge()(y_true, y_pred)
        0.5
        >>> pyrnn.losses.hinge(y_true, y_pred)
        array([0.5])
    """

    default_name = "hinge"

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        true = _signs(y_true, y_pred.dtype)
        values = np.maximum(1 - true * y_pred, 0)
        return values, lambda: -true * (values > 0)


class SquaredHinge(Elementwise):
    """Squared hinge loss: mean(max(1 - y_true * y_pred, 0)**2), with y_true -1 or 1 (0 and 1 are converted).

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[-0.5, 0.5]])
        >>> pyrnn.losses.SquaredHinge()(y_true, y_pred)
        0.25
        >>> pyrnn.losses.squared_hinge(y_true, y_pred)
        array([0.25])
    """

    default_name = "squared_hinge"

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        true = _signs(y_true, y_pred.dtype)
        values = np.maximum(1 - true * y_pred, 0)
        return values * values, lambda: -2 * true * values


class CategoricalHinge(KLDivergence, OneHot):
    """Hinge loss of one-hot classes: max(1 + max((1 - y) * p) - sum(y * p), 0).

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0, 0.0]]), np.array([[0.25, 0.5, 0.25]])
        >>> pyrnn.losses.CategoricalHinge()(y_true, y_pred)
        0.75
        >>> pyrnn.losses.categorical_hinge(y_true, y_pred)
        array([0.75])
    """

    default_name = "categorical_hinge"

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true = self.target(y_true, y_pred.shape).astype(y_pred.dtype)
        others = (1 - true) * with_classes(y_pred)
        highest = others.max(axis=-1, keepdims=True)
        values = np.maximum(highest[..., 0] - (true * y_pred).sum(axis=-1) + 1, 0)

        def gradient() -> Array:
            at = others == highest
            share = at / at.sum(axis=-1, keepdims=True)
            slopes: Array = (share * (1 - true) - true) * (values > 0)[..., None]
            return slopes.astype(y_pred.dtype)

        return values, gradient
