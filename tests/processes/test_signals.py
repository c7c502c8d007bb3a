"""A signal that arrives during a change: the change is completed, then the handler runs."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resume.cases import assert_same_bits

from pyrnn import callbacks, layers, optimizers, signals
from pyrnn.models import Sequential
from pyrnn.parameters import Weight

X = np.random.default_rng(0).normal(size=(8, 4, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, even if the tests run in the background of a shell, whose jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def model(optimizer: Any) -> Sequential:
    made = Sequential([
        layers.Input((4, 3)), layers.LSTM(4, kernel_constraint="non_neg", recurrent_regularizer="l2"), layers.Dense(1),
    ])  # fmt: skip
    made.set_weights([np.linspace(-1, 1, weight.size).reshape(weight.shape) for weight in made.weights])
    made.compile(optimizer, "mse")
    return made


def state_of(trained: Sequential) -> dict[str, Any]:
    optimizer = trained.optimizer
    assert optimizer is not None
    return {"weights": trained.get_weights(), "optimizer": [np.copy(value) for _, value in optimizer.named_variables()]}


OPTIMIZERS: dict[str, Callable[[], optimizers.Optimizer]] = {
    **{kind.__name__: kind for kind in optimizers.CLASSES},
    "averages": lambda: optimizers.SGD(0.1, 0.9, use_ema=True, ema_overwrite_frequency=2),
    "accumulation": lambda: optimizers.Adam(gradient_accumulation_steps=3, clipnorm=1.0, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_hundred_interrupts_at_random_moments(name: str) -> None:
    """After each interrupt all numbers are those of some whole number of steps, and predictions follow the weights."""
    watched, steady, fresh = (model(OPTIMIZERS[name]()) for _ in range(3))
    watched.train_on_batch(X, Y)
    steady.train_on_batch(X, Y)
    start = time.perf_counter()
    for _ in range(10):
        watched.train_on_batch(X, Y)
    duration = (time.perf_counter() - start) / 10
    moments, interrupts, steps = random.Random(name), 0, 1
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        while interrupts < 200:
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 1.2 * duration))
                watched.train_on_batch(X, Y)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert watched.optimizer is not None
            taken = watched.optimizer._iterations
            while steps < taken:
                steady.train_on_batch(X, Y)
                steps += 1
            assert_same_bits(state_of(watched), state_of(steady), f"after {taken} steps, {interrupts} interrupts")
            if interrupts % 10 == 0:
                fresh.set_weights(watched.get_weights())
                assert watched.predict_on_batch(X).tobytes() == fresh.predict_on_batch(X).tobytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Interrupting:
    """Raise Ctrl-C at the first call of `Weight.touch`, which every writer calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed, self.touch = False, Weight.touch
        monkeypatch.setattr(Weight, "touch", lambda weight: self.interrupt(weight))

    def interrupt(self, weight: Weight) -> None:
        self.touch(weight)
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGINT)


def swap(trained: Sequential) -> None:
    swapping = callbacks.SwapEMAWeights()
    swapping.set_model(trained)
    swapping.on_test_begin()


WRITERS: dict[str, Callable[[Sequential, Path], Any]] = {
    "set_weights": lambda m, path: m.set_weights([np.ones(w.shape) for w in m.weights]),
    "layer.set_weights": lambda m, path: m.layers[0].set_weights([np.ones(w.shape) for w in m.layers[0].weights]),
    "load_weights": lambda m, path: m.load_weights(path / "w.weights.h5"),
    "load_weights from .keras": lambda m, path: m.load_weights(path / "m.keras"),
    "load_weights from .h5": lambda m, path: m.load_weights(path / "m.h5"),
    "averages": lambda m, path: m.optimizer.finalize_variable_values(),
    "swap": lambda m, path: swap(m),
}


@pytest.mark.filterwarnings("ignore:.*HDF5")
@pytest.mark.parametrize("name", WRITERS)
def test_writers_of_several_weights_finish(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = model("sgd")
    saved.set_weights([np.full(w.shape, 0.5) for w in saved.weights])
    saved.save(tmp_path / "m.keras")
    saved.save(tmp_path / "m.h5")
    saved.save_weights(tmp_path / "w.weights.h5")
    made = [model(optimizers.SGD(0.1, use_ema=True)) for _ in range(2)]
    interrupting = Interrupting(monkeypatch)
    for each in made:
        for _ in range(3):
            each.train_on_batch(X, Y)
    WRITERS[name](made[0], tmp_path)
    interrupting.armed = True
    with pytest.raises(KeyboardInterrupt):
        WRITERS[name](made[1], tmp_path)
    assert not interrupting.armed
    assert_same_bits(state_of(made[1]), state_of(made[0]))
    assert made[1].predict_on_batch(X).tobytes() == made[0].predict_on_batch(X).tobytes()


def test_an_optimizer_is_built_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while slots are made leaves an optimizer that trains."""
    made = model("adam")
    make_state = optimizers.Adam.make_state

    def interrupted(self: Any, parameters: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        make_state(self, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(optimizers.Adam, "make_state", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.train_on_batch(X, Y)
    other = model("adam")
    assert made.train_on_batch(X, Y) == other.train_on_batch(X, Y)
    assert_same_bits(state_of(made), state_of(other))


def test_a_step_that_fails_renews_packed_weights() -> None:
    """A constraint that raises after the update leaves no stale copy of the weights behind."""

    class Failing(optimizers.SGD):
        def update(self, values: Any, gradients: Any, learning_rate: float) -> None:
            values += 1
            raise ArithmeticError

    made = model(Failing())
    made.predict_on_batch(X)
    with pytest.raises(ArithmeticError):
        made.train_on_batch(X, Y)
    fresh = model("sgd")
    fresh.set_weights(made.get_weights())
    assert made.predict_on_batch(X).tobytes() == fresh.predict_on_batch(X).tobytes()


# The context manager itself.


@pytest.fixture
def calls() -> Any:
    """Signals that their handlers were called for."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
    seen: list[int] = []
    before = [signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers]
    yield seen
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_handlers_run_at_the_end_in_order(calls: list[int]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)]
    with signals.deferred():
        signal.raise_signal(signal.SIGTERM)
        with signals.deferred():
            signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        assert not calls
    assert calls == [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)] == handlers


def test_a_handler_that_raises_stops_no_other(calls: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt), signals.deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGUSR2)
    assert calls == [signal.SIGUSR2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_and_a_signal() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, signals.deferred():
        signal.raise_signal(signal.SIGINT)
        raise ArithmeticError
    assert isinstance(raised.value.__context__, ArithmeticError)


def test_an_event_loop_hears_of_a_signal_once() -> None:
    """Its wakeup descriptor receives the signal when it arrives."""
    heard: list[int] = []

    async def train() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, 1)
        with signals.deferred():
            signal.raise_signal(signal.SIGUSR1)
        await asyncio.sleep(0.05)

    asyncio.run(train())
    assert heard == [1]


def test_a_handler_receives_the_frame_that_was_interrupted() -> None:
    frames: list[Any] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: frames.append(frame))
    try:
        with signals.deferred():
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [frame.f_code.co_name for frame in frames] == ["test_a_handler_receives_the_frame_that_was_interrupted"]


def test_a_handler_may_put_the_default_back() -> None:
    """The second signal is then the default's, here to be ignored."""
    seen: list[int] = []

    def handler(number: int, frame: Any) -> None:
        seen.append(number)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with signals.deferred():
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_signals_that_arrive_while_handlers_are_exchanged(monkeypatch: pytest.MonkeyPatch, calls: list[int]) -> None:
    """Before the exchange nothing has changed; after it, all handlers are restored."""
    exchange, at = signals._set_handler, [0]

    def exchanged(number: int, handler: Any) -> Any:
        at[0] -= 1
        if at[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return exchange(number, handler)

    monkeypatch.setattr(signals, "_set_handler", exchanged)
    watched = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in watched]
    for moment in range(1, 2 * len(handlers) + 1):
        at[0] = moment
        complete = False
        with pytest.raises(KeyboardInterrupt), signals.deferred():
            complete = True
        assert complete or moment == 1
        assert [signal.getsignal(number) for number in watched] == handlers


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_handler_that_raises_while_handlers_are_exchanged(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise kind("handled")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    exchange = signals._set_handler
    exchanged: list[int] = []

    def exchange_then_signal(number: int, handler: Any) -> Any:
        result = exchange(number, handler)
        exchanged.append(number)
        if len(exchanged) == 1:  # SIGUSR1 and SIGUSR2 still have their own handler
            signal.raise_signal(signal.SIGUSR2)
        return result

    monkeypatch.setattr(signals, "_set_handler", exchange_then_signal)
    try:
        with pytest.raises(kind, match="handled"), signals.deferred():
            raise AssertionError("the block must not run")
        assert [signal.getsignal(number) for number in before] == [interrupt, interrupt]
    finally:
        monkeypatch.undo()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert not signals._active and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_handlers_nothing_is_left_active() -> None:
    watched = [number for number in signals._NUMBERS if callable(signal.getsignal(number))]
    before = [signal.signal(number, signal.SIG_IGN) for number in watched]
    try:
        with signals.deferred():
            assert not signals._active
        assert not signals._active
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)


def test_other_threads_are_left_alone(calls: list[int]) -> None:
    entered = threading.Event()

    def enter() -> None:
        with signals.deferred():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered.is_set()
    signal.raise_signal(signal.SIGUSR1)
    assert calls == [signal.SIGUSR1]
