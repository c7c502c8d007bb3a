"""What the command `pyrnn forecast` does: read a file, say what is used, train, and write the forecast."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pyrnn.files.atomic import replace_file
from pyrnn.forecasting.building import panel
from pyrnn.forecasting.forecast import Forecast
from pyrnn.forecasting.forecaster import Forecaster
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.reading import ReadTable, read_table
from pyrnn.forecasting.showing import text_table
from pyrnn.forecasting.tables import MOST_CATEGORIES, is_text
from pyrnn.validation import did_you_mean

HORIZON = 14
SHOWN_ROWS, SHOWN_SERIES = 60, 3
SHOWN_DIGITS, DIGITS = 4, 6
GROUPS_PER_DATE = 2
COLUMNS = ("past", "future", "static", "group")


@dataclass(frozen=True)
class Request:
    """What to forecast.

    Args:
        file: The CSV file.
        target: The column to forecast.
        horizon: The rows to forecast; None for those that have future covariates but no target, or else 14.
        group, past, future, static: Names of columns.
        date: The column of dates, or None.
        order: "day" or "month", what comes first in dates, or None.
        decimal: "," or ".", the decimal mark, or None.
        missing: How gaps are filled: "previous", "interpolate", "zero" or "raise".
        output: The CSV file to write, or None.
        plot: The picture to write, or None.
        options: Further arguments of `Forecaster`.
    """

    file: Path
    target: str
    horizon: int | None
    group: Sequence[str]
    past: Sequence[str]
    future: Sequence[str]
    static: Sequence[str]
    date: str | None
    order: str | None
    decimal: str | None
    missing: str
    output: Path | None
    plot: Path | None
    options: Mapping[str, Any]


def run(request: Request, say: Callable[[str], None] = print) -> Forecast:
    """Read, train, forecast, print the table and write the files.

    Args:
        request: What to forecast.
        say: Receives each line of the report.

    Returns:
        The forecast.

    Raises:
        TypeError, ValueError, OSError: For a file, columns or values that cannot be used.
        ImportError: If there is a picture to write and matplotlib is not installed.
    """
    for option, path in (("--output", request.output), ("--plot", request.plot)):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{option}: there is no folder {str(path.parent)!r}")
    if request.plot is not None and find_spec("matplotlib") is None:
        raise ImportError('--plot needs matplotlib: type `pip install ".[forecast]"`')
    table = read_table(request.file, date=request.date, order=request.order, decimal=request.decimal)
    say(table.described)
    for note in table.notes:
        say(f"note: {note}")
    roles = {name: list(getattr(request, name)) for name in COLUMNS} | {"target": [request.target]}
    _check(table, roles)
    guess = None if roles["group"] else group_of(table, request.target)
    roles["group"] += [guess] if guess else []
    say(_columns(table, roles, guess is not None))
    made = panel(
        table, request.target, roles["past"], roles["future"], roles["static"], group=roles["group"] or None,
        date=table.date, missing=request.missing,
    )  # fmt: skip
    say(f"{_count(len(made), 'series', 'series')} from {made.show(made.dates.min())} on, a step of {_step(made)}")
    for note in made.notes:
        say(f"note: {note}")
    forecaster = Forecaster(horizon=_horizon(request, made), **request.options).fit(made)
    for note in forecaster.notes_[len(made.notes) :]:
        say(note)
    forecast = forecaster.predict()
    say("")
    say(forecast_table(forecast))
    if request.output is not None:
        write_csv(forecast, request.output)
        say(f"\nforecast: {request.output}")
    if request.plot is not None:
        forecast.plot(request.plot, history=made)
        say(f"picture: {request.plot}")
    return forecast


def _count(count: int, noun: str, nouns: str) -> str:
    return f"{count} {noun if count == 1 else nouns}"


def _step(made: Panel) -> str:
    """The step between dates in words."""
    return repr(made.frequency.text) if made.has_dates else _count(made.frequency.step, "row", "rows")


def _horizon(request: Request, made: Panel) -> int:
    """The rows to forecast."""
    if request.horizon is not None:
        return request.horizon
    extra = int((np.diff(made.starts) - made.lengths).min()) if request.future else 0
    return extra or HORIZON


def _check(table: ReadTable, roles: Mapping[str, Sequence[str]]) -> None:
    """Check that the file has the columns, with the name of the option in the message."""
    for role, names in roles.items():
        for name in names:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise ValueError(
                    f"--{role}: there is no column {name!r}, but {', '.join(map(repr, table.columns))}"
                    + (f"; {hint}" if hint else "")
                )


def group_of(table: ReadTable, target: str) -> str | None:
    """Return the column that tells series apart, if dates repeat: the first of text, or else of whole numbers.

    Args:
        table: The table.
        target: The column to forecast.

    Returns:
        The name of the column, or None.
    """
    if table.date is None:
        return None
    dates = table[table.date].tolist()
    if len(set(dates)) == len(dates):
        return None
    # Most series have most dates, so that there are hardly more of them than rows of a date.
    most = GROUPS_PER_DATE * max(Counter(dates).values())
    free = [name for name in table.columns if name not in (table.date, target)]
    for name in sorted(free, key=lambda name: not is_text(table[name])):
        column = table[name]
        values = column.tolist()
        if is_text(column):
            if None in values:
                continue
        elif not np.array_equal(column, np.rint(column)) or len(set(values)) > most:
            continue
        if len(set(zip(dates, values, strict=True))) == len(dates):
            return name
    return None


def _columns(table: ReadTable, roles: Mapping[str, Sequence[str]], guess: bool) -> str:
    """One line that says which columns are used for what, and which are not, and why."""
    used = [f"target {roles['target'][0]!r}", f"date {table.date!r}" if table.date else "rows without dates"]
    for role in ("group", "past", "future", "static"):
        if roles[role]:
            used.append(f"{role} {', '.join(map(repr, roles[role]))}")
            used[-1] += ", since dates repeat" if role == "group" and guess else ""
    named = {table.date, *(name for names in roles.values() for name in names)}
    dropped = [f"{name!r} ({_reason(column)})" for name, column in table.columns.items() if name not in named]
    return f"columns: {'; '.join(used)}" + (f"; not used: {', '.join(dropped)}" if dropped else "")


def _reason(column: Any) -> str:
    """Why a column is not used."""
    different = set(column.tolist()) - {None} if is_text(column) else set(column[~np.isnan(column)].tolist())
    if len(different) <= 1:
        return "always the same"
    if is_text(column):
        return "text" if len(different) > MOST_CATEGORIES else "categories, not named"
    return "numbers, not named"


def forecast_table(forecast: Forecast) -> str:
    """Return the forecast as a table of text, the first series of many.

    Args:
        forecast: The forecast.

    Returns:
        Lines with columns for groups, date, median and the other quantiles.
    """
    count, ahead = forecast.dates.shape
    shown = min(max(1, min(SHOWN_SERIES, SHOWN_ROWS // ahead)), count)
    rows = min(shown * ahead, SHOWN_ROWS)
    left = {name: column.dtype.kind not in "fi" for name, column in forecast.table().items()}
    lines = text_table(left, islice(forecast.cells(SHOWN_DIGITS), rows))
    if rows < count * ahead:
        lines.append(f"... {count * ahead} rows in all: {count} series, {ahead} steps; --output writes them to a file")
    return "\n".join(lines)


def write_csv(forecast: Forecast, path: Path) -> None:
    """Write a forecast as a file of comma-separated values.

    Args:
        forecast: The forecast.
        path: The file, which is replaced as a whole. Hours of a time zone are written with their offset from UTC.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(forecast.table())
    writer.writerows(forecast.cells(DIGITS))
    replace_file(str(path), stream.getvalue().encode())
