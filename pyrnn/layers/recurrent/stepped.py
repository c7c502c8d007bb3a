"""`Stepped`: a custom cell over a sequence, one Python call for each time step."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.data.arrays import as_float
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.call_arguments import Arguments, Place
from pyrnn.layers.tracing import Trace, trace_of
from pyrnn.parameters import Weight
from pyrnn.validation import shown

__all__: list[str] = []  # made by RNN alone


def is_custom_cell(value: Any) -> bool:
    """Return whether a value is a layer with `call(inputs, states)` and `state_size`."""
    return isinstance(value, Layer) and value.is_traced and hasattr(value, "state_size")


def state_sizes(cell: Any) -> list[int]:
    """Return the size of each state of a custom cell.

    Args:
        cell: the cell.

    Raises:
        TypeError: if `state_size` is not a size or a list of them.
    """
    sizes = list(cell.state_size) if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    if not sizes or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise TypeError(
            f"state_size of {custom.named(cell)} must be an integer of at least 1, or a list of them, "
            f"got {shown(cell.state_size)}"
        )
    return sizes


def output_size(cell: Any) -> int:
    """Return the size of the output of a custom cell: `output_size`, or that of its first state.

    Args:
        cell: the cell.

    Raises:
        TypeError: if it is not an integer.
    """
    size = getattr(cell, "output_size", None)
    size = state_sizes(cell)[0] if size is None else size
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise TypeError(f"output_size of {custom.named(cell)} must be an integer of at least 1, got {shown(size)}")
    return size


def initial_states(cell: Any, batch_size: int) -> Any:
    """Return the initial states of a custom cell: those of its `get_initial_state`, or zeros.

    Args:
        cell: the cell.
        batch_size: number of rows B.

    Returns:
        The states (B, size): a list of arrays, or what the cell returns.
    """
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return make(batch_size=batch_size)
    return [np.zeros((batch_size, size), cell.dtype) for size in state_sizes(cell)]


class Stepped(Layer):
    """Runs a custom cell over a sequence, with the interface of `Recurrent`.

    Its `call` is traced once for each batch size. Each step runs that graph, and `backward` goes through the steps in
    reverse order and adds up the gradients of the weights.

    Args:
        cell: a layer with `call(inputs, states)` and `state_size`.
    """

    axes = ("batch", "time", "features")
    supports_masking = True
    not_streamed = "its cell is a custom one"
    runs_in_python = True

    def __init__(self, cell: Any) -> None:
        super().__init__(name=cell.name, dtype=cell.dtype)
        self.cell = cell
        self.units = output_size(cell)
        self.state_count = len(state_sizes(cell))
        self.return_sequences, self.return_state, self.stateful = False, True, False
        self.go_backwards, self.zero_output_for_mask = False, False
        self.checkpoint_steps: int | None = None
        self.states: tuple[Array, ...] | None = None
        places = [Place(number) for number in range(1 + self.state_count)]
        self._arguments = Arguments((places[0], places[1:]), {})

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned([("cell", self.cell)])

    def state_shapes(self, batch: int | None) -> list[Shape]:
        """Return the shapes of the states.

        Args:
            batch: number of rows B, or None.
        """
        return [(batch, size) for size in state_sizes(self.cell)]

    def build(self, input_shape: Shape) -> None:
        if not self.cell.built:
            self.cell.build((input_shape[0], input_shape[-1]))
        self._trace(input_shape[0] or custom.TRIALS[0], input_shape[-1], False)
        if self.stateful:
            self.states = tuple(self._start(input_shape[0]).forward([], [], False)[0])

    def _trace(self, batch: int, features: Any, training: bool) -> Trace:
        """The graph of one step."""
        shapes = [(batch, features), *self.state_shapes(batch)]
        inputs = [(shape, self.dtype) for shape in shapes]
        trace = trace_of(self.cell, self._arguments, inputs, [None] * len(inputs), training)
        pair = trace.structure
        expected = [(batch, self.units), *shapes[1:]]
        got = [tuple(symbol.shape) for symbol in trace.outputs]
        if not isinstance(pair, list | tuple) or len(pair) != 2 or got != expected:
            raise ValueError(
                f"call of {custom.named(self.cell)} must return the output and the list of new states, of shapes "
                f"{expected[0]} and {expected[1:]}, got shapes {got}"
            )
        return trace

    def _start(self, batch: int) -> Trace:
        """The graph of the initial states."""
        make = functools.partial(initial_states, self.cell)
        trace = Trace(self.cell, make, Arguments((), {"batch_size": batch}), [], [], False)
        if [tuple(symbol.shape) for symbol in trace.outputs] != self.state_shapes(batch):
            raise ValueError(
                f"get_initial_state of {custom.named(self.cell)} must return arrays of shapes "
                f"{self.state_shapes(batch)}, got {[symbol.shape for symbol in trace.outputs]}"
            )
        return trace

    def reset_state(self, states: Any = None) -> None:
        """Set the states of a stateful layer.

        Args:
            states: an array (B, size) for each state, or None for zeros.
        """
        if self.states is not None:
            new = [np.zeros_like(state) for state in self.states] if states is None else states
            self.states = tuple(np.array(state) for state in new)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, time = input_shape[0], input_shape[1]
        output: Shape = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        return (output, *self.state_shapes(batch))

    def forward(
        self,
        x: Array,
        *,
        training: bool = False,
        mask: Array | None = None,
        initial_state: Sequence[Array] | None = None,
    ) -> Any:
        """Run the cell over a sequence. With `training`, save what `backward` needs.

        Args:
            x: input (B, T, F).
            training: whether the pass is part of a training step.
            mask: mask (B, T), True for the steps that count, or None.
            initial_state: one array (B, size) per state, or None for what the cell starts from or, if stateful, the
                kept states.

        Returns:
            A tuple of the output, (B, units) or (B, T, units) with `return_sequences`, and the final states.
        """
        batch, time, features = x.shape
        if 0 in x.shape:
            raise ValueError(f"x of layer {self.name!r} must have shape (B, T, F), none of them 0, got {x.shape}")
        is_input = initial_state is not None
        if initial_state is None and self.states is not None:
            if len(self.states[0]) != batch:
                raise ValueError(
                    f"layer {self.name!r} is stateful with batch size {len(self.states[0])}, got a batch of {batch}"
                )
            initial_state = self.states
        start = None
        if initial_state is None:
            start = self._start(batch)
            initial_state = [np.ascontiguousarray(each, self.dtype) for each in start.forward([], [], training)[0]]
        trace = self._trace(batch, features, training)
        states, output, outputs = list(initial_state), np.zeros((batch, self.units), self.dtype), []
        for step in self._order(time):
            (y, *new_states), _ = trace.forward([np.ascontiguousarray(x[:, step]), *states], [None], training)
            if mask is not None:
                keep = mask[:, step, None]
                y = np.where(keep, y, 0 if self.zero_output_for_mask else output).astype(self.dtype, copy=False)
                new_states = [np.where(keep, new, old) for new, old in zip(new_states, states, strict=True)]
            output, states = y, new_states
            if self.return_sequences:
                outputs.append(output)
        if training:
            self._tape.append((trace, start, x.shape, mask, is_input))
        if self.stateful:
            self.states = tuple(np.array(state) for state in states)
        return (np.stack(outputs, axis=1) if self.return_sequences else output, *states)

    def _order(self, time: int) -> range:
        return range(time - 1, -1, -1) if self.go_backwards else range(time)

    def backward(self, dy: Array | None, *d_states: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights.

        Args:
            dy: the gradient by the output, (B, units) or (B, T, units); None is 0.
            *d_states: the gradients by the final states, (B, size) each; None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a pass that started from an `initial_state` a tuple of dx and the gradient by
            each of these states.
        """
        trace, start, shape, mask, is_input = self._take_saved()
        batch, time, _ = shape
        sums = [(weight, np.zeros_like(weight.gradient)) for weight in self.cell.trainable_weights]
        d_after = [
            np.zeros(each, self.dtype) if d_state is None else d_state
            for each, d_state in zip(self.state_shapes(batch), d_states or (None,) * self.state_count, strict=True)
        ]
        carried = np.zeros((batch, self.units), self.dtype)  # the gradient by the output that a masked step repeats
        dx = np.zeros(shape, self.dtype)
        for number, step in reversed(list(enumerate(self._order(time)))):
            d_output = carried
            if dy is not None and self.return_sequences:
                d_output = d_output + dy[:, number]
            elif dy is not None and number == time - 1:
                d_output = d_output + dy
            d_new, carried = d_after, np.zeros_like(carried)
            if mask is not None:
                keep = mask[:, step, None]
                if not self.zero_output_for_mask:
                    carried = np.where(keep, 0, d_output)
                d_output = np.where(keep, d_output, 0)
                d_new = [np.where(keep, each, 0) for each in d_after]
            d_x, *d_before = trace.backward([d_output, *d_new], 1 + self.state_count)
            _add(sums)
            d_before = [
                np.zeros_like(after) if before is None else before
                for before, after in zip(d_before, d_after, strict=True)
            ]
            if mask is not None:
                d_before = [before + np.where(keep, 0, after) for before, after in zip(d_before, d_after, strict=True)]
            d_after = d_before
            if d_x is not None:
                dx[:, step] = d_x
        if start is not None and any(isinstance(source, Weight) for source in start.sources):
            start.backward(d_after, 0)
            _add(sums)
        for weight, total in sums:
            weight.gradient[...] = total
        result = dx if need_dx else None
        return (result, *d_after) if is_input else result

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        arrays = [as_float(argument, state, self.dtype) for state in states]
        shapes = self.state_shapes(len(x))
        if [array.shape for array in arrays] != shapes:
            raise ValueError(f"{argument} must be arrays of shapes {shapes}, got {[array.shape for array in arrays]}")
        return arrays


def _add(sums: Sequence[tuple[Weight, Array]]) -> None:
    """Add the gradients of the weights to their sums."""
    for weight, total in sums:
        total += weight.gradient
