"""`OnlineForecast`: one series as its rows arrive, each answered with the next forecast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.conformal import MEDIAN
from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.history import Source, clock_of_dates, scaled
from pyrnn.forecasting.inputs import make_inputs
from pyrnn.forecasting.moving import Members, Window
from pyrnn.forecasting.outlook import Outlook, look_ahead
from pyrnn.forecasting.usual import USUAL
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.forecasting.forecaster import Forecaster

Array = NDArray[Any]
DATED = 1024  # rows whose calendar is computed at once
NO_COVARIATES = np.zeros(0, np.float32)


class OnlineForecast:
    """The forecast of one series, updated with each new row; `Forecaster.stream` creates it.

    Each forecast equals that of `predict` on all rows so far, to rounding, since the networks read the whole lookback
    in its present scale. They do so in arrays that move on with the rows. A step of 2 members, a lookback of 28 and a
    horizon of 14 takes less than 0.1 ms. It takes up to ten times as long with a function as `model`, with
    strategy="recursive", and while the window has an unknown target. Rows are neither stored nor checked beyond the
    last ones that a forecast looks at. The weights and factors are those of the moment at which the stream began.

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
        self._head, self._layout = forecaster._head, forecaster.layout_
        self._networks, self._factors, self._least = forecaster.networks_, forecaster.factors_, forecaster.least_
        self._statistics, self._calendars = forecaster.statistics_, forecaster.calendars_
        panel = (panel if future is None else extend(panel, future)).take([panel.ids.index(series)])
        forecaster._check_future(panel)
        self._panel = panel.latest(self._layout.reach)
        self._count = 0  # rows since fit
        source = Source(self._panel, forecaster.statistics_, forecaster.calendars_, self._layout, forecaster.horizon)
        history = source.gather(source.panel.starts[:-1] + source.panel.lengths)
        self._window = Window(history, self._layout)
        self._members = None
        if all(network.name == USUAL for network in self._networks):
            self._members = Members(self._networks, int(history.numbers[0]))
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
        rows = [self._row(name, values) for name, values in (("past", past), ("future", future))]
        value = float(value)
        if math.isinf(value):
            raise ValueError(f"value must be finite, or NaN if it is unknown, got {value}")
        self._count += 1
        self._window.push(value, self._next_clock(), *rows)
        self._quantiles = None
        return self.quantiles

    @property
    def quantiles(self) -> Array:
        """(H, K), the quantiles of the rows after the last one."""
        if self._quantiles is None:
            outlook = self._look_ahead().calibrated(self._factors, self._head.levels, self._least)
            self._quantiles = outlook.quantiles[0]
        return self._quantiles

    @property
    def median(self) -> Array:
        """(H,), the point forecasts of the rows after the last one."""
        return np.asarray(self.quantiles[:, self._head.levels.index(MEDIAN)])

    def _look_ahead(self) -> Outlook:
        window, head = self._window, self._head
        if self._members is None or not window.is_known:
            inputs = make_inputs(window.history(), self._layout)
            return look_ahead(self._networks, head, inputs, self._layout)
        raw = self._members.raw(*window.read())
        base, scale = window.base[None], np.full((1, 1), window.scale)
        quantiles = np.add.reduce(head.quantiles(raw, base, scale)) / len(raw)
        return Outlook(quantiles[None], base, scale)

    def _row(self, name: str, values: Any) -> Array:
        """The covariates of a row, scaled."""
        if values is None and not self._columns[name]:
            return NO_COVARIATES
        row = np.asarray([] if values is None else values, np.float64).reshape(-1)
        if len(row) != self._columns[name]:
            columns = ", ".join(map(repr, self._panel.names[name])) or "none"
            raise ValueError(f"{name} must have {self._columns[name]} numbers ({columns}), got {len(row)}")
        if np.isinf(row).any():
            raise ValueError(f"{name} must be finite, or NaN where it is unknown, got {shown(values)}")
        return scaled(row, getattr(self._statistics, name))

    def _next_clock(self) -> Array:
        """The calendar of the last row to forecast; that of many rows is computed at once."""
        place = (self._count - 1) % DATED
        if not place:
            dates = self._panel.frequency.dates(self._last, np.arange(self._count, self._count + DATED))
            self._clock = clock_of_dates(dates, self._panel, self._calendars)
        return np.asarray(self._clock[place])
