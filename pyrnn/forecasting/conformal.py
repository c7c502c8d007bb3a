"""Conformal calibration: quantiles are moved so that they hold on windows that the networks were not trained on.

Each quantile q lies at a distance from the median. On the validation windows the distance is multiplied, for each step
ahead, by the smallest factor with which the fraction q of targets lies below the quantile (or 1 - q above it). The
windows of neighboring steps are pooled, since errors of neighboring steps are alike.

Source: Romano, Patterson and Candes 2019, Conformalized quantile regression, in the form with a factor for each side.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MEDIAN = 0.5
POOLED_PART = 8  # a step is pooled with an eighth of the horizon on either side
LEAST_WIDTH = 1e-3  # of a distance from the median, in units of the scale, to which a factor applies
FEWEST = 20  # targets of a pooled step
INDEPENDENT = 3  # errors in each block of a horizon's rows; measured on hourly series


def calibrate(targets: Array, quantiles: Array, scale: Array, levels: tuple[float, ...], blocks: int) -> Array:
    """Return the factors of the distances from the median.

    Args:
        targets: (B, H), NaN where unknown.
        quantiles: (B, H, K), before calibration.
        scale: (B, 1), the scale of each window.
        levels: The K levels, in increasing order with 0.5 among them.
        blocks: How many windows do not overlap, over all series. The correction for a finite sample is that of
            three times this number, since overlapping windows have almost the same errors.

    Returns:
        (H, K); 1 for the median, and 1 everywhere for steps with less than 20 known targets.
    """
    horizon, median = targets.shape[1], levels.index(MEDIAN)
    factors = np.ones((horizon, len(levels)))
    pooled = horizon // POOLED_PART
    finite = np.isfinite(targets)
    error = targets - quantiles[..., median]
    for k, level in enumerate(levels):
        if k == median:
            continue
        sign = 1.0 if k > median else -1.0
        width = np.maximum(sign * (quantiles[..., k] - quantiles[..., median]), LEAST_WIDTH * scale)
        ratio = sign * error / width
        for step in range(horizon):
            near = slice(max(0, step - pooled), step + pooled + 1)
            values = np.sort(ratio[:, near][finite[:, near]])
            if len(values) >= FEWEST:
                rank = int(np.ceil(len(values) * max(level, 1 - level) * (1 + 1 / (INDEPENDENT * blocks)))) - 1
                factors[step, k] = max(values[min(rank, len(values) - 1)], 0.0)
    return factors


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
    for outwards in (widths[..., median:], widths[..., median::-1]):
        np.maximum.accumulate(outwards, axis=-1, out=outwards)
    widths *= signs
    widths += middle
    return widths


@functools.cache
def _signs(count: int, median: int) -> Array:
    """-1 for quantiles below the median, 1 for those above."""
    return np.sign(np.arange(count) - median).astype(np.float64)
