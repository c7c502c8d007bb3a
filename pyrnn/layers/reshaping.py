"""Layers that change the shape: Flatten, Reshape, Permute, RepeatVector, ZeroPadding1D, Cropping1D, UpSampling1D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import config
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.convolution.data_format import DataFormat, DataFormatLike
from pyrnn.rules import MOST_AXES, ListOf, Unchecked, Whole
from pyrnn.typing import Size
from pyrnn.validation import LARGEST_SIZE, positive_int, shown

__all__ = ["Cropping1D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling1D", "ZeroPadding1D"]


class _View(Layer):
    """A layer that only changes the shape."""

    not_streamed = "it changes the axis of time"

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._tape.append(x.shape)
        return x.reshape(self.compute_output_shape(x.shape))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        shape = self._take_saved()
        return dy.reshape(shape) if need_dx else None


class Flatten(_View):
    """Flatten each sample into one axis: x (B, ...) becomes (B, product of the other axes).

    Args:
        data_format: "channels_last", "channels_first" to move the axis after the batch to the end before, or None for
            the default of `pyrnn.config`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `data_format` is neither.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    @checked
    def __init__(self, data_format: DataFormatLike | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.image_data_format() if data_format is None else data_format

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        moves = self.data_format == "channels_first" and x.ndim > 2
        return super().forward(np.moveaxis(x, 1, -1) if moves else x, training=training, mask=mask)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        dx = super().backward(dy, need_dx=need_dx)
        moves = self.data_format == "channels_first" and dx is not None and dx.ndim > 2
        return np.ascontiguousarray(np.moveaxis(dx, -1, 1)) if dx is not None and moves else dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(_View):
    """Reshape each sample: x (B, ...) becomes (B, *target_shape), with the values in the same order.

    Args:
        target_shape: shape of one sample, a list of sizes; one of them may be -1, which is computed from the others.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `target_shape` holds other values, or the number of values differs from that of a
            sample.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Reshape((2, -1))(np.zeros((5, 6))).shape
        (5, 2, 3)
    """

    @checked
    def __init__(self, target_shape: Annotated[Sequence[int], ListOf(Whole(-1))], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(size) for size in target_shape)
        if any(size < -1 for size in self.target_shape) or self.target_shape.count(-1) > 1:
            raise ValueError(f"target_shape must hold sizes and at most one -1, got {shown(target_shape)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        if None in rest:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        count = math.prod(rest)
        product = math.prod(size for size in self.target_shape if size != -1)
        fits = count == product if -1 not in self.target_shape else product > 0 and count % product == 0
        if not fits:
            raise ValueError(
                f"target_shape must hold the {count} values of one sample of x, of shape {tuple(rest)}, "
                f"got {self.target_shape}"
            )
        return (input_shape[0], *(count // product if size == -1 else size for size in self.target_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class RepeatVector(Layer):
    """Repeat each sample n times along a new time axis: x (B, F) becomes (B, n, F).

    Args:
        n: number of time steps, at least 1.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `n` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.RepeatVector(3)(np.zeros((2, 4))).shape
        (2, 3, 4)
    """

    not_streamed = "it changes the axis of time"
    axes = ("batch", "features")

    @checked
    def __init__(self, n: Size, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_int("n", n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return np.repeat(x[:, None, :], self.n, axis=1)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return np.ascontiguousarray(dy.sum(axis=1)) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


class Permute(Layer):
    """Permute the axes of each sample.

    Args:
        dims: the new order of the axes, each of 1 to the number of axes once; 1 is the first axis after the batch.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `dims` is not a permutation, or x has a different number of axes.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Permute((2, 1))(np.zeros((5, 3, 4))).shape
        (5, 4, 3)
    """

    not_streamed = "it changes the axis of time"

    @checked
    def __init__(self, dims: Annotated[Sequence[int], ListOf(Whole(1, MOST_AXES))], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims must hold each of 1 to {len(self.dims)} once, got {shown(dims)}")
        self._order = (0, *self.dims)

    def check_input(self, shape: Shape) -> None:
        if len(shape) != len(self._order):
            raise ValueError(f"Permute({self.dims}) expects x with {len(self._order)} axes, got shape {tuple(shape)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input(input_shape)
        return tuple(input_shape[axis] for axis in self._order)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return np.ascontiguousarray(x.transpose(self._order))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return np.ascontiguousarray(dy.transpose(np.argsort(self._order))) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


def _two_counts(argument: str, value: Any) -> tuple[int, int]:
    """Return the counts at the start and at the end, from one number or two."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or any(
        isinstance(n, bool) or not isinstance(n, int | np.integer) or not 0 <= n <= LARGEST_SIZE for n in pair
    ):
        raise ValueError(f"{argument} must be an integer of at least 0 or two of them, got {shown(value)}")
    return int(pair[0]), int(pair[1])


class ZeroPadding1D(DataFormat):
    """Add time steps of zeros: x (B, T, C) becomes (B, before + T + after, C).

    Args:
        padding: steps before and after, one integer for both or a pair, each at least 0.
        data_format: "channels_last" for x (B, T, C), "channels_first" for (B, C, T), None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `padding` is not one or two such integers, or `data_format` is "channels_first".

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.ZeroPadding1D((1, 0))(np.ones((1, 2, 1)))[0, :, 0]
        array([0., 1., 1.], dtype=float32)
    """

    not_streamed = "it changes the axis of time"
    axes = ("batch", "time", "channels")

    @checked
    def __init__(
        self,
        padding: Annotated[int | Sequence[int], Unchecked(allowed="zero")] = 1,
        data_format: DataFormatLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.padding = _two_counts("padding", padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = input_shape[1]
        return (input_shape[0], None if time is None else time + sum(self.padding), input_shape[2])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return np.pad(x, ((0, 0), self.padding, (0, 0)))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        first, last = self.padding
        return np.ascontiguousarray(dy[:, first : dy.shape[1] - last]) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


class Cropping1D(Layer):
    """Remove time steps at both ends: x (B, T, C) becomes (B, T - first - last, C).

    Args:
        cropping: steps to remove at the start and at the end, one integer for both or a pair, each at least 0.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `cropping` is not one or two such integers, or no step would remain.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Cropping1D((0, 2))(np.zeros((1, 5, 3))).shape
        (1, 3, 3)
    """

    not_streamed = "it changes the axis of time"
    axes = ("batch", "time", "channels")

    @checked
    def __init__(
        self, cropping: Annotated[int | Sequence[int], Unchecked(allowed="zero")] = (1, 1), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = _two_counts("cropping", cropping)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = input_shape[1]
        if time is not None and time <= sum(self.cropping):
            raise ValueError(f"cropping must leave at least one of the {time} steps of x, got {self.cropping}")
        return (input_shape[0], None if time is None else time - sum(self.cropping), input_shape[2])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        self.compute_output_shape(x.shape)
        first, last = self.cropping
        return np.ascontiguousarray(x[:, first : x.shape[1] - last])

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return np.pad(dy, ((0, 0), self.cropping, (0, 0))) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}


class UpSampling1D(Layer):
    """Repeat every time step: x (B, T, C) becomes (B, T * size, C).

    Args:
        size: number of copies of each step, at least 1.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `size` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.UpSampling1D(2)(np.array([[[1.0], [2.0]]]))[0, :, 0]
        array([1., 1., 2., 2.], dtype=float32)
    """

    not_streamed = "it changes the axis of time"
    axes = ("batch", "time", "channels")

    @checked
    def __init__(self, size: Size = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = positive_int("size", size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        time = input_shape[1]
        return (input_shape[0], None if time is None else time * self.size, input_shape[2])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return np.repeat(x, self.size, axis=1)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        batch, time, channels = dy.shape
        dx: Array = dy.reshape(batch, time // self.size, self.size, channels).sum(axis=2)
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
