"""Small helpers under Keras's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.seeds import generator, set_random_seed
from pyrnn.validation import positive_int

if TYPE_CHECKING:
    from pyrnn.data import PyDataset, timeseries_dataset_from_array
    from pyrnn.preprocessing.sequence import pad_sequences
    from pyrnn.registry import (
        CustomObjectScope,
        custom_object_scope,
        get_custom_objects,
        get_registered_name,
        get_registered_object,
        register_keras_serializable,
    )
    from pyrnn.summary import plot_model

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
]


def to_categorical(x: Any, num_classes: int | None = None) -> NDArray[np.float64]:
    """One-hot rows (float64, as Keras) of class numbers 0 to `num_classes` - 1.

    Raises:
        ValueError: if a class number is negative or too large, or no whole number.
    """
    labels = np.asarray(x)
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    numbers = labels.reshape(-1).astype(np.int64)
    if not np.array_equal(numbers, labels.reshape(-1)):
        raise ValueError("to_categorical expects whole class numbers")
    if num_classes is None:
        count = int(numbers.max()) + 1 if numbers.size else 0
    else:
        count = positive_int("num_classes", num_classes)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
        bad = numbers.min() if numbers.min() < 0 else numbers.max()
        raise ValueError(f"class numbers must be between 0 and {count - 1}, got {bad}")
    rows = np.zeros((numbers.size, count))
    rows[np.arange(numbers.size), numbers] = 1
    return rows.reshape((*shape, count))


def normalize(x: Any, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """x over its norm of that order along `axis`; where the norm is 0, x stays 0."""
    array = np.asarray(x)
    norms = np.atleast_1d(np.linalg.norm(array, order, axis))
    norms[norms == 0] = 1
    return np.asarray(array / np.expand_dims(norms, axis))


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Two parts of arrays (one, or a tuple or list of them) along their first axis, arrays like those given.

    A size is a share (float) or a number of samples (int); one may be left out. With `shuffle` the samples are drawn
    at random, from `seed`. Keras returns `tf.data` datasets, here arrays come back.

    Raises:
        ValueError: if sizes are missing, out of range or more than there is.
    """
    parts = list(dataset) if isinstance(dataset, tuple | list) and hasattr(dataset[0], "__len__") else [dataset]
    arrays = [np.asarray(part) for part in parts]
    total = len(arrays[0])
    if any(len(array) != total for array in arrays):
        raise ValueError(f"all arrays must be equally long, got {[len(array) for array in arrays]}")
    if left_size is None and right_size is None:
        raise ValueError("split_dataset needs left_size or right_size, got neither")
    counts = []
    for argument, size in (("left_size", left_size), ("right_size", right_size)):
        if size is not None and not (0 < size < 1 if isinstance(size, float) else 0 < size <= total):
            raise ValueError(f"{argument} must be a share between 0 and 1 or a number up to {total}, got {size}")
        counts.append(None if size is None else round(size * total) if isinstance(size, float) else int(size))
    left, right = counts
    left = total - right if left is None and right is not None else left
    right = total - left if right is None and left is not None else right
    assert left is not None and right is not None
    if left + right > total or not left or not right:
        raise ValueError(f"left_size and right_size ask for {left} and {right} of {total} samples")
    order = generator(seed).permutation(total) if shuffle else np.arange(total)

    def taken(rows: NDArray[Any]) -> Any:
        chosen = [array[rows] for array in arrays]
        return tuple(chosen) if isinstance(dataset, tuple | list) else chosen[0]

    return taken(order[:left]), taken(order[left : left + right])


_ELSEWHERE = {
    "CustomObjectScope": "pyrnn.registry",
    "PyDataset": "pyrnn.data",
    "Sequence": "pyrnn.data",
    "custom_object_scope": "pyrnn.registry",
    "get_custom_objects": "pyrnn.registry",
    "get_registered_name": "pyrnn.registry",
    "get_registered_object": "pyrnn.registry",
    "pad_sequences": "pyrnn.preprocessing.sequence",
    "plot_model": "pyrnn.summary",
    "register_keras_serializable": "pyrnn.registry",
    "timeseries_dataset_from_array": "pyrnn.data",
}


def __getattr__(name: str) -> Any:
    """Names that live on other floors, imported at first use."""
    if name in _ELSEWHERE:
        own = "PyDataset" if name == "Sequence" else name  # Keras 2's name of it
        return getattr(importlib.import_module(_ELSEWHERE[name]), own)
    raise AttributeError(f"module 'pyrnn.utils' has no attribute {name!r}")
