"""Activation functions under Keras's names, computed by the backend in float32 or float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.explaining import explain, missing
from pyrnn.function_rules import Registered
from pyrnn.kinds import KINDS, Kind
from pyrnn.validation import lookup, shown

Array = NDArray[Any]
Activation = Callable[[Array], Array]

# Every activation with its formula, for its docstring; sigma is the sigmoid.
FORMULAS = {
    "linear": "x",
    "relu": "max(x, 0)",
    "tanh": "tanh(x)",
    "sigmoid": "1 / (1 + exp(-x))",
    "leaky_relu": "x if x > 0, else 0.2 x",
    "relu6": "min(max(x, 0), 6)",
    "elu": "x if x > 0, else exp(x) - 1",
    "selu": "s x if x > 0, else s a (exp(x) - 1), with s = 1.0507 and a = 1.6733",
    "celu": "x if x > 0, else exp(x) - 1",
    "softplus": "log(1 + exp(x))",
    "softsign": "x / (1 + |x|)",
    "exponential": "exp(x)",
    "hard_sigmoid": "relu6(x + 3) / 6",
    "hard_tanh": "min(max(x, -1), 1)",
    "sparse_sigmoid": "min(max((x + 1) / 2, 0), 1)",
    "softmax": "exp(x) / sum(exp(x)) along the last axis",
    "log_softmax": "log(softmax(x)) along the last axis",
    "sparsemax": "the closest point of the probability simplex, along the last axis (Martins and Astudillo 2016)",
    "squareplus": "(x + sqrt(x**2 + 4)) / 2",
    "soft_shrink": "sign(x) max(|x| - 0.5, 0)",
    "sparse_plus": "0 if x <= -1, (x + 1)**2 / 4 if x < 1, else x",
    "silu": "x sigma(x)",
    "gelu": "x (1 + erf(x / sqrt(2))) / 2",
    "tanh_shrink": "x - tanh(x)",
    "hard_silu": "x hard_sigmoid(x)",
    "hard_shrink": "x if |x| > 0.5, else 0",
    "mish": "x tanh(softplus(x))",
    "log_sigmoid": "log(sigma(x))",
    "glu": "a sigma(b), with a and b the two halves of x along the last axis",
}
NAMES = list(FORMULAS)
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
_DOCSTRING = """Compute {formula}.

Args:
    x: Array of numbers of any shape (..., n).

Returns:
    An array of shape (..., {width}), float64 if x is float64, otherwise float32.

Raises:
    TypeError: If `x` does not hold numbers.

Example:
    >>> import numpy as np, pyrnn
    >>> pyrnn.activations.{name}(np.zeros((3, 2))).shape
    (3, {columns})
"""


def _function(name: str) -> Activation:
    def activation(x: Array) -> Array:
        x = np.asarray(x)
        if x.dtype.kind not in "fiub":
            raise TypeError(f"x must hold numbers, got {shown(x)}")
        x = np.require(x, requirements=["C", "A"])
        if x.dtype not in (np.float32, np.float64):
            x = x.astype(np.float32)
        return backend.activation_forward(x, name)

    width, columns = ("n / 2", 1) if name == "glu" else ("n", 2)
    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = _DOCSTRING.format(name=name, formula=FORMULAS[name], width=width, columns=columns)
    return activation


_REGISTRY: dict[str, Activation] = {name: _function(name) for name in NAMES}
globals().update(_REGISTRY)


def __getattr__(name: str) -> Activation:
    if name in ALIASES:
        return _REGISTRY[ALIASES[name]]
    raise missing(__name__, name)


def get(identifier: object) -> Activation:
    """Return an activation function.

    Args:
        identifier: A name such as "relu", one of the functions of this module, Keras's description of a function, or
            None for "linear".

    Returns:
        The function of this module.

    Raises:
        TypeError: If `identifier` is another function: the kernel runs only the activations it knows.
        ValueError: If the name is unknown; the message suggests similar ones.

    Example:
        >>> import pyrnn
        >>> pyrnn.activations.get("swish").__name__
        'silu'
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
        "for a custom function, add the layer Lambda(function) after this one"
    )


ActivationLike = Annotated[str | Activation | Mapping[str, Any] | None, Registered(get)]


def serialize(activation: Activation) -> str:
    """Return the name of an activation, as files store it.

    Args:
        activation: A function of this module, or anything else that `get` accepts.

    Returns:
        The name.

    Raises:
        TypeError, ValueError: If `get` does not accept it.

    Example:
        >>> import pyrnn
        >>> pyrnn.activations.serialize(pyrnn.activations.tanh)
        'tanh'
    """
    return get(activation).__name__


def deserialize(name: object) -> Activation:
    """Return the activation that a file names.

    Args:
        name: What `serialize` returned, or anything else that `get` accepts.

    Returns:
        The function of this module.

    Raises:
        TypeError, ValueError: If `get` does not accept it.

    Example:
        >>> import pyrnn
        >>> pyrnn.activations.deserialize("tanh").__name__
        'tanh'
    """
    return get(name)


KINDS["activations"] = Kind(deserialize, _REGISTRY)
explain(__name__, attributes=False)
