"""Calibrated intervals cover what they should, however few the windows are and however alike their errors."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from pyrnn.forecasting import Forecaster, conformal
from pyrnn.forecasting.dependence import LEVELS, pairs_of

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
NORMAL = NormalDist()
NUMBERS = np.array([NORMAL.inv_cdf(level) for level in QUANTILES])
# Rows to calibrate on, steps ahead, series, what errors of all series have in common.
SAMPLES = {"one series": (120, 14, 1, 0.0), "hours": (240, 24, 1, 0.0), "many short": (14, 12, 24, 0.0)}


def errors_of(
    generator: np.random.Generator, memory: float | None, rows: int, horizon: int, series: int, common: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors (B, H) of unit variance of the best forecasts of an autoregression (None: of white noise), and the series
    and origins (B,) of the windows.
    """
    noise = np.sqrt(1 - common) * generator.normal(size=(series, rows))
    noise += np.sqrt(common) * generator.normal(size=(1, rows))
    count = rows - horizon + 1
    errors, total = np.empty((series, count, horizon)), np.zeros((series, count))
    for step in range(horizon):
        total = noise[:, step : step + count] + (memory or 0.0) * total
        spread = np.sqrt(sum((memory or 0.0) ** (2 * earlier) for earlier in range(step + 1)))
        errors[:, :, step] = total / spread
    return errors.reshape(-1, horizon), np.repeat(np.arange(series), count), np.tile(np.arange(count), series)


@pytest.mark.parametrize("memory", [None, 0.5, 0.9], ids=["white noise", "0.5", "0.9"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_coverage_of_new_errors(memory: float | None, sample: str) -> None:
    """On average over samples, also where the largest error of a sample is below the quantile."""
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        errors, series, origins = errors_of(generator, memory, *SAMPLES[sample])
        quantiles = np.broadcast_to(0.7 * NUMBERS, (*errors.shape, 5))
        factors = conformal.calibrate(errors, quantiles, np.ones((len(errors), 1)), QUANTILES, series, origins)
        ends = 0.7 * factors * NUMBERS
        below = np.vectorize(NORMAL.cdf)(ends)
        covered.append([(below[:, 3] - below[:, 1]).mean(), (below[:, 4] - below[:, 0]).mean()])
    mean, error = np.mean(covered, axis=0), np.std(covered, axis=0) / np.sqrt(len(covered))
    assert (np.abs(mean - [0.8, 0.95]) < 3 * error + [0.015, 0.015]).all(), (mean, error)


def test_independent_errors_have_the_coverage_of_order_statistics() -> None:
    """The expected coverage of the k-th of n numbers is k / (n + 1); here k is n p + 1/2."""
    count = 400
    errors = np.random.default_rng(1).normal(size=(count, 1))
    pairs = pairs_of(errors, np.arange(count), np.arange(count) * 5)
    inside = LEVELS * count < count - 1
    expected = (count * LEVELS + 0.5) / (count + 1)
    np.testing.assert_allclose(pairs.coverage(1)[inside], expected[inside], atol=2e-4)


def test_equal_errors_count_once() -> None:
    """A copy of each window, in the same series or in another one, tells nothing new."""
    errors, series, origins = errors_of(np.random.default_rng(2), None, 300, 1, 1)
    once = pairs_of(errors, series, origins).coverage(1)
    twice = np.concatenate([errors, errors])
    across = pairs_of(twice, np.concatenate([series, series + 1]), np.concatenate([origins, origins])).coverage(1)
    inside = (LEVELS > 0.7) & (LEVELS < 0.99)
    np.testing.assert_allclose((LEVELS - across)[inside], (LEVELS - once)[inside], rtol=0.1)
    apart = pairs_of(twice, np.concatenate([series, series + 1]), np.concatenate([origins, origins + 900])).coverage(1)
    np.testing.assert_allclose((LEVELS - apart)[inside], (LEVELS - once)[inside] / 2, rtol=0.1)


def test_autocorrelation_is_that_of_its_definition() -> None:
    errors, series, origins = errors_of(np.random.default_rng(3), 0.9, 40, 4, 3)
    errors[5:9, 2] = np.nan
    made = pairs_of(np.clip(errors, -3, 3), series, origins)
    values, variance = np.clip(errors, -3, 3), np.nanmean(np.clip(errors, -3, 3) ** 2)
    for k, d in ((0, 0), (1, -1), (2, 1), (3, 3)):
        products = [
            values[i, step] * values[j, step + d]
            for i in range(len(values))
            for j in range(len(values))
            if series[i] == series[j] and origins[j] - origins[i] == k
            for step in range(max(0, -d), min(4, 4 - d))
        ]
        assert made.within[k, 3 + d] == pytest.approx(np.clip(np.nanmean(products) / variance, 0, 1))
    assert made.within_counts.tolist() == [111, 216, 210, 204]
    assert made.across_counts.tolist() == [222, 432, 420, 408]


def test_one_window_and_unknown_targets() -> None:
    """Too few to calibrate on: nothing changes, and nothing fails."""
    quantiles = np.broadcast_to(NUMBERS, (1, 6, 5))
    for targets in (np.zeros((1, 6)), np.full((1, 6), np.nan)):
        factors = conformal.calibrate(
            targets, quantiles, np.ones((1, 1)), QUANTILES, np.zeros(1, int), np.zeros(1, int)
        )
        assert (factors == 1).all()


def test_a_single_series_is_not_calibrated_too_wide() -> None:
    """Noise without memory around a week: three times 30 folds, of which intervals covered 87 and 98 % before."""
    generator = np.random.default_rng(4)
    covered = []
    for _ in range(3):
        rows = np.arange(600)
        values = 100 + 30 * (rows % 7 == 5) + generator.normal(0, 5, 600)
        test = Forecaster(horizon=7, season=7, epochs=2, members=1).backtest(values, folds=30)
        covered.append([test.scores.rows[0][f"coverage {level}"] for level in (80, 95)])
    # 630 targets, almost independent: a standard error of 0.016 and 0.009.
    assert (np.abs(np.mean(covered, axis=0) - [0.8, 0.95]) < [0.05, 0.027]).all()
