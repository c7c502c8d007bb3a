"""What a layer holds: layers and others in its attributes and in their lists and dicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyrnn.naming import snake_case
from pyrnn.parameters import Watched, Weight
from pyrnn.structures import leaves


def all_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Yield layers and those that they hold, each once: the outer ones first."""
    pending, yielded = list(layers), set()
    while pending:
        layer = pending.pop(0)
        if id(layer) not in yielded:
            yielded.add(id(layer))
            yield layer
            pending += [child for _, child in layer.children()]


def layers_in(value: Any) -> list[Any]:
    """Return the layers in the value of an attribute: itself, or those in lists, tuples and dicts, nested or not."""
    return [layer for _, layer in placed_in("", value)]


def placed_in(path: str, value: Any, outer: tuple[int, ...] = ()) -> list[tuple[str, Any]]:
    """Return the layers in the value of an attribute with their places in a file, as Keras names them.

    Args:
        path: the name of the attribute.
        value: a layer, or a list, tuple or dict of them, which may be nested.
        outer: the containers around it, by `id`.

    Returns:
        Each layer after its place: path, path/dense, path/dense_1, path/container/dense, ...
    """
    if _is_layer(value):
        return [(path, value)]
    if not isinstance(value, list | tuple | Mapping) or id(value) in outer:  # a container may hold itself
        return []
    counts: Counter[str] = Counter()
    placed = []
    for each in value.values() if isinstance(value, Mapping) else value:
        if _is_layer(each) or isinstance(each, list | tuple | Mapping):
            kind = snake_case(type(each).__name__) if _is_layer(each) else "container"
            place = f"{path}/{kind}_{counts[kind]}" if counts[kind] else f"{path}/{kind}"
            counts[kind] += 1
            placed += placed_in(place, each, (*outer, id(value)))
    return placed


def leaves_of_attribute(value: Any) -> list[Any]:
    """Return what is in an attribute: the leaves of a list, tuple or dict with names as keys, or the value itself.

    Args:
        value: the value of the attribute.
    """
    try:
        return leaves(value)
    except (TypeError, RecursionError):  # keys that cannot be sorted, a list that holds itself
        return []


def _is_layer(value: Any) -> bool:
    """Return whether a value is a layer or model: what plans watch, and no weight."""
    return isinstance(value, Watched) and not isinstance(value, Weight)
