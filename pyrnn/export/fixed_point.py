"""Fixed-point numbers in NumPy: what the integer C does, with the same bits.

A number v is stored as the int16 q = v * 2^fraction, saturated symmetrically to +-32767. `fraction` may be negative.
Arrays here are int64, so that nothing overflows; what fits into int32 in C is proven where an operation is made.
Right shifts round down, as arithmetic shifts do; `rescaled` adds one half before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LARGEST = 32767
LARGEST_32 = 2**31 - 1
# Pre-activations of recurrent cells have this many fraction bits, in int32.
WIDE = 16
# Gates: sigmoid and tanh have this many fraction bits.
UNIT = 15
# The most columns of a matrix whose sums of products fit into an int32: 512 * 127 * 32768 < 2^31.
COLUMNS = 512
# Rows that the inner loop of C computes at once, and columns in a word of weights.
ROWS, QUAD = 4, 4
FRACTIONS = (-14, 24)


def saturated(v: Array, largest: int = LARGEST) -> Array:
    """Return v, limited to +-largest."""
    return np.clip(v, -largest, largest)


def rescaled(v: Array, by: int, largest: int = LARGEST) -> Array:
    """Return v * 2^-by, rounded to the nearest number (halves up) and limited to +-largest."""
    return saturated((v + (1 << (by - 1))) >> by if by > 0 else v << -by, largest)


def fraction_for(peak: float, highest: int = FRACTIONS[1]) -> int:
    """Return the most fraction bits with which numbers up to `peak` fit into an int16.

    Args:
        peak: Largest magnitude. A peak that is a power of two saturates by one unit.
        highest: Limit of the result.
    """
    if peak <= 0:
        return min(UNIT, highest)
    return max(FRACTIONS[0], min(highest, UNIT - math.ceil(math.log2(peak))))


def to_fixed(x: Any, fraction: int) -> Array:
    """Return numbers as int64 within the range of an int16: x * 2^fraction, rounded half to even and saturated."""
    scaled = np.rint(np.asarray(x, np.float64) * 2.0**fraction)
    return saturated(np.nan_to_num(scaled, nan=0.0, posinf=LARGEST, neginf=-LARGEST), LARGEST).astype(np.int64)


def to_float(q: Array, fraction: int) -> Array:
    """Return the numbers that q represents."""
    return q * 2.0**-fraction


# Tables.

TANH_END, TANH_BITS = 6, 6
TANH = np.minimum(np.rint(np.tanh(np.arange((TANH_END << TANH_BITS) + 1) / 2**TANH_BITS) * 2**UNIT), LARGEST).astype(
    np.int64
)
POWER_BITS = 6
# 2^-i/64 with 30 fraction bits, of softmax.
POWER = np.rint(2.0 ** (30 - np.arange(2**POWER_BITS + 1) / 2**POWER_BITS)).astype(np.int64)
CURVE_BITS = 9


def tanh(z: Array) -> Array:
    """Return tanh of z (`WIDE` fraction bits) with `UNIT` fraction bits: a table and straight lines between."""
    shift = WIDE - TANH_BITS
    size = np.minimum(np.abs(z), (TANH_END << WIDE) - 1)
    place, rest = size >> shift, size & ((1 << shift) - 1)
    y = TANH[place] + (((TANH[place + 1] - TANH[place]) * rest + (1 << (shift - 1))) >> shift)
    y = np.where(np.abs(z) >= TANH_END << WIDE, LARGEST, y)
    return np.where(z < 0, -y, y)


def sigmoid(z: Array) -> Array:
    """Return the sigmoid of z (`WIDE` fraction bits) from 0 to 2^15: (1 + tanh(z / 2)) / 2."""
    y = (tanh(np.abs(z) >> 1) + (1 << UNIT) + 1) >> 1
    return np.asarray(np.where(z < 0, (1 << UNIT) - y, y))


def hard_sigmoid(z: Array) -> Array:
    """Return z / 6 + 1 / 2, limited to 0 and 1, from 0 to 2^15."""
    return np.asarray(np.clip(z + (3 << WIDE), 0, 6 << WIDE) // 12)


@dataclass(eq=False)
class Curve:
    """An activation of integers.

    Args:
        kind: "tanh", "sigmoid" and "hard_sigmoid", which read `WIDE` fraction bits; "linear" and "relu", whose input
            and output have as many; "table" for any other.
        reads: Fraction bits of the input.
        fraction: Fraction bits of the output.
        table: Values at 2^9 + 1 even places over the range of an int16, for "table".
    """

    kind: str
    reads: int
    fraction: int
    table: Array | None = None

    @property
    def largest(self) -> int:
        """The limit of the input."""
        return LARGEST if self.reads != WIDE or self.kind in ("linear", "relu", "table") else LARGEST_32

    @property
    def is_gate(self) -> bool:
        """Whether the output is between 0 and 1, with 1 being 2^15."""
        return self.kind in ("sigmoid", "hard_sigmoid")

    def __call__(self, z: Array, fraction: int) -> Array:
        """Return the activation of z.

        Args:
            z: Integers.
            fraction: Their fraction bits.
        """
        z = rescaled(z, fraction - self.reads, self.largest)
        if self.kind == "table":
            assert self.table is not None
            shift = 16 - CURVE_BITS
            place, rest = (z + 2**15) >> shift, (z + 2**15) & ((1 << shift) - 1)
            low = self.table[place]
            return np.asarray(low + (((self.table[place + 1] - low) * rest + (1 << (shift - 1))) >> shift))
        return _CURVES[self.kind](z)


_CURVES: dict[str, Callable[[Array], Array]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
}


def curve(function: Callable[[Array], Array], name: str, z_peak: float, y_peak: float) -> Curve:
    """Return an activation as integers.

    Args:
        function: The activation of float64 arrays.
        name: Its name.
        z_peak: Largest magnitude of its input.
        y_peak: Largest magnitude of its output.
    """
    if name in ("tanh", "sigmoid", "hard_sigmoid"):
        return Curve(name, WIDE, UNIT)
    fraction = fraction_for(y_peak, UNIT)
    if name in ("linear", "relu"):
        return Curve(name, fraction, fraction)
    reads = fraction_for(z_peak, UNIT)
    places = np.arange(2**CURVE_BITS + 1) * 2 ** (16 - CURVE_BITS) - 2**15
    with np.errstate(over="ignore"):
        return Curve("table", reads, fraction, to_fixed(function(places * 2.0**-reads), fraction))


# Matrices.


class Product(NamedTuple):
    """An int8 matrix times a part of a vector.

    Args:
        weights: (N, C), integers up to 127, C at most `COLUMNS`.
        multipliers: (N,), the value of one unit of a row's sum in the result, times 2^shift of the `Sums`.
        source: The index of the vector.
        start: The first element of its part of the vector.
    """

    weights: Array
    multipliers: Array
    source: int
    start: int


@dataclass(eq=False)
class Sums:
    """Rows of (sum of products + bias) as int32: z[n] = (bias[n] + sum_p m_p[n] sum_c w_p[n, c] v[c]) >> shift.

    Args:
        products: The matrices.
        bias: (N,), with one half of 2^shift in it.
        shift: From 1 to 32.
        limited: Whether z may leave the range of an int32 and is limited to it.
    """

    products: list[Product]
    bias: Array
    shift: int
    limited: bool

    def __call__(self, vectors: Sequence[Array]) -> Array:
        """Return z (..., N) for vectors (..., C)."""
        z = np.broadcast_to(self.bias, (*vectors[0].shape[:-1], len(self.bias)))
        for weights, multipliers, source, start in self.products:
            part = vectors[source][..., start : start + weights.shape[1]]
            # Below 2^53, so float64 holds these sums.
            sums = np.rint(part.astype(np.float64) @ weights.T.astype(np.float64)).astype(np.int64)
            z = z + sums * multipliers
        return saturated(z >> self.shift, LARGEST_32)


def sums(kernels: Sequence[tuple[Array, int]], bias: Array | None, fraction: int) -> Sums:
    """Return matrices as int8 with one scale per output.

    Args:
        kernels: Matrices (C, N) of floats, each with the fraction bits of the vector that it multiplies.
        bias: (N,) or None for zeros.
        fraction: Fraction bits of the result.

    Raises:
        ValueError: If a weight is not finite, or weights are so large that int32 cannot hold the results.
    """
    parts: list[tuple[Array, Array, int, int]] = []
    for source, (kernel, reads) in enumerate(kernels):
        if not np.isfinite(kernel).all():
            raise ValueError("a weight is NaN or infinite")
        for start in range(0, len(kernel), COLUMNS):
            rows = np.asarray(kernel[start : start + COLUMNS], np.float64).T
            scale = np.abs(rows).max(axis=1) / 127
            weights = np.rint(rows / np.where(scale > 0, scale, 1)[:, None]).astype(np.int64)
            parts.append((weights, scale * 2.0 ** (fraction - reads), source, start))
    offset = np.zeros(kernels[0][0].shape[1]) if bias is None else np.asarray(bias, np.float64) * 2.0**fraction
    if not np.isfinite(offset).all():
        raise ValueError("a bias is NaN or infinite")
    for shift in range(32, 0, -1):
        if max(float(scale.max()) for _, scale, _, _ in parts) * 2.0**shift > 2.0**30:
            continue
        products = [Product(w, np.rint(scale * 2.0**shift).astype(np.int64), *place) for w, scale, *place in parts]
        reach = [float(v) for v in np.abs(offset) * 2.0**shift + 2.0 ** (shift - 1)]
        for product in products:
            for row, size in enumerate(np.abs(product.weights).sum(axis=1) * 32768.0 * product.multipliers):
                reach[row] += float(size)
        if max(reach) < 2.0**62:
            whole = np.rint(offset * 2.0**shift).astype(np.int64) + (1 << (shift - 1))
            return Sums(products, whole, shift, max(reach) * 2.0**-shift >= LARGEST_32)
    raise ValueError("weights are so large for the range of its data that 32 bits cannot hold its results")


def packed(products: Sequence[Product]) -> Array:
    """Return the weights of products in the order of C, as int8.

    Rows in groups of `ROWS`, then one by one; of each group the products one after the other. Columns are in groups of
    `QUAD`, filled with zeros, and those of all rows of a group come together: one word for each row. A word holds
    columns 0, 2, 1 and 3, so that an ARM core widens bytes 0 and 2 to columns 0 and 1.
    """
    groups, rest = [], []
    for weights, *_ in products:
        rows, columns = weights.shape
        wide = np.zeros((rows, -(-columns // QUAD), QUAD), np.int8)
        wide.reshape(rows, -1)[:, :columns] = weights
        wide = wide[:, :, [0, 2, 1, 3]]
        together = rows // ROWS * ROWS
        size = wide.shape[1] * QUAD
        by_words = wide[:together].reshape(-1, ROWS, *wide.shape[1:]).transpose(0, 2, 1, 3)
        groups.append(by_words.reshape(together // ROWS, ROWS * size))
        rest.append(wide[together:].reshape(rows - together, size))
    return np.concatenate([np.concatenate(part, axis=1).reshape(-1) for part in (groups, rest)])


def row_constants(sums: Sums) -> Array:
    """Return the constants of each row as int32: the two halves of its bias, low first, then its multipliers."""
    low = (sums.bias & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    columns = [low, sums.bias >> 32, *(product.multipliers for product in sums.products)]
    return np.stack(columns, axis=1).astype(np.int32)
