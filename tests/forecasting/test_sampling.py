"""Recursive forecasters: sample paths and forecasts against plain loops over the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import backend, layers
from pyrnn.forecasting import Forecaster
from pyrnn.forecasting.inputs import TARGET, make_inputs
from pyrnn.forecasting.trained import _mixed
from pyrnn.reference.draws import Draws, drawn

DAYS, HORIZON, PATHS = 200, 6, 5
HEADS = ["gaussian", "student", "negative_binomial"]
QUICK: dict[str, Any] = {
    "horizon": HORIZON, "units": 7, "epochs": 3, "strategy": "recursive", "target": "sales", "group": "shop",
    "future": "promo", "past": "visitors", "static": "area", "embedding": 2, "members": 2,
}  # fmt: skip


def shops() -> tuple[dict[str, Any], dict[str, Any]]:
    """Daily sales of two shops with a week, promotions, visitors and an area; and the promotions of the next days."""
    generator = np.random.default_rng(3)
    days = np.arange("2024-01-01", "2024-07-25", dtype="datetime64[D]")
    promo = (generator.random((2, len(days))) < 0.2).astype(float)
    week = np.array([1, 1, 1.2, 1.1, 1.3, 2.0, 0.5])[np.arange(len(days)) % 7]
    mean = np.array([[15.0], [150.0]]) * week * (1 + 0.8 * promo)
    table = {
        "shop": np.repeat(["a", "b"], len(days)), "day": np.tile(days, 2), "promo": promo.ravel(),
        "sales": generator.poisson(mean).astype(float).ravel(), "area": np.repeat([1.0, 3.0], len(days)),
        "visitors": generator.normal(mean, 3).ravel(),
    }  # fmt: skip
    is_past = table["day"] < days[DAYS]
    later = {name: table[name][~is_past] for name in ("shop", "day", "promo")}
    assert np.sum(~is_past) == 2 * HORIZON
    return {name: column[is_past] for name, column in table.items()}, later


PAST, LATER = shops()
_fitted: dict[str, Forecaster] = {}


def fitted(head: str) -> Forecaster:
    if head not in _fitted:
        _fitted[head] = Forecaster("gru", head=head, **QUICK).fit(PAST)
    return _fitted[head]


def windows(forecaster: Forecaster) -> Any:
    """What the networks read of the last rows; the targets ahead are still 0."""
    panel = forecaster._ahead(None, LATER)
    source = forecaster._source(panel.latest(forecaster.layout_.reach))
    history = source.gather(source.panel.starts[:-1] + source.panel.lengths)
    return make_inputs(history, forecaster.layout_)


def outputs_of(forecaster: Forecaster, member: int, inputs: Any, step: int) -> Any:
    """Raw outputs (B, O) of a step, by a pass of the whole network over all rows."""
    return np.asarray(forecaster.networks_[member].predict_on_batch(inputs.arrays))[:, step]


@pytest.mark.parametrize("head", HEADS)
def test_paths_are_those_of_a_plain_loop(head: str) -> None:
    forecaster = fitted(head)
    values = forecaster.sample(future=LATER, paths=PATHS, seed=9)
    assert values.shape == (2, PATHS, HORIZON)
    lookback = forecaster.layout_.lookback
    for path in range(PATHS):
        inputs, member = windows(forecaster), path % 2
        center, scale = inputs.center[:, 0], inputs.scale[:, 0]
        for step in range(HORIZON):
            raw = outputs_of(forecaster, member, inputs, step)
            for b in range(2):
                draws = Draws(_mixed(9, 0, member), b, path // 2, step)
                base, unit = inputs.base[b, step], scale[b]
                if head == "negative_binomial":
                    unit = max(base, 0.05 * unit)
                name = "gaussian_spread" if head == "gaussian" else head
                value = drawn(name, raw[b], base, unit, draws)
                assert values[b, path, step] == pytest.approx(max(value, 0.0), rel=1e-4, abs=1e-3 * scale[b])
                if step + 1 < HORIZON:
                    inputs.past[b, lookback + step, TARGET] = (value - center[b]) / scale[b]


@pytest.mark.parametrize("head", [*HEADS, "quantile", "mae"])
def test_forecasts_are_those_of_a_plain_loop(head: str) -> None:
    forecaster = fitted(head)
    inputs, lookback = windows(forecaster), forecaster.layout_.lookback
    for step in range(HORIZON):
        base = inputs.base[:, step : step + 1]
        raws = [outputs_of(forecaster, member, inputs, step)[:, None] for member in range(2)]
        heads = [forecaster._head.quantiles(raw, base, inputs.scale) for raw in raws]
        medians = np.mean(heads, axis=0)[:, 0, forecaster._median]
        forecast = forecaster.predict(future=LATER).median[:, step]
        assert forecast == pytest.approx(np.maximum(medians, 0), rel=1e-4, abs=1e-3)
        if step + 1 < HORIZON:
            inputs.past[:, lookback + step, TARGET] = (medians - inputs.center[:, 0]) / inputs.scale[:, 0]


@pytest.mark.parametrize("head", HEADS)
def test_first_steps_have_the_quantiles_of_predict(head: str) -> None:
    """The first step depends on no draw, so that its paths have the quantiles of each member."""
    forecaster = fitted(head)
    single = Forecaster("gru", head=head, **{**QUICK, "members": 1})
    for name, value in vars(forecaster).items():
        if name.endswith("_"):
            setattr(single, name, value)
    single.networks_, single.factors_ = forecaster.networks_[:1], np.ones_like(forecaster.factors_)
    first = single.sample(future=LATER, paths=20_000, seed=1)[:, :, 0]
    quantiles = single.predict(future=LATER).quantiles[:, 0]
    for b in range(2):
        for level, quantile in zip(single.quantiles, quantiles[b], strict=True):
            below = np.mean(first[b] < quantile), np.mean(first[b] <= quantile)
            assert below[0] - 0.01 <= level <= below[1] + 0.01


def test_seeds_paths_and_threads() -> None:
    forecaster = fitted("gaussian")
    values = forecaster.sample(future=LATER, paths=6, seed=4)
    assert (forecaster.sample(future=LATER, paths=40, seed=4)[:, :6] == values).all()
    assert (forecaster.sample(future=LATER, paths=6, seed=5) != values).any()
    assert (forecaster.sample(future=LATER, paths=1, seed=4) == values[:, :1]).all()
    before = backend.get_num_threads()
    try:
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            assert (forecaster.sample(future=LATER, paths=6, seed=4) == values).all()
    finally:
        backend.set_num_threads(before)


def test_covariates_and_series_are_those_of_the_table() -> None:
    forecaster = fitted("negative_binomial")
    calm, busy = ({**LATER, "promo": np.full(2 * HORIZON, each)} for each in (0.0, 1.0))
    means = [forecaster.sample(future=each, paths=200, seed=2).mean(axis=(1, 2)) for each in (calm, busy)]
    assert (means[0] != means[1]).all()
    assert means[0][1] > 4 * means[0][0]
    of_b = {name: column[PAST["shop"] == "b"] for name, column in PAST.items()}
    only = forecaster.sample(of_b, {n: c[LATER["shop"] == "b"] for n, c in LATER.items()}, paths=3, seed=2)
    assert only.shape == (1, 3, HORIZON)
    assert (only == np.floor(only)).all()


def test_files_keep_what_recursion_needs(tmp_path: Path) -> None:
    forecaster = fitted("student")
    forecaster.save(tmp_path / "file")
    loaded = Forecaster.load(tmp_path / "file")
    assert (loaded.sample(future=LATER, paths=3, seed=1) == forecaster.sample(future=LATER, paths=3, seed=1)).all()
    assert (loaded.predict(future=LATER).quantiles == forecaster.predict(future=LATER).quantiles).all()


def test_a_function_builds_the_rows_of_a_recursive_network() -> None:
    def stack(rows: Any) -> Any:
        return layers.LSTM(5, return_sequences=True)(layers.LSTM(5, return_sequences=True)(rows))

    quick = {**QUICK, "members": 1, "epochs": 1}
    forecaster = Forecaster(stack, head="gaussian", **quick).fit(PAST)
    assert np.isfinite(forecaster.sample(future=LATER, paths=4, seed=1)).all()
    slow = Forecaster(lambda rows: layers.Conv1D(4, 3, padding="causal")(rows), head="gaussian", **quick).fit(PAST)
    assert np.isfinite(slow.predict(future=LATER).median).all()
    with pytest.raises(ValueError, match=r"model must consist of SimpleRNN, LSTM, .* got layers .*Conv1D"):
        slow.sample(future=LATER)
    with pytest.raises(ValueError, match="Bidirectional"):
        Forecaster(lambda rows: layers.Bidirectional(layers.GRU(3, return_sequences=True))(rows), **quick).fit(PAST)
    with pytest.raises(TypeError, match=r"model must return a symbolic output of shape \(batch, rows, features\)"):
        Forecaster(lambda rows: layers.GRU(3)(rows), **quick).fit(PAST)


def test_what_cannot_sample_says_what_it_lacks() -> None:
    values = 20 + 8 * np.sin(2 * np.pi * np.arange(150) / 7)
    with pytest.raises(RuntimeError, match="not trained"):
        Forecaster(strategy="recursive", head="gaussian").sample()
    direct = Forecaster(horizon=3, season=7, epochs=1, members=1, head="gaussian").fit(values)
    with pytest.raises(ValueError, match=r"strategy must be 'recursive' to sample paths, .* got 'direct'"):
        direct.sample()
    for head in ("quantile", "mae", "mse"):
        made = Forecaster(horizon=3, season=7, epochs=1, members=1, head=head, strategy="recursive").fit(values)
        with pytest.raises(ValueError, match=f"head must be 'gaussian', .* got '{head}'"):
            made.sample()
    with pytest.raises(ValueError, match=r"future must have 'promo' for the 6 rows"):
        fitted("gaussian").sample()
    with pytest.raises((TypeError, ValueError), match="paths"):
        fitted("gaussian").sample(future=LATER, paths=0)


def test_horizons_of_one_row() -> None:
    values = 20 + 8 * np.sin(2 * np.pi * np.arange(150) / 7)
    made = Forecaster(horizon=1, season=7, epochs=1, members=1, head="gaussian", strategy="recursive").fit(values)
    assert made.sample(paths=3).shape == (1, 3, 1)
    assert made.predict().median.shape == (1, 1)
