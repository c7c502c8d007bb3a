"""RMSNormalization and UnitNormalization: x over a measure of its length."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.normalization.layer import AxisLayer, axis_list, positions
from pyrnn.parameters import Weight
from pyrnn.typing import Axes, NonNegative

__all__ = ["RMSNormalization", "UnitNormalization"]

# The smallest length that UnitNormalization divides by, as in Keras.
SMALLEST_NORM = 1e-12


class RMSNormalization(AxisLayer):
    """Divide each sample and time step by the root mean square of its features.

    y = scale * x / sqrt(mean(x ** 2) + epsilon), with the mean over `axis`. The output has the shape of x; the trained
    weight `scale` has the sizes of `axis`.

    Args:
        axis: axis or list of axes to take the mean over.
        epsilon: number of at least 0 that is added to the mean square.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of an axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.RMSNormalization()(np.array([[3.0, -3.0]])).round(3)
        array([[ 1., -1.]], dtype=float32)

    Source: Zhang and Sennrich 2019, Root mean square layer normalization.
    """

    takes_ranks = True

    scale: Weight

    @checked
    def __init__(self, axis: Axes = -1, epsilon: NonNegative = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis_list(axis)
        self.axis = axes if isinstance(axis, (list, tuple)) else axes[0]
        self.epsilon = float(epsilon)
        self._broadcast: Shape = ()

    def build(self, input_shape: Shape) -> None:
        self.axis = sorted(axis_list(self.axis))
        sizes = self._fix(self.axis, input_shape)
        fixed = self._positions
        self._broadcast = tuple(size if each in fixed else 1 for each, size in enumerate(input_shape))
        self.scale = self.add_weight(sizes, name="scale", initializer="ones")

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        square = np.square(x).mean(axis=self._positions_in(x.ndim), keepdims=True)
        factor = 1 / np.sqrt(square + x.dtype.type(self.epsilon))
        normal: Array = x * factor
        if training:
            self._tape.append((normal, factor))
        return normal * self._spread(self.scale.array)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        normal, factor = self._take_saved()
        axes = self._positions_in(dy.ndim)
        others = tuple(each for each in range(dy.ndim) if each not in axes)
        self.scale.gradient[...] = (dy * normal).sum(axis=others).reshape(self.scale.shape)
        if not need_dx:
            return None
        dy = dy * self._spread(self.scale.array)
        dx: Array = (dy - normal * (dy * normal).mean(axis=axes, keepdims=True)) * factor
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Divide x by its Euclidean norm along `axis`, so that the norm becomes 1. Zeros stay zeros.

    Args:
        axis: axis or list of axes over which the norm is taken.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `axis` is not an axis of x.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.UnitNormalization()(np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]], dtype=float32)
    """

    supports_masking = True
    per_step = True

    @checked
    def __init__(self, axis: Axes = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis_list(axis)
        self.axis = axes if isinstance(axis, (list, tuple)) else axes[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        positions(axis_list(self.axis), input_shape)
        return tuple(input_shape)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        axes = positions(axis_list(self.axis), x.shape)
        length = np.sqrt(np.square(x).sum(axis=axes, keepdims=True))
        factor: Array = 1 / np.maximum(length, x.dtype.type(SMALLEST_NORM))
        y: Array = x * factor
        if training:
            self._tape.append((y, factor))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        y, factor = self._take_saved()
        if not need_dx:
            return None
        axes = positions(axis_list(self.axis), y.shape)
        along = y * (dy * y).sum(axis=axes, keepdims=True)
        dx: Array = np.where(factor < 1 / SMALLEST_NORM, dy - along, dy) * factor
        return dx

    def stream_into(self, stream: Any) -> None:
        assert self.build_shape is not None
        if stream.time_axis in positions(axis_list(self.axis), self.build_shape):
            raise self._not_streamed("it normalizes along time")
        stream.add_step(self)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
