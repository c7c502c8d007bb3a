"""`Region`: operations of a graph that are next to each other, run and differentiated as one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.graph import Graph
from pyrnn.ops.differentiation import as_list, differentiate
from pyrnn.symbols import Node, Symbol

Array = NDArray[Any]


class Step(NamedTuple):
    """One step of a plan: a call of a layer, or a region.

    Args:
        layer: the layer, model or region.
        inputs: the symbols that it reads.
        outputs: the symbols that it makes.
        options: keyword arguments that `forward` gets, in addition to `training` and `mask`.
        masks: for the inputs, symbols that take the place of their masks; empty if there are none.
        training: whether the layer acts as in training in each run; None if that is up to the run.
    """

    layer: Any
    inputs: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    options: Mapping[str, Any]
    masks: tuple[Symbol | None, ...] = ()
    training: bool | None = None

    @property
    def read(self) -> tuple[Symbol, ...]:
        """The inputs, and the symbols that take the place of their masks."""
        return (*self.inputs, *(mask for mask in self.masks if mask is not None))


class Region:
    """Operations that follow one another, as one step of a plan.

    autograd differentiates all of them together, so that the numbers between them never become arrays of a layer.

    Args:
        nodes: the calls of the operations, each after those it reads.
        results: ids of the symbols that others read, or that the model returns.
    """

    is_model: ClassVar[bool] = False
    merges: ClassVar[bool] = True
    makes_mask: ClassVar[bool] = False
    activity_regularizer: ClassVar[None] = None
    trainable_weights: ClassVar[Sequence[Any]] = ()

    def __init__(self, nodes: Sequence[Node], results: set[int]) -> None:
        made = [symbol for node in nodes for symbol in node.outputs]
        ids = set(map(id, made))
        read = {id(symbol): symbol for node in nodes for symbol in node.inputs if id(symbol) not in ids}
        self.inputs = tuple(read.values())
        self.outputs = tuple(symbol for symbol in made if id(symbol) in results)
        self.name = nodes[0].layer.name if len(nodes) == 1 else f"{nodes[0].layer.name} to {nodes[-1].layer.name}"
        self._kind = "operation" if len(nodes) == 1 else "operations"
        places = {id(symbol): place for place, symbol in enumerate((*self.inputs, *made))}
        self._calls = [
            (node.layer.compute, [places[id(symbol)] for symbol in node.inputs], len(node.outputs)) for node in nodes
        ]
        self._results = [places[id(symbol)] for symbol in self.outputs]
        # What training saved for backward: functions of the gradients of the outputs.
        self._tape: list[Any] = []

    def children(self) -> list[tuple[str, Any]]:
        """Return no layers: operations hold none."""
        return []

    def adds_loss(self) -> bool:
        """Return False: operations add nothing to the loss."""
        return False

    def _compute(self, *inputs: Any) -> list[Any]:
        values = list(inputs)
        for compute, places, count in self._calls:
            result = compute(*(values[place] for place in places))
            if count == 1 and not isinstance(result, list | tuple):
                values.append(result)
            else:
                values += result
        return [values[place] for place in self._results]

    def run(
        self, inputs: Sequence[Array], masks: Sequence[Array | None], training: bool
    ) -> tuple[list[Array], list[Array | None]]:
        """Run the operations.

        Args:
            inputs: the inputs (B, ...).
            masks: their masks, which end here, as in Keras.
            training: whether a backward pass follows.

        Returns:
            A list of outputs and a list of their masks, which are None.
        """
        if not training:
            outputs = as_list(self._compute(*inputs))
        elif any(x.dtype.kind == "f" for x in inputs):
            outputs, backward = differentiate(self._compute, inputs, f"{self._kind} {self.name!r}")
            self._tape.append(backward)
        else:
            outputs = as_list(self._compute(*inputs))
            self._tape.append(lambda d_outputs: [None] * len(inputs))
        arrays: list[Array] = []
        for symbol, output in zip(self.outputs, outputs, strict=True):
            y = np.asarray(output)
            dtype = symbol.dtype if y.dtype.kind == "f" else None
            arrays.append(
                y if y.dtype == dtype and y.flags.c_contiguous else np.ascontiguousarray(y, dtype).reshape(y.shape)
            )
        return arrays, [None] * len(arrays)

    def backward(self, *d_outputs: Array | None, need_dx: bool = True) -> Any:
        """Differentiate the last run with `training` whose `backward` has not run yet.

        Args:
            *d_outputs: the gradient by each output, in its shape; None is 0.
            need_dx: whether the gradients by the inputs are needed.

        Returns:
            A tuple with the gradient by each input, None where there is none.
        """
        backward = self._tape.pop()
        return tuple(backward(d_outputs)) if need_dx else (None,) * len(self.inputs)

    def _discard_saved(self) -> None:
        self._tape.clear()

    def _skip_saved(self) -> None:
        self._tape.pop()


def steps(graph: Graph) -> list[Step]:
    """Return the steps of a graph in the order in which they run; connected operations are one region each.

    Each symbol has a level: that of a layer's output is one above its highest input, that of an operation's output is
    its highest input. A way from one operation to another that leads through a layer ends at a higher level, so
    connected operations of one level can run together: after the layers of their level, before those above it.

    Args:
        graph: the calls of a model.

    Returns:
        A list of steps.
    """
    inputs = set(map(id, graph.inputs))
    nodes = [node for node in graph.nodes if not all(id(symbol) in inputs for symbol in node.outputs)]
    if not any(node.layer.is_operation for node in nodes):
        return [_step(node) for node in nodes]
    readers: dict[int, list[Node]] = {}
    for node in nodes:
        for symbol in node.read:
            readers.setdefault(id(symbol), []).append(node)
    levels, groups = _grouped(nodes)
    returned = set(map(id, graph.outputs))
    ordered: list[tuple[tuple[int, bool], Step]] = []
    for node in nodes:
        if not node.layer.is_operation:
            ordered.append(((levels[id(node)], False), _step(node)))
    for group in groups:
        inside = set(map(id, group))
        results = {
            id(symbol)
            for node in group
            for symbol in node.outputs
            if id(symbol) in returned or any(id(reader) not in inside for reader in readers.get(id(symbol), ()))
        }
        region = Region(group, results)
        ordered.append(((levels[id(group[0])], True), Step(region, region.inputs, region.outputs, {})))
    return [step for _, step in sorted(ordered, key=lambda each: each[0])]


def _step(node: Node) -> Step:
    return Step(node.layer, node.inputs, node.outputs, node.options, node.masks, node.training)


def _grouped(nodes: Sequence[Node]) -> tuple[dict[int, int], list[list[Node]]]:
    """The level of each call, by its id, and the connected operations of one level."""
    levels: dict[int, int] = {}
    made_by = {id(symbol): node for node in nodes for symbol in node.outputs}
    group_of: dict[int, list[Node]] = {}
    for node in nodes:
        sources = [made_by[id(symbol)] for symbol in node.read if id(symbol) in made_by]
        level = max((levels[id(source)] for source in sources), default=0)
        levels[id(node)] = level + (not node.layer.is_operation)
        if not node.layer.is_operation:
            continue
        joined = {
            id(group_of[id(source)]): group_of[id(source)]
            for source in sources
            if id(source) in group_of and levels[id(source)] == level
        }
        group = [each for other in joined.values() for each in other] + [node]
        for each in group:
            group_of[id(each)] = group
    groups = {id(group): group for group in group_of.values()}
    place = {id(node): number for number, node in enumerate(nodes)}
    return levels, [sorted(group, key=lambda node: place[id(node)]) for group in groups.values()]
