"""Quantizes a program: fraction bits for every value, and for each operation a plan with integer weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import fixed_point
from pyrnn.export.calibration import Floats, function
from pyrnn.export.fixed_point import UNIT, WIDE, Curve, Sums, fraction_for
from pyrnn.export.program import (
    ROW_ACTIVATIONS,
    Activation,
    Affine,
    Combine,
    Convolution,
    Copy,
    Lookup,
    Matrix,
    Normalize,
    Operation,
    Pool,
    PoolAll,
    Program,
    Recurrence,
    RowActivation,
    Slope,
    Value,
)

Array = NDArray[Any]

# Numbers may become this much larger than in the calibration data before they saturate.
MARGIN = 1.1
# Fraction bits of a factor next to an int16 number.
FACTOR_BITS = 30
# Fraction bits that a mean has more than its terms, so that sums fit into 64 bits.
MEAN_BITS = 16
# Numbers in a row whose squares fit: (2 * 512 * 32768)^2 * 512 < 2^60.
WIDEST_ROW = 512


class Scaled(NamedTuple):
    """y = (x * factors + offsets) >> shift; the vectors repeat along x."""

    factors: Array
    offsets: Array
    shift: int


class Row(NamedTuple):
    """Constants of a `Normalize`: y = x * factor / sqrt(max(sum of squares + extra, least))."""

    extra: int
    least: int
    factor: int


class Cell(NamedTuple):
    """The plan of a `Recurrence`.

    Args:
        gates: The sums of all gates from x and h, without those in `inner`.
        inner: The sums of a GRU's candidate: from x and from h, separately, with `reset_after`; else from x and r * h.
        activation: Activation of the new values; h has the fraction bits of its output.
        recurrent: Activation of the gates; None for a SimpleRNN.
        state: Fraction bits of an LSTM's c.
    """

    gates: Sums
    inner: tuple[Sums, ...]
    activation: Curve
    recurrent: Curve | None
    state: int


@dataclass(eq=False)
class Quantized:
    """A program in integers.

    Args:
        program: The program.
        fractions: Fraction bits of each value that holds numbers.
        plans: Integer weights and tables, by operation.
    """

    program: Program
    fractions: dict[Value, int]
    plans: dict[Operation, Any]


def quantized(program: Program, data: Sequence[Array]) -> Quantized:
    """Return a program in integers.

    Args:
        program: The program.
        data: Calibration data for each input: (B, T, size) for steps of a stream, else (B, size).

    Raises:
        ValueError: If an operation cannot be done in integers.
    """
    floats = Floats(program, len(data[0]))
    for inputs in steps_of(program, data):
        floats.run(inputs)
    return _Quantizer(program, floats).result


def steps_of(program: Program, data: Sequence[Array]) -> list[list[Array]]:
    """Return the inputs of each call: the steps of a stream, or all at once."""
    moving = [value not in program.steady_inputs for value in program.inputs]
    if not program.stream:
        return [list(data)]
    steps = next(array.shape[1] for array, moves in zip(data, moving, strict=True) if moves)
    return [
        [array[:, step] if moves else array for array, moves in zip(data, moving, strict=True)] for step in range(steps)
    ]


class _Quantizer:
    def __init__(self, program: Program, floats: Floats) -> None:
        self.floats = floats
        values = dict.fromkeys(
            value for each in program.operations for value in (*each.values(each.reads), *each.values(each.writes))
        )
        values |= dict.fromkeys([*program.inputs, *program.outputs])
        self.fractions: dict[Value, int] = {}
        for value in values:
            if value.kind == "number":
                self.fractions[value] = fraction_for(self._peak(value))
        self.plans: dict[Operation, Any] = {}
        for each in program.operations:
            make = getattr(self, f"_{type(each).__name__.lower()}", None)
            if make is not None:
                try:
                    plan = make(each)
                except ValueError as error:
                    raise ValueError(f"{each.layer} cannot be exported with dtype='int8': {error}") from None
                if plan is not None:
                    self.plans[each] = plan
        self.result = Quantized(program, self.fractions, self.plans)

    def _peak(self, value: Value) -> float:
        peak = self.floats.peaks.get(value, 0.0) * MARGIN
        if not math.isfinite(peak):
            raise ValueError("calibration leads to numbers that are infinite")
        return peak

    def _matrix(self, each: Matrix) -> Sums:
        return fixed_point.sums([(each.kernel, self.fractions[each.x])], each.bias, self.fractions[each.y])

    def _convolution(self, each: Convolution) -> list[Sums]:
        size, channels, outputs = each.kernel.shape
        part = outputs // each.groups
        return [
            fixed_point.sums(
                [(each.kernel[..., first : first + part].reshape(size * channels, part), self.fractions[each.x])],
                None if each.bias is None else each.bias[first : first + part],
                self.fractions[each.y],
            )
            for first in range(0, outputs, part)
        ]

    def _recurrence(self, each: Recurrence) -> Cell:
        z, y, gate_z, gate_y = (self.floats.inner[each, key] * MARGIN for key in ("z", "y", "gate z", "gate y"))
        activation = _curve(each.activation, z, y)
        recurrent = None if each.cell == "simple_rnn" else _curve(each.recurrent_activation, gate_z, gate_y)
        if recurrent is not None and recurrent.fraction < 1:
            raise ValueError(f"its gates reach {gate_y:.3g} on the calibration data, and int8 takes at most 16384")
        h = activation.fraction
        self.fractions[each.states[0]] = h
        if each.y is not None:
            self.fractions[each.y] = h
        state = 0
        if each.cell == "lstm":
            state = min(self.fractions[each.states[1]], h)
            self.fractions[each.states[1]] = state
        x = self.fractions[each.x]
        units = each.units
        kernel, recurrent_kernel = each.kernel, each.recurrent_kernel
        if each.cell != "gru":
            gates = fixed_point.sums([(kernel, x), (recurrent_kernel, h)], each.bias, WIDE)
            return Cell(gates, (), activation, recurrent, state)
        bias = np.zeros((2, 3 * units)) if each.bias is None else np.atleast_2d(each.bias)
        first, last = slice(0, 2 * units), slice(2 * units, None)
        together = bias.sum(axis=0) if each.reset_after else bias[0]
        gates = fixed_point.sums([(kernel[:, first], x), (recurrent_kernel[:, first], h)], together[first], WIDE)
        inputs, recurrence = (kernel[:, last], x), (recurrent_kernel[:, last], h)
        if each.reset_after:
            parts = [
                fixed_point.sums([inputs], bias[0][last], WIDE),
                fixed_point.sums([recurrence], bias[1][last], WIDE),
            ]
            return Cell(gates, tuple(parts), activation, recurrent, state)
        return Cell(gates, (fixed_point.sums([inputs, recurrence], bias[0][last], WIDE),), activation, recurrent, state)

    def _activation(self, each: Activation) -> Curve:
        # Also after a state, whose fraction bits changed after the calibration.
        peak = max(self._peak(each.x), 2.0 ** -self.fractions[each.x])
        result = _curve(each.name, peak, self._peak(each.y), each.arguments)
        self.fractions[each.y] = result.fraction
        return result

    def _rowactivation(self, each: RowActivation) -> None:
        if each.name not in ("softmax", "glu"):
            raise ValueError(f"there are no integers for activation {each.name!r}")
        if each.name == "softmax":
            self.fractions[each.y] = UNIT

    def _affine(self, each: Affine) -> Scaled:
        factor = np.ones(1) if each.factor is None else np.asarray(each.factor, np.float64)
        offset = np.zeros(1) if each.offset is None else np.asarray(each.offset, np.float64)
        centre = np.zeros(1) if each.centre is None else np.asarray(each.centre, np.float64)
        period = math.lcm(len(factor), len(offset), len(centre))
        factor, offset, centre = (np.resize(vector, period) for vector in (factor, offset, centre))
        return _scaled(factor, offset - centre * factor, self.fractions[each.x], self.fractions[each.y])

    def _slope(self, each: Slope) -> Scaled:
        slopes = np.asarray(each.slopes, np.float64)
        return _scaled(slopes, np.zeros(len(slopes)), self.fractions[each.x], self.fractions[each.y])

    def _copy(self, each: Copy) -> None:
        self.fractions[each.y] = self.fractions[each.x]

    def _combine(self, each: Combine) -> None:
        if each.kind == "multiply":  # no more bits than the product has
            most = max(fixed_point.FRACTIONS[0], self.fractions[each.x] + self.fractions[each.other])
            self.fractions[each.y] = min(self.fractions[each.y], most)

    def _pool(self, each: Pool | PoolAll) -> None:
        self.fractions[each.y] = min(self.fractions[each.y], self.fractions[each.x] + MEAN_BITS)

    _poolall = _pool

    def _lookup(self, each: Lookup) -> tuple[Array, Scaled]:
        table = np.asarray(each.table, np.float64)
        if not np.isfinite(table).all():
            raise ValueError("a weight is NaN or infinite")
        scale = np.abs(table).max(axis=1) / 127
        rows = np.rint(table / np.where(scale > 0, scale, 1)[:, None]).astype(np.int64)
        return rows, _scaled(scale, np.zeros(len(scale)), 0, self.fractions[each.y])

    def _normalize(self, each: Normalize) -> Row:
        if each.kind == "centred rms":
            raise ValueError("there are no integers for rms_scaling")
        if each.width > WIDEST_ROW:
            raise ValueError(f"it normalizes {each.width} numbers, and int8 takes at most {WIDEST_ROW}")
        unit = (each.width if each.kind == "variance" else 1) * 2.0 ** self.fractions[each.x]
        least, extra = 1, 0
        if each.kind == "norm":
            least = max(1, round((each.epsilon * unit) ** 2))
        else:
            extra = round(each.width * each.epsilon * unit**2)
        if max(least, extra) >= 2**59:
            raise ValueError(f"its epsilon, {each.epsilon}, is too large for the range of its data")
        root = 1.0 if each.kind == "norm" else math.sqrt(each.width)
        return Row(extra, least, max(1, round(root * 2.0 ** self.fractions[each.y])))


def _curve(name: str, z_peak: float, y_peak: float, arguments: Sequence[float] = ()) -> Curve:
    if name in ROW_ACTIVATIONS:
        raise ValueError(f"there are no integers for activation {name!r} within a cell")
    if not (math.isfinite(z_peak) and math.isfinite(y_peak)):
        raise ValueError("calibration leads to numbers that are infinite")
    return fixed_point.curve(function(name, arguments), name, z_peak, y_peak)


def _scaled(factors: Array, offsets: Array, reads: int, fraction: int) -> Scaled:
    """x * factors + offsets for x with `reads` fraction bits."""
    if not (np.isfinite(factors).all() and np.isfinite(offsets).all()):
        raise ValueError("a weight is NaN or infinite")
    steps = np.abs(factors) * 2.0 ** (fraction - reads)
    places = np.abs(offsets) * 2.0**fraction
    for shift in range(FACTOR_BITS, 0, -1):
        if steps.max() * 2.0**shift <= 2.0**44 and places.max() * 2.0**shift <= 2.0**60:
            return Scaled(
                np.rint(factors * 2.0 ** (fraction - reads + shift)).astype(np.int64),
                np.rint(offsets * 2.0 ** (fraction + shift)).astype(np.int64) + (1 << (shift - 1)),
                shift,
            )
    raise ValueError("a weight is too large for the range of its data")
