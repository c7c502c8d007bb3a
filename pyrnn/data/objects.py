"""Numbers from arrays of Python objects and tables with columns of several kinds; errors name what is not a number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
NUMERIC = "fiub"
CONVERT = 'convert it first, such as by .astype("float32")'


def is_table(value: Any) -> bool:
    """Whether a value is a DataFrame of pandas."""
    return hasattr(value, "iloc") and hasattr(value, "columns") and getattr(value, "ndim", 0) == 2


def numbers_of(name: str, value: Any, array: Array) -> Array:
    """The numbers in a value that NumPy converted to an array of objects, strings or dates.

    Raises:
        TypeError: If it holds anything else; the message names the column and the first such value.
    """
    if is_table(value):
        columns = [_column(name, value.iloc[:, i], f"column {value.columns[i]!r}") for i in range(value.shape[1])]
        return np.stack(columns, axis=1) if columns else np.empty(value.shape)
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "iloc"):
        label = getattr(value, "name", None)
        return _column(name, value, "the Series" if label is None else f"the Series {label!r}")
    if array.dtype.kind != "O":
        if not array.ndim:
            raise WrongType(f"{name} must hold numbers, got {shown(value)}")
        fix = f": {CONVERT}" if array.dtype.kind in "USV" else ""
        raise WrongType(f"{name} must hold numbers, got dtype {array.dtype}{fix}")
    return _from_objects(name, array, lambda at: f"column {at[-1]}" if array.ndim > 1 else "it")


def _column(name: str, series: Any, place: str) -> Array:
    """One column of a table, as numbers."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in NUMERIC:
        array: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)  # also of nullable columns
        return array
    if kind in "mM":
        raise WrongType(
            f"{name} must hold numbers, but {place} holds {'dates' if kind == 'M' else 'times'} ({series.dtype}): "
            "leave it out or convert it to numbers"
        )
    return _from_objects(name, np.asarray(series, object), lambda at: place)


def _from_objects(name: str, array: Array, where: Callable[[tuple[int, ...]], str]) -> Array:
    """An array of objects that are all numbers or booleans, as float64 or int64."""
    kinds = set(map(type, array.flat))
    wrong = {kind for kind in kinds if not issubclass(kind, Real | Decimal | np.bool_)}
    if wrong:
        at, value = next((at, each) for at, each in np.ndenumerate(array) if type(each) in wrong)
        if not at:
            raise WrongType(f"{name} must hold numbers, got {shown(value)}")
        fix = "stack arrays of one shape by np.stack" if isinstance(value, np.ndarray | list | tuple) else CONVERT
        raise WrongType(f"{name} must hold numbers, but {where(at)} holds {shown(value)}: {fix}")
    is_whole = all(issubclass(kind, Integral | np.bool_) for kind in kinds)
    try:
        return array.astype(np.int64 if is_whole and kinds else np.float64)
    except OverflowError:
        return array.astype(np.float64)
