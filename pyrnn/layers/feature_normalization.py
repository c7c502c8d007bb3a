"""Normalization: features brought to mean 0 and variance 1 by statistics of the data, measured before training."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.parameters import Weight

# The smallest deviation that is divided by, Keras's epsilon.
_SMALLEST = 1e-7


class Normalization(Layer):
    """(x - mean) / sqrt(variance), by `adapt(data)` or by the mean and variance given; the other way with `invert`.

    `axis` lists the axes that keep statistics of their own (-1: each feature), None: one of all.
    """

    supports_masking = True

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(f"mean and variance go together: give both or none, got {mean} and {variance}")
        if np.shape(mean) != np.shape(variance):
            raise ValueError(f"mean and variance must have one shape, got {np.shape(mean)} and {np.shape(variance)}")
        self.input_mean = None if mean is None else np.asarray(mean, np.float64)
        self.input_variance = None if variance is None else np.asarray(variance, np.float64)
        self.invert = bool(invert)
        self.mean: Weight
        self.variance: Weight

    def _kept(self, rank: int) -> tuple[int, ...]:
        for axis in self.axis:
            if not isinstance(axis, int) or not -rank <= axis < rank:
                raise ValueError(f"axis must lie in {-rank}..{rank - 1} for x with {rank} axes, got {axis!r}")
        return tuple(sorted(axis % rank for axis in self.axis))

    def _build(self, input_shape: Shape) -> None:
        shape = tuple(input_shape[axis] for axis in self._kept(len(input_shape)))
        if None in shape:
            raise ValueError(f"Normalization must know the sizes of axis {self.axis}, got x of shape {input_shape}")
        if self.input_mean is not None:
            return
        self.mean = self.add_weight(shape, "mean", initializer="zeros", trainable=False)
        self.variance = self.add_weight(shape, "variance", initializer="ones", trainable=False)
        self._weights.append(Weight((), "count", "int32", trainable=False))
        self._weights[-1].path = f"{self.name}/count"

    def check_input(self, shape: Shape) -> None:
        kept = self._kept(len(shape))
        if self.build_shape is not None and any(
            shape[axis] != self.build_shape[axis] for axis in kept if axis < len(self.build_shape)
        ):
            raise ValueError(f"Normalization was built for x of shape {self.build_shape}, got {shape}")

    def adapt(self, data: Any) -> None:
        """Measure mean and variance over an array (first axis: samples) or over an iterable of batches."""
        if self.input_mean is not None:
            raise ValueError("Normalization was given mean and variance: adapt() would change nothing")
        is_array = hasattr(data, "__array__") or (isinstance(data, list) and np.isscalar(data[0] if data else 0))
        count, mean, total = 0, np.zeros(()), np.zeros(())
        for batch in [data] if is_array else data:
            x = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            if x.ndim == 1:
                x = x[:, None]
            if self.built:
                self.check_input(x.shape)
            else:
                self.build((None, *x.shape[1:]))
            others = tuple(axis for axis in range(x.ndim) if axis not in self._kept(x.ndim))
            size = int(np.prod([x.shape[axis] for axis in others]))
            here = x.mean(axis=others, dtype=np.float64)
            spread = np.square(x - np.expand_dims(here, others)).sum(axis=others, dtype=np.float64)
            # Chan et al. 1983: the squares of both parts and of the distance of their means.
            total = total + spread + np.square(here - mean) * (count * size / (count + size))
            mean = mean + (here - mean) * (size / (count + size))
            count += size
        if not count:
            raise ValueError("adapt() needs data, got none")
        self.mean.assign(mean)
        self.variance.assign(total / count)

    def _statistics(self, rank: int) -> tuple[Array, Array]:
        """Mean and deviation in a shape that broadcasts with x."""
        kept = self._kept(rank)
        mean = self.mean.array if self.input_mean is None else self.input_mean
        variance = self.variance.array if self.input_variance is None else self.input_variance
        others = tuple(axis for axis in range(rank) if axis not in kept)
        if self.input_mean is not None:
            assert self.build_shape is not None
            shape = tuple(self.build_shape[axis] for axis in kept)
            mean, variance = np.broadcast_to(mean, shape), np.broadcast_to(variance, shape)
        mean, variance = (np.expand_dims(np.asarray(each, self.dtype), others) for each in (mean, variance))
        return mean, np.maximum(np.sqrt(variance), np.asarray(_SMALLEST, self.dtype))

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        mean, deviation = self._statistics(x.ndim)
        y: Array = mean + x * deviation if self.invert else (x - mean) / deviation
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        deviation = self._statistics(dy.ndim)[1]
        return dy * deviation if self.invert else dy / deviation

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {
            **super().get_config(),
            "axis": list(self.axis),
            "invert": self.invert,
            **{name: None if value is None else value.tolist() for name, value in given.items()},
        }
