"""Layers without weights take the dtype of the layers with weights; those keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, Sequential, layers, ops

X = np.arange(24).reshape(2, 4, 3)


class Wave(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.sin(x) * 0.3


MIDDLES: dict[str, Callable[[Any, Any], Any]] = {
    "dropout": lambda x, dtype: layers.GaussianDropout(0.2, seed=1, dtype=dtype)(x),
    "rescaling": lambda x, dtype: layers.Rescaling(1 / 3, 0.1, dtype=dtype)(x),
    "moments": lambda x, dtype: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 2, 3], dtype=dtype)(x),
    "merge": lambda x, dtype: layers.Add(dtype=dtype)([x, layers.Softmax(dtype=dtype)(x)]),
    "wrapper": lambda x, dtype: layers.TimeDistributed(layers.Reshape((3,), dtype=dtype))(x),
    "custom": lambda x, dtype: Wave(dtype=dtype)(x),
    "lambda": lambda x, dtype: layers.Lambda(np.cos, dtype=dtype)(x),
    "operations": lambda x, _: ops.sin(x * 0.3) + x / 7,
}


def graph(middle: str, dtype: str | None, of_input: str) -> Any:
    x = Input((4, 3), dtype=of_input)
    y = layers.Dense(2, dtype="float64", kernel_initializer="ones")(MIDDLES[middle](x, dtype))
    return Model(x, ops.exp(layers.Softmax(dtype=dtype)(y)))


@pytest.mark.parametrize("of_input", ["int32", "float32"])
@pytest.mark.parametrize("middle", MIDDLES)
def test_layers_without_weights_follow(middle: str, of_input: str) -> None:
    model, explicit = graph(middle, None, of_input), graph(middle, "float64", of_input)
    assert {layer.dtype for layer in model.operations[1:]} == {"float64"}
    y = model.predict(X, verbose=0)
    assert y.dtype == np.float64
    for each in (model, explicit):
        each.compile("sgd", "mse")
        pyrnn.utils.set_random_seed(3)
        each.fit(X, y + 1, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), explicit.predict(X, verbose=0))


@pytest.mark.parametrize("middle", [name for name in MIDDLES if name not in ("custom", "lambda")])
def test_a_copy_from_the_config_agrees(middle: str) -> None:
    model = graph(middle, None, "float32")
    copy = Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("shape", [(3,), None])
def test_a_sequential_of_both(shape: Any) -> None:
    start = [] if shape is None else [Input(shape)]
    model = Sequential([*start, layers.Dropout(0.1), layers.Dense(5, dtype="float64"), layers.Softmax()])
    assert {layer.dtype for layer in model.layers} == {"float64"}
    assert model.predict(np.ones((2, 3)), verbose=0).dtype == np.float64
    with pytest.raises(ValueError, match="has dtype float32, the layers before it float64"):
        model.add(layers.Dense(2))
    assert len(model.layers) == 3


def test_weights_of_two_dtypes_are_rejected() -> None:
    x = Input((3,))
    dropout = layers.Dropout(0.1)
    with pytest.raises(ValueError, match="one dtype, got float32 and float64"):
        Model(x, layers.Dense(1, dtype="float64")(dropout(layers.Dense(2)(x))))
    assert dropout.dtype == "float32"


def test_a_layer_in_use_elsewhere_keeps_its_dtype() -> None:
    x, dropout = Input((3,)), layers.Dropout(0.1)
    model = Model(x, dropout(layers.Dense(2)(x)))
    other = Input((3,))
    with pytest.raises(ValueError, match="one dtype, got float32 and float64"):
        Model(other, dropout(layers.Dense(2, dtype="float64")(other)))
    assert dropout.dtype == "float32" and model.predict(np.ones((2, 3)), verbose=0).dtype == np.float32
