"""What the converters of ONNX's nodes share: inputs that must be arrays or constants, and axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.interop.onnx_file import Node
from pyrnn.interop.onnx_values import CannotImport, View, shown_sizes

Array = NDArray[Any]
Inputs = Sequence[Any]
Converter = Callable[[Node, Inputs], Any]


def array(node: Node, values: Inputs, place: int) -> View:
    """Return an input that must be an array of the model.

    Args:
        node: The node.
        values: Its inputs.
        place: Number of the input.

    Returns:
        The view.

    Raises:
        CannotImport: If it is anything else.
    """
    value = values[place] if place < len(values) else None
    if not isinstance(value, View):
        raise CannotImport(f"input {place} must depend on the inputs of the model")
    return value


def constant(node: Node, values: Inputs, place: int, rank: int | None = None) -> Array:
    """Return an input that must be a constant.

    Args:
        node: The node.
        values: Its inputs.
        place: Number of the input.
        rank: The number of its axes, None for any.

    Returns:
        The array.

    Raises:
        CannotImport: If it is anything else.
    """
    value = values[place] if place < len(values) else None
    if not isinstance(value, np.ndarray) or rank not in (None, value.ndim):
        axes = "" if rank is None else f" of {rank} axes"
        raise CannotImport(f"input {place} must be a constant{axes}")
    return value


def axis_of(view: View, axis: int) -> int:
    """Return the symbol's axis for one of ONNX's.

    Args:
        view: The array.
        axis: The axis in ONNX, negative from the end.

    Returns:
        The axis of the symbol.

    Raises:
        CannotImport: If there is no such axis, or the symbol lacks it.
    """
    if not -len(view.axes) <= axis < len(view.axes) or view.axes[axis] is None:
        raise CannotImport(f"axis {axis} of an array of shape {shown_sizes(view)} is not supported")
    place = view.axes[axis]
    assert place is not None
    return place
