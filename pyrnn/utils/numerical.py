"""Labels and norms."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.data import as_array
from pyrnn.rules import Either, Number, OneOf
from pyrnn.typing import Axis, Size
from pyrnn.validation import LARGEST_SIZE, positive_int, shown


@checked
def to_categorical(x: Any, num_classes: Size | None = None) -> NDArray[np.float64]:
    """One-hot rows (float64, as Keras) of class numbers 0 to `num_classes` - 1.

    Raises:
        ValueError: if a class number is negative or too large, or no whole number.
    """
    labels = as_array("x", x)
    if not np.isfinite(labels).all() or labels.min(initial=0) < 0:
        raise ValueError(f"x must hold class numbers of at least 0, got {shown(x)}")
    if num_classes is None and labels.max(initial=0) >= LARGEST_SIZE:
        raise ValueError(f"x must hold class numbers below {LARGEST_SIZE}, got {labels.max()}")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    numbers = labels.reshape(-1).astype(np.int64)
    if not np.array_equal(numbers, labels.reshape(-1)):
        raise ValueError(f"x must hold whole class numbers, got {shown(x)}")
    if num_classes is None:
        count = int(numbers.max()) + 1 if numbers.size else 0
    else:
        count = positive_int("num_classes", num_classes)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        bad = numbers.min() if numbers.min() < 0 else numbers.max()
        raise ValueError(f"x must hold class numbers between 0 and {count - 1}, got {bad}")
    rows = np.zeros((numbers.size, count))
    rows[np.arange(numbers.size), numbers] = 1
    return rows.reshape((*shape, count))


@checked
def normalize(
    x: Any, axis: Axis | None = -1, order: Annotated[float, Either(OneOf(math.inf, -math.inf), Number())] = 2
) -> NDArray[Any]:
    """`x` divided by its norm of that order along `axis` (over all of it if None); where the norm is 0, x stays."""
    array = as_array("x", x)
    norm = np.asarray(np.linalg.norm(array, order, axis, keepdims=True))
    return np.asarray(array / np.where(norm == 0, norm.dtype.type(1), norm))
