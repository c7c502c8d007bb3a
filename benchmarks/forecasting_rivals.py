"""Trains one recurrent model of one library, and measures error, training time, prediction time and installed size.

    python benchmarks/forecasting_rivals.py pyrnn|darts|gluonts|neuralforecast [--updates N]

Run it in an environment of its own for each library, with this source folder on PYTHONPATH, one thread
(OMP_NUM_THREADS=1) and nothing else on the core. Each has 32 units and batches of 32 windows of 4 seasons; everything
else is the library's default. Predictions are timed twice: of the table that the library was trained on, which it may
have prepared, and of a DataFrame that it has not seen. Prints rows of a table in Markdown. The size is that of the
environment's site-packages, with all that the library needs.
"""

from __future__ import annotations

import argparse
import logging
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from forecasting_data import Table, daily_sales, filled, monthly_totals
from numpy.typing import NDArray

from pyrnn.forecasting import scores

Array = NDArray[Any]
UNITS, BATCH, PREDICTIONS = 32, 32, 20
QUIET = {
    "enable_progress_bar": False,
    "logger": False,
    "enable_model_summary": False,
    "default_root_dir": tempfile.gettempdir(),  # of checkpoints
}


def long_frame(values: Array, table: Table, frequency: str) -> Any:
    """The columns unique_id, ds and y."""
    import pandas as pd

    dates = pd.date_range(pd.Timestamp(table.dates[0]), periods=values.shape[1], freq=frequency)
    ids = [f"s{i:03}" for i in range(len(values))]
    return pd.DataFrame(
        {"unique_id": np.repeat(ids, values.shape[1]), "ds": np.tile(dates, len(ids)), "y": values.ravel()}
    )


# Predicts (N, H) from the end of a long frame, or of the values (N, T) of the training for None.
Predict = Callable[[Any], Array]


def pyrnn(values: Array, table: Table, frequency: str, updates: int) -> Predict:
    from pyrnn.forecasting import Forecaster

    frame = long_frame(values, table, frequency)
    forecaster = Forecaster(
        "lstm", table.horizon, 4 * table.season, table.season, target="y", group="unique_id", date="ds",
        units=UNITS, members=1, batch_size=BATCH,
    )  # fmt: skip
    forecaster.fit(frame)
    return lambda new: np.asarray(forecaster.predict(new).median)


def neuralforecast(values: Array, table: Table, frequency: str, updates: int) -> Predict:
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import LSTM

    model = LSTM(
        h=table.horizon, input_size=4 * table.season, encoder_hidden_size=UNITS, encoder_n_layers=1,
        decoder_hidden_size=UNITS, max_steps=updates, windows_batch_size=BATCH, loss=MAE(), scaler_type="robust",
        enable_checkpointing=False, **QUIET,
    )  # fmt: skip
    forecast = NeuralForecast([model], freq=frequency)
    forecast.fit(long_frame(values, table, frequency))
    return lambda new: forecast.predict(new)["LSTM"].to_numpy().reshape(len(values), -1)


def gluonts(values: Array, table: Table, frequency: str, updates: int) -> Predict:
    from gluonts.dataset.pandas import PandasDataset
    from gluonts.torch import DeepAREstimator

    period = frequency.replace("MS", "M")

    def dataset(frame: Any) -> Any:
        return PandasDataset.from_long_dataframe(frame, target="y", item_id="unique_id", timestamp="ds", freq=period)

    data = dataset(long_frame(values, table, frequency))
    estimator = DeepAREstimator(
        freq=period, prediction_length=table.horizon, context_length=4 * table.season, hidden_size=UNITS,
        num_layers=1, batch_size=BATCH, num_batches_per_epoch=50, trainer_kwargs={"max_epochs": updates // 50, **QUIET},
    )  # fmt: skip
    predictor = estimator.train(data)

    def predict(new: Any) -> Array:
        return np.array([each.quantile(0.5) for each in predictor.predict(data if new is None else dataset(new))])

    return predict


def darts(values: Array, table: Table, frequency: str, updates: int) -> Predict:
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.models import BlockRNNModel

    def series_of(frame: Any) -> Any:
        many = TimeSeries.from_group_dataframe(
            frame, "unique_id", "ds", "y", freq=frequency, drop_group_cols="unique_id"
        )
        return [each.astype(np.float32) for each in many]

    scaler = Scaler()
    scaled = scaler.fit_transform(series_of(long_frame(values, table, frequency)))
    windows = len(values) * (values.shape[1] - 4 * table.season - table.horizon)
    model = BlockRNNModel(
        4 * table.season, table.horizon, model="LSTM", hidden_dim=UNITS, n_rnn_layers=1, batch_size=BATCH,
        n_epochs=max(1, round(updates * BATCH / windows)), random_state=0,
        pl_trainer_kwargs={"accelerator": "cpu", **QUIET},
    )  # fmt: skip
    model.fit(scaled)

    def predict(new: Any) -> Array:
        read = scaled if new is None else scaler.transform(series_of(new))
        forecasts = scaler.inverse_transform(model.predict(table.horizon, series=read, verbose=False))
        return np.array([each.values()[:, 0] for each in forecasts])

    return predict


LIBRARIES = {each.__name__: each for each in (pyrnn, darts, gluonts, neuralforecast)}


def mase(table: Table, forecast: Array, end: int) -> float:
    """The mean over the series of their errors in units of those of the seasonal naive forecast before `end`."""
    train, truth = dict(enumerate(table.values[:, :end])), table.values[:, end : end + table.horizon]
    (row,) = scores(truth, forecast, train=train, season=table.season, groups=list(train)).rows
    return float(row["MASE"])


def site_packages() -> float:
    """Megabytes."""
    files = Path(sysconfig.get_path("purelib")).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("--updates", type=int, default=800, help="of the others; pyrnn chooses its own")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    train = LIBRARIES[options.library]
    size = site_packages()
    for table, frequency in ((daily_sales(), "D"), (monthly_totals(), "MS")):
        end = table.values.shape[1] - table.horizon
        values = filled(table.values[:, :end], table.season)
        start = time.perf_counter()
        predict = train(values, table, frequency, options.updates)
        fitted = time.perf_counter() - start
        seconds, error = [], mase(table, predict(None), end)
        for new in (None, long_frame(values, table, frequency)):
            times = []
            for _ in range(PREDICTIONS):
                start = time.perf_counter()
                predict(new)
                times.append(time.perf_counter() - start)
            seconds.append(f"{1e3 * float(np.median(times)):.2f} ms")
        print(
            f"| {table.name} | {options.library} | {error:.3f} | {fitted:.2f} s | {' | '.join(seconds)} | "
            f"{size:.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
