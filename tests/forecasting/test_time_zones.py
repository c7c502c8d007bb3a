"""Time zones: what is read, and what tables, files, pictures and messages show, is on the wall clock of the data."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import cli
from pyrnn.forecasting import Forecaster, panel, read_table
from pyrnn.forecasting.moments import show

pd = pytest.importorskip("pandas")

DAY = 86400  # seconds
QUICK = {"horizon": 6, "epochs": 1, "members": 1, "lookback": 24}
# The last hour before the forecasts, across the end of summer time in Berlin and its beginning in New York, and
# where clocks never change.
ENDS = {
    "Europe/Berlin": "2024-10-27 00:00",
    "America/New_York": "2024-03-09 23:00",
    "Asia/Kolkata": "2024-05-01 17:00",
    "UTC": "2024-05-01 22:00",
}


def hours(zone: str, count: int = 200) -> Any:
    """A series of hours that ends where the forecasts of a zone begin."""
    dates = pd.date_range(end=pd.Timestamp(ENDS[zone], tz=zone), periods=count, freq="h")
    return pd.Series(3 + np.sin(np.arange(count) * 2 * np.pi / 24), dates, name="heat")


def file_of(series: Any, path: Path, zone: str) -> Path:
    """The series as a file of moments with offsets."""
    rows = [f"{moment.isoformat()},{float(value)!r}" for moment, value in series.tz_convert(zone).items()]
    path.write_text("\n".join(["time,heat", *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize("zone", ENDS)
def test_everything_that_is_shown_is_on_the_wall_clock(zone: str, tmp_path: Path) -> None:
    series = hours(zone)
    forecaster = Forecaster(**QUICK).fit(series)
    forecast = forecaster.predict()
    expected = pd.date_range(series.index[-1], periods=7, freq="h")[1:]
    assert list(forecast.frame().iloc[:, 0]) == list(expected)
    assert (forecast.dates[0] == expected.tz_convert("UTC").tz_localize(None).to_numpy()).all()
    name = forecast.names[1]
    assert (forecast.table()[name] == expected.tz_localize(None).to_numpy()).all()
    texts = [str(moment) for moment in expected]  # such as 2024-10-27 02:00:00+01:00
    assert [cells[0] for cells in forecast.cells(4)] == texts
    assert [line.split("  ")[0].strip() for line in repr(forecast).splitlines()[1:]] == texts
    assert str(series.index[0]) in repr(forecaster.panel_)
    figure = forecast.plot(tmp_path / "forecast.png", history=forecaster.panel_)
    figure.canvas.draw()
    axes = figure.axes[0]
    places = axes.get_lines()[-1].get_xdata(orig=False)
    assert places == pytest.approx([moment.timestamp() / DAY for moment in expected])
    assert [axes.format_xdata(place) for place in places] == [moment.strftime("%m-%d %H") for moment in expected]


@pytest.mark.parametrize("zone", ENDS)
def test_the_command_writes_the_time_zone_of_the_file(
    zone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The offsets of a file are those of its last row's clock, and each moment is the right one."""
    series, output = hours(zone), tmp_path / "next.csv"
    file = file_of(series, tmp_path / "heat.csv", zone)
    options = ["--target", "heat", "--horizon", "6", "--epochs", "1", "--lookback", "24", "--output", str(output)]
    assert cli.main(["forecast", str(file), *options]) == 0
    out = capsys.readouterr().out
    with output.open(encoding="utf-8", newline="") as stream:
        written = [row["time"] for row in csv.DictReader(stream)]
    assert all(text in out for text in written)
    offset = series.index[-1].isoformat()[-6:]
    assert all(text.endswith(offset) for text in written)
    expected = pd.date_range(series.index[-1], periods=7, freq="h")[1:]
    assert [pd.Timestamp(text) for text in written] == list(expected)
    again = read_table(output)
    assert again.timezone is not None
    assert list(again.frame()["time"]) == list(expected)


def test_a_table_that_was_read_and_its_frame_give_the_same_panel(tmp_path: Path) -> None:
    for zone in ENDS:
        table = read_table(file_of(hours(zone), tmp_path / "heat.csv", zone))
        read, framed = panel(table, "heat"), panel(table.frame(), "heat")
        assert (read.dates == framed.dates).all() and read.utc and framed.utc
        assert read.timezone == framed.timezone == table.timezone
        assert (read.dates == hours(zone).index.tz_convert("UTC").tz_localize(None).to_numpy()).all()


@pytest.mark.parametrize("step", ["h", "D"])
@pytest.mark.parametrize("later", [1, 3, 24])
def test_later_rows_may_have_another_offset(step: str, later: int, tmp_path: Path) -> None:
    """A file of summer is continued by one of winter: moments follow each other, and days are as written."""
    dates = pd.date_range("2024-06-01", "2024-10-26" if step == "D" else "2024-06-20", freq=step, tz="Europe/Berlin")
    if step == "h":
        dates = dates + pd.Timedelta(pd.Timestamp("2024-10-26 23:00", tz="Europe/Berlin") - dates[-1])
    values = 3 + np.sin(np.arange(len(dates) + later) * 2 * np.pi / (24 if step == "h" else 7))
    whole = pd.date_range(dates[0], periods=len(values), freq=step)
    first = read_table(file_of(pd.Series(values[:-later], dates), tmp_path / "a.csv", "Europe/Berlin"))
    rest = read_table(file_of(pd.Series(values[-later:], whole[-later:]), tmp_path / "b.csv", "Europe/Berlin"))
    forecaster = Forecaster(**QUICK).fit(first)
    continued = forecaster.predict(rest)
    # The clock of the later file is that of the calendar too; days are those of any clock.
    whole = whole.tz_convert(rest.timezone) if step == "h" else whole
    at_once = forecaster.predict(pd.DataFrame({"time": whole, "heat": values}))
    assert (continued.dates == at_once.dates).all()
    assert (continued.quantiles == at_once.quantiles).all()


def test_dates_with_and_without_a_time_zone_do_not_continue_each_other(tmp_path: Path) -> None:
    series = hours("Europe/Berlin")
    forecaster = Forecaster(**QUICK).fit(series)
    with pytest.raises(ValueError, match="have time zone Europe/Berlin, got dates with time zone None"):
        forecaster.predict(series.tz_localize(None))


def test_a_single_midnight_of_hours_is_an_hour() -> None:
    """One row of midnight among hours is a moment, not a day."""
    series = hours("Asia/Kolkata")
    forecaster = Forecaster(**QUICK).fit(series)
    midnight = pd.date_range(series.index[-1], periods=8, freq="h")[-1:]
    assert midnight[0].hour == 0
    forecast = forecaster.predict(pd.Series([3.0], midnight, name="heat"))
    expected = pd.date_range(midnight[0], periods=7, freq="h")[1:]
    assert forecast.utc and list(forecast.frame().iloc[:, 0]) == list(expected)


def test_messages_show_the_wall_clock() -> None:
    series = hours("Europe/Berlin")
    made = panel(series.drop(series.index[[10, 11]]), missing="previous")
    assert any(str(series.index[10]) in note for note in made.notes)
    forecaster = Forecaster(**QUICK).fit(series)
    cut = next(note for note in forecaster.notes_ if "for validation" in note)
    assert "+02:00" in cut
    with pytest.raises(ValueError, match=r"2 rows for 2024-10-2\d \d\d:00:00\+0[12]:00"):
        panel(pd.concat([series, series[-1:]]))


TEXTS = {
    ("2024-03-31T00:59:59.500000", "Europe/Berlin"): "2024-03-31 01:59:59.500000+01:00",
    ("2024-03-31T01:00", "Europe/Berlin"): "2024-03-31 03:00:00+02:00",
    ("2024-01-01T18:30", "UTC+05:30"): "2024-01-02 00:00:00+05:30",
    ("2024-01-01T03:30", "UTC-03:30"): "2024-01-01 00:00:00-03:30",
    ("2024-01-01T00:00", "UTC"): "2024-01-01 00:00:00+00:00",
}


@pytest.mark.parametrize("moment, zone", TEXTS)
def test_a_moment_as_text(moment: str, zone: str) -> None:
    assert show(np.datetime64(moment, "us"), zone) == TEXTS[moment, zone]
    assert show(np.datetime64(moment, "us")) == moment.replace("T", " ").removesuffix(" 00:00") + ":00" * (
        len(moment) == 16 and not moment.endswith("T00:00")
    )
