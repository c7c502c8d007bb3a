"""Batches as the tuples that generators make and `train_step` receives."""

from __future__ import annotations

from typing import Any

from pyrnn.typing import Anything
from pyrnn.validation import shown


def pack_x_y_sample_weight(x: Anything, y: Anything = None, sample_weight: Anything = None) -> Any:
    """Put the parts of a batch into a tuple.

    Args:
        x: inputs (B, ...), one array or a structure of them.
        y: targets (B, ...), or None.
        sample_weight: weights (B,) or (B, T), or None.

    Returns:
        (x, y, sample_weight) without the parts at the end that are None; x alone if it is one array.

    Example:
        >>> import pyrnn
        >>> pyrnn.utils.pack_x_y_sample_weight([1.0, 2.0], [0.0, 1.0])
        ([1.0, 2.0], [0.0, 1.0])
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Anything) -> tuple[Any, Any, Any]:
    """Take a batch apart, as `train_step(data)` of a model does.

    Args:
        data: x, or a tuple or list (x,), (x, y) or (x, y, sample_weight).

    Returns:
        (x, y, sample_weight), with None for parts that are missing.

    Raises:
        ValueError: if it is a tuple of more parts.

    Example:
        >>> import pyrnn
        >>> pyrnn.utils.unpack_x_y_sample_weight(([1.0, 2.0], [0.0, 1.0]))
        ([1.0, 2.0], [0.0, 1.0], None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data must be x, (x,), (x, y) or (x, y, sample_weight), got {shown(data)}")
    return (*data, None, None)[:3]
