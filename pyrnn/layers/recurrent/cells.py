"""SimpleRNNCell, LSTMCell, GRUCell and stacks of them, for RNN(cell).

A cell carries the recurrent layer that runs it, so that RNN(LSTMCell(n)) is as fast as LSTM(n), and a stack of cells
as fast as a stack of layers: which it equals, since a masked step keeps the state of every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.explaining import CellNames
from pyrnn.initializers import InitializerLike
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.holder import numbered
from pyrnn.layers.inner_calls import as_symbols
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.layers.recurrent.layers import GRU, LSTM, SimpleRNN
from pyrnn.layers.recurrent.stepped import Stepped, initial_states, is_custom_cell, output_size
from pyrnn.layers.serialization import layer_of, serialize_inner
from pyrnn.overriding import is_builtin
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import ListOf, Rule
from pyrnn.symbols import is_symbolic, tracing
from pyrnn.typing import ArrayLike, Flag, Inputs, Rate, Seed, Units
from pyrnn.validation import WrongType, shown

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]

# Arguments of a layer that its cell does not have.
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


class Cell(Layer, CellNames):
    """One time step of a recurrent layer: `cell(x, states) -> (output, states)`, x (batch, features)."""

    axes = ("batch", "features")
    fixes_features = True
    never_called = custom.NEVER_CALLED_CELL
    layer_type: ClassVar[type[Recurrent]]

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = self.layer_type(
            name=self.name, dtype=self.dtype, trainable=self._trainable, return_state=True, **arguments
        )
        self.units = self.layer.units

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned([("layer", self.layer)])

    def variable_groups(self) -> list[tuple[str, str, list[Weight]]]:
        return [("vars", self.name, self.weights)]

    @property
    def state_size(self) -> int | list[int]:
        """Units of the state, or a list of them where there are several (LSTM: h and c)."""
        return self.units if self.layer.state_count == 1 else [self.units] * self.layer.state_count

    @property
    def state_count(self) -> int:
        """Number of states."""
        return self.layer.state_count

    @property
    def output_size(self) -> int:
        """Units of the output."""
        return self.units

    def get_initial_state(self, batch_size: int | None = None) -> list[Array]:
        """Return zero states.

        Args:
            batch_size: number of rows B, at least 1; None means 1.

        Returns:
            A list of arrays (B, units), one per state.
        """
        return [np.zeros((batch_size or 1, self.units), self.dtype) for _ in range(self.layer.state_count)]

    def build(self, input_shape: Shape) -> None:
        self.layer.build((input_shape[0], None, input_shape[-1]))
        self.rename(self.name)

    def rename(self, path: str) -> None:
        """Put the paths of the weights below another path.

        Args:
            path: the new path, such as "lstm/lstm_cell".
        """
        for weight in self.weights:
            weight.path = f"{path}/{weight.name}"

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return (input_shape[0], self.units)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        output: Array = self.layer.forward(x[:, None], training=training)[0]
        return output.reshape(len(x), self.units)

    def backward(self, dy: Array, *d_states: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights.

        Args:
            dy: the gradient by the output, (batch, units).
            *d_states: the gradients by the states after the step, (batch, units) each; None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a step that was called with states a tuple of dx and the gradient by each of
            these states.
        """
        gradients = self.layer.backward(dy, *d_states, need_dx=need_dx)
        dx, *d_before = gradients if isinstance(gradients, tuple) else (gradients,)
        dx = None if dx is None else dx[:, 0]
        return (dx, *d_before) if d_before else dx

    @checked
    def __call__(self, x: Inputs, states: ArrayLike | None = None, training: Flag | None = None) -> Any:  # type: ignore[override]  # a cell is called with its states, as in Keras
        """Return the output (batch, units) and the list of states after one step; `states` None starts from zeros."""
        if tracing.symbol_of is not None:
            x, states = as_symbols(x, self.dtype), as_symbols(states, self.dtype)
        if is_symbolic(x, states):
            self.build(x.shape)
            output, *states = self.layer(x[:, None], initial_state=states, training=training)
            return output, states
        x = self._accept(x)
        if states is not None:
            states = self.layer.checked_states(states, x[:, None], "states")
        output, *states = self.layer(x[:, None], initial_state=states, training=training)
        return output.reshape(len(x), self.units), states

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in self.layer.get_config().items() if key not in _OF_THE_SEQUENCE}
        return {**config, **super().get_config(), "seed": self.layer.seed}


class SimpleRNNCell(Cell):
    """One time step of `SimpleRNN`, with the equations and weights of that layer.

    `cell(x, states)` takes x (B, F) and the list of states [h], each (B, units), and returns the output (B, units) and
    the new states. `RNN(cell)` runs it over a sequence in the compiled core.

    Args:
        units: size of the output and of each state, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        use_bias: whether to add a bias.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        recurrent_initializer: name or object of `pyrnn.initializers`, for the recurrent kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        recurrent_regularizer: name or object of `pyrnn.regularizers`, for the recurrent kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of x's last axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> cell = layers.SimpleRNNCell(4)
        >>> output, states = cell(np.zeros((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    layer_type = SimpleRNN

    @checked
    def __init__(
        self,
        units: Units,
        activation: ActivationLike = "tanh",
        use_bias: Flag = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)


class LSTMCell(Cell):
    """One time step of `LSTM`, with the equations and weights of that layer.

    `cell(x, states)` takes x (B, F) and the list of states [h, c], each (B, units), and returns the output (B, units)
    and the new states. `RNN(cell)` runs it over a sequence in the compiled core.

    Args:
        units: size of the output and of each state, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        recurrent_activation: activation of the gates, in the same form.
        use_bias: whether to add a bias.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        recurrent_initializer: name or object of `pyrnn.initializers`, for the recurrent kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        unit_forget_bias: whether the bias of the forget gate starts at 1.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        recurrent_regularizer: name or object of `pyrnn.regularizers`, for the recurrent kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of x's last axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> cell = layers.LSTMCell(4)
        >>> output, states = cell(np.zeros((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 2)
    """

    layer_type = LSTM

    @checked
    def __init__(
        self,
        units: Units,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: Flag = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias: Flag = True,
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)


class GRUCell(Cell):
    """One time step of `GRU`, with the equations and weights of that layer.

    `cell(x, states)` takes x (B, F) and the list of states [h], each (B, units), and returns the output (B, units) and
    the new states. `RNN(cell)` runs it over a sequence in the compiled core.

    Args:
        units: size of the output and of each state, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        recurrent_activation: activation of the gates, in the same form.
        use_bias: whether to add a bias.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        recurrent_initializer: name or object of `pyrnn.initializers`, for the recurrent kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        recurrent_regularizer: name or object of `pyrnn.regularizers`, for the recurrent kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        reset_after: apply the reset gate after the recurrent product (True, as cuDNN does) or before it.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of x's last axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> cell = layers.GRUCell(4)
        >>> output, states = cell(np.zeros((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    layer_type = GRU

    @checked
    def __init__(
        self,
        units: Units,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: Flag = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        reset_after: Flag = True,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)


class _IsCell(Rule):
    """One of the cells above, or a custom one."""

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, Cell) and not is_custom_cell(value):
            names = ", ".join(cls.__name__ for cls in Cell.__subclasses__() if is_builtin(cls))
            raise WrongType(
                f"{argument} must be {names} or a layer that defines state_size and call(inputs, states), "
                f"got {shown(value)}"
            )


IS_CELL = _IsCell()


class StackedRNNCells(Layer):
    """Stack cells, so that they act as one cell: each reads the output of the one before it.

    Args:
        cells: list of cells, of `pyrnn.layers` or custom ones as in `RNN`, at least one.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `cells` is empty or holds anything but cells.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> cell = layers.StackedRNNCells([layers.GRUCell(8), layers.GRUCell(4)])
        >>> layers.RNN(cell)(np.zeros((2, 10, 3))).shape
        (2, 4)
    """

    axes = ("batch", "features")
    fixes_features = True
    never_called = custom.NEVER_CALLED_CELL

    @checked
    def __init__(self, cells: Annotated[Sequence[Any], ListOf(IS_CELL)], **kwargs: Any) -> None:
        if not cells:
            raise ValueError("cells must hold at least one cell, got an empty list")
        kwargs.setdefault("dtype", cells[0].dtype)
        super().__init__(**kwargs)
        self.cells = list(cells)

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned(numbered("cells", self.cells))

    @property
    def state_size(self) -> list[int | list[int]]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Units of the last cell."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[list[Array]]:
        """Return zero states for every cell.

        Args:
            batch_size: number of rows B, at least 1; None means 1.

        Returns:
            A list of arrays (B, units), those of the first cell first.
        """
        return [
            cell.get_initial_state(batch_size) if isinstance(cell, Cell) else initial_states(cell, batch_size or 1)
            for cell in self.cells
        ]

    def build(self, input_shape: Shape) -> None:
        shape = input_shape
        for cell in self.cells:
            if not cell.built:
                cell.build(shape)
            shape = (shape[0], _output_size(cell))
        self.rename(self.name)

    def rename(self, path: str) -> None:
        """Put the paths of the weights below another path.

        Args:
            path: the new path, such as "lstm/lstm_cell".
        """
        for cell in self.cells:
            rename(cell, path)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return (input_shape[0], self.output_size)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        for cell in self.cells:
            x = cell.forward(x, training=training)
        return x

    def backward(self, dy: Array, *d_states: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights of all cells.

        Args:
            dy: the gradient by the output of the last cell, (batch, units).
            *d_states: the gradients by the states after the step, (batch, units) each, cell after cell; None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a step that was called with states, a tuple of dx and their gradients.
        """
        return backward_through(self.cells, dy, d_states, need_dx)

    @checked
    def __call__(self, x: Inputs, states: ArrayLike | None = None, training: Flag | None = None) -> Any:  # type: ignore[override]  # a cell is called with its states, as in Keras
        """Return the output (batch, units) and the states after one step; `states` has one entry per cell."""
        if states is not None and (not isinstance(states, list | tuple) or len(states) != len(self.cells)):
            raise WrongType(f"states must be a list of {len(self.cells)} entries, one per cell, got {shown(states)}")
        x = self._accept(x)
        after = []
        for i, cell in enumerate(self.cells):
            before = None if states is None else states[i]
            if isinstance(cell, Cell):
                x, state = cell(x, before, training=training)
            else:
                before = initial_states(cell, len(x)) if before is None else before
                x, state = cell(x, before if isinstance(before, list | tuple) else [before], training=training)
            after.append(state)
        return x, after

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [serialize_inner(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> StackedRNNCells:
        return cls(**{**config, "cells": [layer_of(entry) for entry in config["cells"]]})


def _output_size(cell: Any) -> int:
    return cell.units if isinstance(cell, Cell) else output_size(cell)


def rename(cell: Any, path: str) -> None:
    """Put the paths of the weights of a cell below another path.

    Args:
        cell: the cell.
        path: the path of the layer that holds it.
    """
    if isinstance(cell, Cell | StackedRNNCells):
        cell.rename(f"{path}/{cell.name}")
    else:
        for weight in cell.weights:
            _, separator, rest = weight.path.rpartition(f"{cell.name}/")
            weight.path = f"{path}/{separator}{rest}"


def runner(cell: Any) -> Any:
    """Return the layer that runs a cell over a sequence.

    Args:
        cell: a cell of pyrnn, which holds it, or a custom one.
    """
    return cell.layer if isinstance(cell, Cell) else Stepped(cell)


def backward_through(stack: Sequence[Any], dy: Array | None, d_states: Sequence[Array | None], need_dx: bool) -> Any:
    """Write the gradients of layers or cells on top of each other.

    Args:
        stack: the lowest one first.
        dy: the gradient by the output of the last one; None is 0.
        d_states: the gradients by the final states of all, in the order of `stack`, or none.
        need_dx: whether the gradient by the input of the first one is needed.

    Returns:
        That gradient; where they started from initial states, a tuple of it and the gradients by all of these.
    """
    gradient: Any = dy
    d_initial: list[Array] = []
    for index in range(len(stack) - 1, -1, -1):
        each = stack[index]
        d_final, d_states = d_states[-each.state_count :], d_states[: -each.state_count]
        gradients = each.backward(gradient, *d_final, need_dx=need_dx or index > 0)
        gradient, *d_before = gradients if isinstance(gradients, tuple) else (gradients,)
        d_initial = [*d_before, *d_initial]
    return (gradient, *d_initial) if d_initial else gradient
