"""Calls of layers inside a traced `call`: arrays become symbols."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.data.arrays import as_array
from pyrnn.structures import mapped
from pyrnn.symbols import Symbol, tracing


def as_symbols(value: Any, dtype: str) -> Any:
    """Return the symbols of arrays in the traced `call`.

    Args:
        value: a symbol, weight or array, or lists, tuples and dicts of them; None stays.
        dtype: of an array of floats.
    """
    symbol_of = tracing.symbol_of
    assert symbol_of is not None

    def convert(leaf: Any) -> Any:
        if leaf is None:
            return None
        if isinstance(leaf, Symbol):
            return leaf.current
        if hasattr(leaf, "gradient"):  # a weight
            return symbol_of(leaf).current
        array = as_array("x", leaf)
        return symbol_of(np.ascontiguousarray(array, dtype if array.dtype.kind == "f" else None).reshape(array.shape))

    return mapped(convert, value)
