"""`read_table` reads any file of comma-separated values and says in one line what it found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.forecasting.datefields import DateColumn, as_dates
from pyrnn.forecasting.fields import Numbers, as_numbers, is_missing
from pyrnn.forecasting.showing import to_frame
from pyrnn.forecasting.texts import LOOKED_AT, SEPARATORS, TextTable, read_text
from pyrnn.typing import Anything, FilePath
from pyrnn.validation import did_you_mean

Column = NDArray[Any]
Order = Annotated[str, rules.OneOf("day", "month")]
Mark = Annotated[str, rules.OneOf(",", ".")]
FOOTER = 3  # rows at the end whose date may be a word such as "Total"
# Beginnings of names of columns whose numbers may be dates, such as 20240131 or 1706659200.
DATE_NAMES = ("date", "datum", "day", "tag", "time", "zeit", "year", "jahr", "ds", "timestamp", "fecha", "jour", "data")
# Names of columns of which each holds a part of a date.
PART_NAMES = {
    "year": ("year", "yr", "yyyy", "jahr", "ann\u00e9e", "annee", "a\u00f1o", "anno", "jaar"),
    "month": ("month", "mon", "mm", "monat", "mois", "mes", "mese", "maand"),
    "day": ("day", "dd", "mday", "day of month", "tag", "jour", "d\u00eda", "dia", "giorno", "dag"),
}
FEWEST_DATES, MOST_ODD = 10, 0.1  # different fields of a column of dates, and the part of them that may be none
HOUR_NAMES = ("hour", "hr", "stunde", "heure", "hora", "ora", "uur")
ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with a mark", "cp1252": "Windows-1252", "latin-1": "Latin-1"}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AaPp])\.?[Mm]\.?)?")
DECIMALS = {",": "decimal commas", ".": "decimal points"}


@dataclass(frozen=True, eq=False, repr=False)
class ReadTable(Mapping[str, Column]):
    """The columns of a file, for `panel`, `windows` and `Forecaster`.

    Args:
        columns: Name to column: float64, datetime64[us] for the column of dates, or objects for text, with None for
            what is missing.
        date: The name of the column of dates, or None.
        described: One line about what was found in the file.
        notes: Sentences about rows and columns that were left out or changed.
        timezone: The time zone of the dates, "UTC" or an offset such as "UTC+02:00", or None. The dates are those of
            its wall clock; forecasts have them too.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from pyrnn.forecasting import read_table
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "sales.csv"
        ...     _ = path.write_text("Datum;Umsatz\\n30.12.2023;1.234,50\\n31.12.2023;987,00\\n")
        ...     table = read_table(path)
        >>> print(table.described)
        sales.csv: 2 rows, UTF-8, separated by ';', decimal commas, 'Datum' as day.month.year
        >>> table["Umsatz"].tolist(), table["Datum"].astype("datetime64[D]").tolist()
        ([1234.5, 987.0], [datetime.date(2023, 12, 30), datetime.date(2023, 12, 31)])
    """

    columns: dict[str, Column]
    date: str | None
    described: str
    notes: tuple[str, ...]
    timezone: str | None = None

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return f"ReadTable({self.described})"

    def frame(self) -> Any:
        """Return the table as a DataFrame, with dates in the time zone of the file.

        Returns:
            A DataFrame of pandas.

        Raises:
            ImportError: If pandas is not installed.
        """
        frame = to_frame(self.columns, "ReadTable.frame", "columns")
        if self.date is not None and self.timezone is not None:
            frame[self.date] = frame[self.date].dt.tz_localize(self.timezone)
        return frame


@checked
def read_table(
    path: FilePath, *, date: Anything = None, order: Order | None = None, decimal: Mark | None = None
) -> ReadTable:
    """Read a file of comma-separated values: encoding, separator, decimal marks and dates are decided by its content.

    Numbers may have thousands separators, a currency or a percent sign. Dates may be ISO, have the day or the month
    first, names of months, times, time zones, or be months, quarters and weeks. Times with an offset from UTC
    are on its wall clock; if there are several offsets, on that of the latest time.

    Args:
        path: The file, which may be compressed by gzip.
        date: The name of the column of dates. By default the first column of dates.
        order: "day" or "month", what comes first in dates such as 3/4/2024. By default the data decide; if they do not,
            a note says so.
        decimal: "," or ".", the decimal mark of columns that can be read either way, such as 1.234. By default that of
            the other columns; if there are none, a note says so.

    Returns:
        The table.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError, ValueError: If the file is empty, no text or has rows of different length, or the column of dates
            does not exist or holds anything else in some rows.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from pyrnn.forecasting import read_table
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "heat.csv"
        ...     _ = path.write_text("time,heat\\n3/4/2024 10:00,20.5\\n3/4/2024 11:00,21\\n")
        ...     table = read_table(path, order="month")
        >>> table.date, table["time"][0].astype("datetime64[h]")
        ('time', np.datetime64('2024-03-04T10','h'))
    """
    source = Path(path)
    text = read_text(source)
    if date is not None and date not in text.columns:
        names = ", ".join(map(repr, text.columns))
        hint = did_you_mean(date, text.columns)
        raise ValueError(f"date must name a column of {source.name}, which has {names}, got {date!r} {hint}".rstrip())
    notes = list(text.notes)
    if date is None:
        _join_dates(text, notes)
    name, dates = _date_column(source, text, date, order, notes)
    if name is not None and dates is not None:
        _drop_without_date(text, name, dates, notes)
        dates = _with_times(text, name, dates, notes)
    numbers = {each: as_numbers(cells) for each, cells in text.columns.items() if each != name}
    mark = decimal or _decimal_mark(numbers, text.separator, notes)
    columns: dict[str, Column] = {}
    for each, cells in text.columns.items():
        read = numbers.get(each)
        if each == name and dates is not None:
            columns[each] = dates.dates
        elif read is not None:
            preferred, other = (read.comma, read.point) if mark == "," else (read.point, read.comma)
            columns[each] = preferred if preferred is not None else np.asarray(other)
        else:
            columns[each] = np.array([None if is_missing(cell) else cell for cell in cells], object)
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise ValueError(f"{source.name} must have rows with dates, got none")
    described = (
        f"{source.name}: {rows} row{'s' if rows > 1 else ''}, {ENCODINGS.get(text.encoding, text.encoding.upper())}"
    )
    described += f", separated by {SEPARATORS[text.separator]}" if text.separator else ", one column"
    if any(read is not None and read.decided in DECIMALS for read in numbers.values()):
        described += f", {DECIMALS[mark]}"
    if name is not None and dates is not None:
        described += f", {name!r} as {dates.form}" + (f" in {dates.zone}" if dates.zone else "")
    return ReadTable(columns, name, described, tuple(notes), None if dates is None else dates.timezone)


def _date_column(
    source: Path, text: TextTable, date: str | None, order: str | None, notes: list[str]
) -> tuple[str | None, DateColumn | None]:
    """The column of dates, by name or the first one, without words in its last rows."""
    for name, cells in text.columns.items():
        if date not in (None, name):
            continue
        digits = name == date or name.lower().startswith(DATE_NAMES)
        for footer in range(min(FOOTER, len(cells) - 1) + 1):
            rows = len(cells) - footer
            # At the end only words are left out: a wrong date is an error.
            if footer and any(character.isdigit() for character in cells[rows]):
                break
            dates = as_dates(cells[:rows], order=order, digits=digits)
            if dates is not None:
                if footer and any(cells[rows:]):
                    last = "last row" if footer == 1 else f"last {footer} rows"
                    notes.append(f"{last} left out, whose {name!r} is {cells[rows]!r}")
                for each in text.columns if footer else ():
                    text.columns[each] = text.columns[each][:rows]
                if dates.ambiguous:
                    notes.append(f"the order of day and month is not sure: {dates.ambiguous}; pass order= (--order)")
                return name, dates
    if date is not None:
        wrong = (cell for cell in text.columns[date] if cell and as_dates([cell], order=order, digits=True) is None)
        example = next(wrong, text.columns[date][0])
        raise ValueError(
            f"date must name a column of dates of one form, got {date!r} of {source.name} with {example!r}"
        )
    for name, cells in text.columns.items():
        _check_almost_dates(source, name, cells, order)
    return None, None


def _check_almost_dates(source: Path, name: str, cells: list[str], order: str | None) -> None:
    """Raise if a column that is no date column is one but for a few rows: they are errors of the table."""
    different = [cell for cell in dict.fromkeys(cells) if not is_missing(cell)]

    def odd(some: list[str]) -> list[str]:
        return [cell for cell in some if as_dates([cell], order=order) is None]

    begins = different[:LOOKED_AT]
    if len(begins) < FEWEST_DATES or len(odd(begins)) > MOST_ODD * len(begins):
        return
    wrong = odd(different)
    if len(wrong) > MOST_ODD * len(different):
        return
    if wrong:
        count = sum(cell in wrong for cell in cells)
        raise ValueError(
            f"{source.name} must have a date in each row of {name!r}, but {wrong[0]!r} is none: correct or remove "
            f"{'this row' if count == 1 else f'such rows, {count} of {len(cells)}'}"
        )
    first = different[0]
    other = next((cell for cell in different if as_dates([first, cell], order=order) is None), different[-1])
    raise ValueError(
        f"{source.name} must have dates of one form in {name!r}, got {first!r} and {other!r}: write all in one form"
    )


def _join_dates(text: TextTable, notes: list[str]) -> None:
    """Put one column of dates in the place of columns of years, months and days, if there is no other one."""
    names = {part: [name for name in text.columns if name.lower() in PART_NAMES[part]] for part in PART_NAMES}
    if any(len(names[part]) != 1 for part in ("year", "month")) or len(names["day"]) > 1:
        return
    parts = [name for each in names.values() for name in each]
    if any(as_dates(cells) is not None for name, cells in text.columns.items() if name not in parts):
        return
    days = text.columns[names["day"][0]] if names["day"] else ["1"] * len(text.columns[parts[0]])
    rows = zip(*(text.columns[name] for name in parts[:2]), days, strict=True)
    cells = ["-".join(row) for row in rows]
    if as_dates(cells) is None:
        return
    joined = "-".join(parts)
    rest = {name: column for name, column in text.columns.items() if name not in parts}
    text.columns.clear()
    text.columns.update({joined: cells, **rest})
    notes.append(f"dates taken from {' and '.join(map(repr, parts))}")


def _drop_without_date(text: TextTable, name: str, dates: DateColumn, notes: list[str]) -> None:
    """Leave out the rows that have no date."""
    present = ~np.isnat(dates.dates)
    if present.all():
        return
    count = int((~present).sum())
    notes.append(f"{count} row{'s' if count > 1 else ''} without {name!r} left out")
    dates.dates = dates.dates[present]
    for each, cells in text.columns.items():
        text.columns[each] = [cell for cell, keep in zip(cells, present, strict=True) if keep]


def _with_times(text: TextTable, name: str, dates: DateColumn, notes: list[str]) -> DateColumn:
    """Dates with the times of day of another column, if dates repeat and there is one."""
    days = dates.dates
    if len(np.unique(days)) == len(days) or (days != days.astype("datetime64[D]")).any():
        return dates
    for other, cells in text.columns.items():
        if other == name:
            continue
        clocks = [_CLOCK.fullmatch(cell) for cell in cells]
        if all(clocks):
            parts = [match.groups() for match in clocks if match is not None]
            seconds = [
                3600 * (int(hour) % 12 + 12 * (half in "pP") if half else int(hour))
                + 60 * int(minute)
                + int(second or 0)
                for hour, minute, second, half in parts
            ]
        elif other.lower().startswith(HOUR_NAMES) and all(cell.isdecimal() and int(cell) < 24 for cell in cells):
            seconds = [3600 * int(cell) for cell in cells]
        else:
            continue
        notes.append(f"times of day taken from {other!r}")
        del text.columns[other]
        joined = days + np.array(seconds, "timedelta64[s]")
        return DateColumn(joined, f"{dates.form} and time", dates.ambiguous, dates.zone, dates.timezone)
    return dates


def _decimal_mark(numbers: Mapping[str, Numbers | None], separator: str, notes: list[str]) -> str:
    """The decimal mark of columns that do not decide it themselves."""
    decided = [read.decided for read in numbers.values() if read is not None]
    counts = {mark: decided.count(mark) for mark in DECIMALS}
    if counts[","] != counts["."]:
        return "," if counts[","] > counts["."] else "."
    unsure = [name for name, read in numbers.items() if read is not None and read.decided == "?"]
    mark = "," if separator == ";" and unsure else "."
    if unsure:
        values = numbers[unsure[0]]
        array = None if values is None else values.comma if mark == "," else values.point
        example = "" if array is None else f", such as {array[np.isfinite(array)][0]:g}"
        notes.append(
            f"the decimal mark is not sure: {unsure[0]!r} is read with {DECIMALS[mark]}{example}; pass decimal= "
            "(--decimal)"
        )
    return mark
