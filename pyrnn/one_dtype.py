"""The one dtype of the layers of a model: layers without weights take that of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyrnn.inner_layers import all_layers
from pyrnn.symbols import Node


def has_no_weights(layer: Any) -> bool:
    """Return whether a layer, no model, has no weights and will get none, so that its dtype may be changed.

    Args:
        layer: a layer.

    Returns:
        False too for a layer that may make weights when it is built.
    """
    return not any(inner.is_model or inner.weights or not inner.built for inner in all_layers([layer]))


def agree(layers: Sequence[Any], nodes: Sequence[Node] = ()) -> list[str]:
    """Give the layers without weights the dtype of those with weights.

    Nothing changes if the layers with weights have several, or if a layer without weights has another dtype and is in
    use outside these calls, where its dtype must stay.

    Args:
        layers: the layers of a model.
        nodes: the calls of a graph, in the order in which they run.

    Returns:
        The dtypes of the layers now, sorted: one if they agree.
    """
    dtypes = {layer.dtype for layer in layers}
    fixed = {layer.dtype for layer in layers if not has_no_weights(layer)} or {layer.dtype for layer in layers[:1]}
    calls = set(map(id, nodes))
    others = [layer for layer in layers if {layer.dtype} != fixed]
    if len(fixed) > 1 or any(
        not has_no_weights(layer) or any(id(node) not in calls for node in layer.nodes) for layer in others
    ):
        return sorted(dtypes)
    for layer in others:
        (dtype,) = fixed
        for inner in all_layers([layer]):
            inner.take_dtype(dtype)
    return sorted(fixed)
