"""The series that ``pyrnn demo`` forecasts: the bundled flights, or a column of a user's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.datasets import load_flights
from pyrnn.forecasting import panel, read_table
from pyrnn.forecasting.choices import choose_seasons
from pyrnn.forecasting.command import group_of
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.reading import ReadTable
from pyrnn.validation import did_you_mean

HARMONICS = 4
OPEN_HOURS = (6, 21)
WEEK = 168
Column = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """What to forecast and from what, one row per step."""

    target: str
    values: NDArray[np.float64]  # (T,)
    columns: NDArray[np.float64]  # (T, C), known once the row is over
    calendar: NDArray[np.float64]  # (T, D), known in advance
    usable: NDArray[np.bool_]  # (T,), rows worth forecasting
    season: int  # rows after which the pattern repeats
    naive: tuple[str, str]
    note: str
    dates: NDArray[Any] | None = None  # (T,) datetime64


def waves(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine and cosine of the first HARMONICS multiples of a phase (T,) in turns: (T, 2 * HARMONICS)."""
    angle = 2.0 * np.pi * phase[:, None] * np.arange(1, HARMONICS + 1)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def clock(moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Cycle of the day and the day of the week: (T, 2 * HARMONICS + 7)."""
    hours = moments.astype("datetime64[s]").astype(np.int64) / 3600.0
    # 1970-01-01 was a Thursday; Monday is column 0.
    weekday = (hours // 24 + 3).astype(np.int64) % 7
    return np.concatenate([waves(hours % 24 / 24), np.eye(7)[weekday]], axis=1)


def flight_series() -> Series:
    """The departures of the three airports together."""
    flights = load_flights()
    hour = flights.time.astype(np.int64) % 24
    total = flights.total.astype(np.float64)
    return Series(
        target="departures",
        values=total,
        columns=np.concatenate([total[:, None], flights.departures, flights.weather], axis=1),
        calendar=clock(flights.time),
        usable=(hour >= OPEN_HOURS[0]) & (hour <= OPEN_HOURS[1]) & (total > 0),
        season=WEEK,
        naive=("last value", "same hour a week before"),
        note=f"departures per hour from EWR, JFK and LGA together in 2013; the forecast covers the hours from "
        f"{OPEN_HOURS[0]} to {OPEN_HOURS[1]} o'clock with at least one departure",
        dates=flights.time,
    )


def csv_series(path: Path, target: str | None, season: int | None, say: Callable[[str], None] = print) -> Series:
    """A user's series: numeric columns are features, and a column of dates gives order, gaps and the calendar.

    Args:
        path: The file.
        target: The column to forecast; None for the only column of numbers.
        season: Rows after which the pattern repeats; None to choose it from the dates and values.
        say: Receives sentences about what was read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has no such column, the column is not numeric, there are several columns of numbers to
            choose from, or no season can be chosen.
    """
    table = read_table(path)
    for line in (table.described, *(f"note: {note}" for note in table.notes)):
        say(line)
    target = _target(path, table, target)
    columns, dates = _one_series(table, target, say)
    made = _steps(columns[target], dates, say)
    if dates is not None and made.has_dates:
        # A date that the file lacks has the values of the date before.
        rows = np.maximum(np.searchsorted(dates, made.dates, side="right") - 1, 0)
        columns = {name: column[rows] for name, column in columns.items()}
    values, observed = made.target[:, 0], made.observed
    if season is None:
        season = choose_seasons(made, np.where(observed, values, np.nan), None)[0]
        say(f"season of {season} row{'s' if season > 1 else ''}, chosen from the data")
    others = [column for name, column in columns.items() if name != target]
    return Series(
        target=target,
        values=values,
        columns=np.stack([values, *others], axis=1),
        calendar=clock(made.dates) if made.has_dates else waves(np.arange(len(values)) / season),
        usable=observed & (values != 0),
        season=season,
        naive=("last value", f"value {season} rows before"),
        note=f"{target} of {path.name}, {len(values)} rows; forecasts are for those neither 0 nor missing",
        dates=made.dates if made.has_dates else None,
    )


def _target(path: Path, table: ReadTable, target: str | None) -> str:
    """The column to forecast."""
    numeric = [name for name, column in table.items() if column.dtype.kind == "f" and np.isfinite(column).any()]
    if target is None and len(numeric) == 1:
        return numeric[0]
    if target is None:
        columns = ", ".join(map(repr, numeric)) or "none"
        raise ValueError(f"--target must name the column to forecast; columns of numbers in {path}: {columns}")
    if target not in table:
        raise ValueError(
            f"{path} has no column {target!r}, but {', '.join(map(repr, table))}; {did_you_mean(target, table)}".rstrip(
                "; "
            )
        )
    if target not in numeric or target == table.date:
        raise ValueError(f"column {target!r} of {path} is not numeric")
    return target


def _one_series(
    table: ReadTable, target: str, say: Callable[[str], None]
) -> tuple[dict[str, Column], NDArray[Any] | None]:
    """The numeric columns, filled, and the dates of one series in their order, from its first target to its last."""
    rows = np.arange(len(table[target]))
    dates: NDArray[Any] | None = None
    if table.date is not None:
        if (group := group_of(table, target)) is not None:
            ids, counts = np.unique(table[group].astype(str)[np.isfinite(table[target])], return_counts=True)
            largest = ids[np.argmax(counts)]
            say(f"note: {len(ids)} series by {group!r}, of which the demo takes the longest, {str(largest)!r}")
            rows = np.flatnonzero(table[group].astype(str) == largest)
        rows = rows[np.argsort(table[table.date][rows], kind="stable")]
        rows = rows[~np.isnat(table[table.date][rows])]
    finite = np.flatnonzero(np.isfinite(table[target][rows]))
    rows = rows[finite[0] : finite[-1] + 1] if len(finite) else rows[:0]
    if not len(rows):
        raise ValueError(f"column {target!r} has no values in rows with dates")
    if table.date is not None:
        dates = table[table.date][rows]
    columns = {
        name: column[rows]
        for name, column in table.items()
        if column.dtype.kind == "f" and np.isfinite(column[rows]).any()
    }
    return {name: column if name == target else _fill(column) for name, column in columns.items()}, dates


def _steps(values: Column, dates: NDArray[Any] | None, say: Callable[[str], None]) -> Panel:
    """The series with regular dates, or with rows that are numbered."""
    if dates is not None:
        try:
            made = panel({"date": dates, "target": values}, "target", date="date", missing="previous")
        except ValueError:  # says how to make them regular, which the demo does not need
            say("note: the dates are not regular, so each row counts as one step")
        else:
            for note in made.notes:
                say(f"note: {note}")
            return made
    return panel({"target": values}, "target", missing="previous")


def _fill(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column with gaps filled by the value before them; a gap at the start takes the first value."""
    finite = np.flatnonzero(np.isfinite(column))
    before = np.searchsorted(finite, np.arange(len(column)), side="right") - 1
    filled: NDArray[np.float64] = column[finite[np.maximum(before, 0)]]
    return filled
