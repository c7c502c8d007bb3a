"""The state of a training (`pyrnn.resume`) in the group `pyrnn` of an HDF5 file, which Keras ignores.

pyrnn/text is JSON in bytes, in which {"array": 3} refers to pyrnn/arrays/3. The user block in front of the file, which
HDF5 reserves for applications, holds a line with the length and the checksum of everything after it.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from pyrnn.files.hdf5 import Arrays, array_at, group_at, opened, read_arrays
from pyrnn.resume import check_random_state
from pyrnn.states import anything, record
from pyrnn.validation import WrongType, shown

GROUP = "pyrnn"
# Bytes of the user block, the least that HDF5 allows.
BLOCK = 512
_SEAL = b"pyrnn "
_ARRAY = "array"


def write_state(file: Any, state: dict[str, Any]) -> None:
    """Add the group to an open file.

    Raises:
        TypeError: If the state holds anything but numbers, texts, None, arrays, lists and dicts of them.
    """
    arrays: list[Any] = []
    text = json.dumps(_plain(state, "state", arrays)).encode()
    group = file.create_group(GROUP)
    group["text"] = np.frombuffer(text, np.uint8)
    for i, array in enumerate(arrays):
        group[f"arrays/{i}"] = array


def sealed(content: bytes) -> bytes:
    """Put the seal into the empty user block of a file."""
    return _seal(content[BLOCK:]) + content[BLOCK:]


def check_seal(content: bytes, source: str) -> bool:
    """Return whether the file has a seal.

    Raises:
        ValueError: If it does not match.
    """
    if not content.startswith(_SEAL):
        return False
    if content[:BLOCK] != _seal(content[BLOCK:]):
        raise ValueError(f"{source} is damaged: its length or checksum is not what was written")
    return True


def read_state(content: bytes, source: str) -> dict[str, Any] | None:
    """Return the state in an HDF5 file, or None.

    Raises:
        ValueError: If the file is damaged.
    """
    whole = check_seal(content, source)
    with opened(content, source) as file:
        group = group_at(file, GROUP)
        if group is None:
            return None
        if not whole:
            raise ValueError(f"{source} is damaged: it holds the state of a training without its checksum")
        text, arrays = array_at(group, "text", source), group_at(group, "arrays")
        stored = Arrays(arrays, [] if arrays is None else [str(i) for i in range(len(arrays))]).opened(source)
        claimed = sum(int(each.nbytes) for each in (text, *stored))
        if claimed > len(content):  # nothing is compressed here
            raise ValueError(f"{source} is damaged: its state claims {claimed} bytes of a file of {len(content)}")
        try:
            state = _restored(json.loads(np.asarray(text[()]).tobytes()), read_arrays(stored))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{source} is damaged: its state is not as it was written: {error}") from None
    if not isinstance(state, dict):
        raise ValueError(f"{source} is damaged: its state must be a dict, got {shown(state)}")
    return state


def read_random_state(model: Any, content: bytes, source: str) -> dict[str, Any] | None:
    """Return the random streams in the HDF5 part of a file of this model, or None.

    Raises:
        ValueError: If the file is damaged, or they do not fit the model; nothing has changed.
    """
    state = read_state(content, source)
    if state is None:
        return None
    try:
        record({"random": anything})("state", state)
        check_random_state(model, state["random"])
    except ValueError as error:
        raise ValueError(f"{source} is damaged: {error}") from None
    random: dict[str, Any] = state["random"]
    return random


def _seal(content: bytes) -> bytes:
    return (_SEAL + f"{len(content)} {zlib.crc32(content):08x}\n".encode()).ljust(BLOCK, b"\0")


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
    raise WrongType(f"{where} cannot be saved: it must hold numbers, texts, None and arrays, got {value!r}")


def _restored(value: Any, arrays: list[Any]) -> Any:
    if isinstance(value, list):
        return [_restored(each, arrays) for each in value]
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            number = value[_ARRAY]
            if type(number) is not int or not 0 <= number < len(arrays):
                raise ValueError(f"it names array {shown(number)} of {len(arrays)}")
            return arrays[number]
        return {name: _restored(each, arrays) for name, each in value.items()}
    return value
