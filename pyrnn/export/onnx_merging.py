"""Layers that read several arrays in ONNX's operators: merges and attention. The table is `MERGING`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.export.onnx_activations import activated
from pyrnn.export.onnx_graph import CannotExport, Graph, Value
from pyrnn.export.onnx_layers import required_size

Exporter = Callable[[Graph, Any, Sequence[Value], Mapping[str, Any]], list[Value]]


def _reduced(graph: Graph, operator: str, names: Sequence[str]) -> str:
    result, *others = names
    for each in others:
        result = graph.add(operator, result, each)
    return result


def _or_mask(graph: Graph, xs: Sequence[Value]) -> str | None:
    masks = [x.mask for x in xs]
    return None if any(each is None for each in masks) else _reduced(graph, "Or", [each for each in masks if each])


def _aligned(graph: Graph, xs: Sequence[Value]) -> list[Value]:
    """Give all the same number of axes: those of size 1 come after the batch axis, and end a mask."""
    rank = max(len(x.shape) for x in xs)
    if all(len(x.shape) == rank for x in xs):
        return list(xs)
    wide = []
    for x in xs:
        missing = rank - len(x.shape)
        name = graph.unsqueeze(x.name, *range(1, missing + 1)) if missing else x.name
        wide.append(Value(name, (*x.shape[:1], *[1] * missing, *x.shape[1:])))
    return wide


def _elementwise(operator: str) -> Exporter:
    def export(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
        wide = _aligned(graph, xs)
        if operator in ("Mul", "Max", "Min") and any(x.mask is not None for x in wide):
            raise CannotExport(f"a mask reaches it, and {type(layer).__name__} of masked steps is not supported")
        name = _reduced(graph, operator, [x.name for x in wide])
        return [Value(name, layer.compute_output_shape([x.shape for x in xs]), _or_mask(graph, xs))]

    return export


def _average(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
    total = _elementwise("Add")(graph, layer, xs, options)[0]
    return [total._replace(name=graph.add("Div", total.name, graph.constant(float(len(xs)))))]


def _concatenate(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
    axis, rank = layer.axis % len(xs[0].shape), len(xs[0].shape)
    mask = None
    if any(x.mask is not None for x in xs):
        masks = [x.mask or _all_true(graph, x) for x in xs]
        mask = graph.add("Concat", *masks, axis=axis) if axis < 2 else _reduced(graph, "Or", masks)
    name = graph.add("Concat", *(x.name for x in xs), axis=axis) if rank else xs[0].name
    return [Value(name, layer.compute_output_shape([x.shape for x in xs]), mask)]


def _all_true(graph: Graph, x: Value) -> str:
    return str(graph.add("Expand", graph.constant(True, bool), graph.sizes_of(x.name, 0, 2)))


def _dot(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
    matrices = []
    for x, axis in zip(xs, layer._axes([x.shape for x in xs]), strict=True):
        rank = len(x.shape)
        if rank > 3:
            raise CannotExport(f"Dot of inputs with more than three axes is not supported, got shape {x.shape}")
        name = graph.unsqueeze(x.name, 1) if rank == 2 else x.name
        if rank == 3 and axis == 1:
            name = graph.transpose(name, (0, 2, 1))
        if layer.normalize:
            square = graph.add("ReduceSum", graph.add("Mul", name, name), graph.integers([2]))
            name = graph.add("Div", name, graph.add("Max", graph.add("Sqrt", square), graph.constant(1e-7)))
        matrices.append(name)
    y = graph.add("MatMul", matrices[0], graph.transpose(matrices[1], (0, 2, 1)))
    shape = layer.compute_output_shape([x.shape for x in xs])
    if len(xs[1].shape) == 2:
        return [Value(graph.squeeze(y, 2), shape)]
    return [Value(graph.squeeze(y, 1) if len(xs[0].shape) == 2 else y, shape)]


# Attention.


def _may_read(graph: Graph, masks: Sequence[str], query: str, value: str, causal: bool) -> str | None:
    """Which values a query may read, of masks that broadcast with the scores (..., Q, V)."""
    parts = list(masks)
    if causal:
        sizes = [graph.squeeze(graph.sizes_of(each, 1, 2), 0) for each in (query, value)]
        steps = [graph.add("Range", graph.integers(0), size, graph.integers(1)) for size in sizes]
        parts.append(graph.add("GreaterOrEqual", graph.unsqueeze(steps[0], 1), steps[1]))
    return _reduced(graph, "And", parts) if parts else None


def _weights(graph: Graph, scores: str, may_read: str | None, penalty: float, zero_unread: bool) -> str:
    """The softmax of scores; those that may not be read are lowered by `penalty`."""
    if may_read is None:
        return str(graph.add("Softmax", scores, axis=-1))
    lowered = graph.where(may_read, graph.constant(0.0), graph.constant(penalty))
    weights = str(graph.add("Softmax", graph.add("Sub", scores, lowered), axis=-1))
    return graph.where(may_read, weights, graph.constant(0.0)) if zero_unread else weights


def _attention(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
    query, value = xs[:2]
    key = xs[2] if len(xs) > 2 else value
    if len(query.shape) != 3:
        raise CannotExport(f"attention over more than one axis is not supported, got shape {query.shape}")
    additive = type(layer) is layers.AdditiveAttention
    if not additive and layer.score_mode == "dot":
        scores = graph.add("MatMul", query.name, graph.transpose(key.name, (0, 2, 1)))
        if layer.scale is not None:
            scores = graph.add("Mul", scores, graph.constant(layer.scale.array))
    else:
        pair = [graph.unsqueeze(query.name, 2), graph.unsqueeze(key.name, 1)]
        if not additive and layer.scale is not None:
            pair = [graph.add("Mul", each, graph.constant(layer.scale.array)) for each in pair]
        terms = graph.add("Tanh", graph.add("Add", *pair))
        if additive and layer.scale is not None:
            terms = graph.add("Mul", terms, graph.constant(layer.scale.array))
        scores = graph.add("ReduceSum", terms, graph.integers([3]), keepdims=0)
        if not additive:
            scores = graph.add("Mul", scores, graph.constant(layer.concat_score_weight.array))
    masks = [] if value.mask is None else [graph.unsqueeze(value.mask, 1)]
    may_read = _may_read(graph, masks, query.name, value.name, bool(options.get("use_causal_mask")))
    weights = _weights(graph, scores, may_read, 1e9, False)
    y = graph.add("MatMul", weights, value.name)
    if query.mask is not None:
        y = graph.where(graph.unsqueeze(query.mask, 2), y, graph.constant(0.0))
    return _with_scores(layer, xs, options, y, weights, query.mask)


def _with_scores(
    layer: Any, xs: Sequence[Value], options: Mapping[str, Any], y: str, weights: str, mask: str | None
) -> list[Value]:
    shapes = layer.compute_output_shape([x.shape for x in xs[:3]], **options)
    if not options.get("return_attention_scores"):
        return [Value(y, shapes, mask)]
    return [Value(y, shapes[0], mask), Value(weights, shapes[1])]


def _projected(graph: Graph, projection: Any, x: Value) -> str:
    """Features to (heads, size), or back."""
    width = math.prod(projection.sizes)
    kernel = projection.kernel.array.reshape(-1, width)
    name = x.name if projection.inner == 1 else graph.reshape(x.name, (0, 0, len(kernel)))
    y = graph.add("MatMul", name, graph.constant(kernel))
    if projection.bias is not None:
        y = graph.add("Add", y, graph.constant(projection.bias.array.reshape(-1)))
    y = activated(graph, y, projection._activation)
    return y if projection.inner == 2 and len(projection.sizes) == 1 else graph.reshape(y, (0, 0, *projection.sizes))


def _multi_head(graph: Graph, layer: Any, xs: Sequence[Value], options: Mapping[str, Any]) -> list[Value]:
    query, value = xs[:2]
    key = xs[2] if len(xs) > 2 else value
    if len(query.shape) != 3:
        raise CannotExport(f"attention over more than one axis is not supported, got shape {query.shape}")
    if layer.sliding_window is not None:
        raise CannotExport(f"sliding_window={layer.sliding_window} is not supported")
    required_size(query, -1)
    projected = [
        graph.transpose(_projected(graph, dense, x), (0, 2, 1, 3))
        for dense, x in ((layer.query_dense, query), (layer.key_dense, key), (layer.value_dense, value))
    ]
    scores = graph.add("MatMul", projected[0], graph.transpose(projected[1], (0, 1, 3, 2)))
    scores = graph.add("Mul", scores, graph.constant(1 / math.sqrt(layer.key_dim)))
    masks = []
    if query.mask is not None:
        masks.append(graph.unsqueeze(query.mask, 1, 3))
    masks += [graph.unsqueeze(each.mask, 1, 2) for each in (value, *xs[2:3]) if each.mask is not None]
    if "attention_mask" in options:
        masks.append(graph.unsqueeze(graph.constant(options["attention_mask"], bool), 1))
    elif len(xs) > 3:
        masks.append(graph.unsqueeze(graph.cast(xs[3].name, "bool"), 1))
    may_read = _may_read(graph, masks, query.name, value.name, bool(options.get("use_causal_mask")))
    zero_unread = bool(options.get("return_attention_scores") or layer.dropout)
    weights = _weights(graph, scores, may_read, 0.7 * float(np.finfo(np.float32).max), zero_unread)
    averages = graph.transpose(graph.add("MatMul", weights, projected[2]), (0, 2, 1, 3))
    if layer._gate_dense is not None:
        averages = graph.add("Mul", averages, _projected(graph, layer._gate_dense, query))
    y = _projected(graph, layer.output_dense, query._replace(name=averages))
    shown = {name: each for name, each in options.items() if name == "return_attention_scores"}
    return _with_scores(layer, xs, shown, y, weights, query.mask)


MERGING: dict[type, Exporter] = {
    layers.Add: _elementwise("Add"),
    layers.AdditiveAttention: _attention,
    layers.Attention: _attention,
    layers.Average: _average,
    layers.Concatenate: _concatenate,
    layers.Dot: _dot,
    layers.Maximum: _elementwise("Max"),
    layers.Minimum: _elementwise("Min"),
    layers.MultiHeadAttention: _multi_head,
    layers.Multiply: _elementwise("Mul"),
    layers.Subtract: _elementwise("Sub"),
}
