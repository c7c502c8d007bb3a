"""Sequences of unequal length made equal; windows over a series as Keras 2 made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.data import PyDataset
from pyrnn.explaining import explain
from pyrnn.seeds import generator
from pyrnn.typing import Flag, Natural, Size, Text
from pyrnn.validation import described, positive_int, shown, warn

Array = NDArray[Any]
SIDES = ("pre", "post")


@checked
def pad_sequences(
    sequences: Any,
    maxlen: Natural | None = None,
    dtype: Any = "int32",
    padding: Text = "pre",
    truncating: Text = "pre",
    value: float | str = 0.0,
) -> Array:
    """One array (number of sequences, maxlen, ...) of sequences of any length.

    Args:
        maxlen: by default the longest length; longer sequences lose their begin (`truncating` "pre") or end ("post").
        padding: whether `value` is put before ("pre") or after ("post") shorter sequences.

    Warns:
        UserWarning: if numbers lose their fractions in `dtype`, which is Keras's int32 unless it is given.

    Raises:
        TypeError: if sequences is no list of lists or arrays.
        ValueError: if the items of the sequences have different shapes, a number is out of the range of `dtype`, or
            value is a string and dtype is not.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ValueError(f"{name} must be 'pre' or 'post', got {shown(side)}")
    if not hasattr(sequences, "__len__"):
        raise TypeError(f"sequences must be a list of sequences, got {shown(sequences)}")
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise TypeError(f"sequences must hold sequences, got {shown(sequence)}")
    try:
        kind = np.dtype(dtype).kind
        holds_text = kind in "OSU"
        if kind == "V":
            raise TypeError
    except (TypeError, ValueError, SyntaxError):
        raise TypeError(f"dtype must be what NumPy calls one, got {shown(dtype)}") from None
    if isinstance(sequences, str):
        raise TypeError(f"sequences must be a list of sequences, got {shown(sequences)}")
    if isinstance(value, str) and not holds_text:
        raise ValueError(f"value {value!r} needs dtype=object or a dtype of strings, got {shown(dtype)}")
    if maxlen is None:
        maxlen = max((len(sequence) for sequence in sequences), default=0)
    first = next((index for index, sequence in enumerate(sequences) if len(sequence)), None)
    item = () if first is None else _items(sequences[first], first, np.dtype(dtype)).shape[1:]
    if np.ndim(value) or (kind in "iu" and isinstance(value, float) and not np.isfinite(value)):
        raise ValueError(f"value must fit dtype {shown(dtype)}, got {shown(value)}")
    try:
        padded = np.full((len(sequences), maxlen, *item), value, dtype)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"value must fit dtype {shown(dtype)}, got {shown(value)}") from None
    lost = _fraction("value", np.asarray(value), padded.dtype)
    for index, sequence in enumerate(sequences):
        length = min(len(sequence), maxlen)
        if not length:
            continue
        items = sequence[-length:] if truncating == "pre" else sequence[:length]
        items = _items(items, index, padded.dtype)
        if items.shape[1:] != item:
            raise ValueError(f"sequences must hold items of one shape, {item}, got {items.shape[1:]} at {index}")
        lost = lost or _fraction("sequences", items, padded.dtype)
        padded[index, slice(maxlen - length, None) if padding == "pre" else slice(length)] = items
    if lost:
        warn(f"pad_sequences: {lost}; give dtype='float32' to keep fractions")
    return padded


def _items(sequence: Any, index: int, dtype: np.dtype[Any]) -> Array:
    """The items of a sequence as an array, of a kind that `dtype` takes.

    Raises:
        ValueError: if they have different shapes, or `dtype` does not take them.
    """
    try:
        items = np.asarray(sequence, dtype if dtype.kind == "O" else None)
        if items.dtype.kind not in "iufb" and dtype.kind in "iufb":
            items = np.asarray(sequence, dtype)  # texts of numbers
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"sequences must hold items of one shape that fit dtype {dtype}, got {shown(sequence)} at {index}"
        ) from None
    return items


def _fraction(name: str, items: Array, dtype: np.dtype[Any]) -> str:
    """Words for the first number that loses its fraction in `dtype`; empty if none does.

    Raises:
        ValueError: if a number cannot be held at all.
    """
    if dtype.kind not in "iu" or items.dtype.kind not in "iuf" or np.can_cast(items.dtype, dtype):
        return ""
    with np.errstate(invalid="ignore"):
        held = items.astype(dtype)
        changed = held != items
    if not changed.any():
        return ""
    before, after = items[changed], held[changed]
    far = ~(np.abs(before.astype(np.float64) - after.astype(np.float64)) < 1)  # NaN too
    if far.any():
        raise ValueError(f"{name} must fit dtype {dtype}, got {before[far].flat[0]}")
    return f"{before.flat[0]} of {name} became {after.flat[0]} in dtype {dtype}"


class TimeseriesGenerator(PyDataset):
    """Batches (windows (B, length / sampling_rate, ...), targets (B, ...)), as Keras 2 made them.

    The window of target i holds data[i - length], data[i - length + sampling_rate], ... up to data[i - 1].

    Args:
        data: (N, ...), an array or list, one row a time step; targets: as many.
        stride: steps between windows. start_index, end_index: first and last row that is used.
        shuffle: draw the windows of each batch at random, with repetition. reverse: the latest step first.
        workers, max_queue_size: see `PyDataset`.

    Raises:
        ValueError: if the lengths differ, or no window fits between start_index and end_index.
    """

    @checked
    def __init__(
        self,
        data: Any,
        targets: Any,
        length: Size,
        sampling_rate: Size = 1,
        stride: Size = 1,
        start_index: Natural = 0,
        end_index: Natural | None = None,
        shuffle: Flag = False,
        reverse: Flag = False,
        batch_size: Size = 128,
        workers: Natural = 1,
        use_multiprocessing: Flag = False,
        max_queue_size: Size = 10,
    ) -> None:
        super().__init__(workers, use_multiprocessing, max_queue_size)
        for name, rows in (("data", data), ("targets", targets)):
            if not hasattr(rows, "__len__") or not np.ndim(rows):
                raise TypeError(f"{name} must be an array or list, one row a time step, got {shown(rows)}")
        if len(data) != len(targets):
            raise ValueError(f"data and targets must have one length, got {len(data)} and {len(targets)}")
        self.data, self.targets = data, targets
        self.length, self.sampling_rate = positive_int("length", length), positive_int("sampling_rate", sampling_rate)
        self.stride, self.batch_size = positive_int("stride", stride), positive_int("batch_size", batch_size)
        self.start_index, self.end_index = start_index + length, len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse = shuffle, reverse
        if self.start_index > self.end_index:
            raise ValueError(
                f"start_index + length = {self.start_index} must not be more than end_index = {self.end_index}: "
                "no window fits"
            )
        self._data, self._targets = np.asarray(data), np.asarray(targets)
        self._steps = np.arange(-length, 0, sampling_rate)
        self._random = generator() if shuffle else None

    def __len__(self) -> int:
        rows = self.batch_size * self.stride
        return (self.end_index - self.start_index + rows) // rows

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        if self._random is not None:
            rows = self._random.integers(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        windows = self._data[rows[:, None] + self._steps]
        return windows[:, ::-1] if self.reverse else windows, self._targets[rows]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, data and targets as JSON text."""
        return {
            "data": _as_json("data", self.data),
            "targets": _as_json("targets", self.targets),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            # Keras 2 wrote start_index + length here, and so moved the start at each reading.
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **options: Any) -> str:
        """`get_config` as JSON text; options are those of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)


@checked
def timeseries_generator_from_json(json_string: Text) -> TimeseriesGenerator:
    """The generator that `to_json` described."""
    config = described("json_string", json_string, ("data", "targets"))
    data, targets = (np.asarray(json.loads(config.pop(name))) for name in ("data", "targets"))
    return TimeseriesGenerator(data, targets, **config)


def _as_json(name: str, value: Any) -> str:
    plain: Sequence[Any] = value.tolist() if isinstance(value, np.ndarray) else value
    try:
        return json.dumps(plain)
    except TypeError:
        raise TypeError(f"{name} must be an array or a list of numbers to be written as JSON") from None


explain(__name__)
