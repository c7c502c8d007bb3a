"""Convolutions over time with kernels of their own for each channel: DepthwiseConv1D and SeparableConv1D.

They go tap by tap over whole arrays in NumPy: a channel's product is too thin for a matrix product to pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pyrnn import activations, backend
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.convolution import check_padding, single, window
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.layers.core.dense import Affine
from pyrnn.layers.settings import unknown_size
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Flag, Size, SizeLike, Text, Units
from pyrnn.validation import positive_int

__all__ = ["DepthwiseConv1D", "SeparableConv1D"]


class _Depthwise(DataFormat, Affine):
    """What both share: z (B, T', C * D) of x (B, T, C) and a kernel (K, C, D), D being `depth_multiplier`."""

    kernel_spec = WeightSpec("kernel", "depthwise")

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        self.kernel_size = (single("kernel_size", arguments["kernel_size"]),)
        self.strides = (single("strides", arguments["strides"]),)
        self.padding = check_padding(arguments["padding"], ("valid", "same"))
        self.depth_multiplier = positive_int("depth_multiplier", arguments["depth_multiplier"])
        self.dilation_rate = (single("dilation_rate", arguments["dilation_rate"]),)
        super().__init__(arguments, data_format=arguments["data_format"], **kwargs)

    def _steps(self, time: int) -> tuple[int, int, int]:
        size, stride, dilation = self.kernel_size[0], self.strides[0], self.dilation_rate[0]
        return window(type(self).__name__, time, size, stride, dilation, self.padding)

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise unknown_size(type(self).__name__, "channels", input_shape)
        self.compute_output_shape(input_shape)
        self.kernel = self.kernel_spec.add(self, (self.kernel_size[0], input_shape[-1], self.depth_multiplier))

    def _time(self, input_shape: Shape) -> int | None:
        return None if input_shape[1] is None else self._steps(input_shape[1])[2]

    def _convolve(self, x: Array) -> tuple[Array, tuple[Any, ...]]:
        """Return z (B, T', C * D), and padded x with each channel D times, the steps of each tap and those of x."""
        batch, time, channels = x.shape
        left, right, out = self._steps(time)
        padded = np.pad(x, ((0, 0), (left, right), (0, 0))) if left or right else x
        if self.depth_multiplier > 1:
            padded = np.repeat(padded, self.depth_multiplier, axis=-1)
        reach = (out - 1) * self.strides[0] + 1
        starts = (tap * self.dilation_rate[0] for tap in range(self.kernel_size[0]))
        taps = [slice(start, start + reach, self.strides[0]) for start in starts]
        z = np.zeros((batch, out, channels * self.depth_multiplier), x.dtype)
        for steps, kernel in zip(taps, self.kernel.array, strict=True):
            z += padded[:, steps] * kernel.reshape(-1)
        return z, (padded, taps, slice(left, left + time))

    def _convolve_backward(self, dz: Array, windows: tuple[Any, ...], need_dx: bool) -> Array | None:
        """Return dx (B, T, C) of dz (B, T', C * D); write the gradient of the kernel."""
        padded, taps, inside = windows
        dx = np.zeros_like(padded) if need_dx else None
        for steps, kernel, d_kernel in zip(taps, self.kernel.array, self.kernel.gradient, strict=True):
            d_kernel[...] = np.einsum("btc,btc->c", padded[:, steps], dz).reshape(kernel.shape)
            if dx is not None:
                dx[:, steps] += dz * kernel.reshape(-1)
        if dx is None:
            return None
        dx = dx[:, inside]
        if self.depth_multiplier > 1:
            dx = dx.reshape(*dx.shape[:2], -1, self.depth_multiplier).sum(axis=-1)
        return np.ascontiguousarray(dx)

    def stream_into(self, stream: Any) -> None:
        self._require_channels_last()
        if self.strides != (1,) or self.kernel_size != (1,):
            raise self._not_streamed("its windows reach over several steps, and Keras has no causal padding for it")
        stream.add_step(self)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **specs_config(self, self.kernel_spec, self.bias_spec, activity=True),
        }


class DepthwiseConv1D(_Depthwise):
    """Convolve each channel over time by itself: x (B, T, C) becomes (B, T', C * depth_multiplier).

    Output channel c * depth_multiplier + d is input channel c convolved with its kernel d.

    Args:
        kernel_size: number of time steps K that a window covers, at least 1.
        strides: steps from one window to the next, at least 1.
        padding: "valid" uses full windows only, "same" pads with zeros so that the output has ceil(T / strides) steps.
        depth_multiplier: number of kernels per channel, at least 1.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        dilation_rate: distance between the steps of a window, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        use_bias: whether to add a bias (C * depth_multiplier,).
        depthwise_initializer: name or object of `pyrnn.initializers`, for the kernel (K, C, depth_multiplier).
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        depthwise_regularizer: name or object of `pyrnn.regularizers`, for the kernel (K, C, depth_multiplier), or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        depthwise_constraint: name or object of `pyrnn.constraints`, applied to the kernel (K, C, depth_multiplier)
            after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has fewer steps than a "valid" window.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((2, 10, 4))).shape
        (2, 8, 8)
    """

    @checked
    def __init__(
        self,
        kernel_size: SizeLike,
        strides: SizeLike = 1,
        padding: Text = "valid",
        depth_multiplier: Size = 1,
        data_format: DataFormatLike | None = None,
        dilation_rate: SizeLike = 1,
        activation: ActivationLike = None,
        use_bias: Flag = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._add_bias(input_shape[-1] * self.depth_multiplier)
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = None if input_shape[-1] is None else input_shape[-1] * self.depth_multiplier
        return (input_shape[0], self._time(input_shape), channels)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        z, windows = self._convolve(x)
        if self.bias is not None:
            z += self.bias.array
        y = backend.activation_forward(z, self._activation)
        if training:
            self._tape.append((windows, z, y))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        windows, z, y = self._take_saved()
        dz = backend.activation_backward(z, y, np.ascontiguousarray(dy), self._activation)
        if self.bias is not None:
            self.bias.gradient[...] = dz.sum(axis=(0, 1))
        return self._convolve_backward(dz, windows, need_dx)


class SeparableConv1D(_Depthwise):
    """Depthwise convolution followed by a product with a matrix: x (B, T, C) becomes (B, T', filters).

    Each channel is convolved over time with `depth_multiplier` kernels; a pointwise kernel then mixes the channels of
    each step.

    Args:
        filters: number of output channels, at least 1.
        kernel_size: number of time steps K that a window covers, at least 1.
        strides: steps from one window to the next, at least 1.
        padding: "valid" uses full windows only, "same" pads with zeros so that the output has ceil(T / strides) steps.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        dilation_rate: distance between the steps of a window, at least 1.
        depth_multiplier: number of depthwise kernels per channel, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        use_bias: whether to add a bias (filters,).
        depthwise_initializer: name or object of `pyrnn.initializers`, for the depthwise kernel (K, C,
            depth_multiplier).
        pointwise_initializer: name or object of `pyrnn.initializers`, for the pointwise kernel (1, C *
            depth_multiplier, filters).
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        depthwise_regularizer: name or object of `pyrnn.regularizers`, for the depthwise kernel (K, C,
            depth_multiplier), or None.
        pointwise_regularizer: name or object of `pyrnn.regularizers`, for the pointwise kernel (1, C *
            depth_multiplier, filters), or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        depthwise_constraint: name or object of `pyrnn.constraints`, applied to the depthwise kernel (K, C,
            depth_multiplier) after each step, or None.
        pointwise_constraint: name or object of `pyrnn.constraints`, applied to the pointwise kernel (1, C *
            depth_multiplier, filters) after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has fewer steps than a "valid" window.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.SeparableConv1D(8, 3)(np.zeros((2, 10, 4))).shape
        (2, 8, 8)

    Source: Chollet 2017, Xception: deep learning with depthwise separable convolutions.
    """

    kernel_spec = WeightSpec("depthwise_kernel", "depthwise")
    pointwise_spec: ClassVar[WeightSpec] = WeightSpec("pointwise_kernel", "pointwise")
    pointwise_kernel: Weight

    @checked
    def __init__(
        self,
        filters: Units,
        kernel_size: SizeLike,
        strides: SizeLike = 1,
        padding: Text = "valid",
        data_format: DataFormatLike | None = None,
        dilation_rate: SizeLike = 1,
        depth_multiplier: Size = 1,
        activation: ActivationLike = None,
        use_bias: Flag = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        pointwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        pointwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        self.filters = positive_int("filters", filters)
        super().__init__(arguments, **kwargs)
        self.pointwise_spec.read(self, arguments)

    @property
    def depthwise_kernel(self) -> Weight:
        """The kernel (K, C, D) of the depthwise convolution."""
        return self.kernel

    @depthwise_kernel.setter
    def depthwise_kernel(self, value: Any) -> None:
        self.kernel = value

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        shape = (1, input_shape[-1] * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.pointwise_spec.add(self, shape)
        self._add_bias(self.filters)
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self._time(input_shape), self.filters)

    def _options(self, version: int) -> dict[str, Any]:
        return {"activation": self._activation, "workspace": self._workspace, "version": version}

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        z, windows = self._convolve(x)
        version = self.pointwise_kernel.version
        version = version if self.bias is None else max(version, self.bias.version)
        bias = None if self.bias is None else self.bias.array
        kernel = self.pointwise_kernel.array[0]
        y, saved = backend.dense_forward(z, kernel, bias, training=training, **self._options(version))
        if training:
            self._tape.append((windows, z, saved, version))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        windows, z, saved, version = self._take_saved()
        dz = backend.dense_backward(
            z,
            self.pointwise_kernel.array[0],
            saved,
            np.ascontiguousarray(dy),
            d_kernel=self.pointwise_kernel.gradient[0],
            d_bias=None if self.bias is None else self.bias.gradient,
            need_dx=True,
            **self._options(version),
        )
        assert dz is not None
        return self._convolve_backward(dz, windows, need_dx)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            **specs_config(self, self.pointwise_spec),
        }
