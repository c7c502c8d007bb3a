"""Users' classes and functions, by the names that files call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pyrnn.arguments import checked
from pyrnn.rules import Dict
from pyrnn.typing import CustomObjects, Name, Text
from pyrnn.validation import shown

T = TypeVar("T")

# Users' classes: by their registered name "package>name", and by whatever name a scope or a loader gave.
_registered: dict[str, Any] = {}


@checked
def register_keras_serializable(package: Text = "Custom", name: Name | None = None) -> Callable[[T], T]:
    """A decorator that lets files name this class as "package>name" and find it again."""

    def decorator(cls: T) -> T:
        if isinstance(cls, type) and not hasattr(cls, "get_config"):
            raise ValueError(f"a registered class must have get_config, got {shown(cls)}")
        _registered[f"{package}>{name or getattr(cls, '__name__', cls)}"] = cls
        return cls

    return decorator


def get_custom_objects() -> dict[str, Any]:
    """The live dict of users' classes by name."""
    return _registered


@contextmanager
@checked
def custom_object_scope(objects: Annotated[Mapping[str, Any], Dict()] | None) -> Iterator[None]:
    """Within it these classes are found by these names too."""
    before = dict(_registered)
    _registered.update(objects or {})
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)


CustomObjectScope = custom_object_scope


def get_registered_name(cls: Any) -> str:
    """ "package>name" of a registered class, else its own name."""
    for name, known in _registered.items():
        if known is cls and ">" in name:
            return name
    return str(getattr(cls, "__name__", type(cls).__name__))


@checked
def get_registered_object(
    name: Text, custom_objects: CustomObjects | None = None, module_objects: CustomObjects | None = None
) -> Any:
    """The class of that name, or None."""
    for known in (_registered, custom_objects or {}, module_objects or {}):
        if name in known:
            return known[name]
    return None


def registered_as(*names: Any) -> Any:
    """What is registered by one of these names, with or without "package>"; None if nothing is."""
    for name in names:
        for each in (name, str(name).rpartition(">")[2]):
            if isinstance(name, str) and each in _registered:
                return _registered[each]
    return None
