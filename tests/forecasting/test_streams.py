"""Streams of a forecaster: each forecast is that of `predict` on all rows so far."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import layers
from pyrnn.forecasting import Forecaster, moving
from pyrnn.forecasting.inputs import BASES
from pyrnn.forecasting.moving import Sliding

DAYS, AHEAD, HORIZON = 180, 50, 5
QUICK: dict[str, Any] = {"horizon": HORIZON, "units": 6, "epochs": 1, "members": 2}
COLUMNS: dict[str, Any] = {
    "target": "sales", "group": "shop", "future": ["promo", "price"], "past": "visitors", "static": "area",
}  # fmt: skip


def shops() -> dict[str, Any]:
    """Sales of two shops with a week, two covariates known in advance, one that is not, and an area."""
    generator, count = np.random.default_rng(1), DAYS + AHEAD
    days = np.arange(count) + np.datetime64("2024-01-01")
    promo, price = (generator.random((2, count)) < 0.2).astype(float), generator.normal(5, 1, (2, count))
    week = np.array([1, 1, 1.2, 1.1, 1.3, 2.0, 0.5])[np.arange(count) % 7]
    mean = np.array([[15.0], [150.0]]) * week * (1 + 0.8 * promo)
    return {
        "shop": np.repeat(["a", "b"], count), "day": np.tile(days, 2), "promo": promo.ravel(), "price": price.ravel(),
        "sales": generator.poisson(mean).astype(float).ravel(), "area": np.repeat([1.0, 3.0], count),
        "visitors": generator.normal(mean, 3).ravel(),
    }  # fmt: skip


TABLE = shops()


def rows(chosen: Any, shop: str | None = None) -> dict[str, Any]:
    """The rows of some days, from 0, of both shops or one."""
    day = (TABLE["day"] - TABLE["day"][0]).astype(int)
    wanted = np.isin(day, chosen) & (True if shop is None else TABLE["shop"] == shop)
    return {name: column[wanted] for name, column in TABLE.items()}


def follow(forecaster: Forecaster, count: int, checked: Any, sales: Any = None) -> None:
    """Stream days of shop b; at the checked ones the forecast must be that of `predict` on the table so far."""
    ahead = rows(range(DAYS, DAYS + HORIZON), "b")
    online = forecaster.stream("b", ahead)
    new = rows(range(DAYS, DAYS + count), "b")
    new["sales"] = new["sales"] if sales is None else sales
    for day in range(count):
        last = rows([DAYS + day + HORIZON], "b")
        quantiles = online.step(new["sales"][day], new["visitors"][day], [last["promo"][0], last["price"][0]])
        if day in checked:
            so_far = {name: column[: day + 1] for name, column in new.items()}
            future = rows(range(DAYS + day + 1, DAYS + day + 1 + HORIZON), "b")
            expected = forecaster.predict(so_far, future).quantiles[0]
            assert quantiles == pytest.approx(expected, rel=1e-5, abs=1e-6), day
            assert (online.median == quantiles[:, 2]).all()


@pytest.mark.parametrize("head", ["quantile", "gaussian", "student", "negative_binomial", "mse"])
@pytest.mark.parametrize("model", ["gru", "lstm", "rnn"])
def test_streams_of_every_model_and_head(model: str, head: str) -> None:
    forecaster = Forecaster(model, head=head, embedding=3, **QUICK, **COLUMNS).fit(rows(range(DAYS)))
    follow(forecaster, 9, range(9))


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(missing="previous", **QUICK, **COLUMNS).fit(rows(range(DAYS)))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("scale", ["level", "deviation"])
def test_streams_of_every_base_and_scale(fitted: Forecaster, base: str, scale: str) -> None:
    before = fitted.layout_
    fitted.layout_ = replace(before, base=base, scale=scale)
    try:
        follow(fitted, 3, range(3))
    finally:
        fitted.layout_ = before


def test_rows_are_moved_to_the_front_now_and_then(fitted: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "ROOM", 1)
    follow(fitted, 34, [0, 1, 27, 28, 29, 33])


@pytest.mark.parametrize("length", [1, 2, 5])
def test_sliding_arrays_hold_the_last_rows(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "ROOM", 1)
    numbers = np.arange(60.0).reshape(30, 2)
    sliding = Sliding(numbers[:length])
    for row in range(length, 30):
        sliding.push(numbers[row])
        assert (sliding.rows == numbers[row + 1 - length : row + 1]).all()


def test_unknown_targets_come_and_go(fitted: Forecaster) -> None:
    """An unknown target stays in the window for its length, then all are known again."""
    reach = fitted.layout_.reach
    sales = rows(range(DAYS, DAYS + reach + 3), "b")["sales"]
    sales[1] = np.nan
    follow(fitted, reach + 3, [0, 2, 20, reach, reach + 1, reach + 2], sales)


@pytest.mark.parametrize("options", [
    {"strategy": "recursive"}, {"season": 1, "lookback": 3}, {"season": 30, "lookback": 2}, {"horizon": HORIZON},
    {"model": lambda past, future: layers.GRU(4, return_sequences=True)(future)},
])  # fmt: skip
def test_streams_of_other_settings(options: dict[str, Any]) -> None:
    forecaster = Forecaster(**{**QUICK, **COLUMNS, **options}).fit(rows(range(DAYS)))
    follow(forecaster, 6, [0, 3, 5])


def test_streams_of_loaded_forecasters(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "file")
    loaded = Forecaster.load(tmp_path / "file")
    follow(loaded, 4, range(4))
    assert loaded.stream("b", rows(range(DAYS, DAYS + HORIZON), "b"))._members is not None


def test_hourly_rows_without_covariates() -> None:
    hours = np.arange("2024-01-01", "2024-01-20", dtype="datetime64[h]")
    values = 20 + 8 * np.sin(2 * np.pi * np.arange(len(hours)) / 24) + np.random.default_rng(0).normal(size=len(hours))
    forecaster = Forecaster(horizon=6, epochs=1, members=1).fit({"t": hours[:-9], "y": values[:-9]})
    online = forecaster.stream()
    for number in range(9):
        quantiles = online.step(values[len(values) - 9 + number])
        until = len(hours) - 8 + number
        expected = forecaster.predict({"t": hours[len(hours) - 9 : until], "y": values[len(hours) - 9 : until]})
        assert quantiles == pytest.approx(expected.quantiles[0], rel=1e-5)
