"""Runs a quantized program in NumPy, with the bits of the C that `c_int8` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import fixed_point
from pyrnn.export.fixed_point import LARGEST_32, POWER, POWER_BITS, UNIT, WIDE, Curve, rescaled, saturated
from pyrnn.export.machine import Machine
from pyrnn.export.program import (
    Activation,
    Affine,
    Combine,
    Convolution,
    Lookup,
    Matrix,
    Normalize,
    Recurrence,
    RowActivation,
    Slope,
    Value,
)
from pyrnn.export.quantize import Cell, Quantized, Scaled

Array = NDArray[Any]

# log2(e) of softmax.
LOG2_BITS = 28
LOG2_E = round(np.log2(np.e) * 2**LOG2_BITS)


class Integers(Machine):
    """A quantized program on arrays of integers.

    Args:
        quantized: The program.
        rows: How many samples run side by side.
    """

    dtype = np.int64

    def __init__(self, quantized: Quantized, rows: int) -> None:
        super().__init__(quantized.program, rows)
        self.fractions, self.plans = quantized.fractions, quantized.plans

    def convert(self, array: Array, x: Value, y: Value) -> Array:
        if x.kind != "number":
            return array
        return rescaled(array, self.fractions[x] - self.fractions[y])

    def constant(self, number: float, y: Value) -> Any:
        return int(fixed_point.to_fixed(number, self.fractions[y]))

    def mean(self, total: Array, count: Array, x: Value, y: Value) -> Array:
        by = self.fractions[y] - self.fractions[x]
        count = np.maximum(count, 1)
        quotient = (2 * (total << max(by, 0)) + count) // (2 * count)
        return rescaled(quotient, max(-by, 0))

    def _matrix(self, each: Matrix) -> None:
        x = self.load(each.x).reshape(self.rows, each.rows, -1)
        self.store(each.y, saturated(self.plans[each]([x])))

    def _convolution(self, each: Convolution) -> None:
        size, channels, outputs = each.kernel.shape
        x = self.load(each.x).reshape(self.rows, each.steps, each.groups, channels)
        steps = each.y.size // outputs
        taps = np.arange(steps)[:, None] * each.stride + np.arange(size) * each.dilation
        parts = [
            sums([x[:, taps, group].reshape(self.rows, steps, size * channels)])
            for group, sums in enumerate(self.plans[each])
        ]
        self.store(each.y, saturated(np.concatenate(parts, axis=2)))

    def cell(self, each: Recurrence, x: Array, states: Sequence[Array]) -> list[Array]:
        plan: Cell = self.plans[each]
        return list(getattr(self, f"_{each.cell}")(plan, x, *states))

    @staticmethod
    def _simple_rnn(plan: Cell, x: Array, h: Array) -> tuple[Array, ...]:
        return (saturated(plan.activation(plan.gates([x, h]), WIDE)),)

    @staticmethod
    def _lstm(plan: Cell, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
        zi, zf, zg, zo = np.split(plan.gates([x, h]), 4, axis=1)
        assert plan.recurrent is not None
        activation, bits = plan.activation, plan.recurrent.fraction
        i, f, o = (plan.recurrent(z, WIDE) for z in (zi, zf, zo))
        g = activation(zg, WIDE)
        new = rescaled(f * c + _shifted(i * g, activation.fraction - plan.state), bits)
        return rescaled(o * activation(new, plan.state), bits), new

    @staticmethod
    def _gru(plan: Cell, x: Array, h: Array) -> tuple[Array, ...]:
        zz, zr = np.split(plan.gates([x, h]), 2, axis=1)
        assert plan.recurrent is not None
        z, r = (plan.recurrent(each, WIDE) for each in (zz, zr))
        bits = plan.recurrent.fraction
        if len(plan.inner) == 2:
            of_x, of_h = plan.inner[0]([x]), plan.inner[1]([h])
            wide = saturated(of_x + _shifted(r * of_h, bits), LARGEST_32)
        else:
            wide = plan.inner[0]([x, rescaled(r * h, bits)])
        g = plan.activation(wide, WIDE)
        return (rescaled(z * h + ((1 << bits) - z) * g, bits),)

    def _activation(self, each: Activation) -> None:
        self.store(each.y, saturated(self.plans[each](self.load(each.x), self.fractions[each.x])))

    def _rowactivation(self, each: RowActivation) -> None:
        x = self.load(each.x).reshape(self.rows, -1, each.width)
        fraction = self.fractions[each.x]
        if each.name == "glu":
            half = each.width // 2
            gate = Curve("sigmoid", WIDE, UNIT)(x[..., half:], fraction)
            self.store(each.y, rescaled(x[..., :half] * gate, UNIT + fraction - self.fractions[each.y]))
            return
        below = (x.max(axis=2, keepdims=True) - x) * LOG2_E
        by = LOG2_BITS - WIDE + fraction
        t = below >> by if by > 0 else below << -by
        place, rest = (t & 0xFFFF) >> (WIDE - POWER_BITS), t & ((1 << (WIDE - POWER_BITS)) - 1)
        power = POWER[place] - (((POWER[place] - POWER[place + 1]) * rest) >> (WIDE - POWER_BITS))
        power >>= np.minimum(t >> WIDE, 31)
        total = power.sum(axis=2, keepdims=True)
        self.store(each.y, saturated(((power << UNIT) + (total >> 1)) // total))

    def _affine(self, each: Affine) -> None:
        plan: Scaled = self.plans[each]
        x = self.load(each.x)
        factors, offsets = (np.resize(vector, x.shape[1]) for vector in plan[:2])
        self.store(each.y, saturated((x * factors + offsets) >> plan.shift))

    def _slope(self, each: Slope) -> None:
        plan: Scaled = self.plans[each]
        x = self.load(each.x)
        factors, offsets = (np.resize(vector, x.shape[1]) for vector in plan[:2])
        below = saturated((x * factors + offsets) >> plan.shift)
        self.store(each.y, np.where(x > 0, rescaled(x, self.fractions[each.x] - self.fractions[each.y]), below))

    def _normalize(self, each: Normalize) -> None:
        plan = self.plans[each]
        x = self.load(each.x).reshape(self.rows, -1, each.width)
        if each.kind == "variance":
            x = x * each.width - x.sum(axis=2, keepdims=True)
        square = np.maximum((x * x).sum(axis=2, keepdims=True) + plan.extra, plan.least)
        up = np.zeros_like(square)
        for _ in range(30):
            small = square < 1 << 58
            square, up = np.where(small, square << 2, square), up + small
        root = _root(square)
        quotient = (2 * (x << up) * plan.factor + root) // (2 * root)
        self.store(each.y, saturated(quotient))

    def _combine(self, each: Combine) -> None:
        x, other = self.load(each.x), self.load(each.other)
        fx, fo, fy = (self.fractions[value] for value in (each.x, each.other, each.y))
        if each.kind == "multiply":
            self.store(each.y, rescaled(x * other, fx + fo - fy))
            return
        common = max(fx, fo)
        x, other = x << (common - fx), other << (common - fo)
        self.store(each.y, rescaled(getattr(np, each.kind)(x, other), common - fy))

    def _lookup(self, each: Lookup) -> None:
        table, plan = self.plans[each]
        ids = self.load(each.x).astype(int)
        ids = np.where((ids < 0) | (ids >= len(table)), 0, ids)
        wide = table[ids] * plan.factors[ids][..., None] + plan.offsets[ids][..., None]
        self.store(each.y, saturated(wide >> plan.shift))


def _shifted(v: Array, by: int) -> Array:
    """v * 2^-by, rounded to the nearest number, halves up; by is not negative."""
    return (v + (1 << (by - 1))) >> by if by else v


def _root(square: Array) -> Array:
    """The root of integers below 2^60, rounded down."""
    root = np.sqrt(square.astype(np.float64)).astype(np.int64)
    root = np.where(root * root > square, root - 1, root)
    return np.where((root + 1) * (root + 1) <= square, root + 1, root)
