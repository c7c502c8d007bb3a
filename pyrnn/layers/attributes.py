"""Attributes of a layer that may be assigned to: what is set is what the layer computes with, or an error is raised."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn import activations
from pyrnn.layers.holder import Holder, layers_in
from pyrnn.parameters import Weight, assign_all, values_for
from pyrnn.seeds import Generator


class WeightAttribute:
    """A weight of a layer: assigning an array overwrites its values.

    It has no `__get__`, so that reading the attribute finds the weight in the layer's own dict.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __set__(self, layer: Any, value: Any) -> None:
        set_weight(layer, self.name, value)


def set_weight(layer: Any, name: str, value: Any) -> None:
    """`layer.name = value`, where `name` is a weight or will be one.

    Raises:
        TypeError: if `value` holds no numbers.
        ValueError: if it is a weight of another layer or of another shape, or the layer has no weight of this name.
    """
    weight = vars(layer).get(name)
    owner = f"layer {layer.name!r} ({type(layer).__name__})"
    if value is weight or (value is None and weight is None):
        vars(layer)[name] = value
    elif isinstance(value, Weight):
        if not any(value is each for each in layer._weights):
            raise ValueError(
                f"{name} of {owner} must be an array, got a weight of another layer; to share weights put the same "
                "layer into both models"
            )
        vars(layer)[name] = value  # by the layer's own build
    elif weight is None:
        raise ValueError(
            f"{owner} has no {name}{'' if layer.built else ' before it is built'}: no value can be assigned"
        )
    elif value is None:
        raise ValueError(f"{name} of {owner} must be an array of shape {weight.shape}, got None")
    else:
        assign_all(values_for(owner, [weight], [value]))


def guard_weights(cls: type) -> None:
    """Make the attributes that a class annotates as weights assignable."""
    for name, annotation in inspect.get_annotations(cls).items():
        if str(annotation).startswith("Weight"):
            setattr(cls, name, WeightAttribute(name))


def guarded_setattr(layer: Any, name: str, value: Any) -> None:
    """`__setattr__` of users' layers, whose weights are not annotated."""
    if type(vars(layer).get(name)) is Weight:
        set_weight(layer, name, value)
    else:
        object.__setattr__(layer, name, value)


def declaring_setattr(assign: Callable[[Any, str, Any], None]) -> Callable[[Any, str, Any], None]:
    """`__setattr__` of users' layers: `assign`, after which the layer answers for the layers and generators in `value`.

    Containers are looked into when they are asked for, so that a list may be filled later.
    """

    @functools.wraps(assign)
    def __setattr__(layer: Any, name: str, value: Any) -> None:
        assign(layer, name, value)
        if type(value) is not np.ndarray and isinstance(value, Holder | Generator | list | tuple | Mapping):
            layer._declared[name] = None
            if layers_in(value):
                layer.changed()

    return __setattr__


class ActivationAttribute:
    """An activation of a layer, a function, which may be set to a name too; a field holds its name for the kernel."""

    def __init__(self, halves: bool = False) -> None:
        self.halves = halves  # whether "glu" may be set, which halves the last axis

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.field = name, f"_{name}"

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        name = vars(layer)[self.field]
        return None if name is None else activations.get(name)

    def __set__(self, layer: Any, value: Any) -> None:
        name = activations.serialize(activations.get(value))
        if name == "glu" and not self.halves:
            raise ValueError(
                f"{self.name} of {type(layer).__name__} must not be 'glu', which halves its input: "
                "add Activation('glu') after the layer"
            )
        vars(layer)[self.field] = name
