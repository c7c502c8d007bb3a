"""Forecasts without a model against numbers computed by hand and, for intervals, against simulated series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn.forecasting import drift, last_value, mean, seasonal_naive

NAN = float("nan")
ALL: dict[str, Callable[..., Any]] = {
    "last_value": last_value,
    "seasonal_naive": lambda history, horizon, **options: seasonal_naive(history, horizon, 3, **options),
    "drift": drift,
    "mean": mean,
}


def test_forecasts_equal_numbers_computed_by_hand() -> None:
    history = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0]
    assert last_value(history, 2).tolist() == [9, 9]
    assert seasonal_naive(history, 5, 3).tolist() == [5, 6, 9, 5, 6]
    assert drift(history, 2).tolist() == pytest.approx([9 + 8 / 6, 9 + 16 / 6])
    assert mean(history, 2).tolist() == pytest.approx([30 / 7, 30 / 7])


def test_unknown_values_are_skipped() -> None:
    history = [1.0, NAN, 3.0, NAN, 2.0, NAN]
    assert last_value(history, 2).tolist() == [2, 2]
    # Places -3, -2 and -1: nothing but the value three steps earlier is known at -3 and -1.
    assert seasonal_naive(history, 4, 3).tolist() == [1, 2, 3, 1]
    assert seasonal_naive([5.0, NAN, NAN, NAN], 3, 2).tolist() == [5, 5, 5]
    assert seasonal_naive([NAN, 4.0], 3, 7).tolist() == [4, 4, 4]
    assert drift(history, 1).tolist() == [2 + 2 * (1 / 4)]
    assert drift([NAN, 3.0], 2).tolist() == [3, 3]
    assert mean(history, 1).tolist() == [2]


@pytest.mark.parametrize("name", ALL)
def test_rows_are_forecast_one_by_one(name: str) -> None:
    forecast, rows = ALL[name], np.random.default_rng(0).normal(size=(4, 11))
    levels = [0.1, 0.5, 0.9]
    assert np.array_equal(forecast(rows, 5), [forecast(row, 5) for row in rows])
    together = forecast([rows[0], rows[1, 3:]], 5, quantiles=levels)
    assert together.shape == (2, 5, 3)
    assert np.array_equal(together, [forecast(each, 5, quantiles=levels) for each in (rows[0], rows[1, 3:])])
    assert np.allclose(together[..., 1], forecast([rows[0], rows[1, 3:]], 5), rtol=0, atol=1e-12)
    assert np.isnan(forecast([[NAN, NAN]], 2)).all()


@pytest.mark.parametrize("name", ALL)
def test_intervals_cover_series_of_their_own_process(name: str) -> None:
    random = np.random.default_rng(5)
    noise = random.normal(size=(3000, 66))
    series = {
        "last_value": noise.cumsum(axis=1),
        "seasonal_naive": noise.reshape(3000, 22, 3).cumsum(axis=1).reshape(3000, 66),
        "drift": (noise + 0.5).cumsum(axis=1),
        "mean": noise + 2,
    }[name]
    low, high = np.moveaxis(ALL[name](series[:, :60], 6, quantiles=[0.1, 0.9]), -1, 0)
    covered = ((low <= series[:, 60:]) & (series[:, 60:] <= high)).mean(axis=0)
    assert covered == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("name", ALL)
def test_wrong_arguments_are_named(name: str) -> None:
    forecast = ALL[name]
    for history in (["a"], [[[1.0]]], 3.0, [np.inf]):
        with pytest.raises(ValueError, match="history must"):
            forecast(history, 2)
    for levels in (0.5, [0.0], [1.5], []):
        with pytest.raises(ValueError, match="quantiles must be a list of numbers between 0 and 1"):
            forecast([1.0, 2.0], 2, quantiles=levels)
    with pytest.raises(ValueError, match="horizon must be"):
        forecast([1.0], 0)
