"""Concatenate and Dot, and their function forms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.merging.base import Masks, Merging
from pyrnn.rules import Either, ListOf, Whole
from pyrnn.typing import Axis, Flag, Inputs
from pyrnn.validation import shown

__all__ = ["Concatenate", "Dot", "concatenate", "dot"]

_AXIS = Whole(-32, 32)
# Keras's smallest length of a vector that is normalized.
_EPSILON = 1e-7
DotAxes = Annotated[int | Sequence[int], Either(_AXIS, ListOf(_AXIS))]


class Concatenate(Merging):
    """Join inputs along an axis.

    Inputs (B, ...) have the same sizes along all other axes. Along the axis of time masks are joined too, where an
    input without a mask counts as a whole; otherwise a step counts if it counts in one of the inputs.

    Args:
        axis: the axis along which the inputs are joined; negative ones count from the end.
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        TypeError, ValueError: if `axis` is not an axis of the inputs, or their other sizes differ.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Concatenate()([np.zeros((2, 5, 3)), np.zeros((2, 5, 1))]).shape
        (2, 5, 4)
    """

    supports_masking = True

    @checked
    def __init__(self, axis: Axis = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self._workspace = backend.Workspace()

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        first = shape[0]
        if any(len(each) != len(first) for each in shape) or not -len(first) <= self.axis < len(first):
            raise ValueError(
                f"Concatenate must join inputs of the same number of axes along axis {self.axis}, "
                f"got shapes {', '.join(map(str, shape))}"
            )
        for axis, sizes in enumerate(zip(*shape, strict=True)):
            if axis != self.axis % len(first) and len(set(sizes) - {None}) > 1:
                raise ValueError(
                    f"Concatenate must join inputs of the same sizes along all axes but {self.axis}, "
                    f"got shapes {', '.join(map(str, shape))}"
                )

    def compute_output_shape(self, input_shape: Any) -> Shape:
        axis = self.axis % len(input_shape[0])
        sizes = [
            next((size for size in sizes if size is not None), None) if each == axis else sizes[0]
            for each, sizes in enumerate(zip(*input_shape, strict=True))
        ]
        joined = [shape[axis] for shape in input_shape]
        sizes[axis] = None if None in joined else sum(joined)
        return tuple(sizes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask for the next layer.

        Args:
            inputs: a list of arrays (B, T, ...).
            mask: a list with a mask (B, T) for each of them, or None in its place.

        Returns:
            The mask of the output, or None if no input has one.
        """
        listed = self._listed_masks(inputs, mask)
        if listed is None or all(each is None for each in listed):
            return None
        rank = next(each.ndim for each in listed if each is not None)
        masks = [
            np.ones(x.shape[:rank], bool) if each is None else each for x, each in zip(inputs, listed, strict=True)
        ]
        axis = self.axis % inputs[0].ndim
        return np.concatenate(masks, axis) if axis < rank else functools.reduce(np.logical_or, masks)

    def forward(self, *xs: Array, training: bool = False, mask: Masks | None = None, **options: Any) -> Array:
        if training:
            self._tape.append([x.shape[self.axis] for x in xs])
        shape = list(xs[0].shape)
        shape[self.axis] = sum(x.shape[self.axis] for x in xs)
        return np.concatenate(xs, self.axis, out=self._workspace.array(tuple(shape), self.dtype))

    def backward(self, dy: Array, *, need_dx: bool = True) -> tuple[Array | None, ...]:
        sizes = self._take_saved()
        if not need_dx:
            return (None,) * len(sizes)
        parts = np.split(dy, np.cumsum(sizes[:-1]), self.axis)
        gradients = tuple(self._workspace.array(part.shape, self.dtype) for part in parts)
        for gradient, part in zip(gradients, parts, strict=True):
            gradient[...] = part
        return gradients

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merging):
    """Products of the vectors along an axis of one input with those along an axis of another.

    x (B, ..., n, ...) and y (B, ..., n, ...) give (B, the other axes of x, the other axes of y), or (B, 1) if there are
    no other axes.

    Args:
        axes: an axis of both inputs, or a list of an axis of the first and one of the second; negative ones count from
            the end. It must not be the batch axis.
        normalize: whether the vectors are divided by their length first, so that products are cosines.
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        TypeError, ValueError: if `axes` is not one or two axes, or their sizes differ.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Dot(axes=(2, 2))([np.zeros((1, 7, 3)), np.zeros((1, 5, 3))]).shape
        (1, 7, 5)
    """

    supports_masking = True
    least_inputs = most_inputs = 2
    inputs_named = "[x, y]"
    axes: Any

    @checked
    def __init__(self, axes: DotAxes, normalize: Flag = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axes, list | tuple) and len(axes) != 2:
            raise ValueError(f"axes must be one axis or a list of two, got {shown(axes)}")
        self.axes = axes
        self.normalize = bool(normalize)

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        first, second = self._axes(shape)
        sizes = shape[0][first], shape[1][second]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(
                f"Dot must have inputs of the same size along axes {first} and {second}, got shapes {shape[0]} and "
                f"{shape[1]}"
            )

    def _axes(self, shapes: Sequence[Shape]) -> list[int]:
        """The axes of the two inputs, counted from the front."""
        axes = self.axes if isinstance(self.axes, list | tuple) else (self.axes, self.axes)
        for axis, shape in zip(axes, shapes, strict=True):
            if not -len(shape) < axis < len(shape) or axis == 0:
                raise ValueError(
                    f"axes of Dot must be axes of the inputs other than the batch axis, got {self.axes} for shapes "
                    f"{', '.join(map(str, shapes))}"
                )
        return [axis % len(shape) for axis, shape in zip(axes, shapes, strict=True)]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        first, second = self._axes(input_shape)
        x, y = input_shape
        rest = (*x[1:first], *x[first + 1 :], *y[1:second], *y[second + 1 :])
        return (x[0], *(rest or (1,)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the output has no mask.

        Args:
            inputs: a list of arrays (B, ...).
            mask: a list of their masks (B, T), or None.
        """

    def forward(self, *xs: Array, training: bool = False, mask: Masks | None = None, **options: Any) -> Array:
        axes = self._axes([x.shape for x in xs])
        matrices, lengths = [], []
        for x, axis in zip(xs, axes, strict=True):
            matrix = np.moveaxis(x, axis, -1).reshape(len(x), -1, x.shape[axis])  # (B, M, n)
            if self.normalize:
                lengths.append(np.maximum(np.linalg.norm(matrix, axis=-1, keepdims=True), x.dtype.type(_EPSILON)))
                matrix = matrix / lengths[-1]
            matrices.append(matrix)
        y = matrices[0] @ matrices[1].transpose(0, 2, 1)
        if training:
            self._tape.append((axes, [x.shape for x in xs], matrices, lengths))
        return y.reshape(self.compute_output_shape([x.shape for x in xs]))

    def backward(self, dy: Array, *, need_dx: bool = True) -> tuple[Array | None, ...]:
        axes, shapes, (x, y), lengths = self._take_saved()
        if not need_dx:
            return (None, None)
        dy = dy.reshape(len(x), x.shape[1], y.shape[1])
        gradients = [dy @ y, dy.transpose(0, 2, 1) @ x]
        for number, (matrix, axis, shape) in enumerate(zip((x, y), axes, shapes, strict=True)):
            if lengths:
                gradients[number] = _through_length(gradients[number], matrix, lengths[number])
            rest = (*shape[:axis], *shape[axis + 1 :], shape[axis])
            gradients[number] = np.ascontiguousarray(np.moveaxis(gradients[number].reshape(rest), -1, axis))
        return tuple(gradients)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _through_length(gradient: Array, normal: Array, length: Array) -> Array:
    """Return the gradient by vectors from that by the vectors divided by their length."""
    along = (gradient * normal).sum(-1, keepdims=True) * normal
    # A vector shorter than the least length is divided by that constant.
    along = np.where(length > gradient.dtype.type(_EPSILON), along, gradient.dtype.type(0))
    result: Array = (gradient - along) / length
    return result


@checked
def concatenate(inputs: Inputs, axis: Axis = -1, **kwargs: Any) -> Any:
    """Join inputs along an axis; the function form of `Concatenate`.

    Args:
        inputs: a list of arrays (B, ...) or symbols.
        axis: the axis along which they are joined.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if the inputs do not fit each other.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.concatenate([np.zeros((2, 5, 3)), np.zeros((2, 5, 1))]).shape
        (2, 5, 4)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


@checked
def dot(inputs: Inputs, axes: DotAxes = -1, **kwargs: Any) -> Any:
    """Multiply the vectors of two inputs; the function form of `Dot`.

    Args:
        inputs: a list of two arrays (B, ...) or symbols.
        axes: an axis of both inputs, or a list of an axis of the first and one of the second.
        **kwargs: `normalize`, and `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if the inputs do not fit each other.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.dot([np.ones((2, 3)), np.ones((2, 3))], axes=1)
        array([[3.],
               [3.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)
