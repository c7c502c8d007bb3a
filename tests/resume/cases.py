"""Trainings for test_same_bits.py: models, data and callbacks, how one is interrupted, and its state afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, optimizers, seeds, utils
from pyrnn.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from pyrnn.optimizers import schedules

ROWS, TIME, FEATURES, BATCH, EPOCHS = 20, 5, 3, 4, 4
STEPS = ROWS // BATCH
X = np.random.default_rng(1).normal(size=(ROWS, TIME, FEATURES)).astype(np.float32)
Y = (X.sum(axis=(1, 2)) > 0).astype(np.float32)[:, None]
ARRAYS: Callable[[], dict[str, Any]] = lambda: {"x": X, "y": Y, "batch_size": BATCH}  # noqa: E731  # one case among others


class Interrupt(Callback):
    """Interrupts training at the beginning of a batch, counted over the epochs."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not self.left:
            raise InterruptedError
        self.left -= 1


def model(stack: list[Any] | None = None, optimizer: Any = "adam", metrics: Any = ("accuracy",)) -> pyrnn.Sequential:
    made = pyrnn.Sequential(
        stack
        or [
            layers.GaussianNoise(0.1, input_shape=(TIME, FEATURES)),
            layers.LSTM(4, dropout=0.2, recurrent_dropout=0.3),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    made.compile(optimizer, "binary_crossentropy", metrics=list(metrics))
    return made


class Rows(utils.PyDataset):
    """Batches with their own noise, in an order that changes after each epoch."""

    def __init__(self, stateful: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.random = np.random.default_rng(4)
        self.order = np.arange(STEPS)
        if stateful:
            self.get_state = lambda: {"order": self.order}
            self.set_state = lambda state: setattr(self, "order", state["order"])

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        rows = slice(self.order[index] * BATCH, (self.order[index] + 1) * BATCH)
        return X[rows] + self.random.normal(size=X[rows].shape).astype(np.float32), Y[rows]

    def on_epoch_end(self) -> None:
        self.order = self.order[::-1].copy() if not hasattr(self, "get_state") else self.random.permutation(STEPS)


class Endless(utils.PyDataset):
    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> Any:
        rows = (np.arange(BATCH) + 3 * index) % ROWS
        return X[rows], Y[rows]


class Loader:
    """An iterable with another order at each pass."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(9)

    def __iter__(self) -> Iterator[Any]:
        for rows in self.random.permutation(ROWS).reshape(-1, BATCH):
            yield X[rows], Y[rows]


def noisy(count: int | None = None) -> Iterator[Any]:
    draw = np.random.default_rng(7)
    while count is None or count > 0:
        rows = draw.integers(ROWS, size=BATCH)
        yield X[rows] + draw.normal(size=(BATCH, TIME, FEATURES)).astype(np.float32), Y[rows]
        count = None if count is None else count - 1


def series() -> Any:
    values = np.arange(40 * FEATURES, dtype=np.float32).reshape(40, FEATURES) / 100
    return utils.timeseries_dataset_from_array(values, values[:, :1] > 0.5, TIME, batch_size=8, shuffle=True, seed=2)


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": ARRAYS,
    "arrays-in-order": lambda: {**ARRAYS(), "shuffle": False},
    "arrays-last-batch-smaller": lambda: {**ARRAYS(), "batch_size": 6},
    "arrays-in-steps": lambda: {**ARRAYS(), "steps_per_epoch": 3, "epochs": 7},
    "weights": lambda: {**ARRAYS(), "sample_weight": np.linspace(0, 1, ROWS), "class_weight": {0: 0.5, 1: 2.0}},
    "validation": lambda: {**ARRAYS(), "validation_data": (X, Y)},
    "validation-split": lambda: {**ARRAYS(), "validation_split": 0.25, "validation_freq": 2},
    "validation-generator": lambda: {**ARRAYS(), "validation_data": noisy(), "validation_steps": 2},
    "validation-generator-ends": lambda: {**ARRAYS(), "validation_data": noisy(2)},
    "validation-dataset": lambda: {**ARRAYS(), "validation_data": Rows()},
    "generator": lambda: {"x": noisy(), "steps_per_epoch": STEPS},
    "generator-ends": lambda: {"x": noisy(3 * STEPS), "steps_per_epoch": STEPS, "epochs": 3},
    "dataset": lambda: {"x": Rows()},
    "dataset-in-order": lambda: {"x": Rows(), "shuffle": False, "steps_per_epoch": 7},
    "dataset-stateful": lambda: {"x": Rows(stateful=True)},
    "dataset-endless": lambda: {"x": Endless(), "steps_per_epoch": STEPS},
    "dataset-threads": lambda: {"x": Endless(workers=2), "steps_per_epoch": STEPS},
    "timeseries": lambda: {"x": series()},
    "timeseries-in-steps": lambda: {"x": series(), "steps_per_epoch": 3, "epochs": 9},
    "timeseries-generator": lambda: {
        "x": pyrnn.preprocessing.sequence.TimeseriesGenerator(X[:, 0], Y, TIME, shuffle=True, batch_size=BATCH)
    },
    "loader": lambda: {"x": Loader()},
    "loader-in-steps": lambda: {"x": Loader(), "steps_per_epoch": 3, "epochs": 9},
}


def own_layers() -> list[Any]:
    return [
        layers.GaussianDropout(0.1, input_shape=(TIME, FEATURES)),
        layers.TimeDistributed(layers.AlphaDropout(0.1)),
        layers.SpatialDropout1D(0.1),
        layers.BatchNormalization(),
        layers.Bidirectional(layers.GRU(3, dropout=0.1, recurrent_dropout=0.2, return_sequences=True)),
        layers.RNN([layers.LSTMCell(3, recurrent_dropout=0.2), layers.SimpleRNNCell(3, dropout=0.1)]),
        layers.Dense(1, activation="sigmoid", kernel_regularizer="l2"),
    ]


def stateful() -> list[Any]:
    return [
        layers.GRU(3, stateful=True, return_sequences=True, batch_input_shape=(BATCH, TIME, FEATURES)),
        layers.Bidirectional(layers.LSTM(3, stateful=True, return_sequences=True)),
        layers.RNN(layers.SimpleRNNCell(3), stateful=True),
        layers.Dense(1, activation="sigmoid"),
    ]


def graph() -> Any:
    """Branches, a shared layer, initial states and a nested model, all with random streams."""
    x, first = pyrnn.Input((TIME, FEATURES)), pyrnn.Input((TIME, FEATURES))
    inner = pyrnn.Model(first, layers.Dropout(0.2)(layers.Dense(FEATURES)(first)))
    _, *states = layers.LSTM(3, dropout=0.1, return_state=True)(inner(inner(x)))
    y = layers.LSTM(3, recurrent_dropout=0.2)(layers.GaussianNoise(0.1)(x), initial_state=states)
    made = pyrnn.Model(x, layers.Dense(1, activation="sigmoid")(layers.Add()([y, states[0]])))
    made.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return made


def watched() -> pyrnn.Sequential:
    made = pyrnn.metrics
    return model(metrics=(
        "accuracy", "auc", made.AUC(multi_label=True, name="labels"), made.F1Score(threshold=0.5), made.R2Score(),
        made.MeanIoU(2), made.Precision(), made.RootMeanSquaredError(),
    ))  # fmt: skip


MODELS: dict[str, Callable[[], pyrnn.Sequential]] = {
    "layers": lambda: model(own_layers()),
    "stateful": lambda: model(stateful()),
    "graph": graph,
    "metrics": watched,
    "ema": lambda: model(optimizer=optimizers.SGD(0.1, 0.9, use_ema=True, ema_overwrite_frequency=3)),
    "accumulation": lambda: model(optimizer=optimizers.Adam(gradient_accumulation_steps=3)),
    **{
        name: lambda name=name: model(optimizer=name)
        for name in ("sgd", "rmsprop", "nadam", "adamax", "adagrad", "adadelta", "adafactor", "ftrl", "lion", "lamb",
                     "muon", "adamw", "schedulefreeadamw")
    },
    **{
        f"schedule-{name}": lambda rate=rate: model(optimizer=optimizers.SGD(rate, momentum=0.5))
        for name, rate in {
            "exponential": schedules.ExponentialDecay(0.1, 3, 0.7),
            "inverse": schedules.InverseTimeDecay(0.1, 3, 0.7, staircase=True),
            "piecewise": schedules.PiecewiseConstantDecay([4, 11], [0.1, 0.05, 0.01]),
            "polynomial": schedules.PolynomialDecay(0.1, 7, cycle=True),
            "cosine": schedules.CosineDecay(0.01, 15, warmup_target=0.1, warmup_steps=4),
            "restarts": schedules.CosineDecayRestarts(0.1, 4),
        }.items()
    },
}  # fmt: skip


class Counting(Callback):
    """A custom callback whose state the log shows."""

    remembers = ("batches", "seen")

    def on_train_begin(self, logs: Any = None) -> None:
        self.batches, self.seen = 0, np.zeros(2)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        self.seen += [batch, logs["loss"]]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["batches"], logs["seen"] = self.batches, self.seen.copy()


class Stop(Callback):
    """Stops training in the middle of an epoch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.stop_training = self.model.optimizer.iterations >= 8


CALLBACKS: dict[str, Callable[[Path], list[Callback]]] = {
    "early-stopping": lambda folder: [
        EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True, min_delta=1e9)
    ],
    "plateau": lambda folder: [ReduceLROnPlateau("loss", mode="max", patience=1, factor=0.5, cooldown=1)],
    "scheduler": lambda folder: [LearningRateScheduler(lambda epoch, rate: rate * 0.8)],
    "checkpoint": lambda folder: [ModelCheckpoint(folder / "best.keras", "loss", save_best_only=True, save_freq=3)],
    "swap": lambda folder: [SwapEMAWeights(swap_on_epoch=True)],
    "csv": lambda folder: [CSVLogger(folder / "log.csv")],
    "own": lambda folder: [Counting()],
    "stop": lambda folder: [Stop()],
}

Case = tuple[Callable[[], pyrnn.Sequential], Callable[[], dict[str, Any]], Callable[[Path], list[Callback]]]
NONE: Callable[[Path], list[Callback]] = lambda folder: []  # noqa: E731  # one case among others
AVERAGING: Callable[[], pyrnn.Sequential] = lambda: model(optimizer=optimizers.SGD(0.1, use_ema=True))  # noqa: E731
CASES: dict[str, Case] = {
    **{f"data-{name}": (model, data, NONE) for name, data in DATA.items()},
    **{f"model-{name}": (make, ARRAYS, NONE) for name, make in MODELS.items()},
    **{f"callback-{name}": (AVERAGING if name == "swap" else model, ARRAYS, callbacks)
       for name, callbacks in CALLBACKS.items()},
}  # fmt: skip


def train(case: Case, folder: Path, callbacks: list[Callback], seed: int = 3) -> dict[str, Any]:
    """Return all state after a training that begins as a new process would."""
    utils.clear_session(free_memory=False)  # a new process names its metrics from the beginning
    utils.set_random_seed(seed)
    make, data, others = case
    made = make()
    folder.mkdir(exist_ok=True)
    arguments = {"epochs": EPOCHS, "verbose": 0, "callbacks": [*callbacks, *others(folder)], **data()}
    try:
        history = made.fit(**arguments)
    finally:
        for callback in arguments["callbacks"]:
            if isinstance(callback, CSVLogger) and callback.csv_file is not None:
                callback.csv_file.close()  # which a killed process need not do
    log = folder / "log.csv"
    return {
        "weights": made.get_weights(),
        "optimizer": [value for _, value in made.optimizer.named_variables()],
        "history": history.history,
        "epochs": history.epoch,
        "streams": [seeds.next_seed(), np.random.random(), random.random()],
        "log": log.read_text() if log.exists() else "",
    }


def assert_same_bits(got: Any, wanted: Any, where: str = "") -> None:
    if isinstance(wanted, dict):
        assert list(got) == list(wanted), where
        for name, value in wanted.items():
            assert_same_bits(got[name], value, f"{where} {name}")
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), where
        for i, value in enumerate(wanted):
            assert_same_bits(got[i], value, f"{where} {i}")
    else:
        actual, other = np.asarray(got), np.asarray(wanted)
        assert (actual.dtype, actual.shape, actual.tobytes()) == (other.dtype, other.shape, other.tobytes()), where


def resumed(case: Case, folder: Path, save_freq: Any, stops: list[int]) -> dict[str, Any]:
    """Return the result of a training that is interrupted repeatedly and restarted with other seeds and weights."""
    for seed, at in enumerate(stops):
        with pytest.raises(InterruptedError):
            callbacks = [BackupAndRestore(folder / "backup", save_freq=save_freq), Interrupt(at)]
            train(case, folder, callbacks, seed=seed * 10 + 3)
    done = train(case, folder, [BackupAndRestore(folder / "backup", save_freq=save_freq)], seed=77)
    assert not (folder / "backup").exists()
    return done
