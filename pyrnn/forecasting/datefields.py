"""Columns of text as dates: ISO, day or month first, names of months, weeks and quarters, times and time zones."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.fields import is_missing
from pyrnn.forecasting.frequency import MICROSECOND
from pyrnn.forecasting.moments import offset_text

Parts = tuple[int, int, int]  # year, month, day
Reading = Callable[[dict[str, Any]], Parts]  # of the groups of a match
CENTURY = 2000
TWO_DIGITS_UNTIL = 70  # of the 2000s, later ones of the 1900s
FIRST_YEAR, LAST_YEAR = 1800, 2200
SECONDS_DIGITS, MILLISECONDS_DIGITS = 10, 13
FIRST_SERIAL, LAST_SERIAL = 25569, 73051  # of spreadsheets: the days from 1899-12-30 to 1970 and to 2100
# Beginnings of the names of months in English, German, French, Spanish, Italian and Dutch, without accents.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan ene gen", "feb fev", "mar mrt maa mrz", "apr abr avr", "may mai mag mei", "jun juin giu",
            "jul juil lug", "aug ago aou", "sep set", "oct okt ott", "nov", "dec dez dic",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = r"(?P<name>[^\W\d_]{3,12})\.?"
_DAY_NAME = r"(?:[^\W\d_]{2,12}\.?,?\s+)?"
_TIME = (
    r"(?:[T ,]\s*(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_FORMS = {
    "week-year": r"(?:KW|CW|[Ww]eek|[Ww])\s*(?P<w>\d{1,2})[-/. ]+(?P<y>\d{4})",
    "year-month-day": r"(?P<y>\d{4})(?P<s>[-/. ])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})" + _TIME,
    "numbers": r"(?P<a>\d{1,2})(?P<s>[-/. ])(?P<b>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})" + _TIME,
    "day month year": _DAY_NAME
    + r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?[-/ ]*"
    + _MONTH
    + r"[-/, ]*(?P<y>\d{4}|\d{2})"
    + _TIME,
    "month day year": _DAY_NAME + _MONTH + r"[-/ ]*(?P<d>\d{1,2})(?:st|nd|rd|th)?,?[-/ ]+(?P<y>\d{4})" + _TIME,
    "year month day": r"(?P<y>\d{4})[-/ ]" + _MONTH + r"[-/ ](?P<d>\d{1,2})" + _TIME,
    "month year": _MONTH + r"[-/, ]*(?P<y>\d{4}|'?\d{2})",
    "year-month": r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})",
    "month-year": r"(?P<m>\d{1,2})[-/.](?P<y>\d{4})",
    "year-week": r"(?P<y>\d{4})[-/ ]?(?:KW|[Ww])(?P<w>\d{1,2})",
    "year-quarter": r"(?P<y>\d{4})[- ]?[Qq](?P<q>[1-4])",
    "quarter-year": r"[Qq](?P<q>[1-4])[-/ ]?(?P<y>\d{4})",
}
_PATTERNS = {name: re.compile(form) for name, form in _FORMS.items()}
_DECIMAL = re.compile(r"\d+(?:\.\d+)?")
DAY_SECONDS = 86400
_YEAR_MONTH_DAY = re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})")


@dataclass
class DateColumn:
    """What a column is as dates.

    Args:
        dates: datetime64[us], NaT for what is missing.
        form: What the dates look like, in words.
        ambiguous: A sentence if the data do not decide the order of day and month, or else "".
        zone: What became of time zones in words, or "".
        timezone: The time zone whose wall clock the dates are, such as "UTC" or "UTC+02:00", or None.
    """

    dates: NDArray[Any]
    form: str
    ambiguous: str = ""
    zone: str = ""
    timezone: str | None = None


def as_dates(cells: Sequence[str], *, order: str | None = None, digits: bool = False) -> DateColumn | None:
    """Return a column as dates.

    Args:
        cells: The fields.
        order: "day" or "month", what comes first where both are numbers; None to decide it by the data.
        digits: Whether numbers may be dates: 20240131, a year, seconds or milliseconds since 1970, or a spreadsheet's
            days since 1899-12-30.

    Returns:
        The dates, or None if the column holds anything else.
    """
    different = [cell for cell in dict.fromkeys(cells) if not is_missing(cell)]
    if not different:
        return None
    if digits and all(cell.isdecimal() for cell in different):
        return _from_digits(cells, different)
    if digits and all(_DECIMAL.fullmatch(cell) for cell in different):
        return _from_decimals(cells, different)
    for form, pattern in _PATTERNS.items():
        matches = [pattern.fullmatch(cell) for cell in different]
        if all(matches):
            groups = [match.groupdict() for match in matches if match is not None]
            return _from_groups(cells, different, groups, form, order)
    return None


def _from_digits(cells: Sequence[str], different: list[str]) -> DateColumn | None:
    """Dates written as one number."""
    sizes = {len(cell) for cell in different}
    if sizes == {4} and all(FIRST_YEAR <= int(cell) <= LAST_YEAR for cell in different):
        return DateColumn(_spread(cells, {cell: f"{cell}-01-01" for cell in different}), "years")
    if sizes == {8}:
        groups = [match.groupdict() for cell in different if (match := _YEAR_MONTH_DAY.fullmatch(cell))]
        return _from_groups(cells, different, groups, "yearmonthday", None)
    if all(FIRST_SERIAL <= int(cell) <= LAST_SERIAL for cell in different):
        first = datetime.date(1899, 12, 30)
        serials = {cell: (first + datetime.timedelta(days=int(cell))).isoformat() for cell in different}
        return DateColumn(_spread(cells, serials), "days since 1899-12-30, as in spreadsheets")
    for size, thousandths, unit in ((SECONDS_DIGITS, 1000, "seconds"), (MILLISECONDS_DIGITS, 1, "milliseconds")):
        if sizes == {size}:
            moments = {cell: str(np.datetime64(int(cell) * thousandths, "ms")) for cell in different}
            return DateColumn(_spread(cells, moments), f"{unit} since 1970")
    return None


def _from_decimals(cells: Sequence[str], different: list[str]) -> DateColumn | None:
    """Dates with times, written as a number with a fraction: days of a spreadsheet, or seconds since 1970."""
    numbers = [float(cell) for cell in different]
    if all(FIRST_SERIAL <= number <= LAST_SERIAL for number in numbers):
        since, unit, form = np.datetime64("1899-12-30", "s"), DAY_SECONDS, "days since 1899-12-30, as in spreadsheets"
    elif all(len(cell.partition(".")[0]) == SECONDS_DIGITS for cell in different):
        since, unit, form = np.datetime64("1970-01-01", "s"), 1, "seconds since 1970"
    else:
        return None
    # Fractions of a day are rounded to seconds, which is how they were written.
    moments = {cell: str(since + round(number * unit)) for cell, number in zip(different, numbers, strict=True)}
    return DateColumn(_spread(cells, moments), form)


def _from_groups(
    cells: Sequence[str], different: list[str], groups: list[dict[str, Any]], form: str, order: str | None
) -> DateColumn | None:
    """Dates of the parts that a pattern found in each."""
    ambiguous = ""
    parts: Reading = _parts
    if form == "numbers":
        choice = _order(groups, order)
        if choice is None:
            return None
        parts, form, ambiguous = choice
    try:
        moments = [_moment(parts(group), group) for group in groups]
        moments, zone, timezone = _one_clock(moments, [group.get("zone") for group in groups])
    except ValueError:
        return None
    texts = {cell: moment.isoformat() for cell, moment in zip(different, moments, strict=True)}
    return DateColumn(_spread(cells, texts), form, ambiguous, zone, timezone)


def _spread(cells: Sequence[str], moments: dict[str, str]) -> NDArray[Any]:
    """The date of each cell."""
    return np.array([moments.get(cell, "NaT") for cell in cells], MICROSECOND)


def _order(groups: list[dict[str, Any]], order: str | None) -> tuple[Reading, str, str] | None:
    """How to read numbers such as 3/4/2024: the reading, the order in names, and what is ambiguous."""
    first, second = (max(int(group[name]) for group in groups) for name in "ab")
    separator = groups[0]["s"]
    names = {name: separator.join([name, {"day": "month", "month": "day"}[name], "year"]) for name in ("day", "month")}
    readings = {"day": _day_first, "month": _month_first}
    if (first > 12 and second > 12) or (order == "month" and first > 12) or (order == "day" and second > 12):
        return None
    if order is not None or first > 12 or second > 12:
        name = order or ("day" if first > 12 else "month")
        return readings[name], names[name], ""
    regular = {name: _steps(groups, reading) for name, reading in readings.items()}
    fewest = min(regular.values())
    if regular["day"] != regular["month"]:
        name = min(regular, key=lambda each: regular[each])
        return readings[name], f"{names[name]} (the order with the most regular steps)", ""
    name = "month" if separator == "/" else "day"
    example = separator.join(groups[0][part] for part in "aby")
    return (
        readings[name],
        names[name],
        f"{example!r} may also be {names[{'day': 'month', 'month': 'day'}[name]]}" * (fewest > 0),
    )


def _steps(groups: list[dict[str, Any]], reading: Reading) -> int:
    """How many different steps there are between the dates in a reading; in months, if each is the first of one."""
    try:
        dates = {datetime.date(*reading(group)) for group in groups}
    except ValueError:
        return len(groups) + 1
    monthly = all(date.day == 1 for date in dates)
    places = sorted(12 * date.year + date.month if monthly else date.toordinal() for date in dates)
    return len(set(np.diff(places).tolist()))


def _year(text: str) -> int:
    digits = text.lstrip("'")
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + CENTURY - (0 if year < TWO_DIGITS_UNTIL else 100)


def _day_first(group: dict[str, Any]) -> Parts:
    return _year(group["y"]), int(group["b"]), int(group["a"])


def _month_first(group: dict[str, Any]) -> Parts:
    return _year(group["y"]), int(group["a"]), int(group["b"])


def _parts(group: dict[str, Any]) -> Parts:
    """Year, month and day of all other forms; the first day of months, quarters and weeks."""
    year = _year(group["y"])
    if group.get("w"):
        day = datetime.date.fromisocalendar(year, int(group["w"]), 1)
        return day.year, day.month, day.day
    if group.get("q"):
        return year, 3 * int(group["q"]) - 2, 1
    if group.get("name"):
        plain = unicodedata.normalize("NFKD", group["name"].casefold()).encode("ascii", "ignore").decode()
        number = MONTHS.get(plain[:4]) or MONTHS.get(plain[:3])
        if number is None:
            raise ValueError(group["name"])
        return year, number, int(group.get("d") or 1)
    return year, int(group["m"]), int(group.get("d") or 1)


def _moment(parts: Parts, group: dict[str, Any]) -> datetime.datetime:
    """A date with the time of day in a match."""
    hour = int(group.get("hour") or 0)
    if half := group.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    following = datetime.timedelta(days=1) if hour == 24 else datetime.timedelta(0)
    fraction = int((group.get("fraction") or "0").ljust(6, "0")[:6])
    time = (hour % 24, int(group.get("minute") or 0), int(group.get("second") or 0), fraction)
    return datetime.datetime(*parts, *time) + following


def _one_clock(
    moments: list[datetime.datetime], zones: list[str | None]
) -> tuple[list[datetime.datetime], str, str | None]:
    """Moments on one clock, with its time zone in words and by its name.

    It is the clock of the only offset from UTC, or of the latest moment's; days stay the days that the file names.
    """
    if not any(zones):
        return moments, "", None
    if not all(zones):
        raise ValueError("some without time zone")
    offsets = [_offset(str(zone)) for zone in zones]
    _, offset = max((moment - offset, offset) for moment, offset in zip(moments, offsets, strict=True))
    minutes = int(offset.total_seconds() // 60)
    timezone = f"UTC{offset_text(minutes)}" if minutes else "UTC"
    if len(set(offsets)) == 1:
        return moments, timezone, timezone
    if all(moment.time() == datetime.time(0) for moment in moments):
        return moments, "the wall clock's of several offsets", timezone
    on_clock = [moment - each + offset for moment, each in zip(moments, offsets, strict=True)]
    return on_clock, f"{timezone}, the last of several offsets", timezone


def _offset(zone: str) -> datetime.timedelta:
    if zone[0] not in "+-":
        return datetime.timedelta(0)
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return datetime.timedelta(minutes=-minutes if zone[0] == "-" else minutes)
