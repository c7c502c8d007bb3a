"""`extend` adds what is known in advance of the rows to forecast to a panel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pyrnn.forecasting.columns import dates_of, groups_of, places_of
from pyrnn.forecasting.frequency import Dates
from pyrnn.forecasting.moments import is_fixed, to_wall_clock
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.tables import as_table, numbers


def extend(panel: Panel, data: Any) -> Panel:
    """Return a panel with the future covariates of later dates.

    Args:
        panel: The panel, which has future covariates.
        data: A table with the columns of dates, groups and future covariates that the panel was made of. Rows up to the
            last target of a series are ignored. Rows without dates follow the last target.

    Returns:
        The panel with rows after the last targets. What the table lacks is NaN.

    Raises:
        TypeError, ValueError: If the panel has no future covariates; for columns that do not exist, dates that are
            duplicated, off the frequency or in another time zone, and series that the panel lacks.

    Example:
        >>> from pyrnn.forecasting import extend, panel
        >>> sales = panel({"sales": [1.0, 2.0, 3.0], "promo": [0, 1, 0]}, "sales", future="promo")
        >>> extend(sales, {"promo": [1, 1]})[0].future[:, 0].tolist()
        [0.0, 1.0, 0.0, 1.0, 1.0]
    """
    arguments = panel.arguments
    names = tuple(arguments["future"])
    if not names:
        raise ValueError("panel must have future covariates to extend, got none: name their columns as future")
    table = as_table(data)
    groups = () if arguments["wide"] else panel.group
    table.check("group", groups)
    table.check("future", names)
    values, _ = numbers(table, names, {name: tuple(classes) for name, classes in arguments["categories"].items()})
    ids, codes = groups_of(table, groups)
    if groups:
        numbering = {each: number for number, each in enumerate(panel.ids)}
        if new := [each for each in ids if each not in numbering]:
            raise ValueError(f"group must name series of the panel in the table of the future, got {new[0]!r}")
        codes = np.array([numbering[each] for each in ids])[codes]
    date = arguments["date"] if arguments["date"] in table.columns else None
    _, moments, timezone = dates_of(table, date, {*groups, *names})
    if arguments["wide"]:  # its covariates are those of all series
        codes, values = np.repeat(np.arange(len(panel)), table.rows), np.tile(values, (len(panel), 1))
        moments = None if moments is None else np.tile(moments, len(panel))
    if moments is None and panel.has_dates:
        raise ValueError("date must be in the table of the future, since the panel has dates, got none")
    if moments is None:
        steps = places_of(codes) + 1
    else:
        moments = _same_clock(panel, moments, timezone)
        last = panel.dates[panel.starts[:-1] + panel.lengths - 1]
        steps, on_grid = panel.frequency.positions(moments, last[codes])
        if (~on_grid & (steps >= 0)).any():
            row = int(np.flatnonzero(~on_grid & (steps >= 0))[0])
            raise ValueError(
                f"date must be whole steps of {panel.frequency.text!r} after the last target of each series, which "
                f"{panel.show(moments[row])} of {panel.label(codes[row])} is not"
            )
    later = steps > 0
    codes, steps, values = codes[later], steps[later], values[later]
    pairs, counts = np.unique(np.stack([codes, steps]), axis=1, return_counts=True)
    if (counts > 1).any():
        code, step = pairs[:, int(np.argmax(counts > 1))].tolist()
        date = panel.show(panel.next_dates(step)[code, -1])
        raise ValueError(
            f"the table of the future must have one row for each date, got 2 of {panel.label(code)}, {date}"
        )
    existing = int(np.max(np.diff(panel.starts) - panel.lengths, initial=0))
    longer = panel.with_horizon(max(existing, int(steps.max(initial=0))))
    future = longer.future.copy()
    future[longer.starts[codes] + longer.lengths[codes] + steps - 1] = values
    return replace(longer, future=future)


def _same_clock(panel: Panel, moments: Dates, timezone: str | None) -> Dates:
    """Dates of another table on the clock of a panel's."""
    if (timezone is None) != (panel.timezone is None) or moments.dtype.kind != panel.dates.dtype.kind:
        raise ValueError(
            f"date must be like the dates of the panel, {panel.dates.dtype} with time zone {panel.timezone}, got "
            f"{moments.dtype} with time zone {timezone}"
        )
    if timezone is None or panel.timezone is None or panel.utc:
        return moments
    # A fixed offset is what the other file has at its dates, where the clocks may have changed: days are as written.
    return to_wall_clock(moments, timezone if is_fixed(timezone) else panel.timezone)
