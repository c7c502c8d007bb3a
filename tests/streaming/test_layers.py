"""Every layer in a stream gives predict's outputs step by step, with masks and states, or an error says why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layers import test_contract
from tolerance import assert_close

import pyrnn
from pyrnn import backend, layers
from pyrnn.layers import Dense, Embedding, Input, Lambda, TimeDistributed

TIME, FEATURES, IDS = 9, 4, 11
RNG = np.random.default_rng(0)


def moments(dtype: str) -> layers.Normalization:
    """Return a layer adapted to features far from 0, where scaling before subtracting would cancel."""
    layer = layers.Normalization(dtype=dtype)
    layer.adapt(1e4 + RNG.normal(size=(50, TIME, FEATURES)) * [1, 2, 3, 4])
    return layer


def cube(x: Any) -> Any:
    return x**3


class Halved(layers.Layer):
    """A custom layer that processes each step separately."""

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


# By class, layers that come before a last recurrent layer; each function is called with the dtype.
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
    "BatchNormalization": [(lambda: layers.BatchNormalization(axis=1), "along axis 1, which is time")],
    "Conv1D": [
        (lambda: layers.Conv1D(3, 2), "only padding='causal' with strides=1 needs no later steps"),
        (lambda: layers.Conv1D(3, 2, padding="same"), "only padding='causal'"),
        (lambda: layers.Conv1D(3, 2, padding="causal", strides=2), "only padding='causal' with strides=1"),
    ],
    "DepthwiseConv1D": [(lambda: layers.DepthwiseConv1D(2, padding="same"), "its windows reach over several steps")],
    "GRU": [(lambda: layers.GRU(3, go_backwards=True), "it goes backwards")],
    "EinsumDense": [(lambda: layers.EinsumDense("abc,cd->abd", (None, 3)), "its equation may mix the steps")],
    "Lambda": [(lambda: Lambda(cube), r"TimeDistributed\(Lambda\(...\)\) runs it on each step")],
    "Layer": [
        (type("Plain", (layers.Layer,), {"forward": lambda self, x, **_: x}), "set per_step = True in its class")
    ],
    "LayerNormalization": [(lambda: layers.LayerNormalization(axis=[1, 2]), "of which 1 is time")],
    "Normalization": [(lambda: layers.Normalization(axis=(1, 2)), "by its own moments")],
    "PReLU": [(layers.PReLU, r"its own slopes for each step: pass shared_axes=\[1\]")],
    "RMSNormalization": [(lambda: layers.RMSNormalization(axis=1), "of which 1 is time")],
    "RNN": [(lambda: layers.RNN(layers.GRUCell(3), go_backwards=True), "it goes backwards")],
    "Rescaling": [(lambda: layers.Rescaling(np.ones((TIME, 1))), "its scale or offset differs from step to step")],
    "SeparableConv1D": [(lambda: layers.SeparableConv1D(3, 2), "its windows reach over several steps")],
    "Softmax": [(lambda: layers.Softmax(axis=1), "it goes along time")],
    "UnitNormalization": [(lambda: layers.UnitNormalization(axis=1), "it normalizes along time")],
}


# Layers that are never streamed say why in their class, on x with an axis of time.
NEVER_STREAMED = [
    (name, arguments, shape)
    for name, arguments, shape in test_contract.ALL
    if layers.REGISTRY[name].not_streamed != layers.Layer.not_streamed
    and not isinstance(shape, list)
    and len(shape) > 2
]


def test_every_layer_is_here() -> None:
    elsewhere = {"Embedding", "InputLayer", "RepeatVector", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
    elsewhere |= {name for name, layer in layers.REGISTRY.items() if layer.merges}  # no Sequential has them
    tables = set(STACKS) | set(NOT_STREAMED) - {"Layer"} | {name for name, _, _ in NEVER_STREAMED}
    assert set(layers.REGISTRY) == tables | elsewhere


@pytest.mark.parametrize(("name", "arguments", "shape"), NEVER_STREAMED)
def test_a_layer_that_is_never_streamed_says_why(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer = test_contract.make(name, arguments, "float64")
    reason = f"layer {layer.name!r} ({name}) cannot run one time step at a time: {layer.not_streamed}"
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        pyrnn.Sequential([Input(shape[1:]), layer]).stream()


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


# After a recurrent layer without return_sequences there is no time axis: any layer may follow.
ALL_MADE = [(name, make) for name, stacks in STACKS.items() for make in stacks]


@pytest.mark.parametrize(("name", "make"), ALL_MADE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(ALL_MADE)])
def test_a_layer_after_the_last_recurrent_output(name: str, make: Any) -> None:
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
    make, message = NOT_STREAMED[name][index]
    layer = make()
    model = pyrnn.Sequential([Input((TIME, FEATURES)), layer])
    kind = type(layer).__name__
    with pytest.raises(
        ValueError, match=rf"^layer '{layer.name}' \({kind}\) cannot run one time step at a time: .*{message}"
    ):
        model.stream()


# Models of everyday work.


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
    for identifier in (7, 7.0, [7], np.array([7]), np.int64(7), np.float32(7)):
        assert_close(model.stream().step(identifier), expected, 16)


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
