"""Subnormal numbers count as 0 in layers and optimizers, and the caller's floating-point mode is kept.

docs/dev/decisions/0001-subnormal-numbers.md says why.
"""

from __future__ import annotations

import ctypes
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from lasting import steps_that_last

from pyrnn import _core, backend

B, T, F, H = 40, 6, 5, 9
SUBNORMAL = np.float32(1e-40)
FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 0x8000, 0x0040
EXCEPTIONS_SEEN = 0x3F  # bits that arithmetic itself sets
_MXCSR = 28  # where glibc's fenv_t of x86-64 has it
HAS_MODE = sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"


def mode() -> int:
    """The control bits of this thread's floating-point unit."""
    environment = ctypes.create_string_buffer(32)
    ctypes.CDLL("libm.so.6").fegetenv(environment)
    return int.from_bytes(environment.raw[_MXCSR : _MXCSR + 4], "little") & ~EXCEPTIONS_SEEN


def set_mode(value: int) -> None:
    environment = ctypes.create_string_buffer(32)
    library = ctypes.CDLL("libm.so.6")
    library.fegetenv(environment)
    ctypes.memmove(ctypes.addressof(environment) + _MXCSR, value.to_bytes(4, "little"), 4)
    library.fesetenv(environment)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


OPTIONS: dict[str, Any] = {
    "activation": "tanh", "recurrent_activation": "sigmoid", "initial_state": None, "mask": None, "input_scale": None,
    "state_scale": None, "checkpoint_steps": None, "go_backwards": False, "return_sequences": False,
    "zero_output_for_mask": False, "version": None,
}  # fmt: skip


def rnn(x: np.ndarray, dy: np.ndarray | None = None) -> list[np.ndarray]:
    kernel, recurrent, workspace = numbers(F, 4 * H), numbers(H, 4 * H, seed=1), _core.Workspace()
    y, states, saved = _core.rnn_forward(
        "lstm", x, kernel, recurrent, None, training=True, workspace=workspace, **OPTIONS
    )
    if dy is None:
        return [y, *states]
    d_kernel, d_recurrent = np.zeros_like(kernel), np.zeros_like(recurrent)
    dx, _ = _core.rnn_backward(
        "lstm", x, kernel, recurrent, None, saved, dy, d_final_state=None, d_kernel=d_kernel,
        d_recurrent_kernel=d_recurrent, d_bias=None, need_dx=True, workspace=workspace, **OPTIONS,
    )  # fmt: skip
    return [dx, d_kernel, d_recurrent]


def dense(x: np.ndarray) -> list[np.ndarray]:
    options: dict[str, Any] = {"activation": "linear", "training": False, "workspace": _core.Workspace()}
    return [_core.dense_forward(x, numbers(x.shape[-1], H), None, version=None, **options)[0]]


def conv(x: np.ndarray) -> list[np.ndarray]:
    options: dict[str, Any] = {"activation": "linear", "training": False, "workspace": _core.Workspace()}
    return [
        _core.conv1d_forward(
            x, numbers(2, F, H), None, strides=1, padding="same", dilation_rate=1, version=None, **options
        )[0]
    ]


def adam(gradients: np.ndarray) -> list[np.ndarray]:
    weights, momentum, velocity = (np.full(gradients.shape, each, np.float32) for each in (0.5, 0, 0))
    _core.adam_step(
        weights, gradients, momentum, velocity, None, learning_rate=0.1, beta_1=0.9, beta_2=0.99, epsilon=1e-7, step=1
    )
    return [weights, momentum, velocity]


def sgd(gradients: np.ndarray) -> list[np.ndarray]:
    weights = np.zeros(gradients.shape, np.float32)
    _core.sgd_step(weights, gradients, None, learning_rate=1.0, momentum_rate=0.0, nesterov=False)
    return [weights]


def scattered(x: np.ndarray) -> list[np.ndarray]:
    target = np.empty_like(x)
    _core.scatter_rows(target, np.arange(len(x)), x)
    return [target]


def stream(x: np.ndarray) -> list[np.ndarray]:
    made = _core.Stream32(len(x), F)
    made.add_recurrent("lstm", numbers(F, 4 * H), numbers(H, 4 * H, seed=1), None, "tanh", "sigmoid")
    return [made.step(x).copy(), *made.states()]


def refused(x: np.ndarray) -> list[np.ndarray]:
    with pytest.raises(ValueError, match="kernel must have shape"):
        rnn(x[..., :-1])
    return []


# Operations that count a subnormal number as 0, each with an input.
FLUSHED: dict[str, tuple[Callable[[np.ndarray], list[np.ndarray]], tuple[int, ...]]] = {
    "rnn_forward": (rnn, (B, T, F)),
    "rnn_backward": (lambda dy: rnn(numbers(B, T, F, seed=2), dy), (B, H)),
    "dense_forward": (dense, (B, F)),
    "conv1d_forward": (conv, (B, T, F)),
    "adam_step": (adam, (100_000,)),
    "sgd_step": (sgd, (100_000,)),
    "squared_error": (lambda x: [_core.squared_error(np.zeros_like(x), x)[1]], (B, F)),
    "Stream32.step": (stream, (2, F)),
}
# Operations that do not.
EXACT: dict[str, tuple[Callable[[np.ndarray], list[np.ndarray]], tuple[int, ...]]] = {
    "activation_forward": (lambda x: [_core.activation_forward(x, "relu")], (B, F)),
    "tanh": (lambda x: [_core.activation_forward(x, "tanh")], (B, F)),
    "scatter_rows": (scattered, (B, F)),
    "gather_rows": (lambda x: [_core.gather_rows(x, np.arange(len(x)))], (B, F)),
    "pool1d_forward": (
        lambda x: [_core.pool1d_forward(x, mode="max", pool_size=1, strides=1, padding="valid")],
        (B, T, F),
    ),
}
OPERATIONS = {**FLUSHED, **EXACT, "an error": (refused, (B, T, F))}


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest, any_thread_count: None) -> None:
    backend.set_num_threads(request.param)


@pytest.fixture
def own_mode() -> Iterator[None]:
    before = mode()
    yield
    set_mode(before)


@pytest.mark.skipif(not HAS_MODE, reason="reads the mode where glibc has it on x86-64")
@pytest.mark.parametrize("flags", [0, FLUSH_TO_ZERO, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_mode_of_the_caller_stays(name: str, flags: int, threads: None, own_mode: None) -> None:
    call, shape = OPERATIONS[name]
    x, usual = numbers(*shape), mode() & ~(FLUSH_TO_ZERO | DENORMALS_ARE_ZERO)

    def after() -> int:
        set_mode(usual | flags)
        call(x)
        return mode()

    assert after() == usual | flags
    with ThreadPoolExecutor(1) as pool:  # any thread of Python's
        assert pool.submit(after).result() == usual | flags


@contextmanager
def handled(handler: Callable[[], object]) -> Iterator[None]:
    """A signal 20 ms from now, and until then nothing but the kernel: the handler runs in the middle of it."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not HAS_MODE, reason="reads the mode where glibc has it on x86-64")
def test_a_signal_handler_has_the_mode_of_the_caller(threads: None, own_mode: None) -> None:
    """So do the threads it starts. Layers that it calls count subnormal numbers as 0, as everywhere."""
    modes: list[int] = []
    expected = rnn(np.zeros((B, T, F), np.float32))[0]

    def handler() -> None:
        modes.append(mode())
        thread = threading.Thread(target=lambda: modes.append(mode()))
        thread.start()
        thread.join()
        assert np.array_equal(rnn(np.full((B, T, F), SUBNORMAL))[0], expected)
        modes.append(mode())

    def work(steps: int) -> float:
        part, start = x[:, :steps].copy(), time.monotonic()
        _core.rnn_forward("simple_rnn", part, kernel, recurrent, None, training=False, workspace=workspace, **options)
        return time.monotonic() - start

    x, kernel, recurrent = numbers(32, 6000, 1), numbers(1, 256), numbers(256, 256)
    workspace, options = _core.Workspace(), {**OPTIONS, "recurrent_activation": None}
    steps, usual = steps_that_last(work, x.shape[1]), mode()
    with handled(handler):
        taken = work(steps)
    assert modes == [usual, usual, usual]
    assert taken > 0.07, "the kernel ended before it looked for signals"


@pytest.mark.parametrize("name", FLUSHED)
def test_subnormal_numbers_count_as_0(name: str, threads: None) -> None:
    call, shape = FLUSHED[name]
    for actual, expected in zip(call(np.full(shape, SUBNORMAL)), call(np.zeros(shape, np.float32)), strict=True):
        assert np.array_equal(actual, expected)  # -0 is 0 too
    assert SUBNORMAL * np.float32(2) > 0


@pytest.mark.parametrize("name", EXACT)
def test_subnormal_numbers_are_numbers(name: str, threads: None) -> None:
    call, shape = EXACT[name]
    assert (call(np.full(shape, SUBNORMAL))[0] == SUBNORMAL).all()
