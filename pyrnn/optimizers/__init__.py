"""Optimizers by Keras's names."""

# ruff: noqa: F403, F405
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.optimizers import schedules as schedules
from pyrnn.optimizers.adafactor import *
from pyrnn.optimizers.adagrad import *
from pyrnn.optimizers.adam import *
from pyrnn.optimizers.adamax import *
from pyrnn.optimizers.base import *
from pyrnn.optimizers.ftrl import *
from pyrnn.optimizers.lamb import *
from pyrnn.optimizers.lion import *
from pyrnn.optimizers.muon import *
from pyrnn.optimizers.rmsprop import *
from pyrnn.optimizers.schedule_free import *
from pyrnn.optimizers.sgd import *
from pyrnn.rules import Configurable, Dict, Unchecked
from pyrnn.typing import CustomObjects
from pyrnn.validation import WrongType

CLASSES = registry.classes_in(globals(), Optimizer)
NAMES: dict[str, type[Optimizer]] = registry.by_name(CLASSES, lambda cls: cls.__name__.lower())

OptimizerLike = Annotated[str | Optimizer | Mapping[str, Any], Unchecked()]


def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer for a name, a description, a class or an object.

    Args:
        identifier: The name in any case of letters ("adam"), a dictionary that `serialize` returned, an `Optimizer` or
            its class; or None.

    Returns:
        The optimizer; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown; close matches are suggested.

    Example:
        >>> type(pyrnn.optimizers.get("adam")).__name__
        'Adam'
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str) and identifier.lower() in NAMES:
        identifier = identifier.lower()
    return registry.get("optimizer", identifier, NAMES, Optimizer)


def as_optimizer(identifier: Any) -> Optimizer:
    """Return the optimizer that trains a model, for whatever `compile` takes.

    Args:
        identifier: What `get` takes, None excepted.

    Returns:
        The optimizer.

    Raises:
        TypeError: If the identifier is None or something else.
        ValueError: If the name is unknown.

    Example:
        >>> pyrnn.optimizers.as_optimizer("sgd").name
        'sgd'
    """
    optimizer = get(identifier)
    if optimizer is None:
        raise WrongType("optimizer must be a name or an object, got None")
    return optimizer


@checked
def deserialize(config: Annotated[Mapping[str, Any], Dict()], custom_objects: CustomObjects | None = None) -> Optimizer:
    """Return the optimizer that `serialize` described.

    Args:
        config: The dictionary.
        custom_objects: Custom classes by name.

    Returns:
        The optimizer.

    Raises:
        TypeError: If `config` is not a dictionary.
        ValueError: If the name is unknown; close matches are suggested.

    Example:
        >>> pyrnn.optimizers.deserialize(pyrnn.optimizers.serialize(pyrnn.optimizers.SGD(0.5))).learning_rate
        0.5
    """
    name = config.get("class_name")
    with registry.custom_object_scope(custom_objects):
        if isinstance(name, str) and registry.get_registered_object(name, NAMES) is None:
            config = {**config, "class_name": name.lower() if name.lower() in NAMES else name}
        optimizer: Optimizer | None = registry.get("optimizer", dict(config), NAMES, Optimizer)
    assert optimizer is not None
    return optimizer


@checked
def serialize(optimizer: Annotated[Optimizer, Configurable()]) -> dict[str, Any]:
    """Return Keras's description of an optimizer.

    Args:
        optimizer: The optimizer.

    Returns:
        A dictionary that `deserialize` accepts.

    Raises:
        TypeError: If `optimizer` is not an optimizer.

    Example:
        >>> pyrnn.optimizers.serialize(pyrnn.optimizers.Adam())["class_name"]
        'Adam'
    """
    config = registry.serialize(optimizer, "keras.optimizers")
    assert config is not None
    return config


if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = registry.exported(__name__, "deserialize", "get", "schedules", "serialize")

KINDS["optimizers"] = Kind(deserialize)
explain(__name__)
