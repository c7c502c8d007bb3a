"""Dropout, whole features of it (SpatialDropout1D), and ActivityRegularization."""

from __future__ import annotations

from typing import Any

from pyrnn import regularizers, seeds
from pyrnn.layers.base import Array, Layer, dropout_scale, fraction, noise_sizes, standard_shape


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
        self._scale = dropout_scale(self._rng, noise_sizes(self.noise_shape, x.shape), self.rate, self.dtype)
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


class SpatialDropout1D(Dropout):
    """Dropout of whole features: a feature of x (batch, time, features) is dropped at all steps or at none.

    Source: Tompson et al. 2015.
    """

    axes = ("batch", "time", "features")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, noise_shape=(None, 1, None), seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"], config["trainable"]  # Keras's has neither and takes no more
        return config


class ActivityRegularization(Layer):
    """x as it is, with the penalty l1 * sum(|x|) + l2 * sum(x**2) over the batch size."""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = float(l1), float(l2)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return x

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy if need_dx else None

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config
