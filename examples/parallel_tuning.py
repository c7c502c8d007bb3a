"""Tune a forecaster with Optuna, several trials at once, in processes of joblib, Dask or Ray.

The study stays in this process. It asks Optuna for a batch of trials, sends their parameters to the workers, and tells
Optuna the results in the order of the trials. So the search depends on its seed and on the size of a batch, but not on
the number of workers or on which of them is faster. A trial that raises counts as failed. Needs the extra `sweeps`.

    python examples/parallel_tuning.py --engine ray --workers 2
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import optuna
from engines import ENGINES, Failure, engine_arguments
from many_series import windows

import pyrnn
from pyrnn import layers

WINDOW = 24  # hours that the model sees


def train(trial: tuple[int, dict[str, Any]], x: np.ndarray, y: np.ndarray, epochs: int) -> float:
    """Return the validation error of the model that a trial (its number, its parameters) describes."""
    number, parameters = trial
    pyrnn.utils.set_random_seed(number)
    recurrent = getattr(layers, parameters["cell"])(parameters["units"])
    model = pyrnn.Sequential([layers.Input((WINDOW, 1)), recurrent, layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(parameters["rate"]), "mse", metrics=["mae"])
    history = model.fit(x, y, epochs=epochs, verbose=0, validation_split=0.2).history
    return min(history["val_mae"])


def main(
    engine: str = "here", workers: int = 2, trials: int = 12, batch: int = 4, epochs: int = 4, hours: int = 1500
) -> dict[str, Any]:
    """Search, and return what the tests check."""
    total = pyrnn.datasets.load_flights().total[:hours].astype(np.float32)
    x, y = windows((total - total.mean()) / total.std(), WINDOW)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(n_startup_trials=batch, seed=0))
    space = {
        "cell": optuna.distributions.CategoricalDistribution(["SimpleRNN", "GRU", "LSTM"]),
        "units": optuna.distributions.IntDistribution(4, 32, log=True),
        "rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    }
    with ENGINES[engine](workers) as run:
        for first in range(0, trials, batch):
            asked = [study.ask(space) for _ in range(min(batch, trials - first))]
            items = [(trial.number, trial.params) for trial in asked]
            results = run(functools.partial(train, x=x, y=y, epochs=epochs), items)
            for trial, result in zip(asked, results, strict=True):
                if isinstance(result, Failure):
                    print(f"trial {trial.number} failed: {result.reason}")
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, result)
    print(f"best of {len(study.trials)} trials: {study.best_params}, mean absolute error {study.best_value:.3f}")
    return {"values": [trial.value for trial in study.trials], "best": study.best_params}


if __name__ == "__main__":
    args = engine_arguments(__doc__).parse_args()
    main(args.engine, args.workers)
