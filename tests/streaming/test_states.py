"""Masks and states of streams: masked rows, reading, setting and resetting states, bad input, threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers
from pyrnn.layers import Dense, Embedding, Input, TimeDistributed
from streaming.test_layers import FEATURES, IDS, RNG, TIME, Halved, Positive, assert_streams, filled

MASKED: dict[str, Callable[[str], list[Any]]] = {
    "last output": lambda d: [layers.LSTM(3, dtype=d)],
    "sequences": lambda d: [layers.GRU(3, return_sequences=True, dtype=d)],
    "zeros": lambda d: [layers.LSTM(3, return_sequences=True, zero_output_for_mask=True, dtype=d)],
    "last zeros": lambda d: [layers.SimpleRNN(3, zero_output_for_mask=True, dtype=d)],
    "cells": lambda d: [layers.RNN([layers.GRUCell(3, dtype=d), layers.LSTMCell(2, dtype=d)], return_sequences=True)],
    "cells' zeros": lambda d: [
        layers.RNN([layers.GRUCell(3, dtype=d), layers.LSTMCell(2, dtype=d)], return_sequences=True,
                   zero_output_for_mask=True),
        layers.SimpleRNN(2, dtype=d),
    ],
    "stack": lambda d: [
        layers.LSTM(4, return_sequences=True, dtype=d),
        layers.Dropout(0.5, dtype=d),
        layers.BatchNormalization(dtype=d),
        layers.LayerNormalization(dtype=d),
        TimeDistributed(Dense(4, dtype=d)),
        layers.PReLU(shared_axes=[1], dtype=d),
        Halved(dtype=d),
        layers.GRU(3, return_sequences=True, dtype=d),
        Dense(2, "tanh", dtype=d),
        layers.SimpleRNN(3, dtype=d),
        Dense(2, dtype=d),
    ],
}  # fmt: skip


def masks(batch: int) -> list[np.ndarray]:
    """Return masks: all steps, none, without the ends, and any."""
    steps = np.arange(TIME)
    inner = np.broadcast_to((steps > 1) & (steps < TIME - 2), (batch, TIME))
    return [np.ones((batch, TIME), bool), np.zeros((batch, TIME), bool), inner, RNG.random((batch, TIME)) < 0.5]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", MASKED)
def test_masks(name: str, batch: int, dtype: str) -> None:
    for value in (0.0, -1.0):
        model = filled(layers.Masking(value, dtype=dtype), *MASKED[name](dtype))
        for mask in masks(batch):
            x = RNG.normal(size=(batch, TIME, FEATURES)).astype(dtype)
            x[~mask] = value
            assert_streams(model, x)
    model = filled(Embedding(IDS, 3, mask_zero=True, dtype=dtype), *MASKED[name](dtype), shape=(None,))
    for mask in masks(batch):
        assert_streams(model, RNG.integers(1, IDS, (batch, TIME)) * mask)
    assert_streams(filled(Positive(dtype=dtype), *MASKED[name](dtype)), x)


@pytest.mark.filterwarnings("ignore:layer 'conv1d")
def test_a_mask_ends_at_a_layer_that_does_not_take_it() -> None:
    stack = [layers.Masking(), layers.Conv1D(3, 2, padding="causal", name="conv1d"), layers.LSTM(3)]
    x = RNG.normal(size=(2, TIME, FEATURES))
    x[:, 3:5] = 0
    assert_streams(filled(*stack), x.astype("float32"))


def test_the_end_of_a_mask_is_reported_once() -> None:
    stack = [layers.Masking(), layers.Conv1D(3, 1), Halved(), layers.LSTM(3)]
    model = filled(*stack)
    with pytest.warns(UserWarning, match="does not support masking: the layers after it get no mask") as caught:
        stream = model.stream()
    assert len(caught) == 1
    stream.step(np.ones(FEATURES))


@pytest.mark.parametrize(
    ("stack", "shape", "message"),
    [
        ([layers.Masking(), layers.Softmax()], (TIME, FEATURES), "a mask reaches it"),
        ([layers.Masking()], (TIME, 3, FEATURES), "it takes steps of one axis, of features, got"),
        ([Embedding(3, 2, mask_zero=True)], (TIME, 3), "with mask_zero it takes one id per step"),
    ],
)
def test_masks_that_cannot_be_streamed(stack: list[Any], shape: Any, message: str) -> None:
    model = pyrnn.Sequential([Input(shape), *[type(each).from_config(each.get_config()) for each in stack]])
    with pytest.raises(ValueError, match=f"cannot run one time step at a time: {message}"):
        model.stream()


# States.


def test_states_of_a_mixed_stack_are_read_set_and_reset_by_row() -> None:
    model = filled(
        layers.Conv1D(3, 3, padding="causal"),
        layers.LSTM(2, return_sequences=True),
        layers.Rescaling(2.0),
        layers.Conv1D(2, 2, padding="causal", dilation_rate=3),
        layers.GRU(4),
    )
    x = RNG.normal(size=(3, TIME, FEATURES)).astype("float32")
    stream, other = model.stream(3), model.stream(3)
    for t in range(5):
        stream.step(x[:, t])
    assert [state.shape for state in stream.state] == [(3, 2, 4), (3, 2), (3, 2), (3, 3, 2), (3, 4)]
    other.state = stream.state
    for t in range(5, TIME):
        np.testing.assert_array_equal(stream.step(x[:, t]), other.step(x[:, t]))
    before = stream.state
    for bad, message in (
        (before[:-1], r"state must hold 5 array\(s\), got 4"),
        ([*before[:-1], np.zeros((3, 5))], r"state must have shape \(batch, units\) = \(3, 4\), got \(3, 5\)"),
        ([before[0][:, :1], *before[1:]], r"state must have shape .* = \(3, 2, 4\), got \(3, 1, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.state = bad
    with pytest.raises(IndexError, match=r"rows must lie in 0\.\.2, got 3"):
        stream.reset([0, 3])
    for actual, other_state in zip(stream.state, before, strict=True):
        np.testing.assert_array_equal(actual, other_state)
    stream.reset([0, 2])
    y = stream.step(x[:, 0])
    first = model.predict(x[:, :1], verbose=0)
    assert_close(y[[0, 2]], first[[0, 2]], 64)
    assert not np.allclose(y[1], first[1])


def test_a_stream_keeps_the_weights_it_was_made_with() -> None:
    stack = [Embedding(IDS, 4), layers.RMSNormalization(), layers.Conv1D(3, 2, padding="causal"), Halved()]
    model = filled(*stack, layers.GRU(2), shape=(None,))
    stream = model.stream()
    expected = model.stream().step(7)
    for weight in model.weights:
        weight.assign(weight.numpy() + 1)
    model.layers[2].activation = "relu"
    np.testing.assert_array_equal(stream.step(7), expected)
    assert not np.array_equal(model.stream().step(7), expected)


class Keeping(layers.Layer):
    """A custom layer that returns its argument."""

    per_step = True

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x


@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.Dropout(0.5)],
        lambda: [layers.Masking()],
        lambda: [layers.Identity(), layers.GaussianNoise(0.1)],
        lambda: [Keeping()],
        lambda: [layers.Masking(), Keeping()],
        lambda: [TimeDistributed(layers.Identity())],
    ],
)
@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_outputs_never_share_memory_with_inputs(make: Callable[[], list[Any]]) -> None:
    x = np.ones((1, FEATURES), "float32")
    y = filled(*make()).stream().step(x)
    x += 1
    assert (y == 1).all()
    y += 2
    assert (x == 2).all()


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (IDS, ValueError, "ids from 0 to 10"),
        (-1, ValueError, "ids from 0 to 10"),
        (0.5, ValueError, "must hold whole numbers"),
        ([1, 2], ValueError, r"x must have shape \(batch,\) = \(1,\), got \(2,\)"),
        (True, TypeError, "x must hold ids, got dtype bool"),
        ("a", TypeError, "x must hold numbers"),
        (float("nan"), ValueError, "ids from 0 to 10"),
    ],
)
def test_a_bad_id_changes_no_state(bad: Any, error: type[Exception], message: str) -> None:
    model = filled(Embedding(IDS, 5), layers.GRU(3), shape=(None,))
    stream = model.stream()
    stream.step(3)
    before = stream.state[0]
    with pytest.raises(error, match=message):
        stream.step(bad)
    np.testing.assert_array_equal(stream.state[0], before)


def test_gaps_between_readings_in_a_stack_of_several_stages() -> None:
    x = RNG.normal(size=(2, 3, FEATURES)).astype("float32")
    model = filled(layers.Rescaling(0.5), layers.GRU(3))
    gaps = x.copy()
    gaps[1, 1, 2] = np.nan
    held, rejecting = model.stream(2, on_nan="hold"), model.stream(2, on_nan="raise")
    filled_in = gaps.copy()
    filled_in[1, 1, 2] = gaps[1, 0, 2]
    plain = model.stream(2)
    for t in range(3):
        expected = plain.step(filled_in[:, t]).copy()
        np.testing.assert_array_equal(held.step(gaps[:, t]), expected)
    rejecting.step(gaps[:, 0])
    before = rejecting.state[0]
    with pytest.raises(ValueError, match=r"x must be finite, got nan at \[1, 2\]; the states are unchanged"):
        rejecting.step(gaps[:, 1])
    np.testing.assert_array_equal(rejecting.state[0], before)
    ids = filled(Embedding(IDS, 2), layers.GRU(2), shape=(None,)).stream(on_nan="hold")
    first = ids.step(4).copy()
    ids.reset()
    np.testing.assert_array_equal(ids.step(4), first)
    two = ids.step(np.nan).copy()
    ids.reset()
    ids.step(4)
    np.testing.assert_array_equal(ids.step(4), two)
    ids.reset()
    with pytest.raises(ValueError, match="there is no earlier reading to hold"):
        ids.step(np.nan)


def test_a_custom_layer_that_is_not_per_step_after_all() -> None:
    class Twice(layers.Layer):
        per_step = True

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return np.repeat(x, 2, axis=1)

    with pytest.raises(ValueError, match=r"layer 'twice' has per_step=True but makes \(1, 2, 4\) of \(1, 1, 4\)"):
        filled(Twice(name="twice")).stream()
    with pytest.raises(ValueError, match="needs a fixed number of features"):
        filled(layers.Rescaling(2.0), shape=(None, None)).stream()


def test_a_model_without_a_time_axis() -> None:
    with pytest.raises(ValueError, match=r"needs a model of sequences, with a time axis, got one .* \(None, 4\)"):
        pyrnn.Sequential([Input((4,)), Dense(2)]).stream()
    with pytest.raises(ValueError, match="needs a model of sequences"):
        pyrnn.Sequential([Input(()), Embedding(3, 2)]).stream()


def test_threads_that_share_a_stream_take_turns() -> None:
    """Each thread adds to one row; the sums end with those of all steps."""
    model = filled(layers.Rescaling(1.0), layers.SimpleRNN(1, "linear"), shape=(None, 1))
    for weight in model.weights:
        weight.assign(np.ones(weight.shape) if "kernel" in weight.name else np.zeros(weight.shape))
    stream, count, steps = model.stream(), 4, 200

    def run() -> None:
        for _ in range(steps):
            stream.step([1.0])

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.state[0][0, 0] == count * steps


def test_fast_stacks_step_in_the_core() -> None:
    model = filled(layers.LSTM(3, return_sequences=True), layers.Dropout(0.5), Dense(2), layers.Activation("tanh"))
    stream = model.stream()
    assert stream.step.__self__ is stream._stateful[0]  # type: ignore[attr-defined]
