"""Tune a forecaster with Optuna: cell, units, dropout and learning rate, on the hourly departures that come with pyrnn.

A callback reports the validation error after each epoch and ends trials that are worse than the median of the others at
that epoch. The best model is trained again and compared with the same hour of the day before on held-out hours.
Needs the extra `tools`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna

import pyrnn
from pyrnn import callbacks, layers

WINDOW = 24  # hours that the model sees


class Pruning(callbacks.Callback):
    """Report a quantity of the logs to a trial after each epoch, and end the trial if it lags behind the others."""

    def __init__(self, trial: optuna.Trial, monitor: str = "val_mae") -> None:
        super().__init__()
        self.trial, self.monitor = trial, monitor

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Raise `optuna.TrialPruned` if the pruner says so."""
        self.trial.report((logs or {})[self.monitor], epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (samples, WINDOW, 1) of a series and the value that follows each of them, (samples, 1)."""
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], WINDOW)
    return np.ascontiguousarray(x[..., None]), series[WINDOW:, None]


def build(parameters: dict[str, Any]) -> pyrnn.Sequential:
    """Return a compiled model for the parameters of a trial."""
    recurrent = getattr(layers, parameters["cell"])(parameters["units"], dropout=parameters["dropout"])
    model = pyrnn.Sequential([layers.Input((WINDOW, 1)), recurrent, layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(parameters["rate"]), "mse", metrics=["mae"])
    return model


def main(hours: int = 3000, trials: int = 20, epochs: int = 15) -> dict[str, Any]:
    """Search, train the best model again, and return what the tests check."""
    departures = pyrnn.datasets.load_flights().total[:hours].astype(np.float32)
    x, y = windows((departures - departures.mean()) / departures.std())
    held_out = len(x) // 5
    train, test = slice(0, -held_out), slice(-held_out, None)
    options = {"epochs": epochs, "verbose": 0, "validation_split": 0.2}

    def objective(trial: optuna.Trial) -> float:
        pyrnn.utils.set_random_seed(trial.number)
        model = build(
            {
                "cell": trial.suggest_categorical("cell", ["SimpleRNN", "GRU", "LSTM"]),
                "units": trial.suggest_int("units", 4, 32, log=True),
                "dropout": trial.suggest_float("dropout", 0.0, 0.3),
                "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
            }
        )
        history = model.fit(x[train], y[train], callbacks=[Pruning(trial)], **options)
        return min(history.history["val_mae"])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=4),
    )
    study.optimize(objective, n_trials=trials)
    states = [trial.state.name for trial in study.trials]
    print(f"{states.count('COMPLETE')} trials completed, {states.count('PRUNED')} pruned; best: {study.best_params}")

    pyrnn.utils.set_random_seed(study.best_trial.number)
    model = build(study.best_params)
    history = model.fit(x[train], y[train], **options)
    error = float(np.abs(model.predict(x[test], verbose=0) - y[test]).mean())
    naive = float(np.abs(x[test, 0] - y[test]).mean())  # the same hour of the day before
    print(f"on the last {held_out} hours {error:.3f}, the hour of the day before {naive:.3f}")
    return {
        "states": states,
        "error": error,
        "naive": naive,
        "best": study.best_value,
        "again": min(history.history["val_mae"]),
        "epochs": [len(trial.intermediate_values) for trial in study.trials],
    }


if __name__ == "__main__":
    main()
