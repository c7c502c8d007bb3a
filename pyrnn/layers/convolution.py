"""Convolution over time."""

from __future__ import annotations

from typing import Any

from pyrnn import backend
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.core import Affine
from pyrnn.validation import positive_int, unknown_name


def single(argument: str, value: Any) -> int:
    """A positive integer, also from Keras's tuples of one."""
    if isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]
    return positive_int(argument, value)


def check_padding(padding: Any, known: tuple[str, ...]) -> str:
    """One of the known paddings, in lower case."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in known:
        raise ValueError(unknown_name("padding", padding, known))
    return str(name)


def check_data_format(owner: str, data_format: Any) -> None:
    """Only channels_last is there."""
    if data_format not in (None, "channels_last"):
        raise ValueError(f"{owner} has only data_format='channels_last', got {data_format!r}")


class Conv1D(Affine):
    """Convolution over time of x (batch, time, channels). Arguments and defaults are Keras's; groups must be 1."""

    axes = ("batch", "time", "channels")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        self.filters = positive_int("filters", filters)
        self.kernel_size = (single("kernel_size", kernel_size),)
        self.strides = (single("strides", strides),)
        self.padding = check_padding(padding, ("valid", "same", "causal"))
        check_data_format("Conv1D", data_format)
        self.dilation_rate = (single("dilation_rate", dilation_rate),)
        if groups != 1:
            raise ValueError(f"Conv1D has only groups=1, got {groups!r}")
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(
                f"Conv1D takes strides > 1 or dilation_rate > 1, not both, got {strides!r} and {dilation_rate!r}"
            )
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            {},
            **kwargs,
        )

    def _build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise ValueError(f"Conv1D must know the number of channels, got x of shape {input_shape}")
        self.compute_output_shape(input_shape)
        self._add((self.kernel_size[0], input_shape[-1], self.filters))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = input_shape[1]
        if time is not None:
            reach = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            left = time - reach if self.padding == "valid" else time
            if left < 1:
                raise ValueError(f"Conv1D with padding='valid' needs at least {reach + 1} steps, got {time}")
            time = -(-left // self.strides[0])
        return (input_shape[0], time, self.filters)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        bias = self.bias
        version = self._version()
        y, saved = backend.conv1d_forward(
            x,
            self.kernel.array,
            None if bias is None else bias.array,
            strides=self.strides[0],
            padding=self.padding,
            dilation_rate=self.dilation_rate[0],
            activation=self._activation,
            training=training,
            workspace=self._workspace,
            version=version,
        )
        if training:
            self._saved = (x, saved, version)
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._saved is not None, "backward() follows forward(training=True)"
        x, saved, version = self._saved
        bias = self.bias
        return backend.conv1d_backward(
            x,
            self.kernel.array,
            saved,
            dy,
            strides=self.strides[0],
            padding=self.padding,
            dilation_rate=self.dilation_rate[0],
            activation=self._activation,
            d_kernel=self.kernel.gradient,
            d_bias=None if bias is None else bias.gradient,
            need_dx=need_dx,
            workspace=self._workspace,
            version=version,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": self.dilation_rate,
            "groups": 1,
            **self._affine_config(),
            "activity_regularizer": None,
        }
