"""Errors for names of Keras that pyrnn does not have: from attributes, from imports, and where a name is a string.

`absent` holds the table. A module calls `explain(__name__)`, a class inherits from the class of its kind below.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from typing import Any

from pyrnn.absent import FAMILIES

# The reason and what to use instead, by owner and name.
ABSENT: dict[str, dict[str, tuple[str, str]]] = {}
for _owners, _families in FAMILIES.items():
    for _owner in _owners.split():
        for _names, *_why in _families:
            ABSENT.setdefault(_owner, {}).update(dict.fromkeys(_names.split(), (_why[0], _why[1])))


def explanation(owner: str, name: str, label: str) -> str:
    """Why `name` of Keras is absent and what to use instead, '' if it is not in the table.

    Args:
        owner: a module below `pyrnn` or a kind of object, as in `absent.FAMILIES`.
        name: the name that is missing.
        label: what the message calls the owner.
    """
    names = ABSENT.get(owner, {})
    why = names.get(name) or names.get("*")
    return f"{label} has no {name}: {why[0]}; {why[1]}" if why else ""


def owner_of(module: str) -> str:
    """The owner that stands for a module of pyrnn in the table."""
    return module.removeprefix("pyrnn.")


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a module of pyrnn does not have."""
    if text := explanation(owner_of(module), name, module):
        return AttributeError(text)
    return AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])


def explain(module: str, *, attributes: bool = True) -> None:
    """Let a module of pyrnn explain the names of Keras that it does not have.

    Args:
        module: its `__name__`.
        attributes: False leaves attribute access as it is, and explains imports only. A module with `__getattr__` is
            slower to read, which would show in the one that each operation of a training step is looked up in.
    """
    names = vars(sys.modules[module])
    names.setdefault("__path__", [])  # has the import system ask `Finder` for what `from module import name` misses
    if attributes:
        names["__getattr__"] = lambda name: _raise(missing(module, name))


def _raise(error: Exception) -> Any:
    raise error


class Finder:
    """The last finder on `sys.meta_path`: an import of an absent name or module raises an ImportError that explains."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find nothing, or raise."""
        module, _, name = fullname.rpartition(".")
        if module.split(".")[0] == "pyrnn" and (text := explanation(owner_of(module), name, module)):
            raise ImportError(text, name=fullname)
        return None


class _Missing:
    """An attribute that raises; it sits in a class, so that the attributes that are there stay as fast as they are."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self.__doc__ = "Not in pyrnn: {}; {}.".format(*ABSENT[kind][name])

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise AttributeError(explanation(self.kind, self.name, (owner or type(instance)).__name__))

    def __repr__(self) -> str:
        return f"<{explanation(self.kind, self.name, self.kind)}>"


class _Explaining:
    __slots__ = ()

    def __dir__(self) -> list[str]:
        there = set(super().__dir__())
        names = {
            name for kind in type(self).__mro__ for name, value in vars(kind).items() if isinstance(value, _Missing)
        }
        return sorted(name for name in there if name not in names or hasattr(self, name))


class ModelNames(_Explaining):
    """Attributes of Keras's models that are absent."""

    __slots__ = ()


class LayerNames(_Explaining):
    """Attributes of Keras's layers that are absent."""

    __slots__ = ()


class CellNames(_Explaining):
    """Attributes of Keras's cells that are absent."""

    __slots__ = ()


class OptimizerNames(_Explaining):
    """Attributes of Keras's optimizers that are absent."""

    __slots__ = ()


class LossNames(_Explaining):
    """Attributes of Keras's losses that are absent."""

    __slots__ = ()


class MetricNames(_Explaining):
    """Attributes of Keras's metrics that are absent."""

    __slots__ = ()


class CallbackNames(_Explaining):
    """Attributes of Keras's callbacks that are absent."""

    __slots__ = ()


class WeightNames(_Explaining):
    """Attributes of Keras's variables that are absent."""

    __slots__ = ()


for _kind in (
    ModelNames, LayerNames, CellNames, OptimizerNames, LossNames, MetricNames, CallbackNames, WeightNames,
):  # fmt: skip
    _owner = _kind.__name__.removesuffix("Names").lower()
    for _name in ABSENT[_owner]:
        setattr(_kind, _name, _Missing(_owner, _name))
