"""SimpleRNN, LSTM and GRU: their arguments and what is peculiar to each."""

from __future__ import annotations

from typing import Any

from pyrnn.arguments import checked
from pyrnn.layers.base import Shape
from pyrnn.layers.recurrent.base import Recurrent

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class SimpleRNN(Recurrent):
    """Fully connected recurrence: h_t = act(x_t W + b + h_{t-1} U). Arguments and defaults are Keras's.

    And `checkpoint_steps`, for long sequences.

    x (batch, time, features) -> (batch, units), or (batch, time, units) with `return_sequences`.

    Source: Elman 1990, Finding structure in time.
    """

    cell = "simple_rnn"

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        zero_output_for_mask: bool = False,
        *,
        checkpoint_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            checkpoint_steps=checkpoint_steps,
            **kwargs,
        )


class LSTM(Recurrent):
    """Long short-term memory. Arguments and defaults are Keras's, gates in its order i, f, c, o.

    And `checkpoint_steps`, for long sequences.

    i, f, o = recurrent_activation(x_t W + h_{t-1} U + b),  g = activation(x_t W + h_{t-1} U + b),
    c_t = f c_{t-1} + i g,  h_t = o activation(c_t);  states are [h, c].

    Source: Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000, its bias starting at 1 with
    `unit_forget_bias` (Jozefowicz et al. 2015).
    """

    cell = "lstm"
    gates = 4
    state_count = 2

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        *,
        checkpoint_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_cudnn=use_cudnn,
            implementation=implementation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            checkpoint_steps=checkpoint_steps,
            **kwargs,
        )
        self.unit_forget_bias = bool(unit_forget_bias)

    def _build(self, input_shape: Shape) -> None:
        super()._build(input_shape)
        if self.bias is not None and self.unit_forget_bias:
            start = self.bias.numpy()
            start[self.units : 2 * self.units] = 1
            self.bias.assign(start)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class GRU(Recurrent):
    """Gated recurrent unit. Arguments and defaults are Keras's, gates in its order z, r, h.

    And `checkpoint_steps`, for long sequences.

    z, r = recurrent_activation(x_t W + h_{t-1} U + b),  h_t = z h_{t-1} + (1 - z) g,
    g = activation(x_t W + b + r (h_{t-1} U + b'))   with `reset_after` (bias (2, 3 * units): b, b'), else
    g = activation(x_t W + b + (r h_{t-1}) U).

    Source: Cho et al. 2014 (reset before, version 1); version 3 of the paper and cuDNN (reset after).
    """

    gates = 3

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        *,
        checkpoint_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_cudnn=use_cudnn,
            implementation=implementation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            checkpoint_steps=checkpoint_steps,
            **kwargs,
        )
        self.reset_after = bool(reset_after)
        self.cell = "gru" if self.reset_after else "gru_reset_before"

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}
