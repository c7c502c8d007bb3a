"""One contract for every layer: shapes, gradients, configs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

# Class name -> list of (arguments, input shape, or a list of the shapes of several inputs).
Shapes = tuple[int, ...] | list[tuple[int, ...]]
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "Activation": [({"activation": "tanh"}, (2, 3, 4)), ({"activation": "softmax"}, (2, 4))],
    "ActivityRegularization": [({"l1": 0.1, "l2": 0.2}, (2, 3, 4))],
    "AdaptiveAveragePooling1D": [
        ({"output_size": 2}, (2, 6, 3)),
        ({"output_size": 4}, (2, 6, 3)),
        ({"output_size": 3, "data_format": "channels_first"}, (2, 3, 5)),
    ],
    "AdaptiveMaxPooling1D": [
        ({"output_size": 3}, (2, 5, 3)),
        ({"output_size": 6}, (2, 4, 3)),
        ({"output_size": 2, "data_format": "channels_first"}, (2, 3, 5)),
    ],
    "Add": [({}, [(2, 3, 4)] * 3), ({}, [(2, 3, 4), (2, 1, 4), (2, 4)])],
    "AlphaDropout": [({"rate": 0.0}, (2, 4))],
    "AdditiveAttention": [({}, [(2, 3, 4), (2, 5, 4)]), ({"use_scale": False}, [(2, 3, 4), (2, 5, 2), (2, 5, 4)])],
    "Attention": [
        ({}, [(2, 3, 4), (2, 5, 4)]),
        ({"use_scale": True}, [(2, 3, 4), (2, 5, 2), (2, 5, 4)]),
        ({"use_scale": True, "score_mode": "concat"}, [(2, 3, 4), (2, 5, 4)]),
    ],
    "Average": [({}, [(2, 3, 4)] * 3), ({}, [(2, 3, 4), (2, 3, 1)])],
    "AveragePooling1D": [
        ({"pool_size": 2}, (2, 5, 3)),
        ({"pool_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3)),
        ({"data_format": "channels_first", "pool_size": 2}, (2, 4, 6)),
    ],
    "BatchNormalization": [
        ({}, (3, 4)),
        ({}, (2, 3, 4)),
        ({"axis": 1, "center": False, "scale": False, "momentum": 0.5}, (2, 3, 4)),
        ({"trainable": False}, (2, 3, 4)),
    ],
    "Bidirectional": [
        ({"layer": "lstm"}, (2, 5, 4)),
        ({"layer": "lstm", "merge_mode": "mul"}, (2, 5, 4)),
        ({"layer": "gru", "merge_mode": "ave"}, (2, 5, 4)),
        ({"layer": "gru", "merge_mode": "sum"}, (40, 3, 2)),
    ],
    "Concatenate": [({}, [(2, 3, 4), (2, 3, 1)]), ({"axis": 1}, [(2, 3, 4), (2, 1, 4), (2, 2, 4)])],
    "Conv1D": [
        ({"filters": 3, "kernel_size": 2}, (2, 6, 4)),
        ({"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}, (2, 6, 4)),
        ({"filters": 4, "kernel_size": 3, "groups": 2, "activation": "softmax"}, (2, 6, 4)),
        ({"filters": 2, "kernel_size": 2, "dilation_rate": 2, "padding": "causal", "use_bias": False}, (2, 6, 4)),
        ({"data_format": "channels_first", "filters": 3, "kernel_size": 2}, (2, 4, 6)),
        (
            {
                "data_format": "channels_first",
                "filters": 4,
                "kernel_size": 3,
                "strides": 2,
                "groups": 2,
                "padding": "same",
            },
            (2, 4, 6),
        ),
    ],
    "ConvLSTM1D": [
        ({"filters": 3, "kernel_size": 2}, (2, 4, 5, 2)),
        ({"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2, "return_sequences": True}, (2, 3, 5, 2)),
        (
            {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False, "go_backwards": True},
            (2, 3, 5, 2),
        ),
        ({"filters": 2, "kernel_size": 2, "unit_forget_bias": False, "activation": "softsign"}, (3, 2, 4, 1)),
    ],
    "Conv1DTranspose": [
        ({"filters": 3, "kernel_size": 2}, (2, 6, 4)),
        ({"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}, (2, 6, 4)),
        ({"filters": 2, "kernel_size": 2, "strides": 4, "output_padding": 3, "activation": "softmax"}, (2, 6, 4)),
        ({"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (2, 6, 4)),
        ({"data_format": "channels_first", "filters": 3, "kernel_size": 3, "strides": 2}, (2, 4, 6)),
    ],
    "Cropping1D": [({"cropping": (1, 0)}, (2, 3, 4)), ({"cropping": 1}, (2, 3, 4))],
    "Dense": [({"units": 3, "activation": "tanh"}, (2, 4)), ({"units": 3, "use_bias": False}, (2, 3, 4))],
    "DepthwiseConv1D": [
        ({"kernel_size": 2}, (2, 6, 4)),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}, (2, 6, 4)),
        ({"kernel_size": 3, "depth_multiplier": 2, "dilation_rate": 2, "use_bias": False}, (2, 6, 4)),
        ({"data_format": "channels_first", "kernel_size": 2, "depth_multiplier": 2}, (2, 4, 6)),
    ],
    "Dot": [
        ({"axes": 1}, [(2, 4), (2, 4)]),
        ({"axes": (1, 2), "normalize": True}, [(2, 4, 3), (2, 5, 4)]),
        ({"axes": [-1, 1]}, [(2, 3, 2, 4), (2, 4)]),
    ],
    "Dropout": [({"rate": 0.0}, (2, 4))],
    "ELU": [({}, (2, 3, 4)), ({"alpha": 0.3}, (2, 3, 4))],
    "EinsumDense": [
        ({"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d", "activation": "tanh"}, (2, 5, 4)),
        ({"equation": "...c,cd->...d", "output_shape": 3}, (2, 3, 4)),
        ({"equation": "abc,bd->ad", "output_shape": 3, "bias_axes": "d"}, (2, 5, 4)),
        ({"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"}, (2, 5, 4)),
        ({"equation": "abc,bd->adc", "output_shape": (3, None), "bias_axes": "d", "activation": "relu"}, (2, 5, 4)),
        ({"equation": "ab...,bd->ad...", "output_shape": 3, "bias_axes": "d"}, (2, 5, 4)),
    ],
    "Embedding": [
        ({"input_dim": 6, "output_dim": 3}, (4, 5)),
        ({"input_dim": 6, "output_dim": 3, "mask_zero": True}, (4,)),
    ],
    "Flatten": [({}, (2, 3, 4)), ({"data_format": "channels_first"}, (2, 4, 6))],
    "GRU": [
        ({"units": 3}, (2, 5, 4)),
        ({"units": 3, "reset_after": False, "return_sequences": True}, (2, 5, 4)),
        ({"units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False}, (2, 5, 4)),
    ],
    "GaussianDropout": [({"rate": 0.0}, (2, 4))],
    "GaussianNoise": [({"stddev": 0.0}, (2, 4))],
    "GlobalAveragePooling1D": [
        ({}, (2, 3, 4)),
        ({"keepdims": True}, (2, 3, 4)),
        ({"data_format": "channels_first"}, (2, 4, 6)),
        ({"data_format": "channels_first", "keepdims": True}, (2, 4, 6)),
    ],
    "GlobalMaxPooling1D": [
        ({}, (2, 3, 4)),
        ({"keepdims": True}, (2, 3, 4)),
        ({"data_format": "channels_first"}, (2, 4, 6)),
        ({"data_format": "channels_first", "keepdims": True}, (2, 4, 6)),
    ],
    "GroupNormalization": [
        ({"groups": 2}, (3, 4)),
        ({"groups": -1}, (2, 3, 4)),
        ({"groups": 3, "axis": 1, "epsilon": 0.1}, (2, 6, 2)),
    ],
    "Identity": [({}, (2, 3, 4))],
    "InputLayer": [({"shape": (3,)}, (2, 3))],
    "LSTM": [
        ({"units": 3}, (2, 5, 4)),
        ({"units": 3, "unit_forget_bias": False, "return_sequences": True, "go_backwards": True}, (2, 5, 4)),
        ({"units": 3, "activation": "softsign", "use_bias": False}, (2, 5, 4)),
    ],
    "Lambda": [({"function": "cube"}, (2, 3, 4)), ({"function": "first", "output_shape": (4,)}, (2, 3, 4))],
    "LayerNormalization": [
        ({}, (2, 3, 4)),
        ({"axis": 1}, (2, 3, 4)),
        ({"axis": [-1, -2]}, (2, 3, 4)),
        ({"center": False, "scale": False, "epsilon": 0.1}, (3, 4)),
    ],
    "LeakyReLU": [({}, (2, 3, 4)), ({"negative_slope": 0.2}, (2, 3, 4))],
    "Masking": [({"mask_value": 0.5}, (2, 3, 4))],
    "Maximum": [({}, [(2, 3, 4)] * 3), ({}, [(2, 3, 4), (2, 1, 4)])],
    "Minimum": [({}, [(2, 3, 4)] * 3), ({}, [(2, 3, 4), (2, 4)])],
    "MultiHeadAttention": [
        ({"num_heads": 2, "key_dim": 3}, [(2, 3, 4), (2, 5, 2)]),
        ({"num_heads": 2, "key_dim": 3, "value_dim": 2, "use_bias": False}, [(2, 3, 4), (2, 5, 2), (2, 5, 3)]),
        ({"num_heads": 1, "key_dim": 3, "output_shape": (2, 2), "sliding_window": 2}, [(2, 3, 4), (2, 3, 4)]),
        ({"num_heads": 2, "key_dim": 2, "use_gate": True}, [(2, 3, 4), (2, 3, 4)]),
    ],
    "Multiply": [({}, [(2, 3, 4)] * 3), ({}, [(2, 3, 4), (2, 1, 4), (2, 4)])],
    "MaxPooling1D": [
        ({}, (2, 5, 3)),
        ({"pool_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3)),
        ({"data_format": "channels_first", "pool_size": 3, "strides": 2, "padding": "same"}, (2, 4, 6)),
    ],
    "Normalization": [
        ({}, (2, 3, 4)),
        ({"axis": None, "mean": 1.0, "variance": 4.0}, (2, 3, 4)),
        ({"axis": (1, 2), "mean": [1.0, 2.0], "variance": [2.0, 3.0], "invert": True}, (2, 3, 2)),
    ],
    "PReLU": [({}, (2, 3, 4)), ({"shared_axes": [1]}, (2, 3, 4)), ({"shared_axes": -1}, (2, 3, 4))],
    "Permute": [({"dims": (2, 1)}, (2, 3, 4)), ({"dims": (3, 1, 2)}, (2, 3, 4, 5))],
    "RMSNormalization": [({}, (2, 3, 4)), ({"axis": [1, 2], "epsilon": 0.1}, (2, 3, 4))],
    "ReLU": [
        ({}, (2, 3, 4)),
        ({"max_value": 0.7, "negative_slope": 0.1}, (2, 3, 4)),
        ({"max_value": 1, "threshold": 0.2, "negative_slope": 0.3}, (2, 3, 4)),
        ({"threshold": 0.5}, (2, 3, 4)),
    ],
    "GRUCell": [({"units": 3}, (2, 4)), ({"units": 3, "reset_after": False}, (2, 4))],
    "LSTMCell": [({"units": 3}, (2, 4))],
    "SimpleRNNCell": [({"units": 3}, (2, 4))],
    "StackedRNNCells": [({"cells": "stack"}, (2, 4))],
    "RNN": [
        ({"cell": "lstm"}, (2, 5, 4)),
        ({"cell": "stack"}, (2, 5, 4)),
        ({"cell": "stack", "return_sequences": True, "go_backwards": True}, (2, 5, 4)),
    ],
    "RepeatVector": [({"n": 3}, (2, 4))],
    "Rescaling": [({"scale": 2.0, "offset": 1.0}, (2, 4))],
    "Reshape": [({"target_shape": (2, -1)}, (2, 3, 4))],
    "SeparableConv1D": [
        ({"filters": 3, "kernel_size": 2}, (2, 6, 4)),
        ({"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "softmax"}, (2, 6, 4)),
        ({"filters": 2, "kernel_size": 3, "depth_multiplier": 2, "use_bias": False}, (2, 6, 4)),
        ({"data_format": "channels_first", "filters": 3, "kernel_size": 2, "activation": "softmax"}, (2, 4, 6)),
    ],
    "SimpleRNN": [
        ({"units": 3}, (2, 5, 4)),
        ({"units": 3, "return_sequences": True, "go_backwards": True}, (2, 5, 4)),
        ({"units": 3, "activation": "linear", "use_bias": False, "unroll": True}, (2, 5, 4)),
    ],
    "Softmax": [({}, (2, 3, 4)), ({"axis": 1}, (2, 3, 4)), ({"axis": [1, -1]}, (2, 3, 4))],
    "SpatialDropout1D": [({"rate": 0.0}, (2, 3, 4))],
    "Subtract": [({}, [(2, 3, 4)] * 2), ({}, [(2, 1, 4), (2, 3, 4)])],
    "TimeDistributed": [({"layer": "dense"}, (2, 3, 4))],
    "UnitNormalization": [({}, (2, 3, 4)), ({"axis": [1, 2]}, (2, 3, 4))],
    "UpSampling1D": [({"size": 3}, (2, 3, 4))],
    "ZeroPadding1D": [
        ({}, (2, 3, 4)),
        ({"padding": (0, 2)}, (2, 3, 4)),
        ({"data_format": "channels_first", "padding": (0, 2)}, (2, 4, 6)),
    ],
}


def cube(x: Any, scale: float = 1.0) -> Any:
    return scale * x**3


cube.gradient = lambda x, y, dy: 3 * x**2 * dy


def first(x: Any) -> Any:
    return x[:, 0]


def first_gradient(x: Any, y: Any, dy: Any) -> Any:
    return np.stack([dy, *[0 * dy] * (x.shape[1] - 1)], axis=1)


first.gradient = first_gradient
FUNCTIONS = {"cube": cube, "first": first}


def make(name: str, arguments: dict[str, Any], dtype: str) -> layers.Layer:
    settings = dict(arguments)
    inner = {
        "dense": lambda: layers.Dense(3, activation="tanh", dtype=dtype),
        "lstm": lambda: layers.LSTM(3, return_sequences=True, dtype=dtype),
        "gru": lambda: layers.GRU(2, dtype=dtype),
    }
    cells = {
        "lstm": lambda: layers.LSTMCell(3, dtype=dtype),
        "stack": lambda: [layers.GRUCell(3, dtype=dtype), layers.LSTMCell(2, dtype=dtype)],
    }
    for argument in ("cell", "cells"):
        if argument in settings:
            settings[argument] = cells[settings[argument]]()
    if "function" in settings:
        settings["function"] = FUNCTIONS[settings["function"]]
    if "layer" in settings:
        settings["layer"] = inner[settings["layer"]]()
    return layers.REGISTRY[name](**settings, dtype=dtype)


def shapes_in(shape: Shapes) -> list[tuple[int, ...]]:
    """The shapes of all inputs of a case."""
    return shape if isinstance(shape, list) else [shape]


def unknown_batch(shape: Shapes) -> Any:
    """The argument of `build`, with a batch axis of any size."""
    shapes = [(None, *each[1:]) for each in shapes_in(shape)]
    return shapes if isinstance(shape, list) else shapes[0]


def test_every_layer_has_a_case() -> None:
    assert set(CASES) == set(layers.REGISTRY)


ALL = [(name, arguments, shape) for name, cases in CASES.items() for arguments, shape in cases]


@pytest.mark.parametrize(("name", "arguments", "shape"), ALL)
def test_contract(name: str, arguments: dict[str, Any], shape: Shapes) -> None:
    rng = np.random.default_rng(0)
    layer = make(name, arguments, "float64")
    layer.build(unknown_batch(shape))
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) if weight.trainable else 0.5 + rng.random(weight.shape))
    ids = name == "Embedding"
    xs = [
        rng.integers(0, arguments["input_dim"], each).astype(float) if ids else rng.normal(size=each)
        for each in shapes_in(shape)
    ]
    y = layer.forward(*xs, training=True)
    assert y.shape == layer.compute_output_shape(shape)
    # The batch's own moments, which the gradient is by, are there in training only.
    by_batch = name == "BatchNormalization"

    def forward(*values: np.ndarray) -> np.ndarray:
        return layer.forward(*values, training=by_batch)

    np.testing.assert_array_equal(y, forward(*xs))
    dy = rng.normal(size=y.shape)
    dxs = layer.backward(dy)
    dxs = dxs if isinstance(shape, list) else [dxs]
    assert [dx.shape for dx in dxs] == shapes_in(shape)

    def numeric(array: np.ndarray, touch: Any) -> np.ndarray:
        result = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            old = array[index]
            values = []
            for step in (1e-5, -1e-5):
                new = array.copy()
                new[index] = old + step
                values.append(float((touch(new) * dy).sum()))
            result[index] = (values[0] - values[1]) / 2e-5
        return result

    for number, (x, dx) in enumerate(zip(xs, dxs, strict=True)):

        def replaced(value: np.ndarray, number: int = number) -> np.ndarray:
            return forward(*xs[:number], value, *xs[number + 1 :])

        np.testing.assert_allclose(dx, np.zeros_like(x) if ids else numeric(x, replaced), rtol=1e-6, atol=1e-8)
    trained = [weight for weight in layer.weights if weight.trainable]
    gradients = [weight.gradient.copy() for weight in trained]
    for weight, gradient in zip(trained, gradients, strict=True):
        before = weight.numpy()

        def through(value: np.ndarray, weight: Any = weight) -> np.ndarray:
            weight.assign(value)
            return forward(*xs)

        np.testing.assert_allclose(gradient, numeric(before, through), rtol=1e-6, atol=1e-8)
        weight.assign(before)


@pytest.mark.parametrize(("name", "arguments", "shape"), ALL)
def test_config_round_trip(name: str, arguments: dict[str, Any], shape: Shapes) -> None:
    layer = make(name, arguments, "float32")
    layer.build(shape)
    again = layers.deserialize(layers.serialize(layer), FUNCTIONS)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.SimpleRNN(-1), ValueError, "units must be a positive integer, got -1"),
        (lambda: layers.Dense(3, activaton="relu"), TypeError, "did you mean 'activation'"),
        (lambda: layers.SimpleRNN(3, activity_regularizer="l9"), ValueError, "l9"),
        (lambda: layers.Conv1D(3, 2, groups=2), ValueError, "filters must be a multiple of groups = 2, got 3"),
        (
            lambda: layers.Conv1D(4, 2, groups=2).build((None, 5, 3)),
            ValueError,
            "channels of x must be a multiple of groups = 2",
        ),
        (lambda: layers.Bidirectional(layers.GRU(3, activity_regularizer="l2")), ValueError, "to Bidirectional, not"),
        (lambda: layers.SimpleRNN(3, dropout=2), ValueError, "dropout must be a number from 0 to 1, got 2"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_masked_steps_keep_the_state() -> None:
    layer = layers.SimpleRNN(3)
    x = np.random.default_rng(0).normal(size=(2, 5, 4))
    mask = np.array([[True] * 3 + [False] * 2] * 2)
    np.testing.assert_allclose(layer(x, mask=mask), layer(x[:, :3]), rtol=1e-6)


def test_state_in_and_out() -> None:
    layer = layers.SimpleRNN(3, return_state=True)
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    whole, _ = layer(x)
    _, state = layer(x[:, :3])
    np.testing.assert_allclose(layer(x[:, 3:], initial_state=state)[0], whole, rtol=1e-5)


def test_dropout_scales_in_training_only() -> None:
    layer = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=1)
    x = np.ones((4, 5, 6), np.float32)
    y = layer(x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0} and (y == y[:, :1]).all()
    np.testing.assert_array_equal(layer(x), x)


class Scale(layers.Layer):
    """A user's own layer."""

    def __init__(self, start: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.scale.assign(np.full(self.scale.shape, self.start))

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if training:
            self._x = x
        return x * self.scale.array

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        self.scale.gradient[...] = (dy * self._x).sum(axis=tuple(range(dy.ndim - 1)))
        return dy * self.scale.array if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


def test_a_custom_layer_trains_and_is_saved(tmp_path: Any) -> None:
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), Scale(2.0), layers.LSTM(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 5, 3))
    model.fit(x, x[:, 0, :1], verbose=0)
    assert not np.array_equal(model.layers[0].get_weights()[0], np.full(3, 2.0))
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", custom_objects={"Scale": Scale})
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    with pytest.raises(ValueError, match="layer 'Scale' is not part of pyrnn"):
        pyrnn.load_model(tmp_path / "m.keras")


def test_states_of_stacked_cells() -> None:
    def make_stack() -> list[layers.Layer]:
        return [layers.GRUCell(3), layers.LSTMCell(2)]

    layer = layers.RNN(make_stack(), return_state=True)
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    whole, *states = layer(x)
    assert [np.shape(states[0]), *map(np.shape, states[1])] == [(2, 3), (2, 2), (2, 2)]
    _, *half = layer(x[:, :3])
    np.testing.assert_allclose(layer(x[:, 3:], initial_state=half)[0], whole, rtol=1e-5, atol=1e-7)
    carried = layers.RNN(make_stack(), stateful=True)
    carried.build((2, 3, 4))
    carried.set_weights(layer.get_weights())
    carried(x[:, :3])
    np.testing.assert_allclose(carried(x[:, 3:]), whole, rtol=1e-5, atol=1e-7)
    carried.reset_states()
    np.testing.assert_allclose(carried(x[:, :3]), layer(x[:, :3])[0], rtol=1e-5, atol=1e-7)
    cell = layer.cell
    output, after = cell(x[:, 0], cell.get_initial_state(2))
    np.testing.assert_allclose(output, layer(x[:, :1])[0], rtol=1e-5)
    assert len(after) == 2
    with pytest.raises(TypeError, match="must be SimpleRNNCell, LSTMCell, GRUCell or a layer"):
        layers.RNN(layers.Dense(3))
