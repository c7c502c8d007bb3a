"""`Plan`: how the layers of a model run, forward and backward, and which weights a training step changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.graph import Graph
from pyrnn.inner_layers import all_layers, layers_in
from pyrnn.linked import Linked, can_link
from pyrnn.overriding import is_builtin
from pyrnn.parameters import ParameterVector, Weight, shaped
from pyrnn.regions import Region, steps

Array = NDArray[Any]

# `training` of a pass that a backward pass follows, but in which layers act as in inference.
SAVING = 2


def acts_as_in_training(training: int) -> bool:
    """Return whether layers draw noise and normalize by the batch.

    Args:
        training: what `forward` got: True, False, or `SAVING`.

    Returns:
        False for `SAVING` too.
    """
    return training == 1


class Call(NamedTuple):
    """One call of a layer: which slots it reads, and which it writes.

    Args:
        layer: the layer, model or region.
        inputs: slots of its inputs.
        outputs: slots of its outputs.
        is_plain: whether it has one of each and is no model, which is the fast way.
        options: keyword arguments that `forward` gets, in addition to `training` and `mask`.
        masks: for the inputs, slots of the arrays that take the place of their masks, None for those that keep theirs.
        training: whether the layer acts as in training in each run; None if that is up to the run.
    """

    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_plain: bool
    options: Mapping[str, Any]
    masks: tuple[int | None, ...] = ()
    training: bool | None = None


class Training(NamedTuple):
    """What backward needs to know of a call.

    Args:
        runs: whether its backward runs: the layer trains, or a layer before it does.
        wants: for each input, whether its gradient is needed.
        shared: weights of the layer whose gradients a call that runs backward before this one has written.
    """

    runs: bool
    wants: tuple[bool, ...]
    shared: tuple[Weight, ...]


class Plan:
    """The calls of a model's layers, compiled to what a step needs.

    Every model has one plan. Arrays are in numbered slots; each call reads some and writes others. A slot is used again
    after the last call that reads it, so memory is freed as early as possible. A chain of layers needs no slots: it has
    loops of its own, which cost a step less.

    `forward` needs the calls alone. The other methods use what `compile` derived from the layers: the flat vector of
    trainable weights, which calls run backward, the weights with a regularizer. Layers and weights, also those deep
    inside other layers, hold a weak reference to the plan and set `stale` when `trainable`, a regularizer or the list
    of weights changes; `Model.plan` compiles it again.

    Args:
        layers: the model's list of layers; without a graph, a chain in the order in which they run.
        graph: the calls of a functional model, or None.
    """

    def __init__(self, layers: list[Any], graph: Graph | None = None) -> None:
        self.layers = layers
        self.graph = graph
        self.stale = True
        self.compilations = 0  # how often `compile` has run
        self.trainable: list[Weight] = []
        self._dtype = "float32"
        self._vector: ParameterVector | None = None
        self._calls: list[Call] = []
        # The layers of a chain that `run_chain` runs, else None; backward stops at number `_first`, or uses the slots.
        self.chain: list[Any] | None = None
        self._first: int | None = None
        # Whether the core may run the chain in one call, and the chain as the core runs it.
        self.can_link = False
        self._linked: Linked | None = None
        self._slots = 1
        self._sources: tuple[int, ...] = (0,)  # slots of the model's inputs
        self._targets: tuple[int, ...] = (0,)  # slots of its outputs
        # The layers with plans of their own: models, and custom layers with `call`.
        self._runners: list[Any] = []
        self._regions: list[Region] = []
        self._training: list[Training] = []
        self._training_with_dx: list[Training] = []
        self._penalised: list[Weight] = []
        self._penalised_trainable: list[Weight] = []
        # Penalised outputs of the last pass, by run (a model as a layer may have several) and number of the call.
        self._activities: dict[tuple[int, int], tuple[Any, Array]] = {}
        self._run = 0
        # The layers that may add to the loss, and the factor of the gradients of penalties and added losses.
        self.adders: list[Any] = []
        self._factor = 1.0
        self._has_saved = False  # whether the last pass saved something and its backward has not ended
        # The layers that may hold what forward saved even then: those that do not run backward, and custom ones with
        # all in them.
        self._unread: list[Any] = []
        # Lists and dicts of layers in custom layers, with what they held at the last `compile`.
        self.containers: list[tuple[Any, list[Any]]] = []
        self.route()

    def route(self) -> None:
        """Assign slots to the inputs and outputs of the calls; to be called when the layers of a chain change."""
        self.stale = True
        self._runners = [layer for layer in self.layers if layer.is_model or layer.is_traced]
        self.adders = [layer for layer in all_layers(self.layers) if layer.may_add_loss()]
        for layer in self.adders:
            layer.watch(self)
        if self.graph is None:
            self._calls = [Call(layer, (0,), (0,), _is_plain(layer), {}) for layer in self.layers]
            self._find_chain()
            return
        ordered = steps(self.graph)
        last_reader = {id(symbol): number for number, step in enumerate(ordered) for symbol in step.read}
        results = set(map(id, self.graph.outputs))
        slots: dict[int, int] = {}
        free: list[int] = []
        used = 0

        def assign(symbol: Any) -> int:
            nonlocal used
            if not free:
                free.append(used)
                used += 1
            slots[id(symbol)] = slot = free.pop()
            return slot

        self._sources = tuple(assign(symbol) for symbol in self.graph.inputs)
        calls = []
        for number, step in enumerate(ordered):
            reads = tuple(slots[id(symbol)] for symbol in step.inputs)
            masks = tuple(None if symbol is None else slots[id(symbol)] for symbol in step.masks)
            ended = [s for s in {id(s): s for s in step.read}.values() if last_reader[id(s)] == number]
            free += [slots[id(symbol)] for symbol in ended if id(symbol) not in results]
            writes = tuple(slots[id(s)] if id(s) in slots else assign(s) for s in step.outputs)
            unread = [s for s in step.outputs if id(s) not in last_reader and id(s) not in results]
            free += [slots[id(symbol)] for symbol in unread]
            is_plain = len(reads) == len(writes) == 1 and _is_plain(step.layer)
            is_plain = is_plain and not step.options and not step.masks and step.training is None
            calls.append(Call(step.layer, reads, writes, is_plain, step.options, masks, step.training))
        self._calls, self._slots = calls, used
        self._regions = [call.layer for call in calls if isinstance(call.layer, Region)]
        self._targets = tuple(slots[id(symbol)] for symbol in self.graph.outputs)
        self._find_chain()

    def _find_chain(self) -> None:
        """Set `chain` if each call reads what the one before it wrote and nothing else."""
        is_chain = self._slots == 1 and len(self._targets) == 1
        is_chain = is_chain and all(call.is_plain for call in self._calls)
        self.chain = [call.layer for call in self._calls] if is_chain else None

    def compile(self, weights: Sequence[Weight], trainable: list[Weight], dtype: str) -> None:
        """Derive what a training step needs from the layers as they are now.

        Args:
            weights: all weights of the model.
            trainable: those that training changes.
            dtype: of a vector without weights.
        """
        layers = list(all_layers(self.layers))
        for each in (*layers, *weights):
            each.watch(self)
        if self._vector is not None and list(map(id, self.trainable)) != list(map(id, trainable)):
            self._vector = None
        self.trainable, self._dtype = trainable, dtype
        # For a model as a layer, which may have to return the gradients by its inputs, a second list.
        self._training, self._training_with_dx = self._backward_calls(False), self._backward_calls(True)
        self._first = None
        if self.chain is not None and not any(training.shared for training in self._training):
            runs = [training.runs for training in self._training]
            self._first = runs.index(True) if True in runs else len(runs)
        self.can_link, self._linked = self.chain is not None and can_link(self.chain, trainable), None
        resting = [call.layer for call, training in zip(self._calls, self._training, strict=True) if not training.runs]
        custom = [layer for layer in layers if not is_builtin(type(layer))]
        self._unread = list(all_layers([*resting, *custom]))
        self.adders = [layer for layer in layers if layer.may_add_loss()]
        containers = [value for layer in layers for value in layer.containers()]
        self.containers = [(container, layers_in(container)) for container in containers]
        self._penalised = [weight for weight in weights if weight.regularizer is not None]
        self._penalised_trainable = [weight for weight in trainable if weight.regularizer is not None]
        self.compilations += 1
        self.stale = False  # at the end: a signal handler may raise before

    def has_regions(self) -> bool:
        """Return whether the plan runs operations of `pyrnn.ops`."""
        return bool(self._regions)

    def has_grown(self) -> bool:
        """Return whether a list or dict in a custom layer holds other layers than at the last `compile`."""
        return any(layers_in(container) != layers for container, layers in self.containers)

    def _backward_calls(self, need_dx: bool) -> list[Training]:
        """Decide which calls run backward, which gradients they return, and which add to gradients."""
        changed = set(map(id, self.trainable))
        training = [any(id(weight) in changed for weight in call.layer.trainable_weights) for call in self._calls]
        running = {id(call.layer) for call, trains in zip(self._calls, training, strict=True) if trains}
        # A layer that is called twice takes what it saved in reverse order, so all of its calls run backward or none.
        while True:
            needed = [need_dx and slot in self._sources for slot in range(self._slots)]
            runs, wants = [], []
            for call in self._calls:
                wants.append(tuple(needed[slot] for slot in call.inputs))
                runs.append(id(call.layer) in running or any(wants[-1]))
                for slot in call.outputs:
                    needed[slot] = runs[-1]
            more = {id(call.layer) for call, is_run in zip(self._calls, runs, strict=True) if is_run} - running
            if not more:
                break
            running |= more
        written: set[int] = set()
        shared: list[tuple[Weight, ...]] = [()] * len(self._calls)
        for number in reversed(range(len(self._calls))):
            if runs[number]:
                owned = self._calls[number].layer.trainable_weights
                shared[number] = tuple(weight for weight in owned if id(weight) in written)
                written.update(map(id, owned))
        return [Training(*each) for each in zip(runs, wants, shared, strict=True)]

    def parameters(self) -> ParameterVector:
        """Return all trainable weights as one flat vector, the same one as long as it holds the same weights."""
        if self._vector is None:
            self._vector = ParameterVector(self.trainable, self._dtype)
        self._vector.reclaim()
        return self._vector

    def run_chain(self, x: Array, training: bool) -> tuple[Array, Array | None]:
        """Run the layers of a model that is a chain.

        Args:
            x: the input of the model, (B, ...).
            training: whether a backward pass follows.

        Returns:
            The output and its mask, None where there is none.
        """
        assert self.chain is not None
        if training:
            if self._has_saved:
                self.discard_saved()
            self._has_saved = True
        if self._activities or self._runners:
            self.start()
        if self.adders:
            self._forget_added()
        self._run = 1
        mask: Array | None = None
        for number, layer in enumerate(self.chain):
            y = layer.forward(x, training=training, mask=mask)
            if layer.activity_regularizer is not None:
                self._activities[0, number] = (layer, y)
            if mask is not None or layer.makes_mask:
                mask = layer.compute_mask(x, mask)
            x = y
        return x, mask

    def squared_error_step(self, x: Array, y: Any) -> tuple[float, Array] | None:
        """Run forward, the mean squared error and backward in one call of the core.

        Args:
            x: the input of the model, (B, ...).
            y: the targets.

        Returns:
            The loss without penalties and the output. None, without having computed anything, if that is not possible.
        """
        assert self.chain is not None
        vector = self.parameters()
        linked = self._linked
        if linked is None or not linked.is_current(vector):
            linked = self._linked = Linked(self.chain, vector)
        if self._has_saved:
            self.discard_saved()
        if self._activities:
            self.start()
        return linked.squared_error(x, y)

    def forward_pass(self, inputs: Sequence[Array], training: bool) -> tuple[list[Array], list[Array | None]]:
        """Run the layers of a whole model.

        Args:
            inputs: the inputs of the model, (B, ...) each.
            training: whether a backward pass follows.

        Returns:
            The outputs of the model and their masks, None where there is none.
        """
        if training:
            if self._has_saved:
                self.discard_saved()
            self._has_saved = True
        self.start()
        if self.adders:
            self._forget_added()
        return self.forward(inputs, training)

    def _forget_added(self) -> None:
        """Forget what the last pass added to the loss."""
        for layer in self.adders:
            layer.added_losses.clear()

    def start(self) -> None:
        """Forget the penalised outputs of the last pass, in the models among the layers too."""
        self._run = 0
        if self._activities:
            self._activities.clear()
        for plan in self._inner_plans():
            plan.start()

    def _inner_plans(self) -> list[Plan]:
        return [plan for layer in self._runners for plan in layer.plans()]

    def forward(
        self, inputs: Sequence[Array], training: bool, input_masks: Sequence[Array | None] | None = None
    ) -> tuple[list[Array], list[Array | None]]:
        """Run the layers once, as those of a model that may be a layer itself.

        Args:
            inputs: the inputs of the model, (B, ...) each.
            training: whether a backward pass follows.
            input_masks: their masks, None where there is none.

        Returns:
            The outputs of the model and their masks, None where there is none.
        """
        values: list[Any] = [None] * self._slots
        masks: list[Any] = [None] * self._slots
        for number, slot in enumerate(self._sources):
            values[slot] = inputs[number]
            if input_masks is not None:
                masks[slot] = input_masks[number]
        run = self._run
        self._run += 1
        for number, (layer, reads, writes, is_plain, *_) in enumerate(self._calls):
            if is_plain:
                source, target = reads[0], writes[0]
                x, mask = values[source], masks[source]
                y = layer.forward(x, training=training, mask=mask)
                masks[target] = layer.compute_mask(x, mask) if mask is not None or layer.makes_mask else None
                values[target] = y
            else:
                outputs, output_masks = _run(self._calls[number], values, masks, training)
                for slot, value, mask in zip(writes, outputs, output_masks, strict=True):
                    values[slot], masks[slot] = value, mask
                y = outputs[0]
            if layer.activity_regularizer is not None:
                self._activities[run, number] = (layer, y)
        return [values[slot] for slot in self._targets], [masks[slot] for slot in self._targets]

    def backward_pass(self, dy: Any) -> None:
        """Write the gradients of all trainable weights, after `forward_pass` with `training`.

        Args:
            dy: the gradient of the loss by the output, in the shape of the output; a sequence if there are several.
        """
        self.backward_kept(dy)
        self.end_kept()

    # Several passes forward, then theirs backward in reverse order: `keep_saved` before each pass forward but the
    # first, `backward_kept` for each, and `end_kept`.

    def keep_saved(self) -> None:
        """Let the next pass forward keep what the last one saved."""
        self._has_saved = False

    def backward_kept(self, dy: Any, done: Callable[[Any], None] | None = None) -> None:
        """Write the gradients for the last pass forward that has not run backward.

        Args:
            dy: as in `backward_pass`.
            done: called with each of `layers_in_turn` when its gradients are written.
        """
        if self._first is not None:
            self._backward_chain(dy, self._first, done)
        else:
            self.backward((dy,) if len(self._targets) == 1 else dy)

    def end_kept(self) -> None:
        """Drop what layers saved and `backward_kept` does not take."""
        for layer in self._unread:
            layer._tape.clear()
        self._has_saved = False

    def layers_in_turn(self) -> list[Any]:
        """Return the layers whose gradients backward writes one after the other, none where they are no chain."""
        if self.chain is None or self._first is None:
            return []
        return self.chain[self._first :][::-1]

    def _backward_chain(self, dy: Array, first: int, done: Callable[[Any], None] | None = None) -> None:
        """Run the backward of the layers from the last one to number `first`."""
        assert self.chain is not None
        self._run = 0
        for number in range(len(self.chain) - 1, first - 1, -1):
            layer = self.chain[number]
            if layer.activity_regularizer is not None:
                dy = dy + self._activity_gradient(number)
            dy = layer.backward(dy, need_dx=number > first)
            if done is not None:
                done(layer)

    def backward(self, d_outputs: Sequence[Array | None], need_dx: bool = False) -> list[Array | None]:
        """Write the gradients of all trainable weights for the last `forward` with `training`.

        Args:
            d_outputs: the gradient of the loss by each output, in its shape; None is 0.
            need_dx: whether the gradients by the inputs are needed.

        Returns:
            The gradient by each input of the model, None where no layer asked for it.
        """
        self._run -= 1
        gradients: list[Any] = [None] * self._slots
        for slot, dy in zip(self._targets, d_outputs, strict=True):
            if dy is not None:
                gradients[slot] = dy if gradients[slot] is None else gradients[slot] + dy
        trainings = self._training_with_dx if need_dx else self._training
        for number in range(len(self._calls) - 1, -1, -1):
            runs, wants, shared = trainings[number]
            layer, reads, writes, is_plain, *_ = self._calls[number]
            if not runs:
                layer._skip_saved()  # it may run backward for another call of this model
            elif is_plain:
                target = writes[0]
                dy, gradients[target] = gradients[target], None
                if layer.activity_regularizer is not None:
                    dy = self._with_activity_gradient(number, dy)
                if dy is None and not layer.added_losses:
                    _without_gradient(layer, shared)
                    continue
                dx = layer.backward(dy, need_dx=wants[0]) if not shared else _added(layer, (dy,), wants[0], shared)
                if wants[0]:
                    slot = reads[0]
                    gradients[slot] = dx if gradients[slot] is None else gradients[slot] + dx
            else:
                self._backward_of_several(number, trainings[number], gradients)
        return [gradients[slot] for slot in self._sources]

    def _backward_of_several(self, number: int, training: Training, gradients: list[Any]) -> None:
        """Run the backward of a call of a model, or with several inputs or outputs."""
        layer, reads, writes, *_ = self._calls[number]
        _, wants, shared = training
        d_outputs = [gradients[slot] for slot in writes]
        for slot in writes:
            gradients[slot] = None
        if layer.activity_regularizer is not None:
            d_outputs[0] = self._with_activity_gradient(number, d_outputs[0])
        if not layer.is_model and all(dy is None for dy in d_outputs) and not layer.adds_loss():
            _without_gradient(layer, shared)
            return
        # States follow the one input of a layer that does not merge, and their gradients come anyway.
        need_dx = wants[0] if _is_plain(layer) else any(wants)
        results = _added(layer, d_outputs, need_dx, shared)
        dxs = results if isinstance(results, tuple | list) else (results,)
        for slot, dx, is_wanted in zip(reads, dxs, wants, strict=True):
            if is_wanted and dx is not None:
                gradients[slot] = dx if gradients[slot] is None else gradients[slot] + dx

    def skip(self) -> None:
        """Drop what the last `forward` with `training` saved: no gradient reaches its outputs."""
        self._run -= 1
        for call in reversed(self._calls):
            call.layer._skip_saved()

    def discard_saved(self) -> None:
        """Discard what passes without a backward saved; a pass in training starts with this."""
        for layer in (*self.layers, *self._regions):
            layer._discard_saved()
        self._has_saved = False

    def _with_activity_gradient(self, number: int, dy: Array | None) -> Array:
        """Return the gradient by the output of a call, None is 0, plus that of the layer's activity regularizer."""
        gradient = self._activity_gradient(number)
        return gradient if dy is None else dy + gradient

    def _activity_gradient(self, number: int) -> Array:
        """Return the gradient of an activity regularizer by the output of a call, divided by the batch size."""
        layer, activity = self._activities[self._run, number]
        factor = self._factor / len(activity)
        gradient = np.asarray(layer.activity_regularizer.gradient(activity) * factor, activity.dtype)
        if gradient.shape != activity.shape:
            raise ValueError(
                f"the gradient of the activity_regularizer of layer {layer.name!r} must have the shape of its "
                f"output, {activity.shape}, got {gradient.shape}"
            )
        return gradient

    def regularization_loss(self) -> float:
        """Return the sum of all weight regularizers and, over the last forward pass, of activities and added losses.

        An activity's penalty is divided by the batch size, as in Keras.
        """
        penalty = 0.0
        for weight in self._penalised:
            penalty += _penalty(weight.path, weight.regularizer(weight.array))
        for layer in self.adders:
            if layer.added_losses:
                penalty += sum(layer.added_losses)
        return penalty + self.activity_loss() if self._activities or self._runners else penalty

    def losses(self) -> list[float]:
        """Return what `regularization_loss` adds up, in Keras's order: layer by layer, then weight by weight."""
        losses = []
        for layer in self.adders:
            losses += [*layer.added_losses, *self.activity_losses(layer)]
        weights = (_penalty(weight.path, weight.regularizer(weight.array)) for weight in self._penalised)
        return [*losses, *weights]

    def activity_losses(self, layer: Any) -> list[float]:
        """Return the penalties on the outputs of a layer in the last pass, divided by the batch size.

        Args:
            layer: a layer of the model or of a model in it.
        """
        losses = [
            _penalty(layer.name, layer.activity_regularizer(y)) / len(y)
            for each, y in self._activities.values()
            if each is layer
        ]
        for plan in self._inner_plans():
            losses += plan.activity_losses(layer)
        return losses

    def scale_penalties(self, factor: float) -> None:
        """Multiply the gradients of penalties and added losses.

        Args:
            factor: how much of each the loss holds, 1 unless a `compute_loss` says otherwise.
        """
        self._factor = factor
        for plan in self._inner_plans():
            plan.scale_penalties(factor)
        for layer in self.adders:
            layer.loss_factor = factor

    def activity_loss(self) -> float:
        """Return the sum of the activity regularizers over the last forward pass, divided by the batch size."""
        penalty = 0.0
        for layer, y in self._activities.values():
            penalty += _penalty(layer.name, layer.activity_regularizer(y)) / len(y)
        for plan in self._inner_plans():
            penalty += plan.activity_loss()
        return penalty

    def add_regularization_gradients(self) -> None:
        """Add the gradients of the weight regularizers to the gradients of the weights."""
        for weight in self._penalised_trainable:
            gradient = shaped("the gradient of the regularizer", weight, weight.regularizer.gradient(weight.array))
            weight.gradient += gradient if self._factor == 1 else gradient * self._factor


def _is_plain(layer: Any) -> bool:
    """Return whether a layer is run by `forward` and `backward` directly, and not by `run`."""
    return not (layer.is_model or layer.merges)


def _run(call: Call, values: Sequence[Any], masks: Sequence[Any], training: int) -> tuple[list[Any], list[Any]]:
    """Run a call that is not plain."""
    input_masks = [masks[slot] for slot in call.inputs]
    for place, slot in enumerate(call.masks):
        if slot is not None:
            input_masks[place] = np.ascontiguousarray(values[slot], bool)
    mode = training
    if call.training is not None:
        mode = call.training or (SAVING if training else False)
    outputs = call.layer.run([values[slot] for slot in call.inputs], input_masks, mode, **call.options)
    if mode and not training:
        call.layer._discard_saved()
    return outputs  # type: ignore[no-any-return]  # of a layer


def _added(layer: Any, d_outputs: Sequence[Array | None], need_dx: bool, shared: Sequence[Weight]) -> Any:
    """Run a layer's backward so that the gradients of the shared weights are added to what they are."""
    before = [weight.gradient.copy() for weight in shared]
    results = layer.backward(*d_outputs, need_dx=need_dx)
    for weight, gradient in zip(shared, before, strict=True):
        weight.gradient += gradient
    return results


def _without_gradient(layer: Any, shared: Sequence[Weight]) -> None:
    """Go past a call whose outputs get no gradient; those of weights that are not shared are 0."""
    layer._skip_saved()
    written = set(map(id, shared))
    for weight in layer.trainable_weights:
        if id(weight) not in written:
            weight.gradient[...] = 0


def _penalty(owner: str, value: Any) -> float:
    """Return the value of a regularizer, which must be one number."""
    if type(value) is float:
        return value
    if np.size(value) != 1:
        raise ValueError(
            f"the regularizer of {owner!r} must return one number, got an array of shape {np.shape(value)}"
        )
    return float(value)
