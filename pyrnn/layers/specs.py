"""How layers read the options of their weights from a constructor, use them and write them into a config."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pyrnn import constraints, initializers, regularizers
from pyrnn.layers.base import Layer
from pyrnn.parameters import Weight

_REGISTRIES: dict[str, ModuleType] = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


class WeightSpec:
    """The initializer, regularizer and constraint of one weight of a layer class.

    The layer keeps each as an attribute with the name of the option, `layer.kernel_initializer`.

    Args:
        name: name of the weight.
        prefix: what the names of the options start with; the weight's name by default.
        kinds: which options there are.

    Example:
        >>> from pyrnn.layers.specs import WeightSpec
        >>> WeightSpec("depthwise_kernel", "depthwise").options["initializer"]
        'depthwise_initializer'
    """

    def __init__(self, name: str, prefix: str = "", kinds: tuple[str, ...] = tuple(_REGISTRIES)) -> None:
        self.name = name
        self.options = {kind: f"{prefix or name}_{kind}" for kind in kinds}
        self._resolvers = [(option, _REGISTRIES[kind].get) for kind, option in self.options.items()]

    def read(self, layer: Layer, arguments: Mapping[str, Any]) -> None:
        """Set the layer's options.

        Args:
            layer: a layer that is being constructed.
            arguments: the arguments of its constructor by name.
        """
        for option, get in self._resolvers:
            setattr(layer, option, get(arguments[option]))

    def add(self, layer: Layer, shape: tuple[int, ...], trainable: bool = True) -> Weight:
        """Create the weight.

        Args:
            layer: the layer that holds it.
            shape: its shape.
            trainable: whether training changes it.

        Returns:
            The weight.
        """
        options = {kind: getattr(layer, option) for kind, option in self.options.items()}
        return layer.add_weight(shape, name=self.name, trainable=trainable, **options)


def specs_config(layer: Layer, *specs: WeightSpec, activity: bool = False) -> dict[str, Any]:
    """The options of weights in a config, in Keras's order: all initializers, then regularizers and constraints.

    Args:
        layer: the layer that has the options.
        *specs: those of its weights.
        activity: whether the activity regularizer follows those of the weights.

    Returns:
        The entries by name.
    """
    entries = {}
    for kind, registry in _REGISTRIES.items():
        for option in [spec.options[kind] for spec in specs if kind in spec.options]:
            entries[option] = registry.serialize(getattr(layer, option))
        if activity and kind == "regularizer":
            entries["activity_regularizer"] = regularizers.serialize(layer.activity_regularizer)
    return entries
