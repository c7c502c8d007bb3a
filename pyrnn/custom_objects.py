"""Custom classes and functions, by the names under which files refer to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pyrnn.arguments import checked
from pyrnn.typing import CustomObjects, Name, Text
from pyrnn.validation import shown

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]

T = TypeVar("T")

# By their registered names "package>name", and by the names that the current scopes use.
_registered: dict[str, Any] = {}


@checked
def register_keras_serializable(package: Text = "Custom", name: Name | None = None) -> Callable[[T], T]:
    """Register the decorated class or function, so that files which name it can be read without `custom_objects`.

    Args:
        package: First part of the registered name "package>name".
        name: Second part; by default the name of the class or function.

    Returns:
        A decorator that returns the class or function unchanged.

    Raises:
        TypeError: If `package` or `name` is not a string.
        ValueError: If a decorated class does not have `get_config`.

    Example:
        >>> import pyrnn
        >>> @pyrnn.saving.register_keras_serializable(package="examples")
        ... class Scale(pyrnn.layers.Layer):
        ...     pass
        >>> pyrnn.saving.get_registered_name(Scale)
        'examples>Scale'
    """

    def decorator(cls: T) -> T:
        if isinstance(cls, type) and not hasattr(cls, "get_config"):
            raise ValueError(f"a registered class must have get_config, got {shown(cls)}")
        _registered[f"{package}>{name or getattr(cls, '__name__', cls)}"] = cls
        return cls

    return decorator


def get_custom_objects() -> dict[str, Any]:
    """Return the dict of registered classes and functions by name. Changes to it take effect at once.

    Returns:
        The dict itself, not a copy.

    Example:
        >>> import pyrnn
        >>> pyrnn.saving.get_custom_objects()["clip"] = abs
        >>> pyrnn.saving.get_custom_objects().pop("clip")
        <built-in function abs>
    """
    return _registered


@contextmanager
@checked
def custom_object_scope(objects: CustomObjects | None) -> Iterator[None]:
    """Register classes and functions by these names within a `with` block.

    Args:
        objects: Custom classes and functions by name, or None.

    Yields:
        Nothing.

    Raises:
        TypeError: If `objects` is not a dict.

    Example:
        >>> import pyrnn
        >>> class Twice(pyrnn.regularizers.L2):
        ...     pass
        >>> with pyrnn.saving.custom_object_scope({"Twice": Twice}):
        ...     type(pyrnn.regularizers.get("Twice")).__name__
        'Twice'
    """
    before = dict(_registered)
    _registered.update(objects or {})
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)


CustomObjectScope = custom_object_scope


def get_registered_name(cls: Any) -> str:
    """Return the name by which files refer to a class or function.

    Args:
        cls: A class or function.

    Returns:
        "package>name" if it is registered, otherwise its own name.

    Example:
        >>> import pyrnn
        >>> pyrnn.saving.get_registered_name(pyrnn.layers.Dense)
        'Dense'
    """
    for name, registered in _registered.items():
        if registered is cls and ">" in name:
            return name
    return str(getattr(cls, "__name__", type(cls).__name__))


@checked
def get_registered_object(
    name: Text, custom_objects: CustomObjects | None = None, module_objects: CustomObjects | None = None
) -> Any:
    """Look a class or function up by its name.

    Args:
        name: Its name, for a registered one "package>name".
        custom_objects: Further classes and functions by name, searched second.
        module_objects: Further classes and functions by name, searched last.

    Returns:
        The class or function, or None if the name is unknown.

    Raises:
        TypeError: If `name` is not a string, or one of the others is not a dict.

    Example:
        >>> import pyrnn
        >>> pyrnn.saving.get_registered_object("absolute", {"absolute": abs})
        <built-in function abs>
    """
    for objects in (_registered, custom_objects or {}, module_objects or {}):
        if name in objects:
            return objects[name]
    return None


def registered_in_any_package(name: Any) -> Any:
    """Return what is registered as "package>name", if one package alone has the name; else None."""
    registered = {id(value): value for key, value in _registered.items() if key.partition(">")[2] == name}
    return next(iter(registered.values())) if len(registered) == 1 else None


def registered_as(*names: Any) -> Any:
    """Return what is registered by one of these names, with or without "package>", or None."""
    for name in names:
        for spelling in (name, str(name).rpartition(">")[2]):
            if isinstance(name, str) and spelling in _registered:
                return _registered[spelling]
    return None
