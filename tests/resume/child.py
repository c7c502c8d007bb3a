"""Trainings for test_kills.py to kill: a chain of layers, or a graph with two inputs and two outputs.

Run with a folder and "chain" or "graph"; it resumes from the backups there and writes result.npz. The first training
has a generator, dropout, noise, a schedule and callbacks, the second one arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pyrnn
from pyrnn import callbacks, layers, optimizers, utils
from pyrnn.optimizers import schedules

ROWS, TIME, FEATURES, STATIC, BATCH = 64, 12, 4, 3, 8
X = np.random.default_rng(1).normal(size=(ROWS, TIME, FEATURES)).astype(np.float32)
Y = X.mean(axis=1)[:, :1]
FIXED = np.random.default_rng(2).normal(size=(ROWS, STATIC)).astype(np.float32)
SERIES = np.cumsum(X, axis=1)[..., :1]


def rows_of_chain(rows: Any, noise: Any = 0) -> tuple[Any, Any]:
    return X[rows] + noise, Y[rows]


def rows_of_graph(rows: Any, noise: Any = 0) -> tuple[Any, Any]:
    return {"series": X[rows] + noise, "static": FIXED[rows]}, {"level": Y[rows], "path": SERIES[rows]}


def batches(read: Any) -> Iterator[Any]:
    draw = np.random.default_rng(7)
    while True:
        rows = draw.integers(ROWS, size=BATCH)
        yield read(rows, draw.normal(size=(BATCH, TIME, FEATURES)).astype(np.float32))


def chain(rate: Any) -> Any:
    made = pyrnn.Sequential(
        [
            layers.GaussianNoise(0.1, input_shape=(TIME, FEATURES)),
            layers.LSTM(8, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
            layers.Bidirectional(layers.GRU(4, recurrent_dropout=0.2)),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )
    made.compile(optimizers.Adam(rate, use_ema=True), "mse", metrics=["mae"])
    return made


def graph(rate: Any) -> Any:
    """A stateful encoder, a decoder that starts from its states, shared and nested layers."""
    series = pyrnn.Input(batch_shape=(BATCH, TIME, FEATURES), name="series")
    static = pyrnn.Input(batch_shape=(BATCH, STATIC), name="static")
    first = pyrnn.Input((TIME, FEATURES))
    inner = pyrnn.Model(first, layers.Dropout(0.2)(layers.Dense(FEATURES, activation="tanh")(first)))
    noisy = layers.GaussianNoise(0.1)(inner(inner(series)))
    encoder = layers.LSTM(6, dropout=0.2, recurrent_dropout=0.2, stateful=True, return_state=True)
    last, *states = encoder(noisy)
    states[0] = layers.Add()([states[0], layers.Dense(6)(static)])
    path = layers.LSTM(6, recurrent_dropout=0.2, return_sequences=True)(series, initial_state=states)
    read = layers.Attention(dropout=0.1)([path, noisy @ np.ones((FEATURES, 6), np.float32)])
    path = layers.TimeDistributed(layers.Dense(1), name="path")(layers.Concatenate()([path, read]))
    level = layers.Dense(1, name="level")(layers.Dropout(0.3)(last))
    made = pyrnn.Model([series, static], [level, path])
    made.compile(
        optimizers.Adam(rate, use_ema=True),
        {"level": "mse", "path": "mae"},
        loss_weights={"level": 2.0, "path": 1.0},
        metrics={"level": ["mae"]},
    )
    return made


def main(folder: Path, kind: str) -> None:
    make, read = {"chain": (chain, rows_of_chain), "graph": (graph, rows_of_graph)}[kind]
    utils.set_random_seed(11)
    print("begin", flush=True)
    results: list[Any] = []
    x, y = read(slice(None))
    held = {"validation_data": (x, y), "validation_batch_size": BATCH}
    trainings: list[tuple[Any, dict[str, Any]]] = [
        (schedules.CosineDecay(0.01, 200), {"x": batches(read), "steps_per_epoch": 12, **held}),
        (0.01, {"x": x, "y": y, "batch_size": BATCH, "shuffle": True, "validation_split": 0.25}),
    ]
    for number, (rate, data) in enumerate(trainings):
        made = make(rate)
        watching: list[Any] = [
            callbacks.BackupAndRestore(folder / "backup" / str(number), save_freq=3, delete_checkpoint=False),
            callbacks.EarlyStopping("val_loss", patience=6, restore_best_weights=True),
            callbacks.ModelCheckpoint(folder / f"best{number}.keras", save_best_only=True),
        ]
        if number:
            watching.append(callbacks.ReduceLROnPlateau(patience=1, factor=0.5))
        history = made.fit(**data, epochs=8, verbose=0, callbacks=watching)
        results += made.get_weights() + [value for _, value in made.optimizer.named_variables()]
        results += [np.asarray(history.history[name]) for name in sorted(history.history)]
        results += pyrnn.models.load_model(folder / f"best{number}.keras").get_weights()
    for number in range(len(trainings)):
        callbacks_left = folder / "backup" / str(number)
        for path in callbacks_left.iterdir():
            path.unlink()
        callbacks_left.rmdir()
    (folder / "backup").rmdir()
    np.savez(folder / "result.npz", *results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
