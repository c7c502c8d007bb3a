"""Noise in training: GaussianNoise, GaussianDropout and AlphaDropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pyrnn import seeds
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer
from pyrnn.layers.regularization.dropout import checked_noise_shape, noise_sizes
from pyrnn.layers.settings import fraction
from pyrnn.plan import acts_as_in_training
from pyrnn.rules import Unchecked
from pyrnn.typing import NonNegative, Rate, Seed

__all__ = ["AlphaDropout", "GaussianDropout", "GaussianNoise"]

# Of the SELU activation: Klambauer et al. 2017, equation 2.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


class Noisy(Layer):
    """A layer that draws factors for x in training: y = x * factor + offset; otherwise y = x."""

    supports_masking = True
    per_step = True

    @checked
    def __init__(self, seed: Seed | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._rng = seeds.generator(seed)

    def _noisy(self, x: Array) -> tuple[Array, Array | None]:
        """Return y and the factor, None for a factor of 1."""
        raise NotImplementedError

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        y, factor = self._noisy(x) if acts_as_in_training(training) else (x, None)
        self._tape.append(factor)
        return y

    def generators(self) -> dict[str, seeds.Generator]:
        return {**super().generators(), "_rng": self._rng}

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        factor = self._take_saved()
        if not need_dx:
            return None
        return dy if factor is None else dy * factor


class GaussianNoise(Noisy):
    """Add normal noise in training: y = x + stddev * n, n from N(0, 1). Outside training y = x.

    Args:
        stddev: standard deviation of the noise, at least 0.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `stddev` is not a number of at least 0.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.GaussianNoise(0.1)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
    """

    @checked
    def __init__(self, stddev: NonNegative, seed: Seed | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = fraction("stddev", stddev)

    def _noisy(self, x: Array) -> tuple[Array, Array | None]:
        if not self.stddev:
            return x, None
        noise: Any = self._rng.standard_normal(x.shape, dtype=x.dtype.type)
        return x + x.dtype.type(self.stddev) * noise, None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Noisy):
    """Multiply x by normal noise of mean 1 and variance rate / (1 - rate) in training.

    The output has the shape of x. Outside training it is x.

    Args:
        rate: sets the variance like the drop probability of `Dropout`, from 0 to below 1.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `rate` is not in [0, 1).

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.GaussianDropout(0.5)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting, section 10.
    """

    @checked
    def __init__(self, rate: Rate, seed: Seed | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _below_one(rate)

    def _noisy(self, x: Array) -> tuple[Array, Array | None]:
        if not self.rate:
            return x, None
        kind = x.dtype.type
        draw: Any = self._rng.standard_normal(x.shape, dtype=kind)
        factor = kind(1) + kind(math.sqrt(self.rate / (1 - self.rate))) * draw
        return x * factor, factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(Noisy):
    """Dropout that keeps mean 0 and variance 1, for networks with the SELU activation.

    y = a * (x * k + alpha' * (1 - k)) + b in training, where k is 0 with probability `rate`, else 1, alpha' is the
    negative limit of SELU, and a and b restore mean and variance. The output has the shape of x. Outside training it is
    x.

    Args:
        rate: probability with which a value is dropped, from 0 to below 1.
        noise_shape: shape of the random mask, as in `Dropout`.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `rate` is not in [0, 1), or `noise_shape` does not broadcast with x.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.AlphaDropout(0.5)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)

    Source: Klambauer et al. 2017, Self-normalizing neural networks, section 2.
    """

    @checked
    def __init__(
        self,
        rate: Rate,
        noise_shape: Annotated[Sequence[int | None], Unchecked(allowed="list")] | None = None,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _below_one(rate)
        self.noise_shape = checked_noise_shape(noise_shape)

    def _noisy(self, x: Array) -> tuple[Array, Array | None]:
        if not self.rate:
            return x, None
        kind = x.dtype.type
        draw: Any = self._rng.random(noise_sizes(self.noise_shape, x.shape), dtype=kind)
        keep = (draw >= kind(self.rate)).astype(kind)
        limit = -_SELU_ALPHA * _SELU_SCALE
        a = ((1 - self.rate) * (1 + self.rate * limit**2)) ** -0.5
        factor = keep * kind(a)
        return x * factor + (kind(a * limit) * (1 - keep) - kind(a * limit * self.rate)), factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


def _below_one(rate: Any) -> float:
    """Return a rate below 1."""
    if fraction("rate", rate) == 1:
        raise ValueError("rate must be less than 1, got 1")
    return float(rate)
