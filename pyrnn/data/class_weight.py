"""`class_weight`: the weight of each row or time step by its class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.rules import Rule, is_number
from pyrnn.validation import shown

Array = NDArray[Any]


class _ClassWeights(Rule):
    """A dict of class number to weight."""

    allowed = "dict"

    def check(self, argument: str, value: Any) -> None:
        requirement = f"{argument} must be a dict of class numbers to weights such as {{0: 1.0, 1: 2.5}}"
        if not isinstance(value, Mapping):
            is_list = isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1
            fix = f"; write dict(enumerate({argument}))" if is_list else ""
            raise TypeError(f"{requirement}, got {shown(value)}{fix}")
        for label, weight in value.items():
            if not is_number(label) or label != int(label):
                raise TypeError(f"{requirement}, got the class {shown(label)}")
            if not is_number(weight):
                raise TypeError(f"{requirement}, got the weight {shown(weight)} for class {label}")
            if not 0 <= weight < math.inf:
                raise ValueError(f"{argument} must hold finite weights of at least 0, got {weight} for class {label}")


ClassWeights = Annotated[Mapping[int, float], _ClassWeights()]


class ClassWeight:
    """The weight of each class; classes without a weight weigh 1."""

    def __init__(self, weights: Mapping[int, float]) -> None:
        self._classes = np.asarray(sorted(weights), np.int64)
        self._weights = np.asarray([weights[each] for each in sorted(weights)], np.float64)

    def weigh(self, y: Array, sample_weight: Array | None, pred_shape: tuple[int, ...], dtype: str) -> Array:
        """The weight of each row or time step of outputs of shape `pred_shape`, multiplied by its `sample_weight`.

        Raises:
            ValueError: If a row of y does not have exactly one class.
        """
        labels = classes_of(y, pred_shape)
        weights = np.ones(labels.shape, dtype)
        if self._classes.size:
            at = np.searchsorted(self._classes, labels).clip(max=self._classes.size - 1)
            np.copyto(weights, self._weights[at], where=self._classes[at] == labels, casting="same_kind")
        if sample_weight is None:
            return weights
        rank = max(weights.ndim, sample_weight.ndim)
        return _with_rank(rank, weights) * _with_rank(rank, sample_weight)


def classes_of(y: Array, pred_shape: tuple[int, ...]) -> Array:
    """The class number of each row or time step: y itself, or one-hot rows if y is as wide as the output.

    Raises:
        ValueError: If y holds neither whole numbers nor rows with a single highest value from 0 to 1.
    """
    if y.ndim == len(pred_shape) and y.shape[-1] > 1:
        highest = y.max(axis=-1, keepdims=True)
        if y.min(initial=0) < 0 or highest.max(initial=0) > 1 or ((y == highest).sum(axis=-1) != 1).any():
            raise ValueError(
                "class_weight needs one class for each row of y, class numbers or one-hot rows; "
                "where rows have several classes or none, pass sample_weight instead"
            )
        return np.asarray(y.argmax(axis=-1))
    labels = y[..., 0] if y.ndim >= len(pred_shape) and y.shape[-1] == 1 else y
    whole = labels.astype(np.int64)
    if labels.dtype.kind == "f" and not np.array_equal(whole, labels):
        wrong = labels[whole != labels].flat[0]
        raise ValueError(f"class_weight needs whole class numbers in y, got {wrong:g}: pass sample_weight instead")
    return whole


def _with_rank(rank: int, weights: Array) -> Array:
    return weights.reshape(weights.shape + (1,) * (rank - weights.ndim))
