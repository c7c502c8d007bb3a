"""`Recurrent`, the base of the recurrent layers: runs a cell of the core over time."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyrnn import activations, backend, seeds
from pyrnn.data.arrays import as_float
from pyrnn.layers import custom
from pyrnn.layers.attributes import ActivationAttribute
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.settings import dropout_scale, fraction, unknown_size
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight
from pyrnn.plan import acts_as_in_training
from pyrnn.validation import positive_int, shown

__all__ = ["Recurrent"]

_KERNEL = WeightSpec("kernel")
_RECURRENT_KERNEL = WeightSpec("recurrent_kernel", "recurrent")
_BIAS = WeightSpec("bias")
_SPECS = (_KERNEL, _RECURRENT_KERNEL, _BIAS)
_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")


class Recurrent(Layer):
    """Base of `SimpleRNN`, `LSTM` and `GRU`: runs a cell of the compiled core over a sequence.

    A subclass names the cell, its gates and its states, and passes the arguments of its constructor as a dict.

    `checkpoint_steps=k` is for sequences so long that what training saves for each step does not fit into memory. Only
    the states after every k steps are saved; `backward` computes the steps between them again. Results keep their bits,
    at up to 1.5 times the time. In addition to its input, its output and their gradients, a layer then needs memory for
    T / k + k steps instead of T, which is least at k = sqrt(T). k is rounded up to a multiple of the steps whose weight
    gradients are summed at once: 128 (32 if the weights exceed 1 MiB; 256 / batch if that is more). A sequence that is
    not longer than k is saved whole.

    Args:
        arguments: dict of all arguments of the subclass, by name.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import layers
        >>> [isinstance(layer, layers.Recurrent) for layer in (layers.GRU(4), layers.Dense(4))]
        [True, False]
    """

    cell: str = ""
    # What messages call the axes of a state.
    state_axes: ClassVar[str] = "(batch, units)"
    gates: ClassVar[int] = 1
    state_count: ClassVar[int] = 1
    axes: tuple[str, ...] = ("batch", "time", "features")
    supports_masking = True
    call_order = ("initial_state", "mask")
    never_called = custom.NEVER_CALLED_RECURRENT
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation = ActivationAttribute()
    recurrent_activation = ActivationAttribute()
    link_settings = operator.attrgetter(
        "_activation", "_activation_function", "_recurrent_activation", "_recurrent_activation_function",
        "_has_own_steps", "_dropout", "_recurrent_dropout", "stateful", "return_state", "return_sequences",
        "go_backwards", "checkpoint_steps", "activity_regularizer",
    )  # fmt: skip
    _activation: str
    _activation_function: Any
    _recurrent_activation_function: Any
    # Whether a subclass runs the steps itself, in `_with_functions`. Attributes of a class would be slower to read.
    _has_own_steps: bool
    use_bias: bool
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool
    zero_output_for_mask: bool

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        self.units = positive_int("units", arguments["units"])
        self.activation = arguments["activation"]
        self._recurrent_activation: str | None = None
        if self.gates > 1:
            self.recurrent_activation = arguments["recurrent_activation"]
        super().__init__(activity_regularizer=arguments["activity_regularizer"], **kwargs)
        for spec in _SPECS:
            spec.read(self, arguments)
        for flag in ("use_bias", *_FLAGS):
            setattr(self, flag, bool(arguments[flag]))
        steps = arguments["checkpoint_steps"]
        self.checkpoint_steps = None if steps is None else positive_int("checkpoint_steps", steps)
        self.seed: int | None = arguments["seed"]
        self.states: tuple[Array, ...] | None = None
        self._implementation: int = arguments.get("implementation", 2)
        self._rng: np.random.Generator | None = None
        self._recurrent_dropout = 0.0
        self.dropout, self.recurrent_dropout = arguments["dropout"], arguments["recurrent_dropout"]
        self._workspace = backend.Workspace()
        self._has_own_steps = False
        self.bias = None

    @property
    def dropout(self) -> float:
        """Probability with which training drops an input."""
        return self._dropout

    @dropout.setter
    def dropout(self, rate: float) -> None:
        self._dropout = fraction("dropout", rate)
        self._prepare_dropout()

    @property
    def recurrent_dropout(self) -> float:
        """Probability with which training drops a state where it enters the recurrent product."""
        return self._recurrent_dropout

    @recurrent_dropout.setter
    def recurrent_dropout(self, rate: float) -> None:
        self._recurrent_dropout = fraction("recurrent_dropout", rate)
        self._prepare_dropout()

    def _prepare_dropout(self) -> None:
        self._mask_by_gate = self.gates > 1 and (self._implementation == 1 or self._recurrent_dropout > 0)
        if self._rng is None and (self._dropout or self._recurrent_dropout):
            self._rng = seeds.generator(self.seed)

    def generators(self) -> dict[str, seeds.Generator]:
        return {**super().generators(), **({} if self._rng is None else {"_rng": self._rng})}

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _window(self) -> tuple[int, ...]:
        """The axes of the kernels before (inputs, outputs)."""
        return ()

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise unknown_size(type(self).__name__, self.axes[-1], input_shape)
        for function in (self._activation_function, self._recurrent_activation_function):
            if function is not None and function.layer is not None:
                function.layer.build((input_shape[0], self.units))
                if function.layer.weights or function.layer.generators():
                    raise ValueError(
                        f"{function.argument} of {custom.named(self)} must be a layer without weights and random "
                        f"numbers, got {shown(function.layer)}"
                    )
        if self.stateful and input_shape[0] is None:
            raise ValueError(
                f"layer {self.name!r} is stateful: its batch size must be fixed, "
                f"write Input(batch_shape=(size, {', '.join(self.axes[1:])})), got {input_shape}"
            )
        width = self.gates * self.units
        window = self._window()
        self.kernel = _KERNEL.add(self, (*window, features, width))
        self.recurrent_kernel = _RECURRENT_KERNEL.add(self, (*window, self.units, width))
        if self.use_bias:
            self.bias = _BIAS.add(self, self._bias_shape())
        self._parts = (self.kernel, self.recurrent_kernel, self.bias)
        self._finish_build(input_shape)

    def _finish_build(self, input_shape: Shape) -> None:
        """Name the weights as Keras does, and create the states of a stateful layer."""
        for weight in self._weights:
            weight.path = f"{self.name}/{self._name_of_cell()}/{weight.name}"
        if self.stateful:
            self.states = self._zero_states(input_shape[0])

    def _name_of_cell(self) -> str:
        return f"{snake_case(type(self).__name__)}_cell"

    def state_shapes(self, batch: int | None) -> list[Shape]:
        """Return the shapes of the states.

        Args:
            batch: number of rows B, or None.

        Returns:
            A list of shapes (B, units).
        """
        return [(batch, self.units)] * self.state_count

    def _zero_states(self, batch: int) -> tuple[Array, ...]:
        return tuple(np.zeros(shape, self.dtype) for shape in self.state_shapes(batch))

    def reset_state(self, states: Any = None) -> None:
        """Set the states of a stateful layer.

        Args:
            states: an array (batch, units) a state, or a list of them in the order of `return_state`; None sets zeros.

        Raises:
            ValueError: if states are given that do not fit, or to a layer that keeps none.
        """
        if states is not None and self.states is None:
            raise ValueError(f"layer {self.name!r} keeps no states: it must have stateful=True and be built")
        if states is not None and self.states is not None:
            self.states = tuple(np.array(each) for each in self.checked_states(states, self.states[0], "states"))
        elif self.states is not None:
            self.states = self._zero_states(len(self.states[0]))

    reset_states = reset_state

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state = self._state_shape(input_shape)
        output: Shape = (state[0], input_shape[1], *state[1:]) if self.return_sequences else state
        return (output, *[state] * self.state_count) if self.return_state else output

    def _state_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.units)

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Any:
        output = mask if self.return_sequences else None
        return [output, *[None] * self.state_count] if self.return_state else output

    def _dropout_mask(self, rate: float, shape: Shape) -> Array:
        """Factors (batch, width) for every step of a sequence, or one for each gate: (gates, batch, width)."""
        assert self._rng is not None
        return dropout_scale(self._rng, (self.gates, *shape) if self._mask_by_gate else shape, rate, self.dtype)

    def forward(
        self,
        x: Array,
        *,
        training: bool = False,
        mask: Array | None = None,
        initial_state: Sequence[Array] | None = None,
    ) -> Any:
        """Run the layer over a sequence. With `training`, save what `backward` needs.

        Args:
            x: input (B, T, F).
            training: whether the pass is part of a training step; dropout acts only then.
            mask: mask (B, T), True for the steps that count, or None.
            initial_state: one array (B, units) per state, or None for zeros or, if stateful, the kept states.

        Returns:
            The output (B, units), or (B, T, units) with `return_sequences`; with `return_state`, a tuple of the output
            and the final states.

        Raises:
            ValueError: if the batch size differs from the fixed one of a stateful layer.
        """
        is_input = initial_state is not None
        if self.stateful and initial_state is None and self.states is not None:
            expected = self.states[0].shape[0]
            if expected != x.shape[0]:
                raise ValueError(
                    f"layer {self.name!r} is stateful with batch size {expected}, got a batch of {x.shape[0]}"
                )
            initial_state = self.states
        input_scale = state_scale = None
        if self._rng is not None and acts_as_in_training(training):
            if self.dropout:
                input_scale = self._dropout_mask(self.dropout, (x.shape[0], *x.shape[2:]))
            if self.recurrent_dropout:
                state_scale = self._dropout_mask(self.recurrent_dropout, self.state_shapes(x.shape[0])[0])
        kernel, recurrent_kernel, bias = self._parts
        version = max(kernel.version, recurrent_kernel.version, 0 if bias is None else bias.version)
        run, activation, recurrent_activation = backend.rnn_forward, self._activation, self._recurrent_activation
        if (
            self._activation_function is not None
            or self._recurrent_activation_function is not None
            or self._has_own_steps
        ):
            run, _, activation, recurrent_activation = self._with_functions()
        output, finals, saved = run(
            self.cell,
            x,
            kernel.array,
            recurrent_kernel.array,
            None if bias is None else bias.array,
            activation,
            recurrent_activation,
            initial_state,
            mask,
            input_scale,
            state_scale,
            self.go_backwards,
            self.return_sequences,
            self.zero_output_for_mask,
            self.checkpoint_steps,
            training,
            self._workspace,
            version,
        )
        if mask is not None and initial_state is not None:
            output = np.where(self._unstarted(mask), output.dtype.type(0), output)
        if training:
            self._tape.append((x, saved, initial_state, is_input, mask, input_scale, state_scale, version))
        if self.stateful:
            self.states = tuple(np.array(state) for state in finals)
        return (output, *finals) if self.return_state else output

    def backward(self, dy: Array | None, *d_states: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights.

        Args:
            dy: the gradient by the output, (batch, units) or (batch, time, units); None is 0.
            *d_states: with `return_state`, the gradients by the final states, (batch, units) each; None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a pass that started from an `initial_state` a tuple of dx and the gradient by
            each of these states, (batch, units).
        """
        x, saved, initial_state, is_input, mask, input_scale, state_scale, version = self._take_saved()
        if dy is not None and mask is not None and initial_state is not None:
            dy = np.where(self._unstarted(mask), dy.dtype.type(0), dy)
        kernel, recurrent_kernel, bias = self._parts
        run, activation, recurrent_activation = backend.rnn_backward, self._activation, self._recurrent_activation
        if (
            self._activation_function is not None
            or self._recurrent_activation_function is not None
            or self._has_own_steps
        ):
            _, run, activation, recurrent_activation = self._with_functions()
        dx, d_initial = run(
            self.cell,
            x,
            kernel.array,
            recurrent_kernel.array,
            None if bias is None else bias.array,
            saved,
            dy,
            activation,
            recurrent_activation,
            initial_state,
            mask,
            input_scale,
            state_scale,
            self.go_backwards,
            self.return_sequences,
            self.zero_output_for_mask,
            self.checkpoint_steps,
            d_states or None,
            kernel.gradient,
            recurrent_kernel.gradient,
            None if bias is None else bias.gradient,
            need_dx,
            self._workspace,
            version,
        )
        return (dx, *d_initial) if is_input and d_initial is not None else dx

    @property
    def runs_in_python(self) -> bool:
        """Whether an activation is a function or a layer, so that each step runs in NumPy and not in the kernel."""
        functions = self._activation_function, self._recurrent_activation_function
        return self._has_own_steps or functions != (None, None)

    def _with_functions(self) -> tuple[Any, ...]:
        return backend.rnn_with_functions(
            self._activation_function or self._activation,
            self._recurrent_activation_function or self._recurrent_activation,
        )

    def _unstarted(self, mask: Array) -> Array:
        """Where no step has counted yet, to broadcast with the output: Keras gives 0 there, not the initial state."""
        if not self.return_sequences:
            return np.logical_not(mask.any(axis=1, keepdims=True))
        walked = mask[:, ::-1] if self.go_backwards else mask
        unstarted: Array = ~np.logical_or.accumulate(walked, axis=1)[..., None]
        return unstarted

    def stream_into(self, stream: Any) -> None:
        if self.go_backwards:
            raise self._not_streamed("it goes backwards")
        if self.runs_in_python:
            raise self._not_streamed("its activation is a function")
        bias = None if self.bias is None else self.bias.array
        stream.add_recurrent(
            self.cell,
            self.kernel.array,
            self.recurrent_kernel.array,
            bias,
            self._activation,
            self._recurrent_activation,
            self.zero_output_for_mask,
        )

    def link_into(self, chain: Any) -> bool:
        if (
            self.runs_in_python
            or self.stateful
            or self.return_state
            or self.checkpoint_steps is not None
            or self.dropout
            or self.recurrent_dropout
            or self.activity_regularizer is not None
        ):
            return False
        chain.add_recurrent(
            self.cell,
            self.kernel.array,
            self.recurrent_kernel.array,
            None if self.bias is None else self.bias.array,
            self._activation,
            self._recurrent_activation,
            self.go_backwards,
            self.return_sequences,
            self.kernel.gradient,
            self.recurrent_kernel.gradient,
            None if self.bias is None else self.bias.gradient,
            self._workspace,
        )
        return True

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        """Initial states for x, one array (batch, units) each."""
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        arrays = [as_float(argument, state, self.dtype) for state in states]
        shape = self.state_shapes(x.shape[0])[0]
        if len(arrays) != self.state_count or any(state.shape != shape for state in arrays):
            raise ValueError(
                f"{argument} must be {self.state_count} array(s) of shape {self.state_axes} = {shape}, "
                f"got shapes {[state.shape for state in arrays]}"
            )
        return arrays

    def variable_groups(self) -> list[tuple[str, str, list[Weight]]]:
        return [("cell/vars", self._name_of_cell(), self._weights), ("vars", self.name, [])]

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            **{flag: getattr(self, flag) for flag in _FLAGS},
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **specs_config(self, *_SPECS, activity=True),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }
        if self.checkpoint_steps is not None:  # Keras does not know it
            config["checkpoint_steps"] = self.checkpoint_steps
        if self.gates > 1:
            config |= {"recurrent_activation": activations.serialize(self.recurrent_activation), "seed": self.seed}
        return config
