"""Flatten, Reshape and RepeatVector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.convolution import check_data_format
from pyrnn.validation import positive_int


class _View(Layer):
    """A layer that only changes the shape."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._shape: Shape | None = None

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if training:
            self._shape = x.shape
        return x.reshape(self.compute_output_shape(x.shape))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._shape is not None, "backward() follows forward(training=True)"
        return dy.reshape(self._shape) if need_dx else None


class Flatten(_View):
    """All axes but the batch axis as one."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format("Flatten", data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last"}


class Reshape(_View):
    """Another shape of one sample; one size may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(size) for size in target_shape)
        if any(size < -1 for size in self.target_shape) or self.target_shape.count(-1) > 1:
            raise ValueError(f"target_shape must hold sizes and at most one -1, got {target_shape!r}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        if None in rest:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        count = math.prod(rest)
        known = math.prod(size for size in self.target_shape if size != -1)
        fits = count == known if -1 not in self.target_shape else known > 0 and count % known == 0
        if not fits:
            raise ValueError(f"Reshape cannot give x of shape {tuple(input_shape)} the shape {self.target_shape}")
        return (input_shape[0], *(count // known if size == -1 else size for size in self.target_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class RepeatVector(Layer):
    """Each row of x (batch, features), n times."""

    axes = ("batch", "features")

    def __init__(self, n: int, **kwargs: Any) -> None:
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
