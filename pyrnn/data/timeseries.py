"""Sliding windows over a series, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import seeds
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.rules import Unchecked, Whole
from pyrnn.typing import Flag, Seed, Size, Text
from pyrnn.validation import LARGEST_SIZE, positive_int, shown

Array = NDArray[Any]
FORMATS = ("tf", "grain")


class TimeseriesDataset:
    """Batches of windows (B, T, ...), or (windows, targets), read from the series at each pass; `len` is their number.

    With `random` each pass has another order. `timeseries_dataset_from_array` creates it.

    Args:
        data: The series (N, ...), one row per time step.
        targets: (N, ...) or None; targets[i] belongs to the window that starts at row i.
        starts: Rows (W,) where the windows start.
        steps: Offsets (T,) of a window's rows from its start.
        batch_size: Windows in a batch; None yields single windows (T, ...).
        random: Draws the order of each pass; None keeps the order of `starts`.

    Example:
        >>> import numpy as np
        >>> from pyrnn.utils import timeseries_dataset_from_array
        >>> dataset = timeseries_dataset_from_array(np.arange(6), None, sequence_length=3, batch_size=2)
        >>> len(dataset), next(iter(dataset)).tolist()
        (2, [[0, 1, 2], [1, 2, 3]])
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
        """Return the state from which the order of the next pass is drawn.

        Returns:
            Plain values, which `set_state` accepts.
        """
        return seeds.own_streams(seeds.generators_of(self))

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: The state.
        """
        seeds.set_own_streams(seeds.generators_of(self), state)

    def _at(self, rows: Any, windows: Any) -> Any:
        return self._data[windows] if self._targets is None else (self._data[windows], self._targets[rows])


@checked
def timeseries_dataset_from_array(
    data: Annotated[Any, Unchecked(allowed="array")],
    targets: Annotated[Any, Unchecked(allowed="list none array")],
    sequence_length: Size,
    sequence_stride: Size = 1,
    sampling_rate: Size = 1,
    batch_size: Size | None = 128,
    shuffle: Flag = False,
    seed: Seed | None = None,
    start_index: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
    end_index: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
    format: Text = "tf",
) -> TimeseriesDataset:
    """Create windows of a series: data[i], data[i + sampling_rate], ... for i = 0, sequence_stride, ...

    Args:
        data: The series (N, ...), one row per time step.
        targets: (N, ...), where targets[i] belongs to the window that starts at row i; None for windows alone.
        sequence_length: Steps T of a window, at least 1.
        sequence_stride: Rows between the starts of two windows, at least 1 and less than N.
        sampling_rate: Rows between two steps of a window, at least 1 and less than N.
        batch_size: Windows in a batch; None for single windows.
        shuffle: Whether each pass has another order.
        seed: Fixes these orders; by default they are drawn from pyrnn's seed.
        start_index: First row that is used, from 0.
        end_index: Row before which to stop, greater than `start_index`; by default all rows are used.
        format: "tf" or "grain", Keras's kinds of dataset. Both give the same: an iterable of NumPy arrays.

    Returns:
        A `TimeseriesDataset` for `fit`, `evaluate` and `predict`.

    Raises:
        TypeError: If data holds no numbers or a count is not an integer.
        ValueError: For counts and indices out of range.

    Example:
        >>> import numpy as np
        >>> from pyrnn.utils import timeseries_dataset_from_array
        >>> series = np.arange(10.0)
        >>> x, y = next(iter(timeseries_dataset_from_array(series[:-3], series[3:], sequence_length=3)))
        >>> x[0].tolist(), float(y[0])
        ([0.0, 1.0, 2.0], 3.0)
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
