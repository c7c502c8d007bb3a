"""Windows of a series as batches, Keras's `timeseries_dataset_from_array` without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.seeds import generator
from pyrnn.validation import positive_int

Array = NDArray[Any]


class WindowDataset:
    """Batches of windows: walked again and again, `len()` of them; each x, or (x, y) where there are targets."""

    def __init__(
        self, data: Array, targets: Array | None, starts: Array, offsets: Array, batch_size: int | None, random: Any
    ) -> None:
        self._data, self._targets, self._starts, self._offsets = data, targets, starts, offsets
        self.batch_size, self._random = batch_size, random

    def __len__(self) -> int:
        return len(self._starts) if self.batch_size is None else -(-len(self._starts) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        starts = self._starts if self._random is None else self._random.permutation(self._starts)
        for first in range(0, len(starts), self.batch_size or 1):
            chosen = starts[first : first + (self.batch_size or 1)]
            x = self._data[chosen[:, None] + self._offsets]
            y = None if self._targets is None else self._targets[chosen]
            if self.batch_size is None:
                x, y = x[0], None if y is None else y[0]
            yield x if y is None else (x, y)


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> WindowDataset:
    """Windows of `sequence_length` steps, `sampling_rate` apart, one every `sequence_stride` steps of data.

    Args:
        data: (steps, ...). targets: targets[i] belongs to the window that starts at step i; None gives windows only.
        batch_size: windows a batch, None: single windows. shuffle: another order at each walk, from `seed`.
        start_index, end_index: the part of data (and targets) to use.

    Raises:
        ValueError: if no window fits or an index is out of range.
    """
    data = np.asarray(data)
    length = positive_int("sequence_length", sequence_length)
    stride, rate = positive_int("sequence_stride", sequence_stride), positive_int("sampling_rate", sampling_rate)
    if batch_size is not None:
        positive_int("batch_size", batch_size)
    for argument, index, least in (("start_index", start_index, 0), ("end_index", end_index, 1)):
        if index is not None and not least <= index <= len(data):
            raise ValueError(f"{argument} must lie in {least}..{len(data)}, the steps of data, got {index}")
    first, last = start_index or 0, len(data) if end_index is None else end_index
    count = last - first - (length - 1) * rate
    if targets is not None:
        targets = np.asarray(targets)[first:last]
        count = min(count, len(targets))
    if count < 1:
        raise ValueError(f"no window of {length} steps, {rate} apart, fits into {last - first} steps")
    starts = np.arange(0, count, stride)
    random = generator(seed) if shuffle else None
    return WindowDataset(data[first:last], targets, starts, np.arange(length) * rate, batch_size, random)
