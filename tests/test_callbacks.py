"""Callbacks: order of the hooks, early stopping, checkpoints."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, layers
from pyrnn.callbacks import Callback, EarlyStopping, History, LambdaCallback, ModelCheckpoint

X, Y = np.ones((4, 3, 2), np.float32), np.ones((4, 1), np.float32)


def model() -> pyrnn.Sequential:
    made = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


class Recorder(Callback):
    """Notes every hook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []


def _note(hook: str) -> Any:
    return lambda self, *args: self.seen.append(hook)


for _hook in dir(Callback):
    if _hook.startswith("on_") and not _hook.startswith("on_batch"):
        setattr(Recorder, _hook, _note(_hook))


class Scripted(Callback):
    """Replaces the validation loss by given numbers."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        logs["val_loss"] = self.values[epoch]


def test_order_of_hooks() -> None:
    recorder = Recorder()
    made = model()
    made.fit(X, Y, batch_size=2, epochs=1, validation_data=(X, Y), callbacks=[recorder], verbose=0)
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_batch_begin", "on_test_batch_end"]
    assert recorder.seen == [
        "on_train_begin",
        "on_epoch_begin",
        *batch,
        *batch,
        *test,
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
    ]
    recorder.seen.clear()
    made.predict(X, batch_size=4, callbacks=[recorder], verbose=0)
    assert recorder.seen == ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end"]


def test_params_and_logs() -> None:
    notes: list[Any] = []

    class Note(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            notes.append((batch, sorted(logs or {}), self.params["steps"], self.params["epochs"], self.model is made))

    made = model()
    made.fit(X, Y, batch_size=3, epochs=2, callbacks=Note(), verbose=0)
    assert notes == [(0, ["loss"], 2, 2, True), (1, ["loss"], 2, 2, True)] * 2


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        ([3, 2, 1, 0], {}, 4),
        ([3, 2, 2, 1], {}, 3),
        ([3, 2, 2, 2, 1], {"patience": 2}, 4),
        ([3, 2.9, 2.8, 2.7], {"min_delta": 0.5, "patience": 1}, 2),
        ([1, 2, 3, 4], {"mode": "max"}, 4),
        ([3, 2, 2, 2], {"start_from_epoch": 3}, 4),
        ([3, 2.5, 2.2], {"baseline": 1.0, "patience": 2}, 3),
        ([3, 2, 2, 2], {"baseline": 2.5, "patience": 2}, 4),
    ],
)
def test_early_stopping(values: list[float], options: dict[str, Any], epochs: int) -> None:
    stopping = EarlyStopping(**options)
    history = model().fit(X, Y, epochs=len(values), callbacks=[Scripted(values), stopping], verbose=0)
    assert len(history.epoch) == epochs


def test_best_weights_come_back() -> None:
    kept: list[Any] = []
    made = model()
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(made.get_weights()))
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    made.fit(X, Y, epochs=5, callbacks=[Scripted([3, 1, 2, 2, 2]), keep, stopping], verbose=0)
    assert len(kept) == 4 and stopping.best_epoch == 1
    for best, now in zip(kept[1], made.get_weights(), strict=True):
        assert np.array_equal(best, now)


def test_missing_monitor_warns_with_what_there_is() -> None:
    with pytest.warns(UserWarning, match="'val_acc', which is not among loss"):
        model().fit(X, Y, callbacks=[EarlyStopping(monitor="val_acc")], verbose=0)


def test_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "m-{epoch:02d}-{val_loss:.1f}.keras"
    checkpoint = ModelCheckpoint(path, save_best_only=True)
    made = model()
    made.fit(X, Y, epochs=4, callbacks=[Scripted([3, 2, 2.5, 1]), checkpoint], verbose=0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m-01-3.0.keras", "m-02-2.0.keras", "m-04-1.0.keras"]
    again = pyrnn.load_model(tmp_path / "m-04-1.0.keras")
    assert np.array_equal(again.predict(X, verbose=0), made.predict(X, verbose=0))


def test_checkpoints_of_weights_every_few_batches(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "b{batch}.weights.h5", save_weights_only=True, save_freq=3)
    model().fit(X, Y, batch_size=1, epochs=2, callbacks=[checkpoint], verbose=0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b2.weights.h5", "b3.weights.h5"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ModelCheckpoint("m.h5"), ValueError, "filepath must end in '.keras'"),
        (lambda: ModelCheckpoint("m.keras", save_freq=0), ValueError, "save_freq"),
        (lambda: EarlyStopping(mode="low"), ValueError, "mode must be one of"),
        (lambda: model().fit(X, Y, callbacks=[3], verbose=0), TypeError, "callbacks must be Callback objects, got 3"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_callback_can_stop_training() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.model.stop_training = True

    history = model().fit(X, Y, epochs=5, callbacks=[Stop()], verbose=0)
    assert isinstance(history, History) and history.epoch == [0]


def make_training(folder: Path, stop_after: int | None) -> tuple[Any, Any]:
    """A model, a callback that backs its training up, and maybe one that breaks it off in mid-epoch."""
    pyrnn.utils.set_random_seed(7)
    model = pyrnn.Sequential([layers.SimpleRNN(4, input_shape=(5, 3)), layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(0.01), "mse")
    steps = iter(range(1000))

    class Break(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if next(steps) == stop_after:
                raise KeyboardInterrupt

    return model, [callbacks.BackupAndRestore(folder), Break()]


def test_training_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(16, 5, 3)).astype("float32")
    options: dict[str, Any] = {"epochs": 5, "batch_size": 4, "shuffle": False, "verbose": 0}
    whole, hooks = make_training(tmp_path / "whole", None)
    whole.fit(x, x[:, 0, :1], callbacks=hooks, **options)
    broken, hooks = make_training(tmp_path / "broken", 13)  # in the fourth epoch
    with pytest.raises(KeyboardInterrupt):
        broken.fit(x, x[:, 0, :1], callbacks=hooks, **options)
    again, hooks = make_training(tmp_path / "broken", None)
    history = again.fit(x, x[:, 0, :1], callbacks=hooks, **options)
    assert history.epoch == [3, 4]
    assert again.optimizer.iterations == whole.optimizer.iterations == 20
    for one, other in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "broken").exists()


def test_remote_monitor(tmp_path: Path) -> None:
    received: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monitor = callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", send_as_json=True)
    model, _ = make_training(tmp_path, None)
    model.fit(np.ones((4, 5, 3)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[monitor])
    server.shutdown()
    server.server_close()
    assert [json.loads(body)["epoch"] for body in received] == [0, 1] and b"loss" in received[0]
    with pytest.warns(UserWarning, match="could not reach"):
        model.fit(np.ones((4, 5, 3)), np.ones((4, 1)), verbose=0, callbacks=[monitor])


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, _ = make_training(tmp_path / "backup", None)
    x, y = np.ones((8, 5, 3)), np.ones((8, 1))
    board = callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1, update_freq="batch")
    history = model.fit(x, y, batch_size=4, epochs=3, validation_data=(x, y), verbose=0, callbacks=[board]).history
    found = {}
    for part in ("train", "validation"):
        events = EventAccumulator(str(tmp_path / "logs" / part))
        events.Reload()
        found[part] = events
    for part, name in (("train", "loss"), ("validation", "val_loss")):
        values = [event.value for event in found[part].Scalars("epoch_loss")]
        np.testing.assert_allclose(values, history[name], rtol=1e-6)
    assert len(found["train"].Scalars("batch_loss")) == 6
    assert found["train"].Scalars("epoch_learning_rate")[0].value == pytest.approx(0.01)
    assert len(found["train"].Tags()["histograms"]) == 5
