"""Checks of settings that layers share: dtypes, shapes and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import config
from pyrnn.validation import LARGEST_SIZE, shown

Array = NDArray[Any]
Shape = tuple[Any, ...]
_DTYPES = ("float32", "float64")


def dtype_name(dtype: Any) -> str:
    """Return "float32" or "float64" for None (the default), a name, a NumPy dtype or Keras's DTypePolicy config."""
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, Mapping):
        dtype = dtype.get("config", {}).get("name", dtype)
    try:
        name = str(np.dtype(dtype))
    except TypeError:
        name = str(dtype)
    if name not in _DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {shown(dtype)}")
    return name


def weight_dtype(dtype: Any, trainable: bool) -> str:
    """Return the name of the dtype of a weight: of a layer, or of whole numbers and booleans that are not trained."""
    kind = np.dtype(dtype) if not isinstance(dtype, Mapping) else None
    if kind is None or kind.kind not in "iub":
        return dtype_name(dtype)
    if trainable:
        raise ValueError(f"a weight of dtype {kind.name} must have trainable=False")
    return str(kind)


def dtype_config(name: str) -> dict[str, Any]:
    """Return Keras 3's description of the policy for a dtype."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}


def standard_shape(argument: str, shape: Any) -> Shape:
    """Return a shape as a tuple of sizes and Nones, or raise a ValueError that names `argument`."""
    if isinstance(shape, int | np.integer) and not isinstance(shape, bool):
        raise ValueError(f"{argument} must be a tuple of sizes, got {shape!r}; write ({shape},)")
    try:
        if isinstance(shape, str | Mapping) or np.ndim(shape) > 1:
            raise TypeError
        sizes = tuple(shape)
    except (TypeError, ValueError):
        raise ValueError(f"{argument} must be a tuple of sizes, got {shown(shape)}") from None
    for size in sizes:
        if size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 0 <= size <= LARGEST_SIZE:
            raise ValueError(f"{argument} must hold sizes of at least 0 or None, got {shown(shape)}")
    return tuple(None if size is None else int(size) for size in sizes)


def standard_shapes(owner: str, shapes: Any) -> list[Shape]:
    """Return the shapes of several inputs as tuples, or raise a ValueError that names the layer `owner`."""
    if (
        not isinstance(shapes, list | tuple)
        or not shapes
        or not all(isinstance(each, list | tuple | np.ndarray) for each in shapes)
    ):
        raise ValueError(
            f"{owner} must be called on a list of inputs, got input_shape {shown(shapes)}, no list of shapes"
        )
    return [standard_shape("input_shape", each) for each in shapes]


def fraction(argument: str, value: Any) -> float:
    """Return a number from 0 to 1 as a float, or raise a ValueError that names `argument`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise ValueError(f"{argument} must be a number from 0 to 1, got {shown(value)}")
    if not 0 <= value <= 1:
        raise ValueError(f"{argument} must be a number from 0 to 1, got {value}")
    return float(value)


def dropout_scale(rng: np.random.Generator, shape: Sequence[int], rate: float, dtype: str) -> Array:
    """Draw factors for inverted dropout: 0 with probability `rate`, otherwise 1 / (1 - rate)."""
    if rate >= 1:
        return np.zeros(shape, dtype)
    kind = np.dtype(dtype).type
    draw: Any = rng.random(tuple(shape), dtype=kind)
    scale: Array = (draw >= kind(rate)) * kind(1 / (1 - rate))
    return scale


def unknown_size(owner: str, what: str, input_shape: Shape) -> ValueError:
    """Return the error for a last axis of unknown size, which the shapes of weights need."""
    return ValueError(
        f"{owner} must know the number of {what}, got x of shape {tuple(input_shape)}: set it in Input(shape)"
    )
