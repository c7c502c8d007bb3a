"""`Forecaster`: fits, forecasts and intervals; no leak; the same bits; searches, files and streams."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import backend, layers
from pyrnn.forecasting import Forecaster, conformal, panel
from pyrnn.forecasting.history import observed_values
from pyrnn.forecasting.joining import join

DAYS, HORIZON = 230, 7
QUICK: dict[str, Any] = {"horizon": HORIZON, "members": 1, "units": 8, "epochs": 2, "missing": "previous"}


def shops(count: int = 3, seed: int = 0) -> dict[str, Any]:
    """Daily sales of shops with a week, promotions that lift them, and missing rows."""
    generator = np.random.default_rng(seed)
    days = np.arange("2024-01-01", "2024-08-18", dtype="datetime64[D]")
    assert len(days) == DAYS
    promo = (generator.random((count, DAYS)) < 0.2).astype(float)
    level = np.array([20.0, 200.0, 50.0, 90.0])[:count, None]
    week = np.array([1, 1, 1.2, 1.1, 1.3, 2.0, 0.5])[np.arange(DAYS) % 7]
    sales = np.rint(level * week * (1 + 0.8 * promo) * generator.gamma(60, 1 / 60, (count, DAYS)))
    sales[0, 40] = np.nan
    return {
        "shop": np.repeat(np.array(["a", "b", "c", "d"])[:count], DAYS),
        "day": np.tile(days, count),
        "sales": sales.ravel(),
        "promo": promo.ravel(),
    }


def rows(table: dict[str, Any], chosen: Any) -> dict[str, Any]:
    return {name: column[chosen] for name, column in table.items()}


def split(table: dict[str, Any], ahead: int = HORIZON) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows up to the last horizon, and those of it."""
    cut = table["day"].max() - np.timedelta64(ahead, "D")
    return rows(table, table["day"] <= cut), rows(table, table["day"] > cut)


def forecaster(**changes: Any) -> Forecaster:
    columns = {"target": "sales", "group": "shop", "future": "promo"}
    return Forecaster(**{**QUICK, **columns, **changes})


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return shops()


@pytest.fixture(scope="module")
def fitted(table: dict[str, Any]) -> Forecaster:
    return forecaster(epochs=12, learning_rate=0.01).fit(split(table)[0])


def test_forecasts_beat_the_seasonal_naive_one(table: dict[str, Any], fitted: Forecaster) -> None:
    past, later = split(table)
    forecast = fitted.predict(future=later)
    truth = later["sales"].reshape(3, HORIZON)
    assert forecast.ids == ("a", "b", "c")
    assert (forecast.dates == later["day"].reshape(3, HORIZON)).all()
    assert fitted.layout_.season == 7
    naive = past["sales"].reshape(3, -1)[:, -HORIZON:]
    level = truth.mean(axis=1, keepdims=True)
    assert np.mean(np.abs(forecast.median - truth) / level) < 0.7 * np.mean(np.abs(naive - truth) / level)
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()
    assert (forecast.quantiles >= 0).all()


def test_future_covariates_reach_every_step(table: dict[str, Any], fitted: Forecaster) -> None:
    later = split(table)[1]
    medians = []
    for promo in (0.0, 1.0):
        later["promo"] = np.full(3 * HORIZON, promo)
        medians.append(fitted.predict(future=later).median)
    assert (medians[1] > 1.2 * medians[0]).all()


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("head", ["quantile", "gaussian", "student", "negative_binomial", "mae", "mse"])
def test_every_head_and_strategy(table: dict[str, Any], head: str, strategy: str) -> None:
    past, later = split(table)
    made = forecaster(head=head, strategy=strategy, horizon=3, epochs=1).fit(past)
    forecast = made.predict(future=later)
    assert forecast.quantiles.shape == (3, 3, 5)
    assert np.isfinite(forecast.quantiles).all()
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()
    low, high = forecast.interval(0.8)
    assert (low < high).all()
    assert np.isfinite(forecast.mean).all()


@pytest.mark.parametrize("model", ["lstm", "rnn", lambda past, future: layers.Conv1D(6, 3, padding="same")(future)])
def test_every_model(table: dict[str, Any], model: Any) -> None:
    past, later = split(table)
    forecast = forecaster(model=model, epochs=1, embedding=2).fit(past).predict(future=later)
    assert np.isfinite(forecast.median).all()


def test_nothing_after_the_last_row_reaches_a_fit(table: dict[str, Any], fitted: Forecaster) -> None:
    """Rows after the fit are replaced; the backtest of the first fold finds the same networks and forecasts."""
    last = np.unique(table["day"])[-2 * HORIZON :]
    changed = {name: column.copy() for name, column in table.items()}
    later = np.isin(changed["day"], last)
    changed["sales"][later] = np.random.default_rng(5).permutation(1000 + changed["sales"][later])
    tests = [forecaster().backtest(each, folds=2) for each in (table, changed)]
    assert (tests[0].forecasts[0].quantiles == tests[1].forecasts[0].quantiles).all()
    for ours, theirs in zip(*(test.forecaster.networks_[0].get_weights() for test in tests), strict=True):
        assert (ours == theirs).all()
    assert (tests[0].forecasts[1].quantiles != tests[1].forecasts[1].quantiles).any()


def test_validation_rows_are_not_trained_on(table: dict[str, Any]) -> None:
    """Statistics and training windows come from the rows before the validation alone."""
    past = split(table)[0]
    changed = {name: column.copy() for name, column in past.items()}
    cut = np.unique(past["day"])[-30]
    later = changed["day"] >= cut
    changed["sales"][later] *= 3
    made = [forecaster(epochs=1).fit(each) for each in (past, changed)]
    assert (made[0].statistics_.deviations == made[1].statistics_.deviations).all()
    before = [int(each.notes_[-3].split(" training windows")[0].split()[-1]) for each in made]
    assert before[0] == before[1]


def test_bits_do_not_depend_on_threads(table: dict[str, Any], fitted: Forecaster) -> None:
    past, later = split(table)
    before, quantiles = backend.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            quantiles.append(forecaster(members=2).fit(past).predict(future=later).quantiles)
    finally:
        backend.set_num_threads(before)
    assert (quantiles[0] == quantiles[1]).all()
    assert (quantiles[0] == quantiles[2]).all()


def test_members_are_averaged(table: dict[str, Any]) -> None:
    past, later = split(table)
    both = forecaster(members=2).fit(past)
    assert len(both.networks_) == 2
    weights = [network.get_weights()[0] for network in both.networks_]
    assert (weights[0] != weights[1]).any()
    both.factors_ = np.ones_like(both.factors_)
    together = both.predict(future=later).median
    parts = []
    for network in list(both.networks_):
        both.networks_ = [network]
        parts.append(both.predict(future=later).median)
    assert together == pytest.approx(np.mean(parts, axis=0))


def test_later_rows_continue_those_of_fit(table: dict[str, Any], fitted: Forecaster) -> None:
    past, later = split(table)
    future = {**later, "day": later["day"] + np.timedelta64(HORIZON, "D")}
    everything = fitted.predict(table, future)
    assert (fitted.predict(later, future).quantiles == everything.quantiles).all()
    assert (everything.dates[:, 0] == later["day"].max() + 1).all()
    only = fitted.predict(rows(past, past["shop"] == "b"), rows(later, later["shop"] == "b"))
    assert only.ids == ("b",)
    assert only.quantiles == pytest.approx(fitted.predict(future=later).quantiles[1:2], rel=1e-5)


def test_new_series_are_forecast(fitted: Forecaster) -> None:
    past, later = split(shops(4))
    forecast = fitted.predict(rows(past, past["shop"] == "d"), rows(later, later["shop"] == "d"))
    assert forecast.ids == ("d",)
    assert (np.abs(forecast.median - later["sales"][-HORIZON:]) < later["sales"][-HORIZON:]).all()


def test_joined_panels_have_unknown_rows_between() -> None:
    before = panel({"t": np.arange(6), "y": np.arange(6.0)}, "y", date="t")
    after = panel({"t": np.arange(8, 11), "y": np.arange(3.0)}, "y", date="t")
    joined = join(before, after, reach=4)
    assert np.isnan(observed_values(joined)).tolist() == [False] * 6 + [True] * 2 + [False] * 3
    assert joined.dates.tolist() == list(range(11))
    assert join(before, after, reach=2).dates.tolist() == [8, 9, 10]


def test_files_hold_everything(table: dict[str, Any], fitted: Forecaster, tmp_path: Path) -> None:
    later = split(table)[1]
    path = tmp_path / "sales.forecaster"
    fitted.save(path)
    loaded = Forecaster.load(path)
    assert (loaded.predict(future=later).quantiles == fitted.predict(future=later).quantiles).all()
    expected = {name: list(each) if isinstance(each, tuple) else each for name, each in fitted.get_params().items()}
    loaded_params = {
        name: list(each) if isinstance(each, tuple) else each for name, each in loaded.get_params().items()
    }
    assert loaded_params == expected
    loaded.save(tmp_path / "again")
    assert loaded.fit(split(table)[0]).layout_ == fitted.layout_
    (tmp_path / "broken").write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"path must be a file that Forecaster\.save wrote"):
        Forecaster.load(tmp_path / "broken")


def test_a_function_as_a_model_is_not_in_the_file(table: dict[str, Any], tmp_path: Path) -> None:
    past, later = split(table)
    made = forecaster(model=lambda past, future: layers.GRU(4, return_sequences=True)(future), epochs=1).fit(past)
    made.save(tmp_path / "file")
    loaded = Forecaster.load(tmp_path / "file")
    assert (loaded.predict(future=later).quantiles == made.predict(future=later).quantiles).all()
    with pytest.raises(ValueError, match="model must be"):
        loaded.fit(past)


def test_streams_forecast_what_predict_does(table: dict[str, Any], fitted: Forecaster) -> None:
    later = split(table)[1]
    online = fitted.stream("b", later)
    of_shop = rows(later, later["shop"] == "b")
    for day in range(HORIZON):
        ahead = {**of_shop, "day": of_shop["day"] + np.timedelta64(day + 1, "D"), "promo": np.zeros(HORIZON)}
        ahead["promo"][: HORIZON - day - 1] = of_shop["promo"][day + 1 :]
        quantiles = online.step(of_shop["sales"][day], future=[0.0])
        expected = fitted.predict(rows(of_shop, slice(0, day + 1)), ahead)
        assert quantiles == pytest.approx(expected.quantiles[0], rel=1e-5)
    with pytest.raises(ValueError, match=r"future must have 1 numbers \('promo'\), got 0"):
        online.step(1.0)
    for value, promo in ((np.inf, 0.0), (1.0, np.inf)):
        with pytest.raises(ValueError, match=r"must be finite, or NaN"):
            online.step(value, future=[promo])
    assert (online.quantiles == quantiles).all()
    with pytest.raises(ValueError, match=r"future must have 'promo' for the 7 rows to forecast"):
        fitted.stream("b")
    with pytest.raises(ValueError, match=r"series must be the id of one of the 3 series, such as 'a', got 'z'"):
        fitted.stream("z", later)


def test_scikit_learn_clones_and_searches(table: dict[str, Any]) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

    made = forecaster(future=(), horizon=5, epochs=1)
    assert clone(made).get_params() == made.get_params()
    values = table["sales"][DAYS : 2 * DAYS]
    search = GridSearchCV(
        Forecaster(horizon=5, epochs=1, members=1), {"units": [4, 6]}, cv=TimeSeriesSplit(2, test_size=10)
    )
    search.fit(values)
    assert search.best_params_["units"] in (4, 6)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert (search.cv_results_["mean_test_score"] < 0).all()


def test_scores_are_of_the_rows_that_follow() -> None:
    values = 20 + 8 * np.sin(2 * np.pi * np.arange(150) / 7) + np.random.default_rng(0).normal(size=150)
    made = Forecaster(horizon=5, season=7, epochs=3, members=1).fit(values[:120])
    score = made.score(values[120:])
    assert -1 < score < 0
    dated = {"t": np.arange(150), "y": values}
    same = Forecaster(horizon=5, season=7, epochs=3, members=1, date="t").fit(rows(dated, slice(0, 120)))
    assert same.score(rows(dated, slice(120, 150))) == pytest.approx(score)


def test_parameters_are_checked_before_they_change() -> None:
    made = Forecaster(horizon=3)
    with pytest.raises(ValueError, match=r"'horizn' must be an argument of Forecaster: .*did you mean"):
        made.set_params(horizn=4)
    with pytest.raises((TypeError, ValueError), match="units"):
        made.set_params(horizon=5, units=0)
    assert made.horizon == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "lsm"}, "model must be 'gru', 'lstm', 'rnn' or a function of two symbolic inputs, got 'lsm'"),
        ({"quantiles": (0.1, 0.9)}, "quantiles must be numbers between 0 and 1 in increasing order with 0.5"),
        ({"quantiles": (0.9, 0.5)}, "quantiles must be numbers between 0 and 1 in increasing order with 0.5"),
        ({"head": "normal"}, "head must be one of 'mae', 'mse', 'quantile'"),
        ({"horizon": 0}, "horizon must be"),
        ({"validation": 0.6}, "validation must lie"),
        ({"strategy": "multi"}, "strategy must be"),
    ],
)
def test_arguments_are_rules(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Forecaster(**arguments)


def test_data_that_cannot_be_forecast(table: dict[str, Any], fitted: Forecaster) -> None:
    past = split(table)[0]
    with pytest.raises(RuntimeError, match=r"not trained: call fit\(data\) first"):
        Forecaster().predict()
    with pytest.raises(ValueError, match=r"future must have 'promo' for the 7 rows to forecast, but series 'a' lacks"):
        fitted.predict()
    with pytest.raises(ValueError, match="data must have rows for 10 training windows"):
        Forecaster(horizon=7).fit(np.arange(20.0))
    with pytest.raises(TypeError, match="target must hold counts"):
        Forecaster(horizon=3, head="negative_binomial").fit(np.arange(80) / 2)
    with pytest.raises(ValueError, match="target must name one column"):
        Forecaster(horizon=3, target=["sales", "promo"], group="shop", missing="previous").fit(past)
    with pytest.raises(ValueError, match="holidays must come with dates, but the rows have none"):
        Forecaster(horizon=3, holidays=["2024-01-01"]).fit(np.arange(80.0))
    months = {"month": np.arange("2014-01", "2024-01", dtype="datetime64[M]"), "y": np.arange(120.0)}
    with pytest.raises(ValueError, match="holidays must come with steps of at most a day, got 'MS'"):
        Forecaster(horizon=3, holidays=["2024-01-01"]).fit(months)
    with pytest.raises(ValueError, match="folds must leave rows for training"):
        forecaster().backtest(past, folds=100)
    with pytest.raises(ValueError, match="y must be None"):
        forecaster().fit(past, past["sales"])


def test_a_backtest_compares_with_simple_forecasts(table: dict[str, Any]) -> None:
    test = forecaster(epochs=6).backtest(table, folds=3)
    assert [row["forecast"] for row in test.scores.rows] == [
        "forecaster",
        "seasonal naive",
        "last value",
        "drift",
        "mean",
    ]
    assert test.scores.rows[0]["MASE"] < test.scores.rows[1]["MASE"]
    assert len(test.forecasts) == 3
    assert (test.truth[-1] == split(table)[1]["sales"].reshape(3, HORIZON)).all()
    again = forecaster(epochs=1).backtest(table, folds=2, refit=True)
    assert (again.forecasts[0].dates[:, 0] + np.timedelta64(HORIZON, "D") == again.forecasts[1].dates[:, 0]).all()


def test_calibration_holds_on_new_windows() -> None:
    generator = np.random.default_rng(0)
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    narrow = np.array([-0.5, -0.3, 0.0, 0.3, 0.5])
    scale = generator.uniform(1, 9, (4000, 1))
    quantiles = scale[..., None] * narrow * np.ones((4000, 12, 5))
    targets = scale * generator.standard_t(5, (4000, 12)) * np.linspace(1, 2, 12)
    one_each = np.arange(2000), np.zeros(2000, int)  # a series for each window
    factors = conformal.calibrate(targets[:2000], quantiles[:2000], scale[:2000], levels, *one_each)
    moved = conformal.apply(quantiles[2000:], scale[2000:], factors, levels)
    below = (targets[2000:, :, None] <= moved).mean(axis=(0, 1))
    assert np.abs(below - levels).max() < 0.01
    assert (np.diff(moved, axis=-1) >= 0).all()
    assert factors[-1, 3] > 1.5 * factors[0, 3]


def test_plots_are_files(table: dict[str, Any], fitted: Forecaster, tmp_path: Path) -> None:
    path = tmp_path / "forecast.png"
    figure = fitted.plot(path, future=split(table)[1], series=["b", "c"])
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert len(figure.axes) == 2


SERIES = {
    "constant": np.full(100, 5.0),
    "zeros": np.zeros(100),
    "falling": -np.arange(100.0),
    "large": 1e12 + np.random.default_rng(0).normal(size=100),
    "half missing": np.where(np.random.default_rng(0).random(100) < 0.5, np.nan, np.arange(100.0)),
}


@pytest.mark.parametrize("values", SERIES.values(), ids=SERIES.keys())
def test_unusual_series_have_finite_forecasts(values: Any) -> None:
    made = Forecaster(horizon=3, epochs=2, members=1, missing="previous").fit(values)
    forecast = made.predict()
    assert np.isfinite(forecast.quantiles).all()
    last = values[np.isfinite(values)][-1]
    assert forecast.median == pytest.approx(np.full((1, 3), last), abs=5, rel=1e-3)


@pytest.mark.parametrize("head", ["gaussian", "student", "negative_binomial", "mae"])
def test_every_head_bears_a_series_of_zeros(head: str) -> None:
    forecast = Forecaster(horizon=3, epochs=2, members=1, head=head).fit(np.zeros(100)).predict()
    assert np.isfinite(forecast.quantiles).all()
    assert forecast.median.max() < 0.01


def test_a_trained_forecaster_can_be_pickled_and_copied(fitted: Forecaster, table: dict[str, Any]) -> None:
    later = split(table)[1]
    expected = fitted.predict(future=later).quantiles
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert (other.predict(future=later).quantiles == expected).all()


@pytest.mark.parametrize("step", ["h", "D"])
def test_dates_of_a_frame_are_in_the_time_zone_of_the_table(step: str) -> None:
    """The forecasts lie across the end of summer time."""
    pandas = pytest.importorskip("pandas")
    end = pandas.Timestamp("2024-10-26 22:00" if step == "h" else "2024-10-26", tz="Europe/Berlin")
    dates = pandas.date_range(end=end, periods=200, freq=step)
    values = pandas.Series(np.sin(np.arange(200) * 2 * np.pi / (24 if step == "h" else 7)) + 3, dates, name="heat")
    forecast = Forecaster(horizon=6, epochs=1, members=1).fit(values).predict()
    following = pandas.date_range(end, periods=7, freq=step)[1:]
    assert list(forecast.frame().iloc[:, 0]) == list(following)
