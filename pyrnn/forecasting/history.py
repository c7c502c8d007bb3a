"""Histories: the rows of a panel around origins, from which a network forecasts.

An origin is the first row to forecast. Nothing before this module depends on a network, and nothing here looks at
targets at or after the origin.

Letters: B windows, W rows of history (`Layout.reach`), L lookback, H steps ahead, P and Q covariates known up to the
present and in advance, C features of the calendar, S static ones.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.calendars import Calendar
from pyrnn.forecasting.moments import to_wall_clock
from pyrnn.forecasting.panel import EVERY, Panel

Array = NDArray[Any]
LEAST_SCALE = 0.02  # of a window: in units of the mean deviation of its series


@dataclass(frozen=True)
class Layout:
    """Which rows a network sees.

    Args:
        lookback: L, the rows that the encoder reads.
        horizon: H, the rows to forecast.
        season: The main season in rows, 1 for none.
        seasons: The main season first, then further ones.
        lags: How many earlier values at the same place of the main season the decoder sees; of each further one 2.
        year: The rows of a year of which the decoder sees the value, 0 for none.
        base: What is corrected: "season", "seasons" (the mean of the lags), "level" (the mean of the lookback), "last",
            or "blend" (half "seasons", half the mean of the last season).
        scale: What corrections are in units of: "level", the mean of the lookback, or "deviation", the mean deviation
            from it.
        recursive: Whether the network reads its own forecasts, row after row.
    """

    lookback: int
    horizon: int
    season: int
    seasons: tuple[int, ...]
    lags: int
    year: int
    base: str
    scale: str
    recursive: bool = False

    @functools.cached_property
    def distances(self) -> list[Array]:
        """How many rows before each step ahead each lag is, (H,) each; all of them lie before the origin."""
        steps = np.arange(1, self.horizon + 1)
        rows = []
        for number, season in enumerate(self.seasons):
            nearest = -(-steps // season) * season
            rows += [nearest + earlier * season for earlier in range(2 if number else self.lags)]
        if self.year:
            rows.append(-(-steps // self.year) * self.year)
        return rows

    @functools.cached_property
    def reach(self) -> int:
        """W, the rows before the origin that a forecast looks at."""
        return max(self.usual_reach, int(self.distances[-1].max()))

    @functools.cached_property
    def usual_reach(self) -> int:
        """The rows before the origin without the value of a year before."""
        usual = self.distances[:-1] if self.year else self.distances
        return int(max(self.lookback + self.season, *(each.max() for each in usual)))

    def get_config(self) -> dict[str, Any]:
        """Return the fields, in a form that JSON can hold."""
        return {**asdict(self), "seasons": list(self.seasons)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layout:
        """Return the layout that `get_config` described."""
        return cls(**{**config, "seasons": tuple(config["seasons"])})


@dataclass(frozen=True)
class Statistics:
    """What is learned from the training rows before a network is: the scales of covariates and of each series.

    Args:
        past: (2, P), mean and standard deviation of each past covariate.
        future: (2, Q), the same of each covariate that is known in advance.
        static: (2, S), the same of each static covariate.
        deviations: (N,), the mean deviation of each series from its mean.
        ids: The ids of the series, by which a later panel finds them.
    """

    past: Array
    future: Array
    static: Array
    deviations: Array
    ids: tuple[Any, ...]

    @classmethod
    def of(cls, panel: Panel, values: Array, usable: Array) -> Statistics:
        """Learn from a panel.

        Args:
            panel: The panel.
            values: (R,) targets, NaN where unknown.
            usable: (R,) the training rows.
        """
        codes = panel.codes
        used = usable & np.isfinite(values)
        counts = np.maximum(np.bincount(codes[used], minlength=len(panel)), 1)
        means = np.bincount(codes[used], values[used], minlength=len(panel)) / counts
        sizes = np.bincount(codes[used], np.abs(values[used] - means[codes[used]]), minlength=len(panel)) / counts
        positive = sizes[sizes > 0]
        typical = float(np.median(positive)) if positive.size else 1.0
        return cls(
            _moments(panel.past[usable]),
            _moments(panel.future[usable]),
            _moments(panel.static),
            np.where(sizes > 0, sizes, typical),
            panel.ids,
        )

    def series_of(self, ids: tuple[Any, ...]) -> tuple[Array, Array]:
        """Return the number (N,) of each series among those that were trained on, from 1, and its mean deviation (N,).

        A new series has the number 0 and the median deviation.

        Args:
            ids: The ids of the series.
        """
        places = self._places
        numbers = np.array([places.get(each, 0) for each in ids], np.int64)
        return numbers, self._deviations[numbers]

    @functools.cached_property
    def _places(self) -> dict[Any, int]:
        return {each: number for number, each in enumerate(self.ids, 1)}

    @functools.cached_property
    def _deviations(self) -> Array:
        """Those of all series, after their median."""
        return np.concatenate([[np.median(self.deviations)], self.deviations])


def _moments(values: Array) -> Array:
    if not len(values) or not values.shape[1]:
        return np.stack([np.zeros(values.shape[1]), np.ones(values.shape[1])])
    counts = np.maximum(np.isfinite(values).sum(axis=0), 1)
    filled = np.where(np.isfinite(values), values, 0)
    mean = filled.sum(axis=0) / counts
    spread = np.sqrt(np.where(np.isfinite(values), (values - mean) ** 2, 0).sum(axis=0) / counts)
    return np.stack([mean, np.where(spread > 0, spread, 1.0)])


def scaled(values: Array, moments: Array) -> Array:
    """Return covariates in units of their spread; 0, the mean, where they are unknown."""
    if not values.shape[-1]:
        return np.zeros(values.shape, np.float32)
    return np.asarray(np.nan_to_num((values - moments[0]) / moments[1]), np.float32)


@dataclass
class History:
    """The rows around B origins.

    Args:
        values: (B, W + H) targets before the origin, NaN where unknown and from the origin on.
        clock: (B, L + H, C) features of the calendar.
        past: (B, L + H, P) scaled; from the origin on the last known row.
        future: (B, W + H, Q) scaled.
        static: (B, S) scaled.
        deviation: (B,) the mean deviation of each series.
        numbers: (B,) the number of each series, 0 for a new one.
    """

    values: Array
    clock: Array
    past: Array
    future: Array
    static: Array
    deviation: Array
    numbers: Array


class Source:
    """A panel in the form from which histories are gathered quickly: each row is scaled once.

    Args:
        panel: The panel.
        statistics: What `Statistics.of` learned.
        calendars: Features of each date; none for rows without dates.
        layout: The rows that a network sees.
        horizon: The rows to forecast, at least those of the layout.
    """

    def __init__(
        self,
        panel: Panel,
        statistics: Statistics,
        calendars: list[Calendar],
        layout: Layout,
        horizon: int,
    ) -> None:
        self.layout, self.horizon = layout, horizon
        self.panel = panel = panel.with_horizon(horizon)
        self.values = observed_values(panel)
        self.clock = clock_of_dates(panel.dates, panel, calendars)
        self._past = scaled(panel.past, statistics.past)
        self._future = scaled(panel.future, statistics.future)
        self._static = scaled(panel.static, statistics.static)
        self._numbers, self._deviations = statistics.series_of(panel.ids)

    def gather(self, origins: Array) -> History:
        """Return the histories of origins.

        Args:
            origins: (B,) rows of the panel.
        """
        reach, lookback, ahead = self.layout.reach, self.layout.lookback, self.horizon
        series = np.searchsorted(self.panel.starts, origins, side="right") - 1
        first = self.panel.starts[series][:, None]
        rows = origins[:, None] + np.arange(-reach, ahead)
        inside = rows >= first
        rows = np.maximum(rows, first)
        inside[:, reach:] = False
        values = np.where(inside, self.values[rows], np.nan)
        near = rows[:, reach - lookback :]
        latest = np.minimum(near, np.maximum(origins[:, None] - 1, first))
        return History(
            values,
            self.clock[near],
            self._past[latest],
            self._future[rows],
            self._static[series],
            self._deviations[series],
            self._numbers[series],
        )

    def rows_of(self, panel: Panel, rows: Array) -> Array:
        """Return rows of the panel that was passed, which may have other rows after the last targets, as rows here."""
        series = np.searchsorted(panel.starts, rows, side="right") - 1
        return np.asarray(self.panel.starts[series] + rows - panel.starts[series])

    def targets(self, origins: Array) -> Array:
        """Return the targets (B, H) from origins on, NaN where they are unknown."""
        return np.asarray(self.values[origins[:, None] + np.arange(self.horizon)])


def latest_history(
    panel: Panel,
    statistics: Statistics,
    calendars: list[Calendar],
    layout: Layout,
    series: slice = EVERY,
) -> History:
    """Return the history from which the rows after the last targets are forecast, of one window for each series.

    It is what `Source.gather` returns for these origins, at the cost of the rows that are seen.

    Args:
        panel: The panel, with all that is known in advance.
        statistics: What `Statistics.of` learned.
        calendars: Features of each date; none for rows without dates.
        layout: The rows that a network sees.
        series: Some of the series.
    """
    reach, lookback, ahead = layout.reach, layout.lookback, layout.horizon
    first, ends = panel.starts[:-1][series, None], panel.starts[1:][series, None]
    origins = first + panel.lengths[series, None]
    before = origins + np.arange(-reach, 0)
    inside, rows = before >= first, np.maximum(before, first)
    observed = inside & ~panel.filled[rows, 0]
    values = np.full((len(rows), reach + ahead), np.nan)
    np.copyto(values[:, :reach], panel.target[rows, 0], where=observed)
    near = rows[:, reach - lookback :]
    dates = np.concatenate([panel.dates[near], panel.next_dates(ahead, series)], axis=1)
    last = rows[:, -1:]
    columns = panel.future.shape[1]
    future = np.zeros((len(rows), reach + ahead, columns), np.float32)
    if columns:
        later = origins + np.arange(ahead)
        there = later < ends
        later = scaled(panel.future[np.where(there, later, last)], statistics.future)
        future[:, :reach] = scaled(panel.future[rows], statistics.future)
        future[:, reach:] = np.where(there[..., None], later, 0)
    past = np.zeros((len(rows), lookback + ahead, panel.past.shape[1]), np.float32)
    if panel.past.shape[1]:
        past = scaled(panel.past[np.concatenate([near, np.repeat(last, ahead, axis=1)], axis=1)], statistics.past)
    numbers, deviations = statistics.series_of(panel.ids[series])
    return History(
        values,
        _clock_of_windows(dates, panel, calendars),
        past,
        future,
        scaled(panel.static[series], statistics.static),
        deviations,
        numbers,
    )


def _clock_of_windows(dates: Array, panel: Panel, calendars: list[Calendar]) -> Array:
    """The features of the calendar (B, T, C) of dates (B, T), which are mostly equal for all windows."""
    if len(dates) == 1 or (dates == dates[:1]).all():
        clock = clock_of_dates(dates[0], panel, calendars)
        return np.broadcast_to(clock, (len(dates), *clock.shape))
    return clock_of_dates(dates.reshape(-1), panel, calendars).reshape(*dates.shape, -1)


def observed_values(panel: Panel) -> Array:
    """Return the targets (R,) that the table of a panel had; NaN where they were filled."""
    return np.where(panel.observed, panel.target[:, 0], np.nan)


def histories(panel: Panel) -> dict[Any, Array]:
    """Return the targets (T,) of each series by its id, NaN where unknown."""
    values = observed_values(panel)
    ends = zip(panel.ids, panel.starts.tolist(), panel.lengths.tolist(), strict=False)
    return {each: values[start : start + length] for each, start, length in ends}


def clock_of_dates(dates: Array, panel: Panel, calendars: list[Calendar]) -> Array:
    """Return the features of the calendar (R, C) of dates (R,) of a panel."""
    if not calendars:
        return np.zeros((len(dates), 0), np.float32)
    if len(panel) == 1:
        every, places = dates, np.arange(len(dates))
    else:
        every, places = np.unique(dates, return_inverse=True)
    wall = to_wall_clock(every, panel.timezone) if panel.utc and panel.timezone else every
    features = np.concatenate([calendar(wall) for calendar in calendars], axis=-1)
    return np.asarray(features[places.reshape(-1)], np.float32)
