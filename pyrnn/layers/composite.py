"""Layers in the attributes of users' layers: their weights are part of the layer that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyrnn import overriding
from pyrnn.layers import custom
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight


def inner_layers(layer: Any) -> list[tuple[str, Any]]:
    """The layers that a user's layer holds, with their places in a file: attribute, or attribute/kind of a list.

    Layers of pyrnn that hold others look after these themselves.
    """
    if overriding.is_builtin(type(layer)):
        return []
    tracked = set(map(id, layer._weights))
    return [
        (path, each)
        for path, each in _held(layer)
        if not (each._weights and tracked.issuperset(map(id, each._weights)))
    ]


def _held(layer: Any) -> Iterator[tuple[str, Any]]:
    from pyrnn.layers.base import Layer

    for name, value in vars(layer).items():
        if isinstance(value, Layer):
            yield name, value
        several = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        counts: dict[str, int] = {}
        for each in several:
            if isinstance(each, Layer):
                kind = snake_case(type(each).__name__)
                counts[kind] = counts.get(kind, -1) + 1
                yield f"{name}/{kind}{f'_{counts[kind]}' if counts[kind] else ''}", each


def inner_weights(layer: Any, only_trainable: bool = False) -> list[Weight]:
    """The weights of the layers in a user's layer, each once."""
    weights = {
        id(weight): weight
        for _, each in inner_layers(layer)
        for weight in (each.trainable_weights if only_trainable else each.weights)
    }
    return list(weights.values())


def all_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Yield layers and those that they hold in their attributes, each once and always in the same order."""
    from pyrnn.layers.base import Layer

    seen: set[int] = set()
    pending = list(layers)
    while pending:
        layer = pending.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        for value in vars(layer).values():
            several = value.values() if isinstance(value, Mapping) else value
            held = several if isinstance(value, Mapping | list | tuple) else [value]
            pending += [each for each in held if isinstance(each, Layer)]


def finish(layer: Any, input_shape: tuple[Any, ...]) -> None:
    """Check the layers in a user's layer, and build those that it leaves to its `forward`, by a trial on zeros.

    Raises:
        TypeError: if it holds a model.
        ValueError: if a layer in it has another dtype or an activity_regularizer, or the trial fails.
    """
    if overriding.is_builtin(type(layer)):
        return
    owner = custom.named(layer)
    for name, value in vars(layer).items():
        if hasattr(value, "forward_pass"):
            raise TypeError(f"{owner} holds the model {name}, whose weights would not be trained: hold its layers")
    inner = [each for _, each in inner_layers(layer)]
    for each in inner:
        if each.dtype != layer.dtype:
            raise ValueError(f"{owner} has dtype {layer.dtype}, layer {each.name!r} in it {each.dtype}")
        if each.activity_regularizer is not None:
            raise ValueError(f"give activity_regularizer to {owner}, not to layer {each.name!r} in it")
    if not all(each.built for each in inner):
        custom.trial_shape(layer, layer.forward, input_shape, "build the layers it holds in build(input_shape)")
