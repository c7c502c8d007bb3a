"""Noise in training, nothing outside of it: GaussianNoise, GaussianDropout and AlphaDropout."""

from __future__ import annotations

import math
from typing import Any

from pyrnn import seeds
from pyrnn.layers.base import Array, Layer, fraction, noise_sizes, standard_shape

# SELU's constants: what AlphaDropout keeps at mean 0 and variance 1 (Klambauer et al. 2017).
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805


class _Noise(Layer):
    """A layer that multiplies x by something random; what it is backward needs is kept."""

    supports_masking = True

    def __init__(self, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._rng = seeds.generator(seed)
        self._slope: Array | None = None

    def noisy(self, x: Array) -> tuple[Array, Array | None]:
        """(y, dy/dx or None where it is 1)."""
        raise NotImplementedError

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        y, self._slope = self.noisy(x)
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        return dy if self._slope is None else dy * self._slope

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def _normal(self, x: Array) -> Array:
        kind: Any = x.dtype.type
        return self._rng.standard_normal(x.shape, dtype=kind)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class GaussianNoise(_Noise):
    """x + normal noise of mean 0 and deviation `stddev` (0 to 1)."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = fraction("stddev", stddev)

    def noisy(self, x: Array) -> tuple[Array, Array | None]:
        return x + self._normal(x) * x.dtype.type(self.stddev) if self.stddev else x, None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class GaussianDropout(_Noise):
    """x times normal noise of mean 1 and variance rate / (1 - rate). Source: Srivastava et al. 2014."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction("rate", rate)
        if self.rate == 1:
            raise ValueError("rate of GaussianDropout must be below 1, where its variance is infinite, got 1")

    def noisy(self, x: Array) -> tuple[Array, Array | None]:
        if not self.rate:
            return x, None
        scale = 1 + self._normal(x) * x.dtype.type(math.sqrt(self.rate / (1 - self.rate)))
        return x * scale, scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance of SELU's outputs: dropped values become its negative limit.

    Source: Klambauer et al. 2017. `noise_shape` as in Dropout.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction("rate", rate)
        self.noise_shape = None if noise_shape is None else standard_shape("noise_shape", noise_shape)

    def noisy(self, x: Array) -> tuple[Array, Array | None]:
        if not self.rate:
            return x, None
        kind: Any = x.dtype.type
        low = -_ALPHA * _SCALE
        factor = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5 if self.rate < 1 else 0.0
        kept = self._rng.random(noise_sizes(self.noise_shape, x.shape), dtype=kind) >= kind(self.rate)
        slope = kept * kind(factor)
        return x * slope + (~kept * kind(factor * low) - kind(factor * low * self.rate)), slope

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}
