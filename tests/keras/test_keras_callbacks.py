"""Hooks and callbacks compared with Keras's: which hooks are called, with which logs, and what each callback does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

SAMPLES, TERMS = 12, 12 * 3 * 24 * 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, 3, 2)).astype("float32")
Y = (X.sum(axis=(1, 2)) > 0).astype("float32")[:, None]
LIBRARIES = {"keras": keras, "pyrnn": pyrnn}
HOOKS = sorted(name for name in dir(keras.callbacks.Callback) if name.startswith("on_"))
LOSS = [3, 2, 2, 1.5, 1.4995, 1.6, 1.6, 1.2, 1.3, 1.3]


def models(optimizer: str = "SGD", **options: Any) -> list[Any]:
    made = []
    for library in LIBRARIES.values():
        model = library.Sequential(
            [library.Input((3, 2)), library.layers.SimpleRNN(4), library.layers.Dense(1, activation="sigmoid")]
        )
        model.compile(getattr(library.optimizers, optimizer)(0.1), "mse", metrics=["mae", "accuracy"], **options)
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    return made


def recorder(library: Any) -> Any:
    """A callback that notes (hook, number, names in the logs) and the logs' values."""

    class Recorder(library.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []
            self.values: list[float] = []

    def note(hook: str) -> Any:
        def method(self: Any, *arguments: Any, logs: Any = None) -> None:
            value = arguments[-1] if arguments and isinstance(arguments[-1], dict) else logs
            number = [a for a in arguments if isinstance(a, int)]
            self.seen.append((hook, *number, list(value or {})))
            self.values += [float(np.sum(np.asarray(v))) for v in (value or {}).values()]

        return method

    for hook in HOOKS:
        setattr(Recorder, hook, note(hook))
    return Recorder()


CALLS: dict[str, Any] = {
    "fit": lambda model, callback: model.fit(
        X, Y, batch_size=5, epochs=2, shuffle=False, validation_data=(X[:7], Y[:7]), callbacks=[callback], verbose=0
    ),
    "fit-some-validation": lambda model, callback: model.fit(
        X, Y, batch_size=6, epochs=3, shuffle=False, validation_split=0.25, validation_freq=2, callbacks=[callback],
        verbose=0,
    ),
    "fit-steps": lambda model, callback: model.fit(
        X, Y, batch_size=4, epochs=4, initial_epoch=2, steps_per_epoch=1, shuffle=False, callbacks=callback, verbose=0
    ),
    "evaluate": lambda model, callback: model.evaluate(X, Y, batch_size=5, callbacks=[callback], verbose=0),
    "predict": lambda model, callback: model.predict(X, batch_size=5, callbacks=[callback], verbose=0),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_hooks_and_logs(call: str) -> None:
    notes = []
    for library, model in zip(LIBRARIES.values(), models(), strict=True):
        callback = recorder(library)
        CALLS[call](model, callback)
        notes.append(callback)
    theirs, ours = notes
    assert ours.seen == theirs.seen and len(ours.seen) > 4
    assert_close(np.float32(ours.values), np.float32(theirs.values), TERMS, "logs")
    assert ours.params == theirs.params


class Rate:
    """What stands for an optimizer."""

    iterations = 0

    def __init__(self) -> None:
        self._rate = np.float32(0.1)

    @property
    def learning_rate(self) -> float:
        return float(self._rate)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._rate = np.float32(value)


class Model:
    """The part of a model that callbacks use; it records the calls."""

    built = True

    def __init__(self, library: Any) -> None:
        self.optimizer = Rate()
        self.stop_training = False
        self.epoch = 0
        self.told: list[Any] = []
        self.metrics: list[Any] = []
        self.real = library

    def get_weights(self) -> list[Any]:
        return [np.float32(self.epoch)]

    def set_weights(self, weights: list[Any]) -> None:
        self.told.append(("restored", float(weights[0])))

    def save(self, path: str, overwrite: bool = True) -> None:
        self.told.append(("saved", path))

    save_weights = save


def play(library: Any, name: str, options: dict[str, Any], values: list[float], capsys: Any) -> Any:
    """Give a callback a scripted training; everything that can be seen of it afterwards."""
    model = Model(library)
    callback = getattr(library.callbacks, name)(**options)
    callback.set_params({"epochs": len(values), "verbose": 0, "steps": 2})
    callback.set_model(model)
    callback.on_train_begin({})
    seen: list[Any] = []
    for epoch, value in enumerate(values):
        model.epoch = epoch
        callback.on_epoch_begin(epoch, {})
        seen.append(round(model.optimizer.learning_rate, 7))
        for batch in range(2):
            callback.on_train_batch_begin(batch, {})
            callback.on_train_batch_end(batch, {"loss": value + 1})
        logs = {"loss": value + 1, "val_loss": float(value)}
        callback.on_epoch_end(epoch, logs)
        seen.append({key: round(number, 6) for key, number in logs.items()})
        if model.stop_training:
            break
    callback.on_train_end({})
    return seen, model.told, capsys.readouterr().out


PLAYS: dict[str, tuple[str, dict[str, Any], list[float]]] = {
    "stop": ("EarlyStopping", {}, LOSS),
    "stop-patience": ("EarlyStopping", {"patience": 2, "verbose": 1}, LOSS),
    "stop-delta": ("EarlyStopping", {"patience": 3, "min_delta": 0.01, "restore_best_weights": True}, LOSS),
    "stop-baseline": ("EarlyStopping", {"patience": 3, "baseline": 1.45, "verbose": 1}, LOSS),
    "stop-max": ("EarlyStopping", {"mode": "max", "patience": 1, "restore_best_weights": True, "verbose": 1}, LOSS),
    "stop-later": ("EarlyStopping", {"start_from_epoch": 4}, LOSS),
    "stop-loss": ("EarlyStopping", {"monitor": "loss", "mode": "min", "patience": 2}, LOSS),
    "plateau": ("ReduceLROnPlateau", {"patience": 1}, LOSS),
    "plateau-verbose": ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "verbose": 1}, LOSS),
    "plateau-cooldown": ("ReduceLROnPlateau", {"patience": 1, "cooldown": 2, "min_delta": 0.2}, LOSS),
    "plateau-floor": ("ReduceLROnPlateau", {"patience": 1, "min_lr": 0.02, "mode": "max", "verbose": 1}, LOSS),
    "schedule": ("LearningRateScheduler", {"schedule": lambda epoch, rate: rate * 0.9, "verbose": 1}, LOSS),
    "schedule-old": ("LearningRateScheduler", {"schedule": lambda epoch: 0.1 / (epoch + 1)}, LOSS),
    "save": ("ModelCheckpoint", {"filepath": "m-{epoch:02d}-{val_loss:.2f}.keras", "verbose": 1}, LOSS),
    "save-best": ("ModelCheckpoint", {"filepath": "m{epoch}.keras", "save_best_only": True, "verbose": 1}, LOSS),
    "save-best-weights": (
        "ModelCheckpoint",
        {"filepath": "m.weights.h5", "save_best_only": True, "save_weights_only": True, "mode": "max"},
        LOSS,
    ),
    "save-threshold": (
        "ModelCheckpoint",
        {"filepath": "m.keras", "save_best_only": True, "initial_value_threshold": 1.5, "verbose": 1},
        LOSS,
    ),
    "save-batches": ("ModelCheckpoint", {"filepath": "m{epoch}-{batch}-{loss}.keras", "save_freq": 3}, LOSS),
    "save-missing": (
        "ModelCheckpoint",
        {"filepath": "m.keras", "monitor": "val_mae", "save_best_only": True, "mode": "min"},
        LOSS,
    ),
    "nan": ("TerminateOnNaN", {}, [1, 2, float("inf"), 3]),
}


@pytest.mark.parametrize("case", PLAYS)
def test_scripted_training(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, options, values = PLAYS[case]
    expected = play(keras, name, options, values, capsys)
    actual = play(pyrnn, name, options, values, capsys)
    assert actual == expected and len(actual[0]) >= 2


# One of these makes any metric of Keras.
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"num_classes": 2},
    {"num_classes": 2, "target_class_ids": [0]},
    {"target_class_ids": [0]},
    *({name: 0.5} for name in ("precision", "recall", "sensitivity", "specificity")),
]


def directions() -> dict[str, bool]:
    """Whether each of Keras's metrics rises, by its name."""
    result = {}
    for cls in vars(keras.metrics).values():
        if not isinstance(cls, type) or not issubclass(cls, keras.metrics.Metric):
            continue
        for arguments in ARGUMENTS:
            try:
                metric = cls(**arguments)
            except TypeError:
                continue
            if getattr(metric, "_direction", None):
                result[metric.name] = metric._direction == "up"
            break
    return result


def test_names_tell_which_way_metrics_improve() -> None:
    expected = {**directions(), "loss": False, "acc": True, "mse": False}
    assert len(expected) > 30
    actual = {}
    for name in expected:
        callback = pyrnn.callbacks.EarlyStopping(monitor=f"val_{name}")
        callback.set_model(Model(pyrnn))
        actual[name] = callback.rises()
    assert actual == expected


CSV: dict[str, Any] = {
    "plain": ({}, [{"loss": 1.5, "accuracy": 0.25}, {"loss": 0.5, "accuracy": 1.0, "val_loss": 3.0}]),
    "validation": ({"separator": ";"}, [{"val_loss": 2.0, "loss": 1.0}, {"loss": 3.0}]),
    "append": ({"append": True}, [{"loss": 1.0}, {"loss": 2.0}]),
    "values": ({}, [{"a": np.float32(1.5), "b": np.arange(3), "c": "word", "d": np.array(2.5)}]),
}


@pytest.mark.parametrize("case", CSV)
def test_csv_logger(case: str, tmp_path: Path) -> None:
    options, epochs = CSV[case]
    for name, library in LIBRARIES.items():
        for _ in range(2):
            callback = library.callbacks.CSVLogger(tmp_path / name, **options)
            callback.on_train_begin()
            for epoch, logs in enumerate(epochs):
                callback.on_epoch_end(epoch, dict(logs))
            callback.on_train_end()
    written = [(tmp_path / name).read_bytes() for name in LIBRARIES]
    assert written[0] == written[1] != b""


def test_history_holds_what_callbacks_add() -> None:
    histories = []
    for library, model in zip(LIBRARIES.values(), models(), strict=True):
        callbacks = [library.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)]
        histories.append(model.fit(X, Y, epochs=3, shuffle=False, callbacks=callbacks, verbose=0))
    theirs, ours = histories
    assert list(ours.history) == list(theirs.history) and "learning_rate" in ours.history
    assert ours.epoch == theirs.epoch
    for name, values in theirs.history.items():
        assert_close(np.float32(ours.history[name]), np.float32(values), TERMS, name)


def interrupt(library: Any, hook: str, at: int) -> Any:
    def stop(number: int, logs: Any) -> None:
        stop.count += 1
        if stop.count == at:
            raise InterruptedError

    stop.count = 0
    return library.callbacks.LambdaCallback(**{hook: stop})


BACKUPS: dict[str, Any] = {
    "epochs": ({}, "on_epoch_begin", 3),
    "double": ({"double_checkpoint": True}, "on_epoch_begin", 4),
    "batches": ({"save_freq": 2}, "on_train_batch_begin", 9),
    "kept": ({"delete_checkpoint": False}, "on_epoch_begin", 2),
}


@pytest.mark.parametrize("case", BACKUPS)
def test_backup_and_restore(case: str, tmp_path: Path) -> None:
    """Files are alike, and both resume from an epoch's end to what Keras reaches without a break."""
    options, hook, at = BACKUPS[case]
    fit: dict[str, Any] = {"epochs": 5, "batch_size": 4, "shuffle": False, "verbose": 0}
    first, second = models("Adam"), models("Adam")
    start = first[0].get_weights()
    undisturbed = models("Adam")[0]
    undisturbed.set_weights(start)
    losses = undisturbed.fit(X, Y, **fit).history["loss"]
    results = []
    for (name, library), broken, again in zip(LIBRARIES.items(), first, second, strict=True):
        again.set_weights(start)
        folder = tmp_path / name
        callback = library.callbacks.BackupAndRestore(str(folder), **options)
        with pytest.raises(InterruptedError):
            broken.fit(X, Y, callbacks=[callback, interrupt(library, hook, at)], **fit)
        files = sorted(path.name for path in folder.iterdir())
        metadata = json.loads((folder / "training_metadata.json").read_text())
        # The backup of Keras is read here and ours in Keras.
        other = models("Adam")[1 if name == "keras" else 0]
        other.load_weights(folder / "latest.weights.h5")
        callback = library.callbacks.BackupAndRestore(str(folder), **options)
        history = again.fit(X, Y, callbacks=[callback], **fit)
        results.append((files, metadata, folder.exists()))
    theirs, ours = results
    assert ours == theirs
    assert history.epoch == [0, 1, 2, 3, 4]
    assert_close(np.float32(history.history["loss"]), np.float32(losses), TERMS, "loss")
    for a, b in zip(again.get_weights(), undisturbed.get_weights(), strict=True):
        assert_close(a, b, TERMS, "weights")


@pytest.mark.parametrize("reader", [0, 1], ids=LIBRARIES)
def test_each_library_resumes_from_the_backup_of_the_other(reader: int, tmp_path: Path) -> None:
    fit: dict[str, Any] = {"epochs": 5, "batch_size": 4, "shuffle": False, "verbose": 0}
    names, broken, again = list(LIBRARIES), models("Adam"), models("Adam")
    undisturbed = models("Adam")[0]
    undisturbed.set_weights(broken[0].get_weights())
    undisturbed.fit(X, Y, **fit)
    library = LIBRARIES[names[1 - reader]]
    with pytest.raises(InterruptedError):
        callbacks = [library.callbacks.BackupAndRestore(str(tmp_path)), interrupt(library, "on_epoch_begin", 3)]
        broken[1 - reader].fit(X, Y, callbacks=callbacks, **fit)
    callback = LIBRARIES[names[reader]].callbacks.BackupAndRestore(str(tmp_path))
    assert again[reader].fit(X, Y, callbacks=[callback], **fit).epoch == [2, 3, 4]
    for a, b in zip(again[reader].get_weights(), undisturbed.get_weights(), strict=True):
        assert_close(a, b, TERMS, "weights")


def events(folder: Path) -> dict[str, Any]:
    """Tag -> [(step, value)] of all event files below a folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    result: dict[str, Any] = {}
    for path in sorted(folder.rglob("events*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                where = f"{path.parent.name}:{value.tag}"
                plugin = value.metadata.plugin_data.plugin_name
                result.setdefault(where, []).append((event.step, plugin, make_ndarray(value.tensor)))
    return result


BOARDS: dict[str, Any] = {
    "epoch": {"write_graph": False},
    "batch": {"update_freq": "batch", "write_graph": False},
    "every-third": {"update_freq": 3, "write_graph": False},
    "histograms": {"histogram_freq": 2, "write_images": True, "write_graph": False},
    "graph": {"write_steps_per_second": True, "update_freq": 1},
}


@pytest.mark.parametrize("case", BOARDS)
def test_tensorboard(case: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="Keras writes its boards through TensorFlow")
    pytest.importorskip("tensorboard.summary", reason="ours are written through this package")
    written = []
    for (name, library), model in zip(LIBRARIES.items(), models(), strict=True):
        board = library.callbacks.TensorBoard(str(tmp_path / name), **BOARDS[case])
        options: dict[str, Any] = {"batch_size": 4, "shuffle": False, "verbose": 0, "callbacks": [board]}
        model.fit(X, Y, epochs=3, validation_data=(X, Y), **options)
        written.append(events(tmp_path / name))
    theirs, ours = ({_unnumbered(tag): v for tag, v in each.items()} for each in written)
    assert ours.keys() == theirs.keys() and len(ours) > 8
    for tag, expected in theirs.items():
        actual = ours[tag]
        assert [entry[:2] for entry in actual] == [entry[:2] for entry in expected], tag
        for (_, plugin, a), (_, _, b) in zip(actual, expected, strict=True):
            if plugin == "scalars" and "steps_per_second" not in tag:
                assert_close(np.float32(a), b, TERMS, tag)
            elif plugin == "histograms":
                assert a.shape == b.shape, tag
                assert_close(np.float32(a[:, 2].sum()), b[:, 2].sum(), 1, tag)
            elif plugin == "images":
                assert [len(a), *a[:2]] == [len(b), *b[:2]], tag
            else:
                assert a.shape == b.shape, tag


def _unnumbered(tag: str) -> str:
    """A tag without the numbers of layers and models."""
    where, _, name = tag.partition(":")
    parts = [part.rstrip("0123456789").rstrip("_") for part in name.split("/")]
    return f"{where}:{'/'.join(parts)}"


def test_callback_list() -> None:
    for library, model in zip(LIBRARIES.values(), models(), strict=True):
        callback = recorder(library)
        inner = library.callbacks.History()
        hooks = library.callbacks.CallbackList(
            [callback, inner], add_history=True, add_progbar=True, model=model, epochs=1, verbose=0, steps=1
        )
        assert [type(c).__name__ for c in hooks.callbacks] == ["Recorder", "History", "ProgbarLogger"]
        assert model.history is inner and callback.params == {"epochs": 1, "verbose": 0, "steps": 1}
        hooks.on_train_begin()
        hooks.on_epoch_begin(0)
        hooks.on_epoch_end(0, {"loss": np.float32(2.0), "accuracy": 1})
        hooks.on_train_end({"loss": 1.0})
        assert callback.seen == [
            ("on_train_begin", []),
            ("on_epoch_begin", 0, []),
            ("on_epoch_end", 0, ["accuracy", "loss"]),
            ("on_train_end", ["loss"]),
        ]
        assert inner.history == {"accuracy": [1.0], "loss": [2.0]}
