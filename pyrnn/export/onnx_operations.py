"""Operations of `pyrnn.ops` between the layers of a graph, in ONNX's operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyrnn.export.onnx_activations import FUNCTIONS
from pyrnn.export.onnx_graph import CannotExport, Graph, Value
from pyrnn.layers.core.operation import Operation, Place

# The operators of operations on one array, and of those on two that broadcast.
UNARY = {
    "absolute": "Abs", "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor",
    "log": "Log", "negative": "Neg", "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt",
}  # fmt: skip
BINARY = {
    "add": "Add", "divide": "Div", "true_divide": "Div", "maximum": "Max", "minimum": "Min", "multiply": "Mul",
    "power": "Pow", "subtract": "Sub", "matmul": "MatMul",
}  # fmt: skip
REDUCTIONS = {"max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "sum": "ReduceSum", "prod": "ReduceProd"}


def operation(graph: Graph, layer: Operation, values: Sequence[Value]) -> list[Value]:
    """Add an operation.

    Args:
        graph: The graph.
        layer: The operation.
        values: The arrays that it reads.

    Returns:
        A list with its result.

    Raises:
        CannotExport: If it is not supported.
    """
    name = layer.function.__name__
    export = _exporter_of(name)
    bound = _bound(layer, graph, values)
    specs, is_several = layer.specs([value.shape for value in values])
    if is_several:
        raise CannotExport(f"ops.{name} returns several arrays, which is not supported")
    shape, dtype = specs[0]
    if dtype != "float32":
        raise CannotExport(f"ops.{name} makes an array of dtype {dtype}, which is not supported")
    return [Value(export(graph, bound, len(values[0].shape)), tuple(shape))]


Arguments = dict[str, Any]
Exporter = Callable[[Graph, Arguments, int], str]


def _exporter_of(name: str) -> Exporter:
    if name in UNARY:
        return lambda graph, arguments, rank: str(graph.add(UNARY[name], _only(arguments, name, 1)[0]))
    if name in BINARY:
        return lambda graph, arguments, rank: str(graph.add(BINARY[name], *_only(arguments, name, 2)))
    if name in REDUCTIONS:
        return lambda graph, arguments, rank: _reduced(graph, REDUCTIONS[name], arguments, rank)
    if name in FUNCTIONS:
        return lambda graph, arguments, rank: FUNCTIONS[name](graph, _only(arguments, name, 1)[0])
    if name in _OTHERS:
        return _OTHERS[name]
    raise CannotExport(f"ops.{name} is not supported: use a layer, or one of {', '.join(sorted(exported()))}")


def exported() -> set[str]:
    """Return the names of the operations that can be exported."""
    return {*UNARY, *BINARY, *REDUCTIONS, *FUNCTIONS, *_OTHERS}


def _bound(layer: Operation, graph: Graph, values: Sequence[Value]) -> Arguments:
    """The arguments by name; arrays are names of the graph, also numbers in the place of arrays."""
    import inspect

    def filled(leaf: Any) -> Any:
        if isinstance(leaf, Place):
            return values[leaf.number].name
        if isinstance(leaf, list | tuple):
            return [filled(each) for each in leaf]
        return leaf

    signature = inspect.signature(layer.function)
    bound = signature.bind(*layer.args, **layer.kwargs)
    arguments = {name: filled(value) for name, value in bound.arguments.items() if value is not None}
    if layer.function.__name__ in BINARY:
        for name, value in arguments.items():
            if isinstance(value, int | float | np.ndarray | np.generic):
                arguments[name] = graph.constant(np.asarray(value, np.float32))
    return arguments


def _only(arguments: Arguments, name: str, count: int) -> list[str]:
    """The arrays, which must be the only arguments."""
    if len(arguments) != count or not all(isinstance(each, str) for each in arguments.values()):
        raise CannotExport(f"ops.{name} must be called with {count} array(s) and no other arguments")
    return list(arguments.values())


def _reduced(graph: Graph, operator: str, arguments: Arguments, rank: int) -> str:
    x, axis = arguments.get("x"), arguments.get("axis")
    if not isinstance(x, str) or not set(arguments) <= {"x", "axis", "keepdims"}:
        raise CannotExport(f"{operator} supports the arguments x, axis and keepdims only")
    axes = list(range(rank)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return str(graph.add(operator, x, graph.integers(axes), keepdims=int(bool(arguments.get("keepdims", False)))))


def _transpose(graph: Graph, arguments: Arguments, rank: int) -> str:
    axes = arguments.get("axes")
    order = list(range(rank))[::-1] if axes is None else [axis % rank for axis in axes]
    return graph.transpose(arguments["x"], order)


def _expand_dims(graph: Graph, arguments: Arguments, rank: int) -> str:
    axis = arguments["axis"]
    if not isinstance(axis, int):
        raise CannotExport(f"ops.expand_dims must be called with one axis, got {axis}")
    return graph.unsqueeze(arguments["x"], axis if axis >= 0 else axis + rank + 1)


def _squeeze(graph: Graph, arguments: Arguments, rank: int) -> str:
    if not isinstance(arguments.get("axis"), int):
        raise CannotExport("ops.squeeze must be called with one axis")
    return graph.squeeze(arguments["x"], arguments["axis"])


def _concatenate(graph: Graph, arguments: Arguments, rank: int) -> str:
    return str(graph.add("Concat", *arguments["xs"], axis=arguments.get("axis", 0)))


def _square(graph: Graph, arguments: Arguments, rank: int) -> str:
    return str(graph.add("Mul", arguments["x"], arguments["x"]))


def _get_item(graph: Graph, arguments: Arguments, rank: int) -> str:
    x, key = list(arguments.values())
    name, axis = x, 0
    for part in key if isinstance(key, list | tuple) else [key]:
        if part is Ellipsis or not isinstance(part, int | slice):
            raise CannotExport(f"x[{key}] must have integers and slices only")
        if isinstance(part, int):
            name = str(graph.add("Gather", name, graph.integers(part), axis=axis))
            continue
        if part.step not in (None, 1):
            raise CannotExport(f"the slices of x[{key}] must have steps of 1")
        if part.start is not None or part.stop is not None:
            name = graph.cut(name, axis, part.start or 0, 2**62 if part.stop is None else part.stop)
        axis += 1
    return str(name)


_OTHERS: dict[str, Exporter] = {
    "concatenate": _concatenate,
    "expand_dims": _expand_dims,
    "get_item": _get_item,
    "square": _square,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
