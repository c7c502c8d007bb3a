"""`Forecast`: what a forecaster returns, as arrays, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.conformal import MEDIAN
from pyrnn.forecasting.frequency import Dates
from pyrnn.forecasting.moments import show, to_wall_clock
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.showing import to_frame
from pyrnn.validation import shown

Array = NDArray[Any]
SHOWN_ROWS, SHOWN_DIGITS = 10, 4
SMALLEST_DIFFERENCE = 1e-9  # between levels


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """Forecasts of N series, H steps ahead.

    Args:
        ids: The N values of the group column; ("all",) without groups.
        dates: (N, H), the dates of the forecasts; whole numbers for rows without dates.
        levels: The K levels of the quantiles, in increasing order with 0.5 among them.
        quantiles: (N, H, K), increasing along the last axis.
        mean: (N, H).
        names: The names of the columns of the group, the date and the target in the table.
        timezone: The time zone of the dates in the table, or None.
        utc: Whether `dates` are in UTC; otherwise they are the wall clock's.

    Example:
        >>> from pyrnn.forecasting import Forecaster
        >>> y = 10 + 5 * np.sin(2 * np.pi * np.arange(120) / 12)
        >>> forecaster = Forecaster(horizon=3, season=12, epochs=1, members=1)
        >>> forecast = forecaster.fit(y).predict()
        >>> forecast.median.shape, forecast.dates.tolist()
        ((1, 3), [[120, 121, 122]])
        >>> list(forecast.table())
        ['row', '0', 'q0.025', 'q0.1', 'q0.9', 'q0.975']
    """

    ids: tuple[Any, ...]
    dates: Dates
    levels: tuple[float, ...]
    quantiles: Array
    mean: Array
    names: tuple[tuple[str, ...], str, str]
    timezone: str | None = None
    utc: bool = False

    @property
    def median(self) -> Array:
        """(N, H), the point forecasts."""
        return np.asarray(self.quantiles[..., self.levels.index(MEDIAN)])

    def quantile(self, level: float) -> Array:
        """Return one quantile.

        Args:
            level: One of `levels`.

        Returns:
            (N, H).

        Raises:
            ValueError: If the forecaster has no such quantile.
        """
        for k, each in enumerate(self.levels):
            if abs(each - level) < SMALLEST_DIFFERENCE:
                return np.asarray(self.quantiles[..., k])
        raise ValueError(
            f"level must be one of the forecaster's quantiles, {', '.join(map(str, self.levels))}, got {shown(level)}: "
            "pass it to Forecaster(quantiles=...)"
        )

    def interval(self, coverage: float) -> tuple[Array, Array]:
        """Return the ends of the interval that covers a part of what may happen.

        Args:
            coverage: A number between 0 and 1, such as 0.8 for the interval from the 0.1 to the 0.9 quantile.

        Returns:
            Lower and upper ends, (N, H) each.

        Raises:
            ValueError: If the forecaster has no such quantiles.
        """
        return self.quantile((1 - coverage) / 2), self.quantile((1 + coverage) / 2)

    def table(self) -> dict[str, Any]:
        """Return the forecasts as columns: groups, date, median under the name of the target, other quantiles.

        Returns:
            Column to array of N * H rows, series by series. The dates are those of the wall clock of the time zone, so
            that an hour in which the clocks are put back occurs twice; `dates` and `frame` tell such hours apart.
        """
        groups, date, target = self.names
        dates = self.dates.reshape(-1)
        ahead = self.dates.shape[1]
        columns: dict[str, Any] = {}
        for place, name in enumerate(groups):
            values = [each[place] if len(groups) > 1 else each for each in self.ids]
            columns[name] = np.repeat(np.array(values), ahead)
        columns[date] = to_wall_clock(dates, self.timezone) if self.timezone and self.utc else dates
        columns[target] = self.median.reshape(-1)
        for level in self.levels:
            if level != MEDIAN:
                columns[f"q{level:g}"] = self.quantile(level).reshape(-1)
        return columns

    def frame(self) -> Any:
        """Return the table as a DataFrame of pandas, with dates in the time zone of the table of `fit`.

        Returns:
            N * H rows, series by series.

        Raises:
            ImportError: If pandas is not installed.
        """
        table = self.table()
        frame = to_frame(table | {self.names[1]: self.dates.reshape(-1)}, "Forecast.frame", "table()")
        if self.timezone is not None:
            dates = frame[self.names[1]].dt
            if self.utc:
                dates = dates.tz_localize("UTC").dt.tz_convert(self.timezone)
            else:  # days; the clock may skip a midnight, or show it twice
                twice = np.ones(len(frame), bool)
                dates = dates.tz_localize(self.timezone, nonexistent="shift_forward", ambiguous=twice)
            frame[self.names[1]] = dates
        return frame

    def cells(self, digits: int) -> Iterator[list[str]]:
        """Yield the rows of `table` as text.

        Args:
            digits: The significant digits of numbers.

        Yields:
            The fields of a row. A date that is not a day of its time zone has its offset from UTC.
        """
        table, date = self.table(), self.names[1]
        moments, timezone = self.dates.reshape(-1), self.timezone if self.utc else None
        for row, moment in enumerate(moments):
            yield [
                show(moment, timezone) if name == date else _text(column[row], digits) for name, column in table.items()
            ]

    def __repr__(self) -> str:
        table = self.table()
        count = len(next(iter(table.values())))
        rows = [list(table), *islice(self.cells(SHOWN_DIGITS), SHOWN_ROWS)]
        widths = [max(len(cells[place]) for cells in rows) for place in range(len(table))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) for cells in rows]
        if count > SHOWN_ROWS:
            lines.append(f"... {count} rows: {len(self.ids)} series, {self.dates.shape[1]} steps ahead")
        return "\n".join(lines)

    def plot(self, path: Any = None, history: Panel | None = None, series: Any = None) -> Any:
        """Plot forecasts with their intervals after the last rows of the history.

        Args:
            path: The image to write; None to write none.
            history: A panel with the rows before the forecasts, or None.
            series: The ids to plot; None for the first 4.

        Returns:
            The figure of matplotlib.

        Raises:
            ImportError: If matplotlib is not installed.
            ValueError: If there is no such series.
        """
        from pyrnn.forecasting.plots import plot_forecast

        return plot_forecast(self, path, history, series)


def _text(value: Any, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float | np.floating) else show(value)
