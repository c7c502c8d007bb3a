"""Objects of any kind as descriptions in Keras 3's form: what the configs of custom classes are written with.

Every registry is imported here, so that descriptions of all kinds can be read.
"""

from __future__ import annotations

from typing import Annotated, Any

from pyrnn import (  # noqa: F401  # each adds itself to `kinds.KINDS`
    activations,
    constraints,
    descriptions,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    random,
    regularizers,
)
from pyrnn.arguments import checked
from pyrnn.custom_objects import custom_object_scope
from pyrnn.rules import Unchecked
from pyrnn.typing import Anything, CustomObjects, Flag

__all__ = [
    "deserialize_keras_object",
    "serialize_keras_object",
]


@checked
def serialize_keras_object(
    obj: Annotated[
        Any, Unchecked(allowed="list dict text empty none nan infinite negative zero fraction huge true array")
    ],
) -> Any:
    """Describe an object, a function or a value in Keras 3's form: for the `get_config` of a custom class.

    Args:
        obj: an object with `get_config`, a function with a name, an array, a number, a string, or a list or dict of
            these.

    Returns:
        What JSON can hold: numbers, strings, None, and lists and dicts of them.

    Raises:
        TypeError, ValueError: if `obj` cannot be described.

    Example:
        >>> import pyrnn
        >>> described = pyrnn.saving.serialize_keras_object(pyrnn.initializers.Constant(2.0))
        >>> described["config"]
        {'value': 2.0}
        >>> pyrnn.saving.deserialize_keras_object(described).value
        2.0
    """
    return descriptions.plain(obj, "obj")


@checked
def deserialize_keras_object(
    config: Anything, custom_objects: CustomObjects | None = None, safe_mode: Flag = True
) -> Any:
    """Make an object, a function or a value from its description: for the `from_config` of a custom class.

    Args:
        config: what `serialize_keras_object` returned. A value that is not a description is returned as it is.
        custom_objects: custom classes and functions by name, where they are not registered.
        safe_mode: has no effect, since code in a description never runs.

    Returns:
        The object, function or value.

    Raises:
        TypeError, ValueError: if a class or function is unknown, or does not accept what its config holds.

    Example:
        >>> import pyrnn
        >>> described = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}}
        >>> pyrnn.saving.deserialize_keras_object(described).l2
        0.5
    """
    with custom_object_scope(custom_objects):
        return descriptions.with_objects(config)
