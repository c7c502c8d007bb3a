"""Nothing of the future reaches the past: other values after a date leave windows, scalers and features before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrnn.forecasting import Panel, Windows, add_calendar, calendar, latest_windows, panel, scalers, windows

START = np.datetime64("2024-01-01", "D")
COLUMNS = ("sales", "traffic", "price", "weather")


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Up to three series with gaps and missing values between their first and last rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    holes = draw(st.sampled_from([0.0, 0.1, 0.4]))
    parts: dict[str, list[Any]] = {name: [] for name in ("day", "shop", *COLUMNS)}
    for shop in "abc"[: draw(st.integers(1, 3))]:
        length = draw(st.integers(12, 40))
        present = rng.random(length) >= holes
        present[[0, 1, -2, -1]] = True
        rows = np.flatnonzero(present)
        for name in COLUMNS[:3]:
            values = rng.gamma(2.0, 10.0, len(rows)).round(3)
            lacking = rng.random(len(rows)) < holes
            lacking[[0, -1]] = False
            parts[name].append(np.where(lacking, np.nan, values))
        parts["weather"].append(rng.choice(["rain", "sun"], len(rows)))
        parts["day"].append(START + draw(st.integers(0, 5)) + rows)
        parts["shop"].append(np.full(len(rows), shop))
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def changed(table: dict[str, Any], cut: np.datetime64, seed: int) -> dict[str, Any]:
    """Other targets and past covariates from a date on, some of them shuffled; what is missing stays missing."""
    rng = np.random.default_rng(seed)
    later = np.flatnonzero(table["day"] >= cut)
    result = {name: column.copy() for name, column in table.items()}
    result["sales"][later] = rng.normal(1e4, 1e4, len(later)) + 0 * table["sales"][later]
    result["traffic"][later] = -table["traffic"][later]
    result["weather"][later] = table["weather"][rng.permutation(later)]
    return result


def read(table: dict[str, Any], way: Any) -> Panel:
    return panel(
        table, "sales", past=["traffic", "weather"], future="price", group="shop", date="day", missing=way,
        categories={"weather": ("rain", "sun")}, frequency="D",
    )  # fmt: skip


def by_date(made: Windows) -> dict[tuple[Any, Any], int]:
    dates = made.dates
    return {(made.panel.ids[code], dates[number, 0]): number for number, code in enumerate(made.group)}


def latest_inputs(made: Panel, lookback: int) -> list[Any]:
    """What a model reads to forecast the row after the last, where the prices of that row are known."""
    with_calendar = add_calendar(made.latest(lookback), calendar("D"), horizon=1)
    priced = np.flatnonzero(~np.isnan(with_calendar.future).any(axis=1) | with_calendar.in_history)
    complete = [n for n in range(len(made)) if np.isin(with_calendar.starts[n + 1] - 1, priced)]
    if not complete:
        return []
    last = latest_windows(with_calendar.take(complete), lookback=lookback, horizon=1)
    return [last.past, last.future, last.group]


WAYS = st.sampled_from(["previous", "zero", "interpolate", {**dict.fromkeys(COLUMNS, "zero"), "sales": "interpolate"}])


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(4, 38), WAYS, st.integers(1, 6), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_windows_and_scalers_know_nothing_later(
    table: dict[str, Any], day: int, way: Any, lookback: int, horizon: int, seed: int, drop: bool
) -> None:
    """With other values from the cut on, and without the rows from the cut on."""
    cut = START + day
    other = changed(table, cut, seed)
    if drop:
        rows = table["day"] < cut
        if rows.sum() < 3:
            return
        other = {name: column[rows] for name, column in table.items()}
    pair = []
    for each in (table, other):
        try:
            pair.append(windows(read(each, way), lookback=lookback, horizon=horizon))
        except ValueError as error:
            assert "lookback + horizon" in str(error) or "interpolate" in str(error) or "two dates" in str(error)
            return
    before, after = pair
    places, other_places = by_date(before), by_date(after)
    if not drop:
        assert places.keys() == other_places.keys()
    for key, number in places.items():
        if key[1] > cut or key not in other_places:
            continue
        match = other_places[key]
        assert (before.past[number] == after.past[match]).all()
        assert (before.future[number, :lookback] == after.future[match, :lookback]).all() or drop
        if before.dates[number, -1] < cut:
            assert (before.y[number] == after.y[match]).all()
    cut_panels = [each.panel.until(cut) for each in pair if (each.panel.dates.min() < cut)]
    if len(cut_panels) < 2 or drop:
        return
    first, second = cut_panels
    assert first.ids == second.ids and (first.dates == second.dates).all()
    for name in ("standard", "robust", "window_mean", "difference"):
        states = [scalers.get(name).fit(each).get_state() for each in cut_panels]
        assert all((states[0][key] == states[1][key]).all() for key in states[0])
    if (first.lengths >= lookback).all():
        read_by_model = [latest_inputs(each, lookback) for each in cut_panels]
        assert all((a == b).all() for a, b in zip(*read_by_model, strict=True))


@settings(max_examples=30, deadline=None)
@given(tables(), st.floats(0.2, 0.8), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_the_training_part_of_a_split_is_the_same(
    table: dict[str, Any], share: float, lookback: int, horizon: int, seed: int
) -> None:
    try:
        made = windows(read(table, "previous"), lookback=lookback, horizon=horizon)
        train, validation = made.split(share)
    except ValueError as error:
        assert "lookback + horizon" in str(error) or "cuts must leave windows" in str(error)
        return
    cut = validation.dates.min()
    other = windows(read(changed(table, cut, seed), "previous"), lookback=lookback, horizon=horizon)
    other_train, _ = other.split(share)
    assert train.dates.max() < cut
    assert (train.past == other_train.past).all() and (train.y == other_train.y).all()
