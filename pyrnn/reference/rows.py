"""Gathering rows by their indices, and adding rows up by their indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _check_range(indices: NDArray[np.int64], rows: int) -> None:
    if indices.size and not 0 <= indices.min() <= indices.max() < rows:
        raise IndexError(f"indices must lie in 0..{rows - 1}, got {indices.min()}..{indices.max()}")


def gather_rows(source: Array, indices: NDArray[np.int64]) -> Array:
    _check_range(indices, len(source))
    return np.ascontiguousarray(source[indices])


def scatter_rows(target: Array, indices: NDArray[np.int64], source: Array) -> None:
    _check_range(indices, len(target))
    if source.shape != (len(indices), *target.shape[1:]):
        raise ValueError(f"source must have shape {(len(indices), *target.shape[1:])}, got {source.shape}")
    target[...] = 0
    np.add.at(target, indices, source)
