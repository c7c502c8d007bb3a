"""How the registries of configurable objects look names up and write objects down, in Keras 3's form."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pyrnn.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    registered_as,
)
from pyrnn.descriptions import (
    describe,
    describe_callable,
    describe_function,
    described_class,
    described_function,
    from_description,
    is_custom,
    is_function,
    living_objects,
    plain,
    remember_arguments,
    require_kind,
    with_objects,
)
from pyrnn.validation import lookup, shown

__all__ = [
    "Configurable",
    "CustomObjectScope",
    "by_name",
    "classes_in",
    "custom_object_scope",
    "describe",
    "describe_callable",
    "describe_function",
    "described_class",
    "described_function",
    "exported",
    "from_description",
    "get",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "is_custom",
    "is_function",
    "living_objects",
    "plain",
    "register_keras_serializable",
    "registered_as",
    "remember_arguments",
    "require_kind",
    "serialize",
    "with_objects",
]

T = TypeVar("T")


def classes_in(names: Mapping[str, Any], base: type[T], *abstract: type[Any]) -> tuple[type[T], ...]:
    """The public classes of one kind among the names of a module: all but `base` and the `abstract` ones."""
    return tuple(
        value
        for name, value in names.items()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__name__ == name
        and not name.startswith("_")
        and value not in (base, *abstract)
    )


def by_name(classes: Iterable[type[T]], *spellings: Callable[[type[T]], str]) -> dict[str, type[T]]:
    """The classes by all their names: the name of the class, its other spellings, and the `aliases` that it defines."""
    return {
        name: cls
        for cls in classes
        for name in (cls.__name__, *(spelling(cls) for spelling in spellings), *vars(cls).get("aliases", ()))
    }


def exported(package: str, *names: str) -> list[str]:
    """What `from package import *` gives: what its modules list in `__all__` and it imports, and `names` of its own."""
    own = vars(sys.modules[package])
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{package}.")]
    return sorted({*names, *(name for module in modules for name in getattr(module, "__all__", ()) if name in own)})


class Configurable:
    """An object that is made again from its `get_config()`.

    A subclass without `get_config` is made again from the arguments it was made with.
    """

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        made: T = super().__new__(cls)  # type: ignore[misc]  # of object
        return remember_arguments(made, args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Returns:
            A dictionary that `from_config` accepts.
        """
        return {}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """Return the object that `get_config` described.

        Args:
            config: The dictionary.

        Returns:
            A new object.
        """
        return cls(**config)


def serialize(obj: Any, module: str) -> dict[str, Any] | None:
    """Keras 3's description of `obj`; None stays None."""
    return None if obj is None else describe(obj, module)


def get(kind: str, identifier: Any, names: Mapping[str, type[T]], base: type[T]) -> T | None:
    """The object for None, a name, a description as `serialize` makes it, a class or an object of `base`.

    Raises:
        TypeError: for anything else.
        ValueError: for an unknown name; close matches are suggested.
    """
    if identifier is None or isinstance(identifier, base):
        return identifier
    if isinstance(identifier, dict):
        cls: Any = described_class(kind, identifier, names)
        made: T = from_description(cls, identifier.get("config") or {})
        return made
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if not isinstance(identifier, str):
        raise TypeError(f"{kind} must be a name or an object of class {base.__name__}, got {shown(identifier)}")
    registered = registered_as(identifier)
    if registered is not None and not isinstance(registered, type):
        raise TypeError(f"{kind} must be registered as a class, {identifier!r} is {shown(registered)}")
    known: Mapping[str, type[T]] = names if registered is None else {identifier: registered}
    return lookup(kind, identifier, known)()
