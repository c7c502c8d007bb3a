"""Moments in time: dates as text, dates in the form of a panel's, and the wall clocks of time zones."""

from __future__ import annotations

import datetime
import re
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pyrnn.forecasting.frequency import MICROSECOND, Dates
from pyrnn.validation import shown

_FIXED = re.compile(r"(?:UTC)?([+-])(\d\d):?(\d\d)")
QUARTER = 900  # seconds; offsets of time zones change at whole quarters of an hour


def show(date: Any, timezone: str | None = None) -> str:
    """Return a date as text, without a time of midnight; a whole number as such.

    Args:
        date: A date of a panel.
        timezone: The time zone on whose wall clock a date in UTC is shown, with its offset, such as "2024-03-31
            03:00:00+02:00"; None to show the date as it is.

    Returns:
        The text, which `read_table` reads.
    """
    if not isinstance(date, np.datetime64):
        return str(date)
    clock = date if timezone is None else to_wall_clock(np.array([date]), timezone)[0]
    whole = clock.astype("datetime64[s]")
    text = str(whole if whole == clock else clock.astype(MICROSECOND)).replace("T", " ")
    if timezone is None:
        return text.removesuffix(" 00:00:00")
    return text + offset_text(int((clock - date) // np.timedelta64(1, "m")))


def offset_text(minutes: int) -> str:
    """Return an offset from UTC as text, such as "+05:30"."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def zone_of(timezone: str) -> datetime.tzinfo:
    """Return a time zone by its name, such as "Europe/Berlin", "UTC" or "UTC+02:00"."""
    fixed = _FIXED.fullmatch(timezone)
    if not fixed:
        return ZoneInfo(timezone)
    minutes = (int(fixed[2]) * 60 + int(fixed[3])) * (1 if fixed[1] == "+" else -1)
    return datetime.timezone(datetime.timedelta(minutes=minutes))


def is_fixed(timezone: str) -> bool:
    """Return whether a time zone is an offset from UTC that never changes."""
    return timezone == "UTC" or _FIXED.fullmatch(timezone) is not None


def as_date(date: Any, has_dates: bool, timezone: str | None, utc: bool) -> Any:
    """Return a date in the form of a panel's dates.

    Args:
        date: Text, `datetime`, a timestamp of pandas or datetime64; a whole number if the panel's dates are. Without a
            time zone it is what the wall clock of the panel's time zone shows.
        has_dates: Whether the panel's rows have dates.
        timezone: The panel's time zone.
        utc: Whether the panel's dates are in UTC.

    Returns:
        datetime64[us] or int64.

    Raises:
        ValueError: If it is none of these.
    """
    if not has_dates:
        if not isinstance(date, int | np.integer) or isinstance(date, bool):
            raise ValueError(f"date must be a whole number, since the series have no dates, got {shown(date)}")
        return np.int64(date)
    if getattr(date, "tzinfo", None) is not None:
        moment = np.datetime64(date.astimezone(datetime.timezone.utc).replace(tzinfo=None), "us")
        return moment if utc or timezone is None else to_wall_clock(np.array([moment]), timezone)[0]
    try:
        moment = np.datetime64(getattr(date, "asm8", date), "us")
    except (ValueError, TypeError) as error:
        raise ValueError(f"date must be a date or a text such as '2024-03-31', got {shown(date)}") from error
    if np.isnat(moment) or isinstance(date, int | np.integer):
        raise ValueError(f"date must be a date or a text such as '2024-03-31', got {shown(date)}")
    if utc and timezone is not None:
        return moment - (to_wall_clock(np.array([moment]), timezone)[0] - moment)
    return moment


def to_wall_clock(dates: Dates, timezone: str) -> Dates:
    """Return dates in UTC as the wall clock of a time zone shows them.

    Args:
        dates: (T,) datetime64, in UTC.
        timezone: A name such as "Europe/Berlin" or "UTC+02:00".

    Returns:
        (T,) datetime64[us].
    """
    zone = zone_of(timezone)
    if is_fixed(timezone):
        return np.asarray(dates + np.timedelta64(zone.utcoffset(None) or datetime.timedelta(0)))
    seconds = dates.astype("datetime64[s]").astype(np.int64)
    quarters, inverse = np.unique(seconds // QUARTER, return_inverse=True)
    moments = (datetime.datetime.fromtimestamp(int(quarter) * QUARTER, zone) for quarter in quarters)
    offsets = [moment.utcoffset() or datetime.timedelta(0) for moment in moments]
    return np.asarray(dates + np.array(offsets, "timedelta64[us]")[inverse.reshape(-1)])
