"""Arrays and weights in the safetensors format. The package `safetensors` checks a header before anything is read."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers
from pyrnn.files.atomic import replace_file
from pyrnn.naming import snake_case
from pyrnn.parameters import Weight
from pyrnn.validation import MissingFile, shown

Array = NDArray[Any]
ENDING = ".safetensors"
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_BITS_BELOW_BFLOAT16 = 16


class Entry(NamedTuple):
    """What a header says of one array.

    Args:
        dtype: The format's name of its dtype.
        shape: Its shape.
    """

    dtype: str
    shape: tuple[int, ...]


def _package() -> ModuleType:
    """The package `safetensors`."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"safetensors files need the package safetensors ({error}): pip install 'pyrnn-core[safetensors]'"
        ) from error
    return safetensors


@contextlib.contextmanager
def _reading(source: str, package: ModuleType) -> Iterator[None]:
    """Word what the package raises."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFile(f"there is no file {source!r}") from None
    except package.SafetensorError as error:
        raise ValueError(f"{source} is damaged or not a safetensors file: {' '.join(str(error).split())}") from None


def require_path(argument: str, path: str | os.PathLike[str]) -> str:
    """Return the path as text; it must have the ending of the format."""
    text = os.fspath(path)
    if not text.endswith(ENDING):
        raise ValueError(f"{argument} must end in {ENDING!r}, got {shown(text)}")
    return text


def read_header(path: str) -> dict[str, Entry]:
    """The arrays that a file holds, from its header, whose offsets, sizes and dtypes are checked.

    Raises:
        ImportError: If the package is missing.
        OSError, ValueError: If the file is missing or damaged, or has a dtype that NumPy lacks.
    """
    package = _package()
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder, not a safetensors file")
    with _reading(path, package), package.safe_open(path, framework="np") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        entries = {name: Entry(each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}
    for name, entry in entries.items():
        if entry.dtype not in _DTYPES:
            raise ValueError(f"{path}: array {name!r} has dtype {entry.dtype}, which NumPy does not have")
    return entries


def read_arrays(path: str) -> dict[str, Array]:
    """All arrays of a file, bfloat16 as float32.

    Raises:
        ImportError: If the package is missing.
        OSError, ValueError: If the file is missing or damaged, or has a dtype that NumPy lacks.
    """
    read_header(path)
    package = _package()
    with _reading(path, package):
        entries = package.deserialize(Path(path).read_bytes())
    return {name: _array(entry["dtype"], entry["shape"], entry["data"]) for name, entry in sorted(entries)}


def _array(dtype: str, shape: Sequence[int], data: bytes) -> Array:
    array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":
        return (array.astype(np.uint32) << _BITS_BELOW_BFLOAT16).view(np.float32)
    return array if sys.byteorder == "little" else array.astype(array.dtype.newbyteorder("="))


def write_arrays(path: str, arrays: Mapping[str, Array]) -> None:
    """Write a file of arrays, completely or not at all.

    Raises:
        ImportError: If the package is missing.
        OSError: If it cannot be written; what was there is unchanged then.
    """
    contiguous = {name: np.asarray(each, order="C") for name, each in arrays.items()}
    content = _package().numpy.save(contiguous, {"format": "np"})
    replace_file(path, content)


# Weights by names.


# The names that layers receive, without the number at their end.
_AUTOMATIC = {f"{prefix}{snake_case(name)}" for name in layers.REGISTRY for prefix in ("", "forward_", "backward_")}


def weight_names(model: Any) -> dict[str, Weight]:
    """The weights of a model by their paths below the model.

    Automatic names count within the model: its second LSTM is lstm_1, however many were made before.
    """
    names: dict[str, Weight] = {}
    renamed: dict[tuple[str, str], str] = {}  # a part of a path, by the path above it and its name
    taken: set[str] = set()

    def unique(path: str) -> str:
        fitting = (path, *(f"{path}_{number}" for number in range(1, len(model.weights) + 1)))
        return next(each for each in fitting if each not in taken)

    for weight in model.weights:
        parts, path = weight.path.removeprefix(f"{model.name}/").split("/"), ""
        for part in parts[:-1]:
            if (path, part) not in renamed:
                bare = re.sub(r"_\d+$", "", part)
                renamed[path, part] = unique(f"{path}{bare if bare in _AUTOMATIC else part}")
                taken.add(renamed[path, part])
            path = f"{renamed[path, part]}/"
        name = unique(f"{path}{parts[-1]}")
        taken.add(name)
        names[name] = weight
    return names


def matched_weights(model: Any, path: str) -> list[tuple[Weight, Array]]:
    """A file's values for the weights of a model; names and shapes are compared before values are read.

    Raises:
        OSError, ValueError: If the file is missing or damaged, or does not fit the model.
    """
    weights, header = weight_names(model), read_header(path)
    if missing := [name for name in weights if name not in header]:
        rest = [name for name in header if name not in weights]
        others = f", it has {shown(rest)}" if rest else ""
        raise ValueError(
            f"{path} lacks {len(missing)} of the {len(weights)} weights of model {model.name!r}, "
            f"such as {missing[0]!r}{others}: layers must have the names they had when it was written"
        )
    if unknown := [name for name in header if name not in weights]:
        raise ValueError(f"{path} holds {shown(unknown[0])}, which is no weight of model {model.name!r}")
    for name, weight in weights.items():
        entry = header[name]
        if entry.shape != weight.shape:
            raise ValueError(f"{path}: {name!r} must have shape {weight.shape}, got {entry.shape}")
        if not entry.dtype.startswith(("F", "BF")):
            raise ValueError(f"{path}: {name!r} must hold floating-point numbers, got dtype {entry.dtype}")
    arrays = read_arrays(path)
    return [(weight, arrays[name]) for name, weight in weights.items()]
