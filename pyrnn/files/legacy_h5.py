"""Keras 2's HDF5 files, `.h5` and `.hdf5`, which Keras 3 still reads and writes: whole models and weights alone.

attributes model_config, training_config (JSON); model_weights/<layer>/<weight path>, each layer's paths listed in its
attribute weight_names; optimizer_weights likewise. A file of weights alone has the layers at its root.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.files import archive
from pyrnn.files.archive import SMALL
from pyrnn.files.hdf5 import (
    Arrays,
    M,
    MakeModel,
    claimed_bytes,
    group_at,
    matched,
    matched_state,
    opened,
    read_arrays,
    require_built,
)
from pyrnn.files.state import BLOCK, read_random_state, sealed, write_state
from pyrnn.layers import Layer
from pyrnn.parameters import Weight, assign_all, at_most
from pyrnn.resume import set_random_state

if TYPE_CHECKING:
    from pyrnn.model import Model

ENDINGS = (".h5", ".hdf5")
VERSION, BACKEND = "3.15.1", "numpy"
# HDF5 stores no more than this in one attribute; longer lists of names are split into several.
_LARGEST_ATTRIBUTE = 64512
# Of names; HDF5 gets slower with each one.
_MOST_ATTRIBUTES = 1000


def _weights(layer: Layer) -> list[Weight]:
    """In the old order: trainable weights first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _set_names(group: Any, name: str, values: list[str]) -> None:
    encoded = [value.encode() for value in values]
    count = 1
    while any(np.asarray(part).nbytes > _LARGEST_ATTRIBUTE for part in np.array_split(np.asarray(encoded), count)):
        count += 1
    if count == 1:
        group.attrs[name] = encoded
        return
    for i, part in enumerate(np.array_split(np.asarray(encoded), count)):
        group.attrs[f"{name}{i}"] = part


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _names(group: Any, name: str) -> list[str]:
    if name in group.attrs:
        return [_text(value) for value in group.attrs[name]]
    names: list[str] = []
    for part in range(_MOST_ATTRIBUTES):
        if f"{name}{part}" not in group.attrs:
            break
        names += [_text(value) for value in group.attrs[f"{name}{part}"]]
    return names


def _write_subset(group: Any, names: list[str], values: list[Any]) -> None:
    _set_names(group, "weight_names", names)
    for name, value in zip(names, values, strict=True):
        group.create_dataset(name, data=value)


def _distinct(names: list[str]) -> list[str]:
    """Number names that occur again, as of two layers within a custom layer. Readers go by the order."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        distinct.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct


def _write_weights(group: Any, model: Model) -> None:
    _set_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"], group.attrs["keras_version"] = BACKEND.encode(), VERSION.encode()
    for layer in model.layers:
        weights = _weights(layer)
        _write_subset(group.create_group(layer.name), _distinct([w.path for w in weights]), [w.array for w in weights])
    _write_subset(group.create_group("top_level_model_weights"), [], [])


def weights_bytes(model: Model) -> bytes:
    """The file of the weights alone, in memory."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write_weights(file, model)
    return buffer.getvalue()


def model_bytes(model: Model, include_optimizer: bool, state: dict[str, Any] | None = None) -> bytes:
    """The file of a whole model, in memory; `state` is that of its training (`files.state`)."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=None if state is None else BLOCK) as file:
        description = model.describe()
        config = {name: description[name] for name in ("module", "class_name", "config", "registered_name")}
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["backend"], file.attrs["keras_version"] = BACKEND, VERSION
        _write_weights(file.create_group("model_weights"), model)
        optimizer, training = model.optimizer, description.get("compile_config")
        if include_optimizer and optimizer is not None and training is not None:
            training["optimizer_config"] = training.pop("optimizer")
            file.attrs["training_config"] = json.dumps(training).encode()
        if include_optimizer and optimizer is not None and training is not None and model.built:
            variables = optimizer.named_variables()
            names = [name if "/" in name else f"{optimizer.name}/{name}" for name, _ in variables]
            values = [value.astype(np.int32) if name == "iteration" else value for name, value in variables]
            _write_subset(file.create_group("optimizer_weights"), names, values)
        if state is not None:
            write_state(file, state)
    return buffer.getvalue() if state is None else sealed(buffer.getvalue())


def _listed(group: Any) -> Arrays:
    """The arrays that `weight_names` lists."""
    return Arrays(group, _names(group, "weight_names"))


def _layers(group: Any, source: str) -> dict[str, Arrays]:
    """The arrays of each layer that `layer_names` lists.

    Raises:
        ValueError: If a layer's group has two names in the file: a small file could claim any number of layers.
    """
    import h5py

    layers, seen = {}, set()
    for name in dict.fromkeys(_names(group, "layer_names")):
        if (layer := group_at(group, name)) is None:
            continue
        if (address := h5py.h5o.get_info(layer.id).addr) in seen:
            raise ValueError(f"{source} is damaged: {layer.name} is the group of two layers")
        seen.add(address)
        layers[name] = _listed(layer)
    return layers


def load_weights(model: Model, content: bytes, source: str, skip_mismatch: bool, by_name: bool) -> None:
    """Assign the weights of a legacy file, by the order of its layers or by their names.

    Raises:
        ValueError: If the file is damaged or does not fit the model, which is then unchanged.
    """
    require_built(model, source)
    with opened(content, source) as file:
        _assign(model, group_at(file, "model_weights") or file, source, skip_mismatch, by_name)


def _assign(model: Model, group: Any, source: str, skip_mismatch: bool, by_name: bool) -> None:
    saved = _layers(group, source)
    if by_name:
        pairs = [(layer, saved[layer.name]) for layer in model.layers if layer.name in saved]
    else:
        layers, full = (
            [layer for layer in model.layers if layer.weights],
            [each for each in saved.values() if each.names],
        )
        if len(layers) != len(full):
            raise ValueError(f"the model has {len(layers)} layers with weights, {source} holds {len(full)}")
        pairs = list(zip(layers, full, strict=True))
    pending = [
        pair for layer, arrays in pairs for pair in matched(layer.name, _weights(layer), arrays, source, skip_mismatch)
    ]
    values = read_arrays([dataset for _, dataset in pending])
    assign_all([(weight, value) for (weight, _), value in zip(pending, values, strict=True)])


def read_model(path: str, make: MakeModel[M], compile: bool) -> M:
    """Read a whole model, also of Keras 2; `make` creates it from its description.

    Raises:
        ValueError: If the file is damaged, holds weights only, or describes what pyrnn does not have.
    """
    source = repr(path)
    with archive.opened_file(path) as handle:
        content = handle.read()
    budget = 2 * claimed_bytes(content, source) + SMALL
    with opened(content, source) as file, at_most(budget):
        if "model_config" not in file.attrs:
            raise ValueError(f"{source} holds weights only: build the model and call load_weights")
        try:
            config = json.loads(_text(file.attrs["model_config"]))
            training = json.loads(_text(file.attrs.get("training_config", "null")))
        except ValueError as error:
            raise ValueError(f"{source} is damaged: {error}") from None
        if compile and training and isinstance(config, dict):
            described = training.pop("optimizer_config")
            training["optimizer"] = {**described, "class_name": described["class_name"].split(">")[-1]}
            config["compile_config"] = training
        model = make(source, config, compile)
        weights = group_at(file, "model_weights")
        if weights is None:
            raise ValueError(f"{source} is damaged: it has no model_weights")
        if not model.built:
            if any(arrays.names for arrays in _layers(weights, source).values()):
                raise ValueError(f"{source} does not name the model's input shape")
            return model  # it was saved before it was built
        _assign(model, weights, source, skip_mismatch=False, by_name=False)
        if compile and training:
            _restore_optimizer(model, file, source)
    if (state := read_random_state(model, content, source)) is not None:
        set_random_state(model, state)
    return model


def _restore_optimizer(model: Model, file: Any, source: str) -> None:
    group = group_at(file, "optimizer_weights")
    if group is None or model.optimizer is None:
        return
    # Keras 2 saved other variables: its optimizers start anew, as in Keras 3.
    state = read_arrays(matched_state(model, _listed(group), source, skip_others=True))
    if state:
        model.optimizer.set_variables(state)
