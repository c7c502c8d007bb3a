"""Noise in training: GaussianNoise, GaussianDropout and AlphaDropout."""

from __future__ import annotations

import math
from typing import Any

from pyrnn import seeds
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer
from pyrnn.layers.regularization.dropout import checked_noise_shape, noise_sizes
from pyrnn.layers.settings import fraction

__all__ = ["AlphaDropout", "GaussianDropout", "GaussianNoise"]

# Of the SELU activation: Klambauer et al. 2017, equation 2.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


class Noisy(Layer):
    """A layer that draws factors for x in training: y = x * factor + offset; otherwise y = x."""

    supports_masking = True
    per_step = True

    @checked()
    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._rng = seeds.generator(seed)
        self._factor: Array | None = None

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        return dy if self._factor is None else dy * self._factor


class GaussianNoise(Noisy):
    """x plus normal noise of standard deviation `stddev` in training."""

    @checked()
    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = fraction("stddev", stddev)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training or not self.stddev:
            return x
        noise: Any = self._rng.standard_normal(x.shape, dtype=x.dtype.type)
        y: Array = x + x.dtype.type(self.stddev) * noise
        return y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Noisy):
    """x times normal factors of mean 1 and variance rate / (1 - rate) in training. Source: Srivastava et al. 2014."""

    @checked()
    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _below_one(rate)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        self._factor = None
        if not self.rate:
            return x
        kind = x.dtype.type
        draw: Any = self._rng.standard_normal(x.shape, dtype=kind)
        self._factor = kind(1) + kind(math.sqrt(self.rate / (1 - self.rate))) * draw
        return x * self._factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(Noisy):
    """Dropout behind SELU: a share `rate` of x is set to its limit, then all is scaled to keep mean 0 and variance 1.

    y = a (x k + alpha' (1 - k)) + b, k being 0 with probability `rate`; `noise_shape` as in Dropout. Source:
    Klambauer et al. 2017, section 2.
    """

    @checked()
    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _below_one(rate)
        self.noise_shape = checked_noise_shape(noise_shape)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        self._factor = None
        if not self.rate:
            return x
        kind = x.dtype.type
        draw: Any = self._rng.random(noise_sizes(self.noise_shape, x.shape), dtype=kind)
        kept = (draw >= kind(self.rate)).astype(kind)
        limit = -_SELU_ALPHA * _SELU_SCALE
        a = ((1 - self.rate) * (1 + self.rate * limit**2)) ** -0.5
        self._factor = kept * kind(a)
        y: Array = x * self._factor + (kind(a * limit) * (1 - kept) - kind(a * limit * self.rate))
        return y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


def _below_one(rate: Any) -> float:
    """A rate that leaves something."""
    if fraction("rate", rate) == 1:
        raise ValueError("rate must be less than 1, got 1")
    return float(rate)
