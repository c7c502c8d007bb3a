"""Tables become panels: every form, every frequency, gaps, and errors that name what is wrong first."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyrnn.forecasting import Frequency, Panel, latest_windows, panel, windows
from pyrnn.forecasting.moments import to_wall_clock

DAYS = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
SALES = np.arange(10.0)


def table(**changes: Any) -> pd.DataFrame:
    columns = {"date": pd.to_datetime(DAYS), "sales": SALES, "promo": [0, 1] * 5, "weather": list("srsrsrsrsr")}
    return pd.DataFrame({**columns, **changes})


def shops() -> pd.DataFrame:
    """Two shops of different length and start, their rows mixed and not sorted."""
    north = table(shop="north", size=3.0)
    south = table(shop="south", size=5.0, sales=SALES + 100).iloc[4:9]
    return pd.concat([north, south]).sample(frac=1, random_state=0)


def text_of(make: Callable[[], Any]) -> str:
    with pytest.raises(ValueError) as error:
        make()
    return str(error.value)


FORMS: dict[str, Callable[[], Panel]] = {
    "column of dates": lambda: panel(table(), "sales"),
    "index of dates": lambda: panel(table().set_index("date"), "sales"),
    "Series": lambda: panel(table().set_index("date")["sales"]),
    "text": lambda: panel(table(date=[str(day) for day in DAYS]), "sales"),
    "Python's dates": lambda: panel(table(date=[day for day in DAYS.tolist()]), "sales"),
    "periods": lambda: panel(table().set_index(pd.period_range("2024-01-01", periods=10, freq="D")), "sales"),
    "dict": lambda: panel({"date": DAYS, "sales": SALES}, "sales"),
    "dict of lists": lambda: panel({"date": [str(day) for day in DAYS], "sales": SALES.tolist()}),
    "nullable": lambda: panel(table(sales=pd.array(SALES, "Float64")), "sales"),
    "whole numbers": lambda: panel(table(sales=np.arange(10)), "sales"),
    "backwards": lambda: panel(table().iloc[::-1], "sales"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_series(form: str) -> None:
    made = FORMS[form]()
    assert made.ids == ("all",) and made.group == () and made.frequency == Frequency.parse("D")
    assert (made.dates.astype("datetime64[D]") == DAYS).all() and made.target[:, 0].tolist() == SALES.tolist()
    assert made.observed.all() and made.complete.all() and made.notes == ()


@pytest.mark.parametrize("order", ["by date", "backwards", "shuffled", "one row late"])
@pytest.mark.parametrize("groups", ["shop", ["shop", "city"]])
def test_rows_come_in_any_order(order: str, groups: Any) -> None:
    count = 30
    series = {
        "shop": np.repeat(np.array(["a", "b", "a"], object), count), "city": np.repeat([1, 1, 2], count),
        "day": np.tile(np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]"), 3), "sales": np.arange(90.0),
    }  # fmt: skip
    if groups == "shop":
        series = {name: column[: 2 * count] for name, column in series.items()}
    rows = np.arange(len(series["day"]))
    places = {
        "by date": np.argsort(series["day"], kind="stable"),
        "backwards": rows[::-1],
        "shuffled": np.random.default_rng(0).permutation(rows),
        "one row late": np.concatenate([rows[:5], rows[6:], rows[5:6]]),
    }[order]
    expected = panel(series, "sales", group=groups)
    made = panel({name: column[places] for name, column in series.items()}, "sales", group=groups)
    assert set(made.ids) == set(expected.ids)
    for number, each in enumerate(made.ids):
        other = expected[expected.ids.index(each)]
        assert (made[number].dates == other.dates).all()
        assert (made[number].target == other.target).all()


def test_arrays_have_rows_without_dates() -> None:
    made = panel(np.stack([SALES, SALES + 1], axis=1), target=1, past=0)
    assert not made.has_dates and made.next_dates(2).tolist() == [[10, 11]]
    assert made.target[:, 0].tolist() == (SALES + 1).tolist() and made.past[:, 0].tolist() == SALES.tolist()
    mixed = panel({"shop": list("abab"), "sales": [1.0, 10.0, 3.0, 30.0]}, "sales", group="shop")
    assert mixed[1].dates.tolist() == [0, 1] and mixed[1].target[:, 0].tolist() == [10, 30]
    years = panel({"year": [1990, 1992, 1994], "sales": [1, 2, 3]}, "sales", date="year")
    assert years.frequency == Frequency("row", 2) and years.next_dates(2).tolist() == [[1996, 1998]]


def test_series_of_different_length_and_start() -> None:
    made = panel(shops(), "sales", past="weather", future="promo", static="size", group="shop")
    by_id = {series.id: series for series in made}
    assert set(by_id) == {"north", "south"} and made.names["past"] == ("weather=r", "weather=s")
    assert by_id["south"].target[:, 0].tolist() == [104, 105, 106, 107, 108] and by_id["south"].static.tolist() == [5]
    assert by_id["north"].dates[0] == DAYS[0] and by_id["south"].dates[0] == DAYS[4]
    assert by_id["north"].past[:2].tolist() == [[0, 1], [1, 0]]
    assert panel(shops(), "sales", group=["shop", "size"]).ids[0] in {("north", 3.0), ("south", 5.0)}


def test_a_wide_table() -> None:
    wide = pd.DataFrame({"a": SALES, "b": [np.nan] * 3 + [1.0] * 5 + [np.nan] * 2, "promo": 1}, index=DAYS)
    made = panel(wide, ["a", "b"], future="promo", wide=True)
    assert made.ids == ("a", "b") and made.lengths.tolist() == [10, 5] and made[1].dates[0] == DAYS[3]
    assert made[1].future.shape == (7, 1) and made.names["target"] == ("value",)
    assert panel(wide, ["a", "b"], missing="zero").target.shape == (10, 2)


@pytest.mark.parametrize("alias", ["D", "h", "15min", "s", "W-SUN", "W-WED", "B", "MS", "ME", "QS", "QE", "YS", "YE"])
def test_frequencies_continue_as_in_pandas(alias: str) -> None:
    dates = pd.date_range("2024-01-31", periods=30, freq=alias)
    made = panel(pd.Series(np.arange(30.0), dates))
    expected = pd.date_range(dates[-1], periods=6, freq=alias)[1:]
    assert (made.next_dates(5)[0] == expected.to_numpy()).all()
    assert Frequency.parse(made.frequency.text) == made.frequency
    with_gap = panel(pd.Series(np.arange(30.0), dates).drop(dates[[7, 8, 20]]), missing="previous")
    assert (with_gap.dates == dates.to_numpy()).all() and with_gap.observed.sum() == 27
    assert panel(pd.Series(np.arange(30.0), dates), frequency=alias.split("-")[0]).frequency == made.frequency


@pytest.mark.parametrize(
    "frequency",
    [datetime.timedelta(days=1), np.timedelta64(24, "h"), "24h", Frequency("time", 86_400_000_000)],
    ids=str,
)
def test_a_day_in_every_form(frequency: Any) -> None:
    assert panel(table(), "sales", frequency=frequency).frequency.text == "D"


def test_a_day_of_the_month_that_short_months_lack() -> None:
    dates = np.array(["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30"], "datetime64[D]")
    made = panel({"date": dates, "sales": [1.0, 2, 3, 4]}, "sales")
    assert made.frequency == Frequency("month", 1, 30) and made.frequency.text == "M30"
    assert made.next_dates(10)[0, -1] == np.datetime64("2025-02-28")


ZONES = {"Europe/Berlin": "2024-03-30", "America/New_York": "2024-11-02", "UTC": "2024-01-01", "+05:30": "2024-01-01"}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("alias", ["h", "D"])
def test_time_zones(zone: str, alias: str) -> None:
    """Hours are regular in UTC across a change of the clocks, and days on the wall clock."""
    offset = "UTC+05:30" if zone == "+05:30" else zone
    dates = pd.date_range(ZONES[zone], periods=60, freq=alias, tz=offset)
    made = panel(pd.DataFrame({"when": dates, "sales": np.arange(60.0)}), "sales")
    assert made.timezone is not None and made.utc == (alias == "h") and made.frequency.text == alias
    clock = to_wall_clock(made.dates, made.timezone) if made.utc else made.dates
    assert (clock == dates.tz_localize(None).to_numpy()).all()
    assert made.until(dates[30]).lengths.tolist() == [30]
    assert made.until(str(dates[20])[:19]).lengths.tolist() == [20]


def test_gaps_are_filled_and_noted() -> None:
    lacking = table().drop(index=[3, 4, 7])
    made = panel(lacking, "sales", past="weather", future="promo", missing="previous")
    assert made.target[:, 0].tolist() == [0, 1, 2, 2, 2, 5, 6, 6, 8, 9]
    assert made.observed.tolist() == [True] * 3 + [False] * 2 + [True] * 2 + [False] + [True] * 2
    assert made.notes == ("the series lacks 3 dates: 2024-01-04, 2024-01-05, 2024-01-08; filled",)
    assert panel(lacking, "sales", missing="interpolate").target[:, 0].tolist() == SALES.tolist()
    assert panel(lacking, "sales", missing={"sales": "zero"}).target[:, 0].tolist() == [0, 1, 2, 0, 0, 5, 6, 0, 8, 9]
    ways = {"sales": "interpolate", "weather": "interpolate", "promo": "zero"}
    made = panel(lacking, "sales", past="weather", future="promo", missing=ways)
    assert set(made.past.ravel()) == {0.0, 1.0} and made.future[4, 0] == 0


def test_missing_values_are_filled_within_a_series() -> None:
    sales = SALES.copy()
    sales[[1, 2, 6]] = np.nan
    both = pd.concat([table(sales=sales, shop="a"), table(sales=100 + SALES, shop="b")])
    both.loc[:, "price"] = both["sales"]
    made = panel(both, "sales", past="price", group="shop", missing="interpolate")
    assert made[0].target[:, 0].tolist() == SALES.tolist() and made[1].target[:, 0].tolist() == (100 + SALES).tolist()
    late = both.assign(price=np.where(both["date"] > "2024-01-08", np.nan, both["price"]))
    made = panel(late, "sales", past="price", group="shop", missing="interpolate")
    assert made[0].past[-3:, 0].tolist() == [7, 7, 7] and made[1].past[-3:, 0].tolist() == [107, 107, 107]


def test_rows_after_the_last_target_are_the_future() -> None:
    sales = np.where(np.arange(10) < 7, SALES, np.nan)
    made = panel(table(sales=sales), "sales", future="promo")
    assert made.lengths.tolist() == [7] and made[0].future.shape == (10, 1) and made[0].target.shape == (7, 1)
    last = latest_windows(made, lookback=4, horizon=3)
    assert last.past[0, :, 0].tolist() == [3, 4, 5, 6] and np.isnan(last.y).all()
    assert last.future[0, :, 0].tolist() == [1, 0, 1, 0, 1, 0, 1] and last.dates[0, -1] == DAYS[9]
    message = "each of the 4 rows to forecast, but that of 'promo' is missing for the series on 2024-01-11: pass the"
    assert message in text_of(lambda: latest_windows(made, lookback=4, horizon=4))
    plain = panel(table(sales=sales), "sales")
    assert plain.notes == (
        "the series has 3 rows before its first or after its last target, which are left out: 2024-01-08 to 2024-01-10",
    )


def test_series_of_unequal_future_forecast_the_same_rows() -> None:
    made = panel(shops(), "sales", group="shop").take([1, 0])
    last = latest_windows(made, lookback=3, horizon=2)
    for number, series in enumerate(made):
        assert last.past[number, :, 0].tolist() == series.target[-3:, 0].tolist()
        assert last.dates[number, 0] == series.dates[-1] + np.timedelta64(1, "D")
    assert last.group.tolist() == [0, 1]


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "duplicated": (
        lambda: panel(pd.concat([table(), table().iloc[3:5]]), "sales"),
        "the series has 2 rows for 2024-01-04, rows 3 and 10 of the table (2 such dates): pass group= if",
    ),
    "duplicated in a group": (
        lambda: panel(pd.concat([shops(), shops()]), "sales", group="shop"), "has 2 rows for 2024-01-01",
    ),
    "irregular": (
        lambda: panel(table(date=pd.to_datetime(DAYS) + pd.to_timedelta([0] * 5 + [3] + [0] * 4, "h")), "sales"),
        "the series has irregular dates: 2024-01-06 03:00:00 is not a whole number of steps after 2024-01-05 with a "
        "step of 'D' (1 such date); pass the right frequency=",
    ),
    "irregular for the frequency": (lambda: panel(table(), "sales", frequency="W"), "2024-01-02 is not a whole number"),
    "weekends in business days": (lambda: panel(table(), "sales", frequency="B"), "irregular dates: 2024-01-06"),
    "gap": (lambda: panel(table().drop(index=4), "sales"), 'lacks 1 date: 2024-01-05; pass missing="previous"'),
    "gaps in groups": (
        lambda: panel(shops()[lambda rows: rows["date"] != "2024-01-06"], "sales", group="shop"),
        "lacks 1 date: 2024-01-06 (and 1 other series lack 1); pass",
    ),
    "far date": (
        lambda: panel(table(date=[*DAYS[:9], np.datetime64("2204-01-01")]), "sales", missing="zero"),
        "dates between 2024-01-09 and 2204-01-01 with a step of 'D': correct the dates",
    ),
    "missing value": (
        lambda: panel(table(sales=[*SALES[:4], np.nan, *SALES[5:]]), "sales"),
        "'sales' of the series on 2024-01-05 is missing (1 such value); pass missing=",
    ),
    "missing covariate": (
        lambda: panel(table(promo=[1, None] * 5), "sales", future="promo"), "'promo' of the series on 2024-01-02",
    ),
    "missing at the start": (
        lambda: panel(table(promo=[None] + [1.0] * 9), "sales", past="promo", missing="previous"),
        "'promo' of the series on 2024-01-01 comes before the first one",
    ),
    "no target": (lambda: panel(table(sales=np.nan), "sales"), "target must have a value in each series"),
    "infinite": (lambda: panel(table(sales=np.inf), "sales"), "'sales' must hold finite numbers, got inf in row 0"),
    "missing date": (lambda: panel(table(date=[pd.NaT, *pd.to_datetime(DAYS[1:])]), "sales"), "has none in row 0"),
    "text of other dates": (
        lambda: panel(table(date=["01/02/2024"] * 10), "sales", date="date"), "got 'date' with '01/02/2024'",
    ),
    "text of dates with a zone": (
        lambda: panel(table(date=[f"{day}T00:00Z" for day in DAYS]), "sales", date="date"), "date must name a column",
    ),
    "two columns of dates": (lambda: panel(table(opened=pd.to_datetime(DAYS)), "sales"), "'date', 'opened' all hold"),
    "fractions as dates": (lambda: panel(table(), "promo", date="sales"), "got 'sales' with float64"),
    "nanoseconds": (
        lambda: panel(table(date=DAYS.astype("datetime64[ns]") + np.timedelta64(1, "ns")), "sales"), "microseconds",
    ),
    "unknown column": (lambda: panel(table(), "sale"), "target must name columns of the table, which are 'date', 'sal"),
    "column used twice": (lambda: panel(table(), "sales", past="sales"), "got 'sales' in both; past targets are"),
    "no single target": (lambda: panel(table(), None), "target must be passed"),
    "target of text": (lambda: panel(table(), "weather"), "target must name columns of numbers, got 'weather'"),
    "covariate of dates": (lambda: panel(table(d=DAYS), "sales", past="d", date="date"), "column 'd' must hold"),
    "many categories": (
        lambda: panel(pd.DataFrame({"y": np.arange(80.0), "id": [f"i{n}" for n in range(80)]}), "y", past="id"),
        "column 'id' must hold numbers or 1 to 64 categories, got 80 different values, such as 'i0' and 'i1'",
    ),
    "new category": (
        lambda: panel(table(), "sales", past="weather", categories={"weather": ("s",)}), "got 'r' in row 1",
    ),
    "static that changes": (lambda: panel(table(), "sales", static="promo"), "static must name columns that stay"),
    "static that is missing": (
        lambda: panel(table(size=[np.nan] * 10), "sales", static="size"), "columns that have a value in each series",
    ),
    "group with gaps": (lambda: panel(table(shop=["a", None] * 5), "sales", group="shop"), "'shop' lacks some"),
    "way of filling": (lambda: panel(table(), "sales", missing="mean"), "missing must be one of 'raise', 'previous', "),
    "way for no column": (lambda: panel(table(), "sales", missing={"sale": "zero"}), "missing must name columns that"),
    "frequency": (lambda: panel(table(), "sales", frequency="fortnight"), "frequency must be a text such as 'h'"),
    "frequency of rows": (lambda: panel(table(), "sales", frequency=1), "frequency must fit the dates"),
    "anchor": (lambda: panel(table(), "sales", frequency="W-SUN"), "write 'W' for 'W-SUN'"),
    "one row": (lambda: panel(table().iloc[:1], "sales"), "frequency must be passed, since no series has two dates"),
    "no rows": (lambda: panel(table().iloc[:0], "sales"), "the table must have at least one row"),
    "unequal columns": (lambda: panel({"a": [1, 2], "b": [1]}, "a"), "must have the same length, got {'a': 2, 'b': 1}"),
    "no table": (lambda: panel("sales.csv", "sales"), "the table must be a DataFrame, a dict of columns, or an array"),
    "three axes": (lambda: panel(np.zeros((2, 2, 2))), "shape (T,) or (T, C), got ndarray of shape (2, 2, 2)"),
    "names": (lambda: panel(table(), 1.5), "target must be the name of a column or a list of names, got 1.5"),
    "wide with a group": (lambda: panel(shops(), "sales", group="shop", wide=True), "a wide table must have targets"),
    "date of until": (lambda: panel(table(), "sales").until("noon"), "date must be a date or a text such as"),
    "until before all": (lambda: panel(table(), "sales").until("2020-01-01"), "after the first date of a series"),
    "windows of a panel": (
        lambda: windows(panel(table(), "sales"), "sales", lookback=2, horizon=1), "data must be a table if columns are",
    ),
    "short series": (
        lambda: windows(table(), "sales", lookback=9, horizon=3), "lookback + horizon must be at most 10, the rows of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_tables_are_rejected_by_name(kind: str) -> None:
    make, message = BAD[kind]
    text = text_of(make)
    assert message in text and "\n" not in text


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy as np; from pyrnn.forecasting import windows; "
        "windows(np.arange(30.0), lookback=5, horizon=2).split(0.7); print('pandas' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == "False"
