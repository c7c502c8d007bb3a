"""Ctrl-C ends a long computation early and leaves the model as it was."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from lasting import SIGNAL_AT, steps_that_last

from pyrnn import backend, callbacks, layers
from pyrnn.models import Sequential

# One batch of a SimpleRNN takes some tenths of a second on a fast core.
BATCH, STEPS, UNITS = 16, 10000, 256
X = np.random.default_rng(0).normal(size=(BATCH, STEPS, 1)).astype(np.float32)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """A KeyboardInterrupt as Ctrl-C raises it, `seconds` from now."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("threads,checkpoint_steps", [(1, None), (2, None), (2, 100)])
def test_backward_ends_early(threads: int, checkpoint_steps: int | None) -> None:
    backend.set_num_threads(threads)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(rows, UNITS)).astype(np.float32) / 16 for rows in (1, UNITS)]
    options = {
        "activation": "tanh", "recurrent_activation": None, "initial_state": None, "mask": None, "input_scale": None,
        "state_scale": None, "go_backwards": False, "return_sequences": False, "zero_output_for_mask": False,
        "checkpoint_steps": checkpoint_steps, "workspace": backend.Workspace(), "version": 1,
    }  # fmt: skip

    def forward(steps: int) -> Any:
        return backend.rnn_forward("simple_rnn", X[:, :steps].copy(), *weights, None, training=True, **options)

    x = X[:, : steps_that_last(forward, STEPS)].copy()  # for backward it is twice as long
    *_, saved = forward(x.shape[1])
    gradients = {"d_kernel": np.full_like(weights[0], np.nan), "d_recurrent_kernel": np.full_like(weights[1], np.nan)}
    dy = np.ones((BATCH, UNITS), np.float32)
    with interrupted_after(SIGNAL_AT):
        backend.rnn_backward(
            "simple_rnn",
            x,
            *weights,
            None,
            saved,
            dy,
            d_final_state=None,
            d_bias=None,
            need_dx=False,
            **gradients,
            **options,
        )
    assert all(np.isnan(gradient).all() for gradient in gradients.values()), "backward ran to its end"


@pytest.mark.usefixtures("any_thread_count")
def test_a_model_is_usable_after_an_interrupt() -> None:
    backend.set_num_threads(2)
    model = Sequential([layers.Input((None, 1)), layers.SimpleRNN(UNITS), layers.Dense(1)])
    model.compile("sgd", "mse")
    y = np.ones((BATCH, 1), np.float32)
    expected, before = model.predict(X[:, :50], verbose=0), model.get_weights()
    with interrupted_after(SIGNAL_AT):
        model.fit(X, y, epochs=1, batch_size=BATCH, verbose=0)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert model.predict(X[:, :50], verbose=0).tobytes() == expected.tobytes()
    assert np.isfinite(model.train_on_batch(X[:, :50], y))


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_of_an_optimizer_runs_to_its_end(threads: int) -> None:
    """Large enough for a step to take longer than the core waits between two checks for signals. They are the
    gradients, too, to save memory."""
    backend.set_num_threads(threads)
    weights, velocity = np.ones(48_000_000, np.float32), np.zeros(48_000_000, np.float32)
    with interrupted_after(0.02):
        while True:
            before = weights[0]
            backend.rmsprop_step(
                weights, weights, velocity, None, None, learning_rate=0.01, rho=0.9, momentum_rate=0.0, epsilon=1e-7
            )
    assert weights[0] < before or weights[0] < 1
    for vector in (weights, velocity):
        assert vector.min() == vector.max() == vector[0]


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_handler_uses_the_layer_that_it_interrupts(threads: int) -> None:
    """Both the handler and the computation it interrupted get complete results."""
    backend.set_num_threads(threads)
    layer, x = layers.SimpleRNN(UNITS), X.reshape(2 * BATCH, -1, 1)
    x = x[:, : steps_that_last(lambda steps: layer(x[:, :steps]), x.shape[1])]
    short, expected = layer(X[:, :50]).tobytes(), layer(x).tobytes()
    calls: list[bool] = []

    def handler(*_: Any) -> None:
        backend.set_num_threads(threads)
        calls.append(layer(X[:, :50]).tobytes() == short)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, SIGNAL_AT)
        assert layer(x).tobytes() == expected
        assert calls == [True]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", ["fit", "evaluate", "predict"])
def test_the_terminal_is_left_clean(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The progress bar ends with a new line before Python prints the traceback."""
    model = Sequential([layers.Input((4, 1)), layers.SimpleRNN(3), layers.Dense(1)])
    model.compile("sgd", "mse")

    def stop(batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise KeyboardInterrupt

    stopping = callbacks.LambdaCallback(on_train_batch_end=stop)
    stopping.on_test_batch_end = stopping.on_predict_batch_end = stop
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("pyrnn.callbacks.progress.INTERVAL", 0.0)
    x, y = np.zeros((40, 4, 1), np.float32), np.zeros((40, 1), np.float32)
    arguments = (x,) if what == "predict" else (x, y)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, what)(*arguments, batch_size=8, verbose=1, callbacks=[stopping])
    printed = capsys.readouterr().out
    assert "2/5" in printed and printed.endswith("\n") and not printed.endswith("\n\n")
