"""The form in which data reach the trainer: batches (x, y, sample_weight) of arrays of one dtype, epoch by epoch.

This module has the form itself and batches of arrays. `arrays` converts what users pass; batches that a generator,
loader or dataset makes are in `sources`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.data.arrays import Arrays, as_column, as_float, is_float
from pyrnn.data.signature import Ports, Signature, shown_keys
from pyrnn.seeds import generator, stream_rule
from pyrnn.states import Rule, anything, count, record
from pyrnn.validation import WrongType, shown, warn

Array = NDArray[Any]


class Batch(NamedTuple):
    """One batch as the trainer reads it. Of several inputs or outputs each field is `Arrays`.

    Args:
        x: Inputs (B, ...), C-contiguous, in the dtype of the model.
        y: Targets (B, ...), or None for prediction. Integers stay integers.
        sample_weight: Weights (B,) of the samples or (B, T) of the time steps, or None.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import Batch
        >>> Batch(np.zeros((4, 10, 3)), np.zeros((4, 1)), None).x.shape
        (4, 10, 3)
    """

    x: Any
    y: Any
    sample_weight: Any

    @property
    def samples(self) -> int:
        """The number of samples B."""
        return len(_first(self.x) if type(self.x) is Arrays else self.x)


def _first(arrays: Arrays) -> Any:
    """The first array, None if there is none; an optional input may have none."""
    return next((array for array in arrays if array is not None), None)


class Batches:
    """Data that can be iterated once per epoch; `steps` is the number of batches, or None if it is unknown.

    `get_state` returns the position at any time. After `set_state`, on data as new as they were in the beginning, the
    next `epoch()` returns the batches that were still to come.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import as_batches
        >>> batches = as_batches(np.zeros((5, 2)), dtype="float32", batch_size=2)
        >>> batches.steps, [len(batch.x) for batch in batches.epoch()]
        (3, [2, 2, 1])
    """

    steps: int | None = None
    # Whether the data have ended within an epoch, so that there is no next one.
    has_ended = False
    # Batches of the present epoch already returned, and those that the next `epoch()` skips.
    _taken = 0
    _first = 0

    def epoch(self) -> Iterator[Batch]:
        """Iterate over the batches of one epoch.

        Returns:
            An iterator of batches.
        """
        raise NotImplementedError

    def epoch_ended(self) -> None:
        """Called at the end of each epoch."""
        self._taken = 0

    def describe(self) -> dict[str, Any]:
        """Return what a resumed training must find again.

        Returns:
            The kind of data, the number of batches in an epoch, and whether their order is random; plain values.
        """
        return {
            "kind": type(self).__name__,
            "steps": self.steps,
            "shuffled": getattr(self, "_random", None) is not None,
        }

    def get_state(self) -> dict[str, Any]:
        """Return the position in the data.

        Returns:
            Plain values and arrays, which `set_state` accepts.
        """
        return {"taken": self._taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: The position, already checked against `state_rules`.
        """
        self._taken = self._first = state["taken"]

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        """Return the rules for the keys of a state.

        Args:
            epochs: How many epochs may have begun, at most.

        Returns:
            A rule of `pyrnn.states` for each key.
        """
        return {"taken": count(self.steps)}

    def _most_drawn(self, epochs: int) -> int | None:
        """How many batches `epochs` epochs draw at most."""
        return None if self.steps is None else epochs * self.steps

    def _numbers(self) -> Iterator[int]:
        """The numbers of the batches still to come in this epoch; each is counted as taken."""
        first, self._first = self._first, 0
        for number in itertools.count(first) if self.steps is None else range(first, self.steps):
            self._taken = number + 1
            yield number

    def restart(self) -> None:
        """Begin the next epoch with the first batch, even if epochs of a few steps continue through the data."""


NEXT_PASS = "the epoch ends there, and the next one begins with the first batch"


def warn_of_end(name: str, taken: int, steps: int, consequence: str) -> None:
    """Warn that data end before the last batch of an epoch.

    Args:
        name: What the warning calls the data.
        taken: Batches of the epoch that there were.
        steps: Batches that the epoch was to have.
        consequence: What happens then.
    """
    warn(f"{name} ended after {taken} of the {steps} batches of an epoch: {consequence}")


def drawn_rule(random: np.random.Generator | None) -> Rule:
    """The rule for the state of a generator that draws orders, None if there is no generator."""
    return anything if random is None else stream_rule(random.bit_generator)


def described_arrays(data: Batch) -> dict[str, Any]:
    """Number of samples and shape of one sample, which a resumed training must find again."""
    shapes = {name: _sample_shape(part) for name, part in data._asdict().items()}
    return {"samples": data.samples, "shapes": shapes}


def _sample_shape(part: Any) -> list[Any] | None:
    """The shape of one sample, a list of shapes for several arrays."""
    if type(part) is Arrays:
        return [_sample_shape(array) for array in part]
    return None if part is None else list(part.shape[1:])


def make_batch(parts: Any, dtype: str, signature: Signature | None = None) -> Batch:
    """Check and convert a batch that a user's code made.

    Args:
        parts: x, (x, y) or (x, y, sample_weight).
        dtype: "float32" or "float64", of the model.
        signature: How the model reads its inputs and outputs; None for one input and one output without names.

    Returns:
        The batch.

    Raises:
        TypeError, ValueError: If it is not an array or tuple (x, y[, sample_weight]), lengths or structures differ, or
            y holds NaN.
    """
    if not isinstance(parts, tuple):
        if isinstance(parts, Mapping) and not _may_be_inputs(parts, signature):
            raise WrongType(f"a batch must be x, (x, y) or (x, y, sample_weight), got a dict of {shown_keys(parts)}")
        parts = tuple(parts) if isinstance(parts, list) else (parts,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    user_x, y, weight = (*parts, None, None)[:3]
    if user_x is None:
        raise WrongType("x is missing: pass arrays x and y, or as x a generator, loader or PyDataset of batches (x, y)")
    if signature is not None and signature.has_several:
        if signature.is_open:
            signature.resolve(user_x)
        if signature.has_several:
            return _make_several(user_x, y, weight, dtype, signature)
    is_plain = weight is None and is_float(user_x, dtype) and is_float(y, dtype)
    if is_plain and user_x.ndim and y.ndim and 0 < len(user_x) == len(y):  # the quick way for most batches
        _check_finite("y", y)
        return Batch(user_x, y, None)
    if type(user_x) is not np.ndarray:
        user_x = user_x if signature is None else signature.inputs.single(user_x)
        _check_single("x", user_x)
    x = as_column(user_x, as_float("x", user_x, dtype))
    if x.ndim == 0:
        raise ValueError(f"x must have one row per sample, got {shown(user_x)}")
    if len(x) == 0:
        raise ValueError(f"x must hold at least one sample, got shape {x.shape}")
    if signature is not None and not (type(y) is np.ndarray and (weight is None or type(weight) is np.ndarray)):
        y, weight = (signature.outputs.single(value, len(x)) for value in (y, weight))
    if y is not None:
        if type(y) is not np.ndarray:
            _check_single("y", y)
        user_y = y
        y = as_column(y, as_float("y", y, dtype, allow_integers=True))
        _check_rows("y", y, x, user_y, user_x)
        _check_finite("y", y)
    if weight is not None:
        if type(weight) is not np.ndarray:
            _check_single("sample_weight", weight)
        weight = as_float("sample_weight", weight, dtype)
        _check_rows("sample_weight", weight, x)
    return Batch(x, y, weight)


def read_arrays(argument: str, value: Any, dtype: str, ports: Ports) -> Arrays:
    """Convert the arrays of several inputs or outputs.

    Args:
        argument: The name of the argument, for messages.
        value: What the user passed: an array for each of them in a list, tuple or dict.
        dtype: "float32" or "float64". Integers of outputs stay integers.
        ports: How the model reads them.

    Returns:
        The arrays, in the order of the model; None for an output without one.

    Raises:
        TypeError, ValueError: If the structure does not fit, or an array has no or other rows than the first one.
    """
    entries, labels = ports.flat(argument, value), ports.labels(argument)
    is_output = ports.kind == "output"
    arrays = Arrays(
        None if entry is None else as_column(entry, as_float(label, entry, dtype, allow_integers=is_output))
        for label, entry in zip(labels, entries, strict=True)
    )
    first = None
    for label, array in zip(labels, arrays, strict=True):
        if array is None:
            continue
        if array.ndim == 0:
            raise ValueError(f"{label} must have one row per sample, got {shown(array)}")
        if first is None:
            first = label, len(array)
        elif len(array) != first[1]:
            raise ValueError(
                f"{label} must have one row for each of the {first[1]} samples of {first[0]}, got shape {array.shape}"
            )
    return arrays


def _may_be_inputs(value: Mapping[Any, Any], signature: Signature | None) -> bool:
    return signature is not None and (signature.is_open or signature.inputs.has_key_in(value))


def _make_several(user_x: Any, y: Any, weight: Any, dtype: str, signature: Signature) -> Batch:
    """`make_batch` for a model with several inputs or several outputs."""
    inputs, outputs = signature.inputs, signature.outputs
    if inputs.count > 1:
        x: Any = read_arrays("x", user_x, dtype, inputs)
    else:
        user_x = inputs.single(user_x)
        _check_single("x", user_x)
        x = as_column(user_x, as_float("x", user_x, dtype))
    batch = Batch(x, None, None)
    first = _first(x) if inputs.count > 1 else x
    if first is None:
        raise ValueError("x must hold an array for one of the inputs, all of them are None")
    if first.ndim == 0 or len(first) == 0:
        raise ValueError(f"x must hold at least one sample, got shape {first.shape}")
    if y is None:
        return batch
    y, weight = read_outputs(y, weight, dtype, outputs, batch.samples)
    for argument, part in (("y", y), ("sample_weight", weight)):
        labels = outputs.labels(argument)
        for label, array in zip(labels, part if type(part) is Arrays else (part,), strict=False):
            if array is not None:
                _check_rows(label, array, first)
                if argument == "y":
                    _check_finite(label, array)
    return Batch(x, y, weight)


def read_outputs(y: Any, weight: Any, dtype: str, outputs: Ports, rows: int) -> tuple[Any, Any]:
    """Convert targets and weights of a model with several inputs or outputs.

    Args:
        y: Targets: an array, or for several outputs an array for each of them in a list, tuple or dict.
        weight: Weights in the same forms, one array for all outputs, or None.
        dtype: "float32" or "float64". Integer targets stay integers.
        outputs: How the model reads them.
        rows: The number of samples.

    Returns:
        Targets and weights: an array or None each; for several outputs `Arrays`, with None for an output without them.

    Raises:
        TypeError, ValueError: If a structure does not fit.
    """
    if outputs.count == 1:
        y, weight = outputs.single(y, rows), outputs.single(weight, rows)
        _check_single("y", y)
        _check_single("sample_weight", weight)
        y = as_column(y, as_float("y", y, dtype, allow_integers=True))
        return y, None if weight is None else as_float("sample_weight", weight, dtype)
    y = read_arrays("y", y, dtype, outputs)
    if weight is None:
        return y, None
    if not isinstance(weight, list | tuple | Mapping):
        weight = as_float("sample_weight", weight, dtype)
        return y, y.each(lambda _: weight)
    return y, read_arrays("sample_weight", weight, dtype, outputs).each(lambda array: as_float("", array, dtype))


def _check_finite(name: str, y: Array) -> None:
    if y.dtype.kind == "f" and math.isnan(np.vdot(y, y)):
        raise ValueError(f"{name} holds NaN: remove or fill these samples first")


def _check_single(name: str, value: Any) -> None:
    """Reject several inputs or outputs in a dict, list or tuple; arrays of one shape in a list are samples.

    Raises:
        TypeError: For a dict.
        ValueError: For arrays of several shapes.
    """
    rule = f"{name} must be one array, since the model has one {'input' if name == 'x' else 'output'}"
    if isinstance(value, Mapping):
        fix = f"pass {name}[{next(iter(value))!r}]" if len(value) == 1 else "join arrays by np.concatenate"
        raise WrongType(f"{rule}, got a dict of {shown_keys(value)}{'; ' + fix if value else ''}")
    if not isinstance(value, list | tuple) or not all(hasattr(each, "__array__") for each in value):
        return
    shapes = [np.shape(each) for each in value]
    if len(set(shapes)) > 1 and len({shape[:1] for shape in shapes}) == 1 and () not in shapes:
        kind = type(value).__name__
        fix = "join them along the last axis by np.concatenate"
        if kind == "tuple":
            fix = "pass y as a second argument"
        raise ValueError(f"{rule}, got a {kind} of {len(value)} arrays of shapes {', '.join(map(str, shapes))}; {fix}")


def _check_rows(name: str, array: Array, x: Array, user_value: Any = None, user_x: Any = None) -> None:
    if array.ndim and len(array) == len(x):
        return
    fix = ""
    for argument, value, rows in ((name, user_value, len(x)), ("x", user_x, len(array) if array.ndim else None)):
        if (
            isinstance(value, list | tuple)
            and value
            and hasattr(value[0], "__array__")
            and np.shape(value[0])[:1] == (rows,)
        ):
            fix = f"; {argument} must be one array, not a {type(value).__name__} of {len(value)}"
    raise ValueError(f"{name} must have one row for each of the {len(x)} samples of x, got shape {array.shape}{fix}")


class ArrayBatches(Batches):
    """Slices of arrays, in order (as views) or shuffled (gathered by the core).

    Args:
        data: The arrays of all samples.
        batch_size: Samples in a batch, at least 1; the last batch of an epoch may be smaller.
        shuffle: Whether each epoch has another order, drawn from pyrnn's seed.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import ArrayBatches, Batch
        >>> batches = ArrayBatches(Batch(np.arange(4.0), None, None), batch_size=3, shuffle=False)
        >>> [batch.x.tolist() for batch in batches.epoch()]
        [[0.0, 1.0, 2.0], [3.0]]
    """

    def __init__(self, data: Batch, batch_size: int, shuffle: bool) -> None:
        self.data, self.batch_size, self.shuffle = data, batch_size, shuffle
        self.steps = -(-data.samples // batch_size)
        self._random = generator() if shuffle else None
        self._drawn: Any = None  # the generator's state before the order of the present epoch was drawn
        # The rows of x that this process reads of a batch of that many rows; None for all.
        self._reads: Callable[[int], slice] | None = None

    def read_only(self, rows: Callable[[int], slice]) -> None:
        """Leave other rows of x at 0 where batches are shuffled, but for the first batch of an epoch.

        Args:
            rows: returns the rows of x that this process reads, for the number of rows of a batch.
        """
        self._reads = rows

    def epoch(self) -> Iterator[Batch]:
        size, order, reads = self.batch_size, None, None
        if self._random is not None:
            self._drawn = self._random.bit_generator.state
            order = self._random.permutation(self.data.samples).astype(np.int64, copy=False)
        for number in self._numbers():
            start = number * size
            if order is None:
                yield Batch(*[rows_of(part, start, start + size) for part in self.data])
            else:
                rows = order[start : start + size]
                x, y, weight = self.data
                gathered = _gather(x, rows) if reads is None else _gather_some(x, rows, reads(len(rows)))
                yield Batch(gathered, *[None if part is None else _gather(part, rows) for part in (y, weight)])
                reads = self._reads

    def get_state(self) -> dict[str, Any]:
        now = None if self._random is None else self._random.bit_generator.state
        return {**super().get_state(), "random": self._drawn if self._taken else now}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "batch_size": self.batch_size, **described_arrays(self.data)}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if self._random is not None:
            self._random.bit_generator.state = self._drawn = state["random"]

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        return {**super().state_rules(epochs), "random": drawn_rule(self._random)}


def rows_of(part: Any, start: int, stop: int) -> Any:
    """Return some rows of a field of a `Batch`.

    Args:
        part: An array, `Arrays` or None.
        start: The first row.
        stop: The row after the last one.

    Returns:
        Views of the rows; None of None.
    """
    if type(part) is Arrays:
        return part.each(lambda array: array[start:stop])
    return None if part is None else part[start:stop]


def _gather(part: Any, rows: NDArray[np.int64]) -> Any:
    if type(part) is Arrays:
        return part.each(lambda array: _gather(array, rows))
    return backend.gather_rows(part, rows) if part.dtype.kind == "f" else part[rows]


def _gather_some(part: Any, rows: NDArray[np.int64], read: slice) -> Any:
    """Return zeros in the form of the rows, with values in some of them; zeros that nothing reads need no memory."""
    if type(part) is Arrays:
        return part.each(lambda array: _gather_some(array, rows, read))
    if read == slice(0, len(rows)):
        return _gather(part, rows)
    gathered = np.zeros((len(rows), *part.shape[1:]), part.dtype)
    np.take(part, rows[read], axis=0, out=gathered[read], mode="clip")  # other modes need a copy
    return gathered


class RepeatedBatches(Batches):
    """Batches of arrays in epochs of a fixed number of steps; each epoch continues where the previous one ended.

    A pass over the arrays also ends the epoch, so that each epoch is in one order, as in Keras.

    Args:
        batches: The arrays in batches.
        steps: Batches in an epoch, at least 1.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import ArrayBatches, Batch, RepeatedBatches
        >>> batches = RepeatedBatches(ArrayBatches(Batch(np.arange(4.0), None, None), 1, shuffle=False), steps=2)
        >>> [[float(batch.x[0]) for batch in batches.epoch()] for _ in range(3)]
        [[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]]
    """

    def __init__(self, batches: ArrayBatches, steps: int) -> None:
        self.steps, self.data, self._batches = steps, batches.data, batches
        self.restart()

    def read_only(self, rows: Callable[[int], slice]) -> None:
        """Do what `ArrayBatches.read_only` does.

        Args:
            rows: returns the rows of x that this process reads, for the number of rows of a batch.
        """
        self._batches.read_only(rows)

    def restart(self) -> None:
        self._batches.epoch_ended()
        self._pass = self._batches.epoch()

    def epoch(self) -> Iterator[Batch]:
        first, self._first = self._first, 0
        assert self.steps is not None
        for number in range(first, self.steps):
            batch = next(self._pass, None)
            if batch is None:
                self.restart()
                if number:
                    warn_of_end("the data", number, self.steps, NEXT_PASS)
                    return
                batch = next(self._pass)
            self._taken = number + 1
            yield batch

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "pass": self._batches.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._batches.set_state(state["pass"])

    def describe(self) -> dict[str, Any]:
        return {**self._batches.describe(), **super().describe(), "shuffled": self._batches.shuffle}

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        return {**super().state_rules(epochs), "pass": record(self._batches.state_rules(epochs))}
