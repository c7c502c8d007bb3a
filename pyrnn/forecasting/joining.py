"""The rows of a panel before those of another one: what was known at training time, continued by later rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.panel import Panel

Array = NDArray[Any]
ROWS = ("target", "past", "future", "filled")


def join(before: Panel, after: Panel, reach: int) -> Panel:
    """Return a panel with earlier rows of the same series put in front.

    Rows of `before` from the first date of a series in `after` on are left out. If rows are missing between the two,
    they are unknown; if `reach` rows or more are missing, nothing is put in front.

    Args:
        before: The earlier panel.
        after: The later panel, whose series the result has.
        reach: The rows that a forecast looks at.

    Raises:
        ValueError: If only one of them has dates in a time zone, so that they cannot be compared.
    """
    if (before.timezone is None) != (after.timezone is None):
        raise ValueError(
            f"date must be like the dates of fit, which have time zone {before.timezone}, got dates with time zone "
            f"{after.timezone}"
        )
    places = {each: number for number, each in enumerate(before.ids)}
    numbers = np.array([places.get(each, -1) for each in after.ids])
    first = after.dates[after.starts[:-1]]
    begin = before.starts[numbers]
    steps, on_grid = after.frequency.positions(first, before.dates[np.minimum(begin, len(before.dates) - 1)])
    lengths = before.lengths[numbers]
    continues = (numbers >= 0) & on_grid & (steps > 0) & (steps < lengths + reach)
    if not continues.any():
        return after
    steps = np.where(continues, steps, 0)
    reused = np.minimum(steps, lengths)
    sizes = steps + np.diff(after.starts)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    position = np.arange(starts[-1]) - starts[codes]
    is_old, is_new = position < reused[codes], position >= steps[codes]
    rows = (begin[codes] + position)[is_old]
    joined: dict[str, Any] = {}
    for name in ROWS:
        old, new = getattr(before, name), getattr(after, name)
        values = np.full((len(codes), new.shape[1]), True if name == "filled" else np.nan, new.dtype)
        values[is_old], values[is_new] = old[rows], new
        joined[name] = values
    origins = first.copy()
    origins[continues] = before.dates[begin[continues]]
    return replace(
        after,
        starts=starts,
        lengths=steps + after.lengths,
        dates=after.frequency.dates(origins[codes], position),
        **joined,
    )


def following(before: Panel, after: Panel) -> Panel:
    """Return rows without dates, which are numbered from 0 on, as the rows that follow those of an earlier panel.

    Args:
        before: The earlier panel.
        after: The later one; if it has dates it is returned as it is.
    """
    if after.has_dates or after.date is not None:
        return after
    following_rows = dict(zip(before.ids, before.next_dates(1)[:, 0].tolist(), strict=True))
    shifts = [following_rows.get(each, 0) for each in after.ids]
    return replace(after, dates=after.dates + np.repeat(shifts, np.diff(after.starts)))
