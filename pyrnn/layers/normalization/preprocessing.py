"""Normalization: features by the moments of a data set."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array, as_column
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.core.dense import plain_numbers
from pyrnn.layers.normalization.layer import AxisLayer, axis_list
from pyrnn.parameters import Weight
from pyrnn.typing import Axes, Flag, Numbers
from pyrnn.validation import WrongType, shown

__all__ = ["Normalization"]

# The smallest standard deviation that is divided by, as in Keras.
_SMALLEST_STDDEV = 1e-7


class Normalization(AxisLayer):
    """Shift and scale features to mean 0 and variance 1, with moments that training does not change.

    y = (x - mean) / sqrt(variance). The moments come from the arguments or from `adapt(data)`.

    Args:
        axis: axis or list of axes whose positions have their own moments, usually that of the features; None for one
            mean and variance of all values.
        mean: mean, a number or an array that broadcasts along `axis`, or None to call `adapt`.
        variance: variance in the same form; both are passed, or neither.
        invert: compute x * sqrt(variance) + mean instead, which undoes the normalization.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if only one of `mean` and `variance` is passed, or an argument has the wrong type.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layer = layers.Normalization()
        >>> layer.adapt(np.array([[0.0], [2.0]]))
        >>> layer(np.array([[3.0]]))
        array([[2.]], dtype=float32)
    """

    supports_masking = True
    min_rank = 1
    adapt_mean: Weight
    adapt_variance: Weight
    count: Weight

    takes_ranks = True

    @checked
    def __init__(
        self,
        axis: Axes = -1,
        mean: Numbers | None = None,
        variance: Numbers | None = None,
        invert: Flag = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None or axis == () or axis == [] else tuple(axis_list(axis))
        self.invert = bool(invert)
        self.input_mean, self.input_variance = plain_numbers(mean), plain_numbers(variance)
        if (mean is None) != (variance is None):
            raise ValueError(f"mean and variance must be given together, got {shown(mean)} and {shown(variance)}")
        if np.shape(self.input_mean) != np.shape(self.input_variance):
            raise ValueError(
                f"mean and variance must have one shape, got {np.shape(self.input_mean)} "
                f"and {np.shape(self.input_variance)}"
            )
        if mean is not None and np.ndim(self.input_mean) > len(self.axis):
            raise ValueError(
                f"mean must have no more axes than axis names, {len(self.axis)}, got shape {np.shape(self.input_mean)}"
            )
        self._broadcast: Shape = ()
        self._given: tuple[Array, Array] | None = None

    def build(self, input_shape: Shape) -> None:
        self._fix(self.axis, input_shape)
        self._positions = tuple(sorted(self._positions))
        sizes = tuple(input_shape[each] for each in self._positions)
        self._broadcast = tuple(size if each in self._positions else 1 for each, size in enumerate(input_shape))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(sizes, name="mean", initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(sizes, name="variance", initializer="ones", trainable=False)
            # Keras keeps it, an integer, for the sake of old files.
            count = Weight((), "count", "int32", trainable=False)
            count.path = f"{self.name}/count"
            self._weights.append(count)
            self.count = count
            return
        self._read_moments(sizes)

    def _read_moments(self, sizes: Shape) -> None:
        moments = []
        for value in (self.input_mean, self.input_variance):
            array = np.asarray(value, self.dtype)
            try:
                array = np.broadcast_to(array, sizes).reshape(self._broadcast)
            except ValueError:
                raise ValueError(f"mean must fit the sizes {sizes} of x along axis, got shape {array.shape}") from None
            moments.append(array)
        self._given = (moments[0], moments[1])

    def take_dtype(self, dtype: str) -> None:
        super().take_dtype(dtype)
        if self.built:
            self._read_moments(tuple(self._broadcast[each] for each in self._positions))

    def adapt(self, data: Any) -> None:
        """Set the moments to those of `data`.

        Args:
            data: an array, a DataFrame, a Series (a column) or a tensor; or an iterable of batches, such as a loader or
                a `PyDataset`, of which tuples (x, y) and lists of arrays give their first part.

        Raises:
            TypeError: if `data` holds anything but numbers; a column of a table is named.
            ValueError: if the moments were given, or `data` is empty or of another shape than before.
        """
        if self.input_mean is not None:
            raise ValueError("adapt() sets mean and variance, which this layer has from its arguments: leave those out")
        is_whole = hasattr(data, "__array__")
        if not is_whole and not isinstance(data, Iterable):
            raise WrongType(f"data must be an array or an iterable of batches, got {shown(data)}")
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for part in [data] if is_whole else data:
            x = part[0] if _is_pair(part) else part
            batch = as_column(x, as_array("data", x)).astype(np.float64, copy=False)
            if not batch.ndim:
                raise WrongType(f"data must hold batches, arrays with a batch axis, got {shown(x)}")
            try:
                self.fit_shape(batch.shape)
            except ValueError as error:
                raise ValueError(f"data: {error}") from None
            others = tuple(each for each in range(batch.ndim) if each not in self._positions)
            new = math.prod(batch.shape[each] for each in others)
            if not new:
                continue
            share = new / (count + new)
            batch_mean, batch_variance = batch.mean(axis=others), batch.var(axis=others)
            # Chan, Golub and LeVeque 1979: the variance of two parts from the moments of each.
            between = np.square(batch_mean - mean) * share * (1 - share)
            variance = variance * (1 - share) + batch_variance * share + between
            mean = mean * (1 - share) + batch_mean * share
            count += new
        if not count:
            raise ValueError("data must hold at least one sample, got none")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    @property
    def mean(self) -> Array | None:
        """The mean that is subtracted, shaped to broadcast with x; None before the layer is built."""
        return self._moment(0)

    @property
    def variance(self) -> Array | None:
        """The variance whose root divides, shaped as `mean`; None before the layer is built."""
        return self._moment(1)

    def _moment(self, which: int) -> Array | None:
        if not self.built:
            return None
        if self._given is not None:
            return self._given[which].copy()
        return (self.adapt_mean, self.adapt_variance)[which].numpy().reshape(self._broadcast)

    def _moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation, shaped to go with x."""
        if self._given is not None:
            mean, variance = self._given
        else:
            mean, variance = (w.array.reshape(self._broadcast) for w in (self.adapt_mean, self.adapt_variance))
        return mean, np.maximum(np.sqrt(variance), variance.dtype.type(_SMALLEST_STDDEV))

    def _moments_along(self) -> tuple[Array, Array]:
        """The moments for x of any rank, if they are those of its last axis."""
        mean, stddev = self._moments()
        return (mean.reshape(-1), stddev.reshape(-1)) if self._is_last else (mean, stddev)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        mean, stddev = self._moments_along()
        y: Array = mean + x * stddev if self.invert else (x - mean) / stddev
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        _, stddev = self._moments_along()
        dx: Array = dy * stddev if self.invert else dy / stddev
        return dx

    def stream_into(self, stream: Any) -> None:
        if stream.time_axis in self._positions:
            raise self._not_streamed(f"it normalizes each step along axis {list(self.axis)} by its own moments")
        mean, stddev = (each[:, 0] if stream.time_axis else each for each in self._moments())
        stream.add_affine(*((None, stddev, mean) if self.invert else (mean, 1 / stddev, None)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean,
            "variance": self.input_variance,
        }


def _is_pair(part: Any) -> bool:
    """Whether a batch is (x, y), as a tuple or as the list that loaders make."""
    return (
        isinstance(part, tuple | list) and len(part) > 0 and (isinstance(part, tuple) or hasattr(part[0], "__array__"))
    )
