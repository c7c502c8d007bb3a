"""Shares of correct predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses import match_ranks
from pyrnn.metrics.base import Array
from pyrnn.metrics.functions import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from pyrnn.metrics.means import MeanMetric
from pyrnn.typing import DtypeLike, Finite, Flag, Name, Size
from pyrnn.validation import positive_int

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]


class Accuracy(MeanMetric):
    """Share of elements of y_pred that equal y_true.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.Accuracy()
        >>> metric.update_state([1, 2, 3, 4], [0, 2, 3, 4])
        >>> metric.result()
        0.75
    """

    default_name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(match_ranks(y_true, y_pred) == y_pred, np.float64)


class BinaryAccuracy(MeanMetric):
    """Share of elements that `threshold` puts on the right side.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        threshold: Border between 0 and 1; 0 for logits.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.BinaryAccuracy()
        >>> metric.update_state([1, 1, 0, 0], [0.9, 0.4, 0.1, 0.2])
        >>> metric.result()
        0.75
    """

    default_name = "binary_accuracy"

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None, threshold: Finite = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = threshold

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(binary_accuracy(match_ranks(y_true, y_pred), y_pred, self.threshold), np.float64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """Share of samples whose largest prediction is the one-hot class.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.CategoricalAccuracy()
        >>> metric.update_state([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
        >>> metric.result()
        0.5
    """

    default_name = "categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(categorical_accuracy(y_true, y_pred), np.float64)


class SparseCategoricalAccuracy(MeanMetric):
    """Share of samples whose largest prediction is at the class number.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.SparseCategoricalAccuracy()
        >>> metric.update_state([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
        >>> metric.result()
        0.5
    """

    default_name = "sparse_categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(sparse_categorical_accuracy(y_true, y_pred), np.float64)


class TopKCategoricalAccuracy(MeanMetric):
    """Share of samples whose one-hot class is among the k largest predictions.

    Args:
        k: How many predictions count, at least 1.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If `k` is below 1.

    Example:
        >>> metric = pyrnn.metrics.TopKCategoricalAccuracy(k=2)
        >>> metric.update_state([[0, 0, 1], [1, 0, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.1]])
        >>> metric.result()
        0.5
    """

    default_name = "top_k_categorical_accuracy"

    @checked
    def __init__(self, k: Size = 5, name: Name | None = None, dtype: DtypeLike = None) -> None:
        super().__init__(name, dtype)
        self.k = positive_int("k", k)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(top_k_categorical_accuracy(y_true, y_pred, self.k), np.float64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Share of samples whose class number is among the k largest predictions.

    Args:
        k: How many predictions count, at least 1.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        from_sorted_ids: Whether y_pred holds class numbers, the best first, instead of one prediction per class.

    Raises:
        ValueError: If `k` is below 1.

    Example:
        >>> metric = pyrnn.metrics.SparseTopKCategoricalAccuracy(k=2)
        >>> metric.update_state([2, 0], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.1]])
        >>> metric.result()
        0.5
    """

    default_name = "sparse_top_k_categorical_accuracy"

    @checked
    def __init__(
        self, k: Size = 5, name: Name | None = None, dtype: DtypeLike = None, from_sorted_ids: Flag = False
    ) -> None:
        super().__init__(k, name, dtype)
        self.from_sorted_ids = bool(from_sorted_ids)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        matches = sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)
        return np.asarray(matches, np.float64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_sorted_ids": self.from_sorted_ids}
