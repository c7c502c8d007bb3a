"""The state of a training (`pyrnn.resume`) in the group `pyrnn` of an HDF5 file, which Keras passes over.

pyrnn/text is JSON in bytes, in which {"array": 3} stands for pyrnn/arrays/3. The attribute crc32 is of all of them.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import numpy as np

from pyrnn.saving.hdf5 import array_at, opened

GROUP = "pyrnn"
_ARRAY = "array"


def write_state(file: Any, state: dict[str, Any]) -> None:
    """Add the group to an open file.

    Raises:
        TypeError: if the state holds anything but numbers, texts, None, arrays, lists and dicts of them.
    """
    arrays: list[Any] = []
    text = np.frombuffer(json.dumps(_plain(state, "state", arrays)).encode(), np.uint8)
    group = file.create_group(GROUP)
    group["text"] = text
    for i, array in enumerate(arrays):
        group[f"arrays/{i}"] = array
    group.attrs["crc32"] = _checksum([text, *arrays])


def read_state(content: bytes, source: str) -> dict[str, Any] | None:
    """The state in an HDF5 file; None if there is none.

    Raises:
        ValueError: if the file is damaged.
    """
    with opened(content, source) as file:
        if GROUP not in file:
            return None
        try:
            text = _read(array_at(file, f"{GROUP}/text", source), len(content))
            count = len(file[GROUP].get("arrays", ()))
            arrays = [_read(array_at(file, f"{GROUP}/arrays/{i}", source), len(content)) for i in range(count)]
            if _checksum([text, *arrays]) != file[GROUP].attrs.get("crc32"):
                raise ValueError("the state of the training does not have its checksum")
            state: dict[str, Any] = _restored(json.loads(text.tobytes()), arrays)
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{source} is damaged: {error}") from None
    return state


def _read(dataset: Any, limit: int) -> Any:
    """An array that can be as large as it claims: nothing is compressed here."""
    size = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    if size > limit:
        raise ValueError(f"{dataset.name} claims {size} bytes in a file of {limit}")
    if dataset.dtype.kind not in "fiub":
        raise ValueError(f"{dataset.name} must hold numbers, got dtype {dataset.dtype}")
    return np.asarray(dataset[()])


def _checksum(arrays: list[Any]) -> int:
    found = 0
    for array in arrays:
        found = zlib.crc32(f"{array.dtype.str}{array.shape}".encode() + array.tobytes(), found)
    return found


def _plain(value: Any, where: str, arrays: list[Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{where}[{i}]", arrays) for i, each in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value) and value.keys() != {_ARRAY}:
        return {name: _plain(each, f"{where}[{name!r}]", arrays) for name, each in value.items()}
    raise TypeError(f"{where} cannot be kept in a file: it must hold numbers, texts, None and arrays, got {value!r}")


def _restored(value: Any, arrays: list[Any]) -> Any:
    if isinstance(value, list):
        return [_restored(each, arrays) for each in value]
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {name: _restored(each, arrays) for name, each in value.items()}
    return value
