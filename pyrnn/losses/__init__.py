"""Losses by Keras's names, and some for forecasts, each with its gradient."""

# ruff: noqa: F403, F405
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.explaining import explain
from pyrnn.function_rules import FunctionOf
from pyrnn.kinds import KINDS, Kind
from pyrnn.losses.alignment import same_rank
from pyrnn.losses.base import *
from pyrnn.losses.classification import *
from pyrnn.losses.crossentropy import *
from pyrnn.losses.custom import *
from pyrnn.losses.forecasting import *
from pyrnn.losses.overlap import *
from pyrnn.losses.regression import *
from pyrnn.ops.differentiation import is_traced
from pyrnn.results import as_result
from pyrnn.rules import Configurable, Either, Unchecked
from pyrnn.typing import CustomObjects
from pyrnn.validation import lookup

CLASSES = registry.classes_in(globals(), Loss, Elementwise, FunctionLoss)
NAMES: dict[str, type[Loss]] = registry.by_name(CLASSES, lambda cls: cls.default_name) | {
    "huber": Huber,
    "kullback_leibler_divergence": KLDivergence,
}
# Aliases that Keras has for the class alone, not for its function.
_OF_CLASSES = {"bce", "BCE", "smape"}


_FUNCTION_DOC = """Return the value of each sample, as `{name}` computes it.

    Args:
        y_true: Targets, shape (batch, ...), as the class expects them.
        y_pred: Outputs of the model, shape (batch, ...).
{arguments}
    Returns:
        One value per sample (and time step), usually of shape `y_pred.shape[:-1]`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the shapes do not match, or an argument is out of its range.

    Example:
{example}
    """


def _function(name: str) -> Any:
    """Return Keras's function form of a loss; its docstring takes arguments and example from that of the class."""
    cls = NAMES[name]
    pair = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("y_true", "y_pred")]
    every = inspect.signature(cls).parameters.values()
    options = [each for each in every if each.name not in ("reduction", "name", "dtype")]
    signature = inspect.Signature([*pair, *options])

    def loss(*arguments: Any, **named: Any) -> Any:
        options = signature.bind(*arguments, **named).arguments
        if is_traced(options["y_pred"]):
            y_true, y_pred = options.pop("y_true"), options.pop("y_pred")
            return cls(**options, reduction="none")(y_true, y_pred)
        y_true, y_pred = (as_array(each, options.pop(each)) for each in ("y_true", "y_pred"))
        if issubclass(cls, Elementwise):
            y_true, y_pred = same_rank(y_true, y_pred)
        return as_result(np.asarray(cls(**options, reduction="none")(y_true, y_pred)))

    loss.__signature__ = signature  # type: ignore[attr-defined]  # what inspect reads
    loss.__name__ = loss.__qualname__ = name
    parts = (cls.__doc__ or "").partition("    Args:\n")[2]
    example = parts.partition("    Example:\n")[2].partition("\n\n")[0].rstrip()
    loss.__doc__ = _FUNCTION_DOC.format(
        name=cls.__name__, arguments=parts.partition("        reduction:")[0], example=example
    )
    return loss


FUNCTIONS: dict[str, Any] = {
    name: _function(name)
    for name in [*(cls.default_name for cls in CLASSES if cls is not Huber), "huber", "kullback_leibler_divergence"]
}
FUNCTIONS["huber_loss"] = FUNCTIONS["huber"]
FUNCTIONS["circle"] = circle
FUNCTIONS |= {
    alias: FUNCTIONS[cls.default_name]
    for cls in CLASSES
    for alias in vars(cls).get("aliases", ())
    if alias not in _OF_CLASSES
}
globals().update(FUNCTIONS)
# Called with what is not a loss, by name, class or object: each raises an error for what it can explain better.
REJECTIONS: list[Callable[[Any], None]] = []

LossLike = Annotated[
    str | Loss | Callable[..., Any] | Mapping[str, Any] | Sequence[Any] | None, Unchecked(allowed="none function")
]


def get(identifier: Any) -> Any:
    """Return the loss or the function for a name, a description, a class, an object or a function.

    Args:
        identifier: The name of a function ("mse") or of a class ("MeanSquaredError"), a dictionary that `serialize`
            returned, a `Loss` or its class, a function of (y_true, y_pred), or None.

    Returns:
        The function for its name and for a function, else the `Loss`; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown, or names a metric.

    Example:
        >>> pyrnn.losses.get("mse").__name__
        'mean_squared_error'
        >>> pyrnn.losses.get("MeanSquaredError").name
        'mean_squared_error'
    """
    if registry.is_function(identifier):
        return registry.described_function("loss", identifier, FUNCTIONS)
    loss = as_loss(identifier)
    names_function = isinstance(identifier, str) and registry.registered_as(identifier) is None
    if loss is not None and names_function and identifier != type(loss).__name__:
        return FUNCTIONS[loss.default_name]
    if isinstance(loss, FunctionLoss) and loss is not identifier:
        return loss.fn
    return identifier if callable(identifier) and not isinstance(identifier, type) else loss


def as_loss(identifier: Any) -> Loss | None:
    """Return the `Loss` that trains a model, for whatever `compile` takes.

    Args:
        identifier: What `get` takes. A custom function of (y_true, y_pred) is wrapped by `FunctionLoss`.

    Returns:
        The loss; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown, or names a metric.

    Example:
        >>> pyrnn.losses.as_loss("mse").name
        'mean_squared_error'
    """
    if isinstance(identifier, dict) and (registry.is_function(identifier) or "class_name" not in identifier):
        identifier = registry.described_function("loss", identifier, NAMES)
    elif isinstance(identifier, dict):
        identifier = registry.get("loss", identifier, NAMES, Loss)
    elif isinstance(identifier, str):
        registered = registry.registered_as(identifier)
        if registered is None and identifier not in NAMES:
            _reject(identifier)
        if registered is not None and not isinstance(registered, type):
            identifier = registered
    if not isinstance(identifier, str):
        _reject(identifier)
    if callable(identifier) and not isinstance(identifier, type | Loss):
        name = getattr(identifier, "__name__", "")
        return lookup("loss", name, NAMES)() if identifier is FUNCTIONS.get(name) else FunctionLoss(identifier)
    return registry.get("loss", identifier, NAMES, Loss)


def _reject(identifier: Any) -> None:
    for reject in REJECTIONS:
        reject(identifier)


@checked
def deserialize(
    name: Annotated[Any, Unchecked(allowed="none function")], custom_objects: CustomObjects | None = None
) -> Any:
    """Return the loss or the function for a name or a description.

    Args:
        name: The name, or a dictionary that `serialize` returned.
        custom_objects: Custom classes and functions by name.

    Returns:
        The function for its name or description, else the `Loss`; None for None.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> pyrnn.losses.deserialize(pyrnn.losses.serialize(pyrnn.losses.Huber(2.0))).delta
        2.0
    """
    with registry.custom_object_scope(custom_objects):
        return get(name)


@checked
def serialize(
    loss: Annotated[Any, Either(FunctionOf("y_true", "y_pred"), Configurable())] | None,
) -> dict[str, Any] | None:
    """Return Keras's description of a loss.

    Args:
        loss: The loss, a function of (y_true, y_pred), or None.

    Returns:
        A dictionary that `deserialize` accepts; None for None.

    Raises:
        TypeError: If `loss` is neither.

    Example:
        >>> pyrnn.losses.serialize(pyrnn.losses.Hinge())["class_name"]
        'Hinge'
    """
    if isinstance(loss, FunctionLoss):
        return loss.describe()
    if callable(loss) and not isinstance(loss, type | Loss):
        return registry.describe_callable(loss)
    return registry.serialize(loss, "keras.losses")


if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = registry.exported(__name__, "CLASSES", "FUNCTIONS", "NAMES", "deserialize", "get", "serialize")

KINDS["losses"] = Kind(deserialize, FUNCTIONS, frozenset(NAMES))
explain(__name__)
