"""Sequences of different lengths as one array, and windows of a series as batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.data import PyDataset
from pyrnn.seeds import generator
from pyrnn.validation import positive_int

Array = NDArray[Any]
SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Sequences of one length, (samples, maxlen, ...): filled with `value`, or cut, at their begin or end.

    Args:
        sequences: lists or arrays, the first axis of each its time. maxlen: None takes the longest.
        padding, truncating: "pre" (the begin, Keras's default) or "post".

    Raises:
        TypeError: if an entry is no sequence. ValueError: if their further axes differ, or a side is neither.
    """
    for argument, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ValueError(f"{argument} must be 'pre' or 'post', got {side!r}")
    if not hasattr(sequences, "__len__"):
        raise TypeError(f"sequences must be a list of sequences, got {sequences!r}")
    for each in sequences:
        if not hasattr(each, "__len__"):
            raise TypeError(f"sequences must hold lists or arrays, got the entry {each!r}")
    length = max((len(each) for each in sequences), default=0) if maxlen is None else positive_int("maxlen", maxlen)
    further = next((np.shape(each)[1:] for each in sequences if len(each)), ())
    if isinstance(value, str) and not (np.dtype(dtype) == object or np.issubdtype(np.dtype(dtype), np.str_)):
        raise ValueError(f"dtype {dtype!r} cannot hold the value {value!r}: choose dtype=object")
    padded = np.full((len(sequences), length, *further), value, dtype)
    for row, each in zip(padded, sequences, strict=True):
        if not len(each):
            continue
        if np.shape(each)[1:] != further:
            raise ValueError(f"each sequence must have steps of shape {further}, got {np.shape(each)[1:]}")
        kept = np.asarray(each[-length:] if truncating == "pre" else each[:length], dtype)
        row[slice(len(kept)) if padding == "post" else slice(length - len(kept), None)] = kept
    return padded


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series and what follows them, as Keras 2 has them.

    Sample i holds data[i - length : i : sampling_rate], its target is targets[i]. `stride` apart, from `start_index`
    to `end_index`; random ones with `shuffle`, backwards in time with `reverse`.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        super().__init__()
        if len(data) != len(targets):
            raise ValueError(f"data and targets must be equally long, got {len(data)} and {len(targets)}")
        self.data, self.targets = np.asarray(data), np.asarray(targets)
        self.length = positive_int("length", length)
        self.sampling_rate = positive_int("sampling_rate", sampling_rate)
        self.stride, self.batch_size = positive_int("stride", stride), positive_int("batch_size", batch_size)
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse = bool(shuffle), bool(reverse)
        self._random = generator()
        if self.start_index > self.end_index:
            raise ValueError(
                f"start_index + length = {self.start_index} must not exceed end_index = {self.end_index}: "
                "the series is too short for one window"
            )

    def __len__(self) -> int:
        span = self.batch_size * self.stride
        return (self.end_index - self.start_index + span) // span

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        if self.shuffle:
            rows = self._random.integers(self.start_index, self.end_index + 1, self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            rows = np.arange(first, last, self.stride)
        samples = np.stack([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        return (samples[:, ::-1] if self.reverse else samples), self.targets[rows]

    def get_config(self) -> dict[str, Any]:
        """The arguments, data and targets as lists."""
        return {
            "data": self.data.tolist(),
            "targets": self.targets.tolist(),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **options: Any) -> str:
        """The class name and config as JSON; `options` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)
