"""Operations under the names of `keras.ops`: NumPy on arrays, parts of a model on symbols.

They keep float32, compute integers as Keras does, and are differentiated by the package autograd where they are part of
a layer, a model or a loss that is trained.
"""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.ops import elementwise, neural, products, reductions, shaping  # noqa: F401  # they enter their operations
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.symbols import OPERATORS

__all__ = sorted(OPERATIONS)  # one list of names

globals().update(OPERATIONS)
OPERATORS.update(OPERATIONS)
explain(__name__)
