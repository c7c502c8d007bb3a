"""RNN(cell): a cell, or a stack of cells, over a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.recurrent.cells import IS_CELL, StackedRNNCells, backward_through, rename, runner
from pyrnn.layers.recurrent.stepped import Stepped
from pyrnn.layers.serialization import layer_of, serialize_inner
from pyrnn.rules import Unchecked
from pyrnn.typing import Flag, Size
from pyrnn.validation import WrongType, positive_int, shown

__all__ = ["RNN"]


class RNN(Layer):
    """Run a cell, or a stack of cells, over a sequence: x (B, T, F) becomes (B, units).

    With `return_sequences` the output is (B, T, units). Calls accept `mask` (B, T) and `initial_state`, a list of
    arrays (B, units) in the order of the cells. The cells of `pyrnn.layers` run in the compiled core.

    A custom cell is a layer that defines `state_size`, an integer or a list with one for each state, and
    `call(inputs, states)` with `pyrnn.ops`, which returns the output (B, units) and the list of new states. It may
    define `output_size`, if that is not the size of the first state, and `get_initial_state(batch_size)`, and `call`
    may take `training`. It runs in a Python loop over time, which takes tens of times as long as the compiled core.

    Args:
        cell: a cell of `pyrnn.layers`, a custom cell, or a list of cells, each of which reads the output of the one
            before it.
        return_sequences: return the output of every time step (B, T, units), not only of the last one.
        return_state: return the output and the final states.
        go_backwards: read the sequence from the last step to the first.
        stateful: start each batch from the final states of the one before, until `reset_state()`.
        unroll: accepted as in Keras; it changes neither the numbers nor the speed.
        zero_output_for_mask: return zeros at masked steps instead of the last output.
        checkpoint_steps: passed to each cell, see `Recurrent`: less memory for long sequences.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `cell` is not a cell, or an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.RNN([layers.LSTMCell(8), layers.LSTMCell(4)], return_sequences=True)(np.zeros((2, 10, 3))).shape
        (2, 10, 4)
    """

    axes = ("batch", "time", "features")
    fixes_features = True
    supports_masking = True
    call_order = ("initial_state", "mask")
    never_called = custom.NEVER_CALLED_RECURRENT

    @checked
    def __init__(
        self,
        cell: Annotated[Any, Unchecked()],
        return_sequences: Flag = False,
        return_state: Flag = False,
        go_backwards: Flag = False,
        stateful: Flag = False,
        unroll: Flag = False,
        zero_output_for_mask: Flag = False,
        *,
        checkpoint_steps: Size | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        if not isinstance(cell, StackedRNNCells):
            IS_CELL.check("cell", cell)
        kwargs.setdefault("dtype", cell.dtype)
        super().__init__(**kwargs)
        self.cell: Any = cell
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful, self.unroll = bool(go_backwards), bool(stateful), bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.checkpoint_steps = None
        if checkpoint_steps is not None:
            self.checkpoint_steps = positive_int("checkpoint_steps", checkpoint_steps)
        self._stack = [runner(each) for each in (cell.cells if isinstance(cell, StackedRNNCells) else [cell])]
        if self.checkpoint_steps is not None and any(isinstance(layer, Stepped) for layer in self._stack):
            raise ValueError(
                f"checkpoint_steps must be None where a cell is a custom one, got {shown(checkpoint_steps)}: the "
                "kernel does not run it"
            )
        self.units = self._stack[-1].units
        self.state_count = sum(layer.state_count for layer in self._stack)
        if not self._trainable:
            self.trainable = False

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights."""
        return self._trainable and self.cell.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    @property
    def runs_in_python(self) -> bool:
        """Whether a cell is a custom one or has a function as its activation, so that its steps run in Python."""
        return any(layer.runs_in_python for layer in self._stack)

    def _set_options(self) -> None:
        """Pass the options on to the layers of the cells; only the first reads x, so only it goes backwards."""
        last = self._stack[-1]
        for layer in self._stack:
            layer.return_sequences = self.return_sequences or layer is not last
            layer.return_state = True
            layer.stateful = self.stateful
            layer.go_backwards = self.go_backwards and layer is self._stack[0]
            layer.zero_output_for_mask = self.zero_output_for_mask and layer is last
            layer.checkpoint_steps = self.checkpoint_steps

    def build(self, input_shape: Shape) -> None:
        if self.stateful and input_shape[0] is None:
            raise ValueError(
                f"layer {self.name!r} is stateful: its batch size must be fixed, "
                f"write Input(batch_shape=(size, time, features)), got {input_shape}"
            )
        self._set_options()
        self.cell.build((input_shape[0], input_shape[-1]))
        size = input_shape[-1]
        for layer in self._stack:
            layer.build((input_shape[0], input_shape[1], size))
            size = layer.units
        rename(self.cell, self.name)

    def children(self) -> list[tuple[str, Layer]]:
        # The layers that run the cells follow the cell: a training's state lists the random streams in this order.
        return self._with_assigned([("cell", self.cell), *(("cell", layer) for layer in self._stack)])

    @property
    def states(self) -> tuple[Array, ...] | None:
        """States of a stateful layer, cell after cell."""
        states = [layer.states for layer in self._stack]
        return tuple(s for each in states if each is not None for s in each) if states[0] is not None else None

    def reset_state(self, states: Any = None) -> None:
        """Set the states of a stateful layer. If one does not fit, all stay as they were.

        Args:
            states: arrays (B, units) in the order of `return_state`, or None for zeros.

        Raises:
            TypeError, ValueError: if they do not fit, or the layer is not stateful.
        """
        if states is None:
            for layer in self._stack:
                layer.reset_state()
            return
        if self.states is None:
            raise ValueError(f"layer {self.name!r} keeps no states: it must have stateful=True and be built")
        arrays = self.checked_states(states, self.states[0], "states")
        for layer in self._stack:
            layer.reset_state(arrays[: layer.state_count])
            del arrays[: layer.state_count]

    reset_states = reset_state

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, time = input_shape[0], input_shape[1]
        output: Shape = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        if not self.return_state:
            return output
        shapes = [layer.state_shapes(batch) for layer in self._stack]
        return (output, *self._grouped(shapes))

    def _grouped(self, states: list[Any]) -> list[Any]:
        """Group states as Keras returns them: by cell in a stack (a single state by itself), flat for a single cell."""
        if not isinstance(self.cell, StackedRNNCells):
            return list(states[0])
        return [each if len(each) > 1 else each[0] for each in states]

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Any:
        output = mask if self.return_sequences else None
        return [output, *[None] * len(self._stack)] if self.return_state else output

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None, initial_state: Any = None) -> Any:
        """Run the cells over a sequence. With `training`, save what `backward` needs.

        Args:
            x: input (B, T, F).
            training: whether the pass is part of a training step.
            mask: mask (B, T), True for the steps that count, or None.
            initial_state: arrays (B, units) in the order of the cells, or None.

        Returns:
            The output (B, units), or (B, T, units) with `return_sequences`; with `return_state`, a tuple of the output
            and the final states.
        """
        self._set_options()  # they may have been assigned to
        states = []
        for layer in self._stack:
            start = None
            if initial_state is not None:
                start, initial_state = initial_state[: layer.state_count], initial_state[layer.state_count :]
            x, *after = layer.forward(x, training=training, mask=mask, initial_state=start)
            states.append(after)
            if mask is not None and layer.go_backwards:
                mask = np.ascontiguousarray(mask[:, ::-1])
        return (x, *self._grouped(states)) if self.return_state else x

    def backward(self, dy: Array | None, *d_states: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights.

        Args:
            dy: the gradient by the output, (batch, units) or (batch, time, units); None is 0.
            *d_states: with `return_state`, the gradients by the final states, (batch, units) each, cell after cell.
                None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a pass that started from an `initial_state` a tuple of dx and the gradient by
            each of these states, cell after cell.
        """
        return backward_through(self._stack, dy, d_states, need_dx)

    def stream_into(self, stream: Any) -> None:
        if self.go_backwards:
            raise self._not_streamed("it goes backwards")
        self._set_options()
        for layer in self._stack:
            layer.stream_into(stream)

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        """Initial states for x, one array (batch, units) each, in the order of the cells."""
        arrays = list(states) if isinstance(states, list | tuple) else [states]
        if isinstance(self.cell, StackedRNNCells) and len(arrays) == len(self._stack):
            groups = [list(each) if isinstance(each, list | tuple) else [each] for each in arrays]
            arrays = [state for group in groups for state in group]
        if len(arrays) != self.state_count:
            kind = ValueError if isinstance(states, list | tuple) else WrongType
            raise kind(f"{argument} must hold {self.state_count} arrays, got {len(arrays)}")
        checked: list[Array] = []
        for layer in self._stack:
            checked += layer.checked_states(arrays[len(checked) : len(checked) + layer.state_count], x, argument)
        return checked

    def get_config(self) -> dict[str, Any]:
        extra = {} if self.checkpoint_steps is None else {"checkpoint_steps": self.checkpoint_steps}
        return {
            **super().get_config(),
            **extra,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialize_inner(self.cell),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RNN:
        return cls(**{**config, "cell": layer_of(config["cell"])})
