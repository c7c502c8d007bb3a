"""Weights and optimizer variables in Keras 3's HDF5 layout.

layers/<class name in snake case>[_n]/[cell/|layer/]vars/0, 1, ...   and   optimizer/vars/0, 1, ...
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.files import archive, legacy_h5, own_state, shards
from pyrnn.files.atomic import refuse_existing, replace_file, replace_files
from pyrnn.files.hdf5 import (
    Arrays,
    group_at,
    matched,
    matched_state,
    opened,
    read_arrays,
    reading,
    require_built,
    restored,
)
from pyrnn.files.state import BLOCK, sealed, write_state
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight, assign_all
from pyrnn.rules import ListOf, Rule
from pyrnn.typing import IS_MODEL, FilePath, Flag, Positive, Text
from pyrnn.validation import WrongType, not_built, shown, warn

if TYPE_CHECKING:
    from pyrnn.model import Model

ENDING = ".weights.h5"


class HasWeights(Rule):
    """A layer or a model, which has weights."""

    def check(self, argument: str, value: Any) -> None:
        if not hasattr(type(value), "weights"):
            raise WrongType(f"{argument} must be a layer or a model, got {shown(value)}")


def _layer_groups(model: Model) -> list[tuple[str, Any]]:
    """(group, layer) of every layer; a repeated name gets _1, _2, ... A model with `call` is like a layer itself."""
    if "call" in model.runs:
        return [("", model)]
    seen: Counter[str] = Counter()
    groups = []
    for layer in model.layers:
        name = snake_case(layer.name_of_class())
        suffix = f"_{seen[name]}" if seen[name] else ""
        seen[name] += 1
        groups.append((f"layers/{name}{suffix}", layer))
    return groups


def _variable_groups(model: Model, skipped: Sequence[Any] = ()) -> list[tuple[str, Any, str, list[Weight]]]:
    """(group, layer, name, weights) of every group; of a layer in several places, the groups of the first one.

    Groups of the layers in `skipped` have no weights.
    """
    left_out = {id(weight) for holder in skipped for weight in holder.weights}
    groups, listed = [], set()
    for group, layer in _layer_groups(model):
        for path, name, weights in layer.variable_groups():
            weights = [weight for weight in weights if id(weight) not in left_out]
            key = (name, *map(id, weights))
            if not weights or key not in listed:
                groups.append((f"{group}/{path}".lstrip("/"), layer, name, weights))
            listed.add(key)
    return groups


def weights_bytes(
    model: Model, with_optimizer: bool, state: dict[str, Any] | None = None, skipped: Sequence[Any] = ()
) -> bytes:
    """The HDF5 file of a model, in memory; `state` is that of its training (`files.state`)."""
    import h5py

    buffer, custom = io.BytesIO(), own_state.with_own_variables(model)
    with h5py.File(buffer, "w", userblock_size=None if state is None else BLOCK) as file:
        file.create_group("vars").attrs["name"] = model.name
        file.create_group("layers")
        for path, _, name, weights in _variable_groups(model, skipped):
            variables = file.require_group(path)
            variables.attrs["name"] = name
            if variables.name[1:] not in custom:
                for i, weight in enumerate(weights):
                    variables[str(i)] = weight.array
        for path, holder in custom.items():
            own_state.write_variables(holder, file.require_group(path))
        optimizer = model.optimizer if with_optimizer else None
        if optimizer is not None:
            variables = file.create_group("optimizer/vars")
            variables.attrs["name"] = optimizer.name
            for i, (name, value) in enumerate(optimizer.named_variables()):
                variables[str(i)] = value.astype(np.int32) if name == "iteration" else value
        if state is not None:
            write_state(file, state)
    return buffer.getvalue() if state is None else sealed(buffer.getvalue())


def _numbered(file: Any, path: str) -> Arrays:
    """The arrays 0, 1, ... below `path`; none if there is no such group."""
    group = group_at(file, path)
    return Arrays(group, [] if group is None else [str(i) for i in range(len(group))])


def matched_weights(
    model: Model,
    content: bytes,
    source: str,
    with_optimizer: bool,
    skip_mismatch: bool = False,
    skipped: Sequence[Any] = (),
    partly: bool = False,
) -> tuple[list[tuple[Weight, Any]], list[Any]]:
    """A file's values for each weight and for the optimizer's variables; all shapes are checked before reading.

    With `skip_mismatch` layers that do not fit keep their weights, with a warning; those in `skipped` always do. With
    `partly` it suffices that layers in the model are built.

    Raises:
        ValueError: If the file is damaged or does not fit the model.
    """
    if not (partly and model.weights):
        require_built(model, source)
    custom = own_state.with_own_variables(model)
    with restored(model.optimizer, only_on_error=True), opened(content, source) as file:
        pending: list[tuple[Weight, Any]] = []
        for path, layer, _, weights in _variable_groups(model, skipped):
            if weights and path not in custom:
                pending += matched(layer.name, weights, _numbered(file, path), source, skip_mismatch)
        variables = _numbered(file, "optimizer/vars") if with_optimizer else Arrays(None, [])
        state = read_arrays(matched_state(model, variables, source, skip_others=False))
        values = read_arrays([dataset for _, dataset in pending])
    return [(weight, value) for (weight, _), value in zip(pending, values, strict=True)], state


def read_weights(
    model: Model,
    content: bytes,
    source: str,
    with_optimizer: bool,
    skip_mismatch: bool = False,
    skipped: Sequence[Any] = (),
    partly: bool = False,
) -> None:
    """Assign a file's values as `matched_weights` matches them.

    Raises:
        ValueError: If the file is damaged or does not fit the model, which is then unchanged.
    """
    with restored(model.optimizer, only_on_error=True):
        values, state = matched_weights(model, content, source, with_optimizer, skip_mismatch, skipped, partly)
        custom = own_state.with_own_variables(model)
        with opened(content, source) as file:
            stores = [own_state.read_variables(file, path, source) for path in custom]
        if state and model.optimizer is not None:
            with reading(source):
                model.optimizer.set_variables(state)
    assign_all(values)
    for holder, store in zip(custom.values(), stores, strict=True):
        holder.load_own_variables(store)


@checked
def save_weights(
    model: Annotated[Model, IS_MODEL],
    filepath: FilePath,
    overwrite: Flag = True,
    max_shard_size: Positive | None = None,
    save_format: Text | None = None,
    objects_to_skip: Annotated[Sequence[Any], ListOf(HasWeights())] | None = None,
) -> None:
    """Write the weights and the optimizer's variables to a file, or to several.

    Args:
        model: The model; it must be built.
        filepath: The file, which ends in ".weights.h5" (Keras 3), ".h5" or ".hdf5" (Keras 2), or in ".weights.json"
            with `max_shard_size`.
        overwrite: Whether to replace the file if it exists.
        max_shard_size: The most GB of arrays in one file: they go to "NAME_00000.weights.h5" and so on.
        save_format: "h5", of older scripts; it must agree with the suffix.
        objects_to_skip: Layers whose weights are left out, for ".weights.h5" and ".weights.json" files.

    Raises:
        ValueError: If the model is not built, for another suffix or format, or if an array is larger than
            `max_shard_size`.
        OSError: If the file is there and not to be replaced, or cannot be written; it is unchanged then.

    Example:
        >>> import tempfile
        >>> from pyrnn.saving import load_weights, save_weights
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(model, f"{folder}/model.weights.h5")
        ...     load_weights(model, f"{folder}/model.weights.h5")
    """
    path = os.fspath(filepath)
    refuse_existing(path, overwrite)
    if max_shard_size is not None:
        _save_shards(model, path, max_shard_size, save_format, objects_to_skip or ())
        return
    if path.endswith(shards.ENDING):
        raise ValueError(f"max_shard_size must be given for a file that ends in {shards.ENDING!r}, got {path!r}")
    if archive.is_bare(path):
        path, save_format = f"{path}{ENDING}", None
        warn(f"the weights are written to {path!r}, since the path has no ending")
    archive.require_format(path, save_format, {"h5": legacy_h5.ENDINGS})
    if not path.endswith((ENDING, *legacy_h5.ENDINGS)):
        raise ValueError(f"filepath must end in {ENDING!r} (or '.h5', '.hdf5': Keras 2's format), got {shown(path)}")
    if not model.built:
        raise ValueError(not_built("its weights can be saved"))
    if not path.endswith(ENDING):
        _require_none_skipped(objects_to_skip)
        replace_file(path, legacy_h5.weights_bytes(model))
        return
    replace_file(path, weights_bytes(model, with_optimizer=True, skipped=objects_to_skip or ()))


def _require_none_skipped(objects_to_skip: Any) -> None:
    if objects_to_skip is not None:
        raise ValueError(f"objects_to_skip must be left out for files that do not end in {ENDING!r}")


def _save_shards(
    model: Model, path: str, max_shard_size: float, save_format: str | None, skipped: Sequence[Any]
) -> None:
    if not path.endswith(shards.ENDING):
        raise ValueError(f"filepath must end in {shards.ENDING!r} with max_shard_size, got {shown(path)}")
    if save_format is not None:
        raise ValueError(f"save_format must be left out with max_shard_size, got {save_format!r}")
    if not model.built:
        raise ValueError(not_built("its weights can be saved"))
    content = weights_bytes(model, with_optimizer=True, skipped=skipped)
    replace_files(shards.packed(path, content, max_shard_size * shards.GIGABYTE))


@checked
def load_weights(
    model: Annotated[Model, IS_MODEL],
    filepath: FilePath,
    skip_mismatch: Flag = False,
    by_name: Flag = False,
    objects_to_skip: Annotated[Sequence[Any], ListOf(HasWeights())] | None = None,
) -> None:
    """Read weights that `save_weights` or Keras wrote.

    Args:
        model: The model; it must be built.
        filepath: A ".weights.h5" file, a ".weights.json" with its files next to it, a ".keras" model, or a legacy
            ".h5" or ".hdf5" file.
        skip_mismatch: Whether layers that do not fit keep their weights, with a warning, instead of an error.
        by_name: For legacy files: assign weights to layers of the same name instead of in order.
        objects_to_skip: Layers that keep their weights, for ".weights.h5" and ".weights.json" files.

    Raises:
        ValueError: If the file is damaged or does not fit the model, which is then unchanged.
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> from pyrnn.saving import load_weights, save_weights
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(model, f"{folder}/old.h5")
        ...     load_weights(model, f"{folder}/old.h5", by_name=True)
    """
    path = os.fspath(filepath)
    if archive.is_bare(path) and not path.endswith(shards.ENDING):
        path = f"{path}{ENDING}"
    if path.endswith(shards.ENDING):
        require_built(model, repr(path))
        content = shards.joined(path)
    elif path.endswith(".keras"):
        _require_none_skipped(objects_to_skip)
        (content,) = archive.read_entries(path, archive.WEIGHTS)
    else:
        with archive.opened_file(path) as file:
            content = file.read()
        if not path.endswith(ENDING):
            _require_none_skipped(objects_to_skip)
            legacy_h5.load_weights(model, content, repr(path), skip_mismatch, by_name)
            return
    if by_name:
        raise ValueError("by_name must be left out for files of Keras 3, which are read in the order of the layers")
    read_weights(model, content, repr(path), False, skip_mismatch, objects_to_skip or ())
