"""Keras's PyDataset: a user's indexable set of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pyrnn.arguments import checked
from pyrnn.validation import positive_int


class PyDataset:
    """A set of batches: `__getitem__(i)` gives the batch i as (x, y) or (x, y, sample_weight), `__len__` their number.

    Instead of `__len__` the property `num_batches` may be defined; None there means that there is no end. With
    `workers` > 1 that many threads read ahead, at most `max_queue_size` batches, which still come in order; with 0 or 1
    batches are read as they are needed.

    When a training goes on from a backup, batches that were seen are not asked for again, and NumPy generators that are
    attributes draw what they would have drawn. `on_epoch_begin` and `on_epoch_end` are called for the epochs of before;
    a dataset that changes in other ways defines `get_state()` (numbers, texts, lists, dicts and arrays) and
    `set_state(state)`, and no such calls are made then.
    """

    @checked()
    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        if use_multiprocessing:
            raise ValueError("use_multiprocessing must be left out, got True: a PyDataset reads in threads (workers)")
        self.workers = int(workers)
        self.max_queue_size = positive_int("max_queue_size", max_queue_size)
        self.use_multiprocessing = False

    @property
    def num_batches(self) -> int | None:
        """The number of batches, or None if there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError("a PyDataset must define __len__ or the property num_batches, its number of batches")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("a PyDataset must define __getitem__(index), its batch of that number")

    def __iter__(self) -> Iterator[Any]:
        """All batches in order, read by the caller's thread."""
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
