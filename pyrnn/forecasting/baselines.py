"""Forecasts that need no model: the last value, the last season, the drift and the mean.

What a model must beat. Their intervals assume that errors are normal and independent, as in Hyndman and Athanasopoulos
2021, Forecasting: Principles and Practice, 3rd edition, sections 5.2 and 5.5.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.typing import Anything, ArrayLike, Size
from pyrnn.validation import shown

__all__ = ["drift", "last_value", "mean", "seasonal_naive"]

Array = NDArray[Any]
# Of one series whose values are all known but for NaN: the point forecast, and the standard deviation of its errors.
_Forecast = Callable[[Array, Array], tuple[Array, Array]]


@checked
def last_value(history: ArrayLike, horizon: Size, *, quantiles: Anything = None) -> Any:
    """Return the last known value of each series for every step ahead: the naive forecast.

    Args:
        history: Values up to now, shape (time,) or (N, time), or a list of N arrays of different lengths; NaN where a
            value is unknown.
        horizon: Steps ahead.
        quantiles: Levels between 0 and 1 whose quantiles to return, or None for the point forecast. The standard
            deviation at step h is that of the residuals times sqrt(h).

    Returns:
        An array (N, horizon), or (N, horizon, K) for K quantiles; without the first axis if history has none. NaN for a
        series of which nothing is known.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If `history` does not hold finite numbers or NaN, or a quantile is not between 0 and 1.

    Example:
        >>> from pyrnn.forecasting import last_value
        >>> last_value([3.0, 5.0, 4.0, float("nan")], 2)
        array([4., 4.])
        >>> last_value([3.0, 5.0, 4.0], 2, quantiles=[0.1, 0.5, 0.9]).round(2)
        array([[1.97, 4.  , 6.03],
               [1.13, 4.  , 6.87]])
    """

    def forecast(values: Array, ahead: Array) -> tuple[Array, Array]:
        present = _known(values)
        return np.full(len(ahead), values[present[-1]]), _deviation(values[1:] - values[:-1], 0) * np.sqrt(ahead)

    return _forecasts(forecast, history, horizon, quantiles)


@checked
def seasonal_naive(history: ArrayLike, horizon: Size, season: Size, *, quantiles: Anything = None) -> Any:
    """Return the last known value at the same place of the season, for every step ahead.

    Args:
        history: Values up to now, shape (time,) or (N, time), or a list of N arrays of different lengths; NaN where a
            value is unknown.
        horizon: Steps ahead.
        season: Steps of a season: 7 for a weekly season of days.
        quantiles: Levels between 0 and 1 whose quantiles to return, or None for the point forecast. The standard
            deviation at step h is that of the seasonal residuals times the root of the seasons ahead, ceil(h / season).

    Returns:
        An array (N, horizon), or (N, horizon, K) for K quantiles; without the first axis if history has none. The last
        known value where nothing is known at a place of the season; NaN for a series of which nothing is known.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If `history` does not hold finite numbers or NaN, or a quantile is not between 0 and 1.

    Example:
        >>> from pyrnn.forecasting import seasonal_naive
        >>> seasonal_naive([1.0, 2.0, 3.0, 4.0, 5.0], 4, season=3)
        array([3., 4., 5., 3.])
    """

    def forecast(values: Array, ahead: Array) -> tuple[Array, Array]:
        present = _known(values)
        point = np.full(len(ahead), values[present[-1]])
        for place in range(min(season, len(ahead))):
            same = present[(present - len(values) - place) % season == 0]
            if same.size:
                point[place::season] = values[same[-1]]
        return point, _deviation(values[season:] - values[:-season], 0) * np.sqrt(np.ceil(ahead / season))

    return _forecasts(forecast, history, horizon, quantiles)


@checked
def drift(history: ArrayLike, horizon: Size, *, quantiles: Anything = None) -> Any:
    """Return the line through the first and the last known value, continued.

    Args:
        history: Values up to now, shape (time,) or (N, time), or a list of N arrays of different lengths; NaN where a
            value is unknown.
        horizon: Steps ahead.
        quantiles: Levels between 0 and 1 whose quantiles to return, or None for the point forecast. The standard
            deviation at step h is that of the residuals times sqrt(h (1 + h / T)), with T steps between the first value
            and the last.

    Returns:
        An array (N, horizon), or (N, horizon, K) for K quantiles; without the first axis if history has none. The last
        known value if there is only one; NaN for a series of which nothing is known.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If `history` does not hold finite numbers or NaN, or a quantile is not between 0 and 1.

    Example:
        >>> from pyrnn.forecasting import drift
        >>> drift([1.0, 4.0, 5.0], 3)
        array([ 7.,  9., 11.])
    """

    def forecast(values: Array, ahead: Array) -> tuple[Array, Array]:
        present = _known(values)
        first, last = present[0], present[-1]
        span = max(last - first, 1)
        slope = (values[last] - values[first]) / span
        steps = ahead + (len(values) - 1 - last)  # from the last known value
        return values[last] + slope * steps, _deviation(values[1:] - values[:-1], 1) * np.sqrt(
            ahead * (1 + ahead / span)
        )

    return _forecasts(forecast, history, horizon, quantiles)


@checked
def mean(history: ArrayLike, horizon: Size, *, quantiles: Anything = None) -> Any:
    """Return the mean of each series for every step ahead.

    Args:
        history: Values up to now, shape (time,) or (N, time), or a list of N arrays of different lengths; NaN where a
            value is unknown.
        horizon: Steps ahead.
        quantiles: Levels between 0 and 1 whose quantiles to return, or None for the point forecast. The standard
            deviation is that of the T known values times sqrt(1 + 1 / T).

    Returns:
        An array (N, horizon), or (N, horizon, K) for K quantiles; without the first axis if history has none. NaN for a
        series of which nothing is known.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If `history` does not hold finite numbers or NaN, or a quantile is not between 0 and 1.

    Example:
        >>> from pyrnn.forecasting import mean
        >>> mean([[1.0, 2.0, 6.0], [4.0, float("nan"), 6.0]], 2)
        array([[3., 3.],
               [5., 5.]])
    """

    def forecast(values: Array, ahead: Array) -> tuple[Array, Array]:
        present = values[_known(values)]
        deviation = _deviation(present - present.mean(), 1) * np.sqrt(1 + 1 / present.size)
        return np.full(len(ahead), present.mean()), np.full(len(ahead), deviation)

    return _forecasts(forecast, history, horizon, quantiles)


def _known(values: Array) -> Array:
    return np.flatnonzero(~np.isnan(values))


def _deviation(residuals: Array, estimated: int) -> float:
    """The standard deviation of residuals whose expectation is 0, after estimating that many numbers from them."""
    residuals = residuals[~np.isnan(residuals)]
    if estimated:
        residuals = residuals - residuals.mean() if residuals.size else residuals
    return float(np.sqrt(np.square(residuals).sum() / max(residuals.size - estimated, 1)))


def _forecasts(forecast: _Forecast, history: Any, horizon: int, quantiles: Any) -> Array:
    """The forecasts of all series."""
    z = None if quantiles is None else _normal_quantiles(quantiles)
    rows, single = _rows(history)
    ahead = np.arange(1, horizon + 1)
    result = np.full((len(rows), horizon, *([] if z is None else [len(z)])), np.nan)
    for i, row in enumerate(rows):
        if _known(row).size:
            point, deviation = forecast(row, ahead)
            result[i] = point if z is None else point[:, None] + deviation[:, None] * z
    return result[0] if single else result


def _rows(history: Any) -> tuple[list[Array], bool]:
    """The series, and whether history is a single one."""
    if isinstance(history, list | tuple) and history and np.ndim(history[0]) == 1:
        rows, single = [_values(each) for each in history], False
    else:
        values = _values(history)
        single = values.ndim == 1
        rows = [values] if single else list(values)
    if any(row.ndim != 1 for row in rows):
        raise ValueError(f"history must have shape (time,) or (N, time), got {np.shape(history)}")
    return rows, single


def _values(history: Any) -> Array:
    try:
        values = np.asarray(history, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"history must hold numbers, got {shown(history)}") from None
    if not values.ndim or np.isinf(values).any():
        raise ValueError(f"history must hold finite numbers or NaN along time, got {shown(history)}")
    return values


def _normal_quantiles(quantiles: Any) -> Array:
    levels = np.asarray(quantiles, np.float64) if np.ndim(quantiles) == 1 else np.zeros(1)
    if not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"quantiles must be a list of numbers between 0 and 1, got {shown(quantiles)}")
    return np.array([NormalDist().inv_cdf(float(level)) for level in levels])
