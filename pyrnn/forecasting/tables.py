"""Any table as columns of NumPy: DataFrames and Series of pandas, DataFrames of polars, dicts, arrays.

Nothing here imports pandas: a table is recognized by its attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import WrongType, did_you_mean

MOST_CATEGORIES = 64
Column = NDArray[Any]


@dataclass
class Table:
    """The columns of a table.

    Args:
        columns: Name to column, as the table holds it.
        index: The dates in the index of a DataFrame, or None.
        index_name: The name of the index, or None.
        timezone: The time zone, a fixed offset, of all columns of dates that do not have one themselves, or None.
        rows: The number of rows.
    """

    columns: dict[Any, Any]
    index: Any = None
    index_name: Any = None
    timezone: str | None = None
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all columns of the table must have the same length, got {lengths}")
        self.rows = next(iter(lengths.values()), 0)
        if not self.rows:
            raise ValueError("the table must have at least one row and one column, got none")

    def __getitem__(self, name: Any) -> Column:
        """The column as an array of NumPy: numbers, datetime64, or Python's objects."""
        return as_column(self.columns[name])

    def check(self, argument: str, names: Iterable[Any]) -> None:
        """Check that the table has columns.

        Args:
            argument: What the message calls the argument with the names.
            names: The names.

        Raises:
            ValueError: If it lacks one.
        """
        for name in names:
            if name not in self.columns:
                hint = did_you_mean(name, [str(each) for each in self.columns])
                names_of_all = ", ".join(map(repr, self.columns))
                raise ValueError(
                    f"{argument} must name columns of the table, which are {names_of_all}, got {name!r}"
                    + (f"; {hint}" if hint else "")
                )


def as_table(data: Any) -> Table:
    """Return the columns of a table.

    Args:
        data: DataFrame or Series of pandas, DataFrame of polars, dict of columns, array (T,) or (T, C). The columns of
            an array are named 0, 1, ...

    Returns:
        The table.

    Raises:
        TypeError, ValueError: If it is none of these, or has no rows or two columns of one name.
    """
    if isinstance(data, Mapping):
        return Table(dict(data), timezone=getattr(data, "timezone", None))
    index = getattr(data, "index", None)
    index_name = None if callable(index) else getattr(index, "name", None)
    if getattr(getattr(index, "dtype", None), "kind", "") != "M" and not hasattr(index, "to_timestamp"):
        index = None  # numbers of rows, or a method of a list
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        names = list(data.columns)
        repeated = sorted({str(name) for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"the columns of the table must have different names, got {', '.join(repeated)} twice")
        return Table({name: data[name] for name in names}, index, index_name)
    if hasattr(data, "to_frame") and hasattr(data, "name"):  # a Series
        return Table({0 if data.name is None else data.name: data}, index, index_name)
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"the table must have rows of equal length: {error}") from error
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
        raise WrongType(
            f"the table must be a DataFrame, a dict of columns, or an array of numbers of shape (T,) or (T, C), got "
            f"{type(data).__name__} of shape {values.shape}"
        )
    return Table(dict(enumerate(values.reshape(len(values), -1).T)))


def as_column(column: Any) -> Column:
    """Return a column as an array (T,): numbers, datetime64 in UTC if it has a time zone, or objects."""
    if getattr(column, "dtype", None) is not None and getattr(column.dtype, "tz", None) is not None:
        accessor = getattr(column, "dt", column)  # a Series, or an index
        naive = accessor.tz_convert("UTC")
        column = getattr(naive, "dt", naive).tz_localize(None)
    elif hasattr(column, "to_timestamp") and not hasattr(column, "columns") and not hasattr(column, "iloc"):
        column = column.to_timestamp()  # an index of periods
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.ndim != 1:
        raise ValueError(f"a column of the table must have shape (T,), got {values.shape}")
    if values.dtype.kind == "O" or values.dtype.kind not in "biufMUSm":
        missing = np.asarray(column.isna(), np.bool_) if hasattr(column, "isna") else None
        return _plain(np.asarray(values, dtype=object), missing)
    return np.asarray(values)


def _plain(values: Column, missing: NDArray[np.bool_] | None) -> Column:
    """Objects as numbers or dates if all of them are; what is missing becomes NaN or None."""
    if missing is None:
        missing = np.array([_is_missing(value) for value in values], np.bool_)
    present = values[~missing]
    if len(present) and all(isinstance(value, int | float | np.number) for value in present):
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = present.astype(float)
        return numbers
    if len(present) and all(hasattr(value, "isoformat") and hasattr(value, "year") for value in present):
        if any(getattr(value, "tzinfo", None) is not None for value in present):
            raise ValueError(
                "dates with time zones must be a column of one time zone: convert them with "
                "pandas.to_datetime(column, utc=True)"
            )
        dates = np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
        dates[~missing] = np.array([np.datetime64(value, "us") for value in present])
        return dates
    result = values.copy()
    result[missing] = None
    return result


def _is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def timezone_of(column: Any) -> str | None:
    """Return the name of the time zone of a column of dates, or None."""
    zone = getattr(getattr(column, "dtype", None), "tz", None)
    return None if zone is None else str(zone)


def is_text(values: Column) -> bool:
    """Return whether a column holds categories: text or objects, not numbers, truth values or dates."""
    return values.dtype.kind in "OUS"


def numbers(
    table: Table, names: Sequence[Any], categories: dict[Any, tuple[Any, ...]]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return columns as numbers; a column of text becomes one column of zeros and ones for each of its categories.

    Args:
        table: The table.
        names: The columns.
        categories: The categories of each column of text. Columns that it lacks are entered, in sorted order.

    Returns:
        The numbers (T, C), with NaN for what is missing, and the names of the C columns.

    Raises:
        TypeError, ValueError: For dates, an infinite number, more than 64 categories, or a category that the entry in
            `categories` lacks.
    """
    parts: list[NDArray[np.float64]] = []
    labels: list[str] = []
    for name in names:
        values = table[name]
        if name in categories or is_text(values):
            classes = categories.setdefault(name, _categories(name, values))
            parts.append(_encoded(name, values, classes))
            labels += [f"{name}={each}" for each in classes]
            continue
        if values.dtype.kind not in "biuf":
            raise WrongType(f"column {name!r} must hold numbers or categories, got {values.dtype}")
        column = values.astype(np.float64)
        if np.isinf(column).any():
            row = int(np.flatnonzero(np.isinf(column))[0])
            raise ValueError(f"column {name!r} must hold finite numbers, got {column[row]} in row {row}")
        parts.append(column[:, None])
        labels.append(str(name))
    return np.concatenate([np.empty((table.rows, 0)), *parts], axis=1), labels


def _categories(name: Any, values: Column) -> tuple[Any, ...]:
    """The categories in a column, in sorted order."""
    classes = tuple(sorted({value for value in values.tolist() if value is not None}, key=str))
    if not 0 < len(classes) <= MOST_CATEGORIES:
        example = f", such as {classes[0]!r} and {classes[1]!r}" if classes else ""
        raise ValueError(
            f"column {name!r} must hold numbers or 1 to {MOST_CATEGORIES} categories, got {len(classes)} different "
            f"values{example}; convert or drop the column"
        )
    return classes


def _encoded(name: Any, values: Column, classes: tuple[Any, ...]) -> NDArray[np.float64]:
    """One column of zeros and ones for each category; rows of what is missing are NaN."""
    codes = {category: code for code, category in enumerate(classes)}
    result = np.zeros((len(values), len(classes)))
    for row, value in enumerate(values.tolist()):
        if _is_missing(value):
            result[row] = np.nan
        elif value in codes:
            result[row, codes[value]] = 1.0
        else:
            raise ValueError(
                f"column {name!r} must hold categories that it had before, {', '.join(map(repr, classes))}, got "
                f"{value!r} in row {row}"
            )
    return result
