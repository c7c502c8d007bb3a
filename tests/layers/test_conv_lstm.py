"""ConvLSTM1D: an LSTM where there is one place, convolutions where there are several."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

RANDOM = np.random.default_rng(5)
B, T, W, C, F = 3, 5, 6, 2, 4
X = RANDOM.normal(size=(B, T, W, C))
MASK = np.arange(T) < [[5], [2], [4]]
HOLES = np.array([[0, 1, 0, 1, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]], bool)


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


@pytest.mark.parametrize("mask", [None, MASK, HOLES], ids=["whole", "ends", "holes"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": True, "go_backwards": True, "return_state": True},
        {"use_bias": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"activation": lambda x: x / (1 + pyrnn.ops.abs(x)), "unit_forget_bias": False},
        {"activation": layers.LeakyReLU(0.25), "return_state": True},
    ],
)
@pytest.mark.parametrize("starts", [False, True])
def test_at_one_place_it_is_an_lstm(options: dict[str, Any], starts: bool, mask: Any) -> None:
    convolved: Any = layers.ConvLSTM1D(F, 1, dtype="float64", **options)
    plain: Any = layers.LSTM(F, dtype="float64", **options)
    convolved.build((None, T, 1, C))
    plain.build((None, T, C))
    for mine, other in zip(convolved.weights, plain.weights, strict=True):
        assert mine.name == other.name and mine.size == other.size
        mine.assign(other.numpy().reshape(mine.shape))
    states = [RANDOM.normal(size=(B, F)) for _ in range(2)] if starts else None
    frames = None if states is None else [state[:, None] for state in states]
    outputs = flat(convolved(X[:, :, :1], mask=mask, initial_state=frames, training=True))
    expected = flat(plain(X[:, :, 0], mask=mask, initial_state=states, training=True))
    d_outputs = [RANDOM.normal(size=each.shape) for each in outputs]
    for mine, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(mine.reshape(other.shape), other, rtol=1e-10, atol=1e-12)
    gradients = flat(convolved.backward(*d_outputs))
    wanted = flat(plain.backward(*[d.reshape(y.shape) for d, y in zip(d_outputs, expected, strict=True)]))
    for mine, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(mine.reshape(other.shape), other, rtol=1e-9, atol=1e-12)
    for mine, other in zip(convolved.weights, plain.weights, strict=True):
        np.testing.assert_allclose(mine.gradient.reshape(other.shape), other.gradient, rtol=1e-9, atol=1e-12)


def by_hand(layer: Any, x: Any) -> Any:
    """The outputs of all steps, with Conv1D for the products."""
    of_x = layers.Conv1D(
        4 * F, layer.kernel_size, layer.strides, layer.padding, dilation_rate=layer.dilation_rate, dtype="float64"
    )
    of_h = layers.Conv1D(4 * F, layer.kernel_size, padding="same", use_bias=False, dtype="float64")
    of_x.build((None, W, C))
    kernel, recurrent_kernel, bias = layer.get_weights()
    of_x.set_weights([kernel, bias])
    width = of_x(x[:, 0]).shape[1]
    of_h.build((None, width, F))
    of_h.set_weights([recurrent_kernel])
    h = c = np.zeros((len(x), width, F))
    outputs = []
    for t in range(T):
        i, f, g, o = np.split(of_x(x[:, t]) + of_h(h), 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-each)) for each in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"strides": 2}, {"strides": 4, "padding": "same"}, {"dilation_rate": 2}],
)
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_its_steps_are_those_of_convolutions(kernel_size: int, options: dict[str, Any]) -> None:
    layer = layers.ConvLSTM1D(F, kernel_size, return_sequences=True, dtype="float64", **options)
    y = layer(X)
    assert y.shape == layer.compute_output_shape(X.shape) == (B, T, *y.shape[2:])
    np.testing.assert_allclose(y, by_hand(layer, X), rtol=1e-10, atol=1e-12)


def test_gradients_with_dropout() -> None:
    layer: Any = layers.ConvLSTM1D(F, 3, padding="same", dropout=0.4, recurrent_dropout=0.3, seed=1, dtype="float64")
    layer.build(X.shape)
    d_output = RANDOM.normal(size=(B, W, F))

    def loss(x: Any) -> Any:
        layer._rng = np.random.default_rng(3)
        return (layer(x, training=True, mask=MASK) * d_output).sum()

    base = loss(X)
    assert base != loss(X + 1)
    loss(X)
    dx = layer.backward(d_output)
    arrays = [(X, dx), *[(weight.array, weight.gradient.copy()) for weight in layer.weights]]
    for array, gradient in arrays:
        direction = RANDOM.normal(size=array.shape)
        before, values = array.copy(), []
        for step in (1e-5, -1e-5):
            array[...] = before + step * direction
            for weight in layer.weights:
                weight.assign(weight.numpy())  # the core packs weights of a new version again
            values.append(loss(X))
        array[...] = before
        np.testing.assert_allclose((values[0] - values[1]) / 2e-5, (gradient * direction).sum(), rtol=1e-6)


def test_dropout_draws_a_mask_for_each_gate() -> None:
    layer: Any = layers.ConvLSTM1D(F, 3, dropout=0.5, recurrent_dropout=0.5, seed=2)
    assert np.array_equal(layer(X), layer(X))
    assert not np.array_equal(layer(X, training=True), layer(X, training=True))
    assert layer._dropout_mask(0.5, (B, W, C)).shape == (4, B, W, C)


def test_masked_steps_may_hold_anything() -> None:
    layer = layers.ConvLSTM1D(F, 3, return_sequences=True)
    outputs, gradients = [], []
    for value in (0.0, np.nan):
        x = np.where(MASK[:, :, None, None], X, value)
        outputs.append(layer(x, mask=MASK, training=True))
        dx = layer.backward(np.ones_like(outputs[-1]))
        gradients.append([dx, *[weight.gradient.copy() for weight in layer.weights]])
    assert np.isfinite(outputs[1]).all()
    np.testing.assert_array_equal(*outputs)
    for plain, nan in zip(*gradients, strict=True):
        np.testing.assert_array_equal(plain, nan)


def model(**options: Any) -> Any:
    made = pyrnn.Sequential(
        [
            pyrnn.Input(batch_shape=(B, T, W, C)),
            layers.Bidirectional(layers.ConvLSTM1D(F, 3, return_sequences=True, **options)),
            layers.ConvLSTM1D(2, 2, padding="same", stateful=True),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    made.compile("adam", "mse")
    return made


@pytest.mark.parametrize("way", ["m.keras", "m.h5", "pickle", "copy", "clone"])
def test_it_comes_back(way: str, tmp_path: Path) -> None:
    first = model(dropout=0.25, seed=3)
    first.fit(X, np.ones((B, 1)), batch_size=B, verbose=0)
    first.reset_states()
    if way.startswith("m."):
        first.save(tmp_path / way)
        again: Any = pyrnn.load_model(tmp_path / way)
    elif way == "clone":
        again = pyrnn.models.clone_model(first)
        again.set_weights(first.get_weights())
    else:
        again = pickle.loads(pickle.dumps(first)) if way == "pickle" else copy.deepcopy(first)
    paths = [weight.path for weight in again.layers[1].weights]
    assert ["/".join(path.split("/")[-2:]) for path in paths] == [
        f"conv_lstm_cell/{name}" for name in ("kernel", "recurrent_kernel", "bias")
    ]
    for _ in range(2):  # the second batch starts from the states of the first
        np.testing.assert_array_equal(again.predict(X, verbose=0), first.predict(X, verbose=0))


def test_states_are_kept_and_set() -> None:
    layer = layers.ConvLSTM1D(F, 3, stateful=True, batch_input_shape=(B, T, W, C))
    first, second = layer(X), layer(X)
    assert not np.array_equal(first, second)
    layer.reset_state()
    np.testing.assert_array_equal(layer(X), first)
    layer.reset_state([np.ones((B, W - 2, F)), np.zeros((B, W - 2, F))])
    assert layer.states is not None and layer.states[0].sum() == B * (W - 2) * F
    with pytest.raises(ValueError, match=r"array\(s\) of shape \(batch, width, filters\) = \(3, 4, 4\), got shapes"):
        layer.reset_state([np.ones((B, F)), np.zeros((B, F))])


def with_last_axis(layer: Any, size: int) -> Any:
    layer.build((None, T, W, C))
    return layer(np.ones((B, T, size, C)))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: layers.ConvLSTM1D(2, 3, data_format="channels_first"), "data_format of ConvLSTM1D must be"),
        (lambda: layers.ConvLSTM1D(2, 3, padding="causal"), "unknown padding 'causal'"),
        (lambda: layers.ConvLSTM1D(2, 3, strides=2, dilation_rate=2), "either strides or dilation_rate of ConvLSTM1D"),
        (lambda: layers.ConvLSTM1D(0, 3), "filters must be"),
        (lambda: layers.ConvLSTM1D(2, 3).build((None, T, None, C)), "width"),
        (lambda: layers.ConvLSTM1D(2, 3).build((None, T, W, None)), "channels"),
        (lambda: layers.ConvLSTM1D(2, 3).build((None, T, 2, C)), "ConvLSTM1D with padding='valid' needs at least 3"),
        (lambda: layers.ConvLSTM1D(2, 3)(np.ones((B, T, W))), r"expects x of shape \(batch, time, width, channels\)"),
        (lambda: layers.ConvLSTM1D(2, 3)(X, mask=np.ones((B, T, W))), r"mask must have shape \(batch, time\)"),
        (lambda: layers.ConvLSTM1D(2, 3)(np.ones((B, 0, W, C))), "none of them 0"),
        (lambda: layers.ConvLSTM1D(2, 3, stateful=True).build((None, T, W, C)), r"size, time, width, channels\)"),
        (lambda: with_last_axis(layers.ConvLSTM1D(2, 3), W + 1), r"expects x of shape \(None, 5, 6, 2\), got"),
        (lambda: pyrnn.Sequential([pyrnn.Input((T, W, C)), layers.ConvLSTM1D(2, 3)]).stream(), "has two axes"),
    ],
)
def test_errors(act: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
