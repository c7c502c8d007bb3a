"""Activation functions by Keras's names; each runs in the backend on float32 or float64 arrays of any shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.explaining import explain, missing
from pyrnn.kinds import KINDS, Kind
from pyrnn.rules import Registered
from pyrnn.validation import lookup, shown

Array = NDArray[Any]
Activation = Callable[[Array], Array]

NAMES = [
    "linear",
    "relu",
    "tanh",
    "sigmoid",
    "leaky_relu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "softplus",
    "softsign",
    "exponential",
    "hard_sigmoid",
    "hard_tanh",
    "sparse_sigmoid",
    "softmax",
    "log_softmax",
    "sparsemax",
    "squareplus",
    "soft_shrink",
    "sparse_plus",
    "silu",
    "gelu",
    "tanh_shrink",
    "hard_silu",
    "hard_shrink",
    "mish",
    "log_sigmoid",
    "glu",
]
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def _function(name: str) -> Activation:
    def activation(x: Array) -> Array:
        x = np.asarray(x)
        if x.dtype.kind not in "fiub":
            raise TypeError(f"x must hold numbers, got {shown(x)}")
        x = np.require(x, requirements=["C", "A"])
        if x.dtype not in (np.float32, np.float64):
            x = x.astype(np.float32)
        return backend.activation_forward(x, name)

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = f"Keras's `{name}` with its default parameters, on an array of any shape."
    return activation


_REGISTRY: dict[str, Activation] = {name: _function(name) for name in NAMES}
globals().update(_REGISTRY)


def __getattr__(name: str) -> Activation:
    if name in ALIASES:
        return _REGISTRY[ALIASES[name]]
    raise missing(__name__, name)


def get(identifier: object) -> Activation:
    """The activation called ``identifier``; None is linear, one of this module's functions is itself.

    Raises:
        TypeError: for a callable of your own: the kernel runs only the activations it knows.
        ValueError: for an unknown name; close matches are suggested.
    """
    if identifier is None:
        return _REGISTRY["linear"]
    if isinstance(identifier, dict):
        identifier = identifier.get("config", identifier.get("class_name"))
    if isinstance(identifier, str):
        return lookup("activation", ALIASES.get(identifier, identifier), _REGISTRY)
    for function in _REGISTRY.values():
        if identifier is function:
            return function
    raise TypeError(
        f"activation must be a name such as 'relu' or a function of pyrnn.activations, got {shown(identifier)}; "
        "a layer or a function of your own goes after this layer: Lambda(function)"
    )


ActivationLike = Annotated[str | Activation | Mapping[str, Any] | None, Registered(get)]


def serialize(activation: Activation) -> str:
    """The name of an activation of this module."""
    return get(activation).__name__


def deserialize(name: object) -> Activation:
    """The activation a saved file names."""
    return get(name)


KINDS["activations"] = Kind(deserialize, _REGISTRY)
explain(__name__, attributes=False)
