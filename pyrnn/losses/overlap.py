"""Losses of whole batches: the overlap of sets, and distances between all pairs of samples."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.losses.alignment import EPSILON, Array, Shape, match_ranks
from pyrnn.losses.base import Lazy, Loss, Paired, Reduction
from pyrnn.losses.labels import whole_numbers
from pyrnn.rules import Unchecked
from pyrnn.typing import Axes, DtypeLike, Flag, Name, NonNegative

__all__ = ["Circle", "Dice", "Tversky", "circle"]


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
        labels, gamma, margin = self.target(y_true, y_pred.shape), self.gamma, self.margin
        raw = 1 - y_pred @ y_pred.T
        distance = np.maximum(raw, 0)
        total, shares, near = self._compared(labels, labels, distance)

        def gradient() -> Array:
            slope = 1 / (1 + np.exp(-total))
            by_distance = shares[0]() * 2 * gamma * distance - shares[1]() * gamma * (
                (1 - margin - distance) * (near > 0) + near
            )
            self._pairs = -by_distance * slope[:, None] * (raw > 0), y_pred
            return self.weigh(y_pred, np.ones(len(y_pred), y_pred.dtype))

        return np.logaddexp(0, total), gradient

    def _compared(self, labels: Array, others: Array, distance: Array) -> tuple[Array, list[Any], Array]:
        """Return the logarithm of the product of both sums, the functions for the shares of the pairs in them, and how
        near pairs of different classes are.

        Args:
            labels: Class of each row, shape (batch,).
            others: Class of each row that they are compared with, shape (others,).
            distance: Distances of at least 0, shape (batch, others).
        """
        same = labels[:, None] == others[None]
        different = ~same
        if self.remove_diagonal:
            np.fill_diagonal(same, False)
        near = np.maximum(1 + self.margin - distance, 0)
        with_same = np.where(same, -self.gamma * (self.margin + distance) * (self.margin - distance), -np.inf)
        with_other = np.where(different, self.gamma * near * (1 - self.margin - distance), -np.inf)
        logs, shares = zip(*(_log_sum(each) for each in (with_same, with_other)), strict=True)
        return logs[0] + logs[1], list(shares), near

    def values_against(self, y_true: Array, y_pred: Array, ref_labels: Array, ref_embeddings: Array) -> Array:
        """Return the value of each sample, compared with other rows than those of the batch.

        Args:
            y_true: Class numbers, shape (batch,).
            y_pred: Unit vectors, shape (batch, features).
            ref_labels: Class numbers of the references, shape (references,).
            ref_embeddings: Their unit vectors, shape (references, features).

        Returns:
            One value per sample, shape (batch,).

        Raises:
            ValueError: If the shapes do not match.
        """
        labels = self.target(y_true, y_pred.shape)
        if ref_embeddings.ndim != 2 or ref_embeddings.shape[1] != y_pred.shape[1]:
            raise ValueError(
                f"ref_embeddings must have shape (references, {y_pred.shape[1]}), as y_pred of shape {y_pred.shape} "
                f"has {y_pred.shape[1]} features, got {ref_embeddings.shape}"
            )
        if ref_labels.shape != ref_embeddings.shape[:1]:
            raise ValueError(
                f"ref_labels must hold one class number for each row of ref_embeddings, shape "
                f"{ref_embeddings.shape[:1]}, got {ref_labels.shape}"
            )
        others = whole_numbers(ref_labels)
        total, *_ = self._compared(labels, others, np.maximum(1 - y_pred @ ref_embeddings.T, 0))
        return np.asarray(np.logaddexp(0, total))

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


@checked
def circle(
    y_true: Annotated[Any, Unchecked()],
    y_pred: Annotated[Any, Unchecked(allowed="array")],
    ref_labels: Annotated[Any, Unchecked(allowed="none")] = None,
    ref_embeddings: Annotated[Any, Unchecked(allowed="none array")] = None,
    remove_diagonal: Flag = True,
    gamma: NonNegative = 80.0,
    margin: NonNegative = 0.4,
) -> Array:
    """Return the value of each sample, as `Circle` computes it.

    Args:
        y_true: Class numbers, shape (batch,).
        y_pred: Unit vectors, shape (batch, features).
        ref_labels: Class numbers of the vectors that y_pred is compared with, shape (references,); y_true if None.
        ref_embeddings: These unit vectors, shape (references, features); y_pred if None.
        remove_diagonal: Whether to leave out the pair of a row with the reference of the same number.
        gamma: Scale of the exponents, above 0.
        margin: How far pairs should be from the border between the same and another class.

    Returns:
        One value per sample, shape (batch,).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the shapes do not match, or an argument is out of its range.

    Example:
        >>> y_true, y_pred = np.array([0, 1, 0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> pyrnn.losses.circle(y_true, y_pred, gamma=2.0).round(4)
        array([0.5459, 0.    , 1.2842])
    """
    loss = Circle(gamma, margin, remove_diagonal, reduction="none")
    if ref_labels is None and ref_embeddings is None:
        return np.asarray(loss(y_true, y_pred))
    y_true, y_pred = as_array("y_true", y_true), as_array("y_pred", y_pred)
    ref_labels = y_true if ref_labels is None else as_array("ref_labels", ref_labels)
    ref_embeddings = y_pred if ref_embeddings is None else as_array("ref_embeddings", ref_embeddings)
    return loss.values_against(y_true, y_pred, ref_labels, ref_embeddings)


def _log_sum(x: Array) -> Lazy:
    """Return log(sum(exp(x))) of each row and the share of each element in it; -inf and 0 for rows of -inf."""
    highest = np.maximum(x.max(axis=1, keepdims=True), np.finfo(x.dtype).min)
    powers = np.exp(x - highest)
    total = powers.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = (np.log(total) + highest)[:, 0]
    return logs, lambda: powers / np.maximum(total, np.finfo(x.dtype).tiny)
