"""Assigning to the attributes of a layer: it computes with the new value, or an error is raised."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn import activations
from pyrnn.explaining import MetricNames, ModelNames
from pyrnn.inner_layers import layers_in
from pyrnn.layers.custom_activation import CustomActivation
from pyrnn.layers.holder import Holder
from pyrnn.parameters import Weight, assign_all, values_for
from pyrnn.seeds import Generator

# What assignment to an attribute of a custom layer declares: layers, weights, generators, metrics, containers, and
# models to reject.
_DECLARED = (Holder, Weight, Generator, MetricNames, ModelNames, list, tuple, Mapping)


class WeightAttribute:
    """Descriptor of a weight: assigning an array to it overwrites the values of the weight.

    It has no `__get__`, so that reading the attribute finds the weight in the layer's `__dict__`.

    Args:
        name: name of the attribute.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __set__(self, layer: Any, value: Any) -> None:
        set_weight(layer, self.name, value)


def set_weight(layer: Any, name: str, value: Any) -> None:
    """Assign to an attribute that is a weight or becomes one in `build`.

    Args:
        layer: the layer.
        name: name of the attribute.
        value: an array of the weight's shape, or a weight that the layer has made.

    Raises:
        TypeError: if `value` does not hold numbers.
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
    """Give a class a descriptor for each attribute that it annotates as a weight.

    Args:
        cls: a new subclass of `Layer`.
    """
    for name, annotation in inspect.get_annotations(cls).items():
        if str(annotation).startswith("Weight"):
            setattr(cls, name, WeightAttribute(name))


def guarded_setattr(layer: Any, name: str, value: Any) -> None:
    """Assign to an attribute of a custom layer, whose weights are not annotated.

    Args:
        layer: the layer.
        name: name of the attribute.
        value: the value; for a weight an array of its shape.
    """
    if isinstance(vars(layer).get(name), Weight) and not isinstance(value, Weight):
        set_weight(layer, name, value)
    else:
        object.__setattr__(layer, name, value)


def declaring_setattr(assign: Callable[[Any, str, Any], None]) -> Callable[[Any, str, Any], None]:
    """Wrap the `__setattr__` of a custom layer, so that assigning a layer, weight, generator or container declares it.

    The layers in a container are looked up when `children` is called, so a list may be filled later; weights in it are
    tracked when it is assigned, and when the layer is built.

    Args:
        assign: the `__setattr__` of the class, or `guarded_setattr`.

    Returns:
        The method to put in its place.
    """

    @functools.wraps(assign)
    def __setattr__(layer: Any, name: str, value: Any) -> None:
        assign(layer, name, value)
        if type(value) is not np.ndarray and isinstance(value, _DECLARED):
            layer._declared[name] = None
            layer.track(value)
            if layers_in(value):
                layer.changed()

    return __setattr__


class ActivationAttribute:
    """Descriptor of an activation: it reads as a function and may be set to a name too.

    A field with the name of the attribute after "_" holds the kernel's name of the function. If the kernel does not
    have it, the name is "linear", and another field, with "_function" after the name, holds a `CustomActivation`.

    Args:
        halves: whether it may be "glu", which halves the last axis.
    """

    def __init__(self, halves: bool = False) -> None:
        self.halves = halves

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.field, self.function_field = name, f"_{name}", f"_{name}_function"
        setattr(owner, self.function_field, None)

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if (custom := vars(layer).get(self.function_field)) is not None:
            return custom.function
        name = vars(layer)[self.field]
        return None if name is None else activations.get(name)

    def __set__(self, layer: Any, value: Any) -> None:
        function = activations.get(value)
        name = activations.KERNEL_NAMES.get(id(function))
        vars(layer)[self.function_field] = CustomActivation(function, layer, self.name) if name is None else None
        if name is None:
            name = "linear"
        elif name == "glu" and not self.halves:
            raise ValueError(
                f"{self.name} of {type(layer).__name__} must not be 'glu', which halves its input: "
                "add Activation('glu') after the layer"
            )
        vars(layer)[self.field] = name
