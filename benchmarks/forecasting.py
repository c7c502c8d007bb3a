"""Compares `pyrnn.forecasting.Forecaster` with simple forecasts, a linear autoregression and gradient boosting.

    python benchmarks/forecasting.py [--data NAME ...] [--wikipedia FILE] [--folds N]

All have their defaults and see the same rows: each fold forecasts the `horizon` rows after those before it. Models are
trained once, on the rows before the first fold. Prints a table in Markdown: MASE (in units of the seasonal naive
forecast's error on the training rows), coverage of the 80 and 95 % intervals, and seconds of fitting and of forecasting
all folds. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from forecasting_data import MADE, Table, filled, load
from numpy.typing import NDArray

from pyrnn.forecasting import Forecaster, drift, last_value, scores, seasonal_naive

Array = NDArray[Any]
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
# Fits on the values (N, T) before the first fold and returns what forecasts (N, H, K) from the rows before an origin.
Method = Callable[[Table, int], Callable[[int], Array]]


def simple(function: Callable[..., Any], *arguments: str) -> Method:
    """A forecast without a model."""

    def fit(table: Table, first: int) -> Callable[[int], Array]:
        extra = {name: getattr(table, name) for name in arguments}
        return lambda origin: function(table.values[:, :origin], table.horizon, quantiles=list(LEVELS), **extra)

    return fit


def pyrnn_forecaster(table: Table, first: int) -> Callable[[int], Array]:
    """The forecaster with its defaults; between folds it is calibrated anew, not trained."""
    columns = table.columns()
    day = table.dates[first]
    forecaster = Forecaster(
        horizon=table.horizon,
        target="y",
        date="date",
        group="series",
        future=list(table.future),
        missing="previous",
        quantiles=LEVELS,
    )

    def rows(chosen: Array) -> dict[str, Array]:
        return {name: column[chosen] for name, column in columns.items()}

    forecaster.fit(rows(columns["date"] < day))

    def forecast(origin: int) -> Array:
        before = rows(columns["date"] < table.dates[origin])
        ahead = slice(origin, origin + table.horizon)
        n = len(table.values)
        future = None
        if table.future:
            future = {"series": np.repeat(np.arange(n), table.horizon), "date": np.tile(table.dates[ahead], n)}
            future |= {name: column[:, ahead].ravel() for name, column in table.future.items()}
        if origin > first:
            forecaster.calibrate(before)
        result = forecaster.predict(before, future)
        order = np.argsort([int(each[0]) if isinstance(each, tuple) else int(each) for each in result.ids])
        return np.asarray(result.quantiles[order])

    return forecast


class Windows:
    """Windows of all series, in units of the mean absolute value of the lookback plus parts of longer means."""

    def __init__(self, table: Table) -> None:
        self.table, self.lookback = table, max(2 * table.season, table.horizon)
        self.values = filled(table.values, table.season)

    def at(self, origin: int) -> tuple[Array, Array]:
        """Lookbacks (N, L) in units of their scale, and the scales (N, 1)."""
        x = self.values[:, origin - self.lookback : origin]
        whole = np.abs(self.values[:, :origin]).mean(axis=1, keepdims=True)
        scale = np.abs(x).mean(axis=1, keepdims=True) + 0.1 * whole + 0.01 * whole.mean()
        return x / scale, scale

    def training(self, first: int, most: int) -> tuple[Array, Array, Array]:
        """Lookbacks (M, L) and targets (M, H) in units of the scale, and the origins (M,)."""
        horizon = self.table.horizon
        origins = np.arange(self.lookback, first - horizon + 1)
        step = max(1, len(origins) * len(self.values) // most)
        chosen = origins[::-1][::step]
        x, y, at = [], [], []
        for origin in chosen:
            lookback, scale = self.at(origin)
            x.append(lookback)
            y.append(self.values[:, origin : origin + horizon] / scale)
            at.append(np.full(len(scale), origin))
        return np.concatenate(x), np.concatenate(y), np.concatenate(at)


def linear_autoregression(table: Table, first: int) -> Callable[[int], Array]:
    """A linear model from the lookback to all steps ahead; intervals are quantiles of the training errors."""
    from sklearn.linear_model import RidgeCV

    windows = Windows(table)
    x, y, _ = windows.training(first, 20_000)
    model = RidgeCV(np.logspace(-2, 3, 6)).fit(x, y)
    errors = np.quantile(y - model.predict(x).reshape(y.shape), LEVELS, axis=0).T  # (H, K)
    errors -= errors[:, [LEVELS.index(0.5)]]

    def forecast(origin: int) -> Array:
        lookback, scale = windows.at(origin)
        point = model.predict(lookback).reshape(len(lookback), -1)
        return np.asarray((point[..., None] + errors) * scale[..., None])

    return forecast


def gradient_boosting(table: Table, first: int) -> Callable[[int], Array]:
    """scikit-learn's histogram gradient boosting on lags, the calendar, the step ahead and covariates: one model for
    each quantile.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    windows, horizon, season = Windows(table), table.horizon, table.season
    steps = np.arange(horizon)

    def features(lookback: Array, origins: Array, series: Array) -> Array:
        """(M * H, features) of windows with these origins."""
        rows = len(lookback)
        same = np.stack([lookback[:, (steps % season) - back * season] for back in (1, 2)], axis=-1)
        recent = np.repeat(lookback[:, None, -min(7, lookback.shape[1]) :], horizon, axis=1)
        means = np.repeat(np.stack([lookback[:, -season:].mean(1), lookback.std(1)], -1)[:, None], horizon, axis=1)
        ahead = origins[:, None] + steps
        dates = table.dates[ahead]
        hours = dates.astype("datetime64[h]").astype(int)
        calendar = [hours % 24, hours // 24 % 7, dates.astype("datetime64[M]").astype(int) % 12]
        later = [column[series[:, None], ahead] for column in table.future.values()]
        place = np.broadcast_to(steps, (rows, horizon))
        return np.concatenate([same, recent, means, np.stack([place, *calendar, *later], axis=-1)], axis=-1).reshape(
            rows * horizon, -1
        )

    x, y, origins = windows.training(first, 20_000)
    series = np.tile(np.arange(len(table.values)), len(x) // len(table.values))
    inputs, targets = features(x, origins, series), y.ravel()
    models = [
        HistGradientBoostingRegressor(loss="quantile", quantile=level, random_state=0).fit(inputs, targets)
        for level in LEVELS
    ]

    def forecast(origin: int) -> Array:
        lookback, scale = windows.at(origin)
        count = len(lookback)
        rows = features(lookback, np.full(count, origin), np.arange(count))
        values = np.stack([model.predict(rows) for model in models], axis=-1).reshape(count, horizon, -1)
        return np.sort(values, axis=-1) * scale[..., None]

    return forecast


METHODS: dict[str, Method] = {
    "pyrnn Forecaster": pyrnn_forecaster,
    "last value": simple(last_value),
    "seasonal naive": simple(seasonal_naive, "season"),
    "drift": simple(drift),
    "linear autoregression": linear_autoregression,
    "gradient boosting": gradient_boosting,
}


def compare(table: Table, folds: int) -> list[dict[str, Any]]:
    """The rows of the result for one table."""
    total = table.values.shape[1]
    origins = [total - (folds - fold) * table.horizon for fold in range(folds)]
    truth = np.concatenate([table.values[:, origin : origin + table.horizon] for origin in origins])
    train = {number: row[: origins[0]] for number, row in enumerate(table.values)}
    groups = np.tile(np.arange(len(table.values)), folds)
    rows = []
    for name, method in METHODS.items():
        start = time.perf_counter()
        forecast = method(table, origins[0])
        fitted = time.perf_counter()
        made = np.concatenate([forecast(origin) for origin in origins])
        done = time.perf_counter()
        (row,) = scores(truth, {name: made}, quantiles=LEVELS, train=train, season=table.season, groups=groups).rows
        rows.append({"data": table.name, **row, "fit": fitted - start, "forecast seconds": done - fitted})
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The result as a table in Markdown."""
    lines = [
        "| data | forecast | MASE | 80 % interval | 95 % interval | fit | forecast |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['data']} | {row['forecast']} | {row['MASE']:.3f} | {row['coverage 80']:.1%} | "
            f"{row['coverage 95']:.1%} | {row['fit']:.2f} s | {row['forecast seconds']:.3f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(MADE), choices=[*MADE, "wikipedia"])
    parser.add_argument("--wikipedia", type=Path, help="wikipedia_daily_views.csv.gz")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.data:
        rows += compare(load(name, options.wikipedia), options.folds)
        print(markdown(rows[-len(METHODS) :]), flush=True)


if __name__ == "__main__":
    main()
