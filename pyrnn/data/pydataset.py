"""Keras's PyDataset: a user's indexable set of batches."""

from __future__ import annotations

from typing import Any

from pyrnn.validation import positive_int


class PyDataset:
    """A set of batches: `__len__` gives their number, `__getitem__(i)` the batch i as (x, y) or (x, y, sample_weight).

    With `workers` > 1 so many threads read ahead, at most `max_queue_size` batches, which still come in order.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        if use_multiprocessing:
            raise ValueError("PyDataset reads in threads here: leave use_multiprocessing out and raise workers")
        self.workers = positive_int("workers", workers)
        self.max_queue_size = positive_int("max_queue_size", max_queue_size)
        self.use_multiprocessing = False

    def __len__(self) -> int:
        raise NotImplementedError("a PyDataset must define __len__, its number of batches")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("a PyDataset must define __getitem__(index), its batch of that number")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
