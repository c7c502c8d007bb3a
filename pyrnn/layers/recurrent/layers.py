"""SimpleRNN, LSTM and GRU: their arguments and what is peculiar to each."""

from __future__ import annotations

from typing import Annotated, Any

from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Shape
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import OneOf
from pyrnn.typing import Flag, Rate, Seed, Size, Units

__all__ = ["GRU", "LSTM", "SimpleRNN"]


def open_forget_gate(layer: Any) -> None:
    """Set the bias of the forget gate to 1, if the layer has a bias and `unit_forget_bias`.

    Args:
        layer: a layer with the gates of an LSTM.
    """
    if layer.bias is not None and layer.unit_forget_bias:
        start = layer.bias.numpy()
        start[layer.units : 2 * layer.units] = 1
        layer.bias.assign(start)


class SimpleRNN(Recurrent):
    """Fully connected recurrent layer (Elman network).

    h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)

    x (B, T, F) becomes (B, units), or (B, T, units) with `return_sequences`. kernel (F, units), recurrent_kernel
    (units, units), bias (units,). Calls accept `mask` (B, T) and `initial_state`, an array (B, units).

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
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        return_sequences: return the output of every time step, (B, T, units), instead of the last one.
        return_state: return the output followed by the final states.
        go_backwards: read the sequence from its last step to its first.
        stateful: start each batch from the final states of the previous one, until `reset_state()`.
        unroll: accepted as in Keras; it changes neither the numbers nor the speed.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        zero_output_for_mask: return zeros at masked steps instead of the last output.
        checkpoint_steps: save the states only after every `checkpoint_steps` steps of training and compute the steps
            between them again in backward, for sequences that do not fit into memory; see `Recurrent`. Not in Keras,
            which cannot load files that use it.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, the size of x's last axis is not known, or a stateful
            layer has no fixed batch size.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.SimpleRNN(4)(np.zeros((2, 10, 3))).shape
        (2, 4)

    Source: Elman 1990, Finding structure in time.
    """

    cell = "simple_rnn"

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
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        return_sequences: Flag = False,
        return_state: Flag = False,
        go_backwards: Flag = False,
        stateful: Flag = False,
        unroll: Flag = False,
        seed: Seed | None = None,
        zero_output_for_mask: Flag = False,
        *,
        checkpoint_steps: Size | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)


class LSTM(Recurrent):
    """Long short-term memory layer.

    i, f, o = recurrent_activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
    g = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
    c_t = f * c_{t-1} + i * g
    h_t = o * activation(c_t)

    x (B, T, F) becomes (B, units), or (B, T, units) with `return_sequences`. kernel (F, 4 * units), recurrent_kernel
    (units, 4 * units), bias (4 * units,), with the gates in the order i, f, g, o. Calls accept `mask` (B, T) and
    `initial_state`, a list of two arrays (B, units): h and c.

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
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        return_sequences: return the output of every time step, (B, T, units), instead of the last one.
        return_state: return the output followed by the final states.
        go_backwards: read the sequence from its last step to its first.
        stateful: start each batch from the final states of the previous one, until `reset_state()`.
        unroll: accepted as in Keras; it changes neither the numbers nor the speed.
        use_cudnn: must be "auto", False or None: everything runs on the CPU.
        zero_output_for_mask: return zeros at masked steps instead of the last output.
        implementation: 2, or 1 to draw one dropout mask per gate; both are equally fast. 0, of Keras 2, means 2.
        checkpoint_steps: save the states only after every `checkpoint_steps` steps of training and compute the steps
            between them again in backward, for sequences that do not fit into memory; see `Recurrent`. Not in Keras,
            which cannot load files that use it.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, the size of x's last axis is not known, or a stateful
            layer has no fixed batch size.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> x = np.zeros((2, 10, 3))
        >>> layers.LSTM(4, return_sequences=True)(x).shape
        (2, 10, 4)
        >>> output, h, c = layers.LSTM(4, return_state=True)(x)
        >>> c.shape
        (2, 4)

    Source: Hochreiter and Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber and Cummins 2000 (forget gate);
    Jozefowicz, Zaremba and Sutskever 2015 (`unit_forget_bias`).
    """

    cell = "lstm"
    gates = 4
    state_count = 2

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
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        seed: Seed | None = None,
        return_sequences: Flag = False,
        return_state: Flag = False,
        go_backwards: Flag = False,
        stateful: Flag = False,
        unroll: Flag = False,
        use_cudnn: Annotated[str | bool, OneOf("auto", False)] | None = "auto",
        zero_output_for_mask: Flag = False,
        implementation: Annotated[int, OneOf(0, 1, 2)] = 2,
        *,
        checkpoint_steps: Size | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)
        self.unit_forget_bias = bool(unit_forget_bias)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        open_forget_gate(self)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class GRU(Recurrent):
    """Gated recurrent unit layer.

    z, r = recurrent_activation(x_t kernel + h_{t-1} recurrent_kernel + bias)
    g = activation(x_t kernel + bias[0] + r * (h_{t-1} recurrent_kernel + bias[1]))  with `reset_after`, else
    g = activation(x_t kernel + bias + (r * h_{t-1}) recurrent_kernel)
    h_t = z * h_{t-1} + (1 - z) * g

    x (B, T, F) becomes (B, units), or (B, T, units) with `return_sequences`. kernel (F, 3 * units), recurrent_kernel
    (units, 3 * units), bias (2, 3 * units) with `reset_after`, else (3 * units,), with the gates in the order z, r, g.
    Calls accept `mask` (B, T) and `initial_state`, an array (B, units).

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
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        recurrent_constraint: name or object of `pyrnn.constraints`, applied to the recurrent kernel after each step, or
            None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        dropout: probability with which an input is dropped in training, from 0 to 1, the same inputs at all time steps.
        recurrent_dropout: probability with which a state is dropped in training where it enters the recurrent product,
            from 0 to 1.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        return_sequences: return the output of every time step, (B, T, units), instead of the last one.
        return_state: return the output followed by the final states.
        go_backwards: read the sequence from its last step to its first.
        stateful: start each batch from the final states of the previous one, until `reset_state()`.
        unroll: accepted as in Keras; it changes neither the numbers nor the speed.
        reset_after: apply the reset gate after the recurrent product (True, as cuDNN does) or before it.
        use_cudnn: must be "auto", False or None: everything runs on the CPU.
        zero_output_for_mask: return zeros at masked steps instead of the last output.
        implementation: 2, or 1 to draw one dropout mask per gate; both are equally fast. 0, of Keras 2, means 2.
        checkpoint_steps: save the states only after every `checkpoint_steps` steps of training and compute the steps
            between them again in backward, for sequences that do not fit into memory; see `Recurrent`. Not in Keras,
            which cannot load files that use it.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, the size of x's last axis is not known, or a stateful
            layer has no fixed batch size.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> x, mask = np.zeros((2, 10, 3)), np.arange(10) < [[10], [7]]
        >>> layers.GRU(4)(x, mask=mask, initial_state=np.ones((2, 4))).shape
        (2, 4)

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder; version 1 resets before, version
    3 and cuDNN after the recurrent product.
    """

    gates = 3

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
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        seed: Seed | None = None,
        return_sequences: Flag = False,
        return_state: Flag = False,
        go_backwards: Flag = False,
        stateful: Flag = False,
        unroll: Flag = False,
        reset_after: Flag = True,
        use_cudnn: Annotated[str | bool, OneOf("auto", False)] | None = "auto",
        zero_output_for_mask: Flag = False,
        implementation: Annotated[int, OneOf(0, 1, 2)] = 2,
        *,
        checkpoint_steps: Size | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)
        self.reset_after = bool(reset_after)
        self.cell = "gru" if self.reset_after else "gru_reset_before"

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}
