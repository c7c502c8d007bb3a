"""Errors and reports in rare cases: operations of both backends, utilities, callbacks, summaries, old files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pyrnn
from pyrnn import backend, callbacks, layers
from pyrnn.utils import to_categorical

X, Y = np.ones((6, 5, 3), np.float32), np.ones((6, 1), np.float32)


@pytest.fixture(params=backend.BACKENDS)
def either_backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test runs on the compiled core and on its twin."""
    before = backend.current_backend()
    backend.use_backend(request.param)
    yield
    backend.use_backend(before)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def rnn(cell: str, x: np.ndarray = X, width: int = 4, **changed: Any) -> Any:
    options = {
        "activation": "tanh", "recurrent_activation": None, "initial_state": None, "mask": None, "input_scale": None,
        "state_scale": None, "go_backwards": False, "return_sequences": False, "zero_output_for_mask": False,
        "checkpoint_steps": None, "training": False, "workspace": backend.Workspace(), "version": None,
    }  # fmt: skip
    return backend.rnn_forward(cell, x, zeros(3, width), zeros(4, width), None, **(options | changed))


def conv(x: np.ndarray = X, padding: str = "valid", size: int = 2, channels: int = 3) -> Any:
    rest: dict[str, Any] = {"training": False, "workspace": backend.Workspace(), "version": None}
    kernel = zeros(size, channels, 2)
    return backend.conv1d_forward(
        x, kernel, None, strides=1, padding=padding, dilation_rate=1, activation="linear", **rest
    )


def dense(x: np.ndarray) -> Any:
    rest: dict[str, Any] = {"training": False, "workspace": backend.Workspace(), "version": None}
    return backend.dense_forward(x, zeros(3, 2), None, activation="linear", **rest)


def pool(x: np.ndarray = X, mode: str = "max") -> Any:
    return backend.pool1d_forward(x, mode=mode, pool_size=2, strides=2, padding="valid")


def adam(step: int) -> None:
    rates = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
    backend.adam_step(zeros(3), zeros(3), zeros(3), zeros(3), None, **rates, step=step)


OPERATIONS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "cell": (lambda: rnn("elman"), ValueError, "cell must be one of .*'gru_reset_before', got 'elman'"),
    "second-activation": (
        lambda: rnn("simple_rnn", recurrent_activation="tanh"),
        TypeError,
        "recurrent_activation must be None for simple_rnn",
    ),
    "no-second-activation": (lambda: rnn("lstm", width=16), TypeError, "recurrent_activation must be a name for lstm"),
    "rnn-rank": (lambda: rnn("simple_rnn", X[0]), ValueError, r"x must have shape \(B, T, F\)"),
    "rnn-features": (lambda: rnn("simple_rnn", zeros(2, 3, 5)), ValueError, "kernel must have shape"),
    "conv-steps": (lambda: conv(size=9), ValueError, "x must have at least 9 time steps for this window, got 5"),
    "conv-padding": (lambda: conv(padding="full"), ValueError, "padding must be .*got 'full'"),
    "conv-channels": (lambda: conv(channels=4), ValueError, "must have shape"),
    "dense-features": (lambda: dense(zeros(2, 4)), ValueError, "must have shape"),
    "pool-mode": (lambda: pool(mode="min"), ValueError, "mode must be 'max' or 'average', got 'min'"),
    "pool-rank": (lambda: pool(X[0]), ValueError, r"x must have shape \(B, T, C\)"),
    "loss-shapes": (lambda: backend.squared_error(zeros(3, 1), zeros(3)), ValueError, "y_pred must have shape"),
    "adam-step": (lambda: adam(0), ValueError, "step must be at least 1, got 0"),
    "scatter": (
        lambda: backend.scatter_rows(zeros(3, 2), np.array([0, -1]), zeros(2, 2)),
        IndexError,
        r"indices must lie in 0\.\.2, got",
    ),
    "scatter-shape": (
        lambda: backend.scatter_rows(zeros(3, 2), np.array([0]), zeros(2, 2)),
        ValueError,
        "source must have shape",
    ),
    "gather": (
        lambda: backend.gather_rows(zeros(3, 2), np.array([0, 3])),
        IndexError,
        r"indices must lie in 0\.\.2, got",
    ),
}


@pytest.mark.usefixtures("either_backend")
@pytest.mark.parametrize("what", OPERATIONS)
def test_both_backends_refuse(what: str) -> None:
    call, kind, message = OPERATIONS[what]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.usefixtures("either_backend")
def test_gathered_rows() -> None:
    source = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(backend.gather_rows(source, np.array([2, 0])), source[[2, 0]])


@pytest.mark.usefixtures("either_backend")
def test_streams_of_both_backends() -> None:
    """States come out and go in again, a single row may be a vector, and other shapes raise an error."""
    rng = np.random.default_rng(0)
    kernel, recurrent = (rng.normal(size=(rows, 4)).astype(np.float32) for rows in (3, 4))
    stream = backend.Stream32(1, 3)
    with pytest.raises(ValueError, match="the stream has no layers"):
        stream.step(zeros(1, 3))
    stream.add_recurrent("simple_rnn", kernel, recurrent, None, "tanh", None)
    first = stream.step(X[0, :1]).copy()
    held = stream.states()
    second = stream.step(X[0, 0]).copy()
    assert not np.array_equal(first, second)
    stream.set_states(held)
    np.testing.assert_array_equal(stream.step(X[0, 0]), second)
    stream.reset([0])
    np.testing.assert_array_equal(stream.step(X[0, 0]), first)
    with pytest.raises(ValueError, match="state must"):
        stream.set_states([zeros(2, 4)])
    with pytest.raises(ValueError, match=r"x must have shape \(batch, features\) = \(1, 3\)"):
        stream.step(zeros(1, 2))
    with pytest.raises(IndexError, match=r"rows must lie in 0\.\.0, got 1"):
        stream.reset([1])


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        ([-1], None, "class numbers of at least 0"),
        ([0.5], None, "whole class numbers"),
        ([2.0**40], None, "class numbers below"),
        ([3], 3, "class numbers between 0 and 2, got 3"),
    ],
)
def test_class_numbers(x: list[float], classes: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_categorical(x, classes)


@pytest.mark.parametrize(
    ("count", "message"), [(0, "count must be a positive integer, got 0"), (257, "between 1 and 256")]
)
def test_number_of_threads(count: int, message: str) -> None:
    before = backend.get_num_threads()
    with pytest.raises(ValueError, match=message):
        backend.set_num_threads(count)
    assert backend.get_num_threads() == before


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown backend 'cuda'; known: core, reference"):
        backend.use_backend("cuda")
    assert backend.current_backend() in backend.BACKENDS


def made() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.Input((5, 3)), layers.LSTM(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_what_the_learning_rate_s_callbacks_say(capsys: pytest.CaptureFixture[str]) -> None:
    model = made()
    schedule = callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1), verbose=1)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[schedule])
    said = capsys.readouterr().out
    assert "Epoch 1: LearningRateScheduler setting learning rate to 0.5." in said
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.25." in said
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.125, verbose=1)
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[plateau])
    said = capsys.readouterr().out
    assert said.count("ReduceLROnPlateau reducing learning rate") == 1  # 0.25 -> 0.125, which is the least
    assert float(model.optimizer.learning_rate) == 0.125
    with pytest.warns(UserWarning, match="nothing"):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.ReduceLROnPlateau("nothing", mode="min")])


def test_a_checkpoint_s_name_and_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = made()
    with pytest.raises(KeyError, match="has the field 'acc', which is not in the logs"):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(str(tmp_path / "{acc}.keras"))])
    target = tmp_path / "new" / "{epoch}.keras"
    model.fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint(str(target), verbose=1)])
    assert (tmp_path / "new" / "1.keras").exists()
    assert "Epoch 1: finished saving model to" in capsys.readouterr().out
    best = callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), "nothing", save_best_only=True, mode="min")
    with pytest.warns(UserWarning, match="ModelCheckpoint monitors 'nothing', which is not in the logs"):
        model.fit(X, Y, verbose=0, callbacks=[best])
    assert (tmp_path / "best.keras").exists()


def test_progress_of_an_unknown_number_of_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("pyrnn.callbacks.progress.INTERVAL", 0.0)
    model = made()
    model.fit(((X, Y) for _ in range(3)), epochs=1, verbose=1)
    assert "2/Unknown" in capsys.readouterr().out
    model.evaluate(X, Y, batch_size=3, verbose=1)
    model.predict(X, batch_size=3, verbose=1)
    said = capsys.readouterr().out
    assert said.count("2/2") >= 2 and "\r" in said
    model.evaluate(X, Y, batch_size=3, verbose=2)
    assert "2/2 - " in capsys.readouterr().out


def test_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    model = made()
    first, last = model.layers[0].name, model.layers[-1].name
    model.layers[-1].trainable = False
    model.summary(show_trainable=True, line_length=90)
    said = capsys.readouterr().out
    assert "Trainable" in said and first in said and last in said
    model.summary(layer_range=[last, last], line_length=80)
    said = capsys.readouterr().out
    assert last in said and f"{first} (" not in said
    with pytest.raises(ValueError, match="layer_range must name layers of"):
        model.summary(layer_range=["none", last])
    with pytest.raises(ValueError, match="line_length must leave at least 4 characters per column, got 8"):
        model.summary(line_length=8)


def test_the_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "pyrnn", "info"], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0 and pyrnn.__version__ in run.stdout


def old_file(path: Path, **attributes: str) -> Path:
    with h5py.File(path, "w") as file:
        for name, text in attributes.items():
            file.attrs[name] = text
    return path


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "holds weights only: build the model"),
        ({"model_config": "{"}, "is damaged"),
        ({"model_config": json.dumps({"class_name": "Functional"})}, "must hold a Sequential model, got 'Functional'"),
        ({"model_config": json.dumps({"class_name": "Sequential", "config": 3})}, "must hold a Sequential model"),
        (
            {
                "model_config": json.dumps(
                    {
                        "class_name": "Sequential",
                        "config": {"layers": [{"class_name": "Dense", "config": {"units": 2}}]},
                    }
                )
            },
            "does not name the model's input shape",
        ),
    ],
    ids=["no-config", "no-json", "functional", "no-layers", "no-shape"],
)
def test_old_files_without_a_model(tmp_path: Path, attributes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyrnn.load_model(old_file(tmp_path / "old.h5", **attributes))


def test_weights_need_a_built_model(tmp_path: Path) -> None:
    path = tmp_path / "some.weights.h5"
    made().save_weights(path)
    with pytest.raises(ValueError, match=r"must be built before weights of .* can be loaded"):
        pyrnn.Sequential([layers.LSTM(4), layers.Dense(1)]).load_weights(path)
