"""What the shards of a batch yield, as lists of arrays and as bytes for other processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Part(NamedTuple):
    """One array that every shard yields.

    Args:
        per_row: whether it has a row for each row of the shard.
        shape: its shape, that of one row if `per_row`.
        dtype: its dtype.
    """

    per_row: bool
    shape: tuple[int, ...]
    dtype: str

    def nbytes(self, rows: int) -> int:
        """Return its size for a shard of `rows` rows."""
        count = int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize
        return count * rows if self.per_row else count


class Layout(NamedTuple):
    """The arrays that every shard yields: outputs, masks, states of stateful layers, and arrays of a fixed shape.

    Args:
        parts: the arrays.
        outputs: how many of them are outputs.
        masked: for each output, whether it has a mask.
        states: how many are states.
        is_several: whether the model has several outputs.
    """

    parts: tuple[Part, ...]
    outputs: int
    masked: tuple[bool, ...]
    states: int
    is_several: bool

    def nbytes(self, rows: int) -> int:
        """Return the size of all arrays of a shard.

        Args:
            rows: its number of rows.
        """
        return sum(part.nbytes(rows) for part in self.parts)

    def unpacked(self, content: Array, rows: int) -> list[Array]:
        """Return the arrays of a shard, as views.

        Args:
            content: its bytes.
            rows: its number of rows.
        """
        arrays, at = [], 0
        for part in self.parts:
            size = part.nbytes(rows)
            shape = (rows, *part.shape) if part.per_row else part.shape
            arrays.append(content[at : at + size].view(part.dtype).reshape(shape))
            at += size
        return arrays

    def split(self, shards: Sequence[Sequence[Array]]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Return outputs, masks, states and fixed arrays, each with an entry for every shard.

        Args:
            shards: the arrays of each shard that has rows, in order.
        """
        columns = [[arrays[place] for arrays in shards] for place in range(len(self.parts))]
        outputs, rest = columns[: self.outputs], columns[self.outputs :]
        masks: list[Any] = [rest.pop(0) if masked else None for masked in self.masked]
        return outputs, masks, rest[: self.states], rest[self.states :]


def layout_of(
    outputs: Sequence[Array],
    masks: Sequence[Array | None],
    states: Sequence[Array],
    fixed: Sequence[Array],
    is_several: bool,
) -> Layout:
    """Return the layout of what a shard yields.

    Args:
        outputs: outputs of the model (rows, ...).
        masks: the mask of each (rows, T), or None.
        states: states of stateful layers (rows, ...).
        fixed: arrays of a shape that does not depend on the rows.
        is_several: whether the model has several outputs.
    """
    of_rows = [*outputs, *(mask for mask in masks if mask is not None), *states]
    parts = [Part(True, array.shape[1:], array.dtype.str) for array in of_rows]
    parts += [Part(False, array.shape, array.dtype.str) for array in fixed]
    masked = tuple(mask is not None for mask in masks)
    return Layout(tuple(parts), len(outputs), masked, len(states), is_several)


def packed(shards: Sequence[Sequence[Array]]) -> Array:
    """Return the bytes of the arrays of several shards, one after the other.

    Args:
        shards: the arrays of each.
    """
    flat = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for arrays in shards for array in arrays]
    return np.concatenate(flat) if flat else np.empty(0, np.uint8)
