"""BatchNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import constraints, initializers, regularizers
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.parameters import Weight

# Keeps the mean of a batch that is wholly masked finite, as in Keras.
_TINY = 1e-7


class BatchNormalization(Layer):
    """Each feature to mean 0 and variance 1 over the batch (and time), then gamma times it plus beta.

    In training by the batch's own statistics, which moving averages follow; outside of it, and while `trainable` is
    False, by those averages. Masked steps do not count in the statistics. Weights: gamma, beta, moving_mean,
    moving_variance. Arguments and defaults are Keras's. Source: Ioffe and Szegedy 2015.
    """

    supports_masking = True
    min_rank = 2

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if renorm or renorm_clipping is not None or synchronized:
            raise ValueError("BatchNormalization has no renorm and no synchronized here: leave them out")
        axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis  # Keras 2's files hold a list
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm_momentum = renorm_momentum
        self.gamma: Weight | None = None
        self.beta: Weight | None = None
        self.moving_mean: Weight
        self.moving_variance: Weight
        # (normal, factor, weights of the steps and their sum, or None where the averages were used)
        self._saved: tuple[Array, Array, tuple[Any, float] | None] | None = None

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if not -len(shape) <= self.axis < len(shape) or self.axis % len(shape) == 0:
            raise ValueError(f"axis must be one of x of shape {shape} other than the first, got {self.axis}")

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[self.axis]
        if features is None:
            raise ValueError(f"BatchNormalization must know the size of axis {self.axis}, got x of shape {input_shape}")
        if self.scale:
            self.gamma = self.add_weight(
                (features,),
                "gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                (features,),
                "beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            (features,), "moving_mean", initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            (features,), "moving_variance", initializer=self.moving_variance_initializer, trainable=False
        )

    def _along(self, x: Array, values: Array) -> Array:
        """Values (features,) in a shape that broadcasts along `axis` of x."""
        shape = [1] * x.ndim
        shape[self.axis] = -1
        return values.reshape(shape)

    def _others(self, x: Array) -> tuple[int, ...]:
        return tuple(axis for axis in range(x.ndim) if axis != self.axis % x.ndim)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        learning = training and self.trainable
        if not learning:
            mean, variance = self.moving_mean.array, self.moving_variance.array
        else:
            others = self._others(x)
            if mask is None:
                weights, count = None, float(x.size // x.shape[self.axis])
                mean = x.mean(axis=others)
                variance = np.square(x - self._along(x, mean)).mean(axis=others)
            else:
                weights = np.broadcast_to(mask[..., None], x.shape).astype(x.dtype)
                count = float(mask.sum()) + _TINY
                mean = (x * weights).sum(axis=others) / x.dtype.type(count)
                variance = (np.square(x - self._along(x, mean)) * weights).sum(axis=others) / x.dtype.type(count)
            keep = x.dtype.type(self.momentum)
            for moving, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving.array * keep + seen * (1 - keep))
        factor = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        normal: Array = (x - self._along(x, mean)) * self._along(x, factor)
        if training:
            self._saved = (normal, factor, (weights, count) if learning else None)
        y = normal if self.gamma is None else normal * self._along(x, self.gamma.array)
        return y if self.beta is None else y + self._along(x, self.beta.array)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._saved is not None, "backward() follows forward(training=True)"
        normal, factor, batch = self._saved
        others = self._others(dy)
        total, along_normal = dy.sum(axis=others), (dy * normal).sum(axis=others)
        if self.beta is not None:
            self.beta.gradient[...] = total
        if self.gamma is not None:
            self.gamma.gradient[...] = along_normal
            factor = factor * self.gamma.array
        if not need_dx:
            return None
        if batch is not None:
            weights, count = batch
            share = dy.dtype.type(1 / count)
            pull = self._along(dy, total * share) + normal * self._along(dy, along_normal * share)
            dy = dy - (pull if weights is None else pull * weights)
        return dy * self._along(dy, factor)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            "renorm": False,
            "renorm_clipping": None,
            "renorm_momentum": self.renorm_momentum,
            "synchronized": False,
        }
