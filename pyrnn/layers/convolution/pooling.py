"""Pooling over time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.convolution.convolution import check_padding, single
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.typing import Flag, SizeLike, Text

__all__ = ["AveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D"]


class Pooling1D(DataFormat):
    """What the two pooling layers share."""

    mode: ClassVar[str] = ""
    not_streamed = "it takes several steps together"

    @checked
    def __init__(
        self,
        pool_size: SizeLike,
        strides: SizeLike | None = None,
        padding: Text = "valid",
        data_format: DataFormatLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.pool_size = (single("pool_size", pool_size),)
        self.strides = self.pool_size if strides is None else (single("strides", strides),)
        self.padding = check_padding(padding, ("valid", "same"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = input_shape[1]
        if time is not None:
            left = time - self.pool_size[0] + 1 if self.padding == "valid" else time
            if left < 1:
                raise ValueError(
                    f"{type(self).__name__} with padding='valid' needs at least {self.pool_size[0]} steps, got {time}"
                )
            time = -(-left // self.strides[0])
        return (input_shape[0], time, input_shape[2])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._tape.append(x)
        return backend.pool1d_forward(
            x, mode=self.mode, pool_size=self.pool_size[0], strides=self.strides[0], padding=self.padding
        )

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x = self._take_saved()
        if not need_dx:
            return None
        return backend.pool1d_backward(
            x, dy, mode=self.mode, pool_size=self.pool_size[0], strides=self.strides[0], padding=self.padding
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
        }


class MaxPooling1D(Pooling1D):
    """Largest value of each window of time steps: x (B, T, C) becomes (B, T', C).

    Args:
        pool_size: steps per window, at least 1.
        strides: steps from one window to the next, at least 1; None means `pool_size`.
        padding: "valid" uses full windows only, "same" pads with zeros so that the output has ceil(T / strides) steps.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has fewer steps than a "valid" window.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
        array([3., 2.], dtype=float32)
    """

    mode = "max"

    @checked
    def __init__(
        self,
        pool_size: SizeLike = 2,
        strides: SizeLike | None = None,
        padding: Text = "valid",
        data_format: DataFormatLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class AveragePooling1D(Pooling1D):
    """Mean of each window of time steps: x (B, T, C) becomes (B, T', C). Padding does not count in the mean.

    Args:
        pool_size: steps per window, at least 1.
        strides: steps from one window to the next, at least 1; None means `pool_size`.
        padding: "valid" uses full windows only, "same" pads with zeros so that the output has ceil(T / strides) steps.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x has fewer steps than a "valid" window.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
        array([2., 1.], dtype=float32)
    """

    mode = "average"


class GlobalPooling1D(DataFormat):
    """What the two global pooling layers share."""

    not_streamed = "it takes several steps together"

    @checked
    def __init__(self, data_format: DataFormatLike | None = None, keepdims: Flag = False, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.keepdims = bool(keepdims)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if shape[2 if self.data_format == "channels_first" else 1] == 0:
            raise ValueError(f"{type(self).__name__} needs at least one step, got x of shape {tuple(shape)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 1, input_shape[2]) if self.keepdims else (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling1D(GlobalPooling1D):
    """Largest value over time: x (B, T, C) becomes (B, C). Steps that tie share the gradient equally.

    Args:
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        keepdims: keep the time axis, with size 1.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is not of these kinds.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.GlobalMaxPooling1D()(np.array([[[1.0], [3.0], [2.0]]]))
        array([[3.]], dtype=float32)
    """

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        largest: Array = x.max(axis=1, keepdims=True)
        if training:
            self._tape.append((x, largest))
        return largest if self.keepdims else largest[:, 0]

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x, largest = self._take_saved()
        if not need_dx:
            return None
        reached = x == largest
        with np.errstate(divide="ignore", invalid="ignore"):  # a NaN reaches nothing
            share = dy.reshape(largest.shape) / reached.sum(axis=1, keepdims=True, dtype=x.dtype)
            dx: Array = reached * share
        return dx


class GlobalAveragePooling1D(GlobalPooling1D):
    """Mean over time: x (B, T, C) becomes (B, C). With a mask (B, T), masked steps do not count in the mean.

    Args:
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        keepdims: keep the time axis, with size 1.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is not of these kinds.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.GlobalAveragePooling1D()(np.array([[[1.0], [3.0], [2.0]]]))
        array([[2.]], dtype=float32)
    """

    supports_masking = True
    call_order = ("mask",)

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        return None

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if mask is None:
            share: Any = np.full((1, 1, 1), 1 / x.shape[1], x.dtype)
            y: Array = x.mean(axis=1, keepdims=self.keepdims)
        else:
            counts = mask[:, :, None].astype(x.dtype)
            with np.errstate(divide="ignore", invalid="ignore"):
                total = counts.sum(axis=1, keepdims=True)
                share = counts / total
                y = np.where(mask[:, :, None], x, 0).sum(axis=1, keepdims=True) / total
            y = y if self.keepdims else y[:, 0, :]
        if training:
            self._tape.append((x.shape, share))
        return np.ascontiguousarray(y)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        shape, share = self._take_saved()
        if not need_dx:
            return None
        dx: Array = np.ascontiguousarray(np.broadcast_to(dy.reshape(shape[0], 1, shape[2]) * share, shape))
        return dx
