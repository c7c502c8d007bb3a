"""Activations with parameters, as layers: ReLU, LeakyReLU, PReLU, ELU and Softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import constraints, initializers, regularizers
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.parameters import Weight


def _at_least_0(layer: str, argument: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or value < 0:
        raise ValueError(f"{argument} of {layer} must be a number of at least 0, got {value!r}")
    return float(value)


class _Elementwise(Layer):
    """y and its slope, element by element."""

    supports_masking = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._slope: Array | None = None

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        """y and dy/dx in the shape of x."""
        raise NotImplementedError

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        y, slope = self.value_and_slope(x)
        if training:
            self._slope = slope
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._slope is not None, "backward() follows forward(training=True)"
        return dy * self._slope if need_dx else None


class ReLU(_Elementwise):
    """x above `threshold`, up to `max_value`; negative_slope * (x - threshold) below it."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _at_least_0("ReLU", "max_value", max_value)
        self.negative_slope = _at_least_0("ReLU", "negative_slope", negative_slope)
        self.threshold = _at_least_0("ReLU", "threshold", threshold)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        kind = x.dtype.type
        above = x > self.threshold
        y = np.where(above, x, kind(self.negative_slope) * (x - kind(self.threshold)))
        slope = np.where(above, kind(1), kind(self.negative_slope))
        if self.max_value is not None:
            slope = np.where(y < self.max_value, slope, kind(0))
            y = np.minimum(y, kind(self.max_value))
        return y, slope

    def get_config(self) -> dict[str, Any]:
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}


class LeakyReLU(_Elementwise):
    """x where it is positive, negative_slope * x elsewhere. Source: Maas et al. 2013."""

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")  # Keras 2's name, still in its files
        super().__init__(**kwargs)
        self.negative_slope = _at_least_0("LeakyReLU", "negative_slope", negative_slope)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.negative_slope))
        return x * slope, slope

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere. Source: Clevert et al. 2016."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = float(alpha)

    def value_and_slope(self, x: Array) -> tuple[Array, Array]:
        below = x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0))
        return np.where(x > 0, x, below), np.where(x > 0, x.dtype.type(1), below + x.dtype.type(self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(Layer):
    """x where it is positive, a trained alpha times x elsewhere: one for each element of a sample.

    `shared_axes` lists axes (1 is the first after the batch) along which alpha is the same. Source: He et al. 2015.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        shared = (
            None if shared_axes is None else shared_axes if isinstance(shared_axes, list | tuple) else [shared_axes]
        )
        self.shared_axes = None if shared is None else [int(axis) for axis in shared]
        self.alpha: Weight
        self._x: Array | None = None

    def _build(self, input_shape: Shape) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(f"shared_axes must lie in 1..{len(shape)} for x of shape {input_shape}, got {axis}")
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(f"PReLU must know every size of x that it does not share, got x of shape {input_shape}")
        self.alpha = self.add_weight(
            shape,
            "alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._x = x
        return np.where(x > 0, x, self.alpha.array * x)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._x is not None, "backward() follows forward(training=True)"
        x, alpha = self._x, self.alpha
        shared = (0, *(axis for axis in range(1, x.ndim) if alpha.shape[axis - 1] == 1))
        alpha.gradient[...] = np.where(x > 0, 0, dy * x).sum(axis=shared, keepdims=True)[0]
        return np.where(x > 0, dy, alpha.array * dy) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class Softmax(Layer):
    """exp(x) over its sum along `axis` (one or several); masked elements get 0 and do not count."""

    supports_masking = True

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, list | tuple) else int(axis)
        self._y: Array | None = None

    @property
    def _axes(self) -> Any:
        return tuple(self.axis) if isinstance(self.axis, list) else self.axis

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if mask is not None:
            try:
                keep = np.broadcast_to(mask, x.shape)
            except ValueError:
                raise ValueError(f"mask must broadcast to x of shape {x.shape}, got {mask.shape}") from None
            x = np.where(keep, x, x.dtype.type(-1e9))
        y: Array = np.exp(x - x.max(axis=self._axes, keepdims=True))
        y /= y.sum(axis=self._axes, keepdims=True)
        if mask is not None:
            y = np.where(keep, y, 0)
        if training:
            self._y = y
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._y is not None, "backward() follows forward(training=True)"
        if not need_dx:
            return None
        dx: Array = self._y * (dy - (dy * self._y).sum(axis=self._axes, keepdims=True))
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
