"""Losses of whole batches: the overlap of sets, and distances between all pairs of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses.alignment import EPSILON, Array, Shape, match_ranks
from pyrnn.losses.base import Lazy, Loss, Paired, Reduction
from pyrnn.losses.labels import whole_numbers
from pyrnn.typing import Axes, DtypeLike, Flag, Name, NonNegative

__all__ = ["Circle", "Dice", "Tversky"]


class Tversky(Paired):
    """Tversky loss: 1 - TP / (TP + alpha FN + beta FP), for segments that may be rare.

    TP, FN and FP are sums of products of y_true and y_pred, which hold probabilities.

    Args:
        alpha: Weight of what is true and not predicted (FN), at least 0.
        beta: Weight of what is predicted and not true (FP), at least 0.
        axis: Axis or axes of the sums; None for all, which gives one value for the batch.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `alpha` or `beta` is below 0, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0]])
        >>> round(pyrnn.losses.Tversky(alpha=0.7, beta=0.3)(y_true, y_pred), 4)
        0.5
        >>> float(pyrnn.losses.tversky(y_true, y_pred, alpha=0.7, beta=0.3).round(4))
        0.5

    Source: Salehi et al. 2017.
    """

    default_name = "tversky"

    @checked
    def __init__(
        self,
        alpha: NonNegative = 0.5,
        beta: NonNegative = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        axis: Axes = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha, self.beta = alpha, beta
        self.axis = tuple(axis) if isinstance(axis, list) else axis

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true, axis = match_ranks(y_true, y_pred).astype(y_pred.dtype), self.axis
        alpha, beta = y_pred.dtype.type(self.alpha), y_pred.dtype.type(self.beta)
        both = (true * y_pred).sum(axis=axis, keepdims=True)
        # Keras's names: what is true and not predicted weighs alpha.
        below = both + alpha * ((1 - y_pred) * true).sum(axis=axis, keepdims=True)
        below = below + beta * (y_pred * (1 - true)).sum(axis=axis, keepdims=True) + y_pred.dtype.type(EPSILON)

        def gradient() -> Array:
            slope = true + beta * (1 - true) - alpha * true
            return np.asarray(-(true * below - both * slope) / (below * below))

        return (1 - both / below).squeeze(axis=axis), gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta, "axis": self.axis}


class Dice(Paired):
    """Dice loss: 1 - 2 sum(y_true * y_pred) / (sum(y_true) + sum(y_pred)).

    Args:
        axis: Axis or axes of the sums; None for all, which gives one value for the batch.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0]])
        >>> round(pyrnn.losses.Dice()(y_true, y_pred), 4)
        0.5
        >>> float(pyrnn.losses.dice(y_true, y_pred).round(4))
        0.5
    """

    default_name = "dice"

    @checked
    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        axis: Axes = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = tuple(axis) if isinstance(axis, list) else axis

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true, axis = match_ranks(y_true, y_pred).astype(y_pred.dtype), self.axis
        both = 2 * (true * y_pred).sum(axis=axis, keepdims=True)
        below = (true + y_pred).sum(axis=axis, keepdims=True) + y_pred.dtype.type(EPSILON)
        return (1 - both / below).squeeze(axis=axis), lambda: (both / below - 2 * true) / below

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Circle(Loss):
    """Circle loss: draws unit vectors of one class together and pushes others apart.

    log(1 + sum exp(pairs of one class) * sum exp(other pairs)), where each pair is weighted by its distance from the
    margin. y_true holds one class number per row, shape (batch,), and y_pred unit vectors, shape (batch, features).
    Samples whose loss is 0 do not count in the mean.

    Args:
        gamma: Scale of the exponents, above 0.
        margin: How far pairs should be from the border between the same and another class.
        remove_diagonal: Whether to leave out the pair of a row with itself.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `gamma` is not above 0, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([0, 1, 0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> round(pyrnn.losses.Circle(gamma=2.0)(y_true, y_pred), 4)
        0.915
        >>> pyrnn.losses.circle(y_true, y_pred, gamma=2.0).round(4)
        array([0.5459, 0.    , 1.2842])

    Source: Sun et al. 2020.
    """

    default_name = "circle"
    target_rule = "hold one class number for each row of y_pred, shape"

    @checked
    def __init__(
        self,
        gamma: NonNegative = 80.0,
        margin: NonNegative = 0.4,
        remove_diagonal: Flag = True,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.gamma, self.margin, self.remove_diagonal = gamma, margin, bool(remove_diagonal)

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        return pred_shape[:1]

    def target(self, y_true: Array, pred_shape: Shape) -> Array:
        if len(pred_shape) != 2:
            raise ValueError(f"y_pred must have shape (batch, features), got {pred_shape}")
        return whole_numbers(super().target(y_true, pred_shape))

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        labels, kind = self.target(y_true, y_pred.shape), y_pred.dtype.type
        same = labels[:, None] == labels[None]
        other = ~same
        if self.remove_diagonal:
            np.fill_diagonal(same, False)
        raw = 1 - y_pred @ y_pred.T
        distance = np.maximum(raw, 0)
        gamma, margin = kind(self.gamma), kind(self.margin)
        near = np.maximum(1 + margin - distance, 0)
        with_same = np.where(same, -gamma * (margin + distance) * (margin - distance), -np.inf)
        with_other = np.where(other, gamma * near * (1 - margin - distance), -np.inf)
        logs, shares = zip(*(_log_sum(each) for each in (with_same, with_other)), strict=True)
        total = logs[0] + logs[1]

        def gradient() -> Array:
            slope = 1 / (1 + np.exp(-total))
            by_distance = shares[0]() * 2 * gamma * distance - shares[1]() * gamma * (
                (1 - margin - distance) * (near > 0) + near
            )
            self._pairs = -by_distance * slope[:, None] * (raw > 0), y_pred
            return self.weigh(y_pred, np.ones(len(y_pred), y_pred.dtype))

        return np.logaddexp(0, total), gradient

    def weigh(self, gradient: Array, weights: Array) -> Array:
        """Return the gradient of the weighted values: weights apply to pairs, since each loss moves other rows too."""
        by_product, y_pred = self._pairs
        by_product = by_product * weights[:, None]
        return np.asarray((by_product + by_product.T) @ y_pred, y_pred.dtype)

    def counted(self, y_true: Array, values: Array) -> Array | None:
        return values > 0

    def get_config(self) -> dict[str, Any]:
        names = ("gamma", "margin", "remove_diagonal")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _log_sum(x: Array) -> Lazy:
    """Return log(sum(exp(x))) of each row and the share of each element in it; -inf and 0 for rows of -inf."""
    highest = np.maximum(x.max(axis=1, keepdims=True), np.finfo(x.dtype).min)
    powers = np.exp(x - highest)
    total = powers.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = (np.log(total) + highest)[:, 0]
    return logs, lambda: powers / np.maximum(total, np.finfo(x.dtype).tiny)
