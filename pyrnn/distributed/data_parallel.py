"""`DataParallel`: training with batches that are split into shards, in one process or several."""

from __future__ import annotations

import contextlib
import os
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

from pyrnn import backend, ranks, seeds
from pyrnn.arguments import checked
from pyrnn.distributed import agreement, tree
from pyrnn.distributed.communicator import Communicator
from pyrnn.distributed.passes import ShardedPasses
from pyrnn.rules import Rule, Whole
from pyrnn.typing import Positive
from pyrnn.validation import WrongType, shown

__all__ = ["DataParallel", "distribution", "initialize", "set_distribution"]

T = TypeVar("T")
MOST_SHARDS = 4096
# Variables that MPI's launchers set in the processes that they start.
_OF_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK")
_OF_THREADS = ("PYRNN_NUM_THREADS", "OMP_NUM_THREADS")
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
        if batch is not None and self.size > 1 and runner.is_new_run():
            agreement.check(self._communicator.gather(agreement.of_training(model, batch)))
        return runner

    def rows(self, count: int) -> slice:
        """Return the rows that this process has of a batch.

        Args:
            count: the number of rows of the batch.

        Returns:
            The rows of its shards.

        Example:
            >>> import pyrnn
            >>> pyrnn.distributed.DataParallel(shards=4).rows(10)
            slice(0, 10, None)
        """
        first, stop = tree.shards_of_rank(self.rank, self.size, self.shards)
        bounds = tree.rows_of_shards(count, self.shards)
        return slice(bounds[first][0], bounds[stop - 1][1])

    def of_first(self, function: Callable[[], T]) -> T:
        """Call a function in the first process alone.

        Args:
            function: makes something that can be pickled.

        Returns:
            What it returned there, in all processes.

        Raises:
            Exception: what it raised there, in all processes.
        """
        outcome: tuple[Any, BaseException | None] = (None, None)
        if self.rank == 0:
            try:
                outcome = function(), None
            except Exception as error:
                outcome = None, error
        value, problem = self._communicator.gather(outcome)[0]
        if problem is not None:
            raise problem
        return value  # type: ignore[no-any-return]  # of the same type in each process


@checked
def initialize(shards: Shards = 8, timeout: Positive = 600.0) -> DataParallel:
    """Spread training over the processes that MPI has started, at the beginning of a script.

    Start the script with `mpirun -n 4 python train.py`. Each process runs the same script and makes the same model and
    data. Without `mpirun` this process has all shards, and the results are the same.

    It gives all processes the random streams of the first one and shares the cores of a machine between its processes,
    unless PYRNN_NUM_THREADS or OMP_NUM_THREADS is set. An error that no process handles ends the job.

    Args:
        shards: number of shards, from 1 to 4096, at least one for each process. Results depend on it.
        timeout: seconds, above 0, after which a process that waits for another one raises an error.

    Returns:
        The distribution, which is set.

    Raises:
        ImportError: if the processes of a job lack mpi4py.
        ValueError: if there are fewer shards than processes, or a process has other shards, versions, instruction sets
            or another script than the first one.

    Example:
        >>> import pyrnn
        >>> distribution = pyrnn.distributed.initialize(shards=4)
        >>> distribution.rank, distribution.size
        (0, 1)
        >>> pyrnn.distributed.set_distribution(None)
    """
    shards = int(shards)
    parallel = DataParallel(shards)
    if any(name in os.environ for name in _OF_LAUNCHERS):
        parallel._prepare(shards, _connected(shards, float(timeout)))
    ranks.distribution = parallel
    return parallel


def _connected(shards: int, timeout: float) -> Communicator:
    """Return a communicator of all processes, after checks; `mpi4py` starts MPI when it is imported."""
    import atexit

    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"training on MPI needs mpi4py and an MPI, such as those of pip install pyrnn-core[mpi]: {error}"
        ) from error
    from pyrnn.distributed.mpi import MpiCommunicator

    communicator = MpiCommunicator(shards, timeout, MPI.COMM_WORLD)
    communicator.abort_on_errors()
    atexit.register(communicator.end)
    if shards < communicator.size:
        raise ValueError(f"shards must be at least the number of processes, {communicator.size}, got {shards}")
    agreement.check(communicator.gather(agreement.of_process(shards)))
    seeds.set_streams(communicator.gather(seeds.streams() if communicator.rank == 0 else None)[0])
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    places = communicator.gather((socket.gethostname(), cores))
    if not any(name in os.environ for name in _OF_THREADS):
        backend.set_num_threads(max(1, len(cores) // places.count(places[communicator.rank])))
    return communicator


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
