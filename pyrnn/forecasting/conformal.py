"""Conformal calibration: quantiles are moved so that they hold on windows that the networks were not trained on.

Each quantile q lies at a distance from the median. On the validation windows the distance is multiplied, for each step
ahead, by the factor with which the fraction q of targets lies below the quantile (or 1 - q above it). The windows of
neighboring steps are pooled, since errors of neighboring steps are alike.

A finite sample underestimates the outer quantiles, the more so the more its errors are alike. Therefore the factor is
taken at the level of the sample whose expected coverage is q (`dependence`). If that of the largest error is less, the
factor lies beyond it, by the ratio of the normal distribution's quantiles.

Sources: Romano, Patterson and Candes 2019, Conformalized quantile regression, in the form with a factor for each side;
Chernozhukov, Wuthrich and Zhu 2018, Exact and robust conformal inference methods for predictive machine learning with
dependent data, on the exchange of blocks of errors instead of single ones.
"""

from __future__ import annotations

import functools
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.dependence import LEVELS, pairs_of
from pyrnn.forecasting.likelihoods import accumulate_outwards

Array = NDArray[Any]
MEDIAN = 0.5
POOLED_PART = 8  # a step is pooled with an eighth of the horizon on either side
LEAST_WIDTH = 1e-3  # of a distance from the median, in units of the scale, to which a factor applies
FEWEST = 20  # targets of a pooled step


def calibrate(
    targets: Array, quantiles: Array, scale: Array, levels: tuple[float, ...], series: Array, dates: Array
) -> Array:
    """Return the factors of the distances from the median.

    Args:
        targets: (B, H), NaN where unknown.
        quantiles: (B, H, K), before calibration.
        scale: (B, 1), the scale of each window.
        levels: The K levels, in increasing order with 0.5 among them.
        series: (B,) the number of the series of each window.
        dates: (B,) the origin of each window, counted in rows.

    Returns:
        (H, K); 1 for the median, and 1 everywhere for steps with less than 20 known targets.
    """
    horizon, median = targets.shape[1], levels.index(MEDIAN)
    factors = np.ones((horizon, len(levels)))
    if not np.isfinite(targets).any() or len(levels) == 1:
        return factors
    pooled = horizon // POOLED_PART
    error = targets - quantiles[..., median]
    distances = np.abs(quantiles - quantiles[..., median : median + 1])
    widths = np.maximum(distances, LEAST_WIDTH * scale[..., None])
    outermost = np.where(error < 0, widths[..., 0], widths[..., -1])
    pairs = pairs_of(error / outermost, series, dates)
    steps = [slice(max(0, step - pooled), min(step + pooled + 1, horizon)) for step in range(horizon)]
    coverages = {count: pairs.coverage(count) for count in {near.stop - near.start for near in steps}}
    for k, level in enumerate(levels):
        if k == median:
            continue
        ratio = (error if k > median else -error) / widths[..., k]
        for step, near in enumerate(steps):
            values = ratio[:, near]
            values = np.sort(values[np.isfinite(values)])
            if len(values) >= FEWEST:
                coverage = coverages[near.stop - near.start]
                factors[step, k] = max(_quantile(values, max(level, 1 - level), coverage), 0.0)
    return factors


def _quantile(values: Array, level: float, coverage: Array) -> float:
    """The number below which a new error lies with a probability, from sorted errors and the coverage of `LEVELS`."""
    places = (np.arange(len(values)) + 0.5) / len(values)
    most = float(np.interp(places[-1], LEVELS, coverage))
    if level <= most:
        return float(np.interp(np.interp(level, coverage, LEVELS), places, values))
    normal = NormalDist()
    return float(values[-1]) * normal.inv_cdf(level) / normal.inv_cdf(most)


def apply(quantiles: Array, scale: Array, factors: Array, levels: tuple[float, ...]) -> Array:
    """Return calibrated quantiles.

    Args:
        quantiles: (B, H, K), before calibration.
        scale: (B, 1).
        factors: (H, K), what `calibrate` returned.
        levels: The K levels.

    Returns:
        (B, H, K), increasing along the last axis.
    """
    median = levels.index(MEDIAN)
    middle = quantiles[..., median : median + 1]
    signs = _signs(len(levels), median)
    widths = np.asarray((quantiles - middle) * signs)
    np.maximum(widths, LEAST_WIDTH * scale[..., None], out=widths)
    widths *= factors
    widths[..., median] = 0
    # A factor may be larger than that of a quantile further out.
    accumulate_outwards(np.maximum, widths, median)
    widths *= signs
    widths += middle
    return widths


@functools.cache
def _signs(count: int, median: int) -> Array:
    """-1 for quantiles below the median, 1 for those above."""
    return np.sign(np.arange(count) - median).astype(np.float64)
