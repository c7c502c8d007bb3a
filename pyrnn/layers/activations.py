"""Activation layers with parameters: ReLU, LeakyReLU, ELU, PReLU and Softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn import backend
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.arrays import as_array
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.normalization.layer import AxisLayer, axis_list, positions
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Axes, NonNegative

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]

# Replaces masked values before a softmax, as in Keras.
_LOWEST = -1e9


class Elementwise(Layer):
    """A function of each value; by the core where it has the function with these parameters."""

    supports_masking = True
    per_step = True

    @property
    def _core(self) -> str | None:
        """The core's name of the function with the present parameters, if it has it."""
        raise NotImplementedError

    def _function(self, x: Array) -> Array:
        raise NotImplementedError

    def _derivative(self, x: Array, y: Array) -> Array:
        raise NotImplementedError

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        core = self._core
        y = self._function(x) if core is None else backend.activation_forward(x, core)
        if training:
            self._tape.append((x, y))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x, y = self._take_saved()
        if not need_dx:
            return None
        if (core := self._core) is not None:
            return backend.activation_backward(x, y, dy, core)
        return dy * self._derivative(x, y)

    def stream_into(self, stream: Any) -> None:
        core = self._core
        if core is None or len(stream.shape) != 1:
            stream.add_step(self)
        else:
            stream.add_activation(core)


class ReLU(Elementwise):
    """Rectified linear unit with an optional slope, threshold and maximum.

    y = min(x, max_value) where x > threshold, else negative_slope * (x - threshold). The output has the shape of x.

    Args:
        max_value: largest output, at least 0, or None for no limit.
        negative_slope: slope below the threshold, at least 0.
        threshold: value of x at which the unit switches on, at least 0.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is not such a number.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.ReLU(max_value=2.0)(np.array([[-1.0, 1.0, 3.0]]))
        array([[0., 1., 2.]], dtype=float32)
    """

    @checked
    def __init__(
        self,
        max_value: NonNegative | None = None,
        negative_slope: NonNegative = 0.0,
        threshold: NonNegative = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    @property
    def _core(self) -> str | None:
        if self.negative_slope or self.threshold or self.max_value not in (None, 6):
            return None
        return "relu" if self.max_value is None else "relu6"

    def _function(self, x: Array) -> Array:
        kind = x.dtype.type
        y: Array = np.where(x > self.threshold, x, kind(0))
        if self.max_value is not None:
            y = np.minimum(y, kind(self.max_value))
        if self.negative_slope:
            y = y + kind(self.negative_slope) * np.minimum(x - kind(self.threshold), kind(0))
        return y

    def _derivative(self, x: Array, y: Array) -> Array:
        """Keras's at the kinks too: 0 at the threshold, 1 at max_value; a mere slope holds at 0, relu6 ends at 6."""
        above = x > self.threshold
        below = x < self.threshold if self.threshold or self.max_value is not None else ~above
        if self.max_value is not None:
            above &= x < self.max_value if self.max_value == 6 and not self.threshold else x <= self.max_value
        kind = x.dtype.type
        slope: Array = np.where(above, kind(1), np.where(below, kind(self.negative_slope), kind(0)))
        return slope

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Elementwise):
    """Rectified linear unit with a fixed slope for negative values.

    y = x where x > 0, else negative_slope * x. The output has the shape of x.

    Args:
        negative_slope: slope below 0, at least 0.
        alpha: the name of `negative_slope` in Keras 2; if given, it takes precedence.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if the slope is not a number of at least 0.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.LeakyReLU(0.5)(np.array([[-1.0, 1.0]]))
        array([[-0.5,  1. ]], dtype=float32)
    """

    @checked
    def __init__(self, negative_slope: NonNegative = 0.3, *, alpha: NonNegative | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope if alpha is None else alpha

    @property
    def _core(self) -> str | None:
        return "leaky_relu" if self.negative_slope == 0.2 else None

    def _function(self, x: Array) -> Array:
        return np.where(x < 0, x * x.dtype.type(self.negative_slope), x)

    def _derivative(self, x: Array, y: Array) -> Array:
        slope: Array = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.negative_slope))
        return slope

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Elementwise):
    """Exponential linear unit.

    y = x where x > 0, else alpha * (exp(x) - 1). The output has the shape of x.

    Args:
        alpha: negative limit of the output, any number.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `alpha` is not a finite number.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.ELU()(np.array([[-100.0, 1.0]]))
        array([[-1.,  1.]], dtype=float32)

    Source: Clevert, Unterthiner and Hochreiter 2015, Fast and accurate deep network learning by exponential linear
    units.
    """

    @checked
    def __init__(self, alpha: NonNegative = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    @property
    def _core(self) -> str | None:
        return "elu" if self.alpha == 1 else None

    def _function(self, x: Array) -> Array:
        kind = x.dtype.type
        return np.where(x > 0, x, kind(self.alpha) * np.expm1(np.minimum(x, kind(0))))

    def _derivative(self, x: Array, y: Array) -> Array:
        kind = x.dtype.type
        slope: Array = np.where(x > 0, kind(1), y + kind(self.alpha))
        return slope

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


_ALPHA = WeightSpec("alpha")


class PReLU(AxisLayer):
    """Rectified linear unit with a trained slope for negative values.

    y = x where x > 0, else alpha * x. There is one alpha per value of a sample, except along `shared_axes`.

    Args:
        alpha_initializer: name or object of `pyrnn.initializers`, for alpha.
        alpha_regularizer: name or object of `pyrnn.regularizers`, for alpha, or None.
        alpha_constraint: name or object of `pyrnn.constraints`, applied to alpha after each step, or None.
        shared_axes: axes along which alpha is the same, an integer or a list; 1 is the first axis after the batch.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument has the wrong type, or `shared_axes` contains the batch axis.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layer = layers.PReLU("ones", shared_axes=[1])
        >>> layer(np.full((2, 5, 3), -1.0)).shape, layer.alpha.shape
        ((2, 5, 3), (1, 3))

    Source: He et al. 2015, Delving deep into rectifiers.
    """

    supports_masking = True
    per_step = True
    alpha: Weight

    @checked
    def __init__(
        self,
        alpha_initializer: InitializerLike = "Zeros",
        alpha_regularizer: RegularizerLike = None,
        alpha_constraint: ConstraintLike = None,
        shared_axes: Axes = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        super().__init__(**kwargs)
        _ALPHA.read(self, arguments)
        self.shared_axes = None if shared_axes is None or shared_axes == [] else axis_list(shared_axes)

    def build(self, input_shape: Shape) -> None:
        shared = () if self.shared_axes is None else positions(self.shared_axes, input_shape, "shared_axes")
        if 0 in shared:
            raise ValueError(f"shared_axes must not hold the batch axis, got {self.shared_axes}")
        separate = [each for each in range(1, len(input_shape)) if each not in shared]
        self._fix(separate, input_shape)
        self.alpha = _ALPHA.add(
            self, tuple(size if each in separate else 1 for each, size in enumerate(input_shape))[1:]
        )

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._tape.append(x)
        return np.where(x > 0, x, self.alpha.array * x)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x = self._take_saved()
        shared = (0, *(each for each in range(1, x.ndim) if each not in self._positions))
        below = (dy * np.minimum(x, x.dtype.type(0))).sum(axis=shared)
        self.alpha.gradient[...] = below.reshape(self.alpha.shape)
        if not need_dx:
            return None
        # 0 at 0, as in Keras, for which this is relu(x) - alpha * relu(-x).
        return np.where(x > 0, dy, dy * self.alpha.array * (x < 0))

    def stream_into(self, stream: Any) -> None:
        if stream.time_axis in self._positions:
            raise self._not_streamed("it has its own slopes for each step: pass shared_axes=[1]")
        stream.add_step(self)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **specs_config(self, _ALPHA),
            "shared_axes": self.shared_axes,
        }


class Softmax(Layer):
    """Softmax along one or several axes.

    y = exp(x) / sum(exp(x)), the sum taken along `axis`. The output has the shape of x. The layer may be called with a
    mask that broadcasts with x: values whose mask is False get probability 0.

    Args:
        axis: axis or list of axes that sum to 1.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `axis` is not an axis of x, or a mask does not broadcast with x.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Softmax()(np.zeros((1, 4)))
        array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    supports_masking = True
    call_order = ("mask",)
    per_step = True

    @checked
    def __init__(self, axis: Axes = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        axes = axis_list(axis)
        self.axis = axes if isinstance(axis, (list, tuple)) else axes[0]

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """A mask; `forward` says whether it broadcasts with x."""
        return np.ascontiguousarray(as_array("mask", mask), dtype=bool)

    def _rows(self, x: Array) -> tuple[Array, Shape, tuple[int, ...]]:
        """x with `axis` as its last axis, the shape before these became one, and their places."""
        places = positions(axis_list(self.axis), x.shape)
        moved = np.moveaxis(x, places, range(x.ndim - len(places), x.ndim))
        rows, last = (math.prod(part) for part in (moved.shape[: -len(places)], moved.shape[-len(places) :]))
        return np.ascontiguousarray(moved).reshape(rows, last), moved.shape, places

    def _back(self, rows: Array, shape: Shape, places: tuple[int, ...]) -> Array:
        wide = rows.reshape(shape)
        return np.ascontiguousarray(np.moveaxis(wide, range(wide.ndim - len(places), wide.ndim), places))

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if mask is not None:
            try:
                mask = np.broadcast_to(mask, x.shape)
            except ValueError:
                raise ValueError(f"mask of Softmax must fit x of shape {x.shape}, got shape {mask.shape}") from None
            x = np.where(mask, x, x.dtype.type(_LOWEST))
        rows, shape, places = self._rows(x)
        y = backend.activation_forward(rows, "softmax")
        if training:
            self._tape.append((rows, y, mask))
        wide = self._back(y, shape, places)
        return wide if mask is None else np.where(mask, wide, x.dtype.type(0))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        rows, y, mask = self._take_saved()
        if not need_dx:
            return None
        if mask is not None:
            dy = np.where(mask, dy, dy.dtype.type(0))
        d_rows, shape, places = self._rows(dy)
        dx = self._back(backend.activation_backward(rows, y, d_rows, "softmax"), shape, places)
        return dx if mask is None else np.where(mask, dx, dx.dtype.type(0))

    def stream_into(self, stream: Any) -> None:
        assert self.build_shape is not None
        places = positions(axis_list(self.axis), self.build_shape)
        if stream.time_axis in places or stream.masked:
            raise self._not_streamed("it goes along time" if stream.time_axis in places else "a mask reaches it")
        if places == (stream.rank - 1,) and len(stream.shape) == 1:
            stream.add_activation("softmax")
        else:
            stream.add_step(self)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
