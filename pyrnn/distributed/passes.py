"""`ShardedPasses`: the passes of a training step, with the batch split into shards that processes share."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import seeds
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import rows_of
from pyrnn.distributed import tree
from pyrnn.distributed.communicator import Communicator, GradientSum
from pyrnn.distributed.packing import Layout, layout_of
from pyrnn.distributed.streams import ShardStreams
from pyrnn.inner_layers import all_layers
from pyrnn.layers import Lambda
from pyrnn.overriding import is_builtin
from pyrnn.parameters import ParameterVector, Weight

Array = NDArray[Any]
# Gradients in a block that is sent by itself, at least; one message costs as much as some thousand numbers.
LEAST = 1 << 14


class _Facts(NamedTuple):
    """What a pass needs to know of a model; it follows from the layers.

    Args:
        layers: all layers.
        moving: weights that forward changes and training does not, such as moving averages.
        saves: whether several passes forward may come before their passes backward. Otherwise a shard runs forward
            again before it runs backward, as layers may keep one pass in attributes.
        has_penalties: whether the loss has terms that depend on the batch.
        draws_seeds: whether a layer may take a seed from the stream of the process.
        blocks: the blocks of the gradients that are sent together, each with the layer that ends it, or None.
    """

    layers: list[Any]
    moving: list[Weight]
    saves: bool
    has_penalties: bool
    draws_seeds: bool
    blocks: list[tuple[Any, slice]]


class _Before:
    """What a pass changes in addition to the gradients, as it was before the pass."""

    def __init__(self, facts: _Facts, shards: int, rows: int) -> None:
        generators = {id(each): each for layer in facts.layers for each in layer.generators().values()}
        if facts.draws_seeds:
            generators[0] = seeds.root()
        self.streams = ShardStreams(generators.values(), shards)
        self.moving = [weight.numpy() for weight in facts.moving]
        self.stateful = [layer for layer in facts.layers if vars(layer).get("states") is not None]
        self.states = [tuple(layer.states) for layer in self.stateful]
        for layer, states in zip(self.stateful, self.states, strict=True):
            if any(len(state) != rows for state in states):
                raise ValueError(
                    f"layer {layer.name!r} is stateful with batch size {len(states[0])}, got a batch of {rows}"
                )

    def enter(self, facts: _Facts, shard: int, start: int, stop: int) -> None:
        """Begin a shard with the rows from `start` to `stop`."""
        self.streams.enter(shard)
        write(facts.moving, self.moving)
        for layer, states in zip(self.stateful, self.states, strict=True):
            layer.states = tuple(state[start:stop] for state in states)

    def restore(self, facts: _Facts) -> None:
        """Take the pass back."""
        self.streams.restore()
        write(facts.moving, self.moving)
        for layer, states in zip(self.stateful, self.states, strict=True):
            layer.states = states


class ShardedPasses:
    """The passes of a model over batches that are split into shards; `loops` uses it in place of the model.

    Forward runs the shards of this process and exchanges their outputs, so every process computes the loss and the
    metrics of the whole batch. Backward runs them in reverse order and sums their gradients in a fixed tree, so every
    process has the gradients of the whole batch.

    Args:
        model: the model; only a weak reference is kept.
        communicator: connects the processes.
        shards: number of shards.
    """

    def __init__(self, model: Any, communicator: Communicator, shards: int) -> None:
        self._model = weakref.ref(model)
        self._communicator, self._shards = communicator, shards
        self._nodes = tree.whole_nodes(*tree.shards_of_rank(communicator.rank, communicator.size, shards), shards)
        self._owned = range(*tree.shards_of_rank(communicator.rank, communicator.size, shards))
        self._adder = tree.Adder()
        self._facts: tuple[Any, int, _Facts] | None = None
        self._factor = 1.0
        self._run_before: weakref.ref[Any] | None = None  # the `fit` of the last step
        # Of the last pass forward.
        self._x: Any = None
        self._bounds: list[tuple[int, int]] = []
        self._before: _Before | None = None
        self._after: tuple[list[Array], list[tuple[Array, ...]]] = ([], [])
        self._penalties: Array | None = None

    @property
    def model(self) -> Any:
        """The model."""
        return self._model()

    def is_new_run(self) -> bool:
        """Return whether this is the first step of a `fit`, or of the model outside of `fit`."""
        run = self.model._run
        is_new = self._run_before is None or (run is not None and self._run_before() is not run)
        if is_new:
            self._run_before = weakref.ref(self if run is None else run)
        return is_new

    def passes(self) -> ShardedPasses:
        """Return what runs the rest of a step: this object."""
        return self

    def forward_pass(self, x: Any, *, training: bool = False) -> tuple[Any, Any]:
        """Compute the outputs for a batch.

        Args:
            x: inputs, shape (B, ...) each.
            training: whether a step follows.

        Returns:
            The outputs (B, ...) and their masks, as `forward_pass` of a model returns them.

        Raises:
            TypeError, ValueError: if x does not fit the model; the model is as it was.
        """
        model = self.model
        if not model.built:
            model.forward_pass(rows_of(x, 0, 1))
        facts = self._known_facts(model)
        rows = _rows(x)
        self._bounds = bounds = tree.rows_of_shards(rows, self._shards)
        present = [shard for shard in self._owned if bounds[shard][0] < bounds[shard][1]]
        before = _Before(facts, self._shards, rows)
        layout: Layout | None = None
        results: dict[int, list[Array]] = {}
        try:
            for shard in present:
                of_shard, results[shard] = self._run(model, facts, before, x, shard, layout is None, training)
                layout = layout or of_shard
        except BaseException:
            before.restore(facts)
            raise
        layout, parts = self._communicator.gather_shards(layout, results, bounds, training)
        return self._joined(facts, before, layout, parts, x, training)

    def _run(
        self, model: Any, facts: _Facts, before: _Before, x: Any, shard: int, is_first: bool, training: bool
    ) -> tuple[Layout | None, list[Array]]:
        """Run a shard forward; return its results, and what they are if it is the first one."""
        start, stop = self._bounds[shard]
        before.enter(facts, shard, start, stop)
        plan = model.plan()
        if not is_first and training and facts.saves:
            plan.keep_saved()
        y, masks = model.forward_pass(rows_of(x, start, stop), training=training)
        outputs, is_several = (list(y), True) if type(y) is Arrays else ([y], False)
        states = [state for layer in before.stateful for state in layer.states]
        fixed = [weight.numpy() for weight in facts.moving] if training else []
        if facts.has_penalties:
            fixed.append(np.array(plan.losses(), np.float64))
        masks = masks if is_several else [masks]
        layout = layout_of(outputs, masks, states, fixed, is_several) if is_first else None
        return layout, [*outputs, *(mask for mask in masks if mask is not None), *states, *fixed]

    def _joined(
        self, facts: _Facts, before: _Before, layout: Layout, parts: list[list[Array]], x: Any, training: bool
    ) -> tuple[Any, Any]:
        """Join the results of all shards, which are in `parts` in order."""
        outputs, masks, states, fixed = layout.split(parts)
        weights = [stop - start for start, stop in self._bounds if start < stop]
        if facts.has_penalties:
            self._penalties = mean_of(fixed.pop(), weights)
        moving = [mean_of(values, weights) for values in fixed] if training else before.moving
        of_layers: list[tuple[Array, ...]] = []
        remaining = [np.concatenate(each) for each in states]
        for old in before.states:
            of_layers.append(tuple(remaining[: len(old)]))
            del remaining[: len(old)]
        self._x, self._before, self._after = x if training else None, before, (moving, of_layers)
        self._finish(facts)
        y = [np.concatenate(each) for each in outputs]
        joined_masks = [None if each is None else np.concatenate(each) for each in masks]
        return (Arrays(y), joined_masks) if layout.is_several else (y[0], joined_masks[0])

    def _finish(self, facts: _Facts) -> None:
        """Set the streams, weights and states that a pass ends with, the same in all processes."""
        assert self._before is not None
        moving, states = self._after
        self._before.streams.leave()
        write(facts.moving, moving)
        for layer, values in zip(self._before.stateful, states, strict=True):
            layer.states = values

    def backward_pass(self, dy: Any) -> None:
        """Write the gradients of the weights, those of the whole batch.

        Args:
            dy: the gradient of the loss by the output (B, ...); with several outputs a list, None for those without.
        """
        model, before = self.model, self._before
        assert before is not None
        facts, passes = self._known_facts(model), model.passes()
        gradients = passes.parameters().gradients
        rows = self._bounds[-1][1]

        def run(shard: int, done: Callable[[Any], None] | None = None) -> None:
            start, stop = self._bounds[shard]
            part = _rows_of_gradient(dy, start, stop)
            if facts.saves:
                passes.backward_kept(part, done)
                return
            before.enter(facts, shard, start, stop)
            model.forward_pass(rows_of(self._x, start, stop), training=True)
            if facts.has_penalties:
                passes.scale_penalties(self._factor * (stop - start) / rows)
            passes.backward_pass(part)

        nodes = [node for node in self._nodes if self._bounds[node[0]][0] < self._bounds[node[1] - 1][1]]
        sums: dict[tree.Node, Array] = {}
        for node in reversed(nodes[1:]):
            vector = self._adder.sum_of(node, self._bounds, run, gradients)
            assert vector is not None
            sums[node] = vector
        blocks = _Blocks(facts.blocks, self._communicator.begin_sum(self._bounds, gradients, self._adder), sums)
        if nodes:
            last = self._adder.all_but_last(nodes[0], self._bounds, run, gradients)
            sums[nodes[0]] = last.total
            blocks.last = last
            run(last.shard, blocks.done)
        if facts.saves:
            model.plan().end_kept()
        else:
            self._finish(facts)
            passes.scale_penalties(self._factor)
        blocks.finish()
        for vector in (sums[node] for node in nodes[1:]):
            self._adder.give(vector)
        if nodes:
            last.give(self._adder)
        self._x = self._before = None

    def penalties(self) -> list[float]:
        """Return the terms that layers add to the loss of the last batch: the means over its shards, by rows."""
        losses: list[float] = self.model.plan().losses() if self._penalties is None else self._penalties.tolist()
        return losses

    def regularization_loss(self) -> float:
        """Return the sum of `penalties`, or what a model with a method of its own returns."""
        model = self.model
        if self._known_facts(model).has_penalties:
            return sum(self.penalties())
        return float(model.passes().regularization_loss())

    def add_regularization_gradients(self) -> None:
        """Add the gradients of the weight regularizers, once for the whole batch."""
        self.model.passes().add_regularization_gradients()

    def scale_penalties(self, factor: float) -> None:
        """Multiply the gradients of penalties and added losses of this step.

        Args:
            factor: how much of each the loss holds.
        """
        self._factor = factor
        self.model.passes().scale_penalties(factor)

    def parameters(self) -> ParameterVector:
        """Return the flat vectors of weights and gradients."""
        vector: ParameterVector = self.model.passes().parameters()
        return vector

    def _known_facts(self, model: Any) -> _Facts:
        plan = model.plan()
        if self._facts is None or self._facts[0] is not plan or self._facts[1] != plan.compilations:
            self._facts = plan, plan.compilations, _facts(model, plan)
        return self._facts[2]


class _Blocks:
    """Sends blocks of the gradients while the last shard runs backward, as soon as they are written.

    Args:
        blocks: the blocks in their order, each with the layer after whose backward it is final, None for the end.
        total: where they go.
        sums: the sums (N,) of the nodes of this process.
    """

    def __init__(self, blocks: Sequence[tuple[Any, slice]], total: GradientSum, sums: dict[tree.Node, Array]) -> None:
        self._blocks, self._total, self._sums = blocks, total, sums
        self._sent = 0
        self.last: tree.LastShard | None = None

    def done(self, layer: Any) -> None:
        """Send the block that ends with a layer."""
        if self._sent < len(self._blocks) and self._blocks[self._sent][0] is layer:
            self._send()

    def finish(self) -> None:
        """Send what remains, and write the sum of all processes."""
        while self._sent < len(self._blocks):
            self._send()
        self._total.finish()

    def _send(self) -> None:
        block = self._blocks[self._sent][1]
        self._sent += 1
        if self.last is not None:
            self.last.add(block)
        self._total.send(block, self._sums)


def blocks_of(plan: Any, least: int) -> list[tuple[Any, slice]]:
    """Return the blocks of the gradients that are final one after the other.

    Args:
        plan: the plan of a model.
        least: how many numbers a block has at least, but for the last one.

    Returns:
        The blocks in their order, each with the layer after whose backward it is final, None for the end of all.
    """
    vector = plan.parameters()
    end = stop = len(vector)
    blocks: list[tuple[Any, slice]] = []
    for layer in plan.layers_in_turn():
        spans = [vector.span(weight) for weight in layer.trainable_weights]
        if not spans:
            continue
        start = min(spans)[0]
        if max(last for _, last in spans) != end:  # weights in another order than the layers
            return [(None, slice(0, len(vector)))]
        end = start
        if stop - start >= least or not start:
            blocks.append((layer, slice(start, stop)))
            stop = start
    return blocks if blocks and not stop else [(None, slice(0, len(vector)))]


def _facts(model: Any, plan: Any) -> _Facts:
    layers = list(all_layers(model.layers))
    custom = any(not is_builtin(type(layer)) for layer in layers) or model._overrides_passes
    moving = [weight for weight in model.weights if not weight.can_train and weight.array.dtype.kind == "f"]
    has_penalties = bool(plan.adders)
    draws = custom or plan.has_regions() or any(isinstance(layer, Lambda) for layer in layers)
    saves = not (custom or has_penalties)
    blocks = blocks_of(plan, LEAST) if saves else [(None, slice(0, len(model.passes().parameters())))]
    return _Facts(layers, moving, saves, has_penalties, draws, blocks)


def _rows(x: Any) -> int:
    if type(x) is Arrays:
        return len(next(array for array in x if array is not None))
    return len(x)


def _rows_of_gradient(dy: Any, start: int, stop: int) -> Any:
    if isinstance(dy, list):
        return [None if each is None else each[start:stop] for each in dy]
    return dy[start:stop]


def write(weights: Sequence[Weight], values: Sequence[Array]) -> None:
    """Overwrite weights.

    Args:
        weights: the weights.
        values: their values, in their shapes.
    """
    for weight, value in zip(weights, values, strict=True):
        weight.overwrite(value)


def mean_of(values: Sequence[Array], weights: Sequence[int]) -> Array:
    """Return the weighted mean over shards, in their order.

    Args:
        values: an array of each shard, all of one shape.
        weights: how much each counts, at least 1.
    """
    first = values[0]
    if all(np.array_equal(first, each) for each in values[1:]):
        return np.array(first)
    total = np.zeros(first.shape, np.float64)
    for value, weight in zip(values, weights, strict=True):
        total += np.multiply(value, weight, dtype=np.float64)
    return np.asarray(total / sum(weights), first.dtype)
