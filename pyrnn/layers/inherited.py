"""`super().call(...)` in a subclass of a built-in layer: the layer as the class of pyrnn computes it.

The subclass runs the graph of its own `call`. In that graph the computation of the class of pyrnn is a layer too: an
object of that class with the attributes of the subclass's layer, its weights, options and tape.
"""

from __future__ import annotations

import functools
from typing import Any

from pyrnn import overriding


def as_builtin(layer: Any) -> Any:
    """Return a layer as an object of the class of pyrnn that its class derives from, with the same attributes.

    Args:
        layer: a layer.

    Returns:
        The layer itself if its class is one of pyrnn, or has no `call` of its own.
    """
    if not layer.is_traced:
        return layer
    inherited = vars(layer).get("_inherited")
    if inherited is None:
        cls = _plain(next(each for each in type(layer).__mro__ if overriding.is_builtin(each)))
        inherited = object.__new__(cls)
        inherited.__dict__ = vars(layer)
        object.__setattr__(inherited, "_watchers", layer._watchers)
        vars(layer)["_inherited"] = inherited
    return inherited


def weights_read_by(layer: Any) -> list[Any]:
    """Return the weights that a layer of a graph reads when it runs.

    Args:
        layer: a layer, maybe one that `as_builtin` returned.

    Returns:
        Its weights, without those that a subclass added.
    """
    if vars(layer).get("_inherited") is not layer:
        return list(layer.weights)
    guarded = (name for name, value in vars(layer).items() if hasattr(getattr(type(layer), name, None), "__set__"))
    weights = [vars(layer)[name] for name in guarded]
    return [*weights, *(weight for _, child in layer.children() for weight in child.weights)]


@functools.cache
def _plain(base: Any) -> Any:
    """A class of pyrnn whose objects ignore what their attributes say about the calls of the subclass."""
    return type(
        base.__name__,
        (base,),
        {
            "__module__": base.__module__,
            "__doc__": base.__doc__,
            "merges": property(lambda _: base.merges),
            "activity_regularizer": property(lambda _: None),
        },
    )
