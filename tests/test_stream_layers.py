"""Every layer in a stream: step by step what predict gives, with masks and states, or an error that says why not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import backend, layers
from pyrnn.layers import Dense, Embedding, Input, Lambda, TimeDistributed

TIME, FEATURES, IDS = 9, 4, 11
RNG = np.random.default_rng(0)


def moments(dtype: str) -> layers.Normalization:
    """Of features far from 0, where scaling before subtracting would cancel."""
    layer = layers.Normalization(dtype=dtype)
    layer.adapt(1e4 + RNG.normal(size=(50, TIME, FEATURES)) * [1, 2, 3, 4])
    return layer


def cube(x: Any) -> Any:
    return x**3


class Halved(layers.Layer):
    """A custom layer that treats each step by itself."""

    per_step = True
    supports_masking = True

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return (x / 2)[..., ::-1]


class Positive(layers.Layer):
    """A custom layer that makes a mask."""

    per_step = True

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return x[..., 0] > 0


# By class, what comes before a last recurrent layer; each gets the dtype.
STACKS: dict[str, list[Callable[[str], Any]]] = {
    "Activation": [lambda d: layers.Activation("softmax", dtype=d), lambda d: layers.Activation("glu", dtype=d)],
    "ActivityRegularization": [lambda d: layers.ActivityRegularization(l2=0.1, dtype=d)],
    "AlphaDropout": [lambda d: layers.AlphaDropout(0.5, dtype=d)],
    "BatchNormalization": [
        lambda d: layers.BatchNormalization(dtype=d),
        lambda d: layers.BatchNormalization(center=False, scale=False, epsilon=0.1, dtype=d),
    ],
    "Conv1D": [
        lambda d: layers.Conv1D(3, 4, padding="causal", activation="tanh", dtype=d),
        lambda d: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, groups=2, use_bias=False, dtype=d),
        lambda d: layers.Conv1D(3, 1, dtype=d),
        lambda d: layers.Conv1D(3, 1, padding="same", dtype=d),
    ],
    "Dense": [lambda d: Dense(3, "softmax", dtype=d)],
    "DepthwiseConv1D": [lambda d: layers.DepthwiseConv1D(1, depth_multiplier=2, dtype=d)],
    "Dropout": [lambda d: layers.Dropout(0.5, dtype=d)],
    "ELU": [lambda d: layers.ELU(dtype=d), lambda d: layers.ELU(0.3, dtype=d)],
    "GRU": [lambda d: layers.GRU(3, return_sequences=True, reset_after=False, dtype=d)],
    "GaussianDropout": [lambda d: layers.GaussianDropout(0.5, dtype=d)],
    "GaussianNoise": [lambda d: layers.GaussianNoise(0.5, dtype=d)],
    "Identity": [lambda d: layers.Identity(dtype=d)],
    "LSTM": [lambda d: layers.LSTM(3, return_sequences=True, dtype=d)],
    "LayerNormalization": [
        lambda d: layers.LayerNormalization(dtype=d),
        lambda d: layers.LayerNormalization(rms_scaling=True, dtype=d),
    ],
    "LeakyReLU": [lambda d: layers.LeakyReLU(0.2, dtype=d), lambda d: layers.LeakyReLU(0.1, dtype=d)],
    "Masking": [lambda d: layers.Masking(dtype=d)],
    "Normalization": [
        lambda d: layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0], dtype=d),
        lambda d: layers.Normalization(axis=None, mean=1.0, variance=4.0, invert=True, dtype=d),
        lambda d: layers.Normalization(axis=None, mean=1.0, variance=0.0, dtype=d),
    ],
    "PReLU": [lambda d: layers.PReLU(shared_axes=[1], alpha_initializer="random_normal", dtype=d)],
    "RMSNormalization": [lambda d: layers.RMSNormalization(dtype=d)],
    "RNN": [
        lambda d: layers.RNN([layers.GRUCell(3, dtype=d), layers.LSTMCell(2, dtype=d)], return_sequences=True),
        lambda d: layers.RNN(layers.SimpleRNNCell(3, dtype=d), return_sequences=True, zero_output_for_mask=True),
    ],
    "ReLU": [
        lambda d: layers.ReLU(dtype=d),
        lambda d: layers.ReLU(max_value=0.7, negative_slope=0.1, threshold=0.2, dtype=d),
    ],
    "Rescaling": [
        lambda d: layers.Rescaling(0.5, offset=[1, 2, 3, 4], dtype=d),
        lambda d: layers.Rescaling([[2.0, 1.0, 1.0, 3.0]], dtype=d),
    ],
    "SeparableConv1D": [lambda d: layers.SeparableConv1D(3, 1, activation="relu", dtype=d)],
    "SimpleRNN": [lambda d: layers.SimpleRNN(3, "relu", return_sequences=True, dtype=d)],
    "Softmax": [lambda d: layers.Softmax(dtype=d)],
    "SpatialDropout1D": [lambda d: layers.SpatialDropout1D(0.5, dtype=d)],
    "TimeDistributed": [
        lambda d: TimeDistributed(Dense(3, "tanh", dtype=d)),
        lambda d: TimeDistributed(layers.BatchNormalization(dtype=d)),
        lambda d: TimeDistributed(Lambda(cube, dtype=d)),
        lambda d: TimeDistributed(layers.LSTMCell(3, dtype=d)),
    ],
    "UnitNormalization": [lambda d: layers.UnitNormalization(dtype=d)],
}
NOT_STREAMED: dict[str, list[tuple[Callable[[], Any], str]]] = {
    "AveragePooling1D": [(lambda: layers.AveragePooling1D(2), "it takes several steps together")],
    "BatchNormalization": [(lambda: layers.BatchNormalization(axis=1), "along axis 1, which is time")],
    "Bidirectional": [(lambda: layers.Bidirectional(layers.GRU(2)), "it reads the sequence from its end as well")],
    "Conv1D": [
        (lambda: layers.Conv1D(3, 2), "only padding='causal' with strides=1 needs no later steps"),
        (lambda: layers.Conv1D(3, 2, padding="same"), "only padding='causal'"),
        (lambda: layers.Conv1D(3, 2, padding="causal", strides=2), "only padding='causal' with strides=1"),
    ],
    "Conv1DTranspose": [(lambda: layers.Conv1DTranspose(3, 2), "its steps overlap in the output")],
    "Cropping1D": [(lambda: layers.Cropping1D(1), "it changes the axis of time")],
    "DepthwiseConv1D": [(lambda: layers.DepthwiseConv1D(2, padding="same"), "its windows reach over several steps")],
    "Flatten": [(layers.Flatten, "it changes the axis of time")],
    "GRU": [(lambda: layers.GRU(3, go_backwards=True), "it goes backwards")],
    "GlobalAveragePooling1D": [(layers.GlobalAveragePooling1D, "it takes several steps together")],
    "GlobalMaxPooling1D": [(layers.GlobalMaxPooling1D, "it takes several steps together")],
    "GroupNormalization": [(lambda: layers.GroupNormalization(2), "its moments run over all steps")],
    "Lambda": [(lambda: Lambda(cube), r"TimeDistributed\(Lambda\(...\)\) runs it on each step")],
    "Layer": [
        (type("Plain", (layers.Layer,), {"forward": lambda self, x, **_: x}), "set per_step = True in its class")
    ],
    "LayerNormalization": [(lambda: layers.LayerNormalization(axis=[1, 2]), "of which 1 is time")],
    "MaxPooling1D": [(lambda: layers.MaxPooling1D(2), "it takes several steps together")],
    "Normalization": [(lambda: layers.Normalization(axis=(1, 2)), "by its own moments")],
    "PReLU": [(layers.PReLU, r"slopes of its own for each step: give shared_axes=\[1\]")],
    "Permute": [(lambda: layers.Permute((2, 1)), "it changes the axis of time")],
    "RMSNormalization": [(lambda: layers.RMSNormalization(axis=1), "of which 1 is time")],
    "RNN": [(lambda: layers.RNN(layers.GRUCell(3), go_backwards=True), "it goes backwards")],
    "Rescaling": [(lambda: layers.Rescaling(np.ones((TIME, 1))), "its scale or offset differs from step to step")],
    "Reshape": [(lambda: layers.Reshape((-1, 2)), "it changes the axis of time")],
    "SeparableConv1D": [(lambda: layers.SeparableConv1D(3, 2), "its windows reach over several steps")],
    "Softmax": [(lambda: layers.Softmax(axis=1), "it goes along time")],
    "UnitNormalization": [(lambda: layers.UnitNormalization(axis=1), "it normalizes along time")],
    "UpSampling1D": [(layers.UpSampling1D, "it changes the axis of time")],
    "ZeroPadding1D": [(lambda: layers.ZeroPadding1D((3, 0)), "it changes the axis of time")],
}


def test_every_layer_is_here() -> None:
    elsewhere = {"Embedding", "InputLayer", "RepeatVector", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
    assert set(layers.REGISTRY) == (set(STACKS) | set(NOT_STREAMED) - {"Layer"}) | elsewhere


def filled(*stack: Any, shape: tuple[Any, ...] = (TIME, FEATURES)) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(0)
    model = pyrnn.Sequential([Input(shape), *stack])
    for weight in model.weights:
        if weight.name not in ("mean", "variance", "count"):
            weight.assign(RNG.uniform(0.2, 1, weight.shape))
    return model


def assert_streams(model: pyrnn.Sequential, x: np.ndarray, terms: int = TIME * 16) -> None:
    """Twice the same, with a reset between; every step equals predict on all steps so far."""
    stream = model.stream(len(x))
    for _ in range(2):
        for t in range(x.shape[1]):
            y = stream.step(x[:, t])
            expected = model.predict(x[:, : t + 1], verbose=0)
            sequences = len(model.output_shape) == 3 and getattr(model.layers[-1], "return_sequences", True)
            sequences = sequences and not any(isinstance(each, layers.RepeatVector) for each in model.layers)
            assert y.dtype == model.dtype
            assert_close(y, expected[:, -1] if sequences else expected, terms, f"step {t}")
        stream.reset()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("name", "index"), [(name, i) for name, stacks in STACKS.items() for i in range(len(stacks))])
def test_a_layer_before_and_after_a_recurrent_one(name: str, index: int, batch: int, dtype: str) -> None:
    make = STACKS[name][index]
    x = RNG.normal(size=(batch, TIME, FEATURES)).astype(dtype)
    assert_streams(filled(make(dtype), layers.GRU(3, dtype=dtype)), x)
    assert_streams(filled(layers.SimpleRNN(4, return_sequences=True, dtype=dtype), make(dtype)), x)
    assert_streams(filled(make(dtype)), x)


# Behind a recurrent layer without return_sequences nothing goes along time any more: all layers can follow.
ALL_MADE = [(name, make) for name, stacks in STACKS.items() for make in stacks]


@pytest.mark.parametrize(("name", "make"), ALL_MADE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(ALL_MADE)])
def test_a_layer_behind_the_last_output(name: str, make: Any) -> None:
    x = RNG.normal(size=(2, TIME, FEATURES))
    if len(make("float64").axes or ()) < 3 and name != "TimeDistributed" and name != "PReLU":
        assert_streams(filled(layers.LSTM(4, dtype="float64"), make("float64")), x)
    decoder = filled(layers.LSTM(4, dtype="float64"), layers.RepeatVector(TIME, dtype="float64"), make("float64"))
    assert_streams(decoder, x)


DECODERS: dict[str, Callable[[], list[Any]]] = {
    "slopes": lambda: [layers.PReLU(), Dense(2)],
    "views": lambda: [layers.Reshape((2, 2)), layers.Flatten()],
    "recurrent": lambda: [layers.RepeatVector(3), layers.GRU(3, return_sequences=True), TimeDistributed(Dense(1))],
    "bidirectional": lambda: [layers.RepeatVector(3), layers.Bidirectional(layers.GRU(3))],
    "function": lambda: [Lambda(cube), layers.GroupNormalization(2)],
    "masked": lambda: [layers.RepeatVector(3), layers.Masking(), layers.LSTM(2)],
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name: str) -> None:
    x = RNG.normal(size=(2, TIME, FEATURES)).astype("float32")
    assert_streams(filled(layers.LSTM(4), *DECODERS[name]()), x)


@pytest.mark.parametrize(
    ("name", "index"), [(name, i) for name, cases in NOT_STREAMED.items() for i in range(len(cases))]
)
def test_a_layer_that_cannot_be_streamed_says_why(name: str, index: int) -> None:
    make, words = NOT_STREAMED[name][index]
    layer = make()
    model = pyrnn.Sequential([Input((TIME, FEATURES)), layer])
    kind = type(layer).__name__
    with pytest.raises(
        ValueError, match=rf"^layer '{layer.name}' \({kind}\) cannot run one time step at a time: .*{words}"
    ):
        model.stream()


# Models of ordinary work.


@pytest.mark.parametrize("name", backend.BACKENDS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cell", [layers.SimpleRNN, layers.GRU, layers.LSTM])
def test_characters(cell: Any, batch: int, name: str) -> None:
    model = filled(
        Embedding(IDS, 5), cell(7, return_sequences=True), cell(6), Dense(IDS, "softmax"), shape=(None,)
    )  # fmt: skip
    ids = RNG.integers(0, IDS, (batch, TIME))
    before = backend.current_backend()
    try:
        backend.use_backend(name)
        assert_streams(model, ids)
        assert_streams(model, ids.astype("uint8"))
        assert_streams(model, ids.astype("float32"))
    finally:
        backend.use_backend(before)


def test_one_id_of_one_row() -> None:
    model = filled(Embedding(IDS, 5), layers.GRU(3), shape=(None,))
    expected = model.predict([[7]], verbose=0)
    for one in (7, 7.0, [7], np.array([7]), np.int64(7), np.float32(7)):
        assert_close(model.stream().step(one), expected, 16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_that_scales_its_own_inputs(dtype: str) -> None:
    x = (1e4 + RNG.normal(size=(3, TIME, FEATURES)) * [1, 2, 3, 4]).astype(dtype)
    model = filled(
        moments(dtype), layers.LSTM(5, dtype=dtype), Dense(1, dtype=dtype), layers.Rescaling(100.0, dtype=dtype)
    )
    assert_streams(model, x)


def test_several_axes_of_features() -> None:
    x = RNG.normal(size=(2, TIME, 3, 4))
    stack = [
        layers.Rescaling(np.ones((1, 3, 1)), dtype="float64"),
        layers.BatchNormalization(axis=2, dtype="float64"),
        layers.LayerNormalization(axis=[2, 3], dtype="float64"),
        layers.ReLU(dtype="float64"),
        layers.Activation("tanh", dtype="float64"),
        Dense(5, dtype="float64"),
        TimeDistributed(layers.Conv1D(2, 2, dtype="float64")),
        TimeDistributed(layers.Flatten(dtype="float64")),
        layers.GRU(3, dtype="float64"),
    ]
    assert_streams(filled(*stack, shape=(None, 3, 4)), x)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, ...\) = \(2, 3, 4\), got \(2, 4, 3\)"):
        filled(layers.Identity(), shape=(None, 3, 4)).stream(2).step(np.ones((2, 4, 3)))


def test_several_ids_a_step() -> None:
    stack = [Embedding(IDS, 2), TimeDistributed(layers.Flatten()), layers.LSTM(3)]
    assert_streams(filled(*stack, shape=(None, 3)), RNG.integers(0, IDS, (2, TIME, 3)))


# Masks.

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
    """Which steps count: all, none, the ends left out, any."""
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


def test_that_a_mask_ends_is_said_once() -> None:
    stack = [layers.Masking(), layers.Conv1D(3, 1), Halved(), layers.LSTM(3)]
    model = filled(*stack)
    with pytest.warns(UserWarning, match="does not support masking: the mask ends here") as caught:
        stream = model.stream()
    assert len(caught) == 1
    stream.step(np.ones(FEATURES))


@pytest.mark.parametrize(
    ("stack", "shape", "words"),
    [
        ([layers.Masking(), layers.Softmax()], (TIME, FEATURES), "a mask reaches it"),
        ([layers.Masking()], (TIME, 3, FEATURES), "it takes steps of one axis, of features, got"),
        ([Embedding(3, 2, mask_zero=True)], (TIME, 3), "with mask_zero it takes one id a step"),
    ],
)
def test_masks_that_cannot_be_streamed(stack: list[Any], shape: Any, words: str) -> None:
    model = pyrnn.Sequential([Input(shape), *[type(each).from_config(each.get_config()) for each in stack]])
    with pytest.raises(ValueError, match=f"cannot run one time step at a time: {words}"):
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
    for bad, words in (
        (before[:-1], r"state must hold 5 array\(s\), got 4"),
        ([*before[:-1], np.zeros((3, 5))], r"state must have shape \(batch, units\) = \(3, 4\), got \(3, 5\)"),
        ([before[0][:, :1], *before[1:]], r"state must have shape .* = \(3, 2, 4\), got \(3, 1, 4\)"),
    ):
        with pytest.raises(ValueError, match=words):
            stream.state = bad
    with pytest.raises(IndexError, match=r"rows must lie in 0\.\.2, got 3"):
        stream.reset([0, 3])
    for one, other_state in zip(stream.state, before, strict=True):
        np.testing.assert_array_equal(one, other_state)
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


def test_an_output_is_never_the_caller_s_array() -> None:
    for stack in ([layers.Dropout(0.5)], [layers.Masking()], [layers.Identity(), layers.GaussianNoise(0.1)]):
        x = np.ones((1, FEATURES), "float32")
        y = filled(*stack).stream().step(x)
        x += 1
        assert (y == 1).all()
        y += 2
        assert (x == 2).all()


@pytest.mark.parametrize(
    ("bad", "error", "words"),
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
def test_a_bad_id_changes_no_state(bad: Any, error: type[Exception], words: str) -> None:
    model = filled(Embedding(IDS, 5), layers.GRU(3), shape=(None,))
    stream = model.stream()
    stream.step(3)
    before = stream.state[0]
    with pytest.raises(error, match=words):
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
    with pytest.raises(ValueError, match=r"x must be finite, got nan at \[1, 2\]; the states are as they were"):
        rejecting.step(gaps[:, 1])
    np.testing.assert_array_equal(rejecting.state[0], before)
    ids = filled(Embedding(IDS, 2), layers.GRU(2), shape=(None,)).stream(on_nan="hold")
    one = ids.step(4).copy()
    ids.reset()
    np.testing.assert_array_equal(ids.step(4), one)
    two = ids.step(np.nan).copy()
    ids.reset()
    ids.step(4)
    np.testing.assert_array_equal(ids.step(4), two)
    ids.reset()
    with pytest.raises(ValueError, match="no earlier reading is there to hold"):
        ids.step(np.nan)


def test_a_custom_layer_that_is_not_per_step_after_all() -> None:
    class Twice(layers.Layer):
        per_step = True

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return np.repeat(x, 2, axis=1)

    with pytest.raises(ValueError, match=r"layer 'twice' has per_step=True but makes \(1, 2, 4\) of \(1, 1, 4\)"):
        filled(Twice(name="twice")).stream()
    with pytest.raises(ValueError, match="needs a model whose features are known"):
        filled(layers.Rescaling(2.0), shape=(None, None)).stream()


def test_a_model_without_a_time_axis() -> None:
    with pytest.raises(ValueError, match=r"needs a model of sequences, with a time axis, got one .* \(None, 4\)"):
        pyrnn.Sequential([Input((4,)), Dense(2)]).stream()
    with pytest.raises(ValueError, match="needs a model of sequences"):
        pyrnn.Sequential([Input(()), Embedding(3, 2)]).stream()


def test_threads_that_share_a_stream_take_turns() -> None:
    """Each thread steps its own row's number; what the rows' sums end with is that of all steps."""
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


def test_fast_stacks_are_the_core_s_own_step() -> None:
    model = filled(layers.LSTM(3, return_sequences=True), layers.Dropout(0.5), Dense(2), layers.Activation("tanh"))
    stream = model.stream()
    assert stream.step.__self__ is stream._stateful[0]  # type: ignore[attr-defined]
