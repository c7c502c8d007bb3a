"""What runs a user's subclass of `Model`: the base that it gets when it is created, or with its first model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pyrnn import overriding
from pyrnn.functional import Functional
from pyrnn.layers import attributes
from pyrnn.layers.holder import Holder
from pyrnn.model import Model
from pyrnn.subclassed import Subclassed


def prepare(cls: Any) -> None:
    """Give a user's subclass of `Model` the base that runs it.

    Args:
        cls: the new class.
    """
    calls = overriding.new_in(cls, "call", Model) is not None
    if Model in cls.__bases__:
        cls.may_lack_graph = True
        base = Subclassed if calls else Functional
        cls.__bases__ = tuple(base if each is Model else each for each in cls.__bases__)
    elif calls and issubclass(cls, Functional) and not issubclass(cls, Subclassed):
        cls.__bases__ = (*cls.__bases__, Subclassed)
    if issubclass(cls, Subclassed):
        _prepare_call(cls)


def _prepare_call(cls: Any) -> None:
    if cls.__setattr__ is object.__setattr__:
        cls.__setattr__ = attributes.declaring_setattr(_assign)
    if not hasattr(cls.build, "connects") and not overriding.is_builtin_function(cls.build):
        cls.build = _connecting(cls.build)
    for each in cls.__subclasses__():
        _prepare_call(each)


def _assign(model: Any, name: str, value: Any) -> None:
    """Assign to an attribute of a model whose constructor has run."""
    if "_plan" not in vars(model) and isinstance(value, Holder):
        raise RuntimeError(f"{type(model).__name__}.__init__() must call super().__init__() before it assigns {name}")
    attributes.guarded_setattr(model, name, value)


def adopt(cls: Any) -> None:
    """Give a user's class without `call` the base of models without inputs and outputs.

    Args:
        cls: the class.

    Raises:
        TypeError: if it has made models with inputs and outputs, which need their base.
    """
    if issubclass(cls, Subclassed):
        return
    if "_has_graphs" in vars(cls):
        raise TypeError(
            f"{cls.__name__}() must get inputs and outputs, as other models of its class did: derive a class for "
            "models without them"
        )
    bases = tuple(Subclassed if each is Functional else each for each in cls.__bases__)
    cls.__bases__ = bases if Subclassed in bases else (*bases, Subclassed)
    _prepare_call(cls)


def _connecting(build: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a user's `build`, so that `call` is traced after it; it need not call `super().build()`."""

    @functools.wraps(build)
    def wrapped(self: Any, *shapes: Any, **named_shapes: Any) -> None:
        if self._is_connected:
            return
        if self._in_build:  # of a subclass, which calls this one
            build(self, *shapes, **named_shapes)
            return
        vars(self)["_in_build"] = True
        try:
            build(self, *shapes, **named_shapes)
        finally:
            self._in_build = False
        Subclassed.build(self, *shapes, **named_shapes)

    wrapped.connects = True  # type: ignore[attr-defined]
    return wrapped


Model.prepare, Model.adopt = prepare, adopt
