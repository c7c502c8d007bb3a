"""`panel` makes a `Panel` of any table: it finds what is wrong with dates and values, says it, and fills on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting import filling
from pyrnn.forecasting.frequency import MICROSECOND, Dates
from pyrnn.forecasting.panel import Floats, Panel
from pyrnn.forecasting.regular import Regular, Rows
from pyrnn.forecasting.tables import Table, as_column, as_table, is_text, numbers, timezone_of
from pyrnn.validation import WrongType, shown

ALL = "all"  # the id of the only series of a table without groups
SERIES, VALUE = "series", "value"  # the names of the group and the target of a wide table
ROLES = ("target", "past", "future", "static", "group")


def panel(
    data: Any,
    target: Any = None,
    past: Any = (),
    future: Any = (),
    static: Any = (),
    *,
    group: Any = None,
    date: Any = None,
    frequency: Any = None,
    missing: Any = "raise",
    wide: bool = False,
    categories: Mapping[Any, tuple[Any, ...]] | None = None,
) -> Panel:
    """Make a panel of a table.

    Rows may be in any order if they have dates. Rows before the first target of a series are left out; rows after its
    last target count as the future if they have future covariates. Columns of text are categories: each becomes one
    column of zeros and ones per category.

    Args:
        data: the table: a DataFrame of pandas or polars, a Series, a dict of columns, or an array of shape (T,) or
            (T, C), whose columns are named 0, 1, ...; a panel is returned as it is.
        target: the column to forecast, or a list of several that are forecast together. May be left out if the table
            has one column of numbers.
        past: columns that are known up to the present, such as the weather.
        future: columns that are known in advance, such as promotions.
        static: columns that do not change with time, such as the size of a shop.
        group: the column that says which series a row belongs to, or a list of columns. None if there is one series.
        date: the column of dates: dates, text such as '2024-03-31', or whole numbers. By default the index if it
            consists of dates, or else the only column of dates; rows without dates are numbered.
        frequency: the step between dates, such as 'h', '15min', 'D', 'W', 'B' or 'MS'. By default the most frequent
            step.
        missing: what to do about missing dates and values: "raise"; "previous" takes the value before; "interpolate"
            draws a line between neighbors; "zero". Also a dict from columns to these.
        wide: whether each target is a series of its own, named after its column.
        categories: the categories of columns of text, as in an earlier panel. By default those in the table.

    Returns:
        A panel.

    Raises:
        TypeError, ValueError: for a table or an argument that is none of these; for columns that do not exist, are used
            twice or hold no numbers; for duplicated, irregular or missing dates and missing values, of which the
            message names the first.

    Example:
        >>> from pyrnn.forecasting import panel
        >>> table = {"date": ["2024-01-01", "2024-01-02", "2024-01-04"], "sales": [3.0, 4.0, 6.0]}
        >>> panel(table, "sales", missing="interpolate").target[:, 0].tolist()
        [3.0, 4.0, 5.0, 6.0]
        >>> panel(table, "sales")
        Traceback (most recent call last):
        ...
        ValueError: the series lacks 1 date: 2024-01-03; pass missing="previous", "interpolate" or "zero" to fill it
    """
    if isinstance(data, Panel):
        return data
    table = as_table(data)
    groups = _names("group", group)
    columns = {"past": _names("past", past), "future": _names("future", future), "static": _names("static", static)}
    date, moments, timezone = _dates(table, date, {*groups, *_names("target", target), *sum(columns.values(), ())})
    columns["target"] = _names("target", target) or _only_target(table, date, {*groups, *sum(columns.values(), ())})
    _check_roles(table, columns, groups, date)
    filling.check_ways(missing, [name for names in columns.values() for name in names])
    encoded = dict(categories or {})
    parts = {role: numbers(table, columns[role], encoded) for role in ("target", "past", "future", "static")}
    if text := [name for name in columns["target"] if name in encoded]:
        raise WrongType(f"target must name columns of numbers, got {text[0]!r}, which holds text")
    names = {role: tuple(labels) for role, (_, labels) in parts.items()}
    if wide:
        if groups or columns["past"] or columns["static"]:
            raise ValueError("a wide table must have targets and future covariates only, got group, past or static")
        if not isinstance(missing, str):
            raise ValueError(
                f"missing must be one of {', '.join(map(repr, filling.WAYS))} for a wide table, got a dict"
            )
        moments = np.arange(table.rows) if moments is None else moments
        rows = _wide(columns["target"], moments, parts)
        groups, names["target"] = (SERIES,), (VALUE,)
        columns["target"] = (VALUE,)
    else:
        ids, codes = _groups(table, groups)
        moments = _places(codes) if moments is None else moments
        values = np.concatenate([parts[role][0] for role in ("target", "past", "future")], axis=1)
        rows = Rows(ids, codes, moments, values, parts["static"][0], np.arange(table.rows))
    ways = [
        (filling.way_of(missing, column), label, label != str(column))
        for role in ("target", "past", "future")
        for column, label in _labels(columns[role], names[role], encoded)
    ]
    building = Regular(rows, names, tuple(groups), ways)
    resolved, utc = building.regular(frequency, timezone)
    return building.panel(resolved, timezone, utc, date, encoded, missing)


def _names(argument: str, value: Any) -> tuple[Any, ...]:
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


def _check_roles(table: Table, columns: Mapping[str, tuple[Any, ...]], groups: tuple[Any, ...], date: Any) -> None:
    """Check that the table has the columns, and that each has one use."""
    roles: dict[Any, str] = {} if date is None else {date: "date"}
    for role, names in {**columns, "group": groups}.items():
        table.check(role, names)
        for name in names:
            if name in roles:
                hint = "; past targets are inputs anyway" if {roles[name], role} == {"past", "target"} else ""
                raise ValueError(f"{role} must name other columns than {roles[name]}, got {name!r} in both{hint}")
            roles[name] = role


def _only_target(table: Table, date: Any, used: set[Any]) -> tuple[Any, ...]:
    """The only column of numbers that has no other use."""
    free = [name for name in table.columns if name != date and name not in used]
    free = [name for name in free if table[name].dtype.kind in "iuf"]
    if len(free) != 1:
        raise ValueError(
            f"target must be passed unless the table has one column of numbers, got {', '.join(map(repr, free)) or 0}"
        )
    return (free[0],)


def _labels(
    columns: Sequence[Any], labels: Sequence[str], categories: Mapping[Any, tuple[Any, ...]]
) -> list[tuple[Any, str]]:
    """The column of the table of each label; a column of categories has several."""
    owners = [name for name in columns for _ in range(len(categories[name]) if name in categories else 1)]
    return list(zip(owners, labels, strict=True))


def _dates(table: Table, date: Any, used: set[Any]) -> tuple[Any, Dates | None, str | None]:
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
    return date, moments, timezone_of(source)


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


def _groups(table: Table, groups: tuple[Any, ...]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The ids of the series in the order in which they appear, and the number of the series of each row."""
    if not groups:
        return (ALL,), np.zeros(table.rows, np.int64)
    columns = [table[name] for name in groups]
    for name, column in zip(groups, columns, strict=True):
        if any(value is None or value != value for value in column.tolist()):
            raise ValueError(f"group must have a value in each row, but {name!r} lacks some")
    keys = (
        columns[0].tolist() if len(columns) == 1 else list(zip(*(column.tolist() for column in columns), strict=True))
    )
    numbering = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return tuple(numbering), np.array([numbering[key] for key in keys], np.int64)


def _places(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each row in its series, from 0 on."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    places = np.empty_like(codes)
    places[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return places


def _wide(targets: tuple[Any, ...], moments: Dates, parts: Mapping[str, tuple[Floats, list[str]]]) -> Rows:
    """The rows of a wide table, in which each target is a series."""
    values, future = parts["target"][0], parts["future"][0]
    rows, count = values.shape
    return Rows(
        targets,
        np.repeat(np.arange(count), rows),
        np.tile(moments, count),
        np.concatenate([values.T.reshape(-1, 1), np.tile(future, (count, 1))], axis=1),
        np.empty((rows * count, 0)),
        np.tile(np.arange(rows), count),
    )
