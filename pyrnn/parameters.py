"""Trainable numbers: one `Weight` each, and the flat vectors that an optimizer updates."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from pyrnn import signals
from pyrnn.explaining import WeightNames
from pyrnn.symbols import tracing
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]

# Packed copies are keyed by the largest version of their weights, so each touch must exceed all versions so far.
_versions = itertools.count(1)


class Watched:
    """A layer or a weight: it tells the plans of the models that hold it when they must be compiled again."""

    __slots__ = ("_watchers",)
    _watchers: weakref.WeakSet[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Start without watchers; pickles and copies do so too."""
        watched = super().__new__(cls)
        object.__setattr__(watched, "_watchers", weakref.WeakSet())
        return watched

    def watch(self, plan: Any) -> None:
        """Set `plan.stale` at each change from now on, for as long as the plan lives.

        Args:
            plan: the `Plan` of a model that holds this layer or weight; only a weak reference is kept.
        """
        self._watchers.add(plan)

    def changed(self) -> None:
        """Mark the plans as stale, since they were compiled for what this was before."""
        for plan in tuple(self._watchers):
            plan.stale = True


class _Structural:
    """A field of a weight that plans depend on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot = f"_{name}"

    def __get__(self, weight: Any, owner: Any = None) -> Any:
        return self if weight is None else getattr(weight, self._slot)

    def __set__(self, weight: Any, value: Any) -> None:
        setattr(weight, self._slot, value)
        weight.changed()


_ALIGNMENT = 64


def aligned_zeros(count: int, dtype: Any) -> Array:
    """A zeroed vector whose first byte sits at a multiple of 64."""
    kind = np.dtype(dtype)
    raw = np.zeros(count * kind.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + count * kind.itemsize].view(kind)


# How many bytes of weights may still be allocated while a file describes the model.
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Within it, weights of more than `count` bytes in total are rejected before memory is allocated for them."""
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


class Claim:
    """A parameter vector's hold on its weights: broken at first, and when another vector takes one of them."""

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken = True


class Weight(NDArrayOperatorsMixin, WeightNames, Watched):
    """One named array of a layer, with its gradient.

    Operators and NumPy functions treat a weight as its array. `weight.assign(value)`, `weight[...] = value` and
    operators in place write the values and raise `version`, so that packed copies are renewed. `array` is the live
    view: after writing to it directly, call `touch`.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layer = layers.Dense(2)
        >>> layer.build((None, 3))
        >>> layer.bias += 1.0
        >>> layer.bias[0] = 5.0
        >>> (2 * layer.bias).tolist()
        [10.0, 2.0]
    """

    __slots__ = (
        "_regularizer",
        "_trainable",
        "array",
        "can_train",
        "claim",
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
        self.trainable = self.can_train = trainable
        _take(name, self.shape, np.dtype(dtype).itemsize)
        self.array: Array = aligned_zeros(math.prod(self.shape), dtype).reshape(self.shape)
        self.gradient: Array = aligned_zeros(math.prod(self.shape), dtype).reshape(self.shape)
        if initializer is not None:
            self.array[...] = shaped("initializer", self, initializer(self.shape, dtype=self.dtype))
        self.claim: Claim | None = None  # of the parameter vector that `array` and `gradient` are views of
        self.version = next(_versions)

    # Pickles and copies hold the values; what belongs to a parameter vector or to packed copies is made anew.

    def __getstate__(self) -> dict[str, Any]:
        derived = ("array", "gradient", "claim", "version")
        return {**{name: getattr(self, name) for name in Weight.__slots__ if name not in derived}, "values": self.array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state.pop("values")
        for name, value in state.items():
            setattr(self, name, value)
        for name in ("array", "gradient"):
            setattr(self, name, aligned_zeros(math.prod(self.shape), self.dtype).reshape(self.shape))
        self.array[...] = values
        self.claim, self.version = None, next(_versions)

    # What an array offers. Weights are compared element by element, and hashed by identity.

    __hash__ = object.__hash__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple[Any, ...] = (), **options: Any) -> Any:
        if tracing.symbol_of is not None:  # the result would be a constant without a gradient
            raise TypeError(
                f"weight {self.path!r} of an inner layer takes part in arithmetic of call(): write it with pyrnn.ops, "
                "such as ops.multiply(weight, 2), so that it gets a gradient"
            )
        arrays = [each.array if isinstance(each, Weight) else each for each in inputs]
        if not out:
            return getattr(ufunc, method)(*arrays, **options)
        targets = tuple(each.array if isinstance(each, Weight) else each for each in out)
        with signals.deferred():
            getattr(ufunc, method)(*arrays, out=targets, **options)
            for each in out:
                if isinstance(each, Weight):
                    each.touch()
        return out[0] if len(out) == 1 else out

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.touch()
        self.array[key] = value
        self.touch()

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def numpy(self) -> Array:
        """Return a copy of the values.

        Returns:
            An array of the weight's shape.
        """
        return self.array.copy()

    @property
    def value(self) -> Array:
        """A copy of the values, as `numpy()`; assign to the weight to change them."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            return np.asarray(self.array, dtype=dtype)
        return np.array(self.array, dtype=dtype)

    def assign(self, value: Any) -> Array:
        """Overwrite the values.

        Args:
            value: array of the weight's shape.

        Returns:
            A copy of the values.

        Raises:
            ValueError: if the shape differs.
        """
        if tracing.symbol_of is not None:
            return tracing.symbol_of(self).assign(value)  # type: ignore[no-any-return]  # a symbol
        self.overwrite(value)
        return self.array.copy()

    def assign_add(self, value: Any) -> Array:
        """Add to the values.

        Args:
            value: array that broadcasts to the weight's shape.

        Returns:
            A copy of the values.
        """
        if tracing.symbol_of is not None:
            return tracing.symbol_of(self).assign_add(value)  # type: ignore[no-any-return]  # a symbol
        return self.assign(self.array + np.asarray(value))

    def assign_sub(self, value: Any) -> Array:
        """Subtract from the values.

        Args:
            value: array that broadcasts to the weight's shape.

        Returns:
            A copy of the values.
        """
        if tracing.symbol_of is not None:
            return tracing.symbol_of(self).assign_sub(value)  # type: ignore[no-any-return]  # a symbol
        return self.assign(self.array - np.asarray(value))

    def overwrite(self, value: Any) -> None:
        """Overwrite the values as `assign` does, without a copy.

        Args:
            value: array of the weight's shape.

        Raises:
            ValueError: if the shape differs.
        """
        new = np.asarray(value)
        if new.shape != self.shape:
            raise ValueError(f"weight {self.path!r} has shape {self.shape}, got an array of shape {new.shape}")
        self[...] = new

    def touch(self) -> None:
        """Give the weight a new version: its values have changed."""
        self.version = next(_versions)

    def __repr__(self) -> str:
        return f"<Weight path={self.path}, shape={self.shape}, dtype={self.dtype}>"


def shaped(kind: str, weight: Weight, value: Any) -> Any:
    """Return what a user's initializer, constraint or regularizer returned for a weight; it is never broadcast.

    Raises:
        ValueError: If it does not have the shape of the weight.
    """
    if np.shape(value) != weight.shape:
        raise ValueError(
            f"{kind} of weight {weight.path!r} must return an array of its shape {weight.shape}, got {np.shape(value)}"
        )
    return value


def values_for(owner: str, weights: Sequence[Weight], values: Any) -> list[tuple[Weight, Array]]:
    """Pair each weight with its value; all are checked before any is written.

    Raises:
        TypeError: If `values` is not a list of arrays of numbers.
        ValueError: If number or shapes differ.
    """
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise WrongType(f"weights must be a list of arrays, got {shown(values)}")
    if len(values) != len(weights):
        raise ValueError(f"{owner} has {len(weights)} weights, got a list of {len(values)}")
    pairs = []
    for weight, value in zip(weights, values, strict=True):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            raise ValueError(f"weight {weight.path!r} has shape {weight.shape}, got {shown(value)}") from None
        if array.shape != weight.shape:
            raise ValueError(f"weight {weight.path!r} has shape {weight.shape}, got an array of shape {array.shape}")
        if array.dtype.kind not in "fiub":
            raise WrongType(f"weight {weight.path!r} must hold numbers, got dtype {array.dtype}")
        pairs.append((weight, array))
    return pairs


def assign_all(pairs: Sequence[tuple[Weight, Array]]) -> None:
    """Overwrite several weights; a signal that arrives meanwhile is handled afterwards."""
    with signals.deferred():
        for weight, value in pairs:
            weight.overwrite(value)


class ParameterVector:
    """Weights moved into one flat 64-byte-aligned vector, gradients into a second one.

    Models that share layers have a vector each, and a weight lives in one of them at a time: `reclaim` moves back what
    another vector took, with the values it has by then.
    """

    def __init__(self, weights: list[Weight], dtype: str | None = None) -> None:
        kinds = {weight.dtype for weight in weights}
        if len(kinds) > 1:
            raise ValueError(f"trainable weights must share one dtype, got {' and '.join(sorted(kinds))}")
        shapes = [weight.shape for weight in weights]
        self._allocate(weights, shapes, kinds.pop() if kinds else (dtype or "float32"))
        self.reclaim()

    def _allocate(self, weights: list[Weight], shapes: Sequence[tuple[int, ...]], dtype: str) -> None:
        self.weights, self.dtype = weights, dtype
        stops = list(itertools.accumulate(map(math.prod, shapes)))
        self._spans = {
            id(weight): (stop - math.prod(shape), stop, shape)
            for weight, shape, stop in zip(weights, shapes, stops, strict=True)
        }
        count = stops[-1] if stops else 0
        self.values: Array = aligned_zeros(count, dtype)
        self.gradients: Array = aligned_zeros(count, dtype)
        self._claim = Claim()
        self.moves = 0  # how often weights have moved into the vector

    def reclaim(self) -> None:
        """Move the weights that live elsewhere into this vector; their values stay."""
        if not self._claim.broken:
            return
        for weight in self.weights:
            if weight.claim is self._claim:
                continue
            for flat, name in ((self.values, "array"), (self.gradients, "gradient")):
                view = self.view(flat, weight)
                view[...] = getattr(weight, name)
                setattr(weight, name, view)
            if weight.claim is not None:
                weight.claim.broken = True
            weight.claim = self._claim
        self._claim.broken = False
        self.moves += 1
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

    def span(self, weight: Weight) -> tuple[int, int]:
        """Where the numbers of `weight` are in the vectors: (start, stop)."""
        return self._spans[id(weight)][:2]

    def view(self, flat: Array, weight: Weight) -> Array:
        """The part of `flat` that belongs to `weight`, in the weight's shape."""
        start, stop, shape = self._spans[id(weight)]
        return flat[start:stop].reshape(shape)

    # A pickled or copied vector is empty until `reclaim` fills it: its weights may not have been restored yet.

    def __getstate__(self) -> dict[str, Any]:
        shapes = [weight.shape for weight in self.weights]
        return {"weights": self.weights, "shapes": shapes, "dtype": self.dtype}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._allocate(**state)
