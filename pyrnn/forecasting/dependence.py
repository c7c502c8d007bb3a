"""How much correlated errors say about a quantile: errors of overlapping windows and of series side by side are alike.

The quantile Q of a sample at level p has an error of its own. With F the distribution and v(p) the variance of the
fraction of the sample that lies below the true quantile, the expected coverage of a new error is, to second order,
E F(Q) = p + v'(p) / 2; for n independent errors p + (1/2 - p) / n, as of order statistics. The variance follows from
the correlations of all pairs of errors, as if each pair were normal.

Letters: B windows, H steps ahead, k the rows between two origins, d the difference between two steps ahead.

Sources: Diebold and Mariano 1995, Comparing predictive accuracy (the errors of a good forecast are uncorrelated from
H rows on); Sheppard 1899 (the probability that both of two normal numbers are below a quantile); Bahadur 1966 (the
error of a sample's quantile).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST_ERROR = 3.0  # in units of the distance to the outermost quantile
MOST_SERIES = 64  # whose autocorrelations are averaged
CORRELATIONS = np.linspace(0, 1, 101)
LEVELS = 1 - np.geomspace(0.5, 1e-4, 120)  # of the sample, at which coverage is computed


@dataclass(frozen=True)
class Pairs:
    """How alike pairs of errors are.

    Args:
        within: (H, 2 H - 1), the correlation of two errors of one series, by k and by d from -(H - 1) on.
        across: The correlation of the errors of two series at the same origin and step.
        within_counts: (H,) pairs of windows of one series, by k; both orders count.
        across_counts: (H,) the same of two different series.
        windows: B.
    """

    within: Array
    across: float
    within_counts: Array
    across_counts: Array
    windows: int

    def coverage(self, steps: int) -> Array:
        """Return the expected coverage of a sample's quantiles at `LEVELS`.

        Args:
            steps: The neighboring steps ahead whose errors are pooled in the sample.

        Returns:
            (120,), at most `LEVELS`.
        """
        horizon = len(self.within)
        offsets = np.arange(1 - steps, steps)
        within = self.within[:, horizon - 1 + offsets]
        weights = (steps - np.abs(offsets)) / (self.windows * steps) ** 2
        parts = np.concatenate([within.ravel(), (self.across * within).ravel()])
        counts = np.concatenate([np.outer(each, weights).ravel() for each in (self.within_counts, self.across_counts)])
        place = np.clip(parts, 0, 1) * (len(CORRELATIONS) - 1)
        low = np.minimum(place.astype(int), len(CORRELATIONS) - 2)
        spread = np.bincount(low, counts * (low + 1 - place), len(CORRELATIONS))
        spread += np.bincount(low + 1, counts * (place - low), len(CORRELATIONS))
        alone = LEVELS * (1 - LEVELS)
        variance = alone * np.minimum(_covariances() @ spread / alone, 1)
        return np.asarray(LEVELS + 0.5 * np.gradient(variance, LEVELS))


@functools.cache
def _covariances() -> Array:
    """(120, 101) the covariance of being below a level, for two normal numbers with a correlation."""
    angles = np.arcsin(CORRELATIONS)
    rows = []
    for level in LEVELS:
        slope = np.exp(-(NormalDist().inv_cdf(level) ** 2) / (1 + np.sin(angles))) / (2 * np.pi)
        # Equal numbers are both below the level with its probability; the sum below is that up to rounding.
        row = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(angles))])
        rows.append(row * level * (1 - level) / row[-1])
    return np.array(rows)


def pairs_of(errors: Array, series: Array, dates: Array) -> Pairs:
    """Return how alike the errors of forecasts are.

    Args:
        errors: (B, H) in units of the distance to the outermost quantile, NaN where unknown; their true mean is 0.
        series: (B,) the number of the series of each window.
        dates: (B,) the origin of each window, counted in rows.
    """
    windows, horizon = errors.shape
    dates = dates - dates.min()
    finite = np.isfinite(errors)
    errors = np.where(finite, np.clip(errors, -LARGEST_ERROR, LARGEST_ERROR), 0.0)
    variance = max(float((errors**2).sum() / max(finite.sum(), 1)), np.finfo(np.float64).tiny)
    numbers, codes = np.unique(series, return_inverse=True)
    products, observed = np.zeros((2, horizon, 2 * horizon - 1))
    for code in np.unique(np.linspace(0, len(numbers) - 1, MOST_SERIES).astype(int)):
        rows = codes == code
        products += _autocorrelation(errors[rows], dates[rows])
        observed += _autocorrelation(finite[rows].astype(np.float64), dates[rows])
    within = np.where(observed > 0.5, products / np.maximum(observed, 1) / variance, 0.0)
    total = _counts(dates, horizon)
    # The dates of each series, in a stretch of their own.
    same = _counts(codes * (int(dates.max()) + horizon) + dates, horizon)
    return Pairs(np.clip(within, 0, 1), _across(errors, finite, dates) / variance, same, total - same, windows)


def _autocorrelation(values: Array, dates: Array) -> Array:
    """(H, 2 H - 1) the sum of products of values (B, H), by the rows between their origins and the steps between."""
    horizon = values.shape[1]
    grid = np.zeros((int(np.ptp(dates)) + 1, horizon))
    grid[dates - dates.min()] = values
    # A period into which no product wraps; powers of 2 are fast.
    shape = tuple(1 << (size - 1).bit_length() for size in (len(grid) + horizon, 2 * horizon))
    sums = np.fft.irfft2(np.abs(np.fft.rfft2(grid, shape)) ** 2, shape)
    return np.asarray(np.concatenate([sums[:horizon, shape[1] - horizon + 1 :], sums[:horizon, :horizon]], axis=1))


def _counts(places: Array, horizon: int) -> Array:
    """(H,) the pairs of windows by the rows between their origins, in both orders."""
    each, at = np.unique(places, return_counts=True)
    counts = []
    for distance in range(horizon):
        later = np.minimum(np.searchsorted(each, each + distance), len(each) - 1)
        counts.append(float((at * at[later])[each[later] == each + distance].sum()))
    return np.array(counts) * np.where(np.arange(horizon), 2, 1)


def _across(errors: Array, finite: Array, dates: Array) -> float:
    """The covariance of the errors of two series at one origin and step, at least 0."""
    count, horizon = int(dates.max()) + 1, errors.shape[1]
    sums, squares, present = (np.zeros((count, horizon)) for _ in range(3))
    for total, values in ((sums, errors), (squares, errors**2), (present, finite)):
        np.add.at(total, dates, values)
    pairs = float((present**2 - present).sum())
    return max(float((sums**2 - squares).sum()) / pairs, 0.0) if pairs else 0.0
