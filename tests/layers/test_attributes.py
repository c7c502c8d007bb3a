"""Assignment to attributes of layers (weights, activations, numbers): the layer computes with the new value."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pyrnn
from layers.test_contract import ALL, Shapes, make, shapes_in
from pyrnn import layers
from pyrnn.parameters import Weight

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 4)).astype("float32")


def holders(layer: Any) -> list[Any]:
    """Return a layer and the layers inside it."""
    inner = [each for each in vars(layer).values() if isinstance(each, layers.Layer)]
    inner += getattr(layer, "cells", [])
    return [layer, *(holder for each in inner for holder in holders(each))]


def weight_attributes(layer: Any) -> list[tuple[Any, str]]:
    return [(each, name) for each in holders(layer) for name, value in vars(each).items() if type(value) is Weight]


@pytest.mark.parametrize(("name", "arguments", "shape"), ALL)
def test_every_weight_is_assigned_or_the_error_says_why(name: str, arguments: Any, shape: Shapes) -> None:
    layer = make(name, arguments, "float32")
    layer.build(shape)
    attributes = weight_attributes(layer)
    assert {id(getattr(*each)) for each in attributes} == set(map(id, layer.weights))
    draw = (lambda size: RNG.integers(0, 6, size)) if name == "Embedding" else (lambda size: RNG.normal(size=size))
    xs = [draw(size).astype("float32") for size in shapes_in(shape)]
    for owner, attribute in attributes:
        weight = getattr(owner, attribute)
        value = RNG.uniform(0.5, 1, weight.shape).astype(weight.dtype)
        setattr(owner, attribute, value)
        assert getattr(owner, attribute) is weight
        np.testing.assert_array_equal(weight, value)
        y = layer.forward(*xs, training=False)
        for bad, message in (
            (np.ones((*weight.shape, 2)), "has shape"),
            (None, "must be an array of shape"),
            ("ones", "has shape|must hold numbers"),
            (object(), "has shape|must hold numbers"),
            (Weight(weight.shape, "other"), "got a weight of another layer"),
        ):
            with pytest.raises((TypeError, ValueError), match=message):
                setattr(owner, attribute, bad)
        assert getattr(owner, attribute) is weight
        np.testing.assert_array_equal(layer.forward(*xs, training=False), y)
        setattr(owner, attribute, value.tolist())
        setattr(owner, attribute, weight)
        np.testing.assert_array_equal(layer.forward(*xs, training=False), y)


def test_an_assigned_weight_is_what_the_model_trains_predicts_and_saves(tmp_path: Any) -> None:
    def model() -> pyrnn.Sequential:
        made = pyrnn.Sequential([pyrnn.Input((5, 4)), layers.GRU(3), layers.Dense(1)])
        made.compile("adam", "mse")
        made.fit(X, X[:, 0, :1], verbose=0)
        return made

    pyrnn.utils.set_random_seed(0)
    assigned = model()
    pyrnn.utils.set_random_seed(0)
    written = model()
    kernel, bias = np.full((4, 9), 0.25), np.full(1, 0.5)
    assigned.layers[0].kernel, assigned.layers[1].bias = kernel, bias
    assigned.layers[1].kernel += 1
    written.layers[0].kernel.assign(kernel)
    written.layers[1].bias.assign(bias)
    written.layers[1].kernel.assign(written.layers[1].kernel.numpy() + 1)
    for each in (assigned, written):
        each.fit(X, X[:, 0, :1], verbose=0)
        each.save(tmp_path / "m.keras")
    assert_same = np.testing.assert_array_equal
    assert_same(assigned.predict(X, verbose=0), written.predict(X, verbose=0))
    assert_same(pyrnn.load_model(tmp_path / "m.keras").predict(X, verbose=0), assigned.predict(X, verbose=0))
    for again in (copy.deepcopy(assigned), pickle.loads(pickle.dumps(assigned))):
        again.layers[1].bias = [7.0]
        assert again.layers[1].get_weights()[1] == 7 and assigned.layers[1].get_weights()[1] != 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: setattr(layers.Dense(2), "kernel", np.ones((2, 2))), r"\(Dense\) has no kernel before it is built"),
        (lambda: setattr(layers.LSTM(2, input_shape=(3, 2)), "bias", np.ones(8)), "has no bias before it is built"),
        (lambda: setattr(built(layers.Dense(2, use_bias=False)), "bias", np.ones(2)), "has no bias: no value"),
        (lambda: setattr(built(layers.LayerNormalization(scale=False)), "gamma", np.ones(4)), "has no gamma: no value"),
    ],
)  # fmt: skip
def test_a_weight_that_is_not_there(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def built(layer: layers.Layer) -> layers.Layer:
    layer.build((None, 4))
    return layer


class Scale(layers.Layer):
    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x * self.scale.array


def test_weights_of_custom_layers_are_assigned_too() -> None:
    layer = Scale()
    layer.build((None, 4))
    layer.scale = np.arange(4)
    assert type(layer.scale) is Weight
    np.testing.assert_array_equal(layer(X), X * np.arange(4, dtype="float32"))
    with pytest.raises(ValueError, match=r"'scale\S*/scale' has shape \(4,\), got an array of shape \(3,\)"):
        layer.scale = np.ones(3)
    layer.other = 3
    assert layer.other == 3


def test_weights_are_read_from_the_layer_dict() -> None:
    """Reading a weight costs no call: the descriptor has no `__get__`."""
    assert not hasattr(vars(layers.core.dense.Affine)["kernel"], "__get__")


# Activations and numbers.


def outputs(layer: layers.Layer, x: np.ndarray, weights: Any = None) -> Any:
    pyrnn.utils.set_random_seed(0)
    y = layer(x)
    if weights is not None:
        layer.set_weights(weights)
        y = layer(x)
    return y


CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "dense": (layers.Dense, {"units": 3, "activation": "tanh"}),
    "convolution": (layers.Conv1D, {"filters": 3, "kernel_size": 2, "activation": "relu"}),
    "depthwise": (layers.DepthwiseConv1D, {"kernel_size": 2, "activation": "relu"}),
    "activation": (layers.Activation, {"activation": "softmax"}),
    "glu": (layers.Activation, {"activation": "glu"}),
    "lstm": (layers.LSTM, {"units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    "simple rnn": (layers.SimpleRNN, {"units": 3, "activation": "linear"}),
    "leaky relu": (layers.LeakyReLU, {"negative_slope": 0.1}),
    "leaky relu of the core": (layers.LeakyReLU, {"negative_slope": 0.2}),
    "relu": (layers.ReLU, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}),
    "elu": (layers.ELU, {"alpha": 0.3}),
    "rescaling": (layers.Rescaling, {"scale": [1.0, 2.0, 3.0, 4.0], "offset": 0.5}),
    "masking": (layers.Masking, {"mask_value": float(X[0, 0, 0])}),
    "softmax": (layers.Softmax, {"axis": 1}),
    "layer norm": (layers.LayerNormalization, {"epsilon": 0.5}),
    "sequences": (layers.GRU, {"units": 3, "return_sequences": True, "go_backwards": True}),
}
REQUIRED = {"units": 3, "filters": 3, "kernel_size": 2, "activation": "sigmoid", "scale": 2.0}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_set_later_counts_as_what_is_set_at_first(name: str) -> None:
    kind, arguments = CHANGES[name]
    expected = kind(**arguments)
    y = outputs(expected, X)
    layer = kind(**{key: REQUIRED[key] for key in arguments if key in REQUIRED})
    layer(X)
    for key, value in arguments.items():
        if key not in ("units", "filters", "kernel_size"):
            setattr(layer, key, value)
            assert getattr(layer, key) == getattr(expected, key)
    layer.set_weights(expected.get_weights())
    np.testing.assert_array_equal(layer(X), y)
    assert {**layer.get_config(), "name": 0} == {**expected.get_config(), "name": 0}


def test_cells_take_options_that_are_set_later() -> None:
    layer = layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])
    last = layer(X)
    layer.return_sequences = True
    y = layer(X)
    assert y.shape == (2, 5, 2)
    np.testing.assert_allclose(y[:, -1], last, rtol=1e-6)


def test_dropout_that_is_set_later_drops() -> None:
    for name in ("dropout", "recurrent_dropout"):
        layer, expected = layers.GRU(3, seed=1), layers.GRU(3, seed=1, **{name: 0.5})
        layer(X)
        setattr(layer, name, 0.5)
        expected.build(X.shape)
        layer.set_weights(expected.get_weights())
        np.testing.assert_array_equal(layer(X, training=True), expected(X, training=True))
        assert not np.array_equal(layer(X, training=True), layer(X))
        with pytest.raises(ValueError, match=f"{name} must be a number from 0 to 1, got 2"):
            setattr(layer, name, 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda: setattr(layers.Dense(2), "activation", "tahn"), ValueError, "did you mean 'tanh'"),
        (lambda: setattr(layers.Dense(2), "activation", "glu"), ValueError, "activation of Dense must not be 'glu'"),
        (lambda: setattr(layers.LSTM(2), "recurrent_activation", abs(-3)), TypeError, "activation must be a name"),
        (lambda: setattr(layers.Rescaling(2), "scale", "two"), TypeError, "scale must hold numbers, got 'two'"),
        (lambda: setattr(layers.Rescaling(2), "offset", float("nan")), ValueError, "offset must hold finite numbers"),
        (lambda: setattr(layers.Bidirectional(layers.GRU(2)), "return_sequences", True), AttributeError, "set"),
        (lambda: setattr(layers.Bidirectional(layers.GRU(2)), "stateful", True), AttributeError, "set"),
    ],
)
def test_what_cannot_be_set(change: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        change()
