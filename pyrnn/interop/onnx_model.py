"""`from_onnx`: a model of an ONNX file."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.arguments import checked
from pyrnn.functional import Functional
from pyrnn.interop.onnx_cells import recurrent
from pyrnn.interop.onnx_file import Node, OnnxGraph, Port, read_graph
from pyrnn.interop.onnx_nodes import NODES, dense
from pyrnn.interop.onnx_sizes import OF_SIZES
from pyrnn.interop.onnx_values import CannotImport, View, arranged
from pyrnn.typing import FilePath

_CELLS = ("RNN", "LSTM", "GRU")
_MOST_BYTES = 2**31 - 1  # of a protobuf message
_KEEP_ORDER = (*_CELLS, "Relu", "Tanh", "Sigmoid", "Identity", "Cast", "Dropout", "Add", "Mul", "Sub", "Div", "MatMul",
               "LayerNormalization", "Slice", "Split")  # fmt: skip


@checked
def from_onnx(path: FilePath) -> Functional:
    """Read an ONNX file as a model that can be trained, saved and streamed like any other.

    RNN, LSTM, GRU, Conv and Gemm become layers, with their weights; operators between them become layers or operations
    of `pyrnn.ops`. Arrays have the batch axis first: an input (T, B, F) of the file is an input (B, T, F) of the model,
    and so are its outputs; states (layers, B, units) become (B, layers, units).

    The file may come from anyone: nothing in it runs, and sizes are checked before memory is taken.

    Args:
        path: The file. Its numbers must be in it, not in files next to it.

    Returns:
        A model whose inputs and outputs are in the order of the file's.

    Raises:
        ImportError: If the package `onnx` is missing.
        OSError: If the file cannot be read.
        ValueError: If the file is damaged, or has a node that cannot be imported; the message names it and the reason.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.interop.from_onnx("forecast.onnx")  # doctest: +SKIP
    """
    text = os.fspath(path)
    try:
        import onnx
    except ImportError as error:
        raise ImportError("from_onnx needs the package onnx: pip install 'pyrnn-core[onnx]'") from error
    size = os.path.getsize(text)
    if size > _MOST_BYTES:
        raise ValueError(f"{text!r} must have at most {_MOST_BYTES} bytes, got {size}")
    with open(text, "rb") as file:
        content = file.read()
    return _Import(read_graph(onnx, content, text), text).model()


class _Import:
    """One import.

    Args:
        graph: The graph.
        path: Its file, for messages.
    """

    def __init__(self, graph: OnnxGraph, path: str) -> None:
        self.graph, self.path = graph, path
        self.values: dict[str, Any] = dict(graph.constants)
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.readers.update(graph.outputs)
        self.done: set[int] = set()  # numbers of nodes that became part of one before

    def model(self) -> Functional:
        """Return the model."""
        inputs = []
        for port in self.graph.inputs:
            order = self._order(port)
            shape = [port.shape[axis] if isinstance(port.shape[axis], int) else None for axis in order]
            symbol = layers.Input(batch_shape=tuple(shape), name=_plain(port.name), dtype=port.dtype)
            inputs.append(symbol)
            self.values[port.name] = View(symbol, tuple(int(place) for place in np.argsort(order)))
        for number, node in enumerate(self.graph.nodes):
            if number in self.done:
                continue
            try:
                self._convert(number, node)
            except CannotImport as error:
                raise ValueError(
                    f"node {node.name!r} ({node.operator}) of {self.path!r} cannot be imported: {error}"
                ) from error
            except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
                reason = " ".join(str(error).split())
                raise ValueError(
                    f"node {node.name!r} ({node.operator}) of {self.path!r} does not fit what it reads: {reason}"
                ) from error
        outputs = []
        for name in self.graph.outputs:
            value = self.values[name]
            if not isinstance(value, View):
                raise ValueError(f"output {name!r} of {self.path!r} must be an array that depends on the inputs")
            outputs.append(_batch_first(value))
        if len(set(map(id, outputs))) < len(outputs):
            outputs = [layers.Identity()(each) if n else each for n, each in enumerate(outputs)]
        return Functional(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])

    def _order(self, port: Port) -> list[int]:
        """The axes of an input with the batch axis first, which follows from the recurrent nodes that read it."""
        rank = len(port.shape)
        order = list(range(rank))
        if rank != 3:
            return order
        pending, met = [(port.name, order)], {port.name}
        while pending:
            name, axes = pending.pop()
            for node in self.graph.nodes:
                if name not in node.inputs:
                    continue
                place = node.inputs.index(name)
                if node.operator in _CELLS:
                    batch = axes[1]
                    return [batch, *(axis for axis in order if axis != batch)]
                after = axes
                if node.operator == "Transpose":
                    perm = node.attributes.get("perm", [2, 1, 0])
                    after = [axes[axis] for axis in perm] if sorted(perm) == order else axes
                elif place or not self._keeps_order(node):
                    continue
                for output in node.outputs:
                    if output and output not in met:
                        met.add(output)
                        pending.append((output, after))
        return order

    def _keeps_order(self, node: Node) -> bool:
        """Whether the axes of the output are those of the first input."""
        if node.operator == "Gather":
            places = self.graph.constants.get(node.input(1))
            return places is not None and places.ndim == 1
        return node.operator in _KEEP_ORDER

    def _convert(self, number: int, node: Node) -> None:
        operator = node.operator
        inputs = [self.values[name] if name else None for name in node.inputs]
        results: list[Any]
        if operator in _CELLS:
            results = recurrent(node, self.values, lambda name: self.readers[name] > 0)
        elif operator == "MatMul" and self._is_dense(inputs):
            results = [self._dense(number, node, inputs)]
        elif operator in OF_SIZES and (result := OF_SIZES[operator](node, inputs)) is not None:
            results = [result]
        elif operator in NODES:
            converted = NODES[operator](node, inputs)
            results = converted if isinstance(converted, list) else [converted]
        elif operator in OF_SIZES:
            raise CannotImport("it reads values of a kind that is not supported")
        else:
            raise CannotImport(
                f"the operator {operator} is not among {', '.join(sorted({*NODES, *OF_SIZES, *_CELLS}))}"
            )
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                self.values[name] = result
        missing = [name for name in node.outputs[len(results) :] if name and self.readers[name]]
        if missing:
            raise CannotImport(f"its output {missing[0]!r} is not supported")

    def _is_dense(self, inputs: Sequence[Any]) -> bool:
        return (
            len(inputs) == 2
            and isinstance(inputs[0], View)
            and isinstance(inputs[1], np.ndarray)
            and inputs[1].ndim == 2
        )

    def _dense(self, number: int, node: Node, inputs: Sequence[Any]) -> View:
        """A product with a constant, together with the addition of a bias that alone reads it."""
        following = self.graph.nodes[number + 1] if number + 1 < len(self.graph.nodes) else None
        kernel = inputs[1]
        if (
            following is not None
            and following.operator == "Add"
            and self.readers[node.outputs[0]] == 1
            and node.outputs[0] in following.inputs
            and len(following.inputs) == 2
        ):
            others = [self.values.get(name) for name in following.inputs if name != node.outputs[0]]
            if len(others) == 1 and isinstance(others[0], np.ndarray) and others[0].shape == (kernel.shape[1],):
                result = dense(inputs[0], kernel, others[0])
                self.values[following.outputs[0]] = result
                self.done.add(number + 1)
                return result
        return dense(inputs[0], kernel, None)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)[:64] or "x"


def _batch_first(view: View) -> Any:
    """The symbol with its axes in ONNX's order, but the batch axis first."""
    if 0 not in view.axes:
        return view.symbol
    batch = view.axes.index(0)
    order = [batch, *(place for place in range(len(view.axes)) if place != batch)]
    wide = View(view.symbol, tuple(view.axes[place] for place in order))
    return arranged(wide, tuple(range(len(order))))
