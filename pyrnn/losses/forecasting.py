"""Losses for forecasts that Keras does not have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.arrays import Data, as_array
from pyrnn.losses.alignment import EPSILON, Array, Shape, match_ranks
from pyrnn.losses.base import Elementwise, Lazy, Loss, Reduction
from pyrnn.typing import Axis, DtypeLike, Flag, Name, Numbers, Size
from pyrnn.validation import shown

__all__ = ["MASE", "GaussianNLL", "Quantile", "SymmetricMAPE", "ZeroSafeMAPE", "naive_scale"]

_MOST_AXES = 64  # of an array of NumPy


class ZeroSafeMAPE(Elementwise):
    """Mean absolute percentage error over the elements whose target is not 0.

    100 * mean(|y_true - y_pred| / |y_true|); a sample whose targets are all 0 does not count.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 3.0], [5.0, 9.0]])
        >>> pyrnn.losses.zero_safe_mape(y_true, y_pred)
        array([25.,  0.])
        >>> pyrnn.losses.ZeroSafeMAPE(reduction="sum")(y_true, y_pred)
        25.0
    """

    default_name = "zero_safe_mape"

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true = match_ranks(y_true, y_pred).astype(y_pred.dtype)
        counted = true != 0
        per_unit = np.where(counted, 100 / np.where(counted, np.abs(true), 1), 0).astype(y_pred.dtype)
        share = per_unit / np.maximum(counted.sum(axis=-1, keepdims=True), 1).astype(y_pred.dtype)
        error = y_pred - true
        return (np.abs(error) * share).sum(axis=-1), lambda: np.sign(error) * share

    def counted(self, y_true: Array, values: Array) -> Array | None:
        if y_true.ndim > values.ndim:
            y_true = y_true.reshape(*values.shape, -1)
            return np.asarray((y_true != 0).any(axis=-1))
        return np.asarray(y_true != 0)


class SymmetricMAPE(Elementwise):
    """Symmetric mean absolute percentage error: 200 * mean(|y_true - y_pred| / (|y_true| + |y_pred|)).

    From 0 to 200; 0 where both are 0.

    Args:
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[2.0, 4.0]]), np.array([[2.0, 12.0]])
        >>> pyrnn.losses.SymmetricMAPE()(y_true, y_pred)
        50.0
        >>> pyrnn.losses.symmetric_mape(y_true, y_pred)
        array([50.])

    Source: Makridakis 1993; the form of the M3 and M4 competitions.
    """

    default_name = "symmetric_mape"
    aliases = ("smape",)

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true
        size = np.maximum(np.abs(y_true) + np.abs(y_pred), y_pred.dtype.type(EPSILON))
        values = 200 * np.abs(error) / size
        return values, lambda: (200 * np.sign(error) - values * np.sign(y_pred)) / size


class Quantile(Loss):
    """Pinball loss: mean(max(q * e, (q - 1) * e)) with e = y_true - y_pred, smallest at the q-quantile.

    Args:
        quantile: A number between 0 and 1, or several. With several, the last axis of y_pred holds one forecast for
            each and y_true one number for all of them: y_pred (batch, quantiles), y_true (batch, 1).
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If a quantile is not between 0 and 1, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[2.0]]), np.array([[1.0, 2.0, 4.0]])
        >>> round(pyrnn.losses.Quantile([0.1, 0.5, 0.9])(y_true, y_pred), 4)
        0.1
        >>> pyrnn.losses.quantile(y_true, y_pred, [0.1, 0.5, 0.9]).round(4)
        array([0.1])

    Source: Koenker and Bassett 1978.
    """

    default_name = "quantile"
    target_rule = "have one number for all quantiles of y_pred, shape"

    @checked
    def __init__(
        self,
        quantile: Numbers = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        levels = np.atleast_1d(np.asarray(quantile, np.float64))
        if levels.ndim != 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"quantile must be a number between 0 and 1 or a list of them, got {shown(quantile)}")
        self.quantile = quantile if np.isscalar(quantile) else levels.tolist()
        self._levels = levels

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        levels = self._levels.size
        if levels == 1:
            return pred_shape
        if pred_shape[-1:] != (levels,):
            raise ValueError(f"y_pred must have one forecast per quantile, (..., {levels}), got {pred_shape}")
        return (*pred_shape[:-1], 1)

    def point(self, y_pred: Array) -> Array:
        """Return the medians."""
        if self._levels.size == 1:
            return y_pred
        if 0.5 not in self._levels:
            raise ValueError(
                f"metrics compare y_true with the median, which is not in quantile={shown(self.quantile)}: add 0.5, "
                "or use a function of (y_true, y_pred) as a metric, which receives all quantiles"
            )
        median = int(np.argmax(self._levels == 0.5))
        return y_pred[..., median : median + 1]

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        levels = self._levels.astype(y_pred.dtype)
        error = self.target(y_true, y_pred.shape).astype(y_pred.dtype) - y_pred
        slope = np.where(error > 0, -levels, np.where(error < 0, 1 - levels, 0)).astype(y_pred.dtype)
        return (-slope * error).mean(axis=-1), lambda: slope / y_pred.dtype.type(y_pred.shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantile": self.quantile}


@checked
def naive_scale(series: Data, seasonality: Size = 1, axis: Axis = 0) -> Any:
    """Return the mean absolute error of the naive forecast y[t - seasonality] on a training series: the scale of MASE.

    Args:
        series: One series of shape (time,), or a table of several; NaN marks a missing value.
        seasonality: Steps between a value and the one that forecasts it, at least 1: 24 for a daily season of hours.
        axis: Axis of time in a table; 0 if each series is a column.

    Returns:
        A float for one series; an array with one value per series for a table. Steps with a missing value do not count.

    Raises:
        TypeError: If `series` does not hold numbers.
        ValueError: If a series has no two values `seasonality` steps apart.

    Example:
        >>> from pyrnn import losses
        >>> losses.naive_scale([1.0, 3.0, 2.0, 6.0])
        2.3333333333333335
        >>> losses.naive_scale([[1.0, 10.0], [3.0, float("nan")], [2.0, 30.0], [6.0, 50.0]]).tolist()
        [2.3333333333333335, 20.0]
    """
    values = np.atleast_1d(as_array("series", series)).astype(np.float64)
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be one of the {values.ndim} axes of series, got {axis}")
    values = np.moveaxis(values, axis, 0)
    if np.isinf(values).any():
        raise ValueError("series must hold finite numbers or NaN, got infinity")
    if len(values) <= seasonality:
        raise ValueError(f"series must be longer than seasonality = {seasonality}, got {len(values)} steps")
    errors = np.abs(values[seasonality:] - values[:-seasonality])
    counted = ~np.isnan(errors)
    counts = counted.sum(axis=0)
    if not counts.all():
        which = "" if values.ndim == 1 else f" {', '.join(map(str, np.argwhere(counts == 0)[0]))}"
        raise ValueError(
            f"series{which} must have two values that are seasonality = {seasonality} steps apart, got NaN"
        )
    scale = np.where(counted, errors, 0).sum(axis=0) / counts
    return float(scale) if values.ndim == 1 else scale


class MASE(Elementwise):
    """Mean absolute scaled error: mean(|y_true - y_pred| / scale), below 1 if it beats the naive forecast.

    Args:
        scale: Mean absolute error of the naive forecast on the training series, `naive_scale(series, seasonality)`: a
            positive number, or one for each series along the last axis of y.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `scale` is missing, which would give the mean absolute error, or not positive.

    Example:
        >>> scale = pyrnn.losses.naive_scale([1.0, 3.0, 2.0, 6.0])
        >>> round(pyrnn.losses.MASE(scale)([[5.0]], [[12.0]]), 6)
        3.0
        >>> pyrnn.losses.mase(np.array([[5.0]]), np.array([[12.0]]), scale).round(6)
        array([3.])

    Source: Hyndman and Koehler 2006.
    """

    default_name = "mase"

    @checked
    def __init__(
        self,
        scale: Numbers | None = None,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        if scale is None:
            raise ValueError(
                "scale of MASE must be the naive forecast's error on the training series: "
                "MASE(scale=pyrnn.losses.naive_scale(series, seasonality))"
            )
        scales = np.atleast_1d(np.asarray(scale, np.float64))
        if scales.ndim != 1 or not scales.size:
            raise ValueError(f"scale must be a number or a list with one per series, got shape {scales.shape}")
        if not (scales > 0).all():
            raise ValueError(f"scale must be positive, which it is not for a constant series, got {shown(scale)}")
        self.scale = float(scale) if np.ndim(scale) == 0 else scales.tolist()
        self._scales = scales

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        series = self._scales.size
        if series > 1 and (y_pred.ndim < 2 or y_pred.shape[-1] != series):
            raise ValueError(f"y_pred must have {series} series along its last axis, as scale has, got {y_pred.shape}")
        error, per_unit = y_pred - y_true, (1 / self._scales).astype(y_pred.dtype)
        return np.abs(error) * per_unit, lambda: np.sign(error) * per_unit

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


class GaussianNLL(Loss):
    """Negative log likelihood of a normal distribution: mean((log v + (y_true - m)**2 / v) / 2).

    The first half of y_pred's last axis holds the means m, the second half log v: y_pred (batch, 2 * outputs) and
    y_true (batch, outputs).

    Args:
        full: Whether to add the constant log(2 pi) / 2.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[2.0]]), np.array([[1.0, 0.0]])
        >>> pyrnn.losses.GaussianNLL()(y_true, y_pred)
        0.5
        >>> pyrnn.losses.gaussian_nll(y_true, y_pred)
        array([0.5])

    Source: Nix and Weigend 1994.
    """

    default_name = "gaussian_nll"
    target_rule = "have the shape of the means in y_pred,"

    @checked
    def __init__(
        self,
        full: Flag = False,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.full = bool(full)

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        width = pred_shape[-1] if pred_shape else 0
        if not width or width % 2:
            raise ValueError(f"y_pred must hold means and log variances, an even last axis, got {pred_shape}")
        return (*pred_shape[:-1], width // 2)

    def point(self, y_pred: Array) -> Array:
        """Return the means."""
        return y_pred[..., : y_pred.shape[-1] // 2]

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        target = self.target(y_true, y_pred.shape).astype(y_pred.dtype)
        half = y_pred.shape[-1] // 2
        mean, log_variance = y_pred[..., :half], y_pred[..., half:]
        error = mean - target
        precision = np.exp(-log_variance)
        values = (log_variance + error * error * precision) / 2
        if self.full:
            values = values + y_pred.dtype.type(math.log(2 * math.pi) / 2)

        def gradient() -> Array:
            slopes = np.concatenate([error * precision, (1 - error * error * precision) / 2], axis=-1)
            return np.asarray(slopes / y_pred.dtype.type(half))

        return values.mean(axis=-1), gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "full": self.full}
