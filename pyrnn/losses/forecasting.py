"""Losses that forecasters use and Keras has not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.arguments import checked, number, numbers
from pyrnn.losses.base import EPSILON, Array, Elementwise, Loss, Shape, match_ranks
from pyrnn.validation import shown


class ZeroSafeMAPE(Elementwise):
    """100 * mean(|y_true - y_pred| / |y_true|) over the elements where y_true is not 0; the others do not count."""

    default_name = "zero_safe_mape"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        true = match_ranks(y_true, y_pred).astype(y_pred.dtype)
        counted = true != 0
        per_unit = np.where(counted, 100 / np.where(counted, np.abs(true), 1), 0).astype(y_pred.dtype)
        share = per_unit / np.maximum(counted.sum(axis=-1, keepdims=True), 1).astype(y_pred.dtype)
        error = y_pred - true
        return (np.abs(error) * share).sum(axis=-1), np.sign(error) * share

    def counted(self, y_true: Array, values: Array) -> Array | None:
        if y_true.ndim > values.ndim:
            y_true = y_true.reshape(*values.shape, -1)
            return np.asarray((y_true != 0).any(axis=-1))
        return np.asarray(y_true != 0)


class SymmetricMAPE(Elementwise):
    """200 * mean(|y_true - y_pred| / (|y_true| + |y_pred|)), from 0 to 200; 0 where both are 0.

    Source: Makridakis 1993; the form of the M3 and M4 competitions.
    """

    default_name = "symmetric_mape"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        size = np.maximum(np.abs(y_true) + np.abs(y_pred), y_pred.dtype.type(EPSILON))
        values = 200 * np.abs(error) / size
        return values, (200 * np.sign(error) - values * np.sign(y_pred)) / size


class Quantile(Loss):
    """The pinball loss: mean(max(q * e, (q - 1) * e)), e = y_true - y_pred; least at the q-quantile.

    Args:
        quantile: a number between 0 and 1, or several: then the last axis of y_pred holds one forecast for each, and
            y_true one number for all of them.

    Source: Koenker and Bassett 1978.
    """

    default_name = "quantile"
    target_rule = "have one number for all quantiles of y_pred, shape"

    @checked()
    def __init__(
        self,
        quantile: Any = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
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
            raise ValueError(f"y_pred must have one forecast a quantile, (..., {levels}), got {pred_shape}")
        return (*pred_shape[:-1], 1)

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        levels = self._levels.astype(y_pred.dtype)
        error = self.target(y_true, y_pred.shape).astype(y_pred.dtype) - y_pred
        slope = np.where(error > 0, -levels, np.where(error < 0, 1 - levels, 0)).astype(y_pred.dtype)
        return (-slope * error).mean(axis=-1), slope / y_pred.dtype.type(y_pred.shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantile": self.quantile}


@checked(series=numbers)
def naive_scale(series: Any, seasonality: int = 1) -> float:
    """Mean absolute error of the naive forecast y[t - seasonality] along axis 0 of a series: the scale of MASE."""
    values = np.atleast_1d(np.asarray(series, np.float64))
    if len(values) <= seasonality:
        raise ValueError(f"series must be longer than seasonality = {seasonality}, got {len(values)} steps")
    return float(np.abs(values[seasonality:] - values[:-seasonality]).mean())


class MASE(Elementwise):
    """mean(|y_true - y_pred|) / scale: below 1 it beats the naive forecast. Source: Hyndman and Koehler 2006.

    Args:
        scale: the naive forecast's mean absolute error on the training series, `losses.naive_scale(series, season)`.
    """

    default_name = "mase"

    @checked(scale=number(0, words="be positive, the naive forecast's error", open_ends="("))
    def __init__(
        self,
        scale: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        if not scale > 0:
            raise ValueError(f"scale must be positive, the naive forecast's error, got {scale}")
        self.scale = float(scale)

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error, per_unit = y_pred - y_true, y_pred.dtype.type(1 / self.scale)
        return np.abs(error) * per_unit, np.sign(error) * per_unit

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


class GaussianNLL(Loss):
    """mean((log v + (y_true - m)**2 / v) / 2), the first half of y_pred's last axis m, the second log v.

    With `full` the constant log(2 pi) / 2 is added. y_true has half of y_pred's last axis.
    Source: Nix and Weigend 1994.
    """

    default_name = "gaussian_nll"
    target_rule = "have the shape of the means in y_pred,"

    @checked()
    def __init__(
        self,
        full: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.full = bool(full)

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        width = pred_shape[-1] if pred_shape else 0
        if not width or width % 2:
            raise ValueError(f"y_pred must hold means and log variances, an even last axis, got {pred_shape}")
        return (*pred_shape[:-1], width // 2)

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        target = self.target(y_true, y_pred.shape).astype(y_pred.dtype)
        half = y_pred.shape[-1] // 2
        mean, log_variance = y_pred[..., :half], y_pred[..., half:]
        error = mean - target
        precision = np.exp(-log_variance)
        values = (log_variance + error * error * precision) / 2
        if self.full:
            values = values + y_pred.dtype.type(math.log(2 * math.pi) / 2)
        slopes = np.concatenate([error * precision, (1 - error * error * precision) / 2], axis=-1)
        return values.mean(axis=-1), slopes / y_pred.dtype.type(half)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "full": self.full}
