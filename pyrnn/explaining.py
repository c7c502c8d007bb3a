"""Errors for names of Keras that pyrnn does not have, whether they are attributes, imports or strings.

The table is in `absent`. A module calls `explain(__name__)`; a class inherits from the class of its kind below.
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
    """Return why a name of Keras is absent and what to use instead, or '' if it is not in the table.

    Args:
        owner: A module below `pyrnn` or a kind of object, as in `absent.FAMILIES`.
        name: The name that is missing.
        label: What the message calls the owner.
    """
    names = ABSENT.get(owner, {})
    why = names.get(name) or names.get("*")
    return f"{label} has no {name}: {why[0]}; {why[1]}" if why else ""


def owner_of(module: str) -> str:
    """Return what the table calls a module of pyrnn."""
    return module.removeprefix("pyrnn.")


def missing(module: str, name: str) -> AttributeError:
    """Return the error for a name that a module of pyrnn does not have."""
    if text := explanation(owner_of(module), name, module):
        return AttributeError(text)
    return AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])


def explain(module: str, *, attributes: bool = True) -> None:
    """Let a module of pyrnn explain the names of Keras that it does not have.

    Args:
        module: Its `__name__`.
        attributes: Whether to explain attributes too, and not imports only. A module with `__getattr__` is slower to
            read, which matters for `backend`, where every training step looks its operations up.
    """
    names = vars(sys.modules[module])
    # Lets the import system ask `Finder` about a missing name in `from module import name`.
    names.setdefault("__path__", [])
    if attributes:
        names["__getattr__"] = lambda name: _raise(missing(module, name))


def _raise(error: Exception) -> Any:
    raise error


class Finder:
    """The last finder on `sys.meta_path`. It raises an ImportError that explains for absent names and modules."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find nothing, or raise."""
        module, _, name = fullname.rpartition(".")
        if module.split(".")[0] == "pyrnn" and (text := explanation(owner_of(module), name, module)):
            raise ImportError(text, name=fullname)
        return None


class _Missing:
    """An attribute that raises. It is a descriptor of the class, so that it does not slow down other attributes."""

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
    """Base class that explains the attributes of Keras\'s models which pyrnn does not have."""

    __slots__ = ()


class LayerNames(_Explaining):
    """Base class that explains the attributes of Keras\'s layers which pyrnn does not have."""

    __slots__ = ()


class CellNames(_Explaining):
    """Base class that explains the attributes of Keras\'s cells which pyrnn does not have."""

    __slots__ = ()


class OptimizerNames(_Explaining):
    """Base class that explains the attributes of Keras\'s optimizers which pyrnn does not have."""

    __slots__ = ()


class LossNames(_Explaining):
    """Base class that explains the attributes of Keras\'s losses which pyrnn does not have."""

    __slots__ = ()


class MetricNames(_Explaining):
    """Base class that explains the attributes of Keras\'s metrics which pyrnn does not have."""

    __slots__ = ()


class CallbackNames(_Explaining):
    """Base class that explains the attributes of Keras\'s callbacks which pyrnn does not have."""

    __slots__ = ()


class WeightNames(_Explaining):
    """Base class that explains the attributes of Keras\'s variables which pyrnn does not have."""

    __slots__ = ()


for _kind in (
    ModelNames, LayerNames, CellNames, OptimizerNames, LossNames, MetricNames, CallbackNames, WeightNames,
):  # fmt: skip
    _owner = _kind.__name__.removesuffix("Names").lower()
    for _name in ABSENT[_owner]:
        setattr(_kind, _name, _Missing(_owner, _name))
