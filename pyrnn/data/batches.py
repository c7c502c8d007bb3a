"""The one form in which data reach the trainer: batches (x, y, sample_weight), arrays of one dtype, epoch by epoch.

Here the form itself and batches of arrays; batches of a user's own making are in `sources`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.data.objects import NUMERIC, numbers_of
from pyrnn.seeds import generator, stream_rule
from pyrnn.states import Rule, anything, count, record
from pyrnn.validation import shown

Array = NDArray[Any]


class Batch(NamedTuple):
    """x (B, ...), y (B, ...) or None, sample_weight (B,) or (B, T) or None."""

    x: Array
    y: Array | None
    sample_weight: Array | None


class Batches:
    """Data that can be walked once an epoch; `steps` is None where the length is unknown.

    `get_state` says at any time where the walk stands; after `set_state`, on data as new as they were in the beginning,
    the next `epoch()` gives the batches that were still to come.
    """

    steps: int | None = None
    # Batches of the present epoch that were handed out, and those that the next `epoch()` leaves out.
    _taken = 0
    _first = 0

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        raise NotImplementedError

    def epoch_ended(self) -> None:
        """Told after each epoch."""
        self._taken = 0

    def describe(self) -> dict[str, Any]:
        """What a resumed training must find again: kind, batches in an epoch, whether their order is drawn."""
        return {
            "kind": type(self).__name__,
            "steps": self.steps,
            "shuffled": getattr(self, "_random", None) is not None,
        }

    def get_state(self) -> dict[str, Any]:
        """The position in the data."""
        return {"taken": self._taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self._taken = self._first = state["taken"]

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        """Rules for the keys of `set_state`'s argument, where at most `epochs` have begun."""
        return {"taken": count(self.steps)}

    def _most_drawn(self, epochs: int) -> int | None:
        """How many batches may have been drawn in so many epochs."""
        return None if self.steps is None else epochs * self.steps

    def _numbers(self) -> Iterator[int]:
        """The numbers of an epoch's batches that are to come, each counted as taken."""
        first, self._first = self._first, 0
        for number in itertools.count(first) if self.steps is None else range(first, self.steps):
            self._taken = number + 1
            yield number

    def restart(self) -> None:
        """Begin the next epoch with the first batch, also where epochs of a few steps walk on through the data."""


def drawn_rule(random: np.random.Generator | None) -> Rule:
    """The state of a generator that draws orders; None where there is none."""
    return anything if random is None else stream_rule(random.bit_generator)


def described_arrays(data: Batch) -> dict[str, Any]:
    """Numbers of samples and shapes of one of them, which a resumed training must find again."""
    shapes = {name: None if part is None else list(part.shape[1:]) for name, part in data._asdict().items()}
    return {"samples": len(data.x), "shapes": shapes}


def is_array(value: Any) -> bool:
    """Whether `value` is data as a whole: an array of any library, a table, or nested lists of numbers."""
    return isinstance(value, Sequence) or hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def as_array(name: str, value: Any) -> Array:
    """`value` as an array of whatever dtype; objects that are numbers or booleans become float64 or int64.

    Raises:
        TypeError: if it holds anything but numbers.
        ValueError: if it is ragged.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        plain: Array = value
        return plain
    if hasattr(value, "detach"):  # a PyTorch tensor: its gradients and its device stay behind
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be one array; its rows have different lengths") from None
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} must hold numbers: {error}") from None
    return array if array.dtype.kind in NUMERIC else numbers_of(name, value, array)


_KINDS = {name: np.dtype(name) for name in ("float32", "float64")}
_FLOATS = tuple(_KINDS.values())


def is_float(value: Any, dtype: str) -> bool:
    """Whether `value` is an array as `as_float` gives it."""
    if type(value) is not np.ndarray or value.dtype != _KINDS[dtype]:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned


def are_alike(one: Array, other: Array) -> bool:
    """Whether both are arrays of one shape and dtype as `as_float` gives them."""
    kind = one.dtype
    if one.shape != other.shape or kind != other.dtype or kind not in _FLOATS:
        return False
    flags, others = one.flags, other.flags
    return flags.c_contiguous and flags.aligned and others.c_contiguous and others.aligned


def as_float(name: str, value: Any, dtype: str, *, allow_integers: bool = False) -> Array:
    """`value` as a C-contiguous array of `dtype`; integers stay integers if `allow_integers`.

    Raises:
        TypeError, ValueError: as `as_array`.
    """
    if is_float(value, dtype):
        given: Array = value
        return given
    array = as_array(name, value)
    if allow_integers and array.dtype.kind in "iu":
        return np.ascontiguousarray(array)
    return np.require(array, dtype, ["C", "A"])


def make_batch(parts: Any, dtype: str) -> Batch:
    """A user's batch, checked and converted.

    Raises:
        TypeError, ValueError: if it is no array or tuple (x, y[, sample_weight]), or lengths differ, or y holds NaN.
    """
    if isinstance(parts, Mapping):
        raise TypeError(f"a batch must be x, (x, y) or (x, y, sample_weight), got a dict of {_keys(parts)}")
    if isinstance(parts, list):
        parts = tuple(parts)
    if not isinstance(parts, tuple):
        parts = (parts,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    given_x, y, weight = (*parts, None, None)[:3]
    if given_x is None:
        raise TypeError("x is missing: pass arrays x and y, or as x a generator, loader or PyDataset of batches (x, y)")
    for name, given in (("x", given_x), ("y", y)):
        if type(given) is not np.ndarray:
            _check_single(name, given)
    x = as_column(given_x, as_float("x", given_x, dtype))
    if x.ndim == 0:
        raise ValueError(f"x must have one row per sample, got {shown(given_x)}")
    if len(x) == 0:
        raise ValueError(f"x must hold at least one sample, got shape {x.shape}")
    if y is not None:
        given_y = y
        y = as_column(y, as_float("y", y, dtype, allow_integers=True))
        _check_rows("y", y, x, given_y, given_x)
        if y.dtype.kind == "f" and math.isnan(np.vdot(y, y)):
            raise ValueError("y holds NaN: remove or fill these samples first")
    if weight is not None:
        weight = as_float("sample_weight", weight, dtype)
        _check_rows("sample_weight", weight, x)
    return Batch(x, y, weight)


def _check_single(name: str, given: Any) -> None:
    """Reject several inputs or outputs in a dict, list or tuple; arrays of one shape in a list are samples.

    Raises:
        TypeError: for a dict.
        ValueError: for arrays of several shapes.
    """
    rule = f"{name} must be one array, since the model has one {'input' if name == 'x' else 'output'}"
    if isinstance(given, Mapping):
        fix = f"pass {name}[{next(iter(given))!r}]" if len(given) == 1 else "join arrays by np.concatenate"
        raise TypeError(f"{rule}, got a dict of {_keys(given)}{'; ' + fix if given else ''}")
    if not isinstance(given, list | tuple) or not all(hasattr(each, "__array__") for each in given):
        return
    shapes = [np.shape(each) for each in given]
    if len(set(shapes)) > 1 and len({shape[:1] for shape in shapes}) == 1 and () not in shapes:
        kind = type(given).__name__
        fix = "join them along the last axis by np.concatenate"
        if kind == "tuple":
            fix = "pass y as a second argument"
        raise ValueError(f"{rule}, got a {kind} of {len(given)} arrays of shapes {', '.join(map(str, shapes))}; {fix}")


def _keys(value: Mapping[Any, Any]) -> str:
    return ", ".join(repr(key) for key in value) or "nothing"


def _check_rows(name: str, array: Array, x: Array, given: Any = None, given_x: Any = None) -> None:
    if array.ndim and len(array) == len(x):
        return
    fix = ""
    for of, value, rows in ((name, given, len(x)), ("x", given_x, len(array) if array.ndim else None)):
        if (
            isinstance(value, list | tuple)
            and value
            and hasattr(value[0], "__array__")
            and np.shape(value[0])[:1] == (rows,)
        ):
            fix = f"; {of} must be one array, not a {type(value).__name__} of {len(value)}"
    raise ValueError(f"{name} must have one row for each of the {len(x)} samples of x, got shape {array.shape}{fix}")


def as_column(given: Any, array: Array) -> Array:
    """A pandas Series is a table of one column, as in Keras."""
    return array[:, None] if array.ndim == 1 and type(given).__name__ == "Series" else array


class ArrayBatches(Batches):
    """Slices of arrays, in order (views) or shuffled (gathered by the core)."""

    def __init__(self, data: Batch, batch_size: int, shuffle: bool) -> None:
        self.data, self.batch_size, self.shuffle = data, batch_size, shuffle
        self.steps = -(-len(data.x) // batch_size)
        self._random = generator() if shuffle else None
        self._drawn: Any = None  # the generator's state before the order of the present epoch was drawn

    def epoch(self) -> Iterator[Batch]:
        size, order = self.batch_size, None
        if self._random is not None:
            self._drawn = self._random.bit_generator.state
            order = self._random.permutation(len(self.data.x)).astype(np.int64, copy=False)
        for number in self._numbers():
            start = number * size
            if order is None:
                yield Batch(*(None if a is None else a[start : start + size] for a in self.data))  # type: ignore[arg-type]  # x is never None
            else:
                rows = order[start : start + size]
                yield Batch(*(None if a is None else _gather(a, rows) for a in self.data))  # type: ignore[arg-type]  # x is never None

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


def _gather(array: Array, rows: NDArray[np.int64]) -> Array:
    return backend.gather_rows(array, rows) if array.dtype.kind == "f" else array[rows]


class RepeatedBatches(Batches):
    """Array batches cut into epochs of `steps`, walking on where the last epoch ended."""

    def __init__(self, batches: ArrayBatches, steps: int) -> None:
        self.steps, self.data, self._batches = steps, batches.data, batches
        self.restart()

    @staticmethod
    def _for_ever(batches: ArrayBatches) -> Iterator[Batch]:
        while True:
            yield from batches.epoch()
            batches.epoch_ended()

    def restart(self) -> None:
        self._batches.epoch_ended()
        self._source = self._for_ever(self._batches)

    def epoch(self) -> Iterator[Batch]:
        for _ in self._numbers():
            yield next(self._source)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "pass": self._batches.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._batches.set_state(state["pass"])

    def describe(self) -> dict[str, Any]:
        return {**self._batches.describe(), **super().describe(), "shuffled": self._batches.shuffle}

    def state_rules(self, epochs: int) -> dict[str, Rule]:
        return {**super().state_rules(epochs), "pass": record(self._batches.state_rules(epochs))}
