"""Callbacks: order of the hooks, early stopping, checkpoints, backups, reports."""

from __future__ import annotations

import json
import math
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    RemoteMonitor,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
)
from pyrnn.optimizers import SGD

X, Y = np.ones((4, 3, 2), np.float32), np.ones((4, 1), np.float32)


def model() -> pyrnn.Sequential:
    made = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


class Recorder(Callback):
    """A callback that records every hook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []


def _note(hook: str) -> Any:
    return lambda self, *args: self.seen.append(hook)


for _hook in dir(Callback):
    if _hook.startswith("on_") and not _hook.startswith("on_batch"):
        setattr(Recorder, _hook, _note(_hook))


class Scripted(Callback):
    """A callback that replaces the validation loss in the logs by fixed values."""

    def __init__(self, values: list[float], name: str = "val_loss") -> None:
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        logs[self.name] = self.values[epoch]


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
    weights: list[Any] = []
    made = model()
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(made.get_weights()))
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    made.fit(X, Y, epochs=5, callbacks=[Scripted([3, 1, 2, 2, 2]), keep, stopping], verbose=0)
    assert len(weights) == 4 and stopping.best_epoch == 1
    for best, now in zip(weights[1], made.get_weights(), strict=True):
        assert np.array_equal(best, now)


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


def fit(callback: Callback) -> Any:
    return model().fit(X, Y, epochs=2, callbacks=[callback], verbose=0)


def fit_not_built(callback: Callback) -> Any:
    """A generator's shapes are known only when its first batch comes."""
    made = pyrnn.Sequential([layers.Dense(1)])
    made.compile("sgd", "mse")
    return made.fit(iter([(X, Y)]), callbacks=[callback], verbose=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ModelCheckpoint("m.pb"), ValueError, "filepath must end in '.keras' or '.h5'"),
        (lambda: ModelCheckpoint("m.keras", save_freq=0), ValueError, "save_freq"),
        (lambda: model().fit(X, Y, callbacks=[3], verbose=0), TypeError, "callbacks must be Callback objects, got 3"),
        (lambda: ModelCheckpoint("m.keras", save_freq=True), ValueError, "save_freq"),
        (lambda: LambdaCallback(on_epoch_stop=print), TypeError, "did you mean"),
        (lambda: LearningRateScheduler(0.1), TypeError, "schedule must be a function"),
        (lambda: fit(LearningRateScheduler(lambda epoch: 1)), TypeError, "schedule must return a float, got 1"),
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "factor must be less than 1"),
        (
            lambda: fit([Scripted([1.0], "harmony"), EarlyStopping("harmony")]),
            ValueError,
            "cannot tell whether 'harmony' should rise",
        ),
        (lambda: BackupAndRestore(""), ValueError, "backup_dir must name a folder"),
        (lambda: BackupAndRestore("b", save_freq=False), ValueError, "save_freq"),
        (lambda: fit_not_built(BackupAndRestore("b")), ValueError, "must be built before BackupAndRestore can use it"),
        (lambda: RemoteMonitor("file:///etc"), ValueError, "root must begin with http"),
        (lambda: fit(SwapEMAWeights(True)), ValueError, "needs an optimizer with averages, got SGD: write SGD"),
        (lambda: TensorBoard(profile_batch=2), ValueError, "profile_batch must be left out"),
        (lambda: TensorBoard(embeddings_freq=1), ValueError, "embeddings_freq must be left out"),
        (lambda: TensorBoard(update_freq=0), ValueError, "update_freq must be a positive integer"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_callback_can_stop_training() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.model.stop_training = True

    history = model().fit(X, Y, epochs=5, callbacks=[Stop()], verbose=0)
    assert isinstance(history, History) and history.epoch == [0]


class Rising(Callback):
    """A callback that interrupts training at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == self.epoch:
            raise InterruptedError


def interrupted(folder: Path, **options: Any) -> list[list[Any]]:
    """Return the weights after a training that is interrupted in its third epoch and resumed."""
    weights: list[list[Any]] = []
    made = model()
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(made.get_weights()))
    with pytest.raises(InterruptedError):
        made.fit(X, Y, epochs=5, callbacks=[keep, BackupAndRestore(folder, **options), Rising(3)], verbose=0)
    return weights


def test_a_damaged_backup_is_replaced_by_the_one_before(tmp_path: Path) -> None:
    weights = interrupted(tmp_path / "b", double_checkpoint=True)
    for damage in (lambda path: path.write_bytes(b"no file"), lambda path: path.unlink()):
        damage(tmp_path / "b" / "latest.weights.h5")
        seen: list[int] = []
        again = model()

        def begin(epoch: int, logs: Any, seen: list[int] = seen, again: Any = again) -> None:
            seen.append(epoch)
            assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), weights[1], strict=True))
            raise InterruptedError

        callbacks = [BackupAndRestore(tmp_path / "b"), LambdaCallback(on_epoch_begin=begin)]
        with pytest.raises(InterruptedError):
            again.fit(X, Y, epochs=5, callbacks=callbacks, verbose=0)
        assert seen == [2]


def test_a_damaged_backup_without_another_is_reported(tmp_path: Path) -> None:
    interrupted(tmp_path / "b")
    (tmp_path / "b" / "latest.weights.h5").write_bytes(b"no file")
    with pytest.raises(ValueError, match="damaged or not an HDF5 file"):
        model().fit(X, Y, callbacks=[BackupAndRestore(tmp_path / "b")], verbose=0)


def test_a_backup_leaves_no_trace_and_no_start_behind(tmp_path: Path) -> None:
    interrupted(tmp_path / "b")
    (tmp_path / "b" / "notes.txt").write_text("mine")
    made = model()
    assert made.fit(X, Y, epochs=5, callbacks=[BackupAndRestore(tmp_path / "b")], verbose=0).epoch == [0, 1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes.txt"]
    assert made.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1]


def test_csv_logger_over_a_training(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    made = model()
    for append in (False, True):
        made.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[CSVLogger(path, append=append)], verbose=0)
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,val_loss" and [line[0] for line in lines[1:]] == ["0", "1", "0", "1"]


class Server(BaseHTTPRequestHandler):
    """A handler that records what is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.notes.append((self.path, self.headers, body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = HTTPServer(("127.0.0.1", 0), Server)
    made.notes, made.answer = [], 200
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize("answer", [200, 500])
@pytest.mark.parametrize("as_json", [False, True])
def test_remote_monitor(as_json: bool, answer: int, server: Any) -> None:
    server.answer = answer
    root = f"http://127.0.0.1:{server.server_port}"
    monitor = RemoteMonitor(root, path="/here/", headers={"X-Run": "7"}, send_as_json=as_json)
    history = model().fit(X, Y, epochs=2, callbacks=[monitor], verbose=0).history
    for epoch, (path, headers, body) in enumerate(server.notes):
        text = body if as_json else urllib.parse.parse_qs(body)["data"][0]
        assert json.loads(text) == {"epoch": epoch, "loss": history["loss"][epoch]}
        assert path == "/here/" and headers["X-Run"] == "7"
        assert headers["Content-Type"] == f"application/{'json' if as_json else 'x-www-form-urlencoded'}"
    assert len(server.notes) == 2


def test_remote_monitor_out_of_reach_only_warns() -> None:
    with pytest.warns(UserWarning, match="cannot reach http://127.0.0.1:9"):
        model().fit(X, Y, callbacks=[RemoteMonitor("http://127.0.0.1:9")], verbose=0)


class Averaging(SGD):
    """An optimizer that keeps averages: here, of zeros."""

    use_ema = True
    averages: list[Any] | None = None

    def ema_weights(self) -> list[Any]:
        assert self.parameters is not None
        if self.averages is None:
            self.averages = [np.zeros(weight.shape, weight.dtype) for weight in self.parameters.weights]
        return self.averages

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """The end of fit leaves the weights as the callback did."""


def zero(made: Any) -> bool:
    return not any(weight.any() for weight in made.get_weights())


@pytest.mark.parametrize("on_epoch", [False, True])
def test_averages_replace_the_weights(on_epoch: bool) -> None:
    made = model()
    optimizer = Averaging(0.01)
    optimizer.use_ema = True
    made.compile(optimizer, "mse")
    seen: list[tuple[str, bool]] = []
    hooks = ("on_train_batch_end", "on_test_batch_end", "on_epoch_end", "on_predict_batch_end")
    look = LambdaCallback(**{hook: lambda *_, hook=hook, **__: seen.append((hook, zero(made))) for hook in hooks})
    callbacks = [SwapEMAWeights(swap_on_epoch=on_epoch), look]
    made.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=callbacks, verbose=0)
    epoch = [("on_train_batch_end", False), ("on_test_batch_end", True), ("on_epoch_end", on_epoch)]
    assert seen == [*epoch, *epoch] and zero(made) == on_epoch
    # With swaps at the last epoch's end the averages became the weights' own.
    assert not any(a.any() for a in optimizer.ema_weights()) if on_epoch else not zero(made)
    before = made.get_weights()
    assert not made.predict(X, callbacks=callbacks[:1], verbose=0).any()
    assert all(np.array_equal(a, b) for a, b in zip(made.get_weights(), before, strict=True))


def test_a_loss_that_is_no_number_ends_training(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.full_like(X, np.nan)
    with pytest.warns(UserWarning, match="the loss is nan in epoch 1, batch 1: x holds values that are not finite"):
        history = model().fit(x, Y, batch_size=2, epochs=3, callbacks=[TerminateOnNaN()], verbose=0)
    assert history.epoch == [0] and not math.isfinite(history.history["loss"][0])
    assert capsys.readouterr().out == "Batch 0: Invalid loss, terminating training\n"
    with pytest.warns(UserWarning, match="the loss is nan"), pytest.raises(RuntimeError, match="at batch 0: training"):
        model().fit(x, Y, callbacks=[TerminateOnNaN(raise_error=True)], verbose=0)


def test_evaluation_and_prediction_can_be_stopped() -> None:
    made = model()

    def stop_evaluating(*_: Any) -> None:
        made.stop_evaluating = True

    def stop_predicting(*_: Any) -> None:
        made.stop_predicting = True

    stop = LambdaCallback(on_test_batch_end=stop_evaluating, on_predict_batch_end=stop_predicting)
    assert made.predict(X, batch_size=1, callbacks=stop, verbose=0).shape == (1, 1)
    assert made.evaluate(X, Y, batch_size=1, callbacks=stop, verbose=0) == made.evaluate(X[:1], Y[:1], verbose=0)


def test_tensorboard_writes_what_its_package_reads(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard.summary", reason="TensorBoard writes through an optional package")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
    from tensorboard.util.tensor_util import make_ndarray

    made = model()
    board = TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    history = made.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[board], verbose=0).history
    for folder, tag, values in (
        ("train", "epoch_loss", history["loss"]),
        ("validation", "epoch_loss", history["val_loss"]),
        ("train", "epoch_learning_rate", [np.float32(0.01)] * 3),
    ):
        read = EventAccumulator(str(tmp_path / folder)).Reload()
        assert [(e.step, make_ndarray(e.tensor_proto)) for e in read.Tensors(tag)] == list(
            enumerate(np.float32(values))
        )
    read = EventAccumulator(str(tmp_path / "train")).Reload()
    for weight in made.weights:
        assert len(read.Tensors(f"{weight.path}/histogram")) == 3
        if weight.size > 1:
            assert read.Tensors(f"{weight.path}/image")[0].tensor_proto.string_val[2].startswith(b"\x89PNG")
    graph = keras_model_to_graph_def(json.loads(read.Tensors("keras")[0].tensor_proto.string_val[0]))
    assert len(graph.node) == 3


def test_tensorboard_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(ImportError, match=r"pip install 'pyrnn-core\[tensorboard\]'"):
        fit(TensorBoard(tmp_path))


def test_reports_of_learning_rate_callbacks(capsys: pytest.CaptureFixture[str]) -> None:
    made = model()
    schedule = LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1), verbose=1)
    made.fit(X, Y, epochs=2, verbose=0, callbacks=[schedule])
    printed = capsys.readouterr().out
    assert "Epoch 1: LearningRateScheduler setting learning rate to 0.5." in printed
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.25." in printed
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.125, verbose=1)
    made.fit(X, Y, epochs=5, verbose=0, callbacks=[plateau])
    printed = capsys.readouterr().out
    assert printed.count("ReduceLROnPlateau reducing learning rate") == 1  # 0.25 -> 0.125, which is the least
    assert float(made.optimizer.learning_rate) == 0.125
    with pytest.warns(UserWarning, match="nothing"):
        made.fit(X, Y, verbose=0, callbacks=[ReduceLROnPlateau("nothing", mode="min")])


def test_names_and_folders_of_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = model()
    with pytest.raises(KeyError, match="has the field 'acc', which is not in the logs"):
        made.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(str(tmp_path / "{acc}.keras"))])
    target = tmp_path / "new" / "{epoch}.keras"
    made.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(str(target), verbose=1)])
    assert (tmp_path / "new" / "1.keras").exists()
    assert "Epoch 1: finished saving model to" in capsys.readouterr().out
    best = ModelCheckpoint(str(tmp_path / "best.keras"), "nothing", save_best_only=True, mode="min")
    with pytest.warns(UserWarning, match="ModelCheckpoint monitors 'nothing', which is not in the logs"):
        made.fit(X, Y, verbose=0, callbacks=[best])
    assert (tmp_path / "best.keras").exists()


def test_progress_without_a_known_number_of_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("pyrnn.callbacks.progress.INTERVAL", 0.0)
    made = model()
    made.fit(((X, Y) for _ in range(3)), epochs=1, verbose=1)
    assert "2/Unknown" in capsys.readouterr().out
    made.evaluate(X, Y, batch_size=3, verbose=1)
    made.predict(X, batch_size=3, verbose=1)
    printed = capsys.readouterr().out
    assert printed.count("2/2") >= 2 and "\r" in printed
    made.evaluate(X, Y, batch_size=3, verbose=2)
    assert "2/2 - " in capsys.readouterr().out


def test_a_mode_that_is_unknown_is_auto_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"EarlyStopping mode 'low' is unknown: it takes 'auto'; known: 'auto', 'min'"):
        callback = EarlyStopping(monitor="val_accuracy", mode="low")
    callback.set_model(model())
    assert callback.mode == "auto" and callback.monitor_op is pyrnn.ops.greater
    assert EarlyStopping(mode="min").monitor_op is pyrnn.ops.less


def test_a_name_that_tells_no_direction_is_an_error_and_so_are_several_numbers() -> None:
    callback = EarlyStopping(monitor="unknown")
    with pytest.raises(ValueError, match=r"monitors 'unknown', which is not in the logs .*should rise or fall"):
        model().fit(X, Y, callbacks=[callback], verbose=0)
    callback = EarlyStopping(monitor="f1_score", mode="max")
    with pytest.raises(ValueError, match="must monitor one number, got 'f1_score' with 2 of them"):
        callback.on_epoch_end(0, {"f1_score": np.ones(2)})


def test_other_arguments_of_lambda_callback_are_attributes() -> None:
    assert LambdaCallback(note="seen").note == "seen"


def test_reports_go_to_the_logger_when_interactive_logging_is_disabled(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    rate = pyrnn.callbacks.LearningRateScheduler(lambda epoch: 0.5, verbose=1)
    pyrnn.utils.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", "pyrnn"):
            model().fit(X, Y, callbacks=[rate], epochs=2)
    finally:
        pyrnn.utils.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert any("LearningRateScheduler setting learning rate to 0.5" in text for text in caplog.messages)
    assert "Epoch 1/2" in caplog.messages and any("loss: " in text for text in caplog.messages)
    model().fit(X, Y)
    assert "Epoch 1/1" in capsys.readouterr().out
