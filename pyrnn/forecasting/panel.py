"""`Panel`: the checked, regular form of a table of time series. The function `panel` makes one (`building`).

A panel stores the rows of all series one below the other, in the order of their dates and without gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.filling import previous
from pyrnn.forecasting.frequency import Dates, Frequency
from pyrnn.forecasting.moments import as_date, show

Floats = NDArray[np.float64]
EVERY = slice(None)  # series
_ROWS = ("dates", "target", "past", "future", "filled")  # the fields with one entry for each row


@dataclass(frozen=True, eq=False)
class Series:
    """One series of a panel; its arrays are views.

    Args:
        id: The value of the group column, a tuple of several; "all" without groups.
        dates: (T + E,) datetime64[us], or int64 for integer dates and rows without dates.
        target: (T, K) float64.
        past: (T, P) float64, covariates that are known up to the present.
        future: (T + E, Q) float64, covariates that are known in advance, also for the E rows after the last target.
        static: (S,) float64, what does not change with time.
        observed: (T,) whether the table had every target of the row; the others were filled.

    Example:
        >>> from pyrnn.forecasting import panel
        >>> sales = panel({"shop": ["a", "b", "a"], "sales": [3.0, 4.0, 5.0]}, "sales", group="shop")
        >>> [(series.id, series.target[:, 0].tolist()) for series in sales]
        [('a', [3.0, 5.0]), ('b', [4.0])]
    """

    id: Any
    dates: Dates
    target: Floats
    past: Floats
    future: Floats
    static: Floats
    observed: NDArray[np.bool_]


@dataclass(frozen=True, repr=False, eq=False)
class Panel:
    """Time series with regular dates, the rows of all series one below the other (R rows, N series).

    Args:
        ids: The N values of the group column, in the order in which they appear in the table; tuples of several
            columns; ("all",) without groups.
        starts: (N + 1,) the first row of each series, and R.
        lengths: (N,) the number of rows with targets. The rows after them have only dates and future covariates.
        dates: (R,) datetime64[us], or int64 for integer dates and rows without dates.
        target: (R, K) float64; NaN where a row comes after the last target.
        past: (R, P) float64, covariates that are known up to the present.
        future: (R, Q) float64, covariates that are known in advance.
        static: (N, S) float64.
        filled: (R, K + P) which targets and past covariates the table lacked, so that they were filled.
        frequency: The step between the dates.
        timezone: The name of their time zone, or None.
        utc: Whether `dates` are in UTC. Otherwise they are the wall clock's.
        names: The names of the columns of `target`, `past`, `future` and `static`, by these names.
        group: The names of the group columns, () without groups.
        date: The name of the column of dates, or None.
        arguments: The arguments of `panel` that read another table in the same way, in a form that JSON can hold:
            `panel(table, **made.arguments)`.
        notes: Sentences about what was filled or left out.

    Example:
        >>> from pyrnn.forecasting import panel
        >>> table = {"day": np.arange("2024-01-01", "2024-01-08", dtype="datetime64[D]"), "sales": np.arange(7.0)}
        >>> sales = panel(table, "sales")
        >>> sales.frequency.text, sales.lengths.tolist(), sales.target[:3, 0].tolist()
        ('D', [7], [0.0, 1.0, 2.0])
    """

    ids: tuple[Any, ...]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    dates: Dates
    target: Floats
    past: Floats
    future: Floats
    static: Floats
    filled: NDArray[np.bool_]
    frequency: Frequency
    timezone: str | None
    utc: bool
    names: Mapping[str, tuple[str, ...]]
    group: tuple[Any, ...]
    date: Any
    arguments: Mapping[str, Any]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        rows, (first, last) = int(self.lengths.sum()), (self.show(self.dates.min()), self.show(self.dates.max()))
        return f"Panel({len(self)} series, {rows} rows from {first} to {last}, frequency {self.frequency.text!r})"

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Series:
        """The series with a number."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be below {len(self)}, the number of series, got {index}")
        index %= len(self)
        first, last = int(self.starts[index]), int(self.starts[index + 1])
        past = slice(first, first + int(self.lengths[index]))
        return Series(
            self.ids[index],
            self.dates[first:last],
            self.target[past],
            self.past[past],
            self.future[first:last],
            self.static[index],
            np.asarray(~self.filled[past, : self.target.shape[1]].any(axis=1)),
        )

    def __iter__(self) -> Iterator[Series]:
        return (self[index] for index in range(len(self)))

    @property
    def has_dates(self) -> bool:
        """Whether the rows have dates, not whole numbers."""
        return self.dates.dtype.kind == "M"

    @property
    def codes(self) -> NDArray[np.int64]:
        """(R,) the number of the series of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def in_history(self) -> NDArray[np.bool_]:
        """(R,) whether a row has targets, and does not come after the last target of its series."""
        codes = self.codes
        return np.arange(len(codes)) - self.starts[codes] < self.lengths[codes]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(R,) whether the table had every target of a row."""
        return self.in_history & ~self.filled[:, : self.target.shape[1]].any(axis=1)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(R,) whether the table had every target and past covariate of a row."""
        return self.in_history & ~self.filled.any(axis=1)

    @property
    def interpolates(self) -> NDArray[np.bool_]:
        """(K + P,) whether missing values of a target or past covariate were filled by a line between neighbors."""
        missing = self.arguments["missing"]
        if isinstance(missing, str):
            return np.full(self.filled.shape[1], missing == "interpolate")
        categories = self.arguments["categories"]
        columns = [
            column
            for role in ("target", "past")
            for column in self.arguments[role]
            for _ in range(len(categories.get(column, "1")))
        ]
        return np.array([missing.get(column) == "interpolate" for column in columns], np.bool_)

    def show(self, date: Any) -> str:
        """Return a date of the panel as text, on the wall clock of its time zone.

        Args:
            date: A date in the form of `dates`.

        Returns:
            A text such as "2024-03-31" or "2024-03-31 03:00:00+02:00".
        """
        return show(date, self.timezone if self.utc else None)

    def label(self, index: int) -> str:
        """Return what messages call a series.

        Args:
            index: The number of the series.

        Returns:
            A text such as "series 'north'".
        """
        return f"series {self.ids[index]!r}" if self.group else "the series"

    def next_dates(self, count: int, series: slice = EVERY) -> Dates:
        """Return the dates after the last target of each series.

        Args:
            count: The number of dates H.
            series: Some of the series; by default all N.

        Returns:
            (N, H) dates.
        """
        last = self.dates[self.starts[:-1][series] + self.lengths[series] - 1]
        if len(last) > 1 and (last == last[0]).all():
            following = self.frequency.dates(last[:1, None], np.arange(1, count + 1)[None])
            return np.repeat(following, len(last), axis=0)
        return self.frequency.dates(last[:, None], np.arange(1, count + 1)[None])

    def until(self, date: Any) -> Panel:
        """Return the panel as it was before a date: later targets and past covariates are left out.

        Later future covariates stay, since they were known. Series that begin at the date or after it are left out.

        Args:
            date: The first date that is left out; a whole number if the dates are.

        Returns:
            A panel.

        Raises:
            ValueError: If no series begins before the date.
        """
        before = self.in_history & (self.dates < as_date(date, self.has_dates, self.timezone, self.utc))
        lengths = np.add.reduceat(before, self.starts[:-1], dtype=np.int64)
        if not lengths.any():
            raise ValueError(
                f"date must come after the first date of a series, {self.show(self.dates.min())}, got {date!r}"
            )
        return _shortened(self, lengths, before)

    def latest(self, rows: int) -> Panel:
        """Return the panel with the last targets of each series only, which is what a forecast needs.

        Args:
            rows: The number of rows with targets; shorter series stay whole.

        Returns:
            A panel, with the future covariates of these rows and of all later ones.
        """
        codes, position = self.codes, np.arange(len(self.dates))
        inside = position >= (self.starts[:-1] + np.maximum(self.lengths - rows, 0))[codes]
        return self._selected(inside, np.minimum(self.lengths, rows))

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Panel:
        """Return some of the series.

        Args:
            indices: The numbers of the series.

        Returns:
            A panel with these series in this order.
        """
        indices = np.asarray(indices, np.int64)
        rows = [np.arange(self.starts[index], self.starts[index + 1]) for index in indices]
        order = np.concatenate(rows) if rows else np.empty(0, np.int64)
        return replace(
            self,
            ids=tuple(self.ids[index] for index in indices),
            starts=np.concatenate([[0], np.cumsum([len(each) for each in rows])]).astype(np.int64),
            lengths=self.lengths[indices],
            static=self.static[indices],
            **{name: getattr(self, name)[order] for name in _ROWS},
        )

    def with_horizon(self, horizon: int) -> Panel:
        """Return the panel with as many rows after the last target of each series as a forecast has.

        Args:
            horizon: The number of rows H. Future covariates of rows that the panel lacks are NaN.

        Returns:
            A panel.
        """
        codes = self.codes
        after = np.arange(len(codes)) - (self.starts[:-1] + self.lengths)[codes]
        trimmed = self._selected(after < horizon, self.lengths)
        sizes = trimmed.lengths + horizon
        starts = np.concatenate([[0], np.cumsum(sizes)])
        codes = np.repeat(np.arange(len(self)), sizes)
        position = np.arange(starts[-1]) - starts[codes]
        present = position < np.diff(trimmed.starts)[codes]
        arrays: dict[str, Any] = {}
        for name in _ROWS[1:]:
            old = getattr(trimmed, name)
            arrays[name] = np.full((starts[-1], *old.shape[1:]), False if old.dtype == bool else np.nan, old.dtype)
            arrays[name][present] = old
        dates = np.empty(starts[-1], trimmed.dates.dtype)
        dates[present] = trimmed.dates
        first = trimmed.dates[trimmed.starts[:-1]][codes[~present]]
        dates[~present] = self.frequency.dates(first, position[~present])
        return replace(trimmed, starts=starts, dates=dates, **arrays)

    def _selected(self, inside: NDArray[np.bool_], lengths: NDArray[np.int64]) -> Panel:
        """The panel with some of the rows of each series."""
        counts = np.add.reduceat(inside, self.starts[:-1], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return replace(self, starts=starts, lengths=lengths, **{name: getattr(self, name)[inside] for name in _ROWS})


def _shortened(panel: Panel, lengths: NDArray[np.int64], before: NDArray[np.bool_]) -> Panel:
    """The panel with fewer rows with targets, and without series that have none."""
    values = np.concatenate([panel.target, panel.past], axis=1)
    values[~before] = np.nan
    first = panel.starts[:-1][panel.codes]
    for column in np.flatnonzero(panel.interpolates):
        # The line after the last value of the table leads to a later value: the last value takes its place.
        filled = panel.filled[:, column]
        last = np.maximum.reduceat(np.where(before & ~filled, np.arange(len(filled)), -1), panel.starts[:-1])
        values[before & (np.arange(len(filled)) > last[panel.codes]), column] = np.nan
        values[before, column] = previous(values[:, column], first)[before]
    count = panel.target.shape[1]
    cleared = replace(
        panel,
        lengths=lengths,
        target=values[:, :count],
        past=values[:, count:],
        filled=panel.filled & before[:, None],
    )
    if not panel.names["future"]:
        cleared = cleared._selected(before, lengths)
    return cleared if lengths.all() else cleared.take(np.flatnonzero(lengths))
