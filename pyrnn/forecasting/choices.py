"""What a forecaster chooses from the data: season, lookback, the base that is corrected, and the length of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.calendars import Calendar, calendar
from pyrnn.forecasting.frequency import DAY, Frequency
from pyrnn.forecasting.history import Layout, Source
from pyrnn.forecasting.inputs import make_bases
from pyrnn.forecasting.panel import Panel

Array = NDArray[Any]
SECONDS_OF_SEASONS = (DAY, 7 * DAY)  # microseconds
MONTHS_OF_YEAR = 12
WEEKS_OF_YEAR = 52
BUSINESS_WEEK = 5
FEWEST_SEASONS = 3  # that the longest series must have
LONGEST_SEARCHED = 400  # rows, for a season of rows without dates
CLEARLY = 0.97  # a season must make the naive forecast better than this part of its error a row off the season
LONG_SEASON = 100  # rows; of longer ones two lags are enough
LOOKBACK_SEASONS, LOOKBACK_HORIZONS, LONGEST_LOOKBACK = 4, 2, 200
YEARS_FOR_YEARLY = 2.0
COMPARED = 2000  # windows on which bases are compared, at least, if there are as many
BATCHES_OF_ROUND = 20  # of all windows, at least
SMALLEST_BATCH, LARGEST_BATCH = 16, 128
ROUNDS, FEWEST_UPDATES, MOST_UPDATES = 12, 400, 600
ROWS_FOR_EMBEDDING = 300  # per series
EMBEDDING = 4
LEAST_VARIATION = 0.1
HOUR_HARMONICS = 3


def known_seasons(frequency: Frequency) -> list[int]:
    """Return the seasons, in rows, that series with a frequency often have: of a day, a week or a year."""
    if frequency.kind == "month":
        return [MONTHS_OF_YEAR // frequency.step] if MONTHS_OF_YEAR % frequency.step == 0 else []
    if frequency.kind == "business":
        return [BUSINESS_WEEK] if frequency.step == 1 else []
    if frequency.kind == "time":
        rows = [season // frequency.step for season in SECONDS_OF_SEASONS if season % frequency.step == 0]
        return [season for season in rows if season > 1] or ([WEEKS_OF_YEAR] if frequency.step == 7 * DAY else [])
    return []


def choose_seasons(panel: Panel, values: Array, season: int | None) -> tuple[int, ...]:
    """Return the main season and further ones.

    The main season is the one whose naive forecast has the smallest error, of those that are clearly better than a
    forecast from a row before or after; 1 if there is none. Rows without dates may have any season of fewer than 400
    rows.

    Args:
        panel: The panel.
        values: (R,) targets, NaN where unknown.
        season: The season that the user passed, or None.
    """
    longest = int(panel.lengths.max())
    candidates = known_seasons(panel.frequency)
    if season is not None:
        further = [each for each in candidates if each != season and FEWEST_SEASONS * each <= longest]
        return (season, *further[:1])
    if panel.frequency.kind == "row":
        candidates = list(range(2, LONGEST_SEARCHED))
    candidates = [each for each in candidates if FEWEST_SEASONS * each <= longest]
    if not candidates:
        return (1,)
    lags = sorted({each + off for each in candidates for off in (-1, 0, 1)})
    errors = {lag: naive_error(panel, values, lag) for lag in lags}
    seasonal = [each for each in candidates if errors[each] < CLEARLY * (errors[each - 1] + errors[each + 1]) / 2]
    if not seasonal:
        return (1,)
    best = min(seasonal, key=lambda each: errors[each])
    further = [each for each in candidates if each != best] if panel.frequency.kind != "row" else []
    return (best, *further[:1])


def naive_error(panel: Panel, values: Array, season: int) -> float:
    """Return the mean, over series, of the error of the seasonal naive forecast in units of that of the last value."""
    ratios = []
    for first, length in zip(panel.starts.tolist(), panel.lengths.tolist(), strict=False):
        series = values[first : first + length]
        if length > season:
            apart, next_to = np.abs(series[season:] - series[:-season]), np.abs(np.diff(series))
            if np.isfinite(apart).any() and np.nansum(next_to) > 0:
                ratios.append(np.nanmean(apart) / np.nanmean(next_to))
    return float(np.mean(ratios)) if ratios else np.inf


def choose_layout(
    panel: Panel, values: Array, horizon: int, lookback: int | None, seasons: Sequence[int], recursive: bool
) -> Layout:
    """Return the rows that a network sees, with the base still open ("season").

    Args:
        panel: The panel.
        values: (R,) targets, NaN where unknown.
        horizon: The rows to forecast.
        lookback: What the user passed, or None for 4 seasons, at least 2 horizons and at most a third of the longest
            series; one season if that is long.
        seasons: What `choose_seasons` returned.
        recursive: Whether the network reads its own forecasts.
    """
    season, longest = seasons[0], int(panel.lengths.max())
    if lookback is None:
        wanted = season if season >= LONG_SEASON else max(LOOKBACK_SEASONS * season, LOOKBACK_HORIZONS * horizon)
        lookback = max(1, min(wanted, LONGEST_LOOKBACK, longest // 3))
    lags = 2 if season >= LONG_SEASON else 4
    year = 0
    if panel.frequency.kind == "time" and panel.frequency.step == DAY and longest >= 365 + 180:
        year = 364  # whole weeks
    scale = choose_scale(panel, values)
    return Layout(lookback, horizon, season, tuple(seasons), lags, year, "season", scale, recursive)


def choose_scale(panel: Panel, values: Array) -> str:
    """Return the scale of windows: "level", their mean, if no value is negative and series vary by at least a tenth
    of their mean, or else "deviation".

    Args:
        panel: The panel.
        values: (R,) targets, NaN where unknown.
    """
    finite = np.isfinite(values)
    codes = panel.codes[finite]
    if values[finite].min() < 0:
        return "deviation"
    counts = np.maximum(np.bincount(codes, minlength=len(panel)), 1)
    means = np.bincount(codes, values[finite], minlength=len(panel)) / counts
    deviations = np.bincount(codes, np.abs(values[finite] - means[codes]), minlength=len(panel)) / counts
    return "level" if np.median(deviations) >= LEAST_VARIATION * np.median(means) else "deviation"


def calendars_of(panel: Panel, holidays: Any = None) -> list[Calendar]:
    """Return the features of dates: hour, weekday, month, holidays, and the day of the year from two years of rows on.

    Args:
        panel: The panel.
        holidays: Dates, or a dict from names to dates; None for none.

    Raises:
        ValueError: If holidays are passed for rows without dates or steps of more than a day.
    """
    if not panel.has_dates:
        if holidays is not None:
            raise ValueError("holidays must come with dates, but the rows have none: name their column as date")
        return []
    frequency = panel.frequency
    days_off = [] if holidays is None else [calendar(frequency, cycles=(), holidays=holidays)]
    if frequency.kind == "month":
        return [Calendar(("month",), "one_hot"), *days_off]
    calendars = []
    if frequency.kind == "business" or frequency.step <= DAY:
        if frequency.kind == "time" and frequency.step < DAY:
            calendars.append(Calendar(("hour",), "waves", HOUR_HARMONICS))
        calendars.append(Calendar(("weekday",), "one_hot"))
    years = float((panel.dates.max() - panel.dates.min()) / np.timedelta64(365, "D"))
    if years >= YEARS_FOR_YEARLY:
        calendars.append(Calendar(("day_of_year",), "waves", 2))
    return calendars + days_off


def choose_base(source: Source, origins: Array) -> Layout:
    """Return the layout of a source with the base whose mean absolute error, in units of the scale, is smallest.

    Args:
        source: The panel.
        origins: (M,) training windows, of which fewer than 4000, evenly spread, are compared.
    """
    some = origins[:: max(1, len(origins) // COMPARED)]
    history, targets = source.gather(some), source.targets(some)
    bases, scale = make_bases(history, source.layout)
    errors = {}
    for base, values in bases.items():
        error = np.abs(targets - values) / scale
        errors[base] = float(np.mean(error[np.isfinite(error)]))
    return replace(source.layout, base=min(errors, key=lambda base: errors[base]))


def choose_batch_size(windows: int) -> int:
    """Return the windows of a batch: a power of 2 from 16 to 128, with which a round has about 20 batches."""
    size = SMALLEST_BATCH
    while size < LARGEST_BATCH and 2 * size * BATCHES_OF_ROUND <= windows:
        size *= 2
    return size


def choose_updates(windows: int, batch_size: int, epochs: int | None) -> int:
    """Return the number of updates: those of the epochs, or of 12 rounds, at least 400 and at most 600."""
    round_of = max(1, windows // batch_size)
    return epochs * round_of if epochs is not None else int(np.clip(ROUNDS * round_of, FEWEST_UPDATES, MOST_UPDATES))


def choose_embedding(panel: Panel) -> int:
    """Return the length of the vector of each series: 4 if there are several of 300 rows on average, or else 0."""
    return EMBEDDING if len(panel) > 1 and panel.lengths.mean() >= ROWS_FOR_EMBEDDING else 0


def split(panel: Panel, values: Array, layout: Layout, validation: float) -> tuple[Array, Array, Any]:
    """Return the training origins, those to validate with, and the date at which the validation begins.

    Args:
        panel: The panel.
        values: (R,) targets, NaN where unknown.
        layout: The rows that a network sees.
        validation: The part of the rows of the longest series that validates; at least the horizon and a few origins.
    """
    horizon = layout.horizon
    codes = panel.codes
    place = np.arange(len(codes)) - panel.starts[codes]
    longest = int(panel.lengths.max())
    count = max(int(validation * longest), horizon + 2)
    last = panel.dates[panel.in_history].max()
    cut = panel.frequency.dates(last, np.array([1 - count]))[0]
    # Enough rows before an origin to forecast from, less for short series.
    fewest = np.minimum(layout.usual_reach, np.maximum(layout.season + 1, panel.lengths // 2))
    enough = place >= fewest[codes]
    row_of_end = panel.starts[codes] + panel.lengths[codes]
    rows = np.arange(len(codes))
    finite = np.cumsum(np.concatenate([[0], np.isfinite(values)]))

    end = np.minimum(rows + horizon, len(rows))
    most = finite[end] - finite[rows] > horizon // 2
    seen = finite[rows] - finite[np.maximum(panel.starts[codes], rows - layout.lookback)] > 0
    origins = enough & most & seen & (rows + horizon <= row_of_end)
    before = panel.dates[end - 1] < cut
    return rows[origins & before], rows[origins & (panel.dates >= cut)], cut
