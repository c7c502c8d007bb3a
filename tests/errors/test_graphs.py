"""Mistakes with symbols and graphs: one clear error each, before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, layers, losses, ops

A, B, Y = (np.ones((4, size), np.float32) for size in (3, 2, 1))


def two(loss: Any = "mse") -> Any:
    a, b = Input((3,), name="a"), Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    model = Model([a, b], [layers.Dense(1, name="up")(joined), layers.Dense(1, name="down")(joined)])
    model.compile("sgd", loss)
    return model


class Nothing(layers.Layer):
    def call(self, x: Any) -> Any:
        pass


GRAPHS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "another input": (lambda x, s: Model(x, layers.Dense(1)(Input((3,)))), "the graph is disconnected"),
    "an input after a layer": (lambda x, s: Model(layers.Dense(2)(x), layers.Dense(1)(x)), "the graph is disconnected"),
    "an input twice": (lambda x, s: Model([x, x], layers.Dense(1)(x)), "inputs must be different symbols"),
    "an array as output": (lambda x, s: Model(x, A), "outputs must hold symbols, from Input and from layers"),
    "an array as input": (lambda x, s: Model(A, layers.Dense(1)(x)), "inputs must hold symbols"),
    "a layer as output": (lambda x, s: Model(x, layers.Dense(1)), "outputs must hold symbols, .* got <Dense"),
    "a name twice": (lambda x, s: Model(x, layers.Dense(1, name="q")(layers.Dense(1, name="q")(x))), "'q' twice"),
    "two dtypes": (lambda x, s: Model(x, layers.Dense(1, dtype="float64")(layers.Dense(1)(x))), "must have one dtype"),
    "an array and a symbol": (lambda x, s: layers.Concatenate()([A, x]), "symbols or arrays, got both"),
    "a model of both": (lambda x, s: two()([A, Input((2,))]), "symbols or arrays, got both"),
    "a condition": (lambda x, s: 1 if x > 0 else 2, "without numbers: .* instead of `if` and loops"),
    "a loop": (lambda x, s: list(x), "without numbers"),
    "a loss": (lambda x, s: losses.mse(Y, x), "y_pred must hold numbers: .* without numbers"),
    "features of Add": (lambda x, s: layers.Add()([x, Input((4,))]), "do not broadcast"),
    "steps of Concatenate": (lambda x, s: layers.Concatenate()([s, Input((4, 3))]), "same sizes along all axes but -1"),
    "an axis of Dot": (lambda x, s: layers.Dot(axes=1)([x, Input((4,))]), "same size along axes 1 and 1"),
    "a sum": (lambda x, s: x + Input((4,)), r"ops\.add\(\)"),
    "a product": (lambda x, s: ops.matmul(s, s), r"ops\.matmul\(\)"),
    "features of Attention": (lambda x, s: layers.Attention()([s, Input((5, 4))]), "as many features"),
    "two inputs of Dense": (lambda x, s: layers.Dense(1)([x, x]), "reads one input, got 2"),
    "too few states": (lambda x, s: layers.LSTM(3)(s, initial_state=[x]), r"initial_state must be 2 array\(s\)"),
    "units of a state": (lambda x, s: layers.GRU(4)(s, initial_state=x), r"\(batch, units\) = \(1, 4\), got shapes"),
    "states of one direction": (
        lambda x, s: layers.Bidirectional(layers.GRU(3))(s, initial_state=[x]),
        "initial_state must be a list of 2 arrays",
    ),
    "states of two cells": (
        lambda x, s: layers.RNN([layers.GRUCell(3), layers.LSTMCell(3)])(s, initial_state=[x, x]),
        "initial_state must hold 3 arrays, got 2",
    ),
    "states of Dense": (lambda x, s: layers.Dense(3)(s, initial_state=x), "state"),
    "a model's features": (lambda x, s: Model(x, layers.Dense(1)(x))(Input((4,))), "expects input of shape"),
    "a model's inputs": (lambda x, s: two()(x), "x must hold 2 arrays"),
    "a model of two inputs per step": (lambda x, s: layers.TimeDistributed(two())(s), "reads 2 inputs"),
    "no result of call": (lambda x, s: Nothing()(x), "must return what layers and ops made of its input, got None"),
    "a symbol in a stack": (lambda x, s: pyrnn.Sequential([layers.Dense(1)(x)]), "takes a layer or an Input"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_symbols(name: str) -> None:
    call, message = GRAPHS[name]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call(Input((3,)), Input((5, 3)))
    assert len(str(caught.value).splitlines()) == 1


X, YS = [A, B], [Y, Y]
DATA: dict[str, tuple[Callable[[Any], Any], str]] = {
    "too few inputs": (lambda fit: fit([A], YS), r"x must hold 2 arrays, one for each input .*\('a', 'b'\), got 1"),
    "one array": (lambda fit: fit(A, YS), "x must hold 2 arrays"),
    "a missing key": (lambda fit: fit({"a": A}, YS), "'b' is missing"),
    "swapped inputs": (lambda fit: fit([B, A], YS), r"expects input 'a' of shape \(None, 3\), got \(4, 2\)"),
    "a symbol in x": (lambda fit: fit([A, Input((2,))], YS), r"x\['b'\] must hold numbers: .* is a symbol"),
    "a symbol in y": (lambda fit: fit(X, [Y, Input((1,))]), r"y\['down'\] must hold numbers: .* is a symbol"),
    "too many targets": (lambda fit: fit(X, [Y, Y, Y]), "y must hold 2 arrays, .* got 3"),
    "an unknown output": (lambda fit: fit(X, {"up": Y, "side": Y}), "unknown key 'side'"),
    "a missing output": (lambda fit: fit(X, {"up": Y}), "targets for output 'down'"),
    "rows": (lambda fit: fit(X, [Y, Y[:2]]), r"y\['down'\] must have one row for each of the 4 samples"),
    "units": (lambda fit: fit(X, [Y, A]), "output 'down': y_true must have the shape of y_pred"),
    "weights of an unknown output": (lambda fit: fit(X, YS, sample_weight={"side": Y}), "sample_weight must hold 2"),
    "too few weights": (lambda fit: fit(X, YS, sample_weight=[Y]), "sample_weight must hold 2 arrays"),
    "class weights": (lambda fit: fit(X, YS, class_weight={0: 1.0}), "class_weight works only with models with one"),
    "validation": (lambda fit: fit(X, YS, validation_data=([A], YS)), "validation_data: x must hold 2 arrays"),
    "batches": (lambda fit: fit(iter([([A], YS)] * 3), steps_per_epoch=2), "x must hold 2 arrays"),
}


@pytest.mark.parametrize("name", DATA)
def test_data(name: str) -> None:
    call, message = DATA[name]
    model = two()
    before = [weight.tobytes() for weight in model.get_weights()]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call(lambda *args, **options: model.fit(*args, verbose=0, **options))
    assert len(str(caught.value).splitlines()) == 1
    assert [weight.tobytes() for weight in model.get_weights()] == before and model.optimizer.iterations == 0


@pytest.mark.parametrize("loss", [{"up": "mse", "side": "mse"}, ["mse"]])
def test_losses(loss: Any) -> None:
    with pytest.raises(ValueError, match="loss"):
        two(loss)


class WrongCall(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.mean(x, axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class WrongForward(layers.Layer):
    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x[:, :1]

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return np.repeat(dy, 3, axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            WrongCall,
            r"call of layer 'wrong' \(WrongCall\) must return the shape of compute_output_shape, \(4, 3\), got \(4",
        ),
        (WrongForward, r"forward of layer 'wrong' \(WrongForward\) .* \(4, 3\), got \(4, 1\)"),
    ],
)
def test_a_layer_that_returns_something_else_than_it_declared(layer: Any, message: str) -> None:
    x = Input((3,))
    model = Model(x, layers.Dense(1)(layer(name="wrong")(x)))
    model.compile("sgd", "mse")
    before = [weight.tobytes() for weight in model.get_weights()]
    with pytest.raises(ValueError, match=message):
        model.fit(A, Y, verbose=0)
    assert [weight.tobytes() for weight in model.get_weights()] == before
