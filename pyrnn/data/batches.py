"""The one form in which data reach the trainer: batches (x, y, sample_weight), arrays of one dtype, epoch by epoch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.data.pydataset import PyDataset
from pyrnn.seeds import generator
from pyrnn.validation import positive_int

Array = NDArray[Any]
DEFAULT_BATCH_SIZE = 32


class Batch(NamedTuple):
    """x (B, ...), y (B, ...) or None, sample_weight (B,) or (B, T) or None."""

    x: Array
    y: Array | None
    sample_weight: Array | None


class Batches:
    """Data that can be walked once an epoch; `steps` is None where the length is unknown."""

    steps: int | None = None
    # Whether each epoch of a given number of steps begins with the first batch again, as a validation does.
    starts_anew = False

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        raise NotImplementedError

    def epoch_ended(self) -> None:
        """Told after each epoch."""


def as_float(name: str, value: Any, dtype: str, *, allow_integers: bool = False) -> Array:
    """`value` as a C-contiguous array of `dtype`; integer labels may stay integers.

    Raises:
        TypeError: if it holds no numbers.
        ValueError: if it is ragged.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous:
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be one array; its rows have different lengths") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if allow_integers and array.dtype.kind in "iu":
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array, dtype)


def class_weights(y: Array, class_weight: Mapping[int, float], dtype: str) -> Array:
    """The weight of each sample by its class: y one-hot or class numbers."""
    labels = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y), -1)[:, 0]
    return np.asarray([class_weight.get(int(label), 1.0) for label in labels], dtype)


def make_batch(parts: Any, dtype: str, class_weight: Mapping[int, float] | None = None) -> Batch:
    """A user's batch, checked and converted.

    Raises:
        TypeError, ValueError: if it is no array or tuple (x, y[, sample_weight]), or lengths differ, or y holds NaN.
    """
    if isinstance(parts, list):
        parts = tuple(parts)
    if not isinstance(parts, tuple):
        parts = (parts,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    x = as_float("x", parts[0], dtype)
    y = None if len(parts) < 2 or parts[1] is None else as_float("y", parts[1], dtype, allow_integers=True)
    weight = None if len(parts) < 3 or parts[2] is None else as_float("sample_weight", parts[2], dtype)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x must hold at least one sample, got shape {x.shape}")
    for name, array in (("y", y), ("sample_weight", weight)):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise ValueError(f"{name} must have one row for each of the {len(x)} samples of x, got shape {array.shape}")
    if y is not None and y.dtype.kind == "f" and math.isnan(y.sum()) and np.isnan(y).any():
        raise ValueError("y holds NaN: remove or fill these samples first")
    if class_weight is not None and y is not None:
        by_class = class_weights(y, class_weight, dtype)
        weight = by_class if weight is None else weight * by_class.reshape((-1,) + (1,) * (weight.ndim - 1))
    return Batch(x, y, weight)


class ArrayBatches(Batches):
    """Slices of arrays, in order (views) or shuffled (gathered by the core)."""

    def __init__(self, data: Batch, batch_size: int, shuffle: bool) -> None:
        self.data, self.batch_size, self.shuffle = data, batch_size, shuffle
        self.steps = -(-len(data.x) // batch_size)
        self._random = generator() if shuffle else None

    def epoch(self) -> Iterator[Batch]:
        count, size = len(self.data.x), self.batch_size
        order = None if self._random is None else self._random.permutation(count).astype(np.int64, copy=False)
        for start in range(0, count, size):
            if order is None:
                yield Batch(*(None if a is None else a[start : start + size] for a in self.data))  # type: ignore[arg-type]  # x is never None
            else:
                rows = order[start : start + size]
                yield Batch(*(None if a is None else _gather(a, rows) for a in self.data))  # type: ignore[arg-type]  # x is never None


def _gather(array: Array, rows: NDArray[np.int64]) -> Array:
    return backend.gather_rows(array, rows) if array.dtype.kind == "f" else array[rows]


class IteratorBatches(Batches):
    """Anything that yields batches: `steps` of them an epoch, or all where that is None.

    What can be walked again (a DataLoader, a list of batches, windows of a series) starts anew when it has ended, and
    at each epoch where no steps are given; a generator cannot.
    """

    def __init__(
        self, source: Any, steps: int | None, dtype: str, class_weight: Mapping[int, float] | None = None
    ) -> None:
        self._source, self._dtype, self._class_weight = source, dtype, class_weight
        self._iterator = iter(source)
        self._again = self._iterator is not source
        self._whole = steps is None
        self.steps = len(source) if steps is None and self._again and hasattr(source, "__len__") else steps

    def epoch(self) -> Iterator[Batch]:
        if self._again and (self._whole or self.starts_anew):
            self._iterator = iter(self._source)
        taken = 0
        while self._whole or taken < (self.steps or 0):
            try:
                parts = next(self._iterator)
            except StopIteration:
                if self._whole:
                    return
                parts = self._first_again(taken)
            yield make_batch(parts, self._dtype, self._class_weight)
            taken += 1

    def _first_again(self, taken: int) -> Any:
        if self._again:
            self._iterator = iter(self._source)
            for parts in self._iterator:
                return parts
        raise ValueError(
            f"the generator ended after {taken} of {self.steps} batches: make it yield for ever, "
            "or give fewer steps or epochs"
        )


class PyDatasetBatches(Batches):
    """A PyDataset, in order or with its batches shuffled."""

    def __init__(
        self, dataset: PyDataset, steps: int | None, shuffle: bool, dtype: str, class_weight: Mapping[int, float] | None
    ) -> None:
        self._dataset, self._dtype, self._class_weight = dataset, dtype, class_weight
        self.steps = len(dataset) if steps is None else steps
        if self.steps < 1:
            raise ValueError("the PyDataset has no batches")
        self._random = generator() if shuffle else None

    def epoch(self) -> Iterator[Batch]:
        self._dataset.on_epoch_begin()
        order: Any = range(len(self._dataset)) if self._random is None else self._random.permutation(len(self._dataset))
        wanted = [int(order[step % len(order)]) for step in range(self.steps or 0)]
        for parts in self._read(wanted):
            yield make_batch(parts, self._dtype, self._class_weight)

    def _read(self, wanted: list[int]) -> Iterator[Any]:
        """The batches of these numbers, in order; read ahead in threads where the dataset has workers."""
        # A subclass need not call our __init__, as in Keras.
        workers, ahead = getattr(self._dataset, "workers", 1), getattr(self._dataset, "max_queue_size", 10)
        if workers < 2:
            yield from (self._dataset[number] for number in wanted)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="pyrnn-data") as pool:
            pending = deque(pool.submit(self._dataset.__getitem__, number) for number in wanted[:ahead])
            try:
                for number in [*wanted[ahead:], *[None] * len(pending)]:
                    parts = pending.popleft().result()
                    if number is not None:
                        pending.append(pool.submit(self._dataset.__getitem__, number))
                    yield parts
            finally:
                for future in pending:
                    future.cancel()

    def epoch_ended(self) -> None:
        self._dataset.on_epoch_end()


def _yields_batches(x: Any) -> bool:
    """Whether x is walked for its batches, and is no array or list of numbers itself."""
    if hasattr(x, "__array__") or isinstance(x, list | tuple) or not hasattr(x, "__iter__"):
        return False
    return hasattr(x, "__next__") or not hasattr(x, "__len__") or not hasattr(x, "shape")


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    dtype: str,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: Mapping[int, float] | None = None,
) -> Batches:
    """Batches of arrays, of a generator or of a PyDataset.

    Raises:
        TypeError, ValueError: as `make_batch`; or if y is given beside a generator, which yields its own.
    """
    if steps is not None:
        steps = positive_int("steps", steps)
    is_dataset = isinstance(x, PyDataset)
    if is_dataset or _yields_batches(x):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"{name} must not be given when x is a generator or PyDataset: it yields its own")
        if is_dataset:
            return PyDatasetBatches(x, steps, shuffle, dtype, class_weight)
        return IteratorBatches(x, steps, dtype, class_weight)
    data = make_batch((x, y, sample_weight), dtype, class_weight)
    size = DEFAULT_BATCH_SIZE if batch_size is None else positive_int("batch_size", batch_size)
    whole = ArrayBatches(data, size, shuffle)
    return whole if steps is None else _Repeated(whole, steps)


class _Repeated(Batches):
    """Array batches cut into epochs of `steps`, walking on where the last epoch ended."""

    def __init__(self, batches: ArrayBatches, steps: int) -> None:
        self.steps, self._batches = steps, batches
        self._source = self._for_ever(batches)

    @staticmethod
    def _for_ever(batches: ArrayBatches) -> Iterator[Batch]:
        while True:
            yield from batches.epoch()

    def epoch(self) -> Iterator[Batch]:
        if self.starts_anew:
            self._source = self._for_ever(self._batches)
        for _ in range(self.steps or 0):
            yield next(self._source)
