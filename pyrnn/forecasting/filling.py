"""Missing values along time: found, named, and filled by the value before, by zero or by a straight line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import did_you_mean, shown

Floats = NDArray[np.float64]
WAYS = ("raise", "previous", "zero", "interpolate")


def check_ways(missing: Any, columns: list[Any]) -> None:
    """Check the argument `missing`.

    Args:
        missing: One of `WAYS`, or a dict from columns to them.
        columns: The columns that it may name.

    Raises:
        ValueError: If it is neither.
    """
    ways = list(missing.values()) if isinstance(missing, Mapping) else [missing]
    for way in ways:
        if not isinstance(way, str) or way not in WAYS:
            raise ValueError(f"missing must be one of {', '.join(map(repr, WAYS))}, got {shown(way)}")
    for name in missing if isinstance(missing, Mapping) else ():
        if name not in columns:
            raise ValueError(
                f"missing must name columns that are used, {', '.join(map(repr, columns))}, got {name!r} "
                f"{did_you_mean(name, map(str, columns))}".rstrip()
            )


def way_of(missing: str | Mapping[Any, str], column: Any) -> str:
    """Return how a column is filled.

    Args:
        missing: One of `WAYS`, or a dict from columns to them; columns that it lacks are not filled.
        column: The name of the column.

    Returns:
        One of `WAYS`.
    """
    return missing if isinstance(missing, str) else missing.get(column, "raise")


def previous(column: Floats, first: NDArray[np.int64]) -> Floats:
    """Return a column whose missing values are the values before them; those at the start of a series stay missing.

    Args:
        column: (R,) the rows of all series.
        first: (R,) the first row of the series of each row.

    Returns:
        (R,) the filled column.
    """
    rows = np.where(np.isnan(column), -1, np.arange(len(column)))
    last = np.maximum.accumulate(rows)
    return np.where(last >= first, column[np.maximum(last, 0)], np.nan)


def interpolated(column: Floats, first: NDArray[np.int64]) -> Floats:
    """Return a column whose missing values lie on a line between their neighbors, at the end of a series the last.

    Args:
        column: (R,) the rows of all series.
        first: (R,) the first row of the series of each row.

    Returns:
        (R,) the filled column; values at the start of a series stay missing.
    """
    before = previous(column, first)
    backwards = previous(column[::-1], len(column) - 1 - _last(first)[::-1])[::-1]
    rows, present = np.arange(len(column)), ~np.isnan(column)
    if not present.any():
        return column
    line = np.interp(rows, rows[present], column[present])
    return np.where(np.isnan(before), np.nan, np.where(np.isnan(backwards), before, line))


def _last(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last row of the series of each row, from the first."""
    _, starts, counts = np.unique(first, return_index=True, return_counts=True)
    return np.repeat(starts + counts - 1, counts)


def fill(column: Floats, first: NDArray[np.int64], way: str, category: bool) -> Floats:
    """Fill a column.

    Args:
        column: (R,) the rows of all series.
        first: (R,) the first row of the series of each row.
        way: "previous", "zero" or "interpolate".
        category: Whether the column says of each row if it has a category; no line is drawn between those.

    Returns:
        (R,) the filled column; with "previous" and "interpolate" missing values at the start of a series stay missing.
    """
    if way == "zero":
        return np.where(np.isnan(column), 0.0, column)
    return interpolated(column, first) if way == "interpolate" and not category else previous(column, first)
