"""Layers that occur several times in one description, as in a model and in a model inside it: written with a number.

Source: `ObjectSharingScope` in keras/src/saving/serialization_lib.py of Keras 3.15.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_KEY = "shared_object_id"
# While a description is written: numbers of layers by id. While one is read: layers by number.
_numbers: ContextVar[dict[int, int] | None] = ContextVar("numbers", default=None)
_layers: ContextVar[dict[int, Any] | None] = ContextVar("layers", default=None)


def write(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a description in which layers that occur several times have numbers.

    Args:
        describe: makes the description; `mark` is called for each layer in it.

    Returns:
        The description.
    """
    if _numbers.get() is not None:
        return describe()
    token = _numbers.set({})
    try:
        description = describe()
    finally:
        _numbers.reset(token)
    entries = [entry for entry in _dicts(description) if _KEY in entry]
    counts = Counter(entry[_KEY] for entry in entries)
    for entry in entries:
        if counts[entry[_KEY]] == 1:
            del entry[_KEY]
    return description


def mark(entry: dict[str, Any], layer: Any) -> None:
    """Give the description of a layer the number of the layer.

    Args:
        entry: the description.
        layer: the layer.
    """
    numbers = _numbers.get()
    if numbers is not None:
        entry[_KEY] = numbers.setdefault(id(layer), len(numbers))


@contextmanager
def reading() -> Iterator[None]:
    """Within it, descriptions with the same number give the same layer."""
    if _layers.get() is not None:
        yield
        return
    token = _layers.set({})
    try:
        yield
    finally:
        _layers.reset(token)


def once(entry: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """Return the layer of a description, a new one unless its number has been read before.

    Args:
        entry: the description.
        make: makes the layer.

    Returns:
        The layer.
    """
    layers, number = _layers.get(), entry.get(_KEY)
    if layers is None or not isinstance(number, int):
        return make()
    if number not in layers:
        layer = make()
        layers.setdefault(number, layer)
    return layers[number]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """The dicts in nested lists and dicts."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield each
            pending += each.values()
        elif isinstance(each, list | tuple):
            pending += each
