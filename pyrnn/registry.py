"""How the registries of configurable objects look names up and write objects down, in Keras 3's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pyrnn.validation import lookup

T = TypeVar("T")


class Configurable:
    """An object that is remade from its `get_config()`."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """The object that `get_config` described."""
        return cls(**config)


def serialize(obj: Any, module: str) -> dict[str, Any] | None:
    """Keras 3's description of `obj`; None stays None."""
    if obj is None:
        return None
    return {"module": module, "class_name": type(obj).__name__, "config": obj.get_config(), "registered_name": None}


def get(kind: str, identifier: Any, names: Mapping[str, type[T]], base: type[T]) -> T | None:
    """The object for None, a name, a description as `serialize` makes it, a class or an object of `base`.

    Raises:
        TypeError: for anything else.
        ValueError: for an unknown name; close matches are suggested.
    """
    if identifier is None or isinstance(identifier, base):
        return identifier
    if isinstance(identifier, dict):
        cls: Any = lookup(kind, identifier.get("class_name"), names)
        return cls.from_config(dict(identifier.get("config") or {}))  # type: ignore[no-any-return]  # cls is Any
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    return lookup(kind, identifier, names)()
