"""Activations as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyrnn.export.onnx_graph import CannotExport, Graph

Function = Callable[[Graph, str], str]


def _node(operator: str, **attributes: Any) -> Function:
    return lambda graph, x: str(graph.add(operator, x, **attributes))


def _clip(low: float, high: float) -> Function:
    return lambda graph, x: str(graph.add("Clip", x, graph.constant(low), graph.constant(high)))


def _silu(graph: Graph, x: str) -> str:
    return str(graph.add("Mul", x, graph.add("Sigmoid", x)))


def _squareplus(graph: Graph, x: str) -> str:
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", x, x), graph.constant(4.0)))
    return str(graph.add("Mul", graph.add("Add", x, root), graph.constant(0.5)))


def _sparse_plus(graph: Graph, x: str) -> str:
    unit = graph.constant(1.0)
    half = graph.add(
        "Mul", graph.add("Add", graph.add("Clip", x, graph.constant(-1.0), unit), unit), graph.constant(0.5)
    )
    return graph.where(graph.add("Less", x, unit), graph.add("Mul", half, half), x)


def _log_sigmoid(graph: Graph, x: str) -> str:
    # -max(-x, 0) - log(1 + exp(-|x|)), which does not overflow.
    decayed = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    small = graph.add("Log", graph.add("Add", graph.constant(1.0), decayed))
    return str(graph.add("Sub", graph.add("Min", x, graph.constant(0.0)), small))


def _tanh_shrink(graph: Graph, x: str) -> str:
    return str(graph.add("Sub", x, graph.add("Tanh", x)))


def _glu(graph: Graph, x: str) -> str:
    first, second = graph.add("Split", x, count=2, axis=-1, num_outputs=2)
    return str(graph.add("Mul", first, graph.add("Sigmoid", second)))


FUNCTIONS: dict[str, Function] = {
    "linear": lambda graph, x: x,
    "relu": _node("Relu"),
    "tanh": _node("Tanh"),
    "sigmoid": _node("Sigmoid"),
    "leaky_relu": _node("LeakyRelu", alpha=0.2),
    "relu6": _clip(0.0, 6.0),
    "elu": _node("Elu", alpha=1.0),
    "selu": _node("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "celu": _node("Celu", alpha=1.0),
    "softplus": _node("Softplus"),
    "softsign": _node("Softsign"),
    "exponential": _node("Exp"),
    "hard_sigmoid": _node("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_tanh": _clip(-1.0, 1.0),
    "sparse_sigmoid": _node("HardSigmoid", alpha=0.5, beta=0.5),
    "softmax": _node("Softmax", axis=-1),
    "log_softmax": _node("LogSoftmax", axis=-1),
    "squareplus": _squareplus,
    "soft_shrink": _node("Shrink", lambd=0.5, bias=0.5),
    "sparse_plus": _sparse_plus,
    "silu": _silu,
    "gelu": _node("Gelu"),
    "tanh_shrink": _tanh_shrink,
    "hard_silu": _node("HardSwish"),
    "hard_shrink": _node("Shrink", lambd=0.5, bias=0.0),
    "mish": _node("Mish"),
    "log_sigmoid": _log_sigmoid,
    "glu": _glu,
}


def activated(graph: Graph, x: str, name: str) -> str:
    """Add an activation.

    Args:
        graph: The graph.
        x: Name of an array in it.
        name: Name of the activation in pyrnn.

    Returns:
        The name of the result.

    Raises:
        CannotExport: If ONNX has no operators for it.
    """
    if name not in FUNCTIONS:
        raise CannotExport(f"ONNX has no operators for the activation {name!r}")
    return FUNCTIONS[name](graph, x)
