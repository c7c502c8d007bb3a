"""Pooling over time to a fixed number of steps, whatever the length."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.convolution import single
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.typing import SizeLike

__all__ = ["AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D"]


class AdaptivePooling1D(DataFormat):
    """What the two layers share: output step i is that of the steps from floor(i T / S) to ceil((i + 1) T / S)."""

    not_streamed = "it takes several steps together"

    @checked
    def __init__(self, output_size: SizeLike, data_format: DataFormatLike | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.output_size = (single("output_size", output_size),)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if shape[2 if self.data_format == "channels_first" else 1] == 0:
            raise ValueError(f"{type(self).__name__} needs at least one step, got x of shape {tuple(shape)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.output_size[0], input_shape[2])

    def _windows(self, x: Array) -> list[slice]:
        """The steps of each window."""
        steps, size = x.shape[1], self.output_size[0]
        return [slice(i * steps // size, -(-(i + 1) * steps // size)) for i in range(size)]

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._tape.append(x)
        return np.stack([self._pooled(x[:, window]) for window in self._windows(x)], axis=1)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x = self._take_saved()
        if not need_dx:
            return None
        dx: Array = np.zeros_like(x)
        for i, window in enumerate(self._windows(x)):
            dx[:, window] += self._shared(x[:, window], dy[:, i : i + 1])
        return dx

    def _pooled(self, x: Array) -> Array:
        """The output (B, C) for the steps of a window."""
        raise NotImplementedError

    def _shared(self, x: Array, dy: Array) -> Array:
        """The gradient by the steps of a window, for dy (B, 1, C)."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": self.output_size}


class AdaptiveAveragePooling1D(AdaptivePooling1D):
    """Mean of windows that divide the steps into a fixed number: x (B, T, C) becomes (B, output_size, C).

    Window i has the steps from floor(i T / output_size) to ceil((i + 1) T / output_size); windows overlap where T is
    not a multiple of `output_size`.

    Args:
        output_size: number of steps of the output, at least 1; it may exceed T.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has no step.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.AdaptiveAveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0]]]))[0, :, 0]
        array([2. , 2.5], dtype=float32)
    """

    def _pooled(self, x: Array) -> Array:
        return np.asarray(x.mean(axis=1))

    def _shared(self, x: Array, dy: Array) -> Array:
        return np.asarray(dy / x.dtype.type(x.shape[1]))


class AdaptiveMaxPooling1D(AdaptivePooling1D):
    """Largest value of windows that divide the steps into a fixed number: x (B, T, C) becomes (B, output_size, C).

    Window i has the steps from floor(i T / output_size) to ceil((i + 1) T / output_size); windows overlap where T is
    not a multiple of `output_size`. Of steps that tie the first one gets the gradient.

    Args:
        output_size: number of steps of the output, at least 1; it may exceed T.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has no step.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.AdaptiveMaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0]]]))[0, :, 0]
        array([3., 3.], dtype=float32)
    """

    def _pooled(self, x: Array) -> Array:
        return np.asarray(x.max(axis=1))

    def _shared(self, x: Array, dy: Array) -> Array:
        reached = np.arange(x.shape[1])[:, None] == x.argmax(axis=1)[:, None]
        return np.where(reached, dy, dy.dtype.type(0))
