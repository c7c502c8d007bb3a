"""Keras's PyDataset: a user's indexable set of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pyrnn.arguments import checked
from pyrnn.typing import Flag, Natural, Size
from pyrnn.validation import positive_int


class PyDataset:
    """A set of batches: `__getitem__(i)` returns batch i as (x, y) or (x, y, sample_weight), `__len__` their number.

    A dataset without `__len__` has no end. A subclass may define the property `num_batches` instead, None for no end.

    When a training resumes from a backup, batches already seen are not read again, and NumPy generators that are
    attributes draw what they would have drawn. `on_epoch_begin` and `on_epoch_end` are called for past epochs. A
    dataset that changes in other ways defines `get_state()` (numbers, texts, lists, dicts and arrays) and
    `set_state(state)`; then no such calls are made.

    Args:
        workers: Threads that read ahead; with 0 or 1 batches are read when they are needed. Order is preserved.
        use_multiprocessing: Whether the workers are processes, each with a copy of the dataset. What reading changes in
            the dataset stays in them: random numbers drawn in `__getitem__` do not repeat when a training resumes.
        max_queue_size: Batches that `workers` prepare ahead, at most; at least 1.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of its range.

    Example:
        >>> import numpy as np
        >>> from pyrnn.utils import PyDataset
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...
        ...     def __getitem__(self, index):
        ...         x = np.full((2, 1), float(index))
        ...         return x, x**2
        >>> [float(y[0, 0]) for x, y in Squares()]
        [0.0, 1.0, 4.0]
    """

    @checked
    def __init__(self, workers: Natural = 1, use_multiprocessing: Flag = False, max_queue_size: Size = 10) -> None:
        self.workers = int(workers)
        self.max_queue_size = positive_int("max_queue_size", max_queue_size)
        self.use_multiprocessing = bool(use_multiprocessing)

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None if there is no end, as where no `__len__` is defined."""
        return len(self) if hasattr(self, "__len__") else None

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
