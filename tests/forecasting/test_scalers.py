"""Scalers: exact inverses, constant series, missing values, what they keep, and what they reject."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn.forecasting import DifferenceScaler, Scaler, StandardScaler, WindowMeanScaler, panel, scalers

MAKERS: dict[str, Callable[[], Scaler]] = {
    **{name: (lambda name=name: scalers.get(name)) for name in scalers.SCALERS if name != "chain"},
    "difference of 3": lambda: DifferenceScaler(3),
    "log, standard": lambda: scalers.ChainScaler(["log", "standard"]),
    "log, window mean": lambda: scalers.ChainScaler(["log", "window_mean"]),
    "robust, difference": lambda: scalers.ChainScaler(["robust", DifferenceScaler(2)]),
    "difference, standard": lambda: scalers.ChainScaler(["difference", "standard"]),
}  # fmt: skip
KINDS = ("noise", "large", "constant", "zeros", "counts", "missing", "one row", "all missing")
LOOKBACK, HORIZON, COLUMNS = 8, 4, 2


def rows_of(kind: str, count: int = 40) -> Any:
    rng = np.random.default_rng(0)
    if kind == "one row":
        return rng.normal(5, 2, (1, COLUMNS)) ** 2
    rows = rng.normal(5, 2, (count, COLUMNS)) ** 2
    return {
        "noise": rows,
        "large": rows + 1e8,
        "constant": np.full_like(rows, 0.1),
        "zeros": np.zeros_like(rows),
        "counts": rng.poisson(0.2, rows.shape),
        "missing": np.where(rng.random(rows.shape) < 0.2, np.nan, rows),
        "all missing": np.full_like(rows, np.nan),
    }[kind]


def made_windows(rows: Any) -> tuple[Any, Any]:
    """The past (N, L, C) and what comes after it (N, H, C)."""
    every = np.resize(rows, (3 * (LOOKBACK + HORIZON), COLUMNS)).reshape(3, LOOKBACK + HORIZON, COLUMNS)
    return every[:, :LOOKBACK], every[:, LOOKBACK:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MAKERS)
def test_inverses_are_exact(name: str, kind: str) -> None:
    rows = rows_of(kind)
    past, later = made_windows(rows)
    scaler = MAKERS[name]().fit(rows)
    with np.errstate(all="raise"):
        scaled = scaler.transform(later, past=past)
        back = scaler.inverse_transform(scaled, past=past)
    filled = past if np.isnan(past).any() else None
    if filled is None or "difference" not in name:  # a missing value before makes a difference missing
        np.testing.assert_allclose(back, later, rtol=1e-12, atol=1e-12)
        assert (np.isnan(scaled) == np.isnan(later)).all()
    assert scaled.shape == later.shape and scaled.dtype == np.float64
    assert not np.isinf(scaled).any() and np.nanmax(np.abs(scaled), initial=0) < 1e9


@pytest.mark.parametrize("name", MAKERS)
def test_a_scaler_is_saved_as_arrays_and_a_description(name: str) -> None:
    past, later = made_windows(rows_of("noise"))
    fitted = MAKERS[name]().fit(rows_of("noise"))
    read = scalers.get(json.loads(json.dumps(scalers.serialize(fitted))))
    read.set_state({key: np.array(array) for key, array in fitted.get_state().items()})
    assert (read.transform(later, past=past) == fitted.transform(later, past=past)).all()
    assert all(isinstance(array, np.ndarray) for array in fitted.get_state().values())


@pytest.mark.parametrize("name", MAKERS)
def test_series_are_scaled_apart(name: str) -> None:
    """A series is scaled as if it were alone, and float32 stays float32."""
    both = np.concatenate([rows_of("noise"), rows_of("counts") * 100])
    codes = np.repeat([0, 1], 40)
    order = np.random.default_rng(1).permutation(80)
    together = MAKERS[name]().fit(both[order], codes[order])
    for code in (0, 1):
        alone = MAKERS[name]().fit(both[codes == code])
        past, later = made_windows(both[codes == code])
        group = np.full(3, code)
        scaled = together.transform(later, group, past)
        # Sums of rows in another order round differently.
        np.testing.assert_allclose(scaled, alone.transform(later, past=past), rtol=1e-12, atol=1e-12)
        small = together.transform(later.astype(np.float32), group, past)
        assert small.dtype == np.float32
    shuffled = together.transform(np.stack([both[:4], both[40:44]]), [0, 1], np.stack([both[4:12], both[44:52]]))
    assert shuffled.shape == (2, 4, COLUMNS)


@pytest.mark.parametrize("name", MAKERS)
def test_samples_of_a_forecast_have_an_axis_more(name: str) -> None:
    """Values (N, H, M, C), such as M quantiles of each target."""
    past, later = made_windows(rows_of("noise"))
    scaler = MAKERS[name]().fit(rows_of("noise"))
    several = np.stack([later, later * 2], axis=2)
    back = scaler.inverse_transform(scaler.transform(several, past=past), past=past)
    np.testing.assert_allclose(back, several, rtol=1e-12)
    first = scaler.transform(several, past=past)[:, :, 0]
    assert (first == scaler.transform(later, past=past)).all()


@pytest.mark.parametrize("name", ["standard", "robust"])
def test_rows_are_centered(name: str) -> None:
    rows = rows_of("missing")
    scaled = scalers.get(name).fit_transform(rows)
    center = np.nanmean if name == "standard" else np.nanmedian
    assert np.abs(center(scaled, axis=0)).max() < 1e-12
    assert scalers.get(name).fit_transform(rows_of("constant")).tolist() == np.zeros((40, COLUMNS)).tolist()


def test_the_robust_scaler_ignores_outliers() -> None:
    rows = rows_of("noise")
    spoiled = rows.copy()
    spoiled[3] = 1e9
    assert np.abs(scalers.RobustScaler().fit(spoiled).scale_ / scalers.RobustScaler().fit(rows).scale_ - 1).max() < 0.2
    assert StandardScaler().fit(spoiled).scale_.min() > 1e6


def test_growing_windows_look_alike() -> None:
    past, later = made_windows(rows_of("noise"))
    scaler = WindowMeanScaler().fit(rows_of("noise"))
    np.testing.assert_allclose(scaler.transform(later * 7, past=past * 7), scaler.transform(later, past=past))
    # A past of zeros takes the level of the series.
    level = np.abs(rows_of("noise")).mean(axis=0)
    np.testing.assert_allclose(scaler.transform(later, past=past * 0), later / level)


def test_a_panel_is_scaled_by_its_targets() -> None:
    made = panel({"shop": list("aabb"), "sales": [1.0, 3.0, 10.0, 30.0]}, "sales", group="shop")
    assert StandardScaler().fit(made).shift_.tolist() == [[2.0], [20.0]]
    assert StandardScaler().fit(made.until(1)).shift_.tolist() == [[1.0], [10.0]]


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "before fit": (lambda: StandardScaler().transform([[1.0]]), "StandardScaler must learn before it is used"),
    "state before fit": (lambda: StandardScaler().get_state(), "call fit first"),
    "one axis": (lambda: StandardScaler().fit([1.0, 2.0]), r"values must have shape \(rows, columns\), got \(2,\)"),
    "no rows": (lambda: StandardScaler().fit(np.empty((0, 1))), r"got \(0, 1\)"),
    "text": (lambda: StandardScaler().fit([["a"]]), "values must be an array of numbers"),
    "infinite": (lambda: StandardScaler().fit([[np.inf]]), "values must be finite or NaN"),
    "groups": (lambda: StandardScaler().fit([[1.0]], [0, 1]), "group must hold 1 whole numbers"),
    "new series": (lambda: StandardScaler().fit([[1.0]]).transform([[1.0]], [1]), "group must be below 1, the series"),
    "columns": (lambda: StandardScaler().fit([[1.0]]).transform([[1.0, 2.0]]), r"shape \(rows, ..., 1\), got \(1, 2\)"),
    "log": (lambda: scalers.LogScaler().fit([[-1.0]]), r"values must be above -1 for log\(1 \+ value\), got -1"),
    "past": (
        lambda: StandardScaler().fit([[1.0]]).transform([[[1.0]]], past=[[1.0]]), r"past must have shape \(1, L, 1\)",
    ),
    "no past for the level": (
        lambda: WindowMeanScaler().fit([[1.0]]).inverse_transform([[[1.0]]]), "past must be passed, since the scale",
    ),
    "rows for the level": (lambda: WindowMeanScaler().fit([[1.0]]).transform([[1.0]]), "values must be windows"),
    "no past for sums": (
        lambda: DifferenceScaler().fit([[1.0]]).inverse_transform([[[1.0]]]), "past must be passed with windows",
    ),
    "rows for differences": (lambda: DifferenceScaler().fit([[1.0]]).transform([[1.0]]), "values must be windows"),
    "short past": (
        lambda: DifferenceScaler(3).fit([[1.0]]).transform([[[1.0]]], past=[[[1.0]]]), "at least lag = 3 rows, got 1",
    ),
    "lag": (lambda: DifferenceScaler(0), "lag"),
    "name": (lambda: scalers.get("standart"), "scaler must be a scaler or one of 'standard'.*did you mean 'standard'"),
    "kind": (lambda: scalers.get(3), "scaler must be a scaler or one of"),
    "chain by name": (lambda: scalers.get("chain"), "scaler must be a scaler or one of"),
    "no list": (lambda: scalers.ChainScaler("log"), "scalers must be a list"),
    "state": (lambda: StandardScaler().set_state({}), "state must have the arrays columns_, groups_, shift_, scale_"),
    "custom class": (lambda: scalers.serialize(Scaler()), "scaler must be of a class in SCALERS, got Scaler"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_arguments(kind: str) -> None:
    make, message = BAD[kind]
    with pytest.raises((ValueError, RuntimeError), match=message):
        make()
