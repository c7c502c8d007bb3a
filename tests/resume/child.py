"""Training for test_kills.py to kill: with a generator, dropout, noise, a schedule and callbacks, then arrays.

Run with a folder; it resumes from the backups there and writes result.npz.
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

ROWS, TIME, FEATURES, BATCH = 64, 12, 4, 8
X = np.random.default_rng(1).normal(size=(ROWS, TIME, FEATURES)).astype(np.float32)
Y = X.mean(axis=1)[:, :1]


def batches() -> Iterator[Any]:
    draw = np.random.default_rng(7)
    while True:
        rows = draw.integers(ROWS, size=BATCH)
        yield X[rows] + draw.normal(size=(BATCH, TIME, FEATURES)).astype(np.float32), Y[rows]


def model(rate: Any) -> pyrnn.Sequential:
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


def main(folder: Path) -> None:
    utils.set_random_seed(11)
    print("begin", flush=True)
    results: list[Any] = []
    trainings: list[tuple[Any, dict[str, Any]]] = [
        (schedules.CosineDecay(0.01, 200), {"x": batches(), "steps_per_epoch": 12, "validation_data": (X, Y)}),
        (0.01, {"x": X, "y": Y, "batch_size": BATCH, "shuffle": True, "validation_split": 0.25}),
    ]
    for number, (rate, data) in enumerate(trainings):
        made = model(rate)
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
    main(Path(sys.argv[1]))
