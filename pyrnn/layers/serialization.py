"""Layers as descriptions in Keras 3's form, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pyrnn import registry, sharing
from pyrnn.arguments import checked
from pyrnn.layers.base import Layer
from pyrnn.layers.core import operation_config
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.core.operation import Operation
from pyrnn.layers.holder import Holder
from pyrnn.rules import Configurable, Unchecked
from pyrnn.typing import CustomObjects
from pyrnn.validation import WrongType, shown

__all__ = ["REGISTRY", "deserialize", "serialize"]

# The layers that a file can hold, by class name. The package `pyrnn.layers` fills it; it is here, below the layers that
# hold others.
REGISTRY: dict[str, type[Layer]] = {}
# The classes of models, which enter themselves: a model can be a layer of another one.
MODELS: dict[str, Any] = {}


@checked
def serialize(layer: Annotated[Any, Configurable()]) -> dict[str, Any]:
    """Return the Keras 3 description of a layer.

    Args:
        layer: a layer, or a model, which is described without what `compile` was passed.

    Returns:
        A dict with "module", "class_name", "config" and "registered_name", and "build_config" once the layer is built.

    Raises:
        TypeError: if `layer` has no `get_config`, or holds an object that cannot be described.

    Example:
        >>> from pyrnn import layers
        >>> layers.serialize(layers.Dense(2))["class_name"]
        'Dense'
    """
    return sharing.write(lambda: _described(layer))


def _described(layer: Any) -> dict[str, Any]:
    entry: dict[str, Any]
    if getattr(layer, "is_model", False):
        entry = layer.describe()
        entry.pop("compile_config", None)
    elif layer.is_operation:
        entry = layer.describe()
    else:
        entry = registry.describe(layer, "keras.layers")
        # Keras builds a layer that merges when it is called.
        if not layer.merges and layer.build_shape is not None and not isinstance(layer, InputLayer):
            entry["build_config"] = {"input_shape": layer.build_shape}
    sharing.mark(entry, layer)
    return entry


def serialize_inner(layer: Any) -> dict[str, Any]:
    """Describe a layer within the config of another one, which builds it: its input shape is left out."""
    entry = serialize(layer)
    entry.pop("build_config", None)
    return entry


@checked
def deserialize(config: Annotated[Mapping[str, Any], Unchecked()], custom_objects: CustomObjects | None = None) -> Any:
    """Create a layer from its description.

    Args:
        config: the result of `serialize`, or the description of a layer or model in a Keras file.
        custom_objects: dict from names to custom classes and functions, or None for registered ones only.

    Returns:
        A new layer or model with fresh weights.

    Raises:
        TypeError, ValueError: if `config` does not describe a layer that pyrnn has.

    Example:
        >>> from pyrnn import layers
        >>> layers.deserialize(layers.serialize(layers.Dense(2, name="head"))).name
        'head'
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ValueError(f"a layer's config must be a dict with 'class_name' and 'config', got {shown(config)}")
    with registry.custom_object_scope(custom_objects), sharing.reading():
        return sharing.once(config, lambda: _made(config))


def _made(config: Mapping[str, Any]) -> Any:
    """Make a layer or model of its description."""
    if operation_config.is_operation(config):
        return Operation.from_description(config)
    kind: Any = registry.described_class("layer", config, {**REGISTRY, **MODELS})
    if issubclass(kind, Holder) and kind.is_model:
        return _model(kind, config)
    arguments = kind._known_arguments() if issubclass(kind, Layer) else None
    layer = registry.from_description(kind, config.get("config", {}), arguments)
    if not isinstance(layer, Layer):
        raise WrongType(f"{kind.__name__} must be a layer of pyrnn.layers or derived from one, got {shown(layer)}")
    return layer


def _model(kind: Any, description: Mapping[str, Any]) -> Any:
    """Make a model that is a layer of another one."""
    if not isinstance(description.get("config"), Mapping):
        raise ValueError(f"config of a {kind.__name__} must be a dict, got {shown(description.get('config'))}")
    model = kind.revive(description["config"])
    if not isinstance(model, Holder) or not model.is_model:
        raise WrongType(f"{kind.__name__}.from_config must return a model, got {shown(model)}")
    return model


def layer_of(entry: Any) -> Any:
    """The layer of an entry in a config: made from its description, or the layer itself."""
    return deserialize(entry) if isinstance(entry, Mapping) else entry
