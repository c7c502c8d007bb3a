"""`DataParallel`: training with batches that are split into shards, in one process or several."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

from pyrnn import ranks
from pyrnn.arguments import checked
from pyrnn.distributed.communicator import Communicator
from pyrnn.distributed.passes import ShardedPasses
from pyrnn.rules import Rule, Whole
from pyrnn.validation import WrongType, shown

__all__ = ["DataParallel", "distribution", "set_distribution"]

T = TypeVar("T")
MOST_SHARDS = 4096
Shards = Annotated[int, Whole(1, MOST_SHARDS)]


class _IsDistribution(Rule):
    """A `DataParallel`."""

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, DataParallel):
            raise WrongType(f"{argument} must be a DataParallel or None, got {shown(value)}")


class DataParallel:
    """Split each batch into a fixed number of shards, which the processes of a job share.

    While a distribution is set, `fit`, `evaluate`, `predict` and their forms for one batch run the shards one by one.
    The gradients of the shards are summed in an order that depends on the number of shards alone, so any number of
    processes and threads gives the same bits. `initialize` makes a distribution over the processes of an MPI job; one
    that is made directly has this process alone.

    Args:
        shards: number of shards, from 1 to 4096.

    Raises:
        TypeError, ValueError: if `shards` is no such integer.

    Example:
        >>> import numpy as np, pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.LSTM(4, input_shape=(10, 2)), pyrnn.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> with pyrnn.distributed.DataParallel(shards=4).scope():
        ...     history = model.fit(np.ones((32, 10, 2)), np.ones((32, 1)), verbose=0)
    """

    @checked
    def __init__(self, shards: Shards = 8) -> None:
        self._prepare(int(shards), Communicator(int(shards)))

    def _prepare(self, shards: int, communicator: Communicator) -> None:
        self.shards, self._communicator = shards, communicator
        self._runners: weakref.WeakKeyDictionary[Any, ShardedPasses] = weakref.WeakKeyDictionary()

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on. Process 0 prints and writes files."""
        return self._communicator.rank

    @property
    def size(self) -> int:
        """The number of processes."""
        return self._communicator.size

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        self._communicator.barrier()

    @contextlib.contextmanager
    def scope(self) -> Iterator[DataParallel]:
        """Set the distribution for a `with` block.

        Returns:
            A context manager, which returns the distribution.

        Example:
            >>> import pyrnn
            >>> with pyrnn.distributed.DataParallel(shards=2).scope() as distribution:
            ...     print(pyrnn.distributed.distribution() is distribution)
            True
        """
        before = ranks.distribution
        ranks.distribution = self
        try:
            yield self
        finally:
            ranks.distribution = before

    def runner(self, model: Any, batch: Any = None) -> ShardedPasses:
        """Return what runs the passes of a model.

        Args:
            model: the model.
            batch: a batch of training, which is compared between the processes at first; None for one without a check.

        Returns:
            An object with the methods `forward_pass` and `passes` of a model.
        """
        runner = self._runners.get(model)
        if runner is None:
            self._runners[model] = runner = ShardedPasses(model, self._communicator, self.shards)
        return runner

    def of_first(self, function: Callable[[], T]) -> T:
        """Call a function in the first process alone.

        Args:
            function: makes something that can be pickled.

        Returns:
            What it returned there, in all processes.

        Raises:
            Exception: what it raised there, in all processes.
        """
        return function()


@checked
def set_distribution(value: Annotated[DataParallel, _IsDistribution()] | None) -> None:
    """Set the distribution of this process.

    Args:
        value: the distribution; None for training without one.

    Raises:
        TypeError: if it is something else.

    Example:
        >>> import pyrnn
        >>> pyrnn.distributed.set_distribution(pyrnn.distributed.DataParallel(shards=4))
        >>> pyrnn.distributed.distribution().shards
        4
        >>> pyrnn.distributed.set_distribution(None)
    """
    ranks.distribution = value


def distribution() -> DataParallel | None:
    """Return the distribution of this process.

    Returns:
        What `set_distribution`, `initialize` or `scope` has set; None without one.

    Example:
        >>> import pyrnn
        >>> pyrnn.distributed.distribution() is None
        True
    """
    return ranks.distribution  # type: ignore[return-value]  # nothing else is set
