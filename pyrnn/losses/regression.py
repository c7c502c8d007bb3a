"""Losses of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.data.arrays import are_alike
from pyrnn.losses.alignment import EPSILON, Array, match_ranks
from pyrnn.losses.base import MEANS, Elementwise, Lazy, Paired, Reduction
from pyrnn.typing import Axes, DtypeLike, Name, Positive

__all__ = [
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
]


class MeanSquaredError(Elementwise):
    """Mean squared error: mean((y_true - y_pred)**2).

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 3.0], [0.0, 1.0]])
        >>> pyrnn.losses.MeanSquaredError()(y_true, y_pred)
        1.5
        >>> pyrnn.losses.mean_squared_error(y_true, y_pred)
        array([2.5, 0.5])
    """

    default_name = "mean_squared_error"
    aliases = (
        "mse",
        "MSE",
    )

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        return error * error, lambda: error + error

    def value_and_gradient(
        self, y_true: Any, y_pred: Array, sample_weight: Any = None, mask: Array | None = None
    ) -> tuple[float, Array]:
        if self._is_plain_mean(y_true, y_pred, sample_weight, mask):
            return backend.squared_error(y_true, y_pred)  # what most models of time series are trained with
        return super().value_and_gradient(y_true, y_pred, sample_weight, mask)

    def value(self, y_true: Any, y_pred: Array, sample_weight: Any = None, mask: Array | None = None) -> float:
        if self._is_plain_mean(y_true, y_pred, sample_weight, mask):
            return backend.squared_error(y_true, y_pred)[0]  # the kernel writes the gradient in the same pass
        return super().value(y_true, y_pred, sample_weight, mask)

    def _is_plain_mean(self, y_true: Any, y_pred: Array, sample_weight: Any, mask: Array | None) -> bool:
        return (
            sample_weight is None and mask is None and type(self) is MeanSquaredError and self.reduction in MEANS
            and type(y_true) is np.ndarray and are_alike(y_true, y_pred)
        )  # fmt: skip


class MeanAbsoluteError(Elementwise):
    """Mean absolute error: mean(|y_true - y_pred|).

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 3.0], [0.0, 1.0]])
        >>> pyrnn.losses.MeanAbsoluteError()(y_true, y_pred)
        1.0
        >>> pyrnn.losses.mean_absolute_error(y_true, y_pred)
        array([1.5, 0.5])
    """

    default_name = "mean_absolute_error"
    aliases = (
        "mae",
        "MAE",
    )

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        return np.abs(error), lambda: np.sign(error)


class MeanAbsolutePercentageError(Elementwise):
    """Mean absolute percentage error: 100 * mean(|y_true - y_pred| / max(|y_true|, 1e-7)).

    `ZeroSafeMAPE` leaves out targets of 0, which dominate this mean.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[2.0, 4.0], [5.0, 10.0]]), np.array([[1.0, 3.0], [5.0, 9.0]])
        >>> pyrnn.losses.MeanAbsolutePercentageError()(y_true, y_pred)
        21.25
        >>> pyrnn.losses.mean_absolute_percentage_error(y_true, y_pred)
        array([37.5,  5. ])
    """

    default_name = "mean_absolute_percentage_error"
    aliases = (
        "mape",
        "MAPE",
    )

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        per_unit = 100 / np.maximum(np.abs(y_true), np.asarray(EPSILON, y_true.dtype))
        return np.abs(error) * per_unit, lambda: np.sign(error) * per_unit


class MeanSquaredLogarithmicError(Elementwise):
    """Mean squared logarithmic error: mean((log(y_true + 1) - log(y_pred + 1))**2), with both at least 1e-7.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]])
        >>> round(pyrnn.losses.MeanSquaredLogarithmicError()(y_true, y_pred), 4)
        0.4805
        >>> pyrnn.losses.mean_squared_logarithmic_error(y_true, y_pred).round(4)
        array([0.4805])
    """

    default_name = "mean_squared_logarithmic_error"
    aliases = (
        "msle",
        "MSLE",
    )

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        low = np.asarray(EPSILON, y_pred.dtype)
        cut = np.maximum(y_pred, low)
        error = np.log(cut + 1) - np.log(np.maximum(y_true, low) + 1)
        return error * error, lambda: 2 * error / (cut + 1) * (y_pred > low)


class Huber(Elementwise):
    """Huber loss: half the squared error up to `delta`, and linear beyond.

    Args:
        delta: Absolute error above which the loss is linear, above 0.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `delta` is not above 0, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.5, 4.0]])
        >>> pyrnn.losses.Huber(delta=1.0)(y_true, y_pred)
        1.3125
        >>> pyrnn.losses.huber(y_true, y_pred, delta=1.0)
        array([1.3125])

    Source: Huber 1964, Robust estimation of a location parameter.
    """

    default_name = "huber_loss"

    @checked
    def __init__(
        self,
        delta: Positive = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.delta = delta

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        size, delta = np.abs(error), np.asarray(self.delta, error.dtype)
        values = np.where(size <= delta, error * error / 2, delta * size - delta * delta / 2)
        return values, lambda: np.clip(error, -delta, delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class LogCosh(Elementwise):
    """Mean of log(cosh(y_pred - y_true)), close to half the squared error near 0 and linear far from it.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.5, 4.0]])
        >>> round(pyrnn.losses.LogCosh()(y_true, y_pred), 4)
        1.2147
        >>> pyrnn.losses.log_cosh(y_true, y_pred).round(4)
        array([1.2147])
    """

    default_name = "log_cosh"
    aliases = ("logcosh",)

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        return np.logaddexp(error, -error) - np.asarray(math.log(2), error.dtype), lambda: np.tanh(error)


class Poisson(Elementwise):
    """Poisson loss: mean(y_pred - y_true * log(y_pred + 1e-7)), for counts.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 2.0]]), np.array([[1.0, 2.0]])
        >>> round(pyrnn.losses.Poisson()(y_true, y_pred), 4)
        0.8069
        >>> pyrnn.losses.poisson(y_true, y_pred).round(4)
        array([0.8069])
    """

    default_name = "poisson"

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        shifted = y_pred + y_pred.dtype.type(EPSILON)
        return y_pred - y_true * np.log(shifted), lambda: 1 - y_true / shifted


class CosineSimilarity(Paired):
    """Negative cosine of the angle between y_true and y_pred: -1 if they point the same way, 1 if opposite ways.

    Args:
        axis: Axis, or list of axes, of the vectors.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        TypeError: If `axis` is not an integer or a list of them.
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 2.0]])
        >>> round(pyrnn.losses.CosineSimilarity()(y_true, y_pred), 4)
        -0.5
        >>> pyrnn.losses.cosine_similarity(y_true, y_pred).round(4)
        array([-0., -1.])
    """

    default_name = "cosine_similarity"

    @checked
    def __init__(
        self,
        axis: Axes = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis: Any = tuple(axis) if isinstance(axis, list) else axis

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        y_true = match_ranks(y_true, y_pred).astype(y_pred.dtype)
        true, _ = self._unit(y_true)
        pred, length = self._unit(y_pred)
        values = -(true * pred).sum(axis=self.axis)
        return values, lambda: -(true + pred * np.expand_dims(values, self.axis)) / length

    def _unit(self, y: Array) -> tuple[Array, Array]:
        """Return y divided by its length along the axis, and the length, which is at least 1e-7 as in Keras."""
        length = np.sqrt(np.maximum(np.square(y).sum(axis=self.axis, keepdims=True), y.dtype.type(EPSILON**2)))
        return y / length, length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
