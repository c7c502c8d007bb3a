"""The step between the dates of a series: a fixed time, months, business days, or rows without dates.

A frequency numbers the dates of a series: `positions` turns dates into whole numbers and says which dates are on the
grid, `dates` turns numbers back. NumPy alone does it, so that a saved forecaster needs no pandas.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Dates = NDArray[Any]  # datetime64[us], or int64 for integer dates and rows
Kind = Literal["row", "time", "month", "business"]
MICROSECOND = "datetime64[us]"
SECOND = 1_000_000
DAY = 86_400 * SECOND
# The names that pandas uses too, largest first: a text is written with the first that divides the step.
TIME_UNITS = {"W": 7 * DAY, "D": DAY, "h": 3600 * SECOND, "min": 60 * SECOND, "s": SECOND, "ms": 1000, "us": 1}
OLDER_UNITS = {"H": "h", "T": "min", "S": "s", "L": "ms"}
# Months and the day of the month; 0 takes the day from the dates, LAST_DAY is the last of each month.
LAST_DAY = 31
MONTH_UNITS = {
    f"{letter}{edge}": (months, day)
    for letter, months in {"M": 1, "Q": 3, "Y": 12, "A": 12}.items()
    for edge, day in {"": 0, "S": 1, "E": LAST_DAY}.items()
}
# The days from one date to the next, if dates are that many months apart.
DAYS_OF_MONTHS = {1: (28, 31), 3: (89, 92), 6: (181, 184), 12: (365, 366)}
WEEKENDS_FOR_BUSINESS_DAYS = 2
ACCEPTED = "'h', '15min', 'D', 'W', 'B' (business days), 'MS' or 'ME' (months, dated by first or last day), 'QS', 'YS'"


@dataclass(frozen=True)
class Frequency:
    """The step between the dates of a series.

    Args:
        kind: "time" for a fixed time, "month", "business" for business days, "row" for integer dates and for rows
            without dates.
        step: The number of microseconds, months, business days or rows in one step.
        day: With kind "month", the day of the month, 31 for the last day; shorter months take their last day.

    Example:
        >>> from pyrnn.forecasting import Frequency
        >>> Frequency.parse("15min")
        Frequency(kind='time', step=900000000, day=0)
        >>> Frequency.parse("MS").dates(np.datetime64("2024-11-01"), np.arange(3)).astype("datetime64[D]").tolist()
        [datetime.date(2024, 11, 1), datetime.date(2024, 12, 1), datetime.date(2025, 1, 1)]
    """

    kind: Kind
    step: int
    day: int = 0

    @classmethod
    def parse(cls, frequency: Any) -> Frequency:
        """Return the frequency that a text, a time or a whole number means.

        Args:
            frequency: A text such as 'h', '15min', 'D', 'W', 'B', 'MS' or 'ME', a `timedelta` of Python or NumPy, a
                whole number for integer dates, or a `Frequency`.

        Returns:
            The frequency.

        Raises:
            ValueError: If it is none of these.
        """
        if isinstance(frequency, Frequency):
            return frequency
        if isinstance(frequency, datetime.timedelta | np.timedelta64):
            step = np.timedelta64(frequency).astype("timedelta64[us]").astype(int)
            if step > 0:
                return cls("time", int(step))
        elif isinstance(frequency, int | np.integer) and not isinstance(frequency, bool) and frequency > 0:
            return cls("row", int(frequency))
        elif isinstance(frequency, str):
            parts = re.fullmatch(r"(\d*)([A-Za-z]+?)(\d*)", frequency)
            if parts:
                count, unit, day = int(parts[1] or 1), OLDER_UNITS.get(parts[2], parts[2]), int(parts[3] or 0)
                if unit in TIME_UNITS and count and not parts[3]:
                    return cls("time", count * TIME_UNITS[unit])
                if unit == "B" and count and not parts[3]:
                    return cls("business", count)
                if unit in MONTH_UNITS and count and day <= LAST_DAY:
                    months, edge = MONTH_UNITS[unit]
                    return cls("month", count * months, edge or day)
            elif re.fullmatch(r"\d*[A-Z]+-\w+", frequency):
                raise ValueError(
                    f"frequency must have no anchor, the dates say it: write {frequency.split('-')[0]!r} for "
                    f"{frequency!r}"
                )
        raise ValueError(
            f"frequency must be a text such as {ACCEPTED}, a timedelta, or for integer dates a whole number above 0, "
            f"got {frequency!r}"
        )

    @property
    def text(self) -> str:
        """The frequency as a text that `parse` reads, such as 'D' or '15min'; of rows the step, such as '1'."""
        count, unit = self.step, ""
        if self.kind == "time":
            unit, size = next((unit, size) for unit, size in TIME_UNITS.items() if self.step % size == 0)
            count = self.step // size
        elif self.kind == "business":
            unit = "B"
        elif self.kind == "month":
            unit = {0: "M", 1: "MS", LAST_DAY: "ME"}.get(self.day, f"M{self.day}")
        return f"{'' if unit and count == 1 else count}{unit}"

    def positions(self, dates: Dates, origin: Dates) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Number dates from an origin.

        Args:
            dates: (T,) datetime64 or int64.
            origin: The date with number 0, one for all or (T,).

        Returns:
            The numbers (T,), and (T,) whether each date is on the grid. A date that is not has the number before it.
        """
        if self.kind in ("row", "time"):
            delta = (dates - origin).astype(np.int64)
            return delta // self.step, delta % self.step == 0
        day, origin_day = dates.astype("datetime64[D]"), origin.astype("datetime64[D]")
        on_grid = dates - day == origin - origin_day
        if self.kind == "business":
            delta = np.busday_count(origin_day, day)
            on_grid &= np.is_busday(day)
        else:
            month, first = day.astype("datetime64[M]"), origin_day.astype("datetime64[M]")
            delta = (month - first).astype(np.int64)
            on_grid &= day == _days_of(month, self.day)
        return delta // self.step, on_grid & (delta % self.step == 0)

    def dates(self, origin: Any, positions: NDArray[np.int64]) -> Dates:
        """Return the dates with given numbers.

        Args:
            origin: The date with number 0, one for all or of a shape that broadcasts with `positions`.
            positions: Whole numbers of any shape.

        Returns:
            The dates, datetime64[us] or int64 as the origin, in the shape of `positions`.
        """
        delta = np.asarray(positions, np.int64) * self.step
        if self.kind == "row":
            return np.asarray(np.asarray(origin, np.int64) + delta)
        start = np.asarray(origin).astype(MICROSECOND)
        if self.kind == "time":
            return np.asarray(start + delta.astype("timedelta64[us]"))
        day = start.astype("datetime64[D]")
        if self.kind == "business":
            return np.asarray(np.busday_offset(day, delta).astype(MICROSECOND) + (start - day))
        return np.asarray(_days_of(day.astype("datetime64[M]") + delta, self.day).astype(MICROSECOND) + (start - day))

    def with_day(self, dates: Dates) -> Frequency:
        """Return this frequency with the day of the month that dates have, if it lacks one.

        Args:
            dates: (T,) datetime64.

        Returns:
            A frequency whose `day` is set if its kind is "month".
        """
        if self.kind != "month" or self.day:
            return self
        day = dates.astype("datetime64[D]")
        month = day.astype("datetime64[M]")
        last = bool(np.all(day == _days_of(month, LAST_DAY)))
        number = LAST_DAY if last else int((day - month.astype("datetime64[D]")).astype(np.int64).max()) + 1
        return Frequency("month", self.step, number)


def _days_of(month: NDArray[Any], day: int) -> NDArray[Any]:
    """The dates of a day in months, the last of each month if it is shorter."""
    first = month.astype("datetime64[D]")
    last = (month + 1).astype("datetime64[D]") - 1
    return np.asarray(np.minimum(first + (day - 1), last))


def infer(dates: Dates, same_series: NDArray[np.bool_]) -> Frequency:
    """Return the frequency of most dates: the most frequent time between neighbors, months and business days included.

    Args:
        dates: (T,) ascending within each series.
        same_series: (T - 1,) whether a date and the next belong to one series.

    Returns:
        A frequency, on whose grid some dates may not be.

    Raises:
        ValueError: If no series has two dates.
    """
    steps = np.diff(dates)[same_series].astype(np.int64)
    if not len(steps):
        raise ValueError(f"frequency must be passed, since no series has two dates: one of {ACCEPTED}")
    sizes, counts = np.unique(steps, return_counts=True)
    step = int(sizes[np.argmax(counts)])
    if dates.dtype.kind == "i":
        return Frequency("row", step)
    if step == DAY and _weekends_passed(dates, same_series) >= WEEKENDS_FOR_BUSINESS_DAYS:
        return Frequency("business", 1)
    for months, (fewest, most) in DAYS_OF_MONTHS.items():
        if fewest * DAY <= step <= most * DAY:
            frequency = Frequency("month", months).with_day(dates)
            if np.all(frequency.positions(dates, dates[0])[1]):
                return frequency
    return Frequency("time", step)


def _weekends_passed(dates: Dates, same_series: NDArray[np.bool_]) -> int:
    """How many weekends lie between the dates, 0 if a date is in one."""
    days = dates.astype("datetime64[D]")
    if not np.all(np.is_busday(days)):
        return 0
    between = np.busday_count(days[:-1], days[1:], weekmask="Sat")
    return int(between[same_series].sum())
