"""What the processes of an MPI job run in the tests: `mpirun -n 2 python job.py NAME [JSON]`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

import pyrnn
from shards.models import MODELS, OPTIMIZERS, SHAPE, data, digest, trained


def bits(distribution: Any) -> None:
    """Train every kind of model and with every optimizer."""
    results = {name: digest(*trained(name)) for name in MODELS}
    results |= {name: digest(*trained("lstm", name, epochs=1)) for name in OPTIMIZERS}
    if distribution.rank == 0:
        print(json.dumps(results))


class Numbered(pyrnn.utils.PyDataset):
    """Batches of a few sizes."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        x, y = data(9 + index)
        return x, y


class Loader:
    """Two batches, as a loader of another library."""

    def __iter__(self):
        x, y = data()
        yield x[:7], y[:7]
        yield x[7:], y[7:]


def forever() -> Any:
    random = np.random.default_rng(8)
    while True:
        x = random.normal(size=(random.integers(3, 12), *SHAPE)).astype(np.float32)
        yield x, x.sum((1, 2))[:, None]


def sources() -> dict[str, Any]:
    """Return what fit computes from each kind of data."""
    results: dict[str, Any] = {}
    x, y = data()
    kinds: dict[str, Any] = {
        "arrays": lambda: ((x, y), {"batch_size": 4, "steps_per_epoch": 3, "sample_weight": np.linspace(0, 1, len(x))}),
        "generator": lambda: ((forever(),), {"steps_per_epoch": 4}),
        "dataset": lambda: ((Numbered(),), {}),
        "loader": lambda: ((Loader(),), {}),
    }
    for name, make in kinds.items():
        pyrnn.utils.set_random_seed(3)
        model = MODELS["recurrent_dropout"]()
        schedule = pyrnn.optimizers.schedules.CosineDecay(0.01, 8)
        optimizer = pyrnn.optimizers.Adam(schedule, global_clipnorm=0.5, use_ema=True, ema_overwrite_frequency=3)
        model.compile(optimizer, "mse", metrics=["mae", pyrnn.metrics.RootMeanSquaredError()])
        arguments, options = make()
        if len(arguments) == 1:
            arguments = arguments[0], None
        stop = pyrnn.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
        history = model.fit(*arguments, epochs=3, validation_data=(x, y), callbacks=[stop], verbose=0, **options)
        evaluated = model.evaluate(x, y, verbose=0), model.evaluate(Numbered(), verbose=0)
        predicted = model.predict(x, batch_size=7, verbose=0)
        results[name] = [digest(model, history.history), repr(evaluated), predicted.tobytes().hex()]
    return results


def read(distribution: Any) -> None:
    """Train on every kind of data."""
    results = sources()
    if distribution.rank == 0:
        print(json.dumps(results))


def files(distribution: Any, folder: str) -> None:
    """Write all kinds of files, each process with its own names for the folder of the first one."""
    os.chdir(folder)
    x, y = data()
    model = MODELS["lstm"]()
    model.compile("sgd", "mse")
    callbacks = pyrnn.callbacks
    logs = [
        callbacks.CSVLogger("log.csv"), callbacks.ModelCheckpoint("best.keras", verbose=1),
        callbacks.BackupAndRestore("backup", delete_checkpoint=False), callbacks.TerminateOnNaN(),
    ]  # fmt: skip
    model.fit(x, y, epochs=2, callbacks=logs, verbose=2, validation_data=(x, y))
    model.save("model.keras", overwrite=False)
    model.summary()
    distribution.barrier()
    model.load_weights("model.keras")


class Kill(pyrnn.callbacks.Callback):
    """Ends the process of a rank without a word at a batch."""

    def __init__(self, rank: int, batch: int, distribution: Any) -> None:
        super().__init__()
        self.rank, self.batch, self.distribution, self.batches = rank, batch, distribution, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.batches += 1
        if self.batches == self.batch and self.distribution.rank == self.rank:
            os.kill(os.getpid(), 9)


def resume(distribution: Any, folder: str, rank: int, batch: int) -> None:
    """Train with a backup after every second batch; process `rank` dies at a batch, none if it is 0."""
    backup = pyrnn.callbacks.BackupAndRestore(folder, save_freq=2)
    model, history = trained("recurrent_dropout", epochs=3, callbacks=[backup, Kill(rank, batch, distribution)])
    if distribution.rank == 0:
        print(json.dumps(digest(model, history)))


def killed(distribution: Any, folder: str, epochs: int) -> None:
    """Train with a backup after every batch; each process writes its number, so that a test can kill it."""
    with open(os.path.join(folder, f"pid-{distribution.rank}"), "w") as file:
        file.write(str(os.getpid()))
    backup = pyrnn.callbacks.BackupAndRestore(os.path.join(folder, "backup"), save_freq=1)
    model, history = trained("recurrent_dropout", epochs=epochs, callbacks=[backup])
    if distribution.rank == 0:
        print(json.dumps(digest(model, history)))


def fault(distribution: Any, kind: str) -> None:
    """Do something else in process 1 than in the others."""
    is_wrong = distribution.rank == 1
    x, y = data()
    if kind == "data" and is_wrong:
        x = x + 1
    if kind == "rows" and is_wrong:
        x, y = x[:-1], y[:-1]
    pyrnn.utils.set_random_seed(4 if kind == "weights" and is_wrong else 3)
    model = MODELS["gru" if kind == "layers" and is_wrong else "lstm"]()
    model.compile("adam" if kind == "optimizer" and is_wrong else "sgd", "mse")

    def act(batch: int, logs: Any) -> None:
        if batch == 1 and is_wrong:
            if kind == "error":
                raise RuntimeError("the disk is full")
            if kind == "exit":
                sys.exit()
            if kind == "kill":
                os.kill(os.getpid(), 9)
            if kind == "hang":
                time.sleep(1000)
            if kind == "stop":
                model.stop_training = True

    hook = pyrnn.callbacks.LambdaCallback(on_train_batch_begin=act)
    epochs = 2 if kind == "epochs" and is_wrong else 1
    model.fit(x, y, batch_size=5, epochs=epochs, shuffle=False, callbacks=[hook], verbose=0)
    if kind == "stop":
        model.predict(x, verbose=0)


if __name__ == "__main__":
    name, arguments = sys.argv[1], [json.loads(each) for each in sys.argv[2:]]
    options = {"shards": 8, "timeout": 60.0}
    if name == "fault" and arguments[0] == "hang":
        options["timeout"] = 3.0
    if name == "fault" and arguments[0] == "shards" and os.environ["OMPI_COMM_WORLD_RANK"] == "1":
        options["shards"] = 4
    globals()[name](pyrnn.distributed.initialize(**options), *arguments)
