"""One-hot rows and norms."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.data import as_array
from pyrnn.rules import Either, Number, OneOf
from pyrnn.typing import Axis, Inputs, Size
from pyrnn.validation import LARGEST_SIZE, positive_int, shown


@checked
def to_categorical(x: Inputs, num_classes: Size | None = None) -> NDArray[np.float64]:
    """Convert class numbers to one-hot rows.

    Args:
        x: Class numbers (...) or (..., 1), from 0 to num_classes - 1.
        num_classes: Width of the rows; by default the largest class number + 1.

    Returns:
        Rows (..., num_classes), float64 as in Keras.

    Raises:
        ValueError: If a class number is negative, too large or not whole.

    Example:
        >>> from pyrnn.utils import to_categorical
        >>> to_categorical([0, 2], num_classes=3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
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
    x: Inputs, axis: Axis | None = -1, order: Annotated[float, Either(OneOf(math.inf, -math.inf), Number())] = 2
) -> NDArray[Any]:
    """Divide an array by its norms along an axis.

    Args:
        x: An array (...).
        axis: The axis of the vectors; None for the norm of the whole array.
        order: Order of the norm: a number, or plus or minus infinity.

    Returns:
        An array of the same shape; vectors of norm 0 are unchanged.

    Raises:
        TypeError: If x holds no numbers.

    Example:
        >>> from pyrnn.utils import normalize
        >>> normalize([[3.0, 4.0], [0.0, 0.0]]).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    array = as_array("x", x)
    norm = np.asarray(np.linalg.norm(array, order, axis, keepdims=True))
    return np.asarray(array / np.where(norm == 0, norm.dtype.type(1), norm))
