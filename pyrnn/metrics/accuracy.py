"""Shares of right predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses import match_ranks
from pyrnn.metrics.base import Array, MeanMetric
from pyrnn.metrics.functions import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
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
    """Share of elements that are equal."""

    default_name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(match_ranks(y_true, y_pred) == y_pred, np.float64)


class BinaryAccuracy(MeanMetric):
    """Share of elements on the true side of `threshold` (0 for logits)."""

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
    """Share of samples whose largest prediction is the one-hot class."""

    default_name = "categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(categorical_accuracy(y_true, y_pred), np.float64)


class SparseCategoricalAccuracy(MeanMetric):
    """Share of samples whose largest prediction is the class number."""

    default_name = "sparse_categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(sparse_categorical_accuracy(y_true, y_pred), np.float64)


class TopKCategoricalAccuracy(MeanMetric):
    """Share of samples whose one-hot class is among the k largest predictions."""

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
    """Share of samples whose class number is among the k largest predictions."""

    default_name = "sparse_top_k_categorical_accuracy"

    @checked
    def __init__(
        self, k: Size = 5, name: Name | None = None, dtype: DtypeLike = None, from_sorted_ids: Flag = False
    ) -> None:
        super().__init__(k, name, dtype)
        self.from_sorted_ids = bool(from_sorted_ids)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        found = sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)
        return np.asarray(found, np.float64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_sorted_ids": self.from_sorted_ids}
