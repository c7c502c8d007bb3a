"""RNN(cell): SimpleRNNCell, LSTMCell, GRUCell and stacks of them over a sequence.

A cell carries the recurrent layer that runs it, so that RNN(LSTMCell(n)) is as fast as LSTM(n), and a stack of cells
as fast as a stack of layers: which it equals, since a masked step keeps the state of every cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.batches import as_float
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight
from pyrnn.validation import positive_int, shown

# What a sequence has and a cell has not.
_OF_THE_SEQUENCE = (
    "activity_regularizer",
    "checkpoint_steps",
    "go_backwards",
    "return_sequences",
    "return_state",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


class Cell(Layer):
    """One time step of a recurrent layer: `cell(x, states) -> (output, states)`, x (batch, features)."""

    axes = ("batch", "features")
    layer_type: ClassVar[type[Recurrent]]

    @checked()
    def __init__(self, units: int, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = self.layer_type(units, name=self.name, dtype=self.dtype, return_state=True, **arguments)
        self.units = self.layer.units

    @property
    def state_size(self) -> int | list[int]:
        """Units of the state, or a list of them where there are several (LSTM: h and c)."""
        return self.units if self.layer.state_count == 1 else [self.units] * self.layer.state_count

    @property
    def output_size(self) -> int:
        """Units of the output."""
        return self.units

    def get_initial_state(self, batch_size: int | None = None) -> list[Array]:
        """Zeros, one array (batch, units) a state."""
        return [np.zeros((batch_size or 1, self.units), self.dtype) for _ in range(self.layer.state_count)]

    def _build(self, input_shape: Shape) -> None:
        self.layer.build((input_shape[0], None, input_shape[-1]))
        self._weights = self.layer._weights
        self.rename(self.name)

    def rename(self, path: str) -> None:
        """Put the weights' paths below `path`."""
        for weight in self._weights:
            weight.path = f"{path}/{weight.name}"

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return (input_shape[0], self.units)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        output: Array = self.layer.forward(x[:, None], training=training)[0]
        return output.reshape(len(x), self.units)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        dx = self.layer.backward(dy, need_dx=need_dx)
        return None if dx is None else dx[:, 0]

    @checked()
    def __call__(self, x: Any, states: Any = None, training: bool = False) -> Any:  # type: ignore[override]  # a cell is called with its states, as in Keras
        """(output (batch, units), [states]) after one step; `states` None starts from zeros."""
        x = as_float("x", x, self.dtype)
        if self.built:
            self.check_input(x.shape)
        else:
            self.build(x.shape)
        if states is not None:
            states = self.layer.checked_states(states, x[:, None], "states")
        output, *states = self.layer(x[:, None], initial_state=states, training=training)
        return output.reshape(len(x), self.units), states

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in self.layer.get_config().items() if key not in _OF_THE_SEQUENCE}
        return {**config, **super().get_config(), "seed": self.layer.seed}


class SimpleRNNCell(Cell):
    """One step of `SimpleRNN`. Arguments and defaults are Keras's."""

    layer_type = SimpleRNN

    @checked()
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation, "use_bias": use_bias, "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer, "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer, "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer, "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint, "bias_constraint": bias_constraint, "dropout": dropout,
            "recurrent_dropout": recurrent_dropout, "seed": seed,
        }  # fmt: skip
        super().__init__(units, arguments, **kwargs)


class LSTMCell(Cell):
    """One step of `LSTM`. Arguments and defaults are Keras's."""

    layer_type = LSTM

    @checked()
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation, "recurrent_activation": recurrent_activation, "use_bias": use_bias,
            "kernel_initializer": kernel_initializer, "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer, "unit_forget_bias": unit_forget_bias,
            "kernel_regularizer": kernel_regularizer, "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer, "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint, "bias_constraint": bias_constraint, "dropout": dropout,
            "recurrent_dropout": recurrent_dropout, "seed": seed,
        }  # fmt: skip
        super().__init__(units, arguments, **kwargs)


class GRUCell(Cell):
    """One step of `GRU`. Arguments and defaults are Keras's."""

    layer_type = GRU

    @checked()
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = {
            "activation": activation, "recurrent_activation": recurrent_activation, "use_bias": use_bias,
            "kernel_initializer": kernel_initializer, "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer, "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer, "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint, "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint, "dropout": dropout, "recurrent_dropout": recurrent_dropout,
            "reset_after": reset_after, "seed": seed,
        }  # fmt: skip
        super().__init__(units, arguments, **kwargs)


class StackedRNNCells(Layer):
    """Several cells, one on top of the other, as one cell."""

    axes = ("batch", "features")

    @checked()
    def __init__(self, cells: Sequence[Cell], **kwargs: Any) -> None:
        for cell in cells:
            _check_cell("cells", cell)
        if not cells:
            raise ValueError("cells must hold at least one cell, got an empty list")
        kwargs.setdefault("dtype", cells[0].dtype)
        super().__init__(**kwargs)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[int | list[int]]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Units of the last cell."""
        return self.cells[-1].units

    def get_initial_state(self, batch_size: int | None = None) -> list[list[Array]]:
        """Zeros for every cell."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def _build(self, input_shape: Shape) -> None:
        shape = input_shape
        for cell in self.cells:
            cell.build(shape)
            shape = cell.compute_output_shape(shape)
        self._weights = [weight for cell in self.cells for weight in cell._weights]
        self.rename(self.name)

    def rename(self, path: str) -> None:
        """Put the weights' paths below `path`."""
        for cell in self.cells:
            cell.rename(f"{path}/{cell.name}")

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return (input_shape[0], self.output_size)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        for cell in self.cells:
            x = cell.forward(x, training=training)
        return x

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        gradient: Array | None = dy
        for cell in reversed(self.cells):
            assert gradient is not None
            gradient = cell.backward(gradient, need_dx=need_dx or cell is not self.cells[0])
        return gradient

    @checked()
    def __call__(self, x: Any, states: Any = None, training: bool = False) -> Any:  # type: ignore[override]  # a cell is called with its states, as in Keras
        """(output (batch, units), states) after one step, one entry of `states` a cell."""
        if states is not None and (not isinstance(states, list | tuple) or len(states) != len(self.cells)):
            raise TypeError(f"states must be a list of {len(self.cells)} entries, one a cell, got {shown(states)}")
        x = as_float("x", x, self.dtype)
        if self.built:
            self.check_input(x.shape)
        else:
            self.build(x.shape)
        after = []
        for i, cell in enumerate(self.cells):
            x, state = cell(x, None if states is None else states[i], training=training)
            after.append(state)
        return x, after

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [_entry(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> StackedRNNCells:
        return cls(**{**config, "cells": [_cell(entry) for entry in config["cells"]]})


def _check_cell(argument: str, cell: Any) -> None:
    if not isinstance(cell, Cell):
        raise TypeError(
            f"{argument} must be SimpleRNNCell, LSTMCell or GRUCell, which the kernel runs over whole sequences; "
            f"write a layer with forward and backward for a cell of your own, got {shown(cell)}"
        )


def _entry(cell: Layer) -> dict[str, Any]:
    from pyrnn.layers import serialize

    entry = serialize(cell)
    entry.pop("build_config", None)
    return entry


def _cell(entry: Any) -> Any:
    from pyrnn.layers import deserialize

    return deserialize(entry) if isinstance(entry, Mapping) else entry


class RNN(Layer):
    """A cell, or a list of cells one on top of the other, over a sequence. Arguments and defaults are Keras's.

    x (batch, time, features) -> (batch, units), or (batch, time, units) with `return_sequences`. States are listed by
    cell where there are several. Cells of your own are refused: they would walk time in Python.

    `checkpoint_steps` is that of the recurrent layers, for every cell: less memory for long sequences.
    """

    axes = ("batch", "time", "features")
    supports_masking = True

    @checked()
    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        *,
        checkpoint_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        if not isinstance(cell, StackedRNNCells):
            _check_cell("cell", cell)
        kwargs.setdefault("dtype", cell.dtype)
        super().__init__(**kwargs)
        self.cell: Cell | StackedRNNCells = cell
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful, self.unroll = bool(go_backwards), bool(stateful), bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.checkpoint_steps = None
        if checkpoint_steps is not None:
            self.checkpoint_steps = positive_int("checkpoint_steps", checkpoint_steps)
        self.units = cell.output_size
        self._stack = [each.layer for each in (cell.cells if isinstance(cell, StackedRNNCells) else [cell])]
        self.state_count = sum(layer.state_count for layer in self._stack)
        if not self._trainable:
            self.trainable = False

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights."""
        return self._trainable and self.cell.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = self.cell.trainable = bool(value)

    def _set_options(self) -> None:
        """Tell the layers of the cells what this one was told; only the lowest reads x, so only it walks backwards."""
        last = self._stack[-1]
        for layer in self._stack:
            layer.return_sequences = self.return_sequences or layer is not last
            layer.return_state = True
            layer.stateful = self.stateful
            layer.go_backwards = self.go_backwards and layer is self._stack[0]
            layer.zero_output_for_mask = self.zero_output_for_mask and layer is last
            layer.checkpoint_steps = self.checkpoint_steps

    def _build(self, input_shape: Shape) -> None:
        if self.stateful and input_shape[0] is None:
            raise ValueError(
                f"layer {self.name!r} is stateful: its batch size must be fixed, "
                f"write Input(batch_shape=(size, time, features)), got {input_shape}"
            )
        self._set_options()
        self.cell.build((input_shape[0], input_shape[-1]))
        self._weights = self.cell._weights
        self.cell.rename(f"{self.name}/{self.cell.name}")

    @property
    def states(self) -> tuple[Array, ...] | None:
        """The kept states of a stateful layer, cell after cell."""
        kept = [layer.states for layer in self._stack]
        return tuple(s for each in kept if each is not None for s in each) if kept[0] is not None else None

    def reset_state(self) -> None:
        for layer in self._stack:
            layer.reset_state()

    reset_states = reset_state

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, time = input_shape[0], input_shape[1]
        output: Shape = (batch, time, self.units) if self.return_sequences else (batch, self.units)
        if not self.return_state:
            return output
        shapes = [[(batch, layer.units)] * layer.state_count for layer in self._stack]
        return (output, *self._grouped(shapes))

    def _grouped(self, states: list[Any]) -> list[Any]:
        """States as Keras gives them: by cell in a stack (one state bare), flat for a single cell."""
        if not isinstance(self.cell, StackedRNNCells):
            return list(states[0])
        return [each if len(each) > 1 else each[0] for each in states]

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Any:
        output = mask if self.return_sequences else None
        return [output, *[None] * len(self._stack)] if self.return_state else output

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None, initial_state: Any = None) -> Any:
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

    def backward(
        self, dy: Array, *, need_dx: bool = True, d_final_state: Sequence[Array | None] | None = None
    ) -> Array | None:
        gradient: Array | None = dy
        for layer in reversed(self._stack):
            d_states = None
            if d_final_state is not None:
                d_states, d_final_state = d_final_state[-layer.state_count :], d_final_state[: -layer.state_count]
            lowest = layer is self._stack[0]
            assert gradient is not None
            gradient = layer.backward(gradient, need_dx=need_dx or not lowest, d_final_state=d_states)
        return gradient

    def stream_into(self, stream: Any) -> None:
        for layer in self._stack:
            layer.stream_into(stream)

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """A mask (batch, time) for x."""
        return self._stack[0].checked_mask(mask, x)

    def checked_states(self, states: Any, x: Array) -> list[Array]:
        """Initial states for x, one array (batch, units) each, in the order of the cells."""
        given = list(states) if isinstance(states, list | tuple) else [states]
        if isinstance(self.cell, StackedRNNCells) and len(given) == len(self._stack):
            groups = [list(each) if isinstance(each, list | tuple) else [each] for each in given]
            given = [state for group in groups for state in group]
        if len(given) != self.state_count:
            kind = ValueError if isinstance(states, list | tuple) else TypeError
            raise kind(f"initial_state must hold {self.state_count} arrays, got {len(given)}")
        checked: list[Array] = []
        for layer in self._stack:
            checked += layer.checked_states(given[len(checked) : len(checked) + layer.state_count], x)
        return checked

    @checked(mask=None)
    def __call__(self, x: Any, *, initial_state: Any = None, training: bool = False, mask: Any = None) -> Any:
        """Run the layer on an array; `initial_state` is given as `return_state` returns it."""
        array = as_float("x", x, self.dtype)
        if self.built:
            self.check_input(array.shape)
        else:
            self.build(array.shape)
        if mask is not None:
            mask = self.checked_mask(mask, array)
        if initial_state is not None:
            initial_state = self.checked_states(initial_state, array)
        return self.forward(array, training=bool(training), mask=mask, initial_state=initial_state)

    def variable_groups(self) -> list[tuple[str, str, list[Weight]]]:
        found: list[tuple[str, str, list[Weight]]] = []
        if isinstance(self.cell, StackedRNNCells):
            seen: Counter[str] = Counter()
            for cell in self.cell.cells:
                name = snake_case(type(cell).__name__)
                suffix = f"_{seen[name]}" if seen[name] else ""
                seen[name] += 1
                found.append((f"cell/cells/{name}{suffix}/vars", cell.name, cell._weights))
            found.append(("cell/vars", self.cell.name, []))
        else:
            found.append(("cell/vars", self.cell.name, self._weights))
        return [*found, ("vars", self.name, [])]

    def get_config(self) -> dict[str, Any]:
        own = {} if self.checkpoint_steps is None else {"checkpoint_steps": self.checkpoint_steps}
        return {
            **super().get_config(),
            **own,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": _entry(self.cell),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RNN:
        return cls(**{**config, "cell": _cell(config["cell"])})
