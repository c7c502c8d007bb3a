"""What the values of an ONNX graph are while it becomes a model: constants, sizes, and symbols with their axes.

pyrnn's arrays are (B, T, F), those of ONNX's recurrent operators (T, B, F) and of its convolutions (B, C, T). So a
value is a symbol together with the order in which ONNX has its axes. A Transpose changes the order alone, and two that
cancel each other add nothing to the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers
from pyrnn import ops as _operations

Array = NDArray[Any]

ops: Any = _operations  # whose names are entered at run time


class CannotImport(ValueError):
    """A node cannot become part of a model; the message is the reason."""


class View(NamedTuple):
    """A symbol as ONNX sees it.

    Args:
        symbol: The symbol, batch axis first.
        axes: For each axis in ONNX the axis of the symbol, None for one of size 1 that the symbol lacks.
    """

    symbol: Any
    axes: tuple[int | None, ...]

    @property
    def sizes(self) -> list[Any]:
        """The sizes in ONNX's order: numbers, and `Size` where any is allowed."""
        shape = self.symbol.shape
        return [
            1 if axis is None else Size(self.symbol, axis) if shape[axis] is None else shape[axis] for axis in self.axes
        ]


class Size:
    """The size of an axis of a symbol, which is not known. All batch sizes are equal.

    Args:
        symbol: The symbol.
        axis: The axis.
    """

    def __init__(self, symbol: Any, axis: int) -> None:
        self.symbol, self.axis = symbol, axis

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.axis == other.axis and (not self.axis or self.symbol is other.symbol)

    def __hash__(self) -> int:
        return hash((self.axis, self.axis and id(self.symbol)))


class Sizes(NamedTuple):
    """Integers of which some are sizes of symbols: what Shape makes.

    Args:
        values: Numbers and `Size`.
        is_scalar: Whether it is one number without an axis.
    """

    values: list[Any]
    is_scalar: bool = False


class Filled(NamedTuple):
    """One number everywhere, in a shape of which some sizes are not known.

    Args:
        value: The number.
        sizes: The shape.
    """

    value: float
    sizes: list[Any]


def whole(symbol: Any) -> View:
    """Return a symbol in its present order.

    Args:
        symbol: The symbol.

    Returns:
        The view.
    """
    return View(symbol, tuple(range(symbol.ndim)))


def arranged(view: View, axes: Sequence[int | None]) -> Any:
    """Return a symbol of which a view with these axes is the same array.

    Args:
        view: The array.
        axes: For each axis in ONNX the axis that the symbol is to have there, None for one that it is to lack.

    Returns:
        The symbol.

    Raises:
        CannotImport: If an axis that is to be left out has another size than 1.
    """
    symbol, present = view.symbol, view.axes
    if len(axes) != len(present):
        raise CannotImport(f"it reads an array of {len(present)} axes where {len(axes)} are needed")
    extra = [
        place for place, (have, want) in enumerate(zip(present, axes, strict=True)) if have is None and want is not None
    ]
    if any(have is not None and want is None for have, want in zip(present, axes, strict=True)):
        raise CannotImport(f"it reads an array of shape {shown_sizes(view)} where an axis of size 1 is needed")
    places = [axis for axis in present if axis is not None]
    if extra:
        for _ in extra:
            symbol = ops.expand_dims(symbol, -1)
        added = iter(range(view.symbol.ndim, symbol.ndim))
        present = tuple(next(added) if place in extra else axis for place, axis in enumerate(present))
        places = [axis for axis in present if axis is not None]
    order = [0] * len(places)
    for have, want in zip(present, axes, strict=True):
        if have is not None and want is not None:
            order[want] = have
    if order != list(range(len(order))):
        symbol = layers.Permute(order[1:])(symbol) if order[0] == 0 else ops.transpose(symbol, order)
    return symbol


def shown_sizes(view: View) -> tuple[Any, ...]:
    """Return the shape in ONNX's order for a message, None where any size is allowed.

    Args:
        view: The array.

    Returns:
        The shape.
    """
    return tuple(None if isinstance(each, Size) else each for each in view.sizes)


def constant_for(view: View, array: Array) -> Array:
    """Return a constant that ONNX broadcasts with an array, in the order of the symbol's axes.

    Args:
        view: The array, with at least as many axes as the constant.
        array: The constant.

    Returns:
        An array that broadcasts with the symbol.

    Raises:
        CannotImport: If an axis of the constant goes with one that the symbol lacks.
    """
    wide = array.reshape((1,) * (len(view.axes) - array.ndim) + array.shape)
    absent = [place for place, axis in enumerate(view.axes) if axis is None]
    if any(wide.shape[place] != 1 for place in absent):
        raise CannotImport(f"a constant of shape {array.shape} widens an array of shape {shown_sizes(view)}")
    wide = wide.reshape([size for place, size in enumerate(wide.shape) if place not in absent])
    order = np.argsort([axis for axis in view.axes if axis is not None])
    return np.ascontiguousarray(wide.transpose(order))


def reshaped(view: View, target: Sequence[Any]) -> View:
    """Reshape an array, of which leading axes may keep their order.

    Args:
        view: The array.
        target: The sizes: numbers, 0 for that of the same axis, one -1, and `Size`.

    Returns:
        The view of the result.

    Raises:
        CannotImport: If sizes that are not known are joined or split.
    """
    sizes, wanted = view.sizes, list(target)
    for place, size in enumerate(wanted):
        if size == 0 and not isinstance(size, Size):
            if place >= len(sizes):
                raise CannotImport(f"it keeps size {place} of an array of shape {shown_sizes(view)}")
            wanted[place] = sizes[place]
    if wanted.count(-1) > 1:
        raise CannotImport(f"it computes two sizes, got {shown_target(target)}")
    # Axes of size 1 that the symbol lacks go away by themselves.
    view = View(view.symbol, tuple(axis for axis in view.axes if axis is not None))
    sizes = view.sizes
    ends_in_ones = all(size == 1 for size in sizes[len(wanted) :])
    wanted = _without_unknown(sizes[: len(wanted)] if ends_in_ones else sizes, wanted)
    count = 0
    while count < min(len(sizes), len(wanted)) and wanted[count] == sizes[count]:
        count += 1
    if count == len(sizes) and all(size == 1 for size in wanted[count:]):
        return View(view.symbol, (*view.axes, *[None] * (len(wanted) - count)))
    if count == len(wanted) and ends_in_ones and 0 in view.axes[:count]:
        return dropped(view, range(count, len(sizes)))
    front = [axis for axis in view.axes[:count] if axis is not None]
    rest = [axis for axis in view.axes[count:] if axis is not None]
    new = wanted[count:]
    if any(isinstance(size, Size) for size in new) or sorted(front) != list(range(len(front))) or not front:
        raise CannotImport(f"it joins or splits the batch axis: shape {shown_sizes(view)} to {shown_target(target)}")
    if rest != list(range(len(front), view.symbol.ndim)):
        order = [*sorted(front), *rest]
        symbol = layers.Permute(order[1:])(view.symbol)
    else:
        symbol = view.symbol
    ordered = [symbol.shape[axis] for axis in range(1, len(front))]
    unknown = sum(size is None for size in ordered)
    if -1 in new and None not in symbol.shape[len(front) :]:
        numbers = math.prod(symbol.shape[len(front) :])
        others = math.prod(size for size in new if size != -1)
        if not others or numbers % others:
            raise CannotImport(f"shape {shown_sizes(view)} does not fit {shown_target(target)}")
        new = [numbers // others if size == -1 else size for size in new]
    if unknown + new.count(-1) > 1:
        raise CannotImport(f"several sizes are not known: shape {shown_sizes(view)} to {shown_target(target)}")
    inner = [-1 if size is None else size for size in ordered] + new
    symbol = _reshape_layer(symbol, inner)
    return View(symbol, (*view.axes[:count], *range(len(front), symbol.ndim)))


def dropped(view: View, places: Sequence[int]) -> View:
    """Drop axes of size 1.

    Args:
        view: The array.
        places: The axes in ONNX, all of size 1.

    Returns:
        The view without them.
    """
    symbol = view.symbol
    axes = [axis for place, axis in enumerate(view.axes) if place not in places]
    real = [view.axes[place] for place in places]
    for each in sorted((axis for axis in real if axis is not None), reverse=True):
        symbol = ops.squeeze(symbol, axis=each)
        axes = [axis if axis is None or axis < each else axis - 1 for axis in axes]
    return View(symbol, tuple(axes))


def _without_unknown(sizes: Sequence[Any], wanted: list[Any]) -> list[Any]:
    """Replace -1 by the one size that is left, where all others stay."""
    if -1 not in wanted:
        return wanted
    place = wanted.index(-1)
    after = len(wanted) - place - 1
    if (
        len(wanted) == len(sizes)
        and wanted[:place] == list(sizes[:place])
        and wanted[place + 1 :] == list(sizes[len(sizes) - after :])
    ):
        return [*wanted[:place], sizes[place], *wanted[place + 1 :]]
    return wanted


def _reshape_layer(symbol: Any, inner: list[int]) -> Any:
    if [-1 if size is None else size for size in symbol.shape[1:]] == inner:
        return symbol
    before = symbol.node
    if isinstance(before.layer, layers.Reshape):
        source = before.inputs[0]
        if [-1 if size is None else size for size in source.shape[1:]] == inner:
            return source
    return layers.Reshape(inner)(symbol)


def shown_target(target: Sequence[Any]) -> list[Any]:
    """Return sizes for a message.

    Args:
        target: Numbers and `Size`.

    Returns:
        The numbers, None in place of a `Size`.
    """
    return [None if isinstance(each, Size) else each for each in target]
