"""Heads: what the outputs of a forecaster mean, the loss that trains them, and the distribution that follows from them.

A forecaster predicts corrections. Each step ahead has a base forecast (from the same place in earlier seasons) and each
window a scale; the raw outputs of the network say how far the target is from the base, in units of the scale. A count
is not scaled: its head multiplies the base.

Letters: B windows, H steps ahead, O raw outputs per step, K quantiles.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.conformal import MEDIAN
from pyrnn.forecasting.likelihoods import (
    CorrectionError,
    GaussianCorrection,
    NegativeBinomialCount,
    QuantileSpread,
    StudentCorrection,
    spread_quantiles,
)
from pyrnn.forecasting.special import count_quantile, student_quantile
from pyrnn.losses import Loss
from pyrnn.validation import did_you_mean, shown

__all__ = ["HEADS", "GaussianHead", "Head", "NegativeBinomialHead", "PointHead", "QuantileHead", "StudentHead"]

Array = NDArray[Any]
LEAST_BASE = 0.05  # of a count: in units of the window's scale


class Head:
    """What the raw outputs of a network mean.

    Args:
        quantiles: The K levels of the forecaster, in increasing order with 0.5 among them.

    Example:
        >>> from pyrnn.forecasting.heads import GaussianHead
        >>> head = GaussianHead([0.1, 0.5, 0.9])
        >>> raw, base, scale = np.zeros((1, 1, 2)), np.full((1, 1), 20.0), np.full((1, 1), 4.0)
        >>> head.quantiles(raw, base, scale).round(2).tolist()
        [[[16.44, 20.0, 23.56]]]
    """

    name = ""
    # Whether targets must be counts, and forecasts are.
    counts = False
    # What `sample_paths` and the core call the distribution; "" if the outputs describe none.
    distribution = ""

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.levels = tuple(float(level) for level in quantiles)

    @property
    def outputs(self) -> int:
        """The number of raw outputs O per step."""
        raise NotImplementedError

    def loss(self) -> Loss:
        """Return the loss of raw outputs (B, H, O) against what `targets` returns."""
        raise NotImplementedError

    def targets(self, values: Array, base: Array, scale: Array) -> Array:
        """Return what the loss compares the raw outputs with.

        Args:
            values: Targets (B, H), finite.
            base: Base forecasts (B, H).
            scale: (B, 1), positive.

        Returns:
            (B, H, 1), or (B, H, 2) if the loss needs the base too.
        """
        return np.asarray((values - base) / scale)[..., None]

    def quantiles(self, raw: Array, base: Array, scale: Array) -> Array:
        """Return the quantiles at the head's levels.

        Args:
            raw: Raw outputs (B, H, O), or (M, B, H, O) of several networks.
            base: Base forecasts (B, H).
            scale: (B, 1).

        Returns:
            (B, H, K), or (M, B, H, K), in units of the target, increasing along the last axis.
        """
        # In columns, since what follows works on one quantile after the other.
        corrections = self._corrections(np.array(raw, np.float64, order="F"))
        return np.asarray(base[..., None] + scale[..., None] * corrections)

    def mean(self, raw: Array, base: Array, scale: Array) -> Array:
        """Return the means.

        Args:
            raw: Raw outputs (B, H, O).
            base: Base forecasts (B, H).
            scale: (B, 1).

        Returns:
            (B, H) in units of the target.
        """
        return np.asarray(base + scale * np.asarray(raw, np.float64)[..., 0])

    def quantiles_and_mean(self, raw: Array, base: Array, scale: Array) -> tuple[Array, Array]:
        """Return what `quantiles` and `mean` return."""
        return self.quantiles(raw, base, scale), self.mean(raw, base, scale)

    def location_and_unit(self, base: Array, scale: Array) -> tuple[Array, Array]:
        """Return the location and the unit, (B, H) each, of the distribution of each step.

        Args:
            base: Base forecasts (B, H).
            scale: (B, 1).
        """
        return base, np.broadcast_to(scale, base.shape)

    def _corrections(self, raw: Array) -> Array:
        """Quantiles (B, H, K) in units of the scale."""
        raise NotImplementedError


class PointHead(Head):
    """One number per step; all quantiles are that number until a conformal calibration spreads them.

    Args:
        quantiles: The levels of the forecaster.
        squared: Whether the loss is the squared error, whose best forecast is the mean, not the absolute one.

    Example:
        >>> from pyrnn.forecasting.heads import PointHead
        >>> PointHead([0.1, 0.5, 0.9]).quantiles(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones((1, 1))).tolist()
        [[[2.0, 2.0, 2.0]]]
    """

    name = "point"

    def __init__(self, quantiles: Sequence[float], squared: bool = False) -> None:
        super().__init__(quantiles)
        self.squared = squared

    @property
    def outputs(self) -> int:
        return 1

    def loss(self) -> Loss:
        return CorrectionError(squared=self.squared)

    def _corrections(self, raw: Array) -> Array:
        return np.repeat(raw, len(self.levels), axis=-1)


class QuantileHead(Head):
    """The quantiles themselves, trained by the pinball loss; they cannot cross.

    The raw outputs are the median and, for each further quantile, its distance from the neighbor nearer to the median,
    which a softplus makes positive.

    Args:
        quantiles: The levels of the forecaster.

    Example:
        >>> from pyrnn.forecasting.heads import QuantileHead
        >>> head = QuantileHead([0.1, 0.5, 0.9])
        >>> raw = np.random.default_rng(0).normal(size=(5, 4, 3))
        >>> bool((np.diff(head.quantiles(raw, np.zeros((5, 4)), np.ones((5, 1)))) > 0).all())
        True

    Source: Park et al. 2022, Learning quantile functions without quantile crossing.
    """

    name = "quantile"

    @property
    def outputs(self) -> int:
        return len(self.levels)

    def loss(self) -> Loss:
        return QuantileSpread(self.levels)

    def mean(self, raw: Array, base: Array, scale: Array) -> Array:
        """Return the mean of the distribution whose quantiles are joined by lines, ends included."""
        return self.quantiles_and_mean(raw, base, scale)[1]

    def quantiles_and_mean(self, raw: Array, base: Array, scale: Array) -> tuple[Array, Array]:
        quantiles = self.quantiles(raw, base, scale)
        return quantiles, np.asarray(np.ascontiguousarray(quantiles) @ _weights(self.levels))

    def _corrections(self, raw: Array) -> Array:
        return spread_quantiles(raw, self.levels.index(MEDIAN))


class GaussianHead(Head):
    """A normal distribution: its mean and the softplus of its standard deviation.

    Args:
        quantiles: The levels of the forecaster.

    Example:
        >>> from pyrnn.forecasting.heads import GaussianHead
        >>> GaussianHead([0.5]).outputs
        2
    """

    name = "gaussian"
    distribution = "gaussian_spread"

    @property
    def outputs(self) -> int:
        return 2

    def loss(self) -> Loss:
        return GaussianCorrection()

    def _corrections(self, raw: Array) -> Array:
        normal = NormalDist()
        numbers = np.array([normal.inv_cdf(level) for level in self.levels])
        return np.asarray(raw[..., :1] + GaussianCorrection.deviation(raw)[..., None] * numbers)


class StudentHead(Head):
    """Student's t distribution, for targets with outliers: location, scale and degrees of freedom (above 2).

    Args:
        quantiles: The levels of the forecaster.

    Example:
        >>> from pyrnn.forecasting.heads import StudentHead
        >>> head = StudentHead([0.025, 0.5, 0.975])
        >>> head.quantiles(np.zeros((1, 1, 3)), np.zeros((1, 1)), np.ones((1, 1))).round(3).tolist()
        [[[-2.359, 0.0, 2.359]]]
    """

    name = "student"
    distribution = "student"

    @property
    def outputs(self) -> int:
        return 3

    def loss(self) -> Loss:
        return StudentCorrection()

    def _corrections(self, raw: Array) -> Array:
        spread, freedom = StudentCorrection.spread_and_freedom(raw)
        numbers = np.stack([student_quantile(level, freedom) for level in self.levels], axis=-1)
        return np.asarray(raw[..., :1] + spread[..., None] * numbers)


class NegativeBinomialHead(Head):
    """A negative binomial distribution of counts: the base times exp of the first output, and the softplus of 1 / r.

    The variance is mean + mean^2 / r. The likelihood is that of the counts themselves, not of scaled targets.

    Args:
        quantiles: The levels of the forecaster.

    Example:
        >>> from pyrnn.forecasting.heads import NegativeBinomialHead
        >>> head = NegativeBinomialHead([0.1, 0.5, 0.9])
        >>> head.quantiles(np.zeros((1, 1, 2)), np.full((1, 1), 9.0), np.ones((1, 1))).tolist()
        [[[1.0, 7.0, 20.0]]]

    Source: Salinas et al. 2020, DeepAR.
    """

    name = "negative_binomial"
    distribution = "negative_binomial"
    counts = True

    @property
    def outputs(self) -> int:
        return 2

    def loss(self) -> Loss:
        return NegativeBinomialCount()

    def targets(self, values: Array, base: Array, scale: Array) -> Array:
        """Return the counts and the base that the first output multiplies."""
        return np.stack([values, self._positive(base, scale)], axis=-1)

    def quantiles(self, raw: Array, base: Array, scale: Array) -> Array:
        mean, shape = self._mean_and_shape(raw, base, scale)
        return np.stack([count_quantile(level, mean, shape) for level in self.levels], axis=-1)

    def mean(self, raw: Array, base: Array, scale: Array) -> Array:
        return self._mean_and_shape(raw, base, scale)[0]

    def location_and_unit(self, base: Array, scale: Array) -> tuple[Array, Array]:
        """Return the positive base, which the first output multiplies, as the unit."""
        return base, self._positive(base, scale)

    def _mean_and_shape(self, raw: Array, base: Array, scale: Array) -> tuple[Array, Array]:
        return NegativeBinomialCount.mean_and_shape(np.asarray(raw, np.float64), self._positive(base, scale))

    @staticmethod
    def _positive(base: Array, scale: Array) -> Array:
        return np.asarray(np.maximum(base, LEAST_BASE * scale))


HEADS: dict[str, type[Head]] = {
    head.name: head for head in (PointHead, QuantileHead, GaussianHead, StudentHead, NegativeBinomialHead)
}


def make(name: Any, quantiles: Sequence[float]) -> Head:
    """Return the head with a name.

    Args:
        name: "quantile", "mae", "mse", "gaussian", "student" or "negative_binomial".
        quantiles: The levels of the forecaster.

    Returns:
        The head.

    Raises:
        ValueError: If there is no such head.
    """
    if name in ("mae", "mse"):
        return PointHead(quantiles, squared=name == "mse")
    names = ["mae", "mse", *(each for each in HEADS if each != "point")]
    if not isinstance(name, str) or name not in names:
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        raise ValueError(
            f"head must be one of {', '.join(map(repr, names))}, got {shown(name)}" + (f"; {hint}" if hint else "")
        )
    return HEADS[name](quantiles)


@functools.cache
def _weights(levels: tuple[float, ...]) -> Array:
    """The weight of each quantile in the mean: half the levels between its neighbors, and all beyond the ends."""
    edges = np.array([0.0, *((a + b) / 2 for a, b in itertools.pairwise(levels)), 1.0])
    return np.diff(edges)
