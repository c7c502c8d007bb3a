"""Padding sequences to one length, and windows over a series as in Keras 2."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.data import PyDataset
from pyrnn.explaining import explain
from pyrnn.rules import Unchecked
from pyrnn.seeds import generator
from pyrnn.typing import Flag, Natural, Size, Text
from pyrnn.validation import WrongType, described, positive_int, shown, warn

Array = NDArray[Any]
SIDES = ("pre", "post")


@checked
def pad_sequences(
    sequences: Annotated[Any, Unchecked(allowed="list dict array")],
    maxlen: Natural | None = None,
    dtype: Annotated[Any, Unchecked(allowed="dict none")] = "int32",
    padding: Text = "pre",
    truncating: Text = "pre",
    value: Annotated[float | str, Unchecked(allowed="list negative zero fraction huge array true")] = 0.0,
) -> Array:
    """Pad or truncate sequences to one length.

    Args:
        sequences: A list of sequences (T_i, ...) of any lengths, whose items have one shape.
        maxlen: Length of the result; by default the longest length.
        dtype: Dtype of the result.
        padding: "pre" puts `value` before shorter sequences, "post" after them.
        truncating: "pre" removes the beginning of longer sequences, "post" their end.
        value: The padding, a number; a string needs a dtype of strings.

    Returns:
        An array (number of sequences, maxlen, ...) of `dtype`.

    Warns:
        UserWarning: If numbers lose their fractions in `dtype`, which is int32 by default as in Keras.

    Raises:
        TypeError: If sequences is not a list of lists or arrays.
        ValueError: If the items of the sequences have different shapes, a number is out of the range of `dtype`, or
            value is a string and dtype is not.

    Example:
        >>> from pyrnn.utils import pad_sequences
        >>> pad_sequences([[1, 2, 3], [4]], padding="post").tolist()
        [[1, 2, 3], [4, 0, 0]]
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ValueError(f"{name} must be 'pre' or 'post', got {shown(side)}")
    if not hasattr(sequences, "__len__"):
        raise WrongType(f"sequences must be a list of sequences, got {shown(sequences)}")
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise WrongType(f"sequences must hold sequences, got {shown(sequence)}")
    try:
        kind = np.dtype(dtype).kind
        holds_text = kind in "OSU"
        if kind == "V":
            raise TypeError
    except (TypeError, ValueError, SyntaxError):
        raise WrongType(f"dtype must be what NumPy calls one, got {shown(dtype)}") from None
    if isinstance(sequences, str):
        raise WrongType(f"sequences must be a list of sequences, got {shown(sequences)}")
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
        warn(f"pad_sequences: {lost}; pass dtype='float32' to keep fractions")
    return padded


def _items(sequence: Any, index: int, dtype: np.dtype[Any]) -> Array:
    """The items of a sequence as an array that `dtype` accepts.

    Raises:
        ValueError: If they have different shapes, or do not fit `dtype`.
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
    """A message about the first number that loses its fraction in `dtype`; empty if none does.

    Raises:
        ValueError: If a number is out of range.
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
    """Batches (windows (B, length / sampling_rate, ...), targets (B, ...)), as in Keras 2.

    The window of target i holds data[i - length], data[i - length + sampling_rate], ... up to data[i - 1].

    Args:
        data: (N, ...), an array or list, one row per time step.
        targets: (N, ...), an array or list.
        length: Steps that a window reaches back, at least 1.
        sampling_rate: Steps between two rows of a window, at least 1.
        stride: Steps between two windows, at least 1.
        start_index: First row that is used, from 0.
        end_index: Last row that is used; by default the last one.
        shuffle: Whether each batch consists of random windows, with repetition.
        reverse: Whether a window begins with the latest step.
        batch_size: Windows in a batch, at least 1.
        workers: See `PyDataset`.
        use_multiprocessing: Whether the workers are processes, see `PyDataset`.
        max_queue_size: See `PyDataset`.

    Raises:
        ValueError: If the lengths differ, or no window fits between start_index and end_index.

    Example:
        >>> from pyrnn.preprocessing.sequence import TimeseriesGenerator
        >>> x, y = TimeseriesGenerator(np.arange(6), np.arange(6), length=3, batch_size=2)[0]
        >>> x.tolist(), y.tolist()
        ([[0, 1, 2], [1, 2, 3]], [3, 4])
    """

    @checked
    def __init__(
        self,
        data: Annotated[Any, Unchecked(allowed="array")],
        targets: Annotated[Any, Unchecked(allowed="list none array")],
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
                raise WrongType(f"{name} must be an array or list, one row a time step, got {shown(rows)}")
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
        """Return the constructor's arguments.

        Returns:
            A dict; data and targets are JSON text.
        """
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
        """Return `get_config` as JSON text.

        Args:
            **options: Of `json.dumps`.

        Returns:
            The text, which `timeseries_generator_from_json` reads.
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)


@checked
def timeseries_generator_from_json(json_string: Text) -> TimeseriesGenerator:
    """Create the generator that `to_json` described.

    Args:
        json_string: What `to_json` returned.

    Returns:
        The generator.

    Raises:
        ValueError: If the text is not such a description.

    Example:
        >>> from pyrnn.preprocessing.sequence import TimeseriesGenerator, timeseries_generator_from_json
        >>> text = TimeseriesGenerator([1, 2, 3, 4], [1, 2, 3, 4], length=2).to_json()
        >>> len(timeseries_generator_from_json(text))
        1
    """
    config = described("json_string", json_string, ("data", "targets"))
    data, targets = (np.asarray(json.loads(config.pop(name))) for name in ("data", "targets"))
    return TimeseriesGenerator(data, targets, **config)


def _as_json(name: str, value: Any) -> str:
    plain: Sequence[Any] = value.tolist() if isinstance(value, np.ndarray) else value
    try:
        return json.dumps(plain)
    except TypeError:
        raise WrongType(f"{name} must be an array or a list of numbers to be written as JSON") from None


explain(__name__)
