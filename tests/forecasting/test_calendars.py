"""Features of the calendar, compared with pandas, and covariates of dates to come."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyrnn.forecasting import Calendar, add_calendar, calendar, extend, latest_windows, panel, windows

DATES = pd.date_range("2023-11-20 05:30", periods=500, freq="h")
PLACES: dict[str, Callable[[Any], Any]] = {
    "hour": lambda dates: dates.hour + dates.minute / 60,
    "weekday": lambda dates: dates.day_of_week,
    "day": lambda dates: dates.day - 1,
    "day_of_year": lambda dates: dates.day_of_year - 1,
    "month": lambda dates: dates.month - 1,
}
SIZES = {"hour": 24, "weekday": 7, "day": 31, "day_of_year": 366, "month": 12}


@pytest.mark.parametrize("cycle", PLACES)
def test_cycles_are_those_of_pandas(cycle: str) -> None:
    place = np.asarray(PLACES[cycle](DATES), np.float64)
    hot = Calendar((cycle,), "one_hot")(DATES.to_numpy())
    assert (
        hot.shape == (500, SIZES[cycle]) and (hot.argmax(axis=1) == np.floor(place)).all() and (hot.sum(1) == 1).all()
    )
    angle = 2 * np.pi * place / SIZES[cycle]
    waves = Calendar((cycle,), harmonics=2)(DATES.to_numpy())
    expected = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    np.testing.assert_allclose(waves, np.stack(expected, axis=1), atol=1e-12)


@pytest.mark.parametrize(
    "frequency, cycles",
    {
        "15min": ("hour", "weekday", "day_of_year"), "D": ("weekday", "day", "day_of_year"),
        "B": ("weekday", "day", "day_of_year"), "W": ("day_of_year",), "MS": ("month",), "QE": ("month",), "YS": (),
    }.items(),
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["waves", "one_hot"])
def test_the_cycles_of_a_frequency(frequency: str, cycles: tuple[str, ...], encoding: str) -> None:
    made = calendar(frequency, encoding=encoding)
    assert made.cycles == cycles
    features = made(np.array([["2024-02-29T23:59", "1969-12-31"]], "datetime64[m]"))
    assert features.shape == (1, 2, len(made.names)) and np.isfinite(features).all()
    assert Calendar(**json.loads(json.dumps(made.get_config())))(DATES.to_numpy()).shape == (500, len(made.names))


FEAST = datetime.date(2023, 12, 1)
FEASTS = [
    ["2023-12-01"], [FEAST], pd.DatetimeIndex(["2023-12-01"]), {FEAST: "Feast"}, {"holiday": "2023-12-01"},
    {"holiday": np.array(["2023-12-01"], "datetime64[D]")},
]  # fmt: skip


@pytest.mark.parametrize("holidays", FEASTS, ids=[type(each).__name__ + str(n) for n, each in enumerate(FEASTS)])
def test_holidays(holidays: Any) -> None:
    made = calendar("h", cycles=[], holidays=holidays)
    assert made.names == ("holiday",)
    assert (made(DATES.to_numpy())[:, 0] == (DATES.date == FEAST)).all()
    two = calendar("D", cycles=[], holidays={"a": ["2024-01-01"], "b": ["2024-01-02", "2024-01-03"]})
    assert two(np.arange("2024-01-01", "2024-01-04", dtype="datetime64[D]")).tolist() == [[1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "frequency must be that of dates unless cycles are passed, got None"),
        ({"frequency": 1}, "frequency must be that of dates"),
        ({"frequency": "x"}, "frequency must be a text such as"),
        ({"cycles": ["minute"]}, "cycles must be some of 'hour', 'weekday'.*got 'minute'"),
        ({"cycles": "hour"}, "cycles must be a list"),
        ({"frequency": "D", "encoding": "cosine"}, "encoding must be"),
        ({"frequency": "D", "harmonics": 0}, "harmonics must be"),
        ({"frequency": "D", "holidays": ["soon"]}, "holidays must be dates"),
        ({"frequency": "D", "holidays": 7}, "holidays must be dates"),
        ({"frequency": "D", "holidays": [20240101]}, "holidays must be dates"),
        ({"frequency": "W", "holidays": ["2024-01-01"]}, "holidays must come with steps of at most a day, got 'W'"),
        ({"frequency": "MS", "holidays": ["2024-01-01"]}, "got 'MS'"),
    ],
)
def test_bad_calendars(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar(**arguments)


def test_a_calendar_covers_the_rows_to_forecast_on_the_wall_clock() -> None:
    hours = pd.date_range("2024-03-30", periods=50, freq="h", tz="Europe/Berlin")
    made = add_calendar(
        panel(pd.Series(np.arange(50.0), hours)), calendar("h", cycles=["hour"], encoding="one_hot"), horizon=6
    )
    expected = pd.date_range(hours[0], periods=56, freq="h").hour
    assert (made[0].future.argmax(axis=1) == expected).all() and made.lengths.tolist() == [50]
    assert latest_windows(made, lookback=5, horizon=6).future.shape == (1, 11, 24)
    assert len(windows(made, lookback=5, horizon=6)) == 40
    with pytest.raises(ValueError, match="panel must have dates for features of the calendar"):
        add_calendar(panel(np.arange(9.0)), calendar("D"), horizon=2)


def shops() -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=6)
    parts = [
        pd.DataFrame({"day": days[:n], "shop": shop, "sales": 1.0, "promo": 0}) for shop, n in (("a", 6), ("b", 4))
    ]
    return pd.concat(parts)


def later(**changes: Any) -> pd.DataFrame:
    days = pd.date_range("2024-01-04", periods=7)
    columns = {"day": [*days, *days], "shop": ["b"] * 7 + ["a"] * 7, "promo": np.arange(14.0)}
    return pd.DataFrame({**columns, **changes})


def test_a_panel_is_extended_by_later_covariates() -> None:
    """Rows up to the last target are ignored, and series may end on different dates."""
    made = extend(panel(shops(), "sales", future="promo", group="shop"), later())
    assert made[0].future[:10, 0].tolist() == [0] * 6 + [10, 11, 12, 13]
    assert made[1].future[:, 0].tolist()[:10] == [0] * 4 + [1, 2, 3, 4, 5, 6] and made.lengths.tolist() == [6, 4]
    assert latest_windows(made, lookback=3, horizon=4).future[:, :, 0].tolist() == [
        [0, 0, 0, 10, 11, 12, 13], [0, 0, 0, 1, 2, 3, 4],
    ]  # fmt: skip
    again = panel(shops(), **made.arguments)
    assert again.ids == made.ids and again.names == made.names and again.frequency == made.frequency


def test_a_wide_panel_is_extended() -> None:
    days = pd.date_range("2024-01-01", periods=5, tz="Europe/Berlin")
    wide = pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, np.nan], "promo": list("xyx")}, index=days[:3])
    made = panel(wide, ["a", "b"], future="promo", wide=True)
    longer = extend(made, pd.DataFrame({"promo": list("xyy")}, index=days[2:]))
    assert longer[0].future[:5, 1].tolist() == [0, 1, 0, 1, 1] and longer[1].future[:5, 1].tolist() == [0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    "table, message",
    [
        (lambda: later().drop(columns="promo"), "future must name columns of the table"),
        (lambda: later().drop(columns="shop"), "group must name columns of the table"),
        (lambda: later(shop="c"), "group must name series of the panel in the table of the future, got 'c'"),
        (lambda: later().drop(columns="day"), "date must be in the table of the future"),
        (lambda: pd.concat([later(), later()]), "must have one row for each date, got 2 of series 'a', 2024-01-07"),
        (lambda: later(day=later()["day"] + pd.Timedelta("1h")), "date must be whole steps of 'D' after the last"),
        (lambda: later(day=later()["day"].dt.tz_localize("UTC")), "date must be like the dates of the panel"),
    ],
)
def test_bad_tables_of_the_future(table: Callable[[], Any], message: str) -> None:
    made = panel(shops(), "sales", future="promo", group="shop")
    with pytest.raises(ValueError, match=message):
        extend(made, table())
    with pytest.raises(ValueError, match="panel must have future covariates to extend, got none"):
        extend(panel(shops(), "sales", group="shop"), later())
