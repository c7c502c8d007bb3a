"""Sliding windows over a series, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import seeds
from pyrnn.arguments import checked, whole
from pyrnn.data.batches import as_array
from pyrnn.validation import LARGEST_SIZE, positive_int, shown

Array = NDArray[Any]
FORMATS = ("tf", "grain")


class TimeseriesDataset:
    """Batches of windows (B, T, ...), or (windows, targets), made anew at each pass; `len` is their number.

    With `shuffle` each pass has another order; without a batch size the items are single windows (T, ...).
    """

    def __init__(
        self,
        data: Array,
        targets: Array | None,
        starts: NDArray[np.int64],
        steps: NDArray[np.int64],
        batch_size: int | None,
        random: np.random.Generator | None,
    ) -> None:
        self._data, self._targets, self._starts, self._steps = data, targets, starts, steps
        self._batch_size, self._random = batch_size, random

    def __len__(self) -> int:
        return -(-len(self._starts) // (self._batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        starts = self._starts if self._random is None else self._random.permutation(self._starts)
        if self._batch_size is None:
            for start in starts:
                yield self._at(start, start + self._steps)
        else:
            for first in range(0, len(starts), self._batch_size):
                rows = starts[first : first + self._batch_size]
                yield self._at(rows, rows[:, None] + self._steps)

    def get_state(self) -> dict[str, Any]:
        """From what the order of the next pass is drawn."""
        return seeds.own_streams(self)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` gave."""
        seeds.set_own_streams(self, state)

    def _at(self, rows: Any, windows: Any) -> Any:
        return self._data[windows] if self._targets is None else (self._data[windows], self._targets[rows])


@checked(start_index=whole(-LARGEST_SIZE), end_index=whole(-LARGEST_SIZE))
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
    format: str = "tf",
) -> TimeseriesDataset:
    """Windows data[i], data[i + sampling_rate], ... of `sequence_length` steps, for i = 0, sequence_stride, ...

    Args:
        data: (N, ...), one row per time step.
        targets: targets[i] belongs to the window that starts at i; None for windows alone.
        batch_size: windows in a batch; None for single windows.
        shuffle: draw windows in another order at each pass, which `seed` fixes.
        start_index, end_index: use data[start_index:end_index] only.
        format: Keras's names of the kind of dataset, "tf" or "grain": what comes out is the same for both, an iterable
            of NumPy arrays that `fit`, `evaluate` and `predict` take.

    Raises:
        TypeError: if data holds no numbers or a count is no integer.
        ValueError: for counts and indices out of range.
    """
    values = as_array("data", data)
    if not values.ndim or (targets is not None and not as_array("targets", targets).ndim):
        raise ValueError("data and targets must have one row per time step, got a single number")
    length = positive_int("sequence_length", sequence_length)
    stride, rate = positive_int("sequence_stride", sequence_stride), positive_int("sampling_rate", sampling_rate)
    for name, step in (("sequence_stride", stride), ("sampling_rate", rate)):
        if step >= len(values):
            raise ValueError(f"{name} must be less than the length of data, {len(values)}, got {step}")
    start = start_index or 0
    if not 0 <= start < len(values):
        raise ValueError(f"start_index must lie in 0..{len(values) - 1}, the rows of data, got {start_index}")
    if end_index and not start < end_index < len(values):
        raise ValueError(f"end_index must lie in {start + 1}..{len(values) - 1}, after start_index, got {end_index}")
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {shown(format)}")
    if batch_size is not None:
        batch_size = positive_int("batch_size", batch_size)
    values = values[start : end_index or None]
    count = len(values) - (length - 1) * rate
    if targets is not None:
        targets = as_array("targets", targets)[start:]
        count = min(count, len(targets))
    if count < 1:
        reach = f"{(length - 1) * rate + 1} steps"
        raise ValueError(f"data must hold at least one window, which spans {reach}, got {len(values)} rows")
    starts = np.arange(0, count, stride, dtype=np.int64)
    random = seeds.generator(seed) if shuffle else None
    return TimeseriesDataset(values, targets, starts, np.arange(length, dtype=np.int64) * rate, batch_size, random)
