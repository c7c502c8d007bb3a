"""Streams give predict's outputs step by step, on both backends; states in and out; models that cannot be streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import backend, layers

STACKS: dict[str, Callable[[str], list[Any]]] = {
    "simple_rnn": lambda d: [layers.SimpleRNN(7, dtype=d, return_sequences=True, activation="relu")],
    "lstm": lambda d: [layers.LSTM(64, dtype=d, return_sequences=True)],
    "lstm-odd": lambda d: [layers.LSTM(5, dtype=d, return_sequences=True, recurrent_activation="hard_sigmoid")],
    "gru": lambda d: [layers.GRU(19, dtype=d, return_sequences=True)],
    "gru-before": lambda d: [layers.GRU(6, dtype=d, return_sequences=True, reset_after=False, use_bias=False)],
    "stack": lambda d: [
        layers.GRU(16, dtype=d, return_sequences=True),
        layers.Dropout(0.5, dtype=d),
        layers.LayerNormalization(dtype=d),
        layers.LSTM(8, dtype=d, return_sequences=True, recurrent_dropout=0.2),
        layers.TimeDistributed(layers.Dense(5, dtype=d, activation="softmax")),
        layers.LayerNormalization(dtype=d, center=False, scale=False),
        layers.Dense(3, dtype=d),
        layers.Activation("tanh", dtype=d),
    ],
}


def make(stack: str, dtype: str) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(0)
    model = pyrnn.Sequential([pyrnn.Input((None, 4), dtype=dtype), *STACKS[stack](dtype)])
    for layer in model.layers:
        if isinstance(layer, layers.LayerNormalization) and layer.weights:
            layer.set_weights([np.linspace(0.5, 1.5, 16), np.linspace(-1, 1, 16)])
    return model


@pytest.mark.parametrize("name", backend.BACKENDS)
@pytest.mark.parametrize("batch", [1, 3, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", STACKS)
def test_equals_predict(stack: str, dtype: str, batch: int, name: str) -> None:
    before = backend.current_backend()
    model = make(stack, dtype)
    x = np.random.default_rng(0).normal(size=(batch, 9, 4)).astype(dtype)
    expected = model.predict(x, verbose=0)
    try:
        backend.use_backend(name)
        stream = model.stream(batch)
    finally:
        backend.use_backend(before)
    for _ in range(2):
        for t in range(9):
            assert_close(stream.step(x[:, t]), expected[:, t], 9 * 64, f"step {t}")
        stream.reset()


def test_rows_and_states() -> None:
    model = make("stack", "float32")
    x = np.random.default_rng(1).normal(size=(3, 4, 4)).astype("float32")
    stream, other = model.stream(3), model.stream(3)
    for t in range(2):
        stream.step(x[:, t])
    assert [state.shape for state in stream.state] == [(3, 16), (3, 8), (3, 8)]
    other.state = stream.state
    assert np.array_equal(stream.step(x[:, 2]), other.step(x[:, 2]))
    saved = stream.step(x[:, 3]).copy()
    stream.reset([0, 2])
    assert all((state[[0, 2]] == 0).all() and (state[1] != 0).any() for state in stream.state)
    fresh = stream.step(x[:, 0])
    first = model.predict(x[:, :1], verbose=0)[:, 0]
    assert_close(fresh[[0, 2]], first[[0, 2]], 64)
    assert not np.allclose(fresh[1], first[1]) and not np.allclose(saved, fresh)


def test_inputs_of_every_kind_and_an_output_that_outlives_the_stream() -> None:
    model = make("lstm", "float32")
    x = np.array([1, 2, 3, 4])
    inputs = [x.astype("float32"), x, x.tolist(), np.repeat(x, 2)[::2][None]]
    steps = [model.stream().step(each) for each in inputs]
    for step in steps[1:]:
        assert np.array_equal(step, steps[0])


@pytest.mark.parametrize("rows", [1, 2, 40])
@pytest.mark.parametrize("kind", ["lstm", "stack"])
@pytest.mark.parametrize("backend", pyrnn.backend.BACKENDS)
def test_outputs_belong_to_the_caller(backend: str, kind: str, rows: int) -> None:
    """Later steps do not change earlier outputs, and writing to an output changes no later step."""
    x = np.random.default_rng(3).normal(size=(rows, 6, 4)).astype("float32")
    pyrnn.backend.use_backend(backend)
    try:
        model = make(kind, "float32")
        stream, careful = model.stream(rows), model.stream(rows)
        outputs = [stream.step(x[:, t]) for t in range(6)]
        copies = [careful.step(x[:, t]).copy() for t in range(6)]
        assert np.array_equal(outputs, copies) and not np.array_equal(outputs[0], outputs[1])
        stream.reset()
        for t, expected in enumerate(copies):
            y = stream.step(x[:, t])
            assert np.array_equal(y, expected)
            y[...] = np.nan
        row = stream.step(x[:, 0])[0]  # a view keeps its array
        before = row.copy()
        stream.step(x[:, 1])
        assert np.array_equal(row, before)
    finally:
        pyrnn.backend.use_backend("core")


GAPS = {"nan": np.nan, "infinite": np.inf, "negative-infinite": -np.inf}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gap", GAPS)
def test_readings_that_are_not_finite_are_rejected(gap: str, dtype: str) -> None:
    model = make("stack", dtype)
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(dtype)
    stream, plain = model.stream(2, on_nan="raise"), model.stream(2)
    for each in (stream, plain):
        each.step(x[:, 0])
    before = stream.state
    broken = x[:, 1].copy()
    broken[1, 2] = GAPS[gap]
    for x_bad in (broken, broken.tolist()):
        with pytest.raises(ValueError, match=rf"x must be finite, got {GAPS[gap]} at \[1, 2\]; the states are unch"):
            stream.step(x_bad)
    assert all(np.array_equal(first, other) for first, other in zip(before, stream.state, strict=True))
    assert np.array_equal(stream.step(x[:, 2]), plain.step(x[:, 2]))
    assert np.isnan(plain.step(np.where(np.isinf(broken), np.nan, broken))).any()  # nothing is checked


@pytest.mark.parametrize("gap", GAPS)
def test_the_last_readings_are_held(gap: str) -> None:
    model, value = make("stack", "float32"), GAPS[gap]
    x = np.random.default_rng(1).normal(size=(3, 5, 4)).astype("float32")
    filled, broken = x.copy(), x.copy()
    broken[0, 2, 1] = broken[0, 3, 1] = broken[2, 3] = value
    filled[0, 2, 1] = filled[0, 3, 1] = x[0, 1, 1]
    filled[2, 3] = x[2, 2]
    stream, plain = model.stream(3, on_nan="hold"), model.stream(3)
    for t in range(5):
        assert np.array_equal(stream.step(broken[:, t]), plain.step(filled[:, t]))
    stream.reset(1)  # what was held for this row is gone
    before = stream.state
    batch = x[:, 0].copy()
    batch[1, 3] = value
    with pytest.raises(ValueError, match=r"at \[1, 3\], and there is no earlier reading to hold"):
        stream.step(batch)
    assert all(np.array_equal(first, other) for first, other in zip(before, stream.state, strict=True))
    stream.step(x[:, 0])
    batch[1, 0] = batch[0, 1] = value
    assert np.isfinite(stream.step(batch)).all()


def test_a_single_row_that_is_held_and_steps_of_a_wrong_shape() -> None:
    model = make("lstm", "float32")
    stream = model.stream(on_nan="hold")
    with pytest.raises(ValueError, match=r"at \[1\], and there is no earlier reading"):
        stream.step([1.0, np.nan, 2.0, 3.0])
    stream.step([1.0, 5.0, 2.0, 3.0])
    for wrong in (np.ones(5), np.ones((2, 4)), np.ones((1, 1, 4))):
        with pytest.raises(ValueError, match="x must have shape"):
            stream.step(wrong)
    held = stream.step([[1.0, np.nan, 2.0, 3.0]]).copy()
    plain = model.stream()
    plain.step([1.0, 5.0, 2.0, 3.0])
    assert np.array_equal(held, plain.step([1.0, 5.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.stream(on_nan="skip"), ValueError, "on_nan must be one of 'pass', 'raise' or 'hold', got 'skip'"),
        (lambda m: m.stream(on_nan=None), TypeError, "on_nan must be one of"),
        (lambda m: m.stream(0), ValueError, "batch_size must be a positive integer"),
        (lambda m: m.stream(2).step(np.ones(4)), ValueError, r"x must have shape \(batch, features\) = \(2, 4\)"),
        (lambda m: m.stream().step(np.ones((1, 5))), ValueError, r"got \(1, 5\)"),
        (lambda m: m.stream().reset(1), IndexError, r"rows must lie in 0..0, got 1"),
        (lambda m: setattr(m.stream(), "state", [np.ones((1, 64))]), ValueError, "state must hold 2 array"),
        (lambda m: setattr(m.stream(), "state", [np.ones((1, 3))] * 2), ValueError, "state must have shape"),
        (lambda m: pyrnn.Sequential([layers.LSTM(2)]).stream(), ValueError, "must be built"),
        (
            lambda m: pyrnn.Sequential([layers.LSTM(2, go_backwards=True, input_shape=(3, 2))]).stream(),
            ValueError,
            "goes backwards",
        ),
        (
            lambda m: pyrnn.Sequential([layers.Conv1D(2, 2, input_shape=(3, 2))]).stream(),
            ValueError,
            r"\(Conv1D\) cannot run one time step at a time",
        ),
        (
            lambda m: pyrnn.Sequential([layers.Bidirectional(layers.GRU(2), input_shape=(3, 2))]).stream(),
            ValueError,
            r"\(Bidirectional\) cannot run",
        ),
    ],
)
def test_bad_input(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(make("lstm", "float32"))
