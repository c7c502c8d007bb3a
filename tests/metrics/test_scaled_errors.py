"""MASE and its scale: one number or one per series, from series with gaps; a missing scale is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Sequential, layers, load_model, losses, metrics

RNG = np.random.default_rng(7)
SERIES = RNG.normal(size=(40, 3)).cumsum(axis=0) * [1.0, 10.0, 100.0]
SCALES = np.abs(SERIES[2:] - SERIES[:-2]).mean(axis=0)
TRUE, PRED = RNG.normal(size=(5, 4, 3)), RNG.normal(size=(5, 4, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: losses.as_loss("mase"),
        lambda: losses.as_loss("MASE"),
        losses.MASE,
        lambda: losses.FUNCTIONS["mase"](TRUE, PRED),
        lambda: metrics.get("mase"),
        metrics.MASE,
        lambda: model(loss="mase"),
        lambda: model(loss=losses.MASE),
        lambda: model(metrics=["mase"]),
        lambda: model(metrics=["MASE"]),
        lambda: model(metrics=[metrics.MASE]),
        lambda: model(weighted_metrics=["mase"]),
    ],
)
def test_a_missing_scale_is_an_error(make: Any) -> None:
    with pytest.raises(ValueError, match=r"scale.*MASE\(scale=pyrnn.losses.naive_scale\(series, seasonality\)\)"):
        make()


def model(**options: Any) -> Sequential:
    made = Sequential([layers.Input((4, 2)), layers.Dense(3)])
    made.compile("sgd", **{"loss": "mae", **options})
    return made


@pytest.mark.parametrize("scale", [2.0, np.float32(2), [2.0], SCALES, SCALES.tolist()])
def test_a_scale_for_each_series(scale: Any) -> None:
    expected = (np.abs(TRUE - PRED) / np.asarray(scale, np.float64)).mean()
    loss, metric = losses.MASE(scale), metrics.MASE(scale=scale)
    assert loss(TRUE, PRED) == pytest.approx(expected)
    assert metric(TRUE, PRED) == pytest.approx(expected)
    value, gradient = loss.value_and_gradient(TRUE, PRED)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, np.sign(PRED - TRUE) / np.asarray(scale, np.float64) / TRUE.size)
    weights = RNG.random(TRUE.shape)
    weighted = np.average(np.abs(TRUE - PRED) / np.asarray(scale, np.float64), weights=weights)
    assert metrics.MASE(scale=scale)(TRUE, PRED, weights) == pytest.approx(weighted)


def test_scales_in_models_and_files(tmp_path: Path) -> None:
    x, y = RNG.normal(size=(5, 4, 2)), TRUE
    made = model(loss=losses.MASE(SCALES), metrics=[metrics.MASE(scale=SCALES)])
    made.fit(x, y, verbose=0)
    loss, metric = made.evaluate(x, y, verbose=0)
    assert loss == pytest.approx((np.abs(made.predict(x, verbose=0) - y) / SCALES).mean(), rel=1e-5)
    assert metric == pytest.approx(loss, rel=1e-6)
    made.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").evaluate(x, y, verbose=0) == [loss, metric]


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        (0, ValueError, "scale must be positive, which it is not for a constant series, got 0"),
        ([1.0, -1.0], ValueError, "scale must be positive"),
        ([[1.0], [2.0]], ValueError, r"one per series, got shape \(2, 1\)"),
        ([], ValueError, r"one per series, got shape \(0,\)"),
        ([1.0, np.nan], ValueError, "scale must hold finite numbers"),
        ("1", TypeError, "scale must hold numbers"),
    ],
)
def test_what_is_no_scale(scale: Any, error: type[Exception], message: str) -> None:
    for make in (lambda: losses.MASE(scale), lambda: metrics.MASE(scale=scale)):
        with pytest.raises(error, match=message):
            make()


@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 2), (3,)])
def test_scales_of_other_series(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="y_pred must have 3 series along its last axis, as scale has"):
        losses.MASE(SCALES)(np.ones(shape), np.zeros(shape))


# naive_scale.


def test_naive_scale_of_tables() -> None:
    assert losses.naive_scale(SERIES, seasonality=2) == pytest.approx(SCALES)
    assert losses.naive_scale(SERIES.T, seasonality=2, axis=1) == pytest.approx(SCALES)
    assert losses.naive_scale(SERIES.T, seasonality=2, axis=-1) == pytest.approx(SCALES)
    first = losses.naive_scale(SERIES[:, 1], seasonality=2)
    assert type(first) is float and first == pytest.approx(SCALES[1])


def test_missing_values_do_not_count() -> None:
    series = SERIES.copy()
    series[[3, 4, 17], 0] = series[0, 2] = np.nan
    expected = np.nanmean(np.abs(series[2:] - series[:-2]), axis=0)
    assert losses.naive_scale(series, seasonality=2) == pytest.approx(expected)
    assert losses.naive_scale(series[:, 0], seasonality=2) == pytest.approx(expected[0])


def test_naive_scale_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(SERIES, columns=list("abc"))
    assert losses.naive_scale(table, seasonality=2) == pytest.approx(SCALES)
    assert losses.naive_scale(table["b"], seasonality=2) == pytest.approx(SCALES[1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, 2.0], 2), ValueError, "series must be longer than seasonality = 2, got 2 steps"),
        ((SERIES.T, 3), ValueError, "series must be longer than seasonality = 3, got 3 steps"),
        (([1.0, np.nan, 3.0],), ValueError, "series must have two values that are seasonality = 1 steps apart"),
        (([[1.0, 1.0], [2.0, np.nan]],), ValueError, "series 1 must have two values"),
        (([1.0, np.inf, 3.0],), ValueError, "series must hold finite numbers or NaN"),
        ((SERIES, 1, 2), ValueError, "axis must be one of the 2 axes of series, got 2"),
        ((SERIES, 1, 0.5), TypeError, "axis must be an integer"),
        ((SERIES, 0), ValueError, "seasonality must be a positive integer"),
        ((["a", "b"],), TypeError, "series must hold numbers"),
    ],
)
def test_what_has_no_scale(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        losses.naive_scale(*arguments)
