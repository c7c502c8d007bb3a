"""What a forecast reads of the last rows, in one pass over all series, against what is made row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.small import AHEAD, forecaster, waves
from pyrnn.forecasting import Forecaster, panel
from pyrnn.forecasting.choices import calendars_of
from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.history import Layout, Source, Statistics, latest_history, observed_values
from pyrnn.forecasting.joining import ROWS, join
from pyrnn.forecasting.likelihoods import accumulate_outwards
from pyrnn.forecasting.panel import Panel

FIRST = {"D": "2023-12-20", "h": "2024-03-30", "MS": "2020-11-01", "B": "2024-02-26", "row": None}


def made(frequency: str, timezone: str | None = None, ends: tuple[int, ...] = (40, 33, 9)) -> Panel:
    """Series of other lengths and starts, with gaps, a price known in advance, the weather and an area."""
    generator = np.random.default_rng(7)
    table: dict[str, list[Any]] = {name: [] for name in ("shop", "t", "y", "price", "weather", "area")}
    first = panel({"t": np.arange(3), "y": np.arange(3.0)}, "y", date="t") if frequency == "row" else None
    step = first.frequency if first is not None else None
    for number, end in enumerate(ends):
        begin = number * 3
        t: Any = np.arange(begin, begin + end)
        if step is None:
            from pyrnn.forecasting import Frequency

            t = Frequency.parse(frequency).dates(np.datetime64(FIRST[frequency]), t)
        table["shop"] += [f"shop {number}"] * end
        table["t"] += list(t)
        table["y"] += generator.normal(10, 3, end).tolist()
        table["price"] += generator.normal(5, 1, end).tolist()
        table["weather"] += generator.normal(0, 1, end).tolist()
        table["area"] += [float(number)] * end
    columns = {name: np.array(values) for name, values in table.items()}
    columns["y"][[3, 20, len(columns["y"]) - 4]] = np.nan
    columns["weather"][7] = np.nan
    if timezone is not None:
        import pandas as pd

        columns["t"] = pd.Series(columns["t"]).dt.tz_localize("UTC").dt.tz_convert(timezone)
    return panel(
        columns, "y", date="t", group="shop", past="weather", future="price", static="area", missing="previous",
        frequency=1 if frequency == "row" else frequency,
    )  # fmt: skip


def prices(before: Panel, count: int) -> Panel:
    """The panel with prices of the next rows, which do not reach as far for each series."""
    ahead = before.next_dates(count)
    codes, steps = np.nonzero(np.arange(count) < count - np.arange(len(before))[:, None])
    dates = ahead[codes, steps]
    table = {"shop": np.array(before.ids)[codes], "t": dates, "price": np.arange(1.0, len(codes) + 1)}
    return extend(before, table)


@pytest.mark.parametrize("same_end", [False, True])
@pytest.mark.parametrize("frequency", FIRST)
def test_the_latest_history_is_that_of_its_origins(frequency: str, same_end: bool) -> None:
    before = made(frequency, ends=(40, 37, 34) if same_end else (40, 33, 9))
    layout = Layout(8, AHEAD, 3, (3,), 2, 0, "season", "deviation")
    values = observed_values(before)
    statistics = Statistics.of(before, values, before.in_history)
    calendars = calendars_of(before)
    for each in (before, prices(before, AHEAD + 2), before.take([2, 0]), before.until(before.dates[12])):
        source = Source(each, statistics, calendars, layout, AHEAD)
        expected = source.gather(source.panel.starts[:-1] + source.panel.lengths)
        history = latest_history(each, statistics, calendars, layout)
        last = latest_history(each, statistics, calendars, layout, slice(1, 2))
        for name, array in vars(expected).items():
            np.testing.assert_array_equal(getattr(history, name), array, err_msg=name)
            np.testing.assert_array_equal(getattr(last, name), array[1:2], err_msg=name)


def test_a_clock_with_summer_time_reaches_the_calendar() -> None:
    pytest.importorskip("pandas")
    before = made("h", "Europe/Berlin")
    layout = Layout(8, AHEAD, 3, (3,), 2, 0, "season", "deviation")
    statistics = Statistics.of(before, observed_values(before), before.in_history)
    source = Source(before, statistics, calendars_of(before), layout, AHEAD)
    expected = source.gather(source.panel.starts[:-1] + source.panel.lengths)
    history = latest_history(before, statistics, calendars_of(before), layout)
    np.testing.assert_array_equal(history.clock, expected.clock)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_fit_and_load_read_the_last_rows_for_predict(strategy: str, tmp_path: Path) -> None:
    fitted = forecaster(strategy=strategy, head="gaussian").fit(waves())
    ready = fitted.predict()
    fitted.save(tmp_path / "waves")
    loaded = Forecaster.load(tmp_path / "waves")
    assert fitted._ready is not None and loaded._ready is not None
    again = fitted.predict(waves())
    fitted._ready = None
    for forecast in (fitted.predict(), again, loaded.predict()):
        assert (forecast.quantiles == ready.quantiles).all()
        assert (forecast.dates == ready.dates).all()


def test_what_is_ready_is_of_the_last_fit() -> None:
    fitted = forecaster().fit(waves())
    first = fitted.predict().dates
    fitted.fit(waves(length=100))
    assert (fitted.predict().dates == first + 10).all()
    later = fitted.predict(waves(length=104))
    assert (later.dates == first + 14).all()
    assert (fitted.predict().dates == first + 10).all()


def test_covariates_of_the_future_are_not_read_before_they_are_known() -> None:
    table = waves() | {"promo": np.tile(np.arange(90.0) % 3, 3)}
    fitted = forecaster(future="promo").fit(table)
    assert fitted._ready is None
    with pytest.raises(ValueError, match="future must have 'promo'"):
        fitted.predict()


def slowly_joined(before: Panel, after: Panel, reach: int) -> list[dict[Any, Any]]:
    """For each series of the later panel its rows by date."""
    result = []
    for number, key in enumerate(after.ids):
        rows: dict[Any, Any] = {}
        later = slice(after.starts[number], after.starts[number + 1])
        start = after.dates[later][0]
        if key in before.ids:
            place = before.ids.index(key)
            earlier = np.arange(before.starts[place], before.starts[place] + before.lengths[place])
            first = before.dates[earlier[0]]
            steps, on_grid = after.frequency.positions(np.array([start]), first)
            if on_grid[0] and 0 < steps[0] < len(earlier) + reach:
                for step in range(steps[0]):
                    is_old = step < len(earlier)
                    rows[after.frequency.dates(first, np.array(step))[()]] = [
                        getattr(before, name)[earlier[step]] if is_old else None for name in ROWS
                    ]
        for row in range(later.start, later.stop):
            rows[after.dates[row]] = [getattr(after, name)[row] for name in ROWS]
        result.append(rows)
    return result


@pytest.mark.parametrize("reach", [2, 6])
def test_panels_of_many_series_are_joined(reach: int) -> None:
    """Series that follow, overlap, come after a gap, after too long a gap, before, off the grid, and new ones."""
    names = ("follows", "overlaps", "gap", "far", "before", "off", "same")
    starts = (10, 6, 13, 30, -4, 11, 0)
    before = panel(
        {"shop": np.repeat(names, 10), "t": np.tile(np.arange(0, 20, 2), 7), "y": np.arange(70.0)}, "y",
        date="t", group="shop",
    )  # fmt: skip
    first = np.array([2 * start - (name == "off") for name, start in zip(names, starts, strict=True)] + [100])
    after = panel(
        {
            "shop": np.repeat((*names, "new"), 3),
            "t": (first[:, None] + 2 * np.arange(3)).ravel(),
            "y": 1000 + np.arange(24.0),
        },
        "y", date="t", group="shop", frequency=2,
    )  # fmt: skip
    joined = join(before, after, reach)
    assert joined.ids == after.ids
    for number, expected in enumerate(slowly_joined(before, after, reach)):
        rows = slice(joined.starts[number], joined.starts[number + 1])
        assert joined.dates[rows].tolist() == list(expected)
        assert joined.lengths[number] == len(expected)
        for place, name in enumerate(ROWS):
            for value, wanted in zip(getattr(joined, name)[rows], expected.values(), strict=True):
                unknown = np.full(value.shape, True if name == "filled" else np.nan)
                np.testing.assert_array_equal(value, unknown if wanted[place] is None else wanted[place])


@pytest.mark.parametrize("function", [np.add, np.maximum])
def test_columns_accumulate_outwards(function: np.ufunc) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 6))
    for median in range(6):
        expected = values.copy()
        for outwards in (expected[..., median:], expected[..., median::-1]):
            function.accumulate(outwards.copy(), axis=-1, out=outwards)
        result = values.copy()
        accumulate_outwards(function, result, median)
        assert (result == expected).all()
