"""`ConvLSTM1D`: an LSTM whose products are convolutions."""

from __future__ import annotations

from typing import Any

from pyrnn import config
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.convolution import check_padding, single, window
from pyrnn.layers.convolution.data_format import DataFormatLike
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.layers.recurrent.convolved import GATES, ConvolvedSteps
from pyrnn.layers.recurrent.layers import open_forget_gate
from pyrnn.layers.settings import unknown_size
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Flag, Rate, Seed, SizeLike, Text, Units
from pyrnn.validation import positive_int, shown

__all__ = ["ConvLSTM1D"]


class ConvLSTM1D(Recurrent):
    """Long short-term memory layer whose products are convolutions along a second axis, such as places or channels.

    With * for the convolution: i, f, o = recurrent_activation(x_t * kernel + h_{t-1} * recurrent_kernel + bias),
    c_t = f c_{t-1} + i activation(x_t * kernel + h_{t-1} * recurrent_kernel + bias), h_t = o activation(c_t).

    x (B, T, W, C) becomes (B, W', filters), or (B, T, W', filters) with `return_sequences`. kernel (K, C, 4 * filters),
    recurrent_kernel (K, filters, 4 * filters), bias (4 * filters,), with the gates in the order i, f, c, o. Calls
    accept `mask` (B, T) and `initial_state`, a list of two arrays (B, W', filters). The convolutions run in the core,
    the time loop in Python.

    Args:
        filters: number of output channels and of those of each state, at least 1.
        kernel_size: number of places K that a window covers, at least 1.
        strides: places from one window of x to the next, at least 1.
        padding: "valid" uses full windows of x only, "same" pads it with zeros to W' = ceil(W / strides).
        data_format: "channels_last", or None for the default of `pyrnn.config`, which must be the same.
        dilation_rate: distance between the places of a window of x, at least 1.
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
        dropout: probability with which an input is dropped in training, from 0 to 1, at all time steps, for each gate.
        recurrent_dropout: probability with which a state is dropped in training where it is convolved, from 0 to 1.
        seed: seed of the dropout masks, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        return_sequences: return the output of every time step, (B, T, W', filters), instead of the last one.
        return_state: return the output followed by the final states.
        go_backwards: read the sequence from its last step to its first.
        stateful: start each batch from the final states of the previous one, until `reset_state()`.
        unroll: accepted as in Keras; it changes neither the numbers nor the speed.
        zero_output_for_mask: return zeros at masked steps instead of the last output.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, the sizes of x's last two axes are not known, or a
            stateful layer has no fixed batch size.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.ConvLSTM1D(8, 3, padding="same")(np.zeros((2, 10, 5, 4))).shape
        (2, 5, 8)

    Source: Shi et al. 2015, Convolutional LSTM network, without its peepholes.
    """

    cell = "lstm"
    gates = GATES
    state_count = 2
    axes = ("batch", "time", "width", "channels")
    state_axes = "(batch, width, filters)"
    not_streamed = "one time step of x has two axes"

    @checked
    def __init__(
        self,
        filters: Units,
        kernel_size: SizeLike,
        strides: SizeLike = 1,
        padding: Text = "valid",
        data_format: DataFormatLike | None = None,
        dilation_rate: SizeLike = 1,
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
        *,
        unroll: Flag = False,
        zero_output_for_mask: Flag = False,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        self.filters = positive_int("filters", filters)
        self.kernel_size = (single("kernel_size", kernel_size),)
        self.strides = (single("strides", strides),)
        self.padding = check_padding(padding, ("valid", "same"))
        self.dilation_rate = (single("dilation_rate", dilation_rate),)
        self.data_format = config.image_data_format() if data_format is None else data_format
        if self.data_format != "channels_last":
            raise ValueError(
                f"data_format of ConvLSTM1D must be 'channels_last', got {shown(self.data_format)}: put "
                "Permute((1, 3, 2)) before the layer"
            )
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(
                f"either strides or dilation_rate of ConvLSTM1D must be 1, got {shown(strides)} and "
                f"{shown(dilation_rate)}"
            )
        arguments |= {"units": self.filters, "checkpoint_steps": None, "implementation": 1}
        super().__init__(arguments, **kwargs)
        self.unit_forget_bias = bool(unit_forget_bias)
        self._has_own_steps = True
        self._steps = ConvolvedSteps(self.strides[0], self.padding, self.dilation_rate[0])

    # Shapes.

    def _window(self) -> tuple[int, ...]:
        return self.kernel_size

    def _name_of_cell(self) -> str:
        return "conv_lstm_cell"

    def _state_shape(self, input_shape: Shape) -> Shape:
        width = input_shape[2]
        if width is not None:
            size, strides, dilation = self.kernel_size[0], self.strides[0], self.dilation_rate[0]
            width = window("ConvLSTM1D", width, size, strides, dilation, self.padding)[2]
        return (input_shape[0], width, self.filters)

    def state_shapes(self, batch: int | None) -> list[Shape]:
        return [(batch, self._state_width, self.filters)] * self.state_count

    def build(self, input_shape: Shape) -> None:
        if input_shape[2] is None:
            raise unknown_size("ConvLSTM1D", "width", input_shape)
        self._width, self._state_width = input_shape[2], self._state_shape(input_shape)[1]
        super().build(input_shape)
        open_forget_gate(self)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.build_shape is not None and shape[2] not in (None, self._width):
            raise ValueError(f"ConvLSTM1D expects x of shape {self.build_shape}, got {tuple(shape)}")

    def _unstarted(self, mask: Array) -> Array:
        return super()._unstarted(mask)[..., None]

    # Numbers.

    def _with_functions(self) -> tuple[Any, ...]:
        return (
            self._steps.forward,
            self._steps.backward,
            self._activation_function or self._activation,
            self._recurrent_activation_function or self._recurrent_activation,
        )

    def stream_into(self, stream: Any) -> None:
        raise self._not_streamed(self.not_streamed)

    def get_config(self) -> dict[str, Any]:
        settings = super().get_config()
        del settings["units"]
        return {
            **settings,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "unit_forget_bias": self.unit_forget_bias,
        }
