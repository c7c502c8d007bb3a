"""TimeDistributed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.data.arrays import as_array
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.core.dense import Dense
from pyrnn.layers.core.wrapper import Wrapper
from pyrnn.validation import shown

__all__ = ["TimeDistributed"]


class TimeDistributed(Wrapper):
    """Apply a layer to every time step: x (B, T, ...) becomes (B, T, output shape of the layer).

    All steps are computed in one call of the layer. A mask (B, T) is passed on.

    Args:
        layer: the layer, which reads one step (B, ...).
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `layer` is not a layer, or x has fewer than three axes.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.TimeDistributed(layers.Dense(2))(np.zeros((4, 10, 3))).shape
        (4, 10, 2)
    """

    supports_masking = True
    per_step = True
    min_rank = 3
    fixes_features = True

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if (
            getattr(layer, "stateful", False)
            or getattr(layer, "return_state", False)
            or getattr(layer, "merge_mode", "") is None
        ):
            raise ValueError(
                "layer of TimeDistributed must not have stateful=True, return_state=True or merge_mode=None, "
                f"got {shown(layer)}"
            )
        if getattr(layer, "activity_regularizer", None) is not None:
            raise ValueError("pass activity_regularizer to TimeDistributed, not to its layer")
        super().__init__(layer, **kwargs)
        if not self._trainable:
            layer.trainable = False

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer's weights."""
        return self._trainable and self.layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    def build(self, input_shape: Shape) -> None:
        self.layer.build((input_shape[0], *input_shape[2:]))
        for weight in self.layer.weights:
            weight.path = f"{self.name}/{weight.path}"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (inner[0], input_shape[1], *inner[1:])

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """Convert and check a mask: its axes after the first two are for the layer at each step.

        Args:
            mask: array of booleans or numbers (B, T, ...).
            x: the input (B, T, ...).

        Returns:
            The mask as a C-contiguous boolean array.

        Raises:
            TypeError, ValueError: if it is not such an array.
        """
        array = as_array("mask", mask)
        if array.ndim < 2 or array.shape[:2] != x.shape[:2]:
            raise ValueError(f"mask must have the leading axes (batch, time) = {x.shape[:2]}, got shape {array.shape}")
        return np.ascontiguousarray(array, dtype=bool)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        batch, time = x.shape[:2]
        flat = x.reshape(batch * time, *x.shape[2:])
        inner = None
        if mask is not None and mask.ndim > 2:
            inner = np.ascontiguousarray(mask).reshape(batch * time, *mask.shape[2:])
        elif mask is not None and self.layer.is_traced:  # its call may have an argument mask
            inner = np.ascontiguousarray(mask).reshape(batch * time)
        y = self.layer.forward(flat, training=training, mask=inner)
        if training:
            self._tape.append(x.shape)
        result: Array = y.reshape(batch, time, *y.shape[1:])
        return result

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        shape = self._take_saved()
        batch, time = shape[:2]
        dx = self.layer.backward(dy.reshape(batch * time, *dy.shape[2:]), need_dx=need_dx)
        return None if dx is None else dx.reshape(shape)

    def stream_into(self, stream: Any) -> None:
        if getattr(type(self.layer), "stream_into", None) is Dense.stream_into and len(stream.shape) == 1:
            self.layer.stream_into(stream)
        else:
            stream.add_step(self)
