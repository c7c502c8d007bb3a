"""BatchNormalization."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.arrays import as_array
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.normalization.layer import ScaledLayer
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.plan import acts_as_in_training
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import Dict, Omitted
from pyrnn.typing import Axis, Flag, NonNegative, Rate
from pyrnn.validation import shown

__all__ = ["BatchNormalization"]

# Keras's small number in the moments of masked steps.
_MASK_EPSILON = 1e-7

_MOVING_MEAN = WeightSpec("moving_mean", kinds=("initializer",))
_MOVING_VARIANCE = WeightSpec("moving_variance", kinds=("initializer",))
_RENORM_MEAN = WeightSpec("renorm_mean", "moving_mean", kinds=("initializer",))


class BatchNormalization(ScaledLayer):
    """Normalize each feature over the batch and its time steps.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta. Training uses the moments of the batch and updates the
    moving ones, m = momentum * m + (1 - momentum) * batch moment; otherwise, or with `trainable=False`, the moving
    moments are used. Masked steps are normalized but do not count in the moments. The output has the shape of x.

    Args:
        axis: axis of the features, along which moments, gamma and beta are separate.
        momentum: weight of the old moving moments, from 0 to 1.
        epsilon: number of at least 0 that is added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer: name or object of `pyrnn.initializers`, for beta.
        gamma_initializer: name or object of `pyrnn.initializers`, for gamma.
        moving_mean_initializer: name or object of `pyrnn.initializers`, for the moving mean.
        moving_variance_initializer: name or object of `pyrnn.initializers`, for the moving variance.
        beta_regularizer: name or object of `pyrnn.regularizers`, for beta, or None.
        gamma_regularizer: name or object of `pyrnn.regularizers`, for gamma, or None.
        beta_constraint: name or object of `pyrnn.constraints`, applied to beta after each step, or None.
        gamma_constraint: name or object of `pyrnn.constraints`, applied to gamma after each step, or None.
        renorm: whether training corrects the batch moments towards the moving ones (batch renormalization).
        renorm_clipping: dict with any of "rmax", "rmin" and "dmax", the limits of this correction, or None for no
            limits.
        renorm_momentum: `momentum` of the moments that the correction uses, from 0 to 1.
        synchronized: must be False: training runs in one process.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of the axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.BatchNormalization()(np.array([[0.0], [2.0]]), training=True).round(2)
        array([[-1.],
               [ 1.]], dtype=float32)

    Source: Ioffe and Szegedy 2015, Batch normalization; Ioffe 2017, Batch renormalization.
    """

    moving_mean: Weight
    moving_variance: Weight
    moving_stddev: Weight
    renorm_mean: Weight
    renorm_stddev: Weight

    @checked
    def __init__(
        self,
        axis: Axis = -1,
        momentum: Rate = 0.99,
        epsilon: NonNegative = 1e-3,
        center: Flag = True,
        scale: Flag = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        renorm: Flag = False,
        renorm_clipping: Annotated[Mapping[str, float], Dict()] | None = None,
        renorm_momentum: Rate = 0.99,
        synchronized: Annotated[bool, Omitted(False)] = False,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        super().__init__(arguments, **kwargs)
        self.axis = int(axis)
        self.momentum = float(momentum)
        _MOVING_MEAN.read(self, arguments)
        _MOVING_VARIANCE.read(self, arguments)
        self.renorm = bool(renorm)
        self.renorm_momentum = float(renorm_momentum)
        self.renorm_clipping = dict(renorm_clipping or {}) if self.renorm else renorm_clipping
        if self.renorm:
            limits = self.renorm_clipping or {}
            if set(limits) - {"rmax", "rmin", "dmax"}:
                raise ValueError(
                    f"renorm_clipping must be a dict with keys rmax, rmin or dmax, got {shown(renorm_clipping)}"
                )
            if limits.get("rmax", np.inf) < limits.get("rmin", 0):
                raise ValueError(f"rmax of renorm_clipping must be at least rmin, got {shown(renorm_clipping)}")
            if limits.get("dmax", 0) < 0:
                raise ValueError(f"dmax of renorm_clipping must be at least 0, got {shown(renorm_clipping)}")

    def build(self, input_shape: Shape) -> None:
        shape = self._fix([self.axis], input_shape)
        self._add_scale(shape, self.scale, self.center)

        self.moving_mean = _MOVING_MEAN.add(self, shape, trainable=False)
        self.moving_variance = _MOVING_VARIANCE.add(self, shape, trainable=False)
        if self.renorm:
            self.moving_stddev = self.add_weight(shape, name="moving_stddev", initializer="zeros", trainable=False)
            self.renorm_mean = _RENORM_MEAN.add(self, shape, trainable=False)
            self.renorm_stddev = self.add_weight(shape, name="renorm_stddev", initializer="zeros", trainable=False)
            for weight in (self.moving_stddev, self.renorm_stddev):
                weight.assign(np.sqrt(self.moving_variance.array))

    def _wide(self, values: Any, rank: int) -> Array:
        """One value a feature, shaped to go with x."""
        sizes = [1] * rank
        sizes[self._positions[0]] = -1
        return np.asarray(values).reshape(sizes)

    def _move(self, weight: Weight, value: Array, momentum: float) -> None:
        kind = weight.array.dtype.type
        weight.overwrite(weight.array * kind(momentum) + value * kind(1 - momentum))

    def _renormed(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """r and d of the correction, constant in the gradient; moves the renorm statistics."""
        kind = mean.dtype.type
        limits = self.renorm_clipping or {}
        stddev = np.sqrt(variance + kind(self.epsilon))
        below = np.maximum(self.renorm_stddev.array, np.sqrt(kind(self.epsilon)))
        r, d = stddev / below, (mean - self.renorm_mean.array) / below
        if limits.get("rmin") is not None or limits.get("rmax") is not None:
            r = np.clip(r, limits.get("rmin"), limits.get("rmax"))
        if limits.get("dmax") is not None:
            d = np.clip(d, -limits["dmax"], limits["dmax"])
        self._move(self.renorm_mean, mean, self.renorm_momentum)
        self._move(self.renorm_stddev, stddev, self.renorm_momentum)
        self._move(self.moving_mean, mean, self.momentum)
        self._move(self.moving_stddev, stddev, self.momentum)
        square = np.square(self.moving_stddev.array)
        self.moving_variance.overwrite(np.maximum(square - kind(self.epsilon), 0))
        return r.astype(mean.dtype), d.astype(mean.dtype)

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """Convert and check a mask, whose axes of size 1 go with any size.

        Args:
            mask: array of booleans or numbers (B, ...), with one axis less than x.
            x: the input (B, ...).

        Returns:
            The mask as a C-contiguous boolean array.

        Raises:
            TypeError, ValueError: if it is not such an array.
        """
        array = as_array("mask", mask)
        if array.ndim == x.ndim - 1 and 1 in array.shape[1:]:
            with contextlib.suppress(ValueError):  # the base class explains
                array = np.broadcast_to(array, x.shape[:-1])
        return super().checked_mask(array, x)

    def _counted(self, x: Array, mask: Array | None) -> tuple[Array | None, Any]:
        """The mask shaped to go with x, and 1 over the number of values a feature has."""
        if not x.size:
            raise ValueError(f"x of BatchNormalization must hold at least one value in training, got shape {x.shape}")
        if mask is None:
            return None, x.dtype.type(x.shape[self._positions[0]] / x.size)
        if mask.ndim != x.ndim - 1:
            raise ValueError(f"mask must have one axis less than x of shape {x.shape}, got shape {mask.shape}")
        wide = np.broadcast_to(mask[..., None], x.shape)
        count = wide.sum(axis=self._others(x.ndim), keepdims=True, dtype=x.dtype)
        return wide, 1 / (count + x.dtype.type(_MASK_EPSILON))

    def _others(self, rank: int) -> tuple[int, ...]:
        return tuple(each for each in range(rank) if each != self._positions[0])

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        kind, rank = x.dtype.type, x.ndim
        of_batch = self.trainable and acts_as_in_training(training)
        gamma: Any = None if self.gamma is None else self._wide(self.gamma.array, rank)
        wide: Array | None = None
        share: Any = None
        r = d = None
        if of_batch:
            others = self._others(rank)
            wide, share = self._counted(x, mask)
            mean = (x if wide is None else np.where(wide, x, kind(0))).sum(axis=others, keepdims=True) * share
            centred = x - mean
            counted = centred if wide is None else np.where(wide, centred, kind(0))
            variance = np.square(counted).sum(axis=others, keepdims=True) * share
            if self.renorm:
                r, d = (self._wide(each, rank) for each in self._renormed(mean.ravel(), variance.ravel()))
            else:
                self._move(self.moving_mean, mean.ravel(), self.momentum)
                self._move(self.moving_variance, variance.ravel(), self.momentum)
        else:
            centred = x - self._wide(self.moving_mean.array, rank)
            variance = self._wide(self.moving_variance.array, rank)
        factor = 1 / np.sqrt(variance + kind(self.epsilon))
        normal = centred * factor
        corrected: Array = normal if r is None else normal * r + d
        if training:
            self._tape.append((normal, corrected, factor, of_batch, wide, share, r))
        y = corrected if gamma is None else corrected * gamma
        return y if self.beta is None else y + self._wide(self.beta.array, rank)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        normal, corrected, factor, of_batch, wide, share, r = self._take_saved()
        others = self._others(dy.ndim)
        if self.beta is not None:
            self.beta.gradient[...] = dy.sum(axis=others)
        if self.gamma is not None:
            self.gamma.gradient[...] = (dy * corrected).sum(axis=others)
            dy = dy * self._wide(self.gamma.array, dy.ndim)
        if not need_dx:
            return None
        if r is not None:
            dy = dy * r
        direct: Array = dy * factor
        if not of_batch:
            return direct
        counted = normal if wide is None else np.where(wide, normal, normal.dtype.type(0))
        # With Keras's small number in the masked count, the centred values that count do not quite sum to 0.
        rest = counted.sum(axis=others, keepdims=True) * share
        by_variance = (dy * normal).sum(axis=others, keepdims=True) * share
        by_mean = dy.sum(axis=others, keepdims=True) * share - by_variance * rest
        through = (by_mean + by_variance * normal) * factor
        dx: Array = direct - (through if wide is None else np.where(wide, through, through.dtype.type(0)))
        return dx

    def stream_into(self, stream: Any) -> None:
        if stream.time_axis in self._positions:
            raise self._not_streamed(f"it normalizes along axis {self.axis}, which is time")
        if self._positions != (stream.rank - 1,):
            stream.add_step(self)
            return
        factor = 1 / np.sqrt(self.moving_variance.array + np.dtype(self.dtype).type(self.epsilon))
        factor = factor if self.gamma is None else factor * self.gamma.array
        stream.add_affine(self.moving_mean.array, factor, None if self.beta is None else self.beta.array)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            **specs_config(self, _MOVING_MEAN, _MOVING_VARIANCE),
            "synchronized": False,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }
