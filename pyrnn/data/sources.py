"""Batches that a user's generator, loader or PyDataset makes, and the choice between them and arrays."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np

from pyrnn import seeds, states
from pyrnn.data.arrays import Arrays, is_array
from pyrnn.data.batches import (
    NEXT_PASS,
    ArrayBatches,
    Batch,
    Batches,
    RepeatedBatches,
    drawn_rule,
    make_batch,
    warn_of_end,
)
from pyrnn.data.pydataset import PyDataset
from pyrnn.data.signature import Signature
from pyrnn.states import Rule
from pyrnn.validation import positive_int, warn

DEFAULT_BATCH_SIZE = 32
SUSPICIOUS_LENGTH = 10_000  # batches of a validation generator that might have no end


class IteratorBatches(Batches):
    """Batches of a generator or another iterator: `steps` per epoch, or all of them once if it is None.

    To resume an interrupted training the iterator must yield the same batches again; past batches are drawn and
    dropped.

    Args:
        source: The iterator of batches x, (x, y) or (x, y, sample_weight).
        steps: Batches in an epoch, or None.
        dtype: "float32" or "float64", of the model.
        signature: How the model reads its inputs and outputs; None for one of each, without names.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import IteratorBatches
        >>> source = ((np.full((1, 2), i), np.zeros((1, 1))) for i in range(4))
        >>> batches = IteratorBatches(source, steps=2, dtype="float32")
        >>> [[float(batch.x[0, 0]) for batch in batches.epoch()] for _ in range(2)]
        [[0.0, 1.0], [2.0, 3.0]]
    """

    # For errors and warnings.
    name, advice = "the generator", "pass fewer steps or epochs"
    # Whether an epoch of fewer than `steps` batches is an error.
    is_strict = False

    def __init__(self, source: Any, steps: int | None, dtype: str, signature: Signature | None = None) -> None:
        self.steps, self._dtype, self._signature = steps, dtype, signature
        self._iterator = source
        self._drawn = 0

    def epoch(self) -> Iterator[Batch]:
        """Iterate over the batches of one epoch, which may be fewer than `steps`, with a warning.

        Raises:
            ValueError: If the source ends before the first of `steps` batches, or before the last if `is_strict`.
        """
        for number in self._numbers():
            try:
                parts = next(self._iterator)
            except StopIteration:
                fix = f"make it yield indefinitely, or {self.advice}"
                if self.steps is not None and (self.is_strict or not number):
                    raise ValueError(
                        f"{self.name} ended after {number} of the {self.steps} batches of an epoch: {fix}"
                    ) from None
                self._taken, self.has_ended = number, True
                if self.steps is not None:
                    warn_of_end(self.name, number, self.steps, f"nothing follows; {fix}")
                return
            self._drawn += 1
            yield make_batch(parts, self._dtype, self._signature)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "drawn": self._drawn}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._drawn = _drop(self._iterator, state["drawn"])

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        return {**super().state_rules(epochs), "drawn": states.count(self._most_drawn(epochs))}


class StoredBatches(Batches):
    """Batches of a generator that ends by itself, for validation: each is drawn once, copied, and used in every epoch.

    To resume, the generator must yield the same batches again.
    """

    def __init__(self, source: IteratorBatches) -> None:
        self._source = source
        self._stored: list[Batch] = []
        self._is_complete = False

    def epoch(self) -> Iterator[Batch]:
        yield from self._stored
        if self._is_complete:
            return
        for batch in self._source.epoch():
            # A generator may reuse one array for all batches.
            self._stored.append(Batch(*[_copied(part) for part in batch]))
            if len(self._stored) == SUSPICIOUS_LENGTH:
                warn(
                    f"validation_data has yielded {SUSPICIOUS_LENGTH} batches, which are all stored: "
                    "if the generator yields indefinitely, pass validation_steps"
                )
            yield self._stored[-1]
        self._is_complete = True


def _copied(part: Any) -> Any:
    return part.each(np.copy) if type(part) is Arrays else None if part is None else part.copy()


class LoaderBatches(Batches):
    """Batches of what can be iterated repeatedly: a PyTorch DataLoader, a `tf.data.Dataset`, a `TimeseriesDataset`.

    Each epoch is one pass. In training with `steps`, an epoch continues where the previous one ended, and ends with the
    pass at the latest, as with arrays. To resume an interrupted training, past passes are made again and dropped,
    unless the loader has `get_state()` (called before each pass) and `set_state(state)`.

    Args:
        source: The loader.
        steps: Batches in an epoch, or None for a whole pass.
        dtype: "float32" or "float64", of the model.
        repeat: Whether epochs continue through the passes; otherwise each begins with the first batch.
        signature: How the model reads its inputs and outputs; None for one of each, without names.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import LoaderBatches
        >>> batches = LoaderBatches([np.zeros((2, 3)), np.zeros((1, 3))], steps=None, dtype="float32", repeat=False)
        >>> batches.steps, [len(batch.x) for batch in batches.epoch()]
        (2, [2, 1])
    """

    def __init__(
        self, source: Any, steps: int | None, dtype: str, repeat: bool, signature: Signature | None = None
    ) -> None:
        self._signature = signature
        self.steps = _length(source) if steps is None else steps
        self._source, self._wanted, self._dtype, self._repeat = source, steps, dtype, repeat
        self._pass: Iterator[Any] | None = None
        self._passes = self._drawn = 0  # finished passes, batches drawn from the present one
        self._begun: Any = None  # what the loader's `get_state` returned before the present pass

    def epoch(self) -> Iterator[Batch]:
        wanted = None if self._wanted is None else self._wanted - self._first
        self._taken, self._first = self._first, 0
        for parts in itertools.islice(self._walk(), wanted):
            self._taken += 1
            yield make_batch(parts, self._dtype, self._signature)

    def restart(self) -> None:
        if self._pass is not None:
            self._end_pass()

    def epoch_ended(self) -> None:
        super().epoch_ended()
        if self._wanted is None:  # an epoch that was stopped early ends its pass too
            self.restart()

    def get_state(self) -> dict[str, Any]:
        source = _state_of(self._source) if self._pass is None else self._begun
        return {**super().get_state(), "passes": self._passes, "drawn": self._drawn, "source": source}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if state["source"] is not None:
            self._source.set_state(state["source"])
        else:
            for _ in range(state["passes"]):
                for _ in self._source:
                    pass
        self._passes = state["passes"]
        if state["drawn"]:
            self._drawn = _drop(self._begin_pass(), state["drawn"])

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        most = self._most_drawn(epochs)
        return {
            **super().state_rules(epochs),
            "passes": states.count(epochs if most is None else most),
            "drawn": states.count(most),
            "source": states.anything,
        }

    def _begin_pass(self) -> Iterator[Any]:
        self._begun = _state_of(self._source)
        self._pass = iter(self._source)
        return self._pass

    def _end_pass(self) -> None:
        self._pass, self._drawn = None, 0
        self._passes += 1

    def _walk(self) -> Iterator[Any]:
        """The rest of the present pass; a whole one if nothing is left of it."""
        while True:
            current = self._begin_pass() if self._pass is None else self._pass
            for parts in current:
                self._drawn += 1
                yield parts
            empty = not self._drawn
            self._end_pass()
            if self._wanted is None or not self._repeat:
                return
            if empty:
                raise ValueError("x must yield at least one batch, got none")
            if self._taken:
                warn_of_end("the data", self._taken, self._wanted, NEXT_PASS)
                return


def _state_of(source: Any) -> Any:
    """The state that a user's data report for `set_state`; None if they have no such methods."""
    return source.get_state() if hasattr(source, "get_state") and hasattr(source, "set_state") else None


def _drop(source: Iterator[Any], count: int) -> int:
    """Draw and discard `count` batches; return their number."""
    drawn = sum(1 for _ in itertools.islice(source, count))
    if drawn < count:
        raise ValueError(
            f"the data ended after {drawn} of the {count} batches that the interrupted training had drawn: "
            "they must give the same batches again"
        )
    return count


def _length(source: Any) -> int | None:
    """The number of batches, or None: `len` of endless tf.data and IterableDatasets raises TypeError."""
    try:
        return len(source)
    except TypeError:
        return None


_dataset: Any = None  # what a worker process reads


def _take(dataset: PyDataset) -> None:
    """Keep the dataset that this worker process reads."""
    global _dataset
    _dataset = dataset


def _batch_of_process(number: int) -> Any:
    """Return a batch of the dataset of this worker process."""
    return _dataset[number]


class PyDatasetBatches(Batches):
    """Batches of a PyDataset, in order or shuffled in each pass.

    Each epoch is one pass. With `steps`, an epoch continues where the previous one ended, and ends with the pass at the
    latest, as with arrays; a dataset may have no end.

    Args:
        dataset: The dataset.
        steps: Batches in an epoch, or None for all of them.
        dtype: "float32" or "float64", of the model.
        shuffle: Whether each pass has another order of batches, drawn from pyrnn's seed.
        signature: How the model reads its inputs and outputs; None for one of each, without names.

    Raises:
        ValueError: If the dataset is empty, or has no end and `steps` is None.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import PyDataset, PyDatasetBatches
        >>> class Numbers(PyDataset):
        ...     def __len__(self):
        ...         return 2
        ...
        ...     def __getitem__(self, index):
        ...         return np.full((1, 1), float(index))
        >>> batches = PyDatasetBatches(Numbers(), steps=None, dtype="float32", shuffle=False)
        >>> [float(batch.x[0, 0]) for batch in batches.epoch()]
        [0.0, 1.0]
    """

    def __init__(
        self, dataset: PyDataset, steps: int | None, dtype: str, shuffle: bool, signature: Signature | None = None
    ) -> None:
        self._dataset, self._dtype, self._signature = dataset, dtype, signature
        count = dataset.num_batches
        self.steps = count if steps is None else steps
        if self.steps is None:
            raise ValueError(
                "steps_per_epoch (or steps) must be set for a PyDataset without an end, whose num_batches is None"
            )
        if self.steps < 1 or count == 0:
            raise ValueError("the PyDataset must have at least one batch, got 0")
        self._random = seeds.generator() if shuffle and count is not None else None
        # Of the present pass: the generator's state before the order was drawn, and the order; None between passes.
        self._pass: tuple[Any, list[int]] | None = None
        self._at = 0  # how many of its batches were returned
        self._epochs = 0

    def epoch(self) -> Iterator[Batch]:
        if not self._first:  # set_state has called it for an epoch that resumes in the middle
            self._dataset.on_epoch_begin()
        self._taken, self._first, first = self._first, 0, self._first
        assert self.steps is not None
        if not first or self._at:  # else the epoch was interrupted at the end of a pass, which ends it
            for parts in self._read(itertools.islice(self._order(), self.steps - first)):
                self._taken += 1
                self._at += 1
                if self._pass is not None and self._at == len(self._pass[1]):
                    self.restart()
                yield make_batch(parts, self._dtype, self._signature)
        if self._taken < self.steps:
            warn_of_end("the PyDataset", self._taken, self.steps, NEXT_PASS)

    def restart(self) -> None:
        self._pass, self._at = None, 0

    def _order(self) -> Iterator[int]:
        """The numbers of the batches to come in the present pass."""
        if self._dataset.num_batches is None:
            return itertools.count(self._at)
        if self._pass is None:
            self._pass = self._drawn_pass()
        return iter(self._pass[1][self._at :])

    def _drawn_pass(self) -> tuple[Any, list[int]]:
        count = self._dataset.num_batches
        if not count:
            raise ValueError("the PyDataset must have at least one batch, got 0")
        if self._random is None:
            return None, list(range(count))
        return self._random.bit_generator.state, self._random.permutation(count).tolist()

    def _read(self, wanted: Iterator[int]) -> Iterator[Any]:
        """The batches with these numbers, in order; read ahead in threads or processes if the dataset has workers.

        At most `max_queue_size` batches are in preparation or waiting at any time.
        """
        # A subclass need not call our __init__, as in Keras.
        workers, ahead = getattr(self._dataset, "workers", 1), getattr(self._dataset, "max_queue_size", 10)
        in_processes = getattr(self._dataset, "use_multiprocessing", False) and workers > 0
        if workers < 2 and not in_processes:
            yield from (self._dataset[number] for number in wanted)
            return
        pool: Executor
        read: Callable[[int], Any]
        if in_processes:
            from concurrent.futures import ProcessPoolExecutor  # which takes long to import

            pool, read = ProcessPoolExecutor(workers, initializer=_take, initargs=(self._dataset,)), _batch_of_process
        else:
            pool, read = ThreadPoolExecutor(workers, thread_name_prefix="pyrnn-data"), self._dataset.__getitem__
        with pool:
            pending = deque(pool.submit(read, n) for n in itertools.islice(wanted, ahead))
            try:
                while pending:
                    parts = pending.popleft().result()
                    pending += [pool.submit(read, n) for n in itertools.islice(wanted, 1)]
                    yield parts
            finally:
                for future in pending:
                    future.cancel()

    def epoch_ended(self) -> None:
        self._epochs += 1
        super().epoch_ended()
        self._dataset.on_epoch_end()

    def get_state(self) -> dict[str, Any]:
        now = None if self._random is None else self._random.bit_generator.state
        return {
            **super().get_state(),
            "random": now if self._pass is None else self._pass[0],
            "at": self._at,
            "epochs": self._epochs,
            "dataset": _state_of(self._dataset),
            "streams": seeds.own_streams(seeds.generators_of(self._dataset)),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._pass = None
        self._at, self._epochs = state["at"], state["epochs"]
        if self._random is not None:
            self._random.bit_generator.state = state["random"]
        if state["dataset"] is not None:
            self._dataset.set_state(state["dataset"])  # type: ignore[attr-defined]  # it had it when asked
        else:
            for _ in range(self._epochs):
                self._dataset.on_epoch_begin()
                self._dataset.on_epoch_end()
            if self._taken:
                self._dataset.on_epoch_begin()
        seeds.set_own_streams(seeds.generators_of(self._dataset), state["streams"])

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        return {
            **super().state_rules(epochs),
            "random": drawn_rule(self._random),
            "at": states.count(self._most_drawn(epochs)),
            "epochs": states.count(epochs),
            "dataset": states.anything,
            "streams": seeds.own_streams_rule(seeds.generators_of(self._dataset)),
        }


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    dtype: str,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    repeat: bool = False,
    signature: Signature | None = None,
) -> Batches:
    """Make batches from arrays, a generator, a loader or a PyDataset.

    Args:
        x: Inputs (N, ...), or a generator, loader or PyDataset that yields (x, y) or (x, y, sample_weight). Of several
            inputs or outputs: lists, tuples or dicts of arrays.
        y: Targets (N, ...), for arrays only; None for prediction.
        sample_weight: Weights (N,) or (N, T), for arrays only.
        dtype: "float32" or "float64", of the model.
        batch_size: Samples in a batch, for arrays; by default what divides them into `steps` batches, as in Keras, or
            32.
        steps: Batches in an epoch; by default one pass over the data.
        shuffle: Whether arrays and PyDatasets get another order in each pass; generators and loaders shuffle
            themselves.
        repeat: For training: each epoch has `steps` batches, begins where the previous one ended, and the data are
            repeated. Otherwise each epoch begins with the first batch and uses none twice.
        signature: How the model reads its inputs and outputs; None for one of each, without names.

    Returns:
        The batches.

    Raises:
        TypeError, ValueError: As `make_batch`; or if y is passed with a generator, which yields its own.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import as_batches
        >>> batches = as_batches(np.zeros((100, 5, 2)), np.zeros((100, 1)), dtype="float32")
        >>> batches.steps, next(batches.epoch()).x.shape
        (4, (32, 5, 2))
    """
    if steps is not None:
        steps = positive_int("steps", steps)
    if isinstance(x, PyDataset) or (hasattr(x, "__iter__") and not is_array(x) and not isinstance(x, Mapping)):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"{name} must be left out when x is a generator, loader or PyDataset, which yields it")
        if hasattr(x, "__next__"):
            return IteratorBatches(x, steps, dtype, signature)
        if steps is not None and not repeat:
            steps = _at_most(steps, x.num_batches if isinstance(x, PyDataset) else _length(x))
        if isinstance(x, PyDataset):
            return PyDatasetBatches(x, steps, dtype, shuffle, signature)
        return LoaderBatches(x, steps, dtype, repeat, signature)
    data = make_batch((x, y, sample_weight), dtype, signature)
    if batch_size is not None:
        size = positive_int("batch_size", batch_size)
    else:
        size = DEFAULT_BATCH_SIZE if steps is None else -(-data.samples // steps)
    whole = ArrayBatches(data, size, shuffle)
    if steps is None:
        return whole
    if repeat:
        return RepeatedBatches(whole, steps)
    count = len(range(0, data.samples, size))
    # A size that follows from `steps` may come to fewer batches, which hold all samples.
    whole.steps = min(steps, count) if batch_size is None else _at_most(steps, count)
    return whole


def _at_most(steps: int, count: int | None) -> int:
    """`steps`, or the number of batches if there are fewer."""
    if count is None or steps <= count:
        return steps
    warn(f"{steps} steps are more than the {count} batches of the data: each batch is used once")
    return count
