"""Choose a forecaster by cross-validation: scikit-learn's GridSearchCV over recurrent models, in two processes.

A short estimator class builds the model in `fit`; scikit-learn clones it, sends it to its workers and pickles what they
return. `TimeSeriesSplit` never trains on data after the fold to forecast. Each fold monitors `val_mae` and stops early.
The data are the hourly departures that come with pyrnn.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import pyrnn
from pyrnn import layers


class RecurrentRegressor(RegressorMixin, BaseEstimator):
    """A recurrent layer and a Dense layer as a scikit-learn estimator."""

    def __init__(self, cell: str = "GRU", units: int = 8, rate: float = 0.02, epochs: int = 10, seed: int = 0) -> None:
        self.cell, self.units, self.rate, self.epochs, self.seed = cell, units, rate, epochs, seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> RecurrentRegressor:
        """Train on all but the last tenth, which decides when to stop."""
        pyrnn.utils.set_random_seed(self.seed)
        recurrent = getattr(layers, self.cell)(self.units)
        self.model_ = pyrnn.Sequential([layers.Input(x.shape[1:]), recurrent, layers.Dense(1)])
        self.model_.compile(pyrnn.optimizers.Adam(self.rate), "mse", metrics=["mae"])
        stopping = pyrnn.callbacks.EarlyStopping("val_mae", patience=3, restore_best_weights=True)
        self.history_ = self.model_.fit(
            x, y, epochs=self.epochs, verbose=0, validation_split=0.1, callbacks=[stopping]
        ).history  # fmt: skip
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return forecasts (samples,)."""
        return self.model_.predict(x, verbose=0)[:, 0]


def windows(series: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (samples, length, 1) of a series and the value that follows each of them."""
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], length)
    return np.ascontiguousarray(x[..., None]), series[length:]


def main(hours: int = 2000, epochs: int = 12) -> dict[str, Any]:
    """Compare four models in three folds and return what the tests check."""
    departures = pyrnn.datasets.load_flights().total[:hours].astype(np.float32)
    scaled = (departures - departures.mean()) / departures.std()
    x, y = windows(scaled, 24)
    held_out = len(x) // 5
    search = GridSearchCV(
        RecurrentRegressor(epochs=epochs),
        {"cell": ["SimpleRNN", "GRU"], "units": [4, 16]},
        cv=TimeSeriesSplit(3),
        scoring="neg_mean_absolute_error",
        n_jobs=2,
    )
    search.fit(x[:-held_out], y[:-held_out])
    for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{parameters}: mean absolute error {-score:.3f}")

    best = search.best_estimator_
    error = np.abs(best.predict(x[-held_out:]) - y[-held_out:]).mean()
    naive = np.abs(x[-held_out:, 0, 0] - y[-held_out:]).mean()  # the same hour of the day before
    print(
        f"best: {search.best_params_}; on the last {held_out} hours {error:.3f}, the hour of the day before {naive:.3f}"
    )
    again = pickle.loads(pickle.dumps(best))
    return {
        "keys": sorted(best.history_),
        "error": error,
        "naive": naive,
        "scores": search.cv_results_["mean_test_score"],
        "same": np.array_equal(again.predict(x), best.predict(x)),
    }


if __name__ == "__main__":
    main()
