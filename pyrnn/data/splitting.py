"""Data split into two parts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array, is_array
from pyrnn.data.batches import make_batch, rows_of
from pyrnn.data.pydataset import PyDataset
from pyrnn.data.signature import Signature
from pyrnn.rules import Unchecked
from pyrnn.seeds import next_seed
from pyrnn.typing import Flag, Seed
from pyrnn.validation import WrongType, shown


class Subset(PyDataset):
    """Some batches of a PyDataset, in the order of `numbers`."""

    def __init__(self, dataset: PyDataset, numbers: list[int]) -> None:
        super().__init__(getattr(dataset, "workers", 1), False, getattr(dataset, "max_queue_size", 10))
        self.dataset, self.numbers = dataset, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.numbers[index]]


@checked
def split_dataset(
    dataset: Annotated[Any, Unchecked(allowed="array")],
    left_size: Annotated[float, Unchecked()] | None = None,
    right_size: Annotated[float, Unchecked()] | None = None,
    shuffle: Flag = False,
    seed: Seed | None = None,
    preferred_backend: Annotated[str, Unchecked()] | None = None,
) -> tuple[Any, Any]:
    """Split a dataset into its first `left_size` and its last `right_size` samples.

    Args:
        dataset: An array (N, ...); a list or tuple of arrays of one length, which is split into two tuples; or a
            PyDataset, which is split into two, with sizes that count batches.
        left_size: Number of samples (int) or share of them (float, between 0 and 1) of the first part; by default the
            rest.
        right_size: The same for the second part.
        shuffle: Whether to split in another order.
        seed: Fixes the order, to that of Keras with TensorFlow; by default it is drawn from pyrnn's seed.
        preferred_backend: None; the parts are NumPy arrays.

    Returns:
        The two parts, each of the kind of `dataset`.

    Raises:
        TypeError: For another kind of dataset or of size.
        ValueError: For sizes out of range, or a part that would be empty.

    Example:
        >>> import numpy as np
        >>> from pyrnn.utils import split_dataset
        >>> left, right = split_dataset(np.arange(10), left_size=0.8)
        >>> left.tolist(), right.tolist()
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    if preferred_backend is not None:
        raise ValueError(f"preferred_backend must be None, got {shown(preferred_backend)}: the parts are NumPy arrays")
    arrays: list[Any] = []
    if isinstance(dataset, PyDataset):
        total = dataset.num_batches
        if total is None:
            raise ValueError("dataset must have an end: its num_batches is None")
    elif isinstance(dataset, list | tuple):
        if not dataset:
            raise ValueError("dataset must hold at least one array, got an empty list")
        arrays = [as_array(f"dataset[{i}]", part) for i, part in enumerate(dataset)]
        total = len(arrays[0])
        if any(len(array) != total for array in arrays):
            raise ValueError(f"dataset must hold arrays of one length, got {[len(array) for array in arrays]}")
    elif hasattr(dataset, "__array__"):
        arrays = [as_array("dataset", dataset)]
        total = len(arrays[0])
    else:
        raise WrongType(f"dataset must be an array, a list of arrays or a PyDataset, got {type(dataset).__name__}")
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(next_seed() if seed is None else seed).shuffle(order)
    parts: list[Any] = []
    for rows in (order[:left], order[total - right :]):
        if isinstance(dataset, PyDataset):
            parts.append(Subset(dataset, rows))
        else:
            cut = tuple(np.ascontiguousarray(array[rows]) for array in arrays)
            parts.append(cut if isinstance(dataset, list | tuple) else cut[0])
    return parts[0], parts[1]


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    """Both sizes in samples."""
    if left is None and right is None:
        raise ValueError("left_size or right_size must be set, got None for both")
    counts: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            counts.append(None)
        elif isinstance(size, float):
            if not 0 < size < 1:
                raise ValueError(f"{name} must lie between 0 and 1 if it is a float, got {size}")
            counts.append(round(size * total))
        elif isinstance(size, int) and not isinstance(size, bool):
            if not 0 < size < total:
                raise ValueError(f"{name} must lie in 1..{total - 1} of the {total} samples, got {size}")
            counts.append(size)
        else:
            raise WrongType(f"{name} must be an int or a float, got {shown(size)}")
    first, last = counts
    if first is None:
        first = total - (last or 0)
    if last is None:
        last = total - first
    if first + last > total:
        raise ValueError(f"left_size and right_size must not be more than all {total} samples, got {first} + {last}")
    if not first or not last:
        raise ValueError(f"both parts must have at least one sample, got {first} and {last} of {total}")
    return first, last


def hold_back(
    x: Any, y: Any, sample_weight: Any, share: float, dtype: str, signature: Signature | None = None
) -> tuple[list[Any], list[Any]]:
    """Hold the last `share` of the samples back for validation, before any shuffling, as Keras does.

    Args:
        x: Inputs: an array (N, ...), or the arrays of several inputs.
        y: Targets in the same forms, or None.
        sample_weight: Weights in the same forms, or None.
        share: Part of the samples, between 0 and 1.
        dtype: "float32" or "float64", of the model.
        signature: How the model reads its inputs and outputs; None for one of each, without names.

    Returns:
        Lists of training data (x, y, sample_weight) and validation data, the latter without None at its end.

    Raises:
        TypeError, ValueError: If x is not an array, a structure does not fit, or one of the parts would be empty.
    """
    if not (is_array(x) or isinstance(x, Mapping)):
        raise ValueError("validation_split needs arrays: pass validation_data with a generator or PyDataset")
    data = make_batch((x, y, sample_weight), dtype, signature)
    count = data.samples
    at = int(np.floor(count * (1 - share)))
    if at == 0 or at == count:
        raise ValueError(f"validation_split must leave both parts at least one sample, got {share} of {count} samples")
    train = [rows_of(part, 0, at) for part in data]
    held = [rows_of(part, at, count) for part in data]
    return train, list(itertools.takewhile(lambda part: part is not None, held))
