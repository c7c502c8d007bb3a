"""Trainable numbers: one `Weight` each, and the flat vector an optimizer walks over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import shown

Array = NDArray[Any]

_versions = itertools.count(1)


class Structure:
    """Counts, over all models, what can change a model's list of trainable or penalised weights."""

    changes = 0


class _Structural:
    """A field of a weight that such lists depend on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot = f"_{name}"

    def __get__(self, weight: Any, owner: Any = None) -> Any:
        return self if weight is None else getattr(weight, self._slot)

    def __set__(self, weight: Any, value: Any) -> None:
        setattr(weight, self._slot, value)
        Structure.changes += 1


_ALIGNMENT = 64


def aligned_zeros(count: int, dtype: Any) -> Array:
    """A zeroed vector whose first byte sits at a multiple of 64."""
    kind = np.dtype(dtype)
    raw = np.zeros(count * kind.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + count * kind.itemsize].view(kind)


# How many bytes of weights may still be made, where a file describes the model.
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Within it weights of more than so many bytes in all are refused before memory is taken for them."""
    token = _left.set([count])
    try:
        yield
    finally:
        _left.reset(token)


def _take(name: str, shape: Sequence[int], size: int) -> None:
    left = _left.get()
    if left is not None:
        left[0] -= math.prod(shape) * size
        if left[0] < 0:
            raise ValueError(f"weight {name!r} of shape {tuple(shape)} is more than the arrays of the file hold")


class Weight:
    """One named array of a layer, with its gradient.

    `array` is the live view; write to it with `assign`, so that `version` grows and packed copies are renewed.
    """

    __slots__ = (
        "_regularizer",
        "_trainable",
        "array",
        "constraint",
        "dtype",
        "gradient",
        "initializer",
        "name",
        "path",
        "shape",
        "version",
    )
    regularizer = _Structural()
    trainable = _Structural()

    def __init__(
        self,
        shape: Sequence[int],
        name: str,
        dtype: str = "float32",
        initializer: Callable[..., Array] | None = None,
        regularizer: Any = None,
        constraint: Any = None,
        trainable: bool = True,
    ) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.name = name
        self.path = name
        self.dtype = str(np.dtype(dtype))
        self.initializer = initializer
        self.regularizer = regularizer
        self.constraint = constraint
        self.trainable = trainable
        _take(name, self.shape, np.dtype(dtype).itemsize)
        self.array: Array = aligned_zeros(math.prod(self.shape), dtype).reshape(self.shape)
        self.gradient: Array = aligned_zeros(math.prod(self.shape), dtype).reshape(self.shape)
        if initializer is not None:
            self.array[...] = initializer(self.shape, dtype=self.dtype)
        self.version = next(_versions)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def numpy(self) -> Array:
        """A copy of the values."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            return np.asarray(self.array, dtype=dtype)
        return np.array(self.array, dtype=dtype)

    def assign(self, value: Any) -> None:
        """Overwrite the values.

        Raises:
            ValueError: if the shape differs.
        """
        new = np.asarray(value)
        if new.shape != self.shape:
            raise ValueError(f"weight {self.path!r} has shape {self.shape}, got an array of shape {new.shape}")
        self.array[...] = new
        self.version = next(_versions)

    def __repr__(self) -> str:
        return f"<Weight path={self.path}, shape={self.shape}, dtype={self.dtype}>"


def values_for(owner: str, weights: Sequence[Weight], values: Any) -> list[tuple[Weight, Array]]:
    """Each weight with its value, all of them checked before any is written.

    Raises:
        TypeError: if `values` is no list of arrays of numbers.
        ValueError: if number or shapes differ.
    """
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise TypeError(f"weights must be a list of arrays, got {shown(values)}")
    if len(values) != len(weights):
        raise ValueError(f"{owner} has {len(weights)} weights, got a list of {len(values)}")
    found = []
    for weight, value in zip(weights, values, strict=True):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            raise ValueError(f"weight {weight.path!r} has shape {weight.shape}, got {shown(value)}") from None
        if array.shape != weight.shape:
            raise ValueError(f"weight {weight.path!r} has shape {weight.shape}, got an array of shape {array.shape}")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"weight {weight.path!r} must hold numbers, got dtype {array.dtype}")
        found.append((weight, array))
    return found


class ParameterVector:
    """Weights moved into one flat 64-byte-aligned vector, gradients into a second one."""

    def __init__(self, weights: Sequence[Weight], dtype: str | None = None) -> None:
        self.weights = list(weights)
        kinds = {weight.dtype for weight in self.weights}
        if len(kinds) > 1:
            raise ValueError(f"trainable weights must share one dtype, got {' and '.join(sorted(kinds))}")
        self.dtype = kinds.pop() if kinds else (dtype or "float32")
        count = sum(weight.size for weight in self.weights)
        self.values: Array = aligned_zeros(count, self.dtype)
        self.gradients: Array = aligned_zeros(count, self.dtype)
        self._spans: dict[int, tuple[int, int]] = {}
        start = 0
        for weight in self.weights:
            stop = start + weight.size
            self._spans[id(weight)] = (start, stop)
            for flat, name in ((self.values, "array"), (self.gradients, "gradient")):
                view = flat[start:stop].reshape(weight.shape)
                view[...] = getattr(weight, name)
                setattr(weight, name, view)
            start = stop
        self.touch()

    def __len__(self) -> int:
        return int(self.values.size)

    def touch(self) -> None:
        """Give every weight a new version: the values have changed."""
        version = next(_versions)
        for weight in self.weights:
            weight.version = version

    def slot(self) -> Array:
        """A zeroed vector of the same length, for an optimizer's state."""
        return aligned_zeros(self.values.size, self.dtype)

    def view(self, flat: Array, weight: Weight) -> Array:
        """The part of `flat` that belongs to `weight`, in the weight's shape."""
        start, stop = self._spans[id(weight)]
        return flat[start:stop].reshape(weight.shape)
