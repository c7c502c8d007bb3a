"""How the registries of configurable objects look names up and write objects down, in Keras 3's form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pyrnn.arguments import checked, mapping, optional, text
from pyrnn.validation import lookup, shown, warn

T = TypeVar("T")

# Users' classes: by their registered name "package>name", and by whatever name a scope or a loader gave.
_registered: dict[str, Any] = {}


@checked()
def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
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
@checked(objects=optional(mapping))
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
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


@checked(name=text)
def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The class of that name, or None."""
    for known in (_registered, custom_objects or {}, module_objects or {}):
        if name in known:
            return known[name]
    return None


def described_class(kind: str, description: Mapping[str, Any], names: Mapping[str, type[T]]) -> type[T]:
    """The class that a description names: a registered one first, then ours."""
    registered: type[T] | None = _registered.get(str(description.get("registered_name")))
    if registered is not None:
        return registered
    known: dict[str, type[T]] = {**names, **_registered}
    return lookup(kind, description.get("class_name"), known)


def describe_function(function: Any) -> dict[str, Any]:
    """Keras 3's description of a function: its name, by which it must be registered where the file is read."""
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(function),
        "registered_name": "function",
    }


def is_function(description: Any) -> bool:
    """Whether a description is one of a function."""
    return isinstance(description, Mapping) and description.get("class_name") == "function"


def described_function(kind: str, description: Mapping[str, Any]) -> Any:
    """The registered function that a description names.

    Raises:
        ValueError: if there is none of that name.
    """
    name = str(description.get("config"))
    if name not in _registered:
        raise ValueError(f"{kind} is the function {name!r}: give it in custom_objects, only its name was saved")
    return _registered[name]


class Configurable:
    """An object that is remade from its `get_config()`."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """The object that `get_config` described."""
        return cls(**config)


def from_description(cls: Any, config: Mapping[str, Any], known: Iterable[str] | None = None) -> Any:
    """The object of a description, which may come from a version of Keras that has arguments we have not.

    These are left out, with a warning where they say anything. `known` are the arguments of `cls`, from its signature
    unless given.
    """
    if known is None:
        parameters = inspect.signature(cls).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return cls.from_config(dict(config))
        known = [each.name for each in parameters]
    unknown = {name: value for name, value in config.items() if name not in known}
    for name, value in unknown.items():
        if value not in (None, False, [], {}):
            warn(f"{cls.__name__} has no argument {name!r}: {name}={shown(value)} in the file is ignored")
    return cls.from_config({name: value for name, value in config.items() if name not in unknown})


def describe(obj: Any, module: str) -> dict[str, Any]:
    """Keras 3's description of an object; `module` is Keras's for our own classes."""
    cls = type(obj)
    ours = cls.__module__.split(".")[0] == "pyrnn"
    return {
        "module": module if ours else cls.__module__,
        "class_name": cls.__name__,
        "config": obj.get_config(),
        "registered_name": None if ours else get_registered_name(cls),
    }


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
    known: dict[str, type[T]] = {**names, **_registered}
    return lookup(kind, identifier, known)()
