"""Functions and layers as activations: outputs, training and files are those of Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from twins import check_twins

import pyrnn

RNG = np.random.default_rng(6)
X = RNG.normal(size=(6, 5, 3)).astype("float32")
X[0, 3:] = X[1, :2] = 0
TERMS = 600


def gated(k: Any) -> Any:
    def activation(x: Any) -> Any:
        return x * k.ops.sigmoid(2.0 * x)

    return activation


def leaky(k: Any) -> Any:
    def activation(x: Any) -> Any:
        return k.activations.relu(x, negative_slope=0.1, max_value=2.0)

    return activation


def tanh_gelu(k: Any) -> Any:
    def activation(x: Any) -> Any:
        return k.activations.gelu(x, approximate=True)

    return activation


def of_ops(k: Any) -> Any:
    return k.ops.softsign


def layer(k: Any) -> Any:
    return k.layers.LeakyReLU(negative_slope=0.2)


def limited_layer(k: Any) -> Any:
    return k.layers.ReLU(max_value=1.5, negative_slope=0.1)


def learned_layer(k: Any) -> Any:
    return k.layers.PReLU(alpha_initializer="ones")


FUNCTIONS = [gated, leaky, tanh_gelu, of_ops, layer, limited_layer]
HOLDERS: dict[str, Callable[[Any, Any], Any]] = {
    "Dense": lambda k, f: k.layers.Dense(4, activation=f),
    "Activation": lambda k, f: k.layers.Activation(f),
    "Conv1D": lambda k, f: k.layers.Conv1D(4, 2, activation=f),
    "SeparableConv1D": lambda k, f: k.layers.SeparableConv1D(4, 2, activation=f),
    "SimpleRNN": lambda k, f: k.layers.SimpleRNN(4, activation=f, return_sequences=True),
    "LSTM": lambda k, f: k.layers.LSTM(4, activation=f),
    "LSTM gates": lambda k, f: k.layers.LSTM(4, recurrent_activation=f, return_sequences=True, go_backwards=True),
    "GRU": lambda k, f: k.layers.GRU(4, activation=f, recurrent_activation=f),
    "GRU reset before": lambda k, f: k.layers.GRU(4, activation=f, reset_after=False),
    "GRUCell": lambda k, f: k.layers.RNN(k.layers.GRUCell(4, activation=f)),
}
CASES = [
    *((holder, gated) for holder in HOLDERS),
    *((holder, function) for holder in ("Dense", "LSTM") for function in FUNCTIONS[1:]),
    ("Dense", learned_layer),
    ("Conv1D", learned_layer),
]


@pytest.mark.parametrize(("holder", "make"), CASES, ids=[f"{holder}-{make.__name__}" for holder, make in CASES])
def test_outputs_training_and_files_are_those_of_keras(holder: str, make: Any, tmp_path: Path) -> None:
    functions = {k: make(k) for k in (keras, pyrnn)}
    models = []
    for k in (keras, pyrnn):
        model = k.Sequential([k.Input((5, 3)), k.layers.Masking()] if "Conv" not in holder else [k.Input((5, 3))])
        model.add(HOLDERS[holder](k, functions[k]))
        model.add(k.layers.Flatten())
        model.add(k.layers.Dense(1))
        models.append(model)
    theirs, ours = models
    scopes = {k: {"activation": function} for k, function in functions.items()}
    check_twins(theirs, ours, X, scopes, tmp_path, TERMS)
