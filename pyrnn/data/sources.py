"""Batches that a user's generator, loader or PyDataset makes, and the choice between them and arrays."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyrnn.data.batches import ArrayBatches, Batch, Batches, RepeatedBatches, is_array, make_batch
from pyrnn.data.pydataset import PyDataset
from pyrnn.seeds import generator
from pyrnn.validation import positive_int

DEFAULT_BATCH_SIZE = 32


class IteratorBatches(Batches):
    """A generator or another iterator: `steps` batches an epoch, or all of it once where that is None."""

    def __init__(
        self, source: Any, steps: int | None, dtype: str, class_weight: Mapping[int, float] | None = None
    ) -> None:
        self.steps, self._dtype, self._class_weight = steps, dtype, class_weight
        self._iterator = source

    def epoch(self) -> Iterator[Batch]:
        taken = 0
        while self.steps is None or taken < self.steps:
            try:
                parts = next(self._iterator)
            except StopIteration:
                if self.steps is not None:
                    raise ValueError(
                        f"the generator ended after {taken} of {self.steps} batches: make it yield for ever, "
                        "or give fewer steps or epochs"
                    ) from None
                return
            yield make_batch(parts, self._dtype, self._class_weight)
            taken += 1


class LoaderBatches(Batches):
    """What can be iterated again and again: a PyTorch DataLoader, a `tf.data.Dataset`, a `TimeseriesDataset`.

    Each epoch is one pass; with `steps` given epochs walk on through the passes, as they do over arrays.
    """

    def __init__(
        self, source: Any, steps: int | None, dtype: str, class_weight: Mapping[int, float] | None = None
    ) -> None:
        self.steps = _length(source) if steps is None else steps
        self._source, self._wanted, self._dtype, self._class_weight = source, steps, dtype, class_weight
        self._pass: Iterator[Any] | None = None

    def epoch(self) -> Iterator[Batch]:
        batches = iter(self._source) if self._wanted is None else itertools.islice(self._passes(), self._wanted)
        for parts in batches:
            yield make_batch(parts, self._dtype, self._class_weight)

    def restart(self) -> None:
        self._pass = None

    def _passes(self) -> Iterator[Any]:
        while True:
            if self._pass is None:
                self._pass = iter(self._source)
                if (first := next(self._pass, self)) is self:
                    raise ValueError("the data gave no batch")
                yield first
            for parts in self._pass:  # noqa: UP028  # `yield from` would close a user's generator where an epoch ends in a pass
                yield parts
            self._pass = None


def _length(source: Any) -> int | None:
    """The number of batches, where it is known: `len` of endless tf.data and IterableDatasets raises TypeError."""
    try:
        return len(source)
    except TypeError:
        return None


class PyDatasetBatches(Batches):
    """A PyDataset, in order or with its batches shuffled; an endless one walks on from epoch to epoch."""

    def __init__(
        self, dataset: PyDataset, steps: int | None, shuffle: bool, dtype: str, class_weight: Mapping[int, float] | None
    ) -> None:
        self._dataset, self._dtype, self._class_weight = dataset, dtype, class_weight
        count = dataset.num_batches
        self.steps = count if steps is None else steps
        if self.steps is None:
            raise ValueError(
                "steps_per_epoch (or steps) must be given: the PyDataset has no end, its num_batches is None"
            )
        if self.steps < 1 or count == 0:
            raise ValueError("the PyDataset has no batches")
        self._random = generator() if shuffle and count is not None else None
        self._endless = itertools.count()

    def epoch(self) -> Iterator[Batch]:
        self._dataset.on_epoch_begin()
        for parts in self._read(itertools.islice(self._numbers(), self.steps)):
            yield make_batch(parts, self._dtype, self._class_weight)

    def restart(self) -> None:
        self._endless = itertools.count()

    def _numbers(self) -> Iterator[int]:
        count = self._dataset.num_batches
        if count is None:
            return self._endless
        order = range(count) if self._random is None else self._random.permutation(count).tolist()
        return itertools.cycle(order)

    def _read(self, wanted: Iterator[int]) -> Iterator[Any]:
        """The batches of these numbers, in order; read ahead in threads where the dataset has workers.

        At most `max_queue_size` batches are being made or wait at any time.
        """
        # A subclass need not call our __init__, as in Keras.
        workers, ahead = getattr(self._dataset, "workers", 1), getattr(self._dataset, "max_queue_size", 10)
        if workers < 2:
            yield from (self._dataset[number] for number in wanted)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="pyrnn-data") as pool:
            pending = deque(pool.submit(self._dataset.__getitem__, n) for n in itertools.islice(wanted, ahead))
            try:
                while pending:
                    parts = pending.popleft().result()
                    pending += [pool.submit(self._dataset.__getitem__, n) for n in itertools.islice(wanted, 1)]
                    yield parts
            finally:
                for future in pending:
                    future.cancel()

    def epoch_ended(self) -> None:
        self._dataset.on_epoch_end()


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
    """Batches of arrays, of a generator, of a loader or of a PyDataset; loaders and generators shuffle by themselves.

    Raises:
        TypeError, ValueError: as `make_batch`; or if y is given beside a generator, which yields its own.
    """
    if steps is not None:
        steps = positive_int("steps", steps)
    if isinstance(x, PyDataset) or (hasattr(x, "__iter__") and not is_array(x) and not isinstance(x, Mapping)):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"{name} must not be given when x is a generator, loader or PyDataset: it yields its own"
                )
        if isinstance(x, PyDataset):
            return PyDatasetBatches(x, steps, shuffle, dtype, class_weight)
        kind = IteratorBatches if hasattr(x, "__next__") else LoaderBatches
        return kind(x, steps, dtype, class_weight)
    data = make_batch((x, y, sample_weight), dtype, class_weight)
    size = DEFAULT_BATCH_SIZE if batch_size is None else positive_int("batch_size", batch_size)
    whole = ArrayBatches(data, size, shuffle)
    return whole if steps is None else RepeatedBatches(whole, steps)
