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
    """
    places = {each: number for number, each in enumerate(before.ids)}
    parts: dict[str, list[Any]] = {name: [] for name in ROWS}
    dates: list[Array] = []
    sizes, lengths = [], []
    for number, each in enumerate(after.ids):
        first, last = int(after.starts[number]), int(after.starts[number + 1])
        reused, gap, start = slice(0, 0), 0, after.dates[first]
        if each in places:
            begin = int(before.starts[places[each]])
            end = begin + int(before.lengths[places[each]])
            steps, on_grid = after.frequency.positions(np.asarray([start]), before.dates[begin])
            if on_grid[0] and 0 < steps[0] < end - begin + reach:
                count = min(int(steps[0]), end - begin)
                reused, gap, start = slice(begin, begin + count), int(steps[0]) - count, before.dates[begin]
        for name in ROWS:
            old, new = getattr(before, name), getattr(after, name)
            unknown = np.full((gap, new.shape[1]), True if name == "filled" else np.nan, new.dtype)
            parts[name] += [old[reused], unknown, new[first:last]]
        added = reused.stop - reused.start + gap
        sizes.append(added + last - first)
        lengths.append(added + int(after.lengths[number]))
        dates.append(after.frequency.dates(start, np.arange(sizes[-1])))
    joined: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return replace(
        after,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        lengths=np.array(lengths, np.int64),
        dates=np.concatenate(dates),
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
