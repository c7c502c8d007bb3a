"""Weights and optimizer variables in Keras 3's HDF5 layout.

layers/<class name in snake case>[_n]/[cell/|layer/]vars/0, 1, ...   and   optimizer/vars/0, 1, ...
"""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.layers import Layer
from pyrnn.models import Sequential
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight
from pyrnn.saving import legacy_h5
from pyrnn.saving.atomic import replace_file

Array = NDArray[Any]
ENDING = ".weights.h5"


def _layer_groups(model: Sequential) -> list[tuple[str, Layer]]:
    """(group, layer) of every layer; a name that comes again gets _1, _2, ..."""
    seen: Counter[str] = Counter()
    found = []
    for layer in model.layers:
        name = snake_case(type(layer).__name__)
        suffix = f"_{seen[name]}" if seen[name] else ""
        seen[name] += 1
        found.append((f"layers/{name}{suffix}", layer))
    return found


def weights_bytes(model: Sequential, with_optimizer: bool) -> bytes:
    """The HDF5 file of a built model, in memory."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("vars").attrs["name"] = model.name
        file.create_group("layers")
        for group, layer in _layer_groups(model):
            for path, name, weights in layer.variable_groups():
                variables = file.create_group(f"{group}/{path}")
                variables.attrs["name"] = name
                for i, weight in enumerate(weights):
                    variables[str(i)] = weight.array
        optimizer = model.optimizer if with_optimizer else None
        if optimizer is not None:
            variables = file.create_group("optimizer/vars")
            variables.attrs["name"] = optimizer.name
            for i, (name, value) in enumerate(optimizer.variables()):
                variables[str(i)] = value.astype(np.int32) if name == "iteration" else value
    return buffer.getvalue()


def _read(file: Any, path: str, source: str) -> list[Array]:
    """The numbered datasets below `path`, in order; [] if there is no such group."""
    import h5py

    group = file.get(path)
    if group is None:
        return []
    found = []
    for i in range(len(group)):
        item = group.get(str(i), getlink=True)
        if not isinstance(item, h5py.HardLink) or not isinstance(group[str(i)], h5py.Dataset):
            raise ValueError(f"{source} is no weights file of Keras's layout: {path}/{i} is missing or no array")
        found.append(group[str(i)])
    return found


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


def read_weights(
    model: Sequential, content: bytes, source: str, with_optimizer: bool, skip_mismatch: bool = False
) -> None:
    """Assign a file's values; every shape is checked before any weight changes.

    With `skip_mismatch` layers that do not fit keep their weights, with a warning.

    Raises:
        ValueError: if the file is damaged or does not fit the model, which is unchanged then.
    """
    import h5py

    if not model.built:
        raise ValueError(f"the model must be built before weights of {source} can be loaded: give it an input shape")
    try:
        file = h5py.File(io.BytesIO(content), "r")
    except OSError as error:
        raise ValueError(f"{source} is damaged or no HDF5 file: {error}") from None
    with file:
        pending: list[tuple[Weight, Any]] = []
        for group, layer in _layer_groups(model):
            for path, _, weights in layer.variable_groups():
                datasets = _read(file, f"{group}/{path}", source) if weights else []
                pending += matched(layer.name, weights, datasets, source, skip_mismatch)
        try:
            values = [np.asarray(dataset[()]) for _, dataset in pending]
            state = [np.asarray(d[()]) for d in _read(file, "optimizer/vars", source)] if with_optimizer else []
        except OSError as error:
            raise ValueError(f"{source} is damaged: {error}") from None
    optimizer = model.optimizer
    if state and optimizer is not None:
        optimizer.build(model.parameters())
        optimizer.set_variables(state)
    for (weight, _), value in zip(pending, values, strict=True):
        weight.assign(value)
    model.parameters().touch()


def save_weights(model: Sequential, filepath: str | os.PathLike[str]) -> None:
    """Write the weights to a file whose name ends in `.weights.h5`."""
    path = os.fspath(filepath)
    if not path.endswith((ENDING, *legacy_h5.ENDINGS)):
        raise ValueError(f"filepath must end in {ENDING!r} (or '.h5', '.hdf5': Keras 2's format), got {path!r}")
    if not model.built:
        raise ValueError("the model must be built before its weights can be saved: give it an input shape")
    if not path.endswith(ENDING):
        replace_file(path, legacy_h5.weights_bytes(model))
        return
    replace_file(path, weights_bytes(model, with_optimizer=True))


def load_weights(
    model: Sequential, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Read weights that `save_weights` or Keras wrote: `.weights.h5`, those of a `.keras` model, legacy `.h5`."""
    path = os.fspath(filepath)
    with open(path, "rb") as file:
        content = file.read()
    if path.endswith(".keras"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read("model.weights.h5")
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise ValueError(f"{path!r} is damaged or no .keras file: {error}") from None
    elif not path.endswith(ENDING):
        legacy_h5.load_weights(model, content, repr(path), skip_mismatch, by_name)
        return
    if by_name:
        raise ValueError("by_name reads legacy .h5 files only: leave it out for .weights.h5, which goes by order")
    read_weights(model, content, repr(path), with_optimizer=False, skip_mismatch=skip_mismatch)


def load_training_state(model: Sequential, filepath: str | os.PathLike[str]) -> None:
    """Weights and optimizer state of a compiled model, from a `.weights.h5` file that `save_weights` wrote."""
    path = os.fspath(filepath)
    with open(path, "rb") as file:
        read_weights(model, file.read(), repr(path), with_optimizer=True)
