"""Values of a config in the form that Keras writes to JSON, and back.

Source: `keras/src/saving/serialization_lib.py`. Keras has no form for a dict with keys other than strings, and JSON
would turn them into strings: such a dict is written as "__dict__", a list of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn.validation import WrongType, shown

ARRAY, TENSOR, BYTES, SLICE, ELLIPSIS, DICT = (
    "__numpy__", "__tensor__", "__bytes__", "__slice__", "__ellipsis__", "__dict__",
)  # fmt: skip
SPECIAL = (ARRAY, TENSOR, BYTES, SLICE, ELLIPSIS, DICT)
_NUMBERS = "fiub"


def dtype_name(dtype: Any, default: str) -> str:
    """Return the name of a dtype, which may be in any form of NumPy or a description by Keras; the default for None."""
    if isinstance(dtype, Mapping):
        dtype = dtype.get("config", {}).get("name")
    return default if dtype is None else np.dtype(dtype).name


def is_special(value: Any) -> bool:
    """Return whether a dict in a config represents an array or another value that JSON lacks."""
    return (
        isinstance(value, Mapping) and value.get("class_name") in SPECIAL and isinstance(value.get("config"), Mapping)
    )


def to_plain(value: Any, where: str, describe: Callable[[Any, str], Any]) -> Any:
    """Convert a value of a config to numbers, strings, None, and lists, tuples and dicts of these.

    Args:
        value: The value.
        where: What the error calls it.
        describe: Is called with any other value and `where`; returns its description or raises a TypeError.

    Raises:
        TypeError: If the value has no such form.
    """
    if isinstance(value, str):
        return str(value)
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, range):
        return list(value)
    if isinstance(value, tuple | list):
        parts = [to_plain(each, f"{where}[{number}]", describe) for number, each in enumerate(value)]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, Mapping):
        pairs = [(name, to_plain(each, f"{where}[{name!r}]", describe)) for name, each in value.items()]
        if all(isinstance(name, str) for name, _ in pairs):
            return dict(pairs)
        return _special(DICT, items=[[to_plain(name, f"a key of {where}", describe), each] for name, each in pairs])
    if isinstance(value, bytes):
        try:
            return _special(BYTES, value=value.decode())
        except UnicodeDecodeError:
            raise WrongType(f"{where} cannot be written: bytes must be UTF-8 text, got {shown(value)}") from None
    if isinstance(value, slice):
        parts = [to_plain(each, where, describe) for each in (value.start, value.stop, value.step)]
        return _special(SLICE, start=parts[0], stop=parts[1], step=parts[2])
    if value is ...:
        return _special(ELLIPSIS)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, np.ndarray | np.generic):
        return _plain_array(value, where)
    if hasattr(value, "__array__") and not isinstance(value, type) and not hasattr(value, "get_config"):
        return _plain_array(np.asarray(value), where)  # of another library
    return describe(value, where)


def _special(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


def _plain_array(value: Any, where: str) -> Any:
    if value.dtype.kind not in _NUMBERS:
        raise WrongType(f"{where} cannot be written to a file: an array must hold numbers, got dtype {value.dtype}")
    if value.dtype.itemsize > 8:  # more than 64 bits
        value = value.astype(np.float64)
    if not value.ndim:
        return value.item()
    return _special(ARRAY, value=value.tolist(), dtype=value.dtype.name)


def from_plain(value: Any) -> Any:
    """Convert what `to_plain` or Keras wrote back to arrays, bytes and so on. Descriptions of objects stay.

    Raises:
        ValueError: If an array does not hold numbers.
    """
    if isinstance(value, list | tuple):
        return type(value)([from_plain(each) for each in value]) if value else value
    if not isinstance(value, Mapping):
        return value
    if not is_special(value):
        return {name: from_plain(each) for name, each in value.items()}
    name, config = value["class_name"], value["config"]
    if name in (ARRAY, TENSOR):
        return _array(config.get("value"), config.get("dtype"))
    if name == BYTES:
        return str(config.get("value")).encode()
    if name == SLICE:
        return slice(*(from_plain(config.get(part)) for part in ("start", "stop", "step")))
    if name == ELLIPSIS:
        return ...
    try:
        return {_key(from_plain(key)): from_plain(each) for key, each in config["items"]}
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"a dict of a config must be a list of pairs, got {shown(config)}") from None


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value


def _array(values: Any, dtype: Any) -> Any:
    try:
        kind = np.dtype(str(dtype))
        array = np.asarray(values)
        if kind.kind not in _NUMBERS or array.dtype.kind not in _NUMBERS:
            raise TypeError
        return array.astype(kind) if array.size else np.zeros(array.shape, kind)
    except (TypeError, ValueError, OverflowError, SyntaxError):
        raise ValueError(
            f"an array of a config must hold numbers of a dtype, got {shown(values)} of {shown(dtype)}"
        ) from None
