"""LayerNormalization and GroupNormalization: each sample by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from pyrnn import backend
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import Either, OneOf, Whole
from pyrnn.typing import Axes, Axis, Flag, NonNegative
from pyrnn.validation import WrongType, shown

__all__ = ["GroupNormalization", "LayerNormalization"]

_BETA, _GAMMA = WeightSpec("beta"), WeightSpec("gamma")


def axis_list(axis: Any) -> list[int]:
    """The axes of an integer or a list of them."""
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if not axes or any(isinstance(each, bool) or not hasattr(each, "__index__") for each in axes):
        raise WrongType(f"axis must be an integer or a list of integers, got {shown(axis)}")
    return [int(each) for each in axes]


def positions(axes: Sequence[int], shape: Shape, argument: str = "axis") -> tuple[int, ...]:
    """`axes` counted from 0, for x of `shape`."""
    result = tuple(each % len(shape) for each in axes if -len(shape) <= each < len(shape))
    if len(set(result)) != len(axes):
        raise ValueError(f"{argument} must name different axes of x of shape {tuple(shape)}, got {list(axes)}")
    return result


class AxisLayer(Layer):
    """A layer with weights along some axes of x; the sizes of these axes, and the rank, stay those it was built for."""

    min_rank = 2
    per_step = True
    _positions: tuple[int, ...] = ()
    _broadcast: Shape = ()

    def _fix(self, axes: Sequence[int], shape: Shape) -> tuple[int, ...]:
        """Sizes of `axes`, which from now on must not change."""
        self._positions = positions(axes, shape)
        sizes = tuple(shape[each] for each in self._positions)
        if None in sizes:
            raise ValueError(
                f"{type(self).__name__} must know the size of x along axis {list(axes)}, "
                f"got x of shape {tuple(shape)}: set it in Input(shape)"
            )
        return sizes

    # Whether x may have another rank than it was built for, if the only axis is the last one.
    takes_ranks: ClassVar[bool] = False

    @property
    def _is_last(self) -> bool:
        """Whether the only axis is the last one, whatever the rank of x."""
        return self.build_shape is not None and self._positions == (len(self.build_shape) - 1,)

    def _spread(self, array: Array) -> Array:
        """An array of the sizes of the axes, shaped to go with x."""
        return array if self._is_last else array.reshape(self._broadcast)

    def _positions_in(self, rank: int) -> tuple[int, ...]:
        """The axes in an x of this rank."""
        return (rank - 1,) if self._is_last else self._positions

    def check_input(self, shape: Shape) -> None:
        built = self.build_shape
        if built is None:
            super().check_input(shape)
        elif self.takes_ranks and self._is_last and len(shape) >= self.min_rank:
            if shape[-1] != built[-1]:
                raise ValueError(f"{type(self).__name__} expects x of a shape like {built}, got {tuple(shape)}")
        elif len(shape) != len(built) or any(shape[each] != built[each] for each in self._positions):
            raise ValueError(f"{type(self).__name__} expects x of a shape like {built}, got {tuple(shape)}")

    def stream_into(self, stream: Any) -> None:
        if self.per_step and stream.time_axis in self._positions:
            raise self._not_streamed(f"it normalizes along the axes {list(self._positions)}, of which 1 is time")
        super().stream_into(stream)


class ScaledLayer(AxisLayer):
    """What the normalizing layers share: gamma and beta."""

    supports_masking = True
    gamma: Weight | None
    beta: Weight | None

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = float(arguments["epsilon"])
        self.center, self.scale = bool(arguments["center"]), bool(arguments["scale"])
        _BETA.read(self, arguments)
        _GAMMA.read(self, arguments)
        self.gamma = self.beta = None

    def _add_scale(self, shape: tuple[int, ...], scale: bool, center: bool) -> None:
        """Create gamma if `scale`, beta if `center`."""
        if scale:
            self.gamma = _GAMMA.add(self, shape)
        if center:
            self.beta = _BETA.add(self, shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **specs_config(self, _BETA, _GAMMA),
        }


def _centred_gradient(dy: Array, normal: Array, factor: Array, axes: tuple[int, ...]) -> Array:
    """dx of normal = (x - mean) * factor, factor = 1 / sqrt(variance + epsilon), moments over `axes`."""
    along = normal * (dy * normal).mean(axis=axes, keepdims=True)
    dx: Array = (dy - dy.mean(axis=axes, keepdims=True) - along) * factor
    return dx


class LayerNormalization(ScaledLayer):
    """Normalize each sample and time step over its features.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the moments over `axis`. The output has the shape of
    x; gamma and beta have the sizes of `axis`.

    Args:
        axis: axis or list of axes to normalize over.
        epsilon: number of at least 0 that is added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer: name or object of `pyrnn.initializers`, for beta.
        gamma_initializer: name or object of `pyrnn.initializers`, for gamma.
        beta_regularizer: name or object of `pyrnn.regularizers`, for beta, or None.
        gamma_regularizer: name or object of `pyrnn.regularizers`, for gamma, or None.
        beta_constraint: name or object of `pyrnn.constraints`, applied to beta after each step, or None.
        gamma_constraint: name or object of `pyrnn.constraints`, applied to gamma after each step, or None.
        rms_scaling: y = gamma * x / sqrt(variance + epsilon), always with gamma and without beta. Deprecated in Keras;
            use `RMSNormalization`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of an axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]]))
        array([[-1.,  1.]], dtype=float32)

    Source: Ba, Kiros and Hinton 2016, Layer normalization.
    """

    takes_ranks = True

    @checked
    def __init__(
        self,
        axis: Axes = -1,
        epsilon: NonNegative = 1e-3,
        center: Flag = True,
        scale: Flag = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        rms_scaling: Flag = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)
        self.rms_scaling = bool(rms_scaling)
        axes = axis_list(axis)
        self.axis = axes if isinstance(axis, (list, tuple)) else axes[0]
        self._broadcast: Shape = ()

    def _arrays(self, name: str) -> tuple[Array | None, Array | None]:
        """`array` or `gradient` of gamma and beta, None where there is none."""
        gamma, beta = (None if weight is None else getattr(weight, name) for weight in (self.gamma, self.beta))
        return gamma, beta

    def build(self, input_shape: Shape) -> None:
        self.axis = sorted(axis_list(self.axis))
        sizes = self._fix(self.axis, input_shape)
        fixed = self._positions
        self._broadcast = tuple(size if each in fixed else 1 for each, size in enumerate(input_shape))
        self._add_scale(sizes, self.scale or self.rms_scaling, self.center and not self.rms_scaling)

    def _by_kernel(self, rank: int) -> bool:
        """Whether the kernel normalizes: it knows the last axis only."""
        return self._positions_in(rank) == (rank - 1,) and not self.rms_scaling

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        axes = self._positions_in(x.ndim)
        if self._by_kernel(x.ndim):
            y, saved = backend.layer_norm_forward(x, *self._arrays("array"), epsilon=self.epsilon, training=training)
            if training:
                self._tape.append(saved)
            return y
        centred = x - x.mean(axis=axes, keepdims=True)
        factor = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + x.dtype.type(self.epsilon))
        normal: Array = centred * factor
        scaled: Array = x * factor if self.rms_scaling else normal
        if training:
            self._tape.append((normal, factor, scaled))
        y = scaled if self.gamma is None else scaled * self._spread(self.gamma.array)
        return y if self.beta is None else y + self._spread(self.beta.array)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._by_kernel(dy.ndim):
            saved = self._take_saved()
            d_gamma, d_beta = self._arrays("gradient")
            return backend.layer_norm_backward(
                np.ascontiguousarray(dy), saved, self._arrays("array")[0], d_gamma=d_gamma, d_beta=d_beta,
                need_dx=need_dx,
            )  # fmt: skip
        normal, factor, scaled = self._take_saved()
        axes = self._positions_in(dy.ndim)
        others = tuple(each for each in range(dy.ndim) if each not in axes)
        if self.beta is not None:
            self.beta.gradient[...] = dy.sum(axis=others).reshape(self.beta.shape)
        if self.gamma is not None:
            self.gamma.gradient[...] = (dy * scaled).sum(axis=others).reshape(self.gamma.shape)
            dy = dy * self._spread(self.gamma.array)
        if self.rms_scaling:
            along = normal * (dy * scaled).mean(axis=axes, keepdims=True)
            return (dy - along) * factor if need_dx else None
        return _centred_gradient(dy, normal, factor, axes) if need_dx else None

    def stream_into(self, stream: Any) -> None:
        if self._positions != (stream.rank - 1,) or self.rms_scaling or len(stream.shape) != 1:
            super().stream_into(stream)
        else:
            stream.add_layer_norm(*self._arrays("array"), self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "rms_scaling": self.rms_scaling}


class GroupNormalization(ScaledLayer):
    """Normalize each sample over groups of neighbouring channels and all time steps.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the moments of a group of a sample. The output has
    the shape of x; gamma and beta have one value per channel.

    Args:
        groups: number of groups, which must divide the number of channels; -1 means one channel per group.
        axis: axis of the channels.
        epsilon: number of at least 0 that is added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer: name or object of `pyrnn.initializers`, for beta.
        gamma_initializer: name or object of `pyrnn.initializers`, for gamma.
        beta_regularizer: name or object of `pyrnn.regularizers`, for beta, or None.
        gamma_regularizer: name or object of `pyrnn.regularizers`, for gamma, or None.
        beta_constraint: name or object of `pyrnn.constraints`, applied to beta after each step, or None.
        gamma_constraint: name or object of `pyrnn.constraints`, applied to gamma after each step, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or `groups` does not divide the number of channels.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.GroupNormalization(2, epsilon=0.0)(np.array([[1.0, 3.0, 5.0, 9.0]]))
        array([[-1.,  1., -1.,  1.]], dtype=float32)

    Source: Wu and He 2018, Group normalization.
    """

    per_step = False
    not_streamed = "its moments run over all steps"

    @checked
    def __init__(
        self,
        groups: Annotated[int, Either(OneOf(-1), Whole(1))] = 32,
        axis: Axis = -1,
        epsilon: NonNegative = 1e-3,
        center: Flag = True,
        scale: Flag = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)
        if isinstance(groups, bool) or not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(f"groups must be a positive integer or -1, got {shown(groups)}")
        self.groups = groups
        (self.axis,) = axis_list([axis])

    def build(self, input_shape: Shape) -> None:
        (channels,) = self._fix([self.axis], input_shape)
        if self._positions == (0,):
            raise ValueError("axis of GroupNormalization must not be the batch axis, got 0")
        self.groups = channels if self.groups == -1 else self.groups
        if not self.groups or channels % self.groups:
            raise ValueError(f"channels of x must be a multiple of groups = {self.groups}, got {channels}")
        self._add_scale((channels,), self.scale, self.center)

    def _channels_first(self, x: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(x, self._positions[0], 1))

    def _back(self, x: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(x, 1, self._positions[0]))

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if 0 in x.shape[1:]:
            raise ValueError(f"GroupNormalization needs at least one value per sample, got x of shape {x.shape}")
        first = self._channels_first(x)
        grouped = first.reshape(len(x), self.groups, math.prod(first.shape[1:]) // self.groups)
        centred = grouped - grouped.mean(axis=-1, keepdims=True)
        factor = 1 / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + x.dtype.type(self.epsilon))
        normal: Array = centred * factor
        if training:
            self._tape.append((normal, factor))
        y = normal.reshape(first.shape)
        sizes = (-1,) + (1,) * (x.ndim - 2)
        if self.gamma is not None:
            y = y * self.gamma.array.reshape(sizes)
        if self.beta is not None:
            y = y + self.beta.array.reshape(sizes)
        return self._back(y)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        normal, factor = self._take_saved()
        first = self._channels_first(dy)
        others = (0, *range(2, dy.ndim))
        if self.beta is not None:
            self.beta.gradient[...] = first.sum(axis=others)
        if self.gamma is not None:
            self.gamma.gradient[...] = (first * normal.reshape(first.shape)).sum(axis=others)
            first = first * self.gamma.array.reshape((-1,) + (1,) * (dy.ndim - 2))
        if not need_dx:
            return None
        dx = _centred_gradient(first.reshape(normal.shape), normal, factor, (-1,))
        return self._back(dx.reshape(first.shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
