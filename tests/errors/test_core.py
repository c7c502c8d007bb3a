"""Operations of both backends with bad arguments, streams, threads, and unknown backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pyrnn import backend

X = np.ones((6, 5, 3), np.float32)


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
