"""The graph between the inputs and outputs of a model: its calls in the order in which they run, and its layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pyrnn.symbols import Node, Symbol


class Graph:
    """The calls that lead from inputs to outputs.

    Layers are in Keras's order, which is that of `get_weights()`: by their distance from the outputs, the farthest
    first, and then by the order in which a search from the outputs meets them.

    Args:
        inputs: symbols that the model reads.
        outputs: symbols that it returns.

    Raises:
        ValueError: if an output does not depend on the inputs alone.

    Source: the order of `map_graph` in Keras 3, keras/src/ops/function.py.
    """

    def __init__(self, inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> None:
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._given = set(map(id, inputs))
        sorted_nodes, met = self._search()
        by_node: dict[int, int] = {}
        by_layer: dict[int, int] = {}
        layers: dict[int, Any] = {}
        inside = set(map(id, sorted_nodes))
        for node in reversed(sorted_nodes):
            depth = max(by_node.setdefault(id(node), 0), by_layer.get(id(node.layer), 0))
            by_node[id(node)] = by_layer[id(node.layer)] = depth
            layers[id(node.layer)] = node.layer
            for symbol in self._read(node):
                if id(symbol.node) in inside:
                    by_node[id(symbol.node)] = max(depth + 1, by_node.get(id(symbol.node), 0))
        for symbol in inputs:  # those that no output needs are inputs all the same
            if not symbol.node.inputs and id(symbol.node.layer) not in by_layer:
                by_layer[id(symbol.node.layer)] = by_node[id(symbol.node)] = 0
                met[id(symbol.node.layer)] = -1
                layers[id(symbol.node.layer)] = symbol.node.layer
                sorted_nodes.append(symbol.node)
        order = sorted(layers, key=lambda key: (-by_layer[key], met[key]))
        self.layers = [layers[key] for key in order]
        # Nodes by depth, and within one in the order of the search from the outputs back, as Keras runs them.
        by_depth: dict[int, list[Node]] = defaultdict(list)
        for node in reversed(sorted_nodes):
            by_depth[by_node[id(node)]].append(node)
        self.nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        self._check()

    def is_chain(self) -> bool:
        """Return whether each call reads the call before it and nothing else, and no layer is called twice."""
        nodes = [node for node in self.nodes if self._read(node)]
        before = [self.inputs[0].node, *nodes]
        return (
            len(self.inputs) == 1
            and len({id(node.layer) for node in nodes}) == len(nodes)
            and all(
                len(node.read) == 1 and node.inputs[0].node is read for node, read in zip(nodes, before, strict=False)
            )
        )

    def _read(self, node: Node) -> tuple[Symbol, ...]:
        """The symbols that a node reads; none if it makes a symbol that the model is given."""
        return () if self._is_outside(node) else node.read

    def _is_outside(self, node: Node) -> bool:
        return bool(node.inputs) and all(id(symbol) in self._given for symbol in node.outputs)

    def _search(self) -> tuple[list[Node], dict[int, int]]:
        """Nodes so that each comes after those it reads, and the order in which their layers were met."""
        finished: list[Node] = []
        done: set[int] = set()
        met: dict[int, int] = {}
        for output in self.outputs:
            pending: list[tuple[Node, bool]] = [(output.node, False)] if id(output) not in self._given else []
            if not pending and not output.node.inputs:
                pending = [(output.node, False)]
            while pending:
                node, is_expanded = pending.pop()
                if is_expanded:
                    if id(node) not in done:
                        done.add(id(node))
                        finished.append(node)
                    continue
                if id(node) in done:
                    continue
                met.setdefault(id(node.layer), len(met))
                pending.append((node, True))
                for symbol in reversed(node.read):
                    if id(symbol) not in self._given or not symbol.node.inputs:
                        pending.append((symbol.node, False))
        return finished, met

    def _check(self) -> None:
        computed = set(self._given)
        accessed: list[str] = []
        for node in self.nodes:
            for symbol in node.read:
                if id(symbol) not in computed:
                    raise ValueError(
                        f"the graph is disconnected: layer {node.layer.name!r} reads {symbol!r}, which does not depend "
                        f"on the inputs of the model; the layers before it are {accessed}"
                    )
            if not node.inputs and not any(id(symbol) in self._given for symbol in node.outputs):
                raise ValueError(
                    f"the graph is disconnected: the outputs depend on {node.outputs[0]!r}, which is not among the "
                    "inputs of the model"
                )
            computed |= set(map(id, node.outputs))
            accessed.append(node.layer.name)
        for symbol in self.outputs:
            if id(symbol) not in computed:
                raise ValueError(f"the graph is disconnected: output {symbol!r} does not depend on the inputs")

    def check_names(self) -> None:
        """Raise a ValueError if two layers have the same name, by which files and `get_layer` tell them apart."""
        names: dict[str, Any] = {}
        for layer in self.layers:
            if names.setdefault(layer.name, layer) is not layer:
                raise ValueError(
                    f"layers of a model must have different names, got {layer.name!r} twice: pass another name="
                )
