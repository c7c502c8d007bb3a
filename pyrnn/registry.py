"""What all registries share: their lists of names, and objects from names, classes and descriptions."""

# ruff: noqa: F403, F405
from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pyrnn.custom_objects import *
from pyrnn.custom_objects import registered_as as registered_as
from pyrnn.descriptions import *
from pyrnn.validation import WrongType, lookup, shown

T = TypeVar("T")


def classes_in(names: Mapping[str, Any], base: type[T], *abstract: type[Any]) -> tuple[type[T], ...]:
    """Collect the public classes of one kind in a module, which is thus the only list of them.

    Args:
        names: The module's `globals()`.
        base: The class from which they derive; it is left out.
        *abstract: Further classes to leave out.
    """
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
    """Map every name of the classes to the class: its own name, its other spellings, and its `aliases`.

    Args:
        classes: The classes of a registry.
        *spellings: Functions that return another spelling of a class's name, such as snake case.
    """
    return {
        name: cls
        for cls in classes
        for name in (cls.__name__, *(spelling(cls) for spelling in spellings), *vars(cls).get("aliases", ()))
    }


def exported(package: str, *names: str) -> list[str]:
    """List what `from package import *` imports: `names`, and what the package imports from its modules' `__all__`."""
    contents = vars(sys.modules[package])
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{package}.")]
    return sorted(
        {*names, *(name for module in modules for name in getattr(module, "__all__", ()) if name in contents)}
    )


class Configurable:
    """Base class of objects that can be created again from their `get_config()`.

    A subclass that does not define `get_config` is created again from the arguments of its constructor.

    Example:
        >>> from pyrnn import regularizers
        >>> penalty = regularizers.L2(0.5)
        >>> penalty.get_config()
        {'l2': 0.5}
        >>> regularizers.L2.from_config(penalty.get_config()).l2
        0.5
    """

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        made: T = super().__new__(cls)  # type: ignore[misc]  # of object
        return remember_arguments(made, args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name.

        Returns:
            A dict that `from_config` accepts. Its values are numbers, strings, arrays, functions with a name, objects
            with `get_config`, and lists and dicts of these.
        """
        return {}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """Create an object from what `get_config` returned.

        Args:
            config: The arguments of the constructor by name.

        Returns:
            A new object of this class.
        """
        return cls(**config)


def serialize(obj: Any, module: str) -> dict[str, Any] | None:
    """Describe an object in Keras 3's form; None stays None."""
    return None if obj is None else describe(obj, module)


def get(kind: str, identifier: Any, names: Mapping[str, type[T]], base: type[T]) -> T | None:
    """Return the object that an identifier names or describes.

    Args:
        kind: What messages call the object, such as "optimizer".
        identifier: None, a name, a description as `serialize` returns it, a class, or an object of class `base`.
        names: The classes of the registry by name.
        base: The class from which they derive.

    Raises:
        TypeError: if the identifier is anything else.
        ValueError: if the name is unknown; the message suggests similar ones.
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
        raise WrongType(f"{kind} must be a name or an object of class {base.__name__}, got {shown(identifier)}")
    registered = registered_as(identifier)
    if registered is not None and not isinstance(registered, type):
        raise WrongType(f"{kind} must be registered as a class, {identifier!r} is {shown(registered)}")
    classes: Mapping[str, type[T]] = names if registered is None else {identifier: registered}
    return lookup(kind, identifier, classes)()
