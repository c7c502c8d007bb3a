"""How Keras describes operations in a file: their classes and modules, and which arguments belong to the class.

Source: keras/src/ops/{numpy,nn,math,linalg,core}.py of Keras 3.15.1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.parameters import Weight
from pyrnn.structures import leaves
from pyrnn.symbols import Symbol
from pyrnn.validation import shown, unknown_name

# Arguments that each call passes; all others are fixed when Keras makes the object.
_CALLED = frozenset(
    (
        "x",
        "y",
        "x1",
        "x2",
        "xs",
        "condition",
        "operands",
        "indices",
        "updates",
        "start_indices",
        "key",
        "target",
        "output",
        "fill_value",
        "rtol",
        "atol",
        "constant_values",
    )
)
# Entries of a config that are no arguments of the operation.
_NEUTRAL = ("name", "dtype", "trainable")
_PACKAGE = "keras.src.ops"
_MODULES = {
    "numpy": "", "core": "cast slice slice_update stop_gradient unstack", "linalg": "norm",
    "math": "erf logsumexp rsqrt top_k",
    "nn": "binary_crossentropy categorical_crossentropy celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh "
    "leaky_relu log_sigmoid log_softmax mish moments normalize one_hot relu relu6 selu sigmoid silu soft_shrink "
    "softmax softplus softsign sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus "
    "tanh_shrink threshold",
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def class_name(operation: str) -> str:
    """Return the name of Keras's class.

    Args:
        operation: name of an operation.
    """
    return "Absolute" if operation == "abs" else "".join(word.capitalize() for word in operation.split("_"))


_CLASSES = {class_name(name): function for name, function in OPERATIONS.items()}


def is_operation(description: Mapping[str, Any]) -> bool:
    """Return whether a description is of an operation; some have the names of layers.

    Args:
        description: the description.
    """
    return str(description.get("module")).startswith(_PACKAGE)


def describe(operation: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Describe an operation as Keras does.

    Args:
        operation: its name.
        config: the name in the model and the arguments that belong to the class, in plain values.

    Returns:
        The description.
    """
    name = class_name(operation)
    module = f"{_PACKAGE}.{_MODULE_OF.get(operation, 'numpy')}"
    return {"module": module, "class_name": name, "config": config, "registered_name": name}


def function_of(description: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the operation that a description names.

    Args:
        description: the description.

    Raises:
        ValueError: if pyrnn does not have it.
    """
    name = description.get("class_name")
    if not isinstance(name, str) or name not in _CLASSES:
        raise ValueError(unknown_name("operation", name, _CLASSES))
    return _CLASSES[name]


def options_of(function: Callable[..., Any], config: Any) -> dict[str, Any]:
    """Return the arguments in a config that an operation has.

    Args:
        function: the operation.
        config: the config of a description.

    Raises:
        ValueError: if it holds others that mean something.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"the config of an operation must be a dict, got {shown(config)}")
    parameters = inspect.signature(function).parameters
    options = {}
    for name, value in config.items():
        if name in parameters and name not in _CALLED:
            options[name] = value
        elif name not in _NEUTRAL and not _is_default(function.__name__, name, value):
            raise ValueError(f"ops.{function.__name__}() of pyrnn has no argument {name!r}, got {shown(value)}")
    return options


def _is_default(operation: str, name: str, value: Any) -> bool:
    """Return whether an argument that pyrnn does not have has Keras's default."""
    return value is None or value is False or (operation, name, value) == ("squareplus", "b", 4)


def split(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Split the arguments of an operation into those of Keras's call and those of its class.

    Args:
        function: the operation.
        args: positional arguments.
        kwargs: keyword arguments.

    Returns:
        Positional and keyword arguments of the call, and the options of the class. An option that holds a symbol or
        a weight, which has no place in a config, is a keyword argument of the call.

    Raises:
        TypeError: if the arguments do not fit the signature.
    """
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"ops.{function.__name__}(): {error}") from None
    passed = set(bound.arguments)
    bound.apply_defaults()
    positional: list[Any] = []
    called: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            positional += value
        elif name in _CALLED and name in passed:
            if called or name == "constant_values":  # which Keras passes by name
                called[name] = value
            else:
                positional.append(value)
        elif name in _CALLED or any(isinstance(leaf, Symbol | Weight) for leaf in leaves(value)):
            called.update({name: value} if name in passed else {})
        else:
            options[name] = value
    return positional, called, options


def joined(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of an operation from those of Keras's call and those of its class.

    Args:
        function: the operation.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        options: arguments of the class.

    Returns:
        Positional and keyword arguments.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return [*options.values(), *args], dict(kwargs)
    names = [each.name for each in parameters if each.name in _CALLED]
    if len(args) > len(names):
        raise TypeError(f"ops.{function.__name__}() takes {len(names)} arrays, got {len(args)}")
    return [], {**dict(zip(names, args, strict=False)), **kwargs, **options}
