"""What reading Keras's two HDF5 layouts shares: opening, finding arrays, fitting them to weights, assigning them."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyrnn.models import Sequential
from pyrnn.optimizers import Optimizer
from pyrnn.parameters import Weight


@contextlib.contextmanager
def opened(content: bytes, source: str) -> Iterator[Any]:
    """The HDF5 file in `content`.

    Raises:
        ValueError: if it is damaged or none, also where HDF5 says so while it is read.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield file
    except NotImplementedError:  # of a layer of one's own that is made meanwhile
        raise
    except (OSError, KeyError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{source} is damaged or no HDF5 file: {error}") from None


def array_at(group: Any, path: str, source: str) -> Any:
    """The array below `group`; soft and external links, which could lead out of the file, are refused."""
    import h5py

    node = group
    for part in path.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        node = node[part] if isinstance(link, h5py.HardLink) else None
    if not isinstance(node, h5py.Dataset):
        raise ValueError(f"{source} is no weights file of Keras's layout: {group.name}/{path} is missing or no array")
    return node


def matched(
    layer: str, weights: list[Weight], datasets: list[Any], source: str, skip_mismatch: bool
) -> list[tuple[Weight, Any]]:
    """Each weight of a layer with its array of the file.

    Raises:
        ValueError: if number or shapes differ, which is a warning and an empty list with `skip_mismatch`.
    """
    words = ""
    if len(datasets) != len(weights):
        words = f"layer {layer!r} has {len(weights)} weights, {source} holds {len(datasets)}"
    for weight, dataset in zip(weights, datasets, strict=False):
        if not words and dataset.shape != weight.shape:
            words = (
                f"weight {weight.path!r} of layer {layer!r} has shape {weight.shape}, {source} holds {dataset.shape}"
            )
    if not words:
        return list(zip(weights, datasets, strict=True))
    if not skip_mismatch:
        raise ValueError(words)
    warnings.warn(f"{words}: the layer keeps its weights", stacklevel=5)
    return []


def read_arrays(datasets: list[Any], source: str) -> list[Any]:
    """The numbers of the arrays of a file.

    Raises:
        ValueError: if they are damaged.
    """
    try:
        return [np.asarray(dataset[()]) for dataset in datasets]
    except OSError as error:
        raise ValueError(f"{source} is damaged: {error}") from None


def assign(model: Sequential, weights: list[Weight], values: list[Any]) -> None:
    """Give the weights of a model these values."""
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
    model.parameters().touch()


def built_for(model: Sequential, state: list[Any]) -> Optimizer:
    """The model's optimizer with slots, unless `state` is that of one that has not trained yet and so has none."""
    optimizer = model.optimizer
    assert optimizer is not None
    if len(state) != len(optimizer.variables()):
        optimizer.build(model.parameters())
    return optimizer


def require_built(model: Sequential, source: str) -> None:
    """Refuse a model whose weights are not there yet."""
    if not model.built:
        raise ValueError(f"the model must be built before weights of {source} can be loaded: give it an input shape")
