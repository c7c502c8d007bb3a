"""The losses of heads: raw outputs of a network against targets, with exact gradients.

Each loss takes raw outputs y_pred (B, H, O) and targets y_true (B, H, 1) in units of the window's scale; that of counts
takes y_true (B, H, 2), the count and the base forecast. Each gives one value per window and step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.special import digamma, log_gamma
from pyrnn.losses.base import Lazy, Loss

Array = NDArray[Any]
Shape = tuple[int, ...]

LEAST_SPREAD = 1e-3  # of a distribution, in units of the window's scale
LEAST_FREEDOM = 2.0  # of Student's t, whose variance is finite above it
LARGEST_LOG_RATIO = 8.0  # of a mean count to its base
LEAST_DISPERSION = 1e-3  # 1 / r; smaller ones are a Poisson distribution to rounding


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), which is positive, in a quarter of the time of `np.logaddexp`."""
    result = np.abs(x)
    np.negative(result, out=result)
    np.exp(result, out=result)
    np.log1p(result, out=result)
    result += np.maximum(x, 0)
    return np.asarray(result)


def slope(x: Array) -> Array:
    """Return the derivative of `softplus`, the sigmoid."""
    result = np.asarray(0.5 * x)
    np.tanh(result, out=result)
    result += 1
    result *= 0.5
    return result


class _OfRaw(Loss):
    """A loss of raw outputs whose last axis has a fixed length."""

    outputs = 1
    columns = 1  # of y_true

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        if not pred_shape or pred_shape[-1] != self.outputs:
            raise ValueError(f"y_pred must hold {self.outputs} outputs per step along its last axis, got {pred_shape}")
        return (*pred_shape[:-1], self.columns)


class CorrectionError(_OfRaw):
    """Absolute or squared error of one output.

    Args:
        squared: Whether errors are squared.
    """

    default_name = "correction_error"

    def __init__(self, squared: bool = False) -> None:
        super().__init__()
        self.squared = squared

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        error = y_pred - y_true.astype(y_pred.dtype, copy=False)
        if self.squared:
            return (error * error)[..., 0], lambda: 2 * error
        return np.abs(error)[..., 0], lambda: np.sign(error)


def spread_quantiles(raw: Array, median: int) -> Array:
    """Return quantiles that cannot cross: the median, and positive distances from it added up outwards.

    Args:
        raw: (..., K), the median at its place and the logits of the distances elsewhere.
        median: The index of the median.

    Returns:
        (..., K), increasing.
    """
    quantiles = softplus(raw)
    quantiles[..., median] = raw[..., median]
    below = quantiles[..., :median]
    np.negative(below, out=below)
    accumulate_outwards(np.add, quantiles, median)
    return quantiles


def accumulate_outwards(function: np.ufunc, values: Array, median: int) -> None:
    """Accumulate values in place from the median outwards, in both directions.

    One call for each column costs less than `function.accumulate` along an axis as short as that of the quantiles.

    Args:
        function: `np.add` or `np.maximum`.
        values: (..., K).
        median: The place of the median in the last axis.
    """
    columns = [values[..., k] for k in range(values.shape[-1])]
    for outwards in (columns[median:], columns[median::-1]):
        for nearer, column in itertools.pairwise(outwards):
            function(nearer, column, out=column)


class QuantileSpread(_OfRaw):
    """Mean pinball loss of quantiles that `spread_quantiles` makes of the outputs.

    Args:
        levels: The levels of the quantiles, in increasing order with 0.5 among them.
    """

    default_name = "quantile_spread"

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.levels = np.asarray(levels, np.float64)
        self.outputs = len(self.levels)
        self.median = int(np.argmax(self.levels == 0.5))

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        raw, dtype = np.array(y_pred, order="F"), y_pred.dtype  # in columns, as all that follows
        quantiles = spread_quantiles(raw, self.median)
        error = np.subtract(y_true.astype(dtype, copy=False), quantiles, out=quantiles)
        levels = self.levels.astype(dtype)
        slopes = np.empty_like(raw)
        np.copyto(slopes, 1 - levels)
        np.copyto(slopes, -levels, where=error > 0)
        values = np.add.reduce(np.multiply(slopes, error, out=error), axis=-1)
        values /= dtype.type(-len(levels))

        def gradient() -> Array:
            distances = np.divide(slopes, dtype.type(len(levels)))
            d = [distances[..., k] for k in range(len(levels))]
            # A distance moves its quantile and all beyond it, the median moves all.
            of_median = np.add.reduce(distances, axis=-1)
            for beyond, column in itertools.pairwise(d[: self.median : -1]):
                column += beyond
            np.negative(distances[..., : self.median], out=distances[..., : self.median])
            for beyond, column in itertools.pairwise(d[: self.median]):
                column += beyond
            factor = slope(raw)
            factor *= distances
            factor[..., self.median] = of_median
            return factor

        return values, gradient


class GaussianCorrection(_OfRaw):
    """Negative log likelihood of a normal distribution: its mean and the softplus of its standard deviation."""

    default_name = "gaussian_correction"
    outputs = 2

    @staticmethod
    def deviation(raw: Array) -> Array:
        """Return the standard deviations (...) of raw outputs (..., 2)."""
        return np.asarray(softplus(raw[..., 1]) + raw.dtype.type(LEAST_SPREAD))

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        deviation = self.deviation(y_pred)
        z = (y_true[..., 0].astype(y_pred.dtype, copy=False) - y_pred[..., 0]) / deviation
        values = np.log(deviation) + (z * z + y_pred.dtype.type(math.log(2 * math.pi))) / 2

        def gradient() -> Array:
            return np.stack([-z / deviation, (1 - z * z) / deviation * slope(y_pred[..., 1])], axis=-1)

        return values, gradient


class StudentCorrection(_OfRaw):
    """Negative log likelihood of Student's t: location, and the softplus of scale and degrees of freedom above 2."""

    default_name = "student_correction"
    outputs = 3

    @staticmethod
    def spread_and_freedom(raw: Array) -> tuple[Array, Array]:
        """Return the scales and the degrees of freedom (...) of raw outputs (..., 3)."""
        return softplus(raw[..., 1]) + LEAST_SPREAD, softplus(raw[..., 2]) + LEAST_FREEDOM

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        raw = y_pred.astype(np.float64)
        spread, nu = self.spread_and_freedom(raw)
        z = (y_true[..., 0] - raw[..., 0]) / spread
        square = z * z
        tail = np.log1p(square / nu)
        constant = log_gamma(nu / 2) - log_gamma((nu + 1) / 2) + 0.5 * np.log(nu * math.pi)
        values = constant + np.log(spread) + (nu + 1) / 2 * tail

        def gradient() -> Array:
            pull = (nu + 1) / (nu + square)
            of_freedom = (digamma(nu / 2) - digamma((nu + 1) / 2) + 1 / nu + tail - pull * square / nu) / 2
            return np.stack(
                [
                    -pull * z / spread,
                    (1 - pull * square) / spread * slope(raw[..., 1]),
                    of_freedom * slope(raw[..., 2]),
                ],
                axis=-1,
            ).astype(y_pred.dtype)

        return values.astype(y_pred.dtype), gradient


class NegativeBinomialCount(_OfRaw):
    """Negative log likelihood of counts: the mean is the base times exp of the first output, 1 / r the softplus of the
    second.
    """

    default_name = "negative_binomial_count"
    outputs = 2
    columns = 2

    @staticmethod
    def mean_and_shape(raw: Array, base: Array) -> tuple[Array, Array]:
        """Return the means and r (...) of raw outputs (..., 2) and positive bases (...)."""
        ratio = np.exp(np.clip(raw[..., 0], -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
        return base * ratio, 1 / (softplus(raw[..., 1]) + LEAST_DISPERSION)

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        raw, count, base = y_pred.astype(np.float64), y_true[..., 0].astype(np.float64), y_true[..., 1]
        mean, shape = self.mean_and_shape(raw, base.astype(np.float64))
        total = shape + mean
        log_chance = np.log(shape / total)
        values = (
            log_gamma(shape) + log_gamma(count + 1) - log_gamma(count + shape)
            - shape * log_chance - count * np.log(mean / total)
        )  # fmt: skip

        def gradient() -> Array:
            inside = np.abs(raw[..., 0]) <= LARGEST_LOG_RATIO
            of_ratio = np.where(inside, shape * (mean - count) / total, 0)
            of_shape = digamma(shape) - digamma(count + shape) - log_chance + (count - mean) / total
            of_dispersion = -of_shape * shape * shape
            return np.stack([of_ratio, of_dispersion * slope(raw[..., 1])], axis=-1).astype(y_pred.dtype)

        return values.astype(y_pred.dtype), gradient
