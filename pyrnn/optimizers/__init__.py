"""Optimizers by Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.optimizers import schedules
from pyrnn.optimizers.adafactor import Adafactor
from pyrnn.optimizers.adagrad import Adadelta, Adagrad
from pyrnn.optimizers.adam import Adam, AdamW
from pyrnn.optimizers.adamax import Adamax, Nadam
from pyrnn.optimizers.base import Optimizer
from pyrnn.optimizers.ftrl import Ftrl
from pyrnn.optimizers.lamb import Lamb
from pyrnn.optimizers.lion import Lion
from pyrnn.optimizers.muon import Muon
from pyrnn.optimizers.rmsprop import RMSprop
from pyrnn.optimizers.schedule_free import ScheduleFreeAdamW
from pyrnn.optimizers.sgd import SGD
from pyrnn.rules import Configurable, Dict
from pyrnn.typing import CustomObjects

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

CLASSES: tuple[type[Optimizer], ...] = (
    SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Adafactor, Ftrl, Lion, Lamb, Muon, ScheduleFreeAdamW,
)  # fmt: skip
NAMES: dict[str, type[Optimizer]] = {name: cls for cls in CLASSES for name in (cls.__name__, cls.__name__.lower())}


def get(identifier: Any) -> Optimizer:
    """The optimizer for a name (in any case), a description, a class or an object.

    Raises:
        TypeError: for anything else, None included.
        ValueError: for an unknown name; close matches are suggested.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str) and identifier.lower() in NAMES:
        identifier = identifier.lower()
    optimizer = registry.get("optimizer", identifier, NAMES, Optimizer)
    if optimizer is None:
        raise TypeError("optimizer must be a name or an object, got None")
    return optimizer


@checked
def deserialize(config: Annotated[Mapping[str, Any], Dict()], custom_objects: CustomObjects | None = None) -> Optimizer:
    """The optimizer that `serialize` described; classes of one's own are registered, or given in `custom_objects`.

    Raises:
        ValueError: for an unknown name; close matches are suggested.
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
    """Keras 3's description of an optimizer."""
    config = registry.serialize(optimizer, "keras.optimizers")
    assert config is not None
    return config


KINDS["optimizers"] = Kind(deserialize)
explain(__name__)
