"""`DataFormat`: x as (B, T, C) or (B, C, T), for layers that are written for the first of the two."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn import config, overriding
from pyrnn.layers.base import Array, Layer
from pyrnn.rules import OneOf

__all__: list[str] = []  # a base class

DataFormatLike = Annotated[str, OneOf("channels_last", "channels_first")]


def swapped(value: Any) -> Any:
    """Exchange the axes 1 and 2 of an array or a shape with three of them; others stay as they are.

    Args:
        value: an array, a shape or None.

    Returns:
        The array, C-contiguous, or the shape.
    """
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value.swapaxes(1, 2)) if value.ndim == 3 else value
    if isinstance(value, tuple | list):
        return (value[0], value[2], value[1]) if len(value) == 3 else tuple(value)
    return value


class DataFormat(Layer):
    """Base of layers over the steps of x (B, T, C), which is (B, C, T) with `data_format="channels_first"`.

    A built-in subclass defines its methods for (B, T, C). They are called with x, its shape or dy in that order, and
    what they return is put back into the order of x.

    Args:
        data_format: "channels_last", "channels_first" or None for the default of `pyrnn.config`.
        **kwargs: arguments of the next class.
    """

    axes = ("batch", "time", "channels")

    def __init__(self, *args: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data_format = config.image_data_format() if data_format is None else data_format
        # Whether a method is running, which has everything in the order (B, T, C).
        self._is_swapped = False
        if self.data_format == "channels_first":
            self.axes, self.feature_axis = ("batch", "channels", "time"), 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods that a built-in class defines."""
        if overriding.is_builtin(cls):
            for name in ("build", "forward", "backward", "compute_output_shape"):
                if name in vars(cls):
                    setattr(cls, name, _in_either_order(vars(cls)[name]))
        super().__init_subclass__(**kwargs)

    def checked_mask(self, mask: Any, x: Array) -> Array:
        return super().checked_mask(mask, x if self.data_format == "channels_last" else swapped(x))

    def _require_channels_last(self) -> None:
        """Raise if one time step of x is not a vector of channels, as in a stream."""
        if self.data_format == "channels_first":
            raise self._not_streamed("data_format='channels_first' has the steps along the last axis")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


def _in_either_order(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any, first: Any, *args: Any, **kwargs: Any) -> Any:
        if self.data_format == "channels_last" or self._is_swapped:
            return method(self, first, *args, **kwargs)
        self._is_swapped = True
        try:
            return swapped(method(self, swapped(first), *args, **kwargs))
        finally:
            self._is_swapped = False

    return wrapped
