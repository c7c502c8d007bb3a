"""Optimizers by Keras's names."""

from __future__ import annotations

from typing import Any

from pyrnn import registry
from pyrnn.optimizers.adam import Adam, AdamW
from pyrnn.optimizers.base import Optimizer
from pyrnn.optimizers.rmsprop import RMSprop
from pyrnn.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "deserialize", "get", "serialize"]

NAMES: dict[str, type[Optimizer]] = {
    "SGD": SGD, "sgd": SGD, "RMSprop": RMSprop, "rmsprop": RMSprop, "Adam": Adam, "adam": Adam, "AdamW": AdamW,
    "adamw": AdamW,
}  # fmt: skip


def get(identifier: Any) -> Optimizer:
    """The optimizer for a name, a description, a class or an object.

    Raises:
        TypeError: for anything else, None included.
        ValueError: for an unknown name; close matches are suggested.
    """
    optimizer = registry.get("optimizer", identifier, NAMES, Optimizer)
    if optimizer is None:
        raise TypeError("optimizer must be a name or an object, got None")
    return optimizer


deserialize = get


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Keras 3's description of an optimizer."""
    config = registry.serialize(optimizer, "keras.optimizers")
    assert config is not None
    return config
