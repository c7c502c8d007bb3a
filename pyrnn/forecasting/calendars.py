"""Features of the calendar: the hour, the weekday, the month and holidays, known for every date in advance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.forecasting.frequency import DAY, MICROSECOND, SECOND, Dates, Frequency
from pyrnn.forecasting.moments import to_wall_clock
from pyrnn.forecasting.panel import Panel
from pyrnn.typing import Anything, Size
from pyrnn.validation import WrongType, shown

Floats = NDArray[np.float64]
HOUR = 3600 * SECOND
YEAR_DAYS = 366
# How many values each has; the hour has fractions too.
CYCLES = {"hour": 24, "weekday": 7, "day": 31, "day_of_year": YEAR_DAYS, "month": 12}
MONDAY = 3  # days from the Monday before 1970-01-01 to it
WAVES = ("sin", "cos")
HOLIDAY = "holiday"
Encoding = Annotated[str, rules.OneOf("waves", "one_hot")]


@dataclass(frozen=True)
class Calendar:
    """Features of dates: for each cycle sine and cosine, or one column of zeros and ones for each value.

    Args:
        cycles: Some of "hour" (minutes count as fractions), "weekday", "day" (of the month), "day_of_year" and "month".
        encoding: "waves" for sine and cosine of the place in the cycle, "one_hot" for one column for each value.
        harmonics: With "waves", the number of multiples of each cycle.
        holidays: Name to dates; each name has a column that is 1 on its dates.

    Example:
        >>> from pyrnn.forecasting import Calendar
        >>> calendar = Calendar(("weekday",), encoding="one_hot", holidays={"easter": ("2024-03-31",)})
        >>> calendar(np.array(["2024-03-30", "2024-03-31"], "datetime64[D]")).astype(int).tolist()
        [[0, 0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 1]]
    """

    cycles: tuple[str, ...]
    encoding: str = "waves"
    harmonics: int = 1
    holidays: Mapping[str, tuple[str, ...]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        names: list[str] = []
        for cycle in self.cycles:
            if self.encoding == "waves":
                orders = range(1, self.harmonics + 1)
                names += [f"{wave}({cycle}{f' x {order}' if order > 1 else ''})" for order in orders for wave in WAVES]
            else:
                names += [f"{cycle}={value}" for value in range(CYCLES[cycle])]
        return (*names, *(self.holidays or {}))

    def __call__(self, dates: Dates) -> Floats:
        """Return the features of dates.

        Args:
            dates: datetime64 of any shape, on the wall clock.

        Returns:
            The features, (..., F) float64.
        """
        moments = np.asarray(dates).astype(MICROSECOND)
        parts: list[Floats] = [np.empty((*moments.shape, 0))]
        for cycle in self.cycles:
            place = _places(cycle, moments)
            if self.encoding == "waves":
                for order in range(1, self.harmonics + 1):
                    angle = 2 * np.pi * order * place / CYCLES[cycle]
                    parts += [np.sin(angle)[..., None], np.cos(angle)[..., None]]
            else:
                parts.append(np.eye(CYCLES[cycle])[place.astype(np.int64)])
        days = moments.astype("datetime64[D]")
        for each in (self.holidays or {}).values():
            parts.append(np.isin(days, np.array(each, "datetime64[D]"))[..., None].astype(np.float64))
        return np.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Returns:
            A dict that JSON can hold.
        """
        holidays = None if self.holidays is None else {name: list(days) for name, days in self.holidays.items()}
        return {
            "cycles": list(self.cycles),
            "encoding": self.encoding,
            "harmonics": self.harmonics,
            "holidays": holidays,
        }


def _places(cycle: str, moments: Dates) -> NDArray[Any]:
    """The place of each moment in a cycle, from 0 on."""
    days = moments.astype("datetime64[D]")
    if cycle == "hour":
        return np.asarray((moments - days).astype(np.int64) / HOUR)
    if cycle == "weekday":
        return np.asarray((days.astype(np.int64) + MONDAY) % CYCLES["weekday"])
    if cycle == "month":
        return np.asarray((moments.astype("datetime64[M]") - moments.astype("datetime64[Y]")).astype(np.int64))
    return np.asarray((days - days.astype("datetime64[M]" if cycle == "day" else "datetime64[Y]")).astype(np.int64))


@checked
def calendar(
    frequency: Anything = None,
    *,
    cycles: Anything = None,
    encoding: Encoding = "waves",
    harmonics: Size = 1,
    holidays: Anything = None,
) -> Calendar:
    """Return the calendar for series with a frequency.

    The default cycles: below a day "hour", "weekday" and "day_of_year"; of days "weekday", "day" and "day_of_year"; of
    weeks "day_of_year"; of months "month" unless a step is a year.

    Args:
        frequency: The step between dates, such as 'h', 'D' or 'MS'. It may be None if `cycles` are passed.
        cycles: The cycles, in place of the default.
        encoding: "waves" for sine and cosine of the place in the cycle, "one_hot" for one column for each value.
        harmonics: With "waves", the number of multiples of each cycle.
        holidays: Dates, or a dict from names to dates, for a column each that is 1 on these days.

    Returns:
        The calendar.

    Raises:
        TypeError, ValueError: For cycles that do not exist, integer dates, holidays that are no dates, and holidays
            with steps of more than a day, on whose dates they do not fall.

    Example:
        >>> from pyrnn.forecasting import calendar
        >>> calendar("D", holidays=["2024-12-25"]).names[-3:]
        ('sin(day_of_year)', 'cos(day_of_year)', 'holiday')
    """
    step = None if frequency is None else Frequency.parse(frequency)
    if cycles is None:
        if step is None or step.kind == "row":
            raise ValueError(f"frequency must be that of dates unless cycles are passed, got {shown(frequency)}")
        cycles = _cycles_of(step)
    if isinstance(cycles, str) or not isinstance(cycles, Iterable):
        raise WrongType(f"cycles must be a list of {', '.join(map(repr, CYCLES))}, got {shown(cycles)}")
    names = tuple(cycles)
    if wrong := [name for name in names if name not in CYCLES]:
        raise ValueError(f"cycles must be some of {', '.join(map(repr, CYCLES))}, got {shown(wrong[0])}")
    if (
        holidays is not None
        and step is not None
        and (step.kind == "month" or (step.kind == "time" and step.step > DAY))
    ):
        raise ValueError(
            f"holidays must come with steps of at most a day, got {step.text!r}: pass the number of holidays in each "
            f"step as a future covariate"
        )
    return Calendar(names, encoding, harmonics, None if holidays is None else _holidays(holidays))


def _cycles_of(step: Frequency) -> tuple[str, ...]:
    """The cycles that dates with a step go through."""
    if step.kind == "month":
        return ("month",) if step.step % CYCLES["month"] else ()
    if step.kind == "business" or step.step == DAY:
        return ("weekday", "day", "day_of_year")
    return ("hour", "weekday", "day_of_year") if step.step < DAY else ("day_of_year",)


def _holidays(holidays: Any) -> dict[str, tuple[str, ...]]:
    """Holidays as texts by name."""
    by_name = holidays if isinstance(holidays, Mapping) else {HOLIDAY: holidays}
    # The dict of the package holidays has the dates as keys.
    if isinstance(holidays, Mapping) and holidays and not all(isinstance(name, str) for name in holidays):
        by_name = {HOLIDAY: list(holidays)}
    result = {}
    for name, dates in by_name.items():
        values = [dates] if isinstance(dates, str) else list(dates) if isinstance(dates, Iterable) else None
        try:
            days = [str(np.datetime64(getattr(date, "asm8", date), "D")) for date in values or ()]
        except (TypeError, ValueError) as error:
            raise ValueError(f"holidays must be dates, or a dict from names to dates, got {shown(dates)}") from error
        if values is None or "NaT" in days or any(isinstance(date, int) for date in values):
            raise ValueError(f"holidays must be dates, or a dict from names to dates, got {shown(dates)}")
        result[str(name)] = tuple(sorted(days))
    return result


@checked
def add_calendar(panel: Anything, calendar: Anything, *, horizon: Size) -> Panel:
    """Return a panel with the features of the calendar among its future covariates, also for the rows to forecast.

    Args:
        panel: A `Panel` whose rows have dates.
        calendar: A `Calendar`.
        horizon: The number of rows H after the last target of each series.

    Returns:
        A panel with H rows after the last target of each series. Other future covariates are NaN where it lacked them.

    Raises:
        ValueError: If the rows have no dates.

    Example:
        >>> from pyrnn.forecasting import add_calendar, calendar, panel
        >>> days = np.arange("2024-01-01", "2024-01-08", dtype="datetime64[D]")
        >>> sales = panel({"day": days, "sales": np.ones(7)}, "sales")
        >>> with_days = add_calendar(sales, calendar("D", cycles=["weekday"]), horizon=3)
        >>> with_days[0].future.shape, with_days.names["future"]
        ((10, 2), ('sin(weekday)', 'cos(weekday)'))
    """
    made: Panel = panel
    if not made.has_dates:
        raise ValueError("panel must have dates for features of the calendar, got rows with whole numbers")
    longer = made.with_horizon(horizon)
    clock = to_wall_clock(longer.dates, made.timezone) if made.utc and made.timezone else longer.dates
    features: Calendar = calendar
    names = {**made.names, "future": (*made.names["future"], *features.names)}
    return replace(longer, names=names, future=np.concatenate([longer.future, features(clock)], axis=1))
