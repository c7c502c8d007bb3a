"""Callbacks beside Keras's: hooks and logs, what they do to a training, the files they write."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

TERMS = 24 * 6 * 64 * 8
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 6, 3)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")
HELD = X[:8] + 1, Y[:8]


def pair(optimizer: Any = "sgd", **options: Any) -> tuple[Any, Any]:
    models = []
    for library in (keras, pyrnn):
        L = library.layers
        model = library.Sequential([library.Input((6, 3)), L.SimpleRNN(5), L.Dense(1)])
        chosen = optimizer(library.optimizers) if callable(optimizer) else optimizer
        model.compile(chosen, "mse", metrics=["mae"], **options)
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    return models[0], models[1]


def fit(model: Any, callbacks: list[Any], epochs: int = 6, **options: Any) -> Any:
    settings = {"epochs": epochs, "batch_size": 8, "shuffle": False, "verbose": 0, "validation_data": HELD, **options}
    return model.fit(X, Y, callbacks=callbacks, **settings).history


def compare(expected: dict[str, list[Any]], actual: dict[str, list[Any]]) -> None:
    assert list(expected) == list(actual)
    for name in expected:
        assert_close(np.float32(actual[name]), np.float32(expected[name]), TERMS, name)


HOOKS = [f"on_{what}_{when}" for what in ("train", "test", "predict", "epoch") for when in ("begin", "end")]
HOOKS += [f"on_{what}_batch_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")]


def recorder(base: type, seen: list[Any]) -> Any:
    def hook(name: str) -> Any:
        def record(self: Any, *arguments: Any, **named: Any) -> None:
            logs = arguments[-1] if arguments and not isinstance(arguments[-1], int) else named.get("logs")
            seen.append((name, [a for a in arguments if isinstance(a, int)], sorted(logs or {})))

        return record

    return type("Recorder", (base,), {name: hook(name) for name in HOOKS})()


def test_hooks_and_logs() -> None:
    theirs, ours = pair()
    records: list[list[Any]] = [[], []]
    for model, library, seen in zip((theirs, ours), (keras, pyrnn), records, strict=True):
        callback = recorder(library.callbacks.Callback, seen)
        fit(model, [callback], epochs=2)
        model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[callback])
        model.predict(X, batch_size=8, verbose=0, callbacks=[callback])
    # Keras gives a predicted batch's logs its outputs, which here are what predict returns.
    plain = [[(n, a, [] if n == "on_predict_batch_end" else logs) for n, a, logs in seen] for seen in records]
    assert plain[0] == plain[1]


RATES: dict[str, Any] = {
    "scheduler": lambda c: c.LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate),
    "scheduler-epoch": lambda c: c.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
    "plateau": lambda c: c.ReduceLROnPlateau("val_loss", factor=0.3, patience=1, min_delta=0.5),
    "plateau-cooldown": lambda c: c.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, cooldown=2, min_lr=0.001, min_delta=10
    ),
    "plateau-max": lambda c: c.ReduceLROnPlateau("val_mae", mode="max", patience=2, factor=0.2),
    "stopping": lambda c: c.EarlyStopping("val_loss", patience=1, min_delta=0.2, restore_best_weights=True),
    "stopping-max": lambda c: c.EarlyStopping("val_mae", mode="max", patience=1),
    "stopping-baseline": lambda c: c.EarlyStopping("loss", baseline=0.1, patience=2),
    "stopping-late": lambda c: c.EarlyStopping("loss", patience=0, start_from_epoch=3, min_delta=5),
    "nan": lambda c: c.TerminateOnNaN(),
    "swap": lambda c: c.SwapEMAWeights(),
    "swap-epoch": lambda c: c.SwapEMAWeights(swap_on_epoch=True),
}


@pytest.mark.parametrize("case", RATES)
def test_training(case: str) -> None:
    averages = case.startswith("swap")
    theirs, ours = pair(lambda o: o.SGD(0.05, use_ema=averages, ema_momentum=0.8) if averages else o.SGD(0.05))
    expected = fit(theirs, [RATES[case](keras.callbacks)], epochs=8)
    actual = fit(ours, [RATES[case](pyrnn.callbacks)], epochs=8)
    compare(expected, actual)
    for mine, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, value, TERMS, "weights")


def test_a_validation_of_a_few_steps_starts_anew() -> None:
    theirs, ours = pair()
    options = {"validation_steps": 2, "validation_batch_size": 3}
    compare(fit(theirs, [], epochs=4, **options), fit(ours, [], epochs=4, **options))


def test_nan_ends_the_training() -> None:
    lengths = []
    for model, library in zip(pair(lambda o: o.SGD(1e20)), (keras, pyrnn), strict=True):
        with np.errstate(all="ignore"):
            lengths.append(len(fit(model, [library.callbacks.TerminateOnNaN()])["loss"]))
    assert lengths[0] == lengths[1] < 6


@pytest.mark.parametrize("validated", [False, True])
def test_csv(validated: bool, tmp_path: Path) -> None:
    tables = []
    for model, library in zip(pair(), (keras, pyrnn), strict=True):
        path = tmp_path / f"{library.__name__}.csv"
        options = {} if validated else {"validation_data": None}
        fit(model, [library.callbacks.CSVLogger(path, separator=";")], epochs=2, **options)
        fit(model, [library.callbacks.CSVLogger(path, separator=";", append=True)], epochs=2, **options)
        with open(path, newline="") as file:
            tables.append(list(csv.DictReader(file, delimiter=";")))
    assert len(tables[0]) == len(tables[1]) == 4 and tables[0][0].keys() == tables[1][0].keys()
    for expected, actual in zip(*tables, strict=True):
        for name, value in expected.items():
            if value == "NA":
                assert actual[name] == "NA"
            else:
                assert float(actual[name]) == pytest.approx(float(value), rel=1e-3)


CHECKPOINTS: dict[str, dict[str, Any]] = {
    "each": {"filepath": "m-{epoch:02d}.keras"},
    "logs": {"filepath": "m-{epoch}-{val_mae:.1f}.keras"},
    "best": {"filepath": "m-{epoch}.keras", "save_best_only": True, "monitor": "loss"},
    "best-max": {"filepath": "m-{epoch}.keras", "save_best_only": True, "monitor": "val_mae", "mode": "max"},
    "threshold": {"filepath": "m-{epoch}.keras", "save_best_only": True, "initial_value_threshold": 1e-9},
    "weights": {"filepath": "m-{epoch}.weights.h5", "save_weights_only": True},
    "batches": {"filepath": "m-{epoch}-{batch}.keras", "save_freq": 4},
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoints(case: str, tmp_path: Path) -> None:
    names = []
    for model, library in zip(pair(), (keras, pyrnn), strict=True):
        folder = tmp_path / library.__name__
        folder.mkdir()
        options = dict(CHECKPOINTS[case])
        options["filepath"] = str(folder / options["filepath"])
        fit(model, [library.callbacks.ModelCheckpoint(**options)], epochs=3)
        names.append(sorted(file.name for file in folder.iterdir()))
    assert names[0] == names[1]


def test_every_callback_is_here() -> None:
    theirs = {n for n in dir(keras.callbacks) if isinstance(getattr(keras.callbacks, n), type)}
    # Orbax checkpoints need JAX.
    assert theirs - {"OrbaxCheckpoint"} <= set(pyrnn.callbacks.__all__)
