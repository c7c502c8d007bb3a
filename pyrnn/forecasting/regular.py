"""Makes the rows of a table regular: checks dates, names and fills what is missing, and returns a `Panel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting import filling
from pyrnn.forecasting.frequency import DAY, Dates, Frequency, infer
from pyrnn.forecasting.moments import show, to_wall_clock
from pyrnn.forecasting.panel import Floats, Panel

MOST_FILLED = 20  # rows after filling for each row of the table, from LARGE_ENOUGH rows on
LARGE_ENOUGH = 10_000
SHOWN = 3  # dates in a message


@dataclass
class Rows:
    """The rows of a table, those of a series one below the other in the order of their dates."""

    ids: tuple[Any, ...]
    codes: NDArray[np.int64]  # (R,) ascending
    dates: Dates
    values: Floats  # (R, K + P + Q)
    static: Floats  # (R, S)
    order: NDArray[np.int64]  # (R,) the row of the table

    def select(self, rows: NDArray[Any]) -> None:
        """Keep some of the rows, or order them."""
        for name in ("codes", "dates", "values", "static", "order"):
            setattr(self, name, getattr(self, name)[rows])

    @property
    def starts(self) -> NDArray[np.int64]:
        """(N + 1,) the first row of each series, and R."""
        return np.searchsorted(self.codes, np.arange(len(self.ids) + 1))


def _such(count: int, noun: str = "date") -> str:
    """How many dates or values have the fault that a message describes: "3 such dates"."""
    return f"{count} such {noun}{'s' if count > 1 else ''}"


def _is_ordered(rows: Rows) -> bool:
    """Whether the rows of each series are one below the other already, in the order of their dates."""
    series, later = np.diff(rows.codes), rows.dates[1:] >= rows.dates[:-1]
    return bool(((series > 0) | ((series == 0) & later)).all())


class Regular:
    """Makes the rows regular, in place, and then a panel of them.

    Args:
        rows: The rows.
        names: The names of the columns of numbers by role.
        group: The names of the group columns.
        ways: For each column of `rows.values` how it is filled, its name, and whether it is a category.
    """

    def __init__(
        self,
        rows: Rows,
        names: Mapping[str, tuple[str, ...]],
        group: tuple[Any, ...],
        ways: list[tuple[str, str, bool]],
    ) -> None:
        self.rows, self.names, self.group, self.ways = rows, names, group, ways
        self.targets = len(names["target"])
        self.inputs = self.targets + len(names["past"])  # the first column of future covariates
        self.notes: list[str] = []
        self.zone: str | None = None  # of dates in UTC
        if not _is_ordered(rows):
            rows.select(np.lexsort((rows.dates, rows.codes)))

    def label(self, code: int) -> str:
        """What messages call a series."""
        return f"series {self.rows.ids[code]!r}" if self.group else "the series"

    def show(self, date: Any) -> str:
        """A date as text, on the wall clock of its time zone."""
        return show(date, self.zone)

    def regular(self, frequency: Any, timezone: str | None) -> tuple[Frequency, bool]:
        """Check the dates; return their frequency, and whether they stay in UTC."""
        self.zone, utc = timezone, timezone is not None
        self._check_duplicates()
        self._trim()
        resolved = self._frequency(frequency)
        if timezone is not None:
            # Days begin at the wall clock's midnight, so they last 23 to 25 hours in UTC; hours are regular in UTC.
            clock = to_wall_clock(self.rows.dates, timezone)
            days = bool(np.all(clock.astype("datetime64[D]") == clock)) and (
                frequency is None or resolved.kind != "time" or resolved.step % DAY == 0
            )
            if days or resolved.kind in ("month", "business"):
                self.rows.dates, self.zone, utc = clock, None, False
                resolved = self._frequency(frequency)
        self._check_grid(resolved)
        return resolved, utc

    def _frequency(self, frequency: Any) -> Frequency:
        rows = self.rows
        if frequency is None:
            return infer(rows.dates, np.diff(rows.codes) == 0)
        resolved = Frequency.parse(frequency)
        if (resolved.kind == "row") != (rows.dates.dtype.kind == "i"):
            kind = "whole numbers, which have" if rows.dates.dtype.kind == "i" else "dates, which lack"
            raise ValueError(f"frequency must fit the dates: they are {kind} a whole step, got {frequency!r}")
        return resolved.with_day(rows.dates)

    def _check_duplicates(self) -> None:
        rows = self.rows
        same = (np.diff(rows.codes) == 0) & (np.diff(rows.dates).astype(np.int64) == 0)
        if not same.any():
            return
        first = int(np.flatnonzero(same)[0])
        series, dates = self.label(rows.codes[first]), np.unique(rows.dates[1:][same])
        advice = "add them up or take the mean of each date, for example with groupby"
        if not self.group:
            advice = f"pass group= if the table has several series, or {advice}"
        raise ValueError(
            f"{series} has 2 rows for {self.show(rows.dates[first])}, rows {rows.order[first]} and "
            f"{rows.order[first + 1]} of the table ({_such(len(dates))}): {advice}"
        )

    def _trim(self) -> None:
        """Drop rows before the first target, and rows after the last one that have no future covariates."""
        rows, starts = self.rows, self.rows.starts
        has_target = ~np.isnan(rows.values[:, : self.targets]).all(axis=1)
        counts = np.add.reduceat(has_target, starts[:-1], dtype=np.int64)
        if not counts.all():
            empty = int(np.flatnonzero(counts == 0)[0])
            raise ValueError(f"target must have a value in each series, but {self.label(empty)} has none: leave it out")
        position = np.arange(len(rows.codes))
        seen = np.cumsum(has_target)
        before = seen - np.repeat(np.concatenate([[0], seen])[starts[:-1]], np.diff(starts))
        begun, ended = before > 0, (before == counts[rows.codes]) & ~has_target
        covered = ~np.isnan(rows.values[:, self.inputs :]).all(axis=1) if self.names["future"] else np.zeros_like(begun)
        # The future ends with the last row that has a covariate.
        last_known = np.maximum.reduceat(np.where(covered, position, -1), starts[:-1])
        keep = begun & (~ended | (position <= last_known[rows.codes]))
        if keep.all():
            return
        code = int(rows.codes[~keep][0])
        dates = rows.dates[~keep & (rows.codes == code)]
        others = len(np.unique(rows.codes[~keep])) - 1
        self.notes.append(
            f"{self.label(code)} has {len(dates)} row{'s' if len(dates) > 1 else ''} before its first or after its "
            f"last target, which {'are' if len(dates) > 1 else 'is'} left out: {self.show(dates[0])}"
            + (f" to {self.show(dates[-1])}" if len(dates) > 1 else "")
            + (f" (and {others} other series too)" if others else "")
        )
        rows.select(keep)

    def _check_grid(self, frequency: Frequency) -> None:
        """Check that the dates of each series are a whole number of steps apart."""
        rows, starts = self.rows, self.rows.starts
        self.origin = rows.dates[starts[:-1]][rows.codes]
        self.positions, on_grid = frequency.positions(rows.dates, self.origin)
        if on_grid.all():
            return
        first = int(np.flatnonzero(~on_grid)[0])
        alone = np.flatnonzero(on_grid & (rows.codes == rows.codes[first]))
        before = rows.dates[alone[alone < first][-1]] if (alone < first).any() else rows.dates[first]
        step = f"a step of {frequency.text!r}" if rows.dates.dtype.kind == "M" else f"a step of {frequency.step}"
        count = int((~on_grid).sum())
        raise ValueError(
            f"{self.label(rows.codes[first])} has irregular dates: {self.show(rows.dates[first])} is not a whole "
            f"number of steps after {self.show(before)} with {step} ({_such(count)}); pass the right frequency=, round "
            f"the dates or resample the table"
        )

    def panel(
        self,
        frequency: Frequency,
        timezone: str | None,
        utc: bool,
        date: Any,
        arguments: Mapping[str, Any],
    ) -> Panel:
        """Fill what is missing and return the panel."""
        rows, starts = self.rows, self.rows.starts
        static = self._static()
        sizes = self.positions[starts[1:] - 1] + 1
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        gaps = int(offsets[-1]) - len(rows.codes)
        if gaps:
            self._check_gaps(frequency, gaps)
        values = np.full((offsets[-1], rows.values.shape[1]), np.nan)
        values[offsets[rows.codes] + self.positions] = rows.values
        codes = np.repeat(np.arange(len(sizes)), sizes)
        dates = frequency.dates(rows.dates[starts[:-1]][codes], np.arange(offsets[-1]) - offsets[codes])
        has_target = ~np.isnan(values[:, : self.targets]).all(axis=1)
        last = np.maximum.reduceat(np.where(has_target, np.arange(offsets[-1]), -1), offsets[:-1])
        history = np.arange(offsets[-1]) <= last[codes]
        absent = np.isnan(values)
        absent[~history, : self.inputs] = False
        filled = self._filled(values, absent, codes, offsets, dates, history)
        return Panel(
            ids=rows.ids,
            starts=offsets,
            lengths=last + 1 - offsets[:-1],
            dates=dates,
            target=filled[:, : self.targets],
            past=filled[:, self.targets : self.inputs],
            future=filled[:, self.inputs :],
            static=static,
            filled=absent[:, : self.inputs],
            frequency=frequency,
            timezone=timezone,
            utc=utc,
            names=self.names,
            group=self.group,
            date=date,
            arguments=arguments,
            notes=tuple(self.notes),
        )

    def _static(self) -> Floats:
        """(N, S) the static covariates, which must not change."""
        rows, starts = self.rows, self.rows.starts
        first = rows.static[starts[:-1]]
        changed = (rows.static != first[rows.codes]) & ~(np.isnan(rows.static) & np.isnan(first[rows.codes]))
        for wrong, text in ((changed, "stay the same"), (np.isnan(rows.static), "have a value")):
            if wrong.any():
                row, column = (int(each[0]) for each in np.nonzero(wrong))
                raise ValueError(
                    f"static must name columns that {text} in each series, but {self.names['static'][column]!r} of "
                    f"{self.label(rows.codes[row])} does not: {first[rows.codes[row], column]:g}, and on "
                    f"{self.show(rows.dates[row])} {rows.static[row, column]:g}"
                )
        return first

    def _check_gaps(self, frequency: Frequency, gaps: int) -> None:
        """Name the first missing dates, and raise unless they shall be filled."""
        rows = self.rows
        skipped = np.where(np.diff(rows.codes) == 0, np.diff(self.positions) - 1, 0)
        first = int(np.flatnonzero(skipped)[0])
        code = rows.codes[first]
        dates: list[Any] = []
        for row in np.flatnonzero((skipped > 0) & (rows.codes[:-1] == code))[:SHOWN]:
            count = min(int(skipped[row]), SHOWN)
            dates += list(frequency.dates(rows.dates[row], np.arange(1, count + 1)))
        here = int(skipped[rows.codes[:-1] == code].sum())
        named = ", ".join(self.show(each) for each in dates[:SHOWN]) + (", ..." if here > SHOWN else "")
        others = len(np.unique(rows.codes[:-1][skipped > 0])) - 1
        text = f"{self.label(code)} lacks {here} date{'s' if here > 1 else ''}: {named}"
        text += f" (and {others} other series lack {gaps - here})" if others else ""
        if len(rows.codes) + gaps > max(LARGE_ENOUGH, MOST_FILLED * len(rows.codes)):
            largest = int(np.argmax(skipped))
            raise ValueError(
                f"{self.label(rows.codes[largest])} lacks {skipped[largest]} dates between "
                f"{self.show(rows.dates[largest])} and {self.show(rows.dates[largest + 1])} with a step of "
                f"{frequency.text!r}: correct the dates or pass another frequency="
            )
        if any(way == "raise" for way, _, _ in self.ways):
            it = "them" if gaps > 1 else "it"
            raise ValueError(f'{text}; pass missing="previous", "interpolate" or "zero" to fill {it}')
        self.notes.append(f"{text}; filled")

    def _filled(
        self,
        values: Floats,
        absent: NDArray[np.bool_],
        codes: NDArray[np.int64],
        offsets: NDArray[np.int64],
        dates: Dates,
        history: NDArray[np.bool_],
    ) -> Floats:
        """The values with each column filled as asked."""
        in_table = np.zeros(len(codes), np.bool_)
        in_table[offsets[self.rows.codes] + self.positions] = True
        for column in np.flatnonzero(absent.any(axis=0)).tolist():
            way, name, category = self.ways[column]
            at = np.flatnonzero(absent[:, column])
            first = int(at[0])
            where = f"{name!r} of {self.label(codes[first])} on {self.show(dates[first])}"
            values_missing = f"({_such(len(at), 'value')})"
            if way == "raise":
                raise ValueError(
                    f"each date must have a value, but {where} is missing {values_missing}; pass "
                    f'missing="previous", "interpolate" or "zero" to fill them'
                )
            filled = filling.fill(values[:, column], offsets[codes], way, category)
            left = np.flatnonzero(np.isnan(filled) & absent[:, column])
            if len(left):
                where = f"{name!r} of {self.label(codes[left[0]])} on {self.show(dates[left[0]])}"
                raise ValueError(
                    f"missing={way!r} must have a value to start from, but {where} comes before the first one; pass "
                    f'missing={{{name!r}: "zero", ...}} or leave the rows out'
                )
            if column < self.inputs:
                filled[~history] = np.nan
            values[:, column] = filled
            if count := int(in_table[at].sum()):
                first = int(at[in_table[at]][0])
                values_of = f"{count} missing value{'s' if count > 1 else ''} of {name!r}"
                self.notes.append(
                    f"{values_of} filled ({way}), the first of {self.label(codes[first])} on {self.show(dates[first])}"
                )
        return values
