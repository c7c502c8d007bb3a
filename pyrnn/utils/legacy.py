"""Objects as Keras 2 described them: a dict of "class_name" and "config", or the name of a function.

Tools that keep their own classes in Keras's form use it. Models and layers have `pyrnn.saving` and `layers.serialize`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pyrnn.arguments import checked
from pyrnn.custom_objects import custom_object_scope, get_registered_name, get_registered_object
from pyrnn.typing import Anything, CustomObjects, Text
from pyrnn.validation import shown

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

# Marks a description in a config, to tell it from a dict of the same keys.
_DESCRIPTION = "__passive_serialization__"


@checked
def serialize_keras_object(instance: Anything) -> Any:
    """Describe an object by its class and config, and a class or function by its name.

    Args:
        instance: an object with `get_config`, a class, a function, or None.

    Returns:
        A dict of "class_name" and "config", a name, or None.

    Raises:
        ValueError: if it is anything else.

    Example:
        >>> import pyrnn
        >>> pyrnn.utils.legacy.serialize_keras_object(pyrnn.regularizers.L2(0.5))
        {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config") and not isinstance(instance, type):
        config = {name: _described(value) for name, value in instance.get_config().items()}
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(f"instance must have get_config or a name, got {shown(instance)}")


def _described(value: Any) -> Any:
    """Return a value of a config, with an object or a function replaced by its description."""
    if value is None or not (hasattr(value, "get_config") or hasattr(value, "__name__")):
        return value
    description = serialize_keras_object(value)
    return {**description, _DESCRIPTION: True} if isinstance(description, dict) else description


@checked
def deserialize_keras_object(
    identifier: Anything,
    module_objects: CustomObjects | None = None,
    custom_objects: CustomObjects | None = None,
    printable_module_name: Text = "object",
) -> Any:
    """Make the object that `serialize_keras_object` described.

    Args:
        identifier: a dict of "class_name" and "config", the name of a class or function, a function, or None.
        module_objects: classes and functions by name, searched last.
        custom_objects: classes and functions by name, searched after the registered ones.
        printable_module_name: what messages call the object.

    Returns:
        The object; an object made without arguments for the name of a class; the function for a name of one.

    Raises:
        ValueError: if it is anything else, or the name is unknown.

    Example:
        >>> from pyrnn import regularizers
        >>> from pyrnn.utils import legacy
        >>> legacy.deserialize_keras_object({"class_name": "L2", "config": {"l2": 0.5}}, vars(regularizers)).l2
        0.5
    """
    if identifier is None or inspect.isfunction(identifier):
        return identifier

    def find(name: Any) -> Any:
        return get_registered_object(name, custom_objects, module_objects) if isinstance(name, str) else None

    if isinstance(identifier, str):
        value = find(identifier)
        if value is None:
            raise ValueError(_unknown(printable_module_name, identifier))
        return value() if isinstance(value, type) else value
    if not isinstance(identifier, Mapping) or not {"class_name", "config"} <= identifier.keys():
        raise ValueError(
            f"{printable_module_name} must be a name or a dict of 'class_name' and 'config', got {shown(identifier)}"
        )
    cls = find(identifier["class_name"])
    if cls is None:
        raise ValueError(_unknown(printable_module_name, identifier["class_name"]))

    def value_of(name: str, value: Any) -> Any:
        if isinstance(value, Mapping) and _DESCRIPTION in value:
            return deserialize_keras_object(value, module_objects, custom_objects)
        function = find(value) if name != "name" else None
        return function if inspect.isfunction(function) else value

    config = {name: value_of(name, value) for name, value in identifier["config"].items()}
    with custom_object_scope(custom_objects):
        return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)


def _unknown(kind: str, name: Any) -> str:
    return f"{kind} {shown(name)} is unknown: pass custom_objects={{{name!r}: ...}}"
