"""Tools written for Keras run on pyrnn through `keras_shim`, unmodified: skforecast, keras-tuner and TensorBoard.

Each script runs in a process of its own, where the names of Keras are pyrnn's. Tools that are not installed are left
out; the gate installs all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def run(script: str, folder: Path) -> Any:
    """Run a script through the shim; return what its last line of JSON holds."""
    path = folder / "script.py"
    path.write_text(script)
    command = [sys.executable, "-W", "ignore", "-m", "pyrnn.keras_shim", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is an optional package")


FORECASTER = """
import json
import numpy as np
import pandas as pd
import pyrnn
from sklearn.preprocessing import MinMaxScaler
from skforecast.deep_learning import ForecasterRnn, create_and_compile_model
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster_multiseries

pyrnn.utils.set_random_seed(0)
hours = pd.date_range("2024-01-01", periods=300, freq="h")
wave = np.sin(np.arange(300) * 2 * np.pi / 24)
series = pd.DataFrame({"wave": wave, "twice": 2 * wave}, index=hours)
exog = pd.DataFrame({"hour": hours.hour / 24}, index=hours)


def forecaster(exog=None):
    model = create_and_compile_model(
        series=series, exog=exog, lags=24, steps=4, levels=["wave", "twice"], recurrent_layer="GRU",
        recurrent_units=[16, 8], dense_units=16, compile_kwargs={"optimizer": "adam", "loss": "mse"},
    )
    assert isinstance(model, pyrnn.Model)
    fit = {"epochs": 30, "batch_size": 16, "verbose": 0, "series_val": series[200:]}
    fit |= {} if exog is None else {"exog_val": exog[200:]}
    return ForecasterRnn(
        estimator=model, levels=["wave", "twice"], lags=24, transformer_series=MinMaxScaler(), fit_kwargs=fit
    )


plain = forecaster()
plain.fit(series[:200], store_in_sample_residuals=True)
predicted = plain.predict()
errors = [float(np.abs(predicted[predicted["level"] == name]["pred"] - series[name][200:204]).max()) for name in series]
intervals = plain.predict_interval(interval=[0.05, 0.95], method="conformal")
with_exog = forecaster(exog)
with_exog.fit(series[:200], exog=exog[:200])
steps = with_exog.predict(steps=4, exog=exog[200:])
metric, _ = backtesting_forecaster_multiseries(
    forecaster=plain, series=series, cv=TimeSeriesFold(steps=4, initial_train_size=200, refit=False),
    metric="mean_absolute_error", verbose=False, show_progress=False,
)
print(json.dumps({
    "errors": errors,
    "history": len(plain.history_["val_loss"]),
    "interval": bool((intervals["lower_bound"] <= intervals["upper_bound"]).all()),
    "exog": list(steps.shape),
    "backtest": float(metric["mean_absolute_error"].max()),
}))
"""


@needs("skforecast")
def test_skforecast(tmp_path: Path) -> None:
    """A forecast of two waves, with and without exogenous variables, intervals and a backtest."""
    result = run(FORECASTER, tmp_path)
    assert max(result["errors"]) < 0.5 and result["backtest"] < 0.5
    assert result["history"] == 30 and result["interval"] and result["exog"] == [8, 2]


TUNERS = """
import json
import numpy as np
import keras
import keras_tuner
import pyrnn

pyrnn.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 10, 2))
y = x[:, -1, :1]


def build(hp):
    model = keras.Sequential([keras.Input((10, 2))])
    for i in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.GRU(hp.Choice("units", [2, 4]), return_sequences=i + 1 < hp.get("layers")))
    model.add(keras.layers.Dropout(hp.Float("dropout", 0, 0.2, step=0.1)))
    model.add(keras.layers.Dense(1))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


def tuners():
    yield keras_tuner.RandomSearch(build, objective="val_loss", max_trials=3, seed=1, directory="random")
    yield keras_tuner.BayesianOptimization(build, objective="val_mae", max_trials=4, num_initial_points=2, seed=1,
                                           directory="bayesian")
    yield keras_tuner.Hyperband(build, objective="val_loss", max_epochs=4, factor=2, seed=1, directory="hyperband")


results = {}
for tuner in tuners():
    tuner.search(x, y, epochs=3, validation_split=0.25, verbose=0, callbacks=[keras.callbacks.EarlyStopping("loss")])
    model = tuner.get_best_models()[0]
    loss, mae = model.evaluate(x[48:], y[48:], verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    values = tuner.get_best_hyperparameters()[0].values
    results[type(tuner).__name__] = {
        "trials": len(tuner.oracle.trials),
        "failed": sum(each.status != "COMPLETED" for each in tuner.oracle.trials.values()),
        "units": [model.layers[0].units, values["units"]],
        "score": [trial.score, mae if tuner.oracle.objective.name == "val_mae" else loss],
    }
again = next(tuners())  # continues from its folder
results["resumed"] = len(again.oracle.trials)
print(json.dumps(results))
"""


@needs("keras_tuner")
def test_keras_tuner(tmp_path: Path) -> None:
    """Three searches over recurrent models; the best model comes back from its file."""
    results = run(TUNERS, tmp_path)
    assert results.pop("resumed") == results["RandomSearch"]["trials"] == 3
    assert set(results) == {"RandomSearch", "BayesianOptimization", "Hyperband"}
    for result in results.values():
        assert result["failed"] == 0 and result["units"][0] == result["units"][1]
        assert result["score"][0] == pytest.approx(result["score"][1], rel=1e-5)


EVENTS = """
import json
import os
import keras
import numpy as np

model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
model.compile("sgd", "mse")
model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[keras.callbacks.TensorBoard("logs", histogram_freq=1)])
print(json.dumps(len(os.listdir("logs/train"))))
"""


@needs("tensorboard")
def test_tensorboard(tmp_path: Path) -> None:
    """TensorBoard, which would use TensorFlow where it can be imported, uses its own substitute."""
    assert run(EVENTS, tmp_path) == 1
