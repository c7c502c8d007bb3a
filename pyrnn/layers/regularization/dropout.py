"""Dropout, SpatialDropout1D and ActivityRegularization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pyrnn import regularizers, seeds
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.core.dense import Identity
from pyrnn.layers.settings import dropout_scale, fraction, standard_shape
from pyrnn.plan import acts_as_in_training
from pyrnn.rules import Unchecked
from pyrnn.typing import DtypeLike, Name, NonNegative, Rate, Seed

__all__ = ["ActivityRegularization", "Dropout", "SpatialDropout1D"]


def noise_sizes(noise_shape: Shape | None, shape: Shape) -> Shape:
    """The shape of the noise for x of `shape`; `noise_shape` None means that of x."""
    if noise_shape is None:
        return shape
    if len(noise_shape) != len(shape):
        raise ValueError(f"noise_shape must have the {len(shape)} axes of x, got {noise_shape}")
    if any(size not in (None, 1, of_x) for size, of_x in zip(noise_shape, shape, strict=True)):
        raise ValueError(f"each size of noise_shape must be 1, None or that of x, {shape}, got {noise_shape}")
    return tuple(have if want is None else want for have, want in zip(shape, noise_shape, strict=True))


def checked_noise_shape(noise_shape: Any) -> Shape | None:
    """`noise_shape` as a tuple of positive sizes and Nones."""
    if noise_shape is None:
        return None
    shape = standard_shape("noise_shape", noise_shape)
    if 0 in shape:
        raise ValueError(f"noise_shape must hold positive sizes or None, got {shape}")
    return shape


class Dropout(Layer):
    """Set a fraction of the values to 0 in training and scale the others by 1 / (1 - rate).

    The output has the shape of x. Outside training it is x.

    Args:
        rate: probability with which a value is dropped, from 0 to 1.
        noise_shape: shape of the random mask, which broadcasts with x: 1 where values along an axis are dropped
            together, None where the axis has the size of x. By default each value is dropped by itself.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `rate` is not in [0, 1], or `noise_shape` does not broadcast with x.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> sorted(set(layers.Dropout(0.5, seed=1)(np.ones((4, 8)), training=True).ravel().tolist()))
        [0.0, 2.0]

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.
    """

    supports_masking = True
    per_step = True

    @checked
    def __init__(
        self,
        rate: Rate,
        noise_shape: Annotated[Sequence[int | None], Unchecked(allowed="list")] | None = None,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = fraction("rate", rate)
        self.noise_shape = checked_noise_shape(noise_shape)
        self.seed = seed
        self._rng = seeds.generator(seed)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if not training:
            return x
        scale = None
        if self.rate and acts_as_in_training(training):
            scale = dropout_scale(self._rng, noise_sizes(self.noise_shape, x.shape), self.rate, self.dtype)
        self._tape.append(scale)
        return x if scale is None else x * scale

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        scale = self._take_saved()
        if not need_dx:
            return None
        return dy if scale is None else dy * scale

    def generators(self) -> dict[str, seeds.Generator]:
        return {**super().generators(), "_rng": self._rng}

    def stream_into(self, stream: Any) -> None:
        """Nothing to do outside of training."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


class SpatialDropout1D(Dropout):
    """Drop whole channels in training: x (B, T, C), the same channels at all time steps of a row.

    Args:
        rate: probability with which a channel is dropped, from 0 to 1.
        seed: seed of this layer's random stream, an integer of at least 0, or None to derive one from
            `pyrnn.utils.set_random_seed`.
        name: name of the layer, or None for a generated one.
        dtype: "float32", "float64" or None for the default.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `rate` is not in [0, 1].

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> y = layers.SpatialDropout1D(0.5, seed=1)(np.ones((1, 5, 8)), training=True)
        >>> bool((y == y[:, :1]).all())
        True

    Source: Tompson et al. 2015, Efficient object localization using convolutional networks.
    """

    axes = ("batch", "time", "channels")

    @checked
    def __init__(
        self, rate: Rate, seed: Seed | None = None, name: Name | None = None, dtype: DtypeLike = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, (None, 1, None), seed, name=name, dtype=dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class ActivityRegularization(Identity):
    """Return x unchanged and add a penalty on it to the loss.

    The penalty is (l1 * sum(|x|) + l2 * sum(x ** 2)) / B.

    Args:
        l1: factor of the absolute values, at least 0.
        l2: factor of the squares, at least 0.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if a factor is not a number of at least 0.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.ActivityRegularization(l2=0.01)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
    """

    @checked
    def __init__(self, l1: NonNegative | None = 0.0, l2: NonNegative | None = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return {**config, "l1": self.l1, "l2": self.l2}
