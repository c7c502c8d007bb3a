"""Weights in several files, as Keras 3 writes them: NAME_00000.weights.h5, ... and NAME.weights.json, their config.

The config maps each group of arrays to the file or files that hold it. Each of these is laid out like a whole
`.weights.h5` file. The config also has a checksum of each file, which Keras passes over: files that were written at
different times are never mixed. Source: `ShardedH5IOStore` of Keras 3.15.1.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

from pyrnn.files import archive
from pyrnn.files.hdf5 import array_at, group_at, opened, reading
from pyrnn.validation import shown

ENDING = ".weights.json"
GIGABYTE = 1024**3
_LARGEST_CONFIG = 1 << 26  # bytes


def packed(path: str, content: bytes, most: float) -> dict[str, bytes]:
    """Split a `.weights.h5` file into files whose arrays take at most `most` bytes each.

    Args:
        path: Where the config goes, a path that ends in ".weights.json"; the other files go next to it.
        content: The file to split.
        most: The size of the arrays of one file, in bytes.

    Returns:
        The files by their paths, the config last.

    Raises:
        ValueError: If one array is larger than `most`.
    """
    import h5py

    base = path.removesuffix(ENDING)
    parts: list[list[Any]] = [[]]
    total = used = 0
    with h5py.File(io.BytesIO(content), "r") as file:
        for array in _arrays(file):
            size = int(array.nbytes)
            if size > most:
                raise ValueError(
                    f"max_shard_size must hold every array, {array.name} takes {size / GIGABYTE:.3g} GB, "
                    f"got {most / GIGABYTE:.3g} GB: pass max_shard_size={_rounded_up(size)} or more"
                )
            if used + size > most:
                parts.append([])
                used = 0
            parts[-1].append(array)
            used, total = used + size, total + size
        files = {f"{base}_{i:05}.weights.h5": _shard(arrays) for i, arrays in enumerate(parts)}
        places: dict[str, list[str]] = {}
        for name, arrays in zip(files, parts, strict=True):
            for array in arrays:
                names = places.setdefault(array.parent.name, [])
                if os.path.basename(name) not in names:
                    names.append(os.path.basename(name))
    config = {
        "metadata": {
            "total_size": total,
            "crc32": {os.path.basename(name): zlib.crc32(shard) for name, shard in files.items()},
        },
        "weight_map": {group: names[0] if len(names) == 1 else names for group, names in places.items()},
    }
    return {**files, path: json.dumps(config, indent=4).encode()}


def joined(path: str) -> bytes:
    """Read a config and its files.

    Returns:
        One `.weights.h5` file with all their arrays.

    Raises:
        OSError: If one of the files cannot be read.
        ValueError: If one is missing, damaged or not of this config.
    """
    import h5py

    places, checksums = _config(path)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, groups in places.items():
            source = repr(os.path.join(os.path.dirname(path), name))
            with archive.opened_file(os.path.join(os.path.dirname(path), name)) as shard:
                content = shard.read()
            if checksums.get(name, zlib.crc32(content)) != zlib.crc32(content):
                raise ValueError(f"{source} is damaged or was not written together with {path!r}: save the model again")
            with opened(content, source) as shard:
                _copy(shard, groups, file, len(content), source)
    return buffer.getvalue()


def _arrays(group: Any) -> Iterator[Any]:
    """The arrays of a file of pyrnn's own, those of a group by their numbers."""
    import h5py

    for name in sorted(group, key=lambda name: (len(name), name) if name.isdecimal() else (0, name)):
        if isinstance(group[name], h5py.Group):
            yield from _arrays(group[name])
        else:
            yield group[name]


def _shard(arrays: list[Any]) -> bytes:
    """An HDF5 file with these arrays and the names of their layers."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for array in arrays:
            group = file.require_group(array.parent.name)
            group.attrs.update(array.parent.attrs)
            array.file.copy(array, group, os.path.basename(array.name))
    return buffer.getvalue()


def _copy(shard: Any, groups: list[str], file: Any, size: int, source: str) -> None:
    """Copy the arrays of groups, which a shard of `size` bytes must be able to hold."""
    for path in groups:
        group, target = group_at(shard, path), file.require_group(path)
        if group is None:
            raise ValueError(f"{source} is damaged: it holds no group {path!r}")
        for name in group:
            array = array_at(group, name, source)
            if name in target:
                raise ValueError(f"{source} is damaged: {array.name} is in another file too")
            size -= array.id.get_storage_size()
            if size < 0:
                raise ValueError(f"{source} is damaged: its arrays claim more than the file can hold")
            shard.copy(array, target, name)


def _config(path: str) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Read the config: the groups of each file, and the checksums of files that have one."""
    with archive.opened_file(path) as file:
        text = file.read(_LARGEST_CONFIG + 1)
    if len(text) > _LARGEST_CONFIG:
        raise ValueError(f"{path!r} has more than the {_LARGEST_CONFIG} bytes allowed")
    with reading(repr(path)):
        try:
            config = json.loads(text)
        except RecursionError as error:
            raise ValueError(f"damaged: {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("weight_map"), dict):
            raise ValueError(f"must hold a dict with a 'weight_map', got {shown(config)}")
        places: dict[str, list[str]] = {}
        for group, names in config["weight_map"].items():
            for name in names if isinstance(names, list) else [names]:
                if not isinstance(name, str) or not name.endswith(".weights.h5") or not _is_plain(name):
                    raise ValueError(f"must name files of its own folder that end in '.weights.h5', got {shown(name)}")
                places.setdefault(name, []).append(group.strip("/"))
        metadata = config.get("metadata")
        checksums = metadata.get("crc32", {}) if isinstance(metadata, dict) else {}
        if not isinstance(checksums, dict):
            raise ValueError(f"must hold a dict of checksums, got {shown(checksums)}")
    return places, checksums


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder, on every system."""
    return not any(sign in name for sign in "/\\:\0")


def _rounded_up(size: int) -> float:
    """A number of GB with few digits that is not below `size` bytes."""
    digits = 10 ** (9 if size < GIGABYTE else 2)
    return -(-size * digits // GIGABYTE) / digits
