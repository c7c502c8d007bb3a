"""Windows of series: what a model reads and what it forecasts, split by time without leaks.

`Windows` stores the rows of all series once and the first row of each window. Its arrays are made when they are asked
for: views as far as NumPy can, which is the case for one series.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.forecasting.building import panel
from pyrnn.forecasting.frequency import Dates
from pyrnn.forecasting.moments import as_date
from pyrnn.forecasting.panel import Panel
from pyrnn.typing import Anything, Size

Floats = NDArray[Any]


@dataclass(frozen=True, repr=False, eq=False)
class Windows:
    """Windows of the series of a panel: N windows of L rows from which the next H rows are forecast.

    Args:
        panel: The panel.
        firsts: (N,) the row of the panel with which each window begins.
        lookback: L, the rows that a model sees.
        horizon: H, the rows that it forecasts.
        dtype: The dtype of the arrays.

    Example:
        >>> from pyrnn.forecasting import windows
        >>> table = {"day": np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]"), "sales": np.arange(10.0)}
        >>> made = windows(table, "sales", lookback=4, horizon=2)
        >>> made.past.shape, made.y.shape
        ((5, 4, 1), (5, 2, 1))
        >>> made.past[0, :, 0].tolist(), made.y[0, :, 0].tolist()
        ([0.0, 1.0, 2.0, 3.0], [4.0, 5.0])
    """

    panel: Panel
    firsts: NDArray[np.int64]
    lookback: int
    horizon: int
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        # Converted once, not for each window.
        values = np.concatenate([self.panel.target, self.panel.past], axis=1).astype(self.dtype)
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_future", self.panel.future.astype(self.dtype))

    def __len__(self) -> int:
        return len(self.firsts)

    def __repr__(self) -> str:
        return f"Windows({len(self)} windows of {self.lookback} rows, forecasting {self.horizon}, of {self.panel!r})"

    def _rows(self, array: Floats, start: int, count: int) -> Floats:
        """(N, count, ...) the rows from `start` rows after the beginning of each window on."""
        firsts = self.firsts + start
        steps = np.diff(firsts)
        if len(firsts) and (not len(steps) or (steps[0] > 0 and (steps == steps[0]).all())):
            step = int(steps[0]) if len(steps) else 1
            view = np.lib.stride_tricks.sliding_window_view(array[firsts[0] :], count, axis=0)[::step][: len(firsts)]
            return np.moveaxis(view, -1, 1)
        return np.asarray(array[firsts[:, None] + np.arange(count)])

    @property
    def past(self) -> Floats:
        """(N, L, K + P) what is known up to the present: the targets first, then the past covariates."""
        return self._rows(self.__dict__["_values"], 0, self.lookback)

    @property
    def future(self) -> Floats:
        """(N, L + H, Q) the covariates that are known in advance, of the rows of the past and those to forecast."""
        return self._rows(self.__dict__["_future"], 0, self.lookback + self.horizon)

    @property
    def static(self) -> Floats:
        """(N, S) what does not change with time."""
        return np.asarray(self.panel.static[self.group].astype(self.dtype))

    @property
    def group(self) -> NDArray[np.int64]:
        """(N,) the number of the series of each window: its id is `panel.ids[number]`."""
        return np.searchsorted(self.panel.starts, self.firsts, side="right") - 1

    @property
    def y(self) -> Floats:
        """(N, H, K) the targets to forecast, also for one target; NaN where they are not known yet."""
        return self._rows(self.__dict__["_values"], self.lookback, self.horizon)[..., : self.panel.target.shape[1]]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(N, H) whether the table had all targets of each row to forecast; the others were filled."""
        return self._rows(self.panel.observed, self.lookback, self.horizon)

    @property
    def dates(self) -> Dates:
        """(N, H) the dates of the rows to forecast."""
        last = self.panel.dates[self.firsts + self.lookback - 1]
        return self.panel.frequency.dates(last[:, None], np.arange(1, self.horizon + 1)[None])

    def inputs(self) -> Any:
        """Return what a model reads, for `model.fit(windows.inputs(), windows.y)`.

        Returns:
            `past` alone, or if the panel has other covariates or groups a dict of those of `past`, `future`, `static`
            and `group` that it has, for a model whose inputs have these names.
        """
        arrays = {"past": self.past}
        if self.panel.names["future"]:
            arrays["future"] = self.future
        if self.panel.names["static"]:
            arrays["static"] = self.static
        if self.panel.group:
            arrays["group"] = self.group
        return arrays if len(arrays) > 1 else arrays["past"]

    def take(self, indices: Any) -> Windows:
        """Return some of the windows, without copying the series.

        Args:
            indices: Their numbers, a slice, or (N,) truth values.

        Returns:
            Windows of the same panel.
        """
        chosen = copy.copy(self)  # shares the converted arrays
        object.__setattr__(chosen, "firsts", self.firsts[indices])
        return chosen

    def split(self, *cuts: Any) -> tuple[Windows, ...]:
        """Split the windows by time, so that no target of a part was known to the part before it.

        All targets of the windows before a cut come before its date, all targets of those after it at the date or
        later. Windows whose targets are on both sides are left out. The past of a later window may contain targets of
        the part before, as it does when a model is in use.

        Args:
            *cuts: Dates in ascending order; or shares in (0, 1) of the dates with targets, such as 0.8.

        Returns:
            Windows before the first cut, between the cuts and after the last one.

        Raises:
            ValueError: If a cut is neither, the cuts are not ascending, or a part has no windows.

        Example:
            >>> from pyrnn.forecasting import windows
            >>> made = windows(np.arange(100.0), lookback=10, horizon=5)
            >>> [len(part) for part in made.split(0.8)]
            [68, 14]
        """
        if not cuts:
            raise ValueError("cuts must name at least one date or share, got none")
        dates = self.dates
        moments = [self._cut(cut, dates) for cut in cuts]
        if any(later <= earlier for earlier, later in itertools.pairwise(moments)):
            raise ValueError(f"cuts must ascend, got {', '.join(map(self.panel.show, moments))}")
        parts = []
        for begin, end in zip([None, *moments], [*moments, None], strict=True):
            inside = np.ones(len(self), np.bool_)
            inside &= True if begin is None else dates[:, 0] >= begin
            inside &= True if end is None else dates[:, -1] < end
            if not inside.any():
                where = " and ".join(
                    f"{word} {self.panel.show(cut)}"
                    for word, cut in (("from", begin), ("before", end))
                    if cut is not None
                )
                raise ValueError(
                    f"cuts must leave windows in each part, but none has all targets {where}: targets are from "
                    f"{self.panel.show(dates.min())} to {self.panel.show(dates.max())}"
                )
            parts.append(self.take(inside))
        return tuple(parts)

    def _cut(self, cut: Any, dates: Dates) -> Any:
        """The date of a cut."""
        if isinstance(cut, float | np.floating):
            if not 0 < cut < 1:
                raise ValueError(f"cuts must be dates or shares in (0, 1), got {cut}")
            every = np.unique(dates)
            return every[int(len(every) * cut)]
        return as_date(cut, self.panel.has_dates, self.panel.timezone, self.panel.utc)


@checked
def windows(
    data: Anything,
    target: Anything = None,
    *,
    lookback: Size,
    horizon: Size,
    past: Anything = (),
    future: Anything = (),
    static: Anything = (),
    group: Anything = None,
    date: Anything = None,
    frequency: Anything = None,
    missing: Anything = "raise",
    wide: Anything = False,
    step: Size = 1,
) -> Windows:
    """Make the windows of a table: L rows from which a model forecasts the next H.

    A window lies within one series. The last window of a series ends with its last target, and the others every `step`
    rows before it. Series shorter than L + H rows have none. With `missing="interpolate"`, windows whose past
    or targets end with a filled row are left out, since a line was drawn there to later values.

    Args:
        data: A table or a `Panel`, as for `panel`.
        target: The column to forecast, or a list of several.
        lookback: L, the number of rows that a model sees.
        horizon: H, the number of rows that it forecasts.
        past: Columns that are known up to the present.
        future: Columns that are known in advance.
        static: Columns that do not change with time.
        group: The column that says which series a row belongs to, or a list of columns.
        date: The column of dates.
        frequency: The step between dates, such as 'h' or 'D'.
        missing: What to do about missing dates and values: "raise", "previous", "interpolate" or "zero", or a dict
            from columns to these.
        wide: Whether each target is a series of its own.
        step: The number of rows from one window to the next.

    Returns:
        The windows, series by series, those of each series in the order of time.

    Raises:
        TypeError, ValueError: For what `panel` raises them, for a panel with arguments about its table, and if no
            series is long enough.

    Example:
        >>> from pyrnn.forecasting import windows
        >>> sales = {"shop": ["a"] * 5 + ["b"] * 5, "sales": np.arange(10.0)}
        >>> windows(sales, "sales", lookback=2, horizon=1, group="shop").y[..., 0].ravel().tolist()
        [2.0, 3.0, 4.0, 7.0, 8.0, 9.0]
    """
    if isinstance(data, Panel):
        passed = {"target": target, "past": past, "future": future, "static": static, "group": group, "date": date}
        named = [name for name, value in {**passed, "frequency": frequency}.items() if value not in (None, ())]
        if named or wide or missing != "raise":
            raise ValueError(
                f"data must be a table if columns are named, got a panel and {', '.join(named) or 'missing or wide'}: "
                f"the panel has its columns"
            )
        made = data
    else:
        made = panel(
            data, target, past, future, static, group=group, date=date, frequency=frequency, missing=missing, wide=wide
        )
    needed = lookback + horizon
    firsts = [
        np.arange(start + (length - needed) % step, start + length - needed + 1, step)
        for start, length in zip(made.starts.tolist(), made.lengths.tolist(), strict=False)
        if length >= needed
    ]
    if not firsts:
        raise ValueError(
            f"lookback + horizon must be at most {made.lengths.max()}, the rows of the longest series, got "
            f"{lookback} + {horizon}"
        )
    chosen = np.concatenate(firsts)
    if made.interpolates.any():
        complete = made.complete
        chosen = chosen[complete[chosen + lookback - 1] & complete[chosen + needed - 1]]
        if not len(chosen):
            raise ValueError("missing='interpolate' must leave windows that end with rows of the table, got none")
    return Windows(made, chosen, lookback, horizon)


@checked
def latest_windows(panel: Anything, *, lookback: Size, horizon: Size) -> Windows:
    """Return the last window of each series, from which the unknown future is forecast: `y` is NaN.

    Args:
        panel: A `Panel`, with the future covariates of the rows to forecast, if it has any.
        lookback: L, the number of rows that a model sees.
        horizon: H, the number of rows to forecast.

    Returns:
        One window for each series.

    Raises:
        ValueError: If a series has less than L rows, or its future covariates end before the last row to forecast.

    Example:
        >>> from pyrnn.forecasting import latest_windows, panel
        >>> latest_windows(panel(np.arange(9.0)), lookback=3, horizon=2).past[0, :, 0].tolist()
        [6.0, 7.0, 8.0]
    """
    made: Panel = panel
    short = np.flatnonzero(made.lengths < lookback)
    if len(short):
        raise ValueError(
            f"lookback must be at most the rows of each series, but {made.label(short[0])} has "
            f"{made.lengths[short[0]]}, got {lookback}"
        )
    # All series get H rows to forecast, also those whose covariates go further or that have none.
    padded = made.latest(lookback).with_horizon(horizon)
    lacking = np.argwhere(np.isnan(padded.future))
    if len(lacking):
        row, column = lacking[0].tolist()
        raise ValueError(
            f"future must have a value for each of the {horizon} rows to forecast, but that of "
            f"{made.names['future'][column]!r} is missing for {made.label(padded.codes[row])} on "
            f"{padded.show(padded.dates[row])}: pass the covariates of these dates"
        )
    return Windows(padded, padded.starts[:-1].copy(), lookback, horizon)
