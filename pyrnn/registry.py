"""How the registries of configurable objects look names up and write objects down, in Keras 3's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pyrnn.arguments import checked
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
    "custom_object_scope",
    "describe",
    "describe_callable",
    "describe_function",
    "described_class",
    "described_function",
    "deserialize_keras_object",
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
    "serialize_keras_object",
    "with_objects",
]

T = TypeVar("T")


class Configurable:
    """An object that is made again from its `get_config()`.

    A subclass without `get_config` is made again from the arguments it was made with.
    """

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        made: T = super().__new__(cls)  # type: ignore[misc]  # of object
        return remember_arguments(made, args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """The object that `get_config` described."""
        return cls(**config)


@checked()
def serialize_keras_object(obj: Any) -> Any:
    """Write an object, a function or a value down as Keras does: for the `get_config` of a custom class.

    Args:
        obj: an object with `get_config`, a function with a name, an array, or a number, string, list or dict of them.

    Returns:
        Numbers, strings, None, lists and dicts of them.

    Raises:
        TypeError, ValueError: if it has no such form.

    Example:
        >>> import pyrnn
        >>> described = pyrnn.saving.serialize_keras_object(pyrnn.initializers.Constant(2.0))
        >>> described["config"]
        {'value': 2.0}
        >>> pyrnn.saving.deserialize_keras_object(described).value
        2.0
    """
    return plain(obj, "obj")


@checked(config=None)
def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """Make what `serialize_keras_object` wrote down: for the `from_config` of a custom class.

    Args:
        config: the description. What is no description is returned as it is.
        custom_objects: custom classes and functions by name, if they are not registered.
        safe_mode: has no effect: code in a description never runs.

    Returns:
        The object, function or value.

    Raises:
        TypeError, ValueError: if a class or function is not known, or does not take what its config holds.
    """
    with custom_object_scope(custom_objects):
        return with_objects(config)


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
