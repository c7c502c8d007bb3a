"""Tables for the comparison of forecasters: real ones and some made here, from 1 to 1,000 series.

N series, T rows, K covariates that are known in advance.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.datasets import load_flights

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Series with the same dates.

    values: (N, T), NaN where a value is missing. dates: (T,). future: covariates (N, T) by name. horizon and season in
    rows.
    """

    name: str
    values: Array
    dates: Array
    horizon: int
    season: int
    future: dict[str, Array]

    def columns(self) -> dict[str, Array]:
        """The long table, without the rows whose value is missing."""
        there = ~np.isnan(self.values)
        ids = np.broadcast_to(np.arange(len(self.values))[:, None], there.shape)
        dates = np.broadcast_to(self.dates, there.shape)
        columns = {"series": ids[there], "date": dates[there], "y": self.values[there]}
        return columns | {name: column[there] for name, column in self.future.items()}


def filled(values: Array, season: int) -> Array:
    """Series (N, T) in which a missing value is that of a season before, or in the first season the mean."""
    result = values.copy()
    for row in result:
        for t in np.flatnonzero(np.isnan(row)):
            row[t] = row[t - season] if t >= season else np.nanmean(row)
    return result


def flights() -> Table:
    """Hourly departures from three airports. The clock skips an hour in March and repeats one in November; rows are
    numbered by real hours instead.
    """
    data = load_flights()
    dates = np.datetime64("2013-01-01", "h") + np.arange(len(data.time))
    return Table("flights", data.departures.T.astype(float), dates, 24, 168, {})


def daily_sales() -> Table:
    """Three years of daily sales of one shop: week, year, trend, known promotions, closed days and 2 % of gaps."""
    random = np.random.default_rng(1)
    days = np.datetime64("2021-01-01") + np.arange(3 * 365)
    t, weekday = np.arange(len(days)), (days.astype(int) + 3) % 7
    promotion = (random.random(len(days)) < 0.07).astype(float)
    week = np.array([0.9, 0.85, 0.9, 1.0, 1.25, 1.5, 0.6])[weekday]
    level = 80 * (1 + 0.15 * np.sin(2 * np.pi * t / 365.25)) * (1 + 0.0002 * t)
    mean = level * week * (1 + 0.45 * promotion)
    sales = random.negative_binomial(30, 30 / (30 + mean)).astype(float)
    sales[random.random(len(days)) < 0.02] = np.nan
    return Table("daily sales", sales[None], days, 14, 7, {"promotion": promotion[None]})


def monthly_totals() -> Table:
    """Twelve years of 24 monthly series in the manner of airline passengers: growth times a yearly season."""
    random = np.random.default_rng(2)
    months = np.datetime64("2010-01", "M") + np.arange(144)
    t = np.arange(144)
    shape = np.cumsum(random.normal(0, 0.08, (24, 12)), axis=1)
    season = np.exp(shape - shape.mean(axis=1, keepdims=True))[:, t % 12]
    growth = np.exp(random.normal(0.006, 0.003, (24, 1)) * t + np.cumsum(random.normal(0, 0.015, (24, 144)), axis=1))
    values = random.uniform(50, 500, (24, 1)) * growth * season * np.exp(random.normal(0, 0.03, (24, 144)))
    return Table("monthly totals", values.round(1), months, 12, 12, {})


def sensor() -> Table:
    """Four months of an hourly temperature: a day, slow weather, noise, and 1 % of readings missing."""
    random = np.random.default_rng(3)
    hours = np.datetime64("2023-03-01T00", "h") + np.arange(24 * 120)
    t, weather = np.arange(len(hours)), np.zeros(len(hours))
    for i in range(1, len(hours)):
        weather[i] = 0.995 * weather[i - 1] + random.normal(0, 0.25)
    values = 15 + 0.05 * t / 24 + 4 * np.sin(2 * np.pi * (t - 9) / 24) + weather + random.normal(0, 0.3, len(hours))
    values[random.random(len(hours)) < 0.01] = np.nan
    return Table("sensor", values[None].round(2), hours, 24, 24, {})


def intermittent_counts() -> Table:
    """A year of 1,000 series of daily counts, most of them zero, with weeks of different strength."""
    random = np.random.default_rng(4)
    days = np.datetime64("2022-01-01") + np.arange(364)
    week = np.exp(random.normal(0, 0.4, (1000, 7)))[:, np.arange(364) % 7]
    mean = random.gamma(0.8, 0.9, (1000, 1)) * week
    return Table(
        "intermittent counts", random.negative_binomial(1.5, 1.5 / (1.5 + mean)).astype(float), days, 14, 7, {}
    )


def wikipedia(path: Path) -> Table:
    """Daily page views of the series without a day of no views and with at least 10 views a day."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    values = np.array([line[4:] for line in lines], dtype=float)
    values = values[(values > 0).all(axis=1) & (values.mean(axis=1) >= 10)]
    return Table("wikipedia", values, np.array(header[4:], "datetime64[D]"), 14, 7, {})


MADE: dict[str, Callable[[], Table]] = {
    "flights": flights,
    "daily-sales": daily_sales,
    "monthly": monthly_totals,
    "sensor": sensor,
    "counts": intermittent_counts,
}


def load(name: str, wikipedia_path: Path | None) -> Table:
    """A table by its name."""
    if name != "wikipedia":
        return MADE[name]()
    if wikipedia_path is None:
        raise SystemExit("wikipedia needs --wikipedia FILE")
    return wikipedia(wikipedia_path)
