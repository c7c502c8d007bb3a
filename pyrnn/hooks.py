"""What a subclass may override: a method that Keras calls and pyrnn does not is rejected when the class is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_builtin(cls: type) -> bool:
    """Whether a class is one of pyrnn's."""
    return cls.__module__.partition(".")[0] == "pyrnn"


def reject(cls: type, hooks: Mapping[str, str]) -> None:
    """Reject a user's class, or a mixin of it, that defines one of `hooks`.

    Args:
        cls: the new class.
        hooks: names that are never called, each with what to write instead.

    Raises:
        TypeError: if one of them is defined.
    """
    for owner in cls.__mro__:
        if not is_builtin(owner) and owner is not object:
            for name, instead in hooks.items():
                if name in vars(owner):
                    raise TypeError(f"{cls.__name__} defines {name}, which pyrnn never calls: {instead}")


def new_in(cls: type, name: str, root: type) -> Any:
    """The attribute `name` that a user's class defines, itself or by a mixin; None if it inherits it from a `root`."""
    owner = _owner(cls, name)
    inherits = owner is None or is_builtin(owner) or (owner is not cls and issubclass(owner, root))
    return None if inherits else vars(owner)[name]


def _owner(cls: type, name: str) -> type | None:
    return next((each for each in cls.__mro__ if name in vars(each)), None)


def require_partner(cls: type, name: str, partner: str, root: type) -> None:
    """Reject a user's class that overrides `name` and inherits a `partner` that belongs to another `name`.

    Args:
        cls: the new class.
        name: "forward" or another method.
        partner: "backward" or whatever must fit it.
        root: the base class, whose own `partner` does nothing.

    Raises:
        TypeError: if `partner` is inherited from a class above the one that defines `name`.
    """
    owner, other = _owner(cls, name), _owner(cls, partner)
    assert owner is not None and other is not None
    if not is_builtin(owner) and other is not root and cls.__mro__.index(owner) < cls.__mro__.index(other):
        raise TypeError(
            f"{cls.__name__} overrides {name} but not {partner}, so {other.__name__}.{partner} would give the gradient "
            f"of {other.__name__}.{name}: define {partner} as well, or write {partner} = {other.__name__}.{partner} "
            "in the class if it still is the right one"
        )


def join(cls: type, *names: str) -> None:
    """Make several names of one method the same where a user's class overrides one of them."""
    overridden = [name for name in names if name in vars(cls)]
    if overridden and not is_builtin(cls):
        for name in names:
            if name not in overridden:
                setattr(cls, name, vars(cls)[overridden[0]])
