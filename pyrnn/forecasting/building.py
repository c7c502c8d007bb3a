"""`panel` makes a `Panel` of any table: it finds what is wrong with dates and values, says it, and fills on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn.forecasting import filling
from pyrnn.forecasting.columns import check_roles, dates_of, groups_of, names_of, only_target, owners_of, places_of
from pyrnn.forecasting.frequency import Dates
from pyrnn.forecasting.panel import Floats, Panel
from pyrnn.forecasting.regular import Regular, Rows
from pyrnn.forecasting.tables import as_table, numbers
from pyrnn.validation import WrongType

SERIES, VALUE = "series", "value"  # the names of the group and the target of a wide table


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
    categories: Mapping[Any, Sequence[Any]] | None = None,
) -> Panel:
    """Make a panel of a table.

    Rows may be in any order if they have dates. Rows before the first target of a series are left out; rows after its
    last target count as the future if they have future covariates. Columns of text are categories: each becomes one
    column of zeros and ones per category.

    Args:
        data: The table: a DataFrame of pandas or polars, a Series, a dict of columns, or an array of shape (T,) or
            (T, C), whose columns are named 0, 1, ...; a panel is returned as it is.
        target: The column to forecast, or a list of several that are forecast together. May be left out if the table
            has one column of numbers.
        past: Columns that are known up to the present, such as the weather.
        future: Columns that are known in advance, such as promotions.
        static: Columns that do not change with time, such as the size of a shop.
        group: The column that says which series a row belongs to, or a list of columns. None if there is one series.
        date: The column of dates: dates, text such as '2024-03-31', or whole numbers. By default the index if it
            consists of dates, or else the only column of dates; rows without dates are numbered.
        frequency: The step between dates, such as 'h', '15min', 'D', 'W', 'B' or 'MS'. By default the most frequent
            step.
        missing: What to do about missing dates and values: "raise"; "previous" takes the value before; "interpolate"
            draws a line between neighbors; "zero". Also a dict from columns to these.
        wide: Whether each target is a series of its own, named after its column.
        categories: The categories of columns of text, as in an earlier panel. By default those in the table.

    Returns:
        A panel.

    Raises:
        TypeError, ValueError: For a table or an argument that is none of these; for columns that do not exist, are used
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
    groups = names_of("group", group)
    columns = {
        "past": names_of("past", past),
        "future": names_of("future", future),
        "static": names_of("static", static),
    }
    date, moments, timezone = dates_of(table, date, {*groups, *names_of("target", target), *sum(columns.values(), ())})
    columns["target"] = names_of("target", target) or only_target(table, date, {*groups, *sum(columns.values(), ())})
    check_roles(table, columns, groups, date)
    filling.check_ways(missing, [name for names in columns.values() for name in names])
    encoded = {name: tuple(classes) for name, classes in (categories or {}).items()}
    parts = {role: numbers(table, columns[role], encoded) for role in ("target", "past", "future", "static")}
    if text := [name for name in columns["target"] if name in encoded]:
        raise WrongType(
            f"target must name columns of numbers, got {text[0]!r}, which holds text such as "
            f"{_first_text(table[text[0]])!r}: only numbers and empty fields can be forecast"
        )
    names = {role: tuple(labels) for role, (_, labels) in parts.items()}
    arguments = {role: list(columns[role]) for role in ("target", "past", "future", "static")} | {
        "group": list(groups) or None,
        "date": date if date in table.columns else None,
        "missing": missing if isinstance(missing, str) else dict(missing),
        "wide": bool(wide),
        "categories": {name: list(classes) for name, classes in encoded.items()},
    }
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
        ids, codes = groups_of(table, groups)
        moments = places_of(codes) if moments is None else moments
        values = np.concatenate([parts[role][0] for role in ("target", "past", "future")], axis=1)
        rows = Rows(ids, codes, moments, values, parts["static"][0], np.arange(table.rows))
    ways = [
        (filling.way_of(missing, column), label, label != str(column))
        for role in ("target", "past", "future")
        for column, label in owners_of(columns[role], names[role], encoded)
    ]
    building = Regular(rows, names, tuple(groups), ways)
    resolved, utc = building.regular(frequency, timezone)
    arguments["frequency"] = resolved.step if resolved.kind == "row" else resolved.text
    return building.panel(resolved, timezone, utc, date, arguments)


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


def _first_text(column: Any) -> Any:
    """The first value of a column of text that is no number."""
    values = [value for value in column.tolist() if value is not None]
    for value in values:
        try:
            float(value)
        except (TypeError, ValueError):
            return value
    return values[0]
