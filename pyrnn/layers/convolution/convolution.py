"""Convolution over time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pyrnn import backend, regularizers
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.layers.core.dense import Affine
from pyrnn.layers.settings import unknown_size
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Flag, Size, SizeLike, Text, Units
from pyrnn.validation import positive_int, shown, unknown_name

__all__ = ["Conv1D"]


def single(argument: str, value: Any) -> int:
    """Return a positive integer, also from a tuple of one, as Keras accepts."""
    if isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]
    return positive_int(argument, value)


def check_padding(padding: Any, choices: tuple[str, ...]) -> str:
    """Return `padding` in lower case, one of `choices`."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in choices:
        raise ValueError(unknown_name("padding", padding, choices))
    return str(name)


def window(owner: str, steps: int, size: int, stride: int, dilation: int, padding: str) -> tuple[int, int, int]:
    """(padding before, padding after, output steps); "same" as TensorFlow has it: the odd one goes after."""
    reach = (size - 1) * dilation
    needed = reach + 1 if padding == "valid" else 1
    if steps < needed:
        raise ValueError(f"{owner} with padding={padding!r} needs at least {needed} steps, got {steps}")
    if padding == "valid":
        return 0, 0, -(-(steps - reach) // stride)
    out = -(-steps // stride)
    if padding == "causal":
        return reach, 0, out
    total = max(0, (out - 1) * stride + reach + 1 - steps)
    return total // 2, total - total // 2, out


class Conv1D(DataFormat, Affine):
    """Convolution over time: x (B, T, C) becomes (B, T', filters).

    y_t = activation(sum over k of x_{t * strides + k * dilation_rate} kernel_k + bias), kernel (K, C / groups,
    filters).

    Args:
        filters: number of output channels, at least 1.
        kernel_size: number of time steps K that a window covers, at least 1.
        strides: steps from one window to the next, at least 1.
        padding: "valid" uses full windows only, "same" pads with zeros so that the output has ceil(T / strides) steps,
            "causal" pads at the start so that y_t depends on no later step of x.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        dilation_rate: distance between the steps of a window, at least 1.
        groups: number of groups of channels, each convolved with its own filters; divides C and `filters`.
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
        TypeError, ValueError: if an argument is out of range, or x has fewer steps than a "valid" window.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Conv1D(8, 3, padding="causal")(np.zeros((2, 10, 4))).shape
        (2, 10, 8)
    """

    @checked
    def __init__(
        self,
        filters: Units,
        kernel_size: SizeLike,
        strides: SizeLike = 1,
        padding: Text = "valid",
        data_format: DataFormatLike | None = None,
        dilation_rate: SizeLike = 1,
        groups: Size = 1,
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
        self.padding = check_padding(padding, ("valid", "same", "causal"))
        self.dilation_rate = (single("dilation_rate", dilation_rate),)
        self.groups = positive_int("groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"filters must be a multiple of groups = {groups}, got {filters}")
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(
                f"either strides or dilation_rate of Conv1D must be 1, got {shown(strides)} and {shown(dilation_rate)}"
            )
        super().__init__(arguments, data_format=data_format, **kwargs)

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise unknown_size("Conv1D", "channels", input_shape)
        self.compute_output_shape(input_shape)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"channels of x must be a multiple of groups = {self.groups}, got x of shape {input_shape}"
            )
        self.kernel = self.kernel_spec.add(self, (self.kernel_size[0], input_shape[-1] // self.groups, self.filters))
        self._add_bias(self.filters)
        self._workspaces = [backend.Workspace() for _ in range(self.groups)]
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time, size = input_shape[1], self.kernel_size[0]
        if time is not None:
            time = window("Conv1D", time, size, self.strides[0], self.dilation_rate[0], self.padding)[2]
        return (input_shape[0], time, self.filters)

    def _options(self, group: int, version: int) -> dict[str, Any]:
        """What forward and backward of a group share; with groups the activation runs over all of them afterwards."""
        return {
            "strides": self.strides[0],
            "padding": self.padding,
            "dilation_rate": self.dilation_rate[0],
            "activation": self._activation if self.groups == 1 else "linear",
            "workspace": self._workspaces[group],
            "version": version,
        }

    def _parts(self, x: Array) -> list[Array]:
        """The channels (or filters) of each group, contiguous."""
        return [x] if self.groups == 1 else [np.ascontiguousarray(part) for part in np.split(x, self.groups, axis=-1)]

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        version = self._version()
        inputs, kernels = self._parts(x), self._parts(self.kernel.array)
        biases = [None] * self.groups if self.bias is None else self._parts(self.bias.array)
        results = [
            backend.conv1d_forward(*each, training=training, **self._options(group, version))
            for group, each in enumerate(zip(inputs, kernels, biases, strict=True))
        ]
        y = z = results[0][0] if self.groups == 1 else np.concatenate([output for output, _ in results], axis=-1)
        if self.groups > 1:
            y = backend.activation_forward(z, self._activation)
        if training:
            self._tape.append((inputs, [saved for _, saved in results], version, z, y))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        inputs, saved, version, z, y = self._take_saved()
        if self.groups > 1:
            dy = backend.activation_backward(z, y, dy, self._activation)
        d_kernels = self._parts(self.kernel.gradient)
        d_biases = [None] * self.groups if self.bias is None else self._parts(self.bias.gradient)
        parts = zip(inputs, self._parts(self.kernel.array), saved, self._parts(dy), d_kernels, d_biases, strict=True)
        dx = [
            backend.conv1d_backward(
                x,
                kernel,
                group_saved,
                d,
                d_kernel=d_kernel,
                d_bias=d_bias,
                need_dx=need_dx,
                **self._options(group, version),
            )
            for group, (x, kernel, group_saved, d, d_kernel, d_bias) in enumerate(parts)
        ]
        if self.groups == 1:
            return dx[0]
        self.kernel.gradient[...] = np.concatenate(d_kernels, axis=-1)
        if self.bias is not None:
            self.bias.gradient[...] = np.concatenate([each for each in d_biases if each is not None])
        return np.concatenate([each for each in dx if each is not None], axis=-1) if need_dx else None

    def stream_into(self, stream: Any) -> None:
        self._require_channels_last()
        reach = (self.kernel_size[0] - 1) * self.dilation_rate[0]
        if self.strides != (1,) or (self.padding != "causal" and reach):
            raise self._not_streamed("only padding='causal' with strides=1 needs no later steps")
        if not reach:
            stream.add_step(self)
            return
        layer = copy.deepcopy(self)
        layer.padding = "valid"  # of the window that ends with the present step
        stream.add_window(layer, reach)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            **self._affine_config(),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }
