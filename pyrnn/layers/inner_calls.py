"""Calls of layers inside a traced `call`: arrays become symbols, and a mask may be passed explicitly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.data.arrays import Array, as_array
from pyrnn.layers.holder import Holder
from pyrnn.ops.dispatch import Hooks
from pyrnn.structures import mapped
from pyrnn.symbols import Node, Symbol


class Masked(Holder):
    """Gives an array a mask: it reads x (B, T, ...) and the mask (B, T), and returns x."""

    merges = True
    makes_mask = True
    activity_regularizer = None

    def __init__(self, x: Symbol, mask: Symbol) -> None:
        self.name, self._weights, self._trainable, self.dtype = f"{x.name}_masked", [], True, x.dtype
        self.nodes.append(Node(self, (x, mask), {}, (x, mask), (Symbol(x.shape, x.dtype, self.name),)))

    def run(self, inputs: Sequence[Array], masks: Sequence[Any], training: bool) -> tuple[list[Array], list[Any]]:
        """Return x and its mask in lists.

        Args:
            inputs: x (B, T, ...) and the mask (B, T).
            masks: the masks that the two have, which are replaced.
            training: whether a backward pass follows.
        """
        return [inputs[0]], [np.ascontiguousarray(inputs[1], dtype=bool)]

    def backward(self, dy: Array, *, need_dx: bool = True) -> tuple[Array, None]:
        """Return the gradients by x and by the mask.

        Args:
            dy: the gradient by the output (B, T, ...).
            need_dx: whether they are needed.
        """
        return dy, None


def as_symbols(value: Any, dtype: str) -> Any:
    """Return the symbols of arrays in the traced `call`.

    Args:
        value: a symbol, weight or array, or lists, tuples and dicts of them; None stays.
        dtype: of an array of floats.
    """
    assert Hooks.symbol_of_weight is not None
    symbol_of = Hooks.symbol_of_weight

    def convert(leaf: Any) -> Any:
        if leaf is None or isinstance(leaf, Symbol):
            return leaf
        if hasattr(leaf, "gradient"):  # a weight
            return symbol_of(leaf)
        array = as_array("x", leaf)
        return symbol_of(np.ascontiguousarray(array, dtype if array.dtype.kind == "f" else None).reshape(array.shape))

    return mapped(convert, value)


def with_mask(x: Any, mask: Any) -> Any:
    """Return a symbol that has a mask.

    Args:
        x: the symbol.
        mask: the symbol of its mask, or None.
    """
    return x if mask is None else Masked(x, mask).nodes[0].outputs[0]
