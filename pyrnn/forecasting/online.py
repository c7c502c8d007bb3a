"""`OnlineForecast`: one series as its rows arrive, each answered with the next forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.history import Source, clock_of_dates, scaled
from pyrnn.forecasting.outlook import look_ahead
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.forecasting.forecaster import Forecaster

Array = NDArray[Any]
DATED = 1024  # rows whose calendar is computed at once


class OnlineForecast:
    """The forecast of one series, updated with each new row; `Forecaster.stream` creates it.

    Each forecast equals that of `predict` on all rows so far. The networks read the lookback again, since its scale
    changes with each row, so a step costs one pass over the lookback and the horizon per member: about 0.6 ms for 2
    members, a lookback of 28 and a horizon of 14. Rows are neither stored nor checked beyond the last ones that a
    forecast looks at.

    Args:
        forecaster: A trained forecaster.
        series: The id of the series; None if there is one.
        future: A table with the columns that are known in advance, for the H rows after the last one of `fit`; None if
            there are no such columns.

    Raises:
        ValueError: If there is no such series, or `future` lacks rows.

    Example:
        >>> from pyrnn.forecasting import Forecaster
        >>> y = 10 + 5 * np.sin(2 * np.pi * np.arange(120) / 12)
        >>> online = Forecaster(horizon=3, season=12, epochs=1, members=1).fit(y).stream()
        >>> online.step(10.0).shape
        (3, 5)
        >>> online.median.shape
        (3,)
    """

    def __init__(self, forecaster: Forecaster, series: Any = None, future: Any = None) -> None:
        panel = forecaster._fitted()
        if series is None and len(panel) == 1:
            series = panel.ids[0]
        if series not in panel.ids:
            raise ValueError(
                f"series must be the id of one of the {len(panel)} series, such as {panel.ids[0]!r}, got "
                f"{shown(series)}"
            )
        self._forecaster, self._head, self._layout = forecaster, forecaster._head, forecaster.layout_
        self._networks, self._factors = forecaster.networks_, forecaster.factors_
        panel = (panel if future is None else extend(panel, future)).take([panel.ids.index(series)])
        forecaster._check_future(panel)
        self._panel = panel.latest(self._layout.reach)
        self._count = 0  # rows since fit
        source = Source(self._panel, forecaster.statistics_, forecaster.calendars_, self._layout, forecaster.horizon)
        self._history = source.gather(source.panel.starts[:-1] + source.panel.lengths)
        self._last = self._panel.next_dates(forecaster.horizon)[:, -1]
        self._clock = np.empty((0, 0))
        names = self._panel.names
        self._columns = {name: len(names[name]) for name in ("past", "future")}
        self._quantiles: Array | None = None

    def step(self, value: float, past: Any = None, future: Any = None) -> Array:
        """Take the next row and return the forecast of the rows after it.

        Args:
            value: The target; NaN if it is unknown.
            past: (P,) the past covariates of the row, in the order of the panel's columns.
            future: (Q,) the covariates known in advance of the last row to forecast, H rows later.

        Returns:
            The quantiles (H, K).

        Raises:
            ValueError: If covariates are missing or too many, or a number is infinite; nothing changes then.
        """
        rows = {"past": self._row("past", past), "future": self._row("future", future)}
        value = float(value)
        if np.isinf(value):
            raise ValueError(f"value must be finite, or NaN if it is unknown, got {value}")
        history, reach = self._history, self._layout.reach
        statistics = self._forecaster.statistics_
        history.values[:, : reach - 1] = history.values[:, 1:reach]
        history.values[:, reach - 1] = value
        self._count += 1
        history.clock[:, :-1] = history.clock[:, 1:]
        history.clock[:, -1] = self._next_clock()
        if len(rows["past"]):
            before = self._layout.lookback
            history.past[:, : before - 1] = history.past[:, 1:before]
            history.past[:, before - 1 :] = scaled(rows["past"], statistics.past)
        if len(rows["future"]):
            history.future[:, :-1] = history.future[:, 1:]
            history.future[:, -1] = scaled(rows["future"], statistics.future)
        self._quantiles = None
        return self.quantiles

    @property
    def quantiles(self) -> Array:
        """(H, K), the quantiles of the rows after the last one."""
        if self._quantiles is None:
            outlook = look_ahead(self._networks, self._head, self._history, self._layout).calibrated(
                self._factors, self._head.levels, self._forecaster.least_
            )
            self._quantiles = outlook.quantiles[0]
        return self._quantiles

    @property
    def median(self) -> Array:
        """(H,), the point forecasts of the rows after the last one."""
        return np.asarray(self.quantiles[:, self._forecaster._median])

    def _row(self, name: str, values: Any) -> Array:
        row = np.asarray([] if values is None else values, np.float64).reshape(-1)
        if len(row) != self._columns[name]:
            columns = ", ".join(map(repr, self._panel.names[name])) or "none"
            raise ValueError(f"{name} must have {self._columns[name]} numbers ({columns}), got {len(row)}")
        if np.isinf(row).any():
            raise ValueError(f"{name} must be finite, or NaN where it is unknown, got {shown(values)}")
        return row

    def _next_clock(self) -> Array:
        """The calendar of the last row to forecast; that of many rows is computed at once."""
        place = (self._count - 1) % DATED
        if not place:
            dates = self._panel.frequency.dates(self._last, np.arange(self._count, self._count + DATED))
            self._clock = clock_of_dates(dates, self._panel, self._forecaster.calendars_)
        return np.asarray(self._clock[place])
