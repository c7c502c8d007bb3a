"""Graphs of layers: order, sharing, nesting, initial states, masks, gradients, copies and errors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, Sequential, layers
from pyrnn.symbols import Symbol

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 10, 3)).astype("float32")
Y = RNG.normal(size=(6, 1)).astype("float32")


def chain() -> Any:
    x = Input((10, 3))
    return Model(x, layers.Dense(1)(layers.LSTM(4)(layers.Masking()(x))))


def shared() -> Any:
    x, dense, gru = Input((10, 3)), layers.Dense(3, activation="tanh"), layers.GRU(3, return_sequences=True)
    return Model(x, layers.Dense(1)(layers.Flatten()(gru(dense(gru(dense(x)))))))


def nested() -> Any:
    x, first = Input((10, 3)), Input((10, 3))
    inner = Model(first, layers.LSTM(3, return_sequences=True, activity_regularizer="l2")(layers.Dense(3)(first)))
    tail = Sequential([layers.SimpleRNN(4), layers.Dense(1)])
    return Model(x, tail(inner(inner(x))))


def encoder_decoder() -> Any:
    """Of one input: the decoder reads the sequence backwards, from the states of the encoder."""
    x = Input((10, 3))
    _, *states = layers.LSTM(4, return_state=True)(x)
    decoded = layers.LSTM(4, go_backwards=True)(x, initial_state=states)
    return Model(x, layers.Dense(1)(decoded))


def branches() -> Any:
    """Two branches of different lengths that start from one layer; the states of a GRU join them."""
    x = Input((10, 3))
    features = layers.Dense(4)(x)
    state = layers.GRU(5)(features)
    return Model(x, layers.Dense(1)(layers.GRU(5)(layers.Dense(2)(features), initial_state=state)))


MODELS: dict[str, Callable[[], Any]] = {
    make.__name__: make for make in (chain, shared, nested, encoder_decoder, branches)
}


def loss(model: Any, y: Any) -> float:
    return float(((model(X).astype("float64") - y) ** 2).mean()) + model.regularization_loss()


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    pyrnn.config.set_floatx("float64")
    try:
        model = MODELS[name]()
    finally:
        pyrnn.config.set_floatx("float32")
    outputs, _ = model.forward_pass(X, training=True)
    parameters = model.parameters()
    model.backward_pass(2 * (outputs - Y) / Y.size)
    model.add_regularization_gradients()
    gradients = parameters.gradients.copy()
    for index in RNG.choice(len(parameters), 25):
        values = []
        for step in (1e-6, -1e-6):
            parameters.values[index] += step
            parameters.touch()
            values.append(loss(model, Y))
            parameters.values[index] -= step
        parameters.touch()
        np.testing.assert_allclose(gradients[index], (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-7)


def test_a_chain_trains_with_the_bits_of_a_sequential() -> None:
    pyrnn.utils.set_random_seed(0)
    model = chain()
    stack = Sequential([Input((10, 3)), layers.Masking(), layers.LSTM(4), layers.Dense(1)])
    stack.set_weights(model.get_weights())
    histories = []
    for each in (model, stack):
        each.compile("adam", "mse", metrics=["mae"])
        histories.append(each.fit(X, Y, epochs=3, batch_size=4, shuffle=False, verbose=0, validation_split=0.2).history)
    assert histories[0] == histories[1]
    for first, second in zip(model.get_weights(), stack.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_train_with_the_same_bits(name: str, duplicate: Callable[[Any], Any]) -> None:
    model = MODELS[name]()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    other = duplicate(model)
    for each in (model, other):
        each.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    assert other.layers[-1].nodes[-1].outputs[0] is other.outputs[0]


def test_a_model_that_starts_or_ends_inside_another_one() -> None:
    x = Input((10, 3))
    hidden = layers.GRU(4, return_sequences=True, name="hidden")(x)
    whole = Model(x, layers.Dense(1)(layers.LSTM(3)(hidden)))
    head, tail = Model(whole.input, whole.get_layer("hidden").output), Model(hidden, whole.output)
    np.testing.assert_array_equal(tail(head(X)), whole(X))
    assert tail.trainable_weights[0] is whole.layers[-2].weights[0]


def test_a_sequential_has_symbols() -> None:
    model = Sequential([layers.GRU(4, return_sequences=True), layers.Dense(2), layers.Flatten()])
    with pytest.raises(AttributeError, match="has no symbols yet: its input shape is not known"):
        _ = model.input
    model.build((None, 10, 3))
    assert [symbol.shape for symbol in (*model.inputs, *model.outputs)] == [(None, 10, 3), (None, 20)]
    part = Model(model.inputs, model.layers[1].output)
    np.testing.assert_array_equal(part(X).reshape(6, -1), model(X))
    model.add(layers.Dense(1))
    assert model.output.shape == (None, 1)


def test_masks_follow_the_graph() -> None:
    x = Input((10, 3))
    masked = layers.Masking()(x)
    model = Model(x, layers.GRU(2)(layers.Dense(4)(masked)))
    padded = X.copy()
    padded[:, 6:] = 0
    np.testing.assert_allclose(model(padded), model.layers[-1](model.layers[-2](X[:, :6])), rtol=1e-6)


def test_layers_and_weights_are_listed_in_the_order_of_keras() -> None:
    """By distance from the output; expected values from keras 3.15.1."""
    x = Input((10, 3), name="x")
    late, early = layers.GRU(4, name="late"), layers.Dense(4, name="early")
    wide = layers.LSTM(4, name="wide", return_sequences=True)
    state = late(x)
    model = Model(x, layers.Dense(1, name="end")(layers.GRU(4, name="join")(wide(early(x)), initial_state=state)))
    assert [layer.name for layer in model.layers] == ["x", "early", "wide", "late", "join", "end"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Model(x, layers.Dense(1)(Input((3,)))), "graph is disconnected: .* is not among the inputs"),
        (lambda x: Model([x, x], layers.Dense(1)(x)), r"inputs must be different symbols, got .* twice"),
        (lambda x: Model(x, 3), "outputs must hold symbols, from Input and from layers, got 3"),
        (lambda x: Model(x, []), "outputs must hold at least one symbol"),
        (lambda x: Model(x, layers.Dense(1, name="a")(layers.Dense(1, name="a")(x))), "got 'a' twice"),
        (lambda x: layers.Dense(1)([x, x]), "reads one input, got 2"),
        (lambda x: layers.LSTM(2)(x, mask=np.ones((1, 10))), "a layer takes symbols or arrays, got both"),
        (lambda x: np.spacing(x), "Symbol"),
        (lambda x: float(x), "is a symbol of shape"),
        (lambda x: list(x), "is a symbol of shape"),
        (lambda x: layers.Flatten()(x) and None, "is a symbol of shape"),
        (lambda x: Sequential([layers.Dense(1)(x)]), "takes a layer or an Input, got the output of layer"),
        (lambda x: layers.LSTM(2)(layers.Dense(2)(Input((3,)))), "expects x of shape"),
        (lambda x: Model(x, layers.Dense(1)(x))(np.ones((2, 10, 4))), r"expects input of shape \(None, 10, 3\)"),
    ],
)
def test_errors(make: Callable[[Symbol], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(Input((10, 3)))


def test_layers_cannot_be_assigned_to() -> None:
    x = Input((3,))
    with pytest.raises(AttributeError, match=r"cannot be assigned to: make a new Model\(inputs, outputs\)"):
        Model(x, layers.Dense(2)(x)).layers = []
    with pytest.raises(AttributeError, match=r"layers of Sequential cannot be assigned to: use add\(\) and pop\(\)"):
        Sequential([layers.Dense(2)]).layers = []


class WithOption(Model):
    """A class of functional models with an argument of its own."""

    def __init__(self, inputs: Any, outputs: Any, param: int = 1, **options: Any) -> None:
        super().__init__(inputs, outputs, **options)
        self.param = param

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "param": self.param}


def test_from_config() -> None:
    x = Input((3,))
    config = Model(x, layers.Dense(2)(x), name="chain").get_config()
    assert Model.from_config(config).name == "chain"
    custom: Any = WithOption(x, layers.Dense(2)(x), param=3)
    assert custom.from_config(custom.get_config()).param == 3


@pytest.mark.parametrize("way", ["file", "json", "config", "clone"])
def test_outputs_in_tuples_come_back_as_tuples(way: str, tmp_path: Path) -> None:
    x = pyrnn.Input((3,))
    a, b = layers.Dense(1)(x), layers.Dense(2)(x)
    model = pyrnn.Model(x, {"pair": (a, b), "list": [b]})
    if way == "file":
        model.save(tmp_path / "m.keras")
        again = pyrnn.load_model(tmp_path / "m.keras")
    elif way == "json":
        again = pyrnn.models.model_from_json(model.to_json())
    elif way == "config":
        again = type(model).from_config(model.get_config())
    else:
        again = pyrnn.models.clone_model(model)
    outputs = again.predict(np.zeros((2, 3)), verbose=0)
    assert type(outputs["pair"]) is tuple and type(outputs["list"]) is list


def test_a_structure_of_outputs_in_a_config_that_does_not_fit() -> None:
    x = pyrnn.Input((3,))
    model = pyrnn.Model(x, [layers.Dense(1)(x), layers.Dense(2)(x)])
    with pytest.raises(ValueError, match="output_structure must have one entry for each of the 2 outputs"):
        model.build_from_config({"output_structure": {"class_name": "__tuple__", "items": [None]}})
