"""`Trained`: what a forecaster does with its networks once it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting import conformal, heads
from pyrnn.forecasting.building import panel as make_panel
from pyrnn.forecasting.calendars import Calendar
from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.history import Layout, Source, Statistics, histories
from pyrnn.forecasting.inputs import make_inputs
from pyrnn.forecasting.joining import join
from pyrnn.forecasting.moments import show
from pyrnn.forecasting.outlook import Outlook, look_ahead
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.parameters import Parameters
from pyrnn.forecasting.recursion import draw_paths
from pyrnn.forecasting.scores import seasonal_scale
from pyrnn.forecasting.settings import levels_of
from pyrnn.models import Model

Array = NDArray[Any]
BLOCK = 1024  # windows that are looked at together


class Trained(Parameters):
    """The attributes of a trained forecaster, and forecasts from origins of a panel.

    `Forecaster` documents the attributes.
    """

    layout_: Layout
    networks_: list[Model]
    factors_: Array
    history_: dict[str, list[float]]
    notes_: list[str]
    panel_: Panel
    statistics_: Statistics
    calendars_: list[Calendar]
    least_: float
    horizon: int
    head: str
    quantiles: Any
    frequency: Any
    missing: Any
    wide: Any

    @property
    def _head(self) -> heads.Head:
        return heads.make(self.head, levels_of(self.quantiles))

    @property
    def _median(self) -> int:
        return self._head.levels.index(conformal.MEDIAN)

    def _fitted(self) -> Panel:
        if not hasattr(self, "networks_"):
            raise RuntimeError("the forecaster is not trained: call fit(data) first")
        return self.panel_

    def _read(self, data: Any, arguments: Any = None) -> Panel:
        """A table as a panel, as the arguments say or as those of an earlier panel do."""
        if isinstance(data, Panel):
            return data
        if arguments is not None:
            return make_panel(data, **arguments)
        columns = {name: getattr(self, name) for name in ("target", "past", "future", "static", "group", "date")}
        return make_panel(data, **columns, frequency=self.frequency, missing=self.missing, wide=self.wide)

    def _continued(self, data: Any) -> Panel:
        """The rows of `fit`, continued by those of a table."""
        fitted = self._fitted()
        if data is None:
            return fitted
        return join(fitted, self._read(data, fitted.arguments), self.layout_.reach)

    def _source(self, panel: Panel) -> Source:
        return Source(panel, self.statistics_, self.calendars_, self.layout_, self.horizon)

    def _latest(self, panel: Panel) -> tuple[Source, Array]:
        """What is seen from the rows after the last ones, and these rows."""
        recent = panel.latest(self.layout_.reach)
        source = Source(recent, self.statistics_, self.calendars_, self.layout_, self.horizon, latest=True)
        return source, source.panel.starts[:-1] + source.panel.lengths

    def _outlook(self, source: Source, origins: Array) -> Outlook:
        parts = [
            look_ahead(self.networks_, self._head, source.gather(origins[first : first + BLOCK]), self.layout_)
            for first in range(0, len(origins), BLOCK)
        ]
        return Outlook(*(np.concatenate([getattr(each, name) for each in parts]) for name in vars(parts[0])))

    def _ahead(self, data: Any, future: Any) -> Panel:
        """The rows of `fit`, continued by those of a table, with all that is known in advance."""
        panel = self._continued(data)
        if future is not None:
            panel = extend(panel, future)
        self._check_future(panel)
        return panel

    def _paths(self, source: Source, origins: Array, paths: int, seed: int) -> Array:
        """Sample paths (N, P, H) from origins on."""
        parts = []
        for first in range(0, len(origins), BLOCK):
            inputs = make_inputs(source.gather(origins[first : first + BLOCK]), self.layout_)
            member_seeds = [_mixed(seed, first, member) for member in range(len(self.networks_))]
            parts.append(draw_paths(self.networks_, self._head, inputs, self.layout_, paths, member_seeds))
        return np.asarray(np.maximum(np.concatenate(parts), self.least_))

    def _factors(self, source: Source, origins: Array) -> Array:
        outlook, targets = self._outlook(source, origins), source.targets(origins)
        panel = source.panel
        series = np.searchsorted(panel.starts, origins, side="right") - 1
        dates = np.unique(panel.dates, return_inverse=True)[1].reshape(-1)[origins]
        return conformal.calibrate(targets, outlook.quantiles, outlook.scale, self._head.levels, series, dates)

    def _check_future(self, panel: Panel) -> None:
        names = panel.names["future"]
        if not names:
            return
        ahead = panel.with_horizon(self.horizon)
        rows = ahead.starts[:-1, None] + ahead.lengths[:, None] + np.arange(self.horizon)
        unknown = np.isnan(ahead.future[rows])
        if unknown.any():
            series, step, column = np.argwhere(unknown)[0].tolist()
            raise ValueError(
                f"future must have {', '.join(map(repr, names))} for the {self.horizon} rows to forecast, but "
                f"{panel.label(series)} lacks {names[column]!r} on {show(ahead.dates[rows[series, step]])}: pass "
                "predict(future=table)"
            )

    def _negative_mase(self, later: Panel) -> float:
        """Minus the MASE of forecasts of later rows, from the first one and then every `horizon` rows."""
        panel = join(self._fitted(), later, self.layout_.reach)
        source = self._source(panel)
        added = panel.lengths - later.lengths
        origins = np.concatenate(
            [
                start + np.arange(first, length, self.horizon)
                for start, first, length in zip(source.panel.starts.tolist(), added, panel.lengths, strict=False)
            ]
        )
        medians = np.maximum(self._outlook(source, origins).quantiles[..., self._median], self.least_)
        series = np.searchsorted(source.panel.starts, origins, side="right") - 1
        season = self.layout_.season
        scales = {each: seasonal_scale(values, season) for each, values in histories(self.panel_).items()}
        units = np.array([scales.get(each, np.nan) for each in panel.ids])[series]
        ratio = np.abs(source.targets(origins) - medians) / units[:, None]
        finite = np.isfinite(ratio)
        if not finite.any():
            raise ValueError("data must have targets of series that fit received, got none")
        counts = finite.sum(axis=1)
        totals = np.bincount(series, np.where(finite, ratio, 0).sum(axis=1)), np.bincount(series, counts)
        return -float(np.mean(totals[0][totals[1] > 0] / totals[1][totals[1] > 0]))


def _mixed(*numbers: int) -> int:
    """One seed of 64 bits from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
