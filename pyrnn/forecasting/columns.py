"""What the arguments that name columns mean: their names, dates and groups in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.frequency import MICROSECOND, Dates
from pyrnn.forecasting.moments import to_wall_clock
from pyrnn.forecasting.tables import Table, as_column, is_text, timezone_of
from pyrnn.validation import WrongType, shown

ALL = "all"  # the id of the only series of a table without groups


def names_of(argument: str, value: Any) -> tuple[Any, ...]:
    """The names of columns that an argument holds: one name or several."""
    if value is None:
        return ()
    if isinstance(value, str | int | np.integer) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, Sequence) or hasattr(value, "to_list"):
        names = tuple(value)
        if all(isinstance(name, str | int | np.integer) and not isinstance(name, bool) for name in names):
            return names
    raise WrongType(f"{argument} must be the name of a column or a list of names, got {shown(value)}")


def check_roles(table: Table, columns: Mapping[str, tuple[Any, ...]], groups: tuple[Any, ...], date: Any) -> None:
    """Check that the table has the columns, and that each has one use."""
    roles: dict[Any, str] = {} if date is None else {date: "date"}
    for role, names in {**columns, "group": groups}.items():
        table.check(role, names)
        for name in names:
            if name in roles:
                hint = "; past targets are inputs anyway" if {roles[name], role} == {"past", "target"} else ""
                raise ValueError(f"{role} must name other columns than {roles[name]}, got {name!r} in both{hint}")
            roles[name] = role


def only_target(table: Table, date: Any, used: set[Any]) -> tuple[Any, ...]:
    """The only column of numbers that has no other use."""
    free = [name for name in table.columns if name != date and name not in used]
    free = [name for name in free if table[name].dtype.kind in "iuf"]
    if len(free) != 1:
        raise ValueError(
            f"target must be passed unless the table has one column of numbers, got {', '.join(map(repr, free)) or 0}"
        )
    return (free[0],)


def owners_of(
    columns: Sequence[Any], labels: Sequence[str], categories: Mapping[Any, tuple[Any, ...]]
) -> list[tuple[Any, str]]:
    """The column of the table of each label; a column of categories has several."""
    owners = [name for name in columns for _ in range(len(categories[name]) if name in categories else 1)]
    return list(zip(owners, labels, strict=True))


def dates_of(table: Table, date: Any, used: set[Any]) -> tuple[Any, Dates | None, str | None]:
    """The name of the column of dates, the dates, or None if there are none, and their time zone."""
    if date is not None:
        table.check("date", [date])
        source = table.columns[date]
    elif table.index is not None:
        date, source = table.index_name, table.index
    else:
        free = [name for name in table.columns if name not in used]
        typed = [name for name in free if table[name].dtype.kind == "M"]
        texts = [name for name in free if is_text(table[name]) and _iso(table[name]) is not None]
        candidates = typed or texts
        if len(candidates) > 1:
            raise ValueError(f"date must be passed, since {', '.join(map(repr, candidates))} all hold dates")
        if not candidates:
            return None, None, None
        date, source = candidates[0], table.columns[candidates[0]]
    values = as_column(source)
    if is_text(values):
        parsed = _iso(values)
        if parsed is None:
            raise ValueError(
                f"date must name a column of dates or of text such as '2024-03-31', got {date!r} with "
                f"{shown(values[0])}; pyrnn.forecasting.read_table or pandas.to_datetime read other forms"
            )
        values = parsed
    if values.dtype.kind in "iu":
        return date, values.astype(np.int64), None
    if values.dtype.kind != "M":
        raise WrongType(f"date must name a column of dates, text or whole numbers, got {date!r} with {values.dtype}")
    moments = values.astype(MICROSECOND)
    if np.isnat(moments).any():
        row = int(np.flatnonzero(np.isnat(moments))[0])
        raise ValueError(f"date must have a date in each row, but {date!r} has none in row {row}: drop such rows")
    if (moments.astype(values.dtype) != values).any():
        raise ValueError(f"date must hold whole microseconds, which {date!r} does not: round it")
    timezone = timezone_of(source)
    if timezone is None and table.timezone is not None:
        timezone = table.timezone
        moments = moments - (to_wall_clock(moments, timezone) - moments)
    return date, moments, timezone


def _iso(values: NDArray[Any]) -> NDArray[Any] | None:
    """Text such as '2024-03-31 12:00' as dates, or None if it is anything else."""
    texts = [str(value) for value in values.tolist() if value is not None]
    # Years alone are numbers or ids.
    if len(texts) < len(values) or not all(len(text) >= len("2024-03") and text[4:5] == "-" for text in texts):
        return None
    if any(text.endswith("Z") or "+" in text or text.count("-") > 2 for text in texts):
        return None  # NumPy would drop the time zone
    try:
        return np.array([text.strip().replace(" ", "T") for text in texts], MICROSECOND)
    except ValueError:
        return None


def groups_of(table: Table, groups: tuple[Any, ...]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The ids of the series in the order in which they appear, and the number of the series of each row."""
    if not groups:
        return (ALL,), np.zeros(table.rows, np.int64)
    columns = [table[name] for name in groups]
    # Rows of a series are mostly neighbors: only the first of each run is looked up.
    differs = np.ones(table.rows, np.bool_)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    runs = np.flatnonzero(differs)
    firsts = [column[runs].tolist() for column in columns]
    keys = firsts[0] if len(groups) == 1 else list(zip(*firsts, strict=True))
    numbering = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    for place, name in enumerate(groups):
        values = numbering if len(groups) == 1 else [key[place] for key in numbering]
        if any(value is None or value != value for value in values):
            raise ValueError(f"group must have a value in each row, but {name!r} lacks some")
    numbers = np.array([numbering[key] for key in keys], np.int64)
    return tuple(numbering), np.repeat(numbers, np.diff(runs, append=table.rows))


def places_of(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each row in its series, from 0 on."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    places = np.empty_like(codes)
    places[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return places
