"""Conv1DTranspose: the gradient of a convolution by its input, as a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import backend, regularizers
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.convolution import check_padding, single
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.layers.core.dense import Affine
from pyrnn.layers.settings import unknown_size
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Flag, SizeLike, Text, Units
from pyrnn.validation import WrongType, positive_int, shown

__all__ = ["Conv1DTranspose"]


class Conv1DTranspose(DataFormat, Affine):
    """Transposed convolution over time: x (B, T, C) becomes (B, T', filters), with more steps than x.

    Step t of x adds x_t kernel_k to output step t * strides + k * dilation_rate. The full output has
    (T - 1) * strides + (K - 1) * dilation_rate + 1 steps. kernel (K, filters, C).

    Args:
        filters: number of output channels, at least 1.
        kernel_size: number of time steps K that a window covers, at least 1.
        strides: steps from one window to the next, at least 1.
        padding: "valid" keeps all output steps, "same" keeps T * strides of them.
        output_padding: additional steps at the end, from 0 to strides - 1, or None to follow from `padding`.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        dilation_rate: distance between the steps of a window, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        use_bias: whether to add a bias (filters,).
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Conv1DTranspose(8, 4, strides=2, padding="same")(np.zeros((2, 10, 4))).shape
        (2, 20, 8)

    Source: Zeiler et al. 2010, Deconvolutional networks.
    """

    not_streamed = "its steps overlap in the output"

    @checked
    def __init__(
        self,
        filters: Units,
        kernel_size: SizeLike,
        strides: SizeLike = 1,
        padding: Text = "valid",
        output_padding: SizeLike | None = None,
        data_format: DataFormatLike | None = None,
        dilation_rate: SizeLike = 1,
        activation: ActivationLike = None,
        use_bias: Flag = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        self.filters = positive_int("filters", filters)
        self.kernel_size = (single("kernel_size", kernel_size),)
        self.strides = (single("strides", strides),)
        self.padding = check_padding(padding, ("valid", "same"))
        self.output_padding = _output_padding(output_padding, self.strides[0])
        self.dilation_rate = (single("dilation_rate", dilation_rate),)
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(
                "either strides or dilation_rate of Conv1DTranspose must be 1, "
                f"got {shown(strides)} and {shown(dilation_rate)}"
            )
        super().__init__(arguments, data_format=data_format, **kwargs)
        self._back_workspace = backend.Workspace()

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise unknown_size("Conv1DTranspose", "channels", input_shape)
        self.compute_output_shape(input_shape)
        self.kernel = self.kernel_spec.add(self, (self.kernel_size[0], self.filters, input_shape[-1]))
        self._add_bias(self.filters)
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = None if input_shape[1] is None else self._geometry(input_shape[1])[2]
        return (input_shape[0], time, self.filters)

    def _geometry(self, time: int) -> tuple[int, int, int]:
        """(steps of the whole, steps cut off before (zeros, where negative), steps of the output)."""
        stride, reach = self.strides[0], (self.kernel_size[0] - 1) * self.dilation_rate[0] + 1
        whole, more = (time - 1) * stride + reach, None if self.output_padding is None else self.output_padding[0]
        if time < 1:
            raise ValueError(f"Conv1DTranspose needs at least 1 step, got {time}")
        if self.padding == "valid":
            return whole, 0, whole + (max(reach, stride) - reach if more is None else more)
        out = time * stride if more is None else (time - 1) * stride + reach % 2 + more
        if out < 1:
            raise ValueError(
                f"the output of Conv1DTranspose must have at least 1 step, got {out} from {time} steps "
                f"with output_padding={more}"
            )
        padded = out - (time - 1) * stride + reach - 2
        return whole, reach - 1 - min((padded + 1) // 2, reach - 1), out

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        size, filters, channels = self.kernel.shape
        whole, before, out = self._geometry(x.shape[1])
        by_channel = np.ascontiguousarray(self.kernel.array.transpose(2, 0, 1)).reshape(channels, size * filters)
        parts, _ = backend.dense_forward(
            x, by_channel, None, activation="linear", training=False, workspace=self._workspace, version=self._version()
        )
        parts = parts.reshape(*x.shape[:2], size, filters)
        full = np.zeros((len(x), whole, filters), x.dtype)
        for tap in range(size):
            start = tap * self.dilation_rate[0]
            full[:, start : start + (x.shape[1] - 1) * self.strides[0] + 1 : self.strides[0]] += parts[:, :, tap]
        z = _moved(full, before, out)
        if self.bias is not None:
            z += self.bias.array
        y = backend.activation_forward(z, self._activation)
        if training:
            self._tape.append((x, z, y, whole, before))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        x, z, y, whole, before = self._take_saved()
        dz = backend.activation_backward(z, y, np.ascontiguousarray(dy), self._activation)
        if self.bias is not None:
            self.bias.gradient[...] = dz.sum(axis=(0, 1))
        full = _moved(dz, -before, whole)
        # The layer is the transpose of this convolution of (B, whole, filters) to (B, T, channels).
        options: dict[str, Any] = {
            "strides": self.strides[0],
            "padding": "valid",
            "dilation_rate": self.dilation_rate[0],
            "activation": "linear",
            "workspace": self._back_workspace,
            "version": self._version(),
        }
        backend.conv1d_backward(
            full, self.kernel.array, (x,), x, d_kernel=self.kernel.gradient, d_bias=None, need_dx=False, **options
        )
        return backend.conv1d_forward(full, self.kernel.array, None, training=False, **options)[0] if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation_rate": self.dilation_rate,
            **self._affine_config(),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }


def _output_padding(output_padding: Any, stride: int) -> tuple[int] | None:
    """Return None or a tuple of one integer from 0 to stride - 1, from such an integer or tuple."""
    is_tuple = isinstance(output_padding, (tuple, list)) and len(output_padding) == 1
    value = output_padding[0] if is_tuple else output_padding
    if value is None:
        return None
    if isinstance(value, (bool, np.ndarray)) or not hasattr(value, "__index__"):
        raise WrongType(f"output_padding must be None or an integer, got {shown(output_padding)}")
    if not 0 <= value < stride:
        raise ValueError(f"output_padding must be at least 0 and less than strides={stride}, got {output_padding!r}")
    return (int(value),)


def _moved(x: Array, before: int, steps: int) -> Array:
    """Steps `before` to `before + steps` of x (B, T, F), a new array; 0 where x has none."""
    y = np.zeros((len(x), steps, x.shape[2]), x.dtype)
    start, end = max(before, 0), min(before + steps, x.shape[1])
    if start < end:
        y[:, start - before : end - before] = x[:, start:end]
    return y
