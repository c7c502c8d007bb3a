"""`Trained`: what a forecaster does with its networks once it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting import conformal, heads
from pyrnn.forecasting.building import panel as make_panel
from pyrnn.forecasting.calendars import Calendar
from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.history import Layout, Source, Statistics, histories, latest_history
from pyrnn.forecasting.inputs import Inputs, make_inputs
from pyrnn.forecasting.joining import join
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
    _ready: tuple[Array, list[Inputs]] | None = None  # what `_read_latest` returns of the panel of `fit`
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

    def _latest(self, data: Any, future: Any) -> tuple[Panel, Array, list[Inputs]]:
        """The panel after whose last rows a forecast begins, the dates of the forecast, and what is read of each block
        of its series.
        """
        panel = self._ahead(data, future)
        if panel is self.panel_ and self._ready is not None:
            return panel, *self._ready
        return panel, *self._read_latest(panel)

    def _read_latest(self, panel: Panel) -> tuple[Array, list[Inputs]]:
        layout = self.layout_
        blocks = []
        for first in range(0, len(panel), BLOCK):
            block = slice(first, first + BLOCK)
            history = latest_history(panel, self.statistics_, self.calendars_, layout, block)
            blocks.append(make_inputs(history, layout))
        return panel.next_dates(layout.horizon), blocks

    def _get_ready(self) -> None:
        """Read the last rows of `fit`, so that `predict` runs the networks alone."""
        is_known = not self.panel_.names["future"] and len(self.panel_) <= BLOCK
        self._ready = self._read_latest(self.panel_) if is_known else None

    def _outlook(self, blocks: Iterable[Inputs], head: heads.Head | None = None) -> Outlook:
        head = self._head if head is None else head
        parts = [look_ahead(self.networks_, head, inputs, self.layout_) for inputs in blocks]
        if len(parts) == 1:
            return parts[0]
        return Outlook(*(np.concatenate([getattr(each, name) for each in parts]) for name in vars(parts[0])))

    def _outlook_from(self, source: Source, origins: Array) -> Outlook:
        blocks = (origins[first : first + BLOCK] for first in range(0, len(origins), BLOCK))
        return self._outlook(make_inputs(source.gather(block), self.layout_) for block in blocks)

    def _ahead(self, data: Any, future: Any) -> Panel:
        """The rows of `fit`, continued by those of a table, with all that is known in advance."""
        panel = self._continued(data)
        if future is not None:
            panel = extend(panel, future)
        self._check_future(panel)
        return panel

    def _paths(self, blocks: list[Inputs], paths: int, seed: int) -> Array:
        """Sample paths (N, P, H) of the series of all blocks."""
        parts = []
        for number, inputs in enumerate(blocks):
            member_seeds = [_mixed(seed, number * BLOCK, member) for member in range(len(self.networks_))]
            parts.append(draw_paths(self.networks_, self._head, inputs, self.layout_, paths, member_seeds))
        return np.asarray(np.maximum(np.concatenate(parts), self.least_))

    def _factors(self, source: Source, origins: Array) -> Array:
        outlook, targets = self._outlook_from(source, origins), source.targets(origins)
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
                f"{panel.label(series)} lacks {names[column]!r} on {panel.show(ahead.dates[rows[series, step]])}: pass "
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
        medians = np.maximum(self._outlook_from(source, origins).quantiles[..., self._median], self.least_)
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
