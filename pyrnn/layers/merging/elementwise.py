"""Add, Subtract, Multiply, Average, Maximum and Minimum, and their function forms."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from pyrnn.layers.base import Array, Shape
from pyrnn.layers.merging.base import Masks, Merging, aligned_shape
from pyrnn.typing import Inputs

__all__ = [
    "Add",
    "Average",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of an elementwise result; axes of size 1 are repeated, None is a size that is not known.

    Args:
        shapes: shapes, batch axis first; shorter ones get axes of size 1 after the batch axis.

    Returns:
        The shape of the result.

    Raises:
        ValueError: if two sizes of an axis differ.
    """
    rank = max(map(len, shapes))
    result = []
    for axis, sizes in enumerate(zip(*(aligned_shape(shape, rank) for shape in shapes), strict=True)):
        others = {size for size in sizes if size not in (None, 1)}
        if len(others) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast: their sizes differ along an axis")
        # As in Keras, an unknown size stays unknown; that of the batch is known if one input knows it.
        fixed = [size for size in sizes if size is not None]
        is_fixed = len(fixed) == len(sizes) or (axis == 0 and fixed)
        result.append(max(fixed, key=lambda size: size != 1) if is_fixed else None)
    return tuple(result)


class Elementwise(Merging):
    """Base of the layers that combine their inputs number by number.

    Inputs of different ranks get axes of size 1 after the batch axis; axes of size 1 are repeated. A step of the output
    counts if it counts in one of the inputs; the output has no mask unless all inputs have one.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.
    """

    supports_masking = True

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        broadcast_shape(shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return broadcast_shape(input_shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask for the next layer.

        Args:
            inputs: a list of arrays (B, T, ...), which are not read.
            mask: a list with a mask (B, T) for each of them, or None in its place.

        Returns:
            True for the steps that count in at least one input; None unless all inputs have masks.
        """
        masks = self._listed_masks(inputs, mask)
        if masks is None or any(each is None for each in masks):
            return None
        return functools.reduce(np.logical_or, masks)

    def forward(self, *xs: Array, training: bool = False, mask: Masks | None = None, **options: Any) -> Array:
        shapes = [x.shape for x in xs]
        rank = max(map(len, shapes))
        if any(len(shape) != rank for shape in shapes):
            xs, mask = tuple(x.reshape(aligned_shape(x.shape, rank)) for x in xs), None
        if any(x.shape != xs[0].shape for x in xs):
            broadcast_shape(shapes)
        y, saved = self._merged(xs, mask, training)
        if training:
            self._tape.append((shapes, [x.shape for x in xs], saved))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> tuple[Array | None, ...]:
        shapes, aligned, saved = self._take_saved()
        if not need_dx:
            return (None,) * len(shapes)
        gradients = self._gradients(dy, saved, len(shapes))
        return tuple(
            gradient if gradient.shape == shape else _summed(gradient, wide).reshape(shape)
            for gradient, wide, shape in zip(gradients, aligned, shapes, strict=True)
        )

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        """Return the output for inputs of one rank, and what `_gradients` needs."""
        raise NotImplementedError

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        """Return the gradients by the inputs, in the shape of the output."""
        raise NotImplementedError


def _summed(gradient: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which an input of this shape was repeated."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    summed: Array = gradient.sum(axis=axes, keepdims=True)
    return summed


class Add(Elementwise):
    """Sum of the inputs: y = x[0] + x[1] + ...

    Inputs (B, ...) of the same shape, or of shapes that broadcast.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if the shapes of the inputs do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Add()([np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))])
        array([[3., 3.]], dtype=float32)
    """

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        return functools.reduce(operator.add, xs), None

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        return [dy] * count


class Average(Elementwise):
    """Mean of the inputs: y = (x[0] + x[1] + ...) / n.

    Inputs (B, ...) of the same shape, or of shapes that broadcast.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if the shapes of the inputs do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Average()([np.zeros((1, 2)), np.ones((1, 2))])
        array([[0.5, 0.5]], dtype=float32)
    """

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        total: Array = functools.reduce(operator.add, xs)
        return total / len(xs), None

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        return [dy / count] * count


class Subtract(Elementwise):
    """Difference of two inputs: y = x[0] - x[1].

    Inputs (B, ...) of the same shape, or of shapes that broadcast.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if there are not two inputs or their shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Subtract()([np.ones((1, 2)), np.zeros((1, 2))])
        array([[1., 1.]], dtype=float32)
    """

    least_inputs = most_inputs = 2
    inputs_named = "[x, y]"

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        return xs[0] - xs[1], None

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        return [dy, -dy]


class Multiply(Elementwise):
    """Product of the inputs: y = x[0] * x[1] * ...

    Inputs (B, ...) of the same shape, or of shapes that broadcast. Masked steps of an input count as 1.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if the shapes of the inputs do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Multiply()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[6., 6.]], dtype=float32)
    """

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        masks = _wide(mask, xs)
        factors = [x if each is None else np.where(each, x, x.dtype.type(1)) for x, each in zip(xs, masks, strict=True)]
        counted: Any = None if any(each is None for each in masks) else functools.reduce(np.logical_or, masks)
        y = functools.reduce(operator.mul, factors)
        if counted is not None:
            y = np.where(counted, y, y.dtype.type(0))
        return y, (factors, masks, counted)

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        factors, masks, counted = saved
        if counted is not None:
            dy = np.where(counted, dy, dy.dtype.type(0))
        gradients = []
        for number, mask in enumerate(masks):
            others = [*factors[:number], *factors[number + 1 :]]
            gradient = functools.reduce(operator.mul, others, dy)
            gradients.append(gradient if mask is None else np.where(mask, gradient, dy.dtype.type(0)))
        return gradients


def _wide(mask: Masks | None, xs: tuple[Array, ...]) -> list[Any]:
    """Return the masks with axes of size 1 for those of their inputs that they lack."""
    if mask is None:
        return [None] * len(xs)
    return [
        None if each is None else each.reshape(*each.shape, *[1] * (x.ndim - each.ndim))
        for each, x in zip(mask, xs, strict=True)
    ]


class _Extreme(Elementwise):
    """What Maximum and Minimum share: inputs are compared one after the other.

    As in Keras, a masked step takes what has been computed from the inputs before it; where those are masked, the
    input itself is taken.
    """

    _choose: ClassVar[Callable[..., Array]]

    def _merged(self, xs: tuple[Array, ...], mask: Masks | None, training: bool) -> tuple[Array, Any]:
        choose = type(self)._choose
        y, *others = xs
        counted, *masks = _wide(mask, xs)
        saved = []
        for x, each in zip(others, masks, strict=True):
            before = counted
            if each is not None:
                x = np.where(each, x, y)
            if before is not None:
                y = np.where(before, y, x)
            counted = None if before is None or each is None else before | each
            chosen = choose(y, x)
            if training:
                # How much of the gradient goes to x: all, none, or half where both are equal.
                half = y.dtype.type(0.5)
                saved.append((half * (chosen == x) + half * (chosen != y), each, before))
            y = chosen
        return y, saved

    def _gradients(self, dy: Array, saved: Any, count: int) -> Sequence[Array]:
        gradients = []
        for share, mask, before in reversed(saved):
            dx = dy * share
            dy = dy - dx
            if before is not None:
                dx, dy = dx + np.where(before, 0, dy), np.where(before, dy, 0)
            if mask is not None:
                dx, dy = np.where(mask, dx, 0), dy + np.where(mask, 0, dx)
            gradients.append(dx)
        return [dy, *reversed(gradients)]


class Maximum(_Extreme):
    """Largest of the inputs, number by number: y = max(x[0], x[1], ...).

    Inputs (B, ...) of the same shape, or of shapes that broadcast. Masked steps of an input do not count.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if the shapes of the inputs do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Maximum()([np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]])])
        array([[2., 5.]], dtype=float32)
    """

    _choose = np.maximum


class Minimum(_Extreme):
    """Smallest of the inputs, number by number: y = min(x[0], x[1], ...).

    Inputs (B, ...) of the same shape, or of shapes that broadcast. Masked steps of an input do not count.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.

    Raises:
        ValueError: at the first call, if the shapes of the inputs do not broadcast.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Minimum()([np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]])])
        array([[1., 3.]], dtype=float32)
    """

    _choose = np.minimum


def add(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the sum of the inputs; the function form of `Add`.

    Args:
        inputs: a list of arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.add([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[4., 6.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def average(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the mean of the inputs; the function form of `Average`.

    Args:
        inputs: a list of arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.average([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[2., 3.]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the largest of the inputs, number by number; the function form of `Maximum`.

    Args:
        inputs: a list of arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.maximum([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[3., 4.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the smallest of the inputs, number by number; the function form of `Minimum`.

    Args:
        inputs: a list of arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.minimum([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[1., 2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)


def multiply(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the product of the inputs; the function form of `Multiply`.

    Args:
        inputs: a list of arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.multiply([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[3., 8.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def subtract(inputs: Inputs, **kwargs: Any) -> Any:
    """Return the first input minus the second; the function form of `Subtract`.

    Args:
        inputs: a list of two arrays (B, ...) or symbols, whose shapes broadcast.
        **kwargs: `name`, `trainable` and `dtype` of the layer.

    Returns:
        The output, an array or symbol.

    Raises:
        TypeError, ValueError: if `inputs` is no such list.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.subtract([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[-2., -2.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)
