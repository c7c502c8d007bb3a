"""Dropout."""

from __future__ import annotations

from typing import Any

from pyrnn import seeds
from pyrnn.layers.base import Array, Layer, dropout_scale, fraction, standard_shape


class Dropout(Layer):
    """Sets a share `rate` of the values to 0 in training and scales the others by 1 / (1 - rate).

    `noise_shape` has 1 (or a smaller axis) where values share their fate and None where the size of x is meant.
    """

    supports_masking = True

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = fraction("rate", rate)
        self.noise_shape = None if noise_shape is None else standard_shape("noise_shape", noise_shape)
        self.seed = seed
        self._rng = seeds.generator(seed)
        self._scale: Array | None = None

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        if not self.rate:
            self._scale = None
            return x
        shape: Any = x.shape
        if self.noise_shape is not None:
            if len(self.noise_shape) != x.ndim:
                raise ValueError(f"noise_shape must have the {x.ndim} axes of x, got {self.noise_shape}")
            shape = tuple(have if want is None else want for have, want in zip(x.shape, self.noise_shape, strict=True))
        self._scale = dropout_scale(self._rng, shape, self.rate, self.dtype)
        y: Array = x * self._scale
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        return dy if self._scale is None else dy * self._scale

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}
