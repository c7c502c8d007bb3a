"""Activation functions under Keras's names, computed by the backend in float32 or float64."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.explaining import explain, missing
from pyrnn.function_rules import Registered, takes
from pyrnn.kinds import KINDS, Kind
from pyrnn.registry import describe_callable, is_custom, registered_as, with_objects
from pyrnn.rules import Axes
from pyrnn.typing import Axis, Finite, Flag, Inputs, NonNegative, Positive
from pyrnn.validation import WrongType, lookup, shown, warn_of_ones

Array = NDArray[Any]
Activation = Callable[..., Array]

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
    x: Array of numbers of any shape (..., n).{arguments}

Returns:
    An array of shape (..., {width}), float64 if x is float64, otherwise float32.

Raises:
    TypeError: If `x` does not hold numbers.

Example:
    >>> import numpy as np, pyrnn
    >>> pyrnn.activations.{name}(np.zeros((3, 2))).shape
    (3, {columns})
"""
_DESCRIPTIONS = {
    "alpha": "Factor below 0; of celu, also the divisor of x there, so it is above 0.",
    "approximate": "Whether to use x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))) / 2.",
    "axis": "The axis, or a list of axes for softmax and log_softmax, in place of the last one.",
    "b": "What is added to x**2.",
    "max_value": "Largest value, or None.",
    "negative_slope": "Slope below the threshold.",
    "threshold": "Values up to it become 0.",
}


# The functions that have arguments. Layers and files use the defaults, for which the kernel runs.


def _relu(
    x: Inputs, negative_slope: Finite = 0.0, max_value: NonNegative | None = None, threshold: Finite = 0.0
) -> Array:
    y = np.where(x > threshold, x, 0)
    if max_value is not None:
        y = y.clip(0, max_value)
    # Keras subtracts the part below the threshold, also where the threshold is not 0.
    return y - negative_slope * np.maximum(threshold - x, 0) if negative_slope else y


def _leaky_relu(x: Inputs, negative_slope: Finite = 0.2) -> Array:
    y: Array = np.where(x > 0, x, negative_slope * x)
    return y


def _elu(x: Inputs, alpha: Finite = 1.0) -> Array:
    y: Array = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y


def _celu(x: Inputs, alpha: Positive = 1.0) -> Array:
    y: Array = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))
    return y


def _soft_shrink(x: Inputs, threshold: Finite = 0.5) -> Array:
    y: Array = np.sign(x) * np.maximum(np.abs(x) - threshold, 0)
    return y


def _hard_shrink(x: Inputs, threshold: Finite = 0.5) -> Array:
    return np.where(np.abs(x) > threshold, x, 0)


def _squareplus(x: Inputs, b: Finite = 4) -> Array:
    y: Array = (x + np.sqrt(x * x + b)) / 2
    return y


def _gelu(x: Inputs, approximate: Flag = False) -> Array:
    if not approximate:
        return backend.activation_forward(x, "gelu")
    y: Array = x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    return y


def _along(name: str) -> Callable[..., Array]:
    def function(x: Inputs, axis: Axis = -1) -> Array:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axis must be one of the {x.ndim} axes of x, got {axis}")
        y = backend.activation_forward(np.require(np.moveaxis(x, axis, -1), requirements=["C", "A"]), name)
        return np.moveaxis(y, -1, axis)

    return function


def _along_several(name: str) -> Callable[..., Array]:
    """The function along one axis, or over several as if they were one."""
    along = _along(name)

    def function(x: Inputs, axis: Annotated[int | Sequence[int], Axes()] = -1) -> Array:
        if not isinstance(axis, list | tuple):
            return along(x, axis)
        if not axis or not all(-x.ndim <= each < x.ndim for each in axis):
            raise ValueError(f"axis must be some of the {x.ndim} axes of x, got {axis}")
        last = tuple(range(-len(axis), 0))
        moved = np.moveaxis(x, axis, last)
        y = along(moved.reshape(*moved.shape[: -len(axis)], -1), -1)
        return np.moveaxis(y.reshape(moved.shape), last, axis)

    return function


_WITH_ARGUMENTS: dict[str, Callable[..., Array]] = {
    "relu": _relu, "leaky_relu": _leaky_relu, "elu": _elu, "celu": _celu, "soft_shrink": _soft_shrink,
    "hard_shrink": _hard_shrink, "squareplus": _squareplus, "gelu": _gelu,
    **{name: _along_several(name) for name in ("softmax", "log_softmax")},
    **{name: _along(name) for name in ("sparsemax", "glu")},
}  # fmt: skip
for _name, _variant in _WITH_ARGUMENTS.items():
    _variant.__name__ = _variant.__qualname__ = _name
# The names of their arguments next to x.
ARGUMENTS = {name: list(inspect.signature(variant).parameters)[1:] for name, variant in _WITH_ARGUMENTS.items()}


# Packages with symbols, and with arrays that are traced.
_HAVE_NO_NUMBERS = ("pyrnn", "autograd")


def _has_no_numbers(x: Any) -> bool:
    return not isinstance(x, np.ndarray | np.generic) and type(x).__module__.partition(".")[0] in _HAVE_NO_NUMBERS


def _floats(values: Any) -> Array:
    """x as the kernel takes it."""
    x = np.asarray(values)
    if x.dtype.kind not in "fiub":
        raise WrongType(f"x must hold numbers, got {shown(x)}")
    x = np.require(x, requirements=["C", "A"])
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)


def _function(name: str) -> Activation:
    variant = checked(_WITH_ARGUMENTS[name]) if name in _WITH_ARGUMENTS else None

    def activation(x: Array, *args: Any, **kwargs: Any) -> Array:
        if _has_no_numbers(x):
            return ON_SYMBOLS[name](x, *args, **kwargs)
        x = _floats(x)
        if name == "softmax":
            warn_of_ones(args[0] if args else kwargs.get("axis", -1), x.shape)
        if not args and not kwargs:
            return backend.activation_forward(x, name)
        if variant is None:
            raise TypeError(
                f"{name} takes x only, got {len(args) + len(kwargs)} more arguments: {shown(args or kwargs)}"
            )
        return np.asarray(variant(x, *args, **kwargs), x.dtype)

    width, columns = ("n / 2", 1) if name == "glu" else ("n", 2)
    texts = "".join(f"\n    {argument}: {_DESCRIPTIONS[argument]}" for argument in ARGUMENTS.get(name, ()))
    activation.__name__ = activation.__qualname__ = name
    if variant is None:
        activation.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect reads
            [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        )
    else:
        activation.__wrapped__ = _WITH_ARGUMENTS[name]  # type: ignore[attr-defined]  # signature and rules
    activation.__doc__ = _DOCSTRING.format(
        name=name, formula=FORMULAS[name], width=width, columns=columns, arguments=texts
    )
    return activation


_REGISTRY: dict[str, Activation] = {name: _function(name) for name in NAMES}
globals().update(_REGISTRY)


@checked
def threshold(x: Inputs, threshold: Finite, default_value: Finite) -> Array:
    """Compute x if x > threshold, else default_value. Layers take it as `lambda x: threshold(x, 0.5, 0.0)`.

    Args:
        x: Array of numbers of any shape (...), or a symbol.
        threshold: Values up to it become the default value.
        default_value: What they become.

    Returns:
        An array of the shape of x, float64 if x is float64, otherwise float32; a symbol if x is one.

    Raises:
        TypeError: If `x` does not hold numbers.

    Example:
        >>> import numpy as np, pyrnn
        >>> pyrnn.activations.threshold(np.array([0.25, 0.75]), 0.5, -1.0)
        array([-1.  ,  0.75])
    """
    if _has_no_numbers(x):
        return ON_SYMBOLS["threshold"](x, threshold, default_value)
    array = _floats(x)
    return np.where(array > threshold, array, array.dtype.type(default_value))


def __getattr__(name: str) -> Activation:
    if name in ALIASES:
        return _REGISTRY[ALIASES[name]]
    raise missing(__name__, name)


# Functions of the packages above that compute the same as one here: its name.
EQUIVALENT: dict[Any, str] = {}
# For each activation, the function that runs it on symbols and on arrays that autograd traces; `pyrnn.ops` enters them.
ON_SYMBOLS: dict[str, Activation] = {}


# The name by which the kernel runs a function of this module, by the `id` of the function.
KERNEL_NAMES = {id(function): name for name, function in _REGISTRY.items()}


def get(identifier: object) -> Activation:
    """Return an activation function.

    Args:
        identifier: A name such as "relu", the name of a registered custom function, a function of this module or of the
            user, a layer, Keras's description of one of these, or None for "linear".

    Returns:
        A function of this module, for which the kernel runs; or the function or layer itself.

    Raises:
        TypeError: If `identifier` is none of these.
        ValueError: If the name is unknown; the message suggests similar ones.

    Example:
        >>> import pyrnn
        >>> pyrnn.activations.get("swish").__name__
        'silu'
    """
    if identifier is None:
        return _REGISTRY["linear"]
    if isinstance(identifier, Mapping):
        name = identifier.get("config", identifier.get("class_name"))
        is_ours = isinstance(name, str) and name in (_REGISTRY.keys() | ALIASES) and not is_custom(identifier)
        identifier = name if is_ours or not isinstance(identifier.get("config"), Mapping | str) else identifier
    if isinstance(identifier, Mapping):
        try:
            return get(with_objects({"module": "keras.layers", **identifier}, "activation"))
        except (TypeError, ValueError) as error:
            message = str(error)
            raise type(error)(message if "activation" in message else f"activation: {message}") from error
    if isinstance(identifier, str):
        custom = registered_as(identifier) if identifier not in _REGISTRY else None
        if custom is None and identifier == "threshold":
            raise ValueError("the activation 'threshold' needs numbers: pass lambda x: threshold(x, 0.5, 0.0)")
        return custom or lookup("activation", ALIASES.get(identifier, identifier), _REGISTRY)
    name = EQUIVALENT.get(identifier) if isinstance(identifier, types.FunctionType) else None
    if name is not None:
        return _REGISTRY[name]
    is_cell = hasattr(identifier, "state_size")
    if not callable(identifier) or isinstance(identifier, type) or is_cell or not takes(identifier, 1):
        raise WrongType(
            f"activation must be a name such as 'relu', a function of an array or a layer, got {shown(identifier)}"
        )
    return identifier


ActivationLike = Annotated[str | Activation | Mapping[str, Any] | None, Registered(get, "x")]


def serialize(activation: Activation) -> Any:
    """Return the name of an activation, as files store it.

    Args:
        activation: A function of this module, or anything else that `get` accepts.

    Returns:
        The name; for a custom function or a layer, its description.

    Raises:
        TypeError, ValueError: If `get` does not accept it.

    Example:
        >>> import pyrnn
        >>> pyrnn.activations.serialize(pyrnn.activations.tanh)
        'tanh'
    """
    function = get(activation)
    name = KERNEL_NAMES.get(id(function))
    if name is not None:
        return name
    description, shape = describe_callable(function, "activation"), getattr(function, "build_shape", None)
    return description if shape is None else {**description, "build_config": {"input_shape": shape}}


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
