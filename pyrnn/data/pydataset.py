"""Keras's PyDataset: a user's indexable set of batches."""

from __future__ import annotations

from typing import Any


class PyDataset:
    """A set of batches: `__len__` gives their number, `__getitem__(i)` the batch i as (x, y) or (x, y, sample_weight).

    Batches are read one after another in the calling thread; workers other than Keras's defaults are refused.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        if workers > 1 or use_multiprocessing:
            raise ValueError("PyDataset reads in the calling thread here: leave workers and use_multiprocessing out")
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError("a PyDataset must define __len__, its number of batches")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("a PyDataset must define __getitem__(index), its batch of that number")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
