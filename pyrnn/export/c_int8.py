"""The operations of a quantized program as C in integers: what `integers` computes, with the same bits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export.c_integers import IntegerLines
from pyrnn.export.c_lines import term
from pyrnn.export.fixed_point import LARGEST, LARGEST_32, UNIT, WIDE, Curve, Sums
from pyrnn.export.integers import LOG2_BITS
from pyrnn.export.program import (
    Activation,
    Affine,
    Combine,
    Convolution,
    Lookup,
    Matrix,
    Move,
    Normalize,
    Pool,
    PoolAll,
    Recurrence,
    RowActivation,
    Select,
    Slope,
)
from pyrnn.export.quantize import Cell, Quantized, Scaled

Array = NDArray[Any]


class IntegerWriter(IntegerLines):
    """Writes the operations of a quantized program."""

    def _rows(self, sums: Sums, vector: str, y: str) -> None:
        """y = the sums, as int16."""
        self.line("{")
        self.line(f"int32_t z[{len(sums.bias)}];")
        self._stack(len(sums.bias))
        self.sums(sums, [vector], "z")
        self.each_number(len(sums.bias), f"({y})[i] = (int16_t){self.limited('z[i]', LARGEST_32)};")
        self.line("}")

    def _stack(self, integers: int) -> None:
        self.stack_bytes = max(self.stack_bytes, 4 * integers)

    def _matrix(self, each: Matrix) -> None:
        x, y = self.at(each.x), self.at(each.y)
        inputs, outputs = each.kernel.shape
        self.loop("r", each.rows)
        self._rows(self.plan(each), f"{x} + r * {inputs}", f"{y} + r * {outputs}")
        self.line("}")

    def _convolution(self, each: Convolution) -> None:
        size, channels, outputs = each.kernel.shape
        wide, part = channels * each.groups, outputs // each.groups
        self.loop("t", each.y.size // outputs)
        for group, sums in enumerate(self.plan(each)):
            x = f"{self.at(each.x)} + t * {each.stride * wide} + {group * channels}"
            self.line("{")
            self.line(f"int16_t part[{size * channels}];")
            self.loop("k", size)
            self.copy(f"part + k * {channels}", f"{x} + k * {each.dilation * wide}", channels)
            self.line("}")
            self._rows(sums, "part", f"{self.at(each.y)} + t * {outputs} + {group * part}")
            self.line("}")
        self.line("}")

    # Recurrent layers.

    def _recurrence(self, each: Recurrence) -> None:
        units, h = each.units, self.at(each.states[0])
        if not each.keeps:
            for place, state in enumerate(each.states):
                if each.initial is None:
                    self.zero(self.at(state), units)
                else:
                    self.move_numbers(self.at(state), self.at(each.initial[place]), units, each.initial[place], state)
        t = f"({each.steps - 1} - t)" if each.reverse else "t"
        self.loop("t", each.steps)
        if each.mask is not None:
            self.line(f"if ({self.at(each.mask)}[{t}]) {{")
        getattr(self, f"_{each.cell}")(each, self.plan(each), f"{self.at(each.x)} + {t} * {each.features}", h)
        if each.mask is not None:
            self.line("}")
        if each.y is not None:
            y = self.at(each.y) + ("" if each.last_only else f" + t * {units}")
            self.move_numbers(y, h, units, each.states[0], each.y)
            if each.zero_output and each.mask is not None:
                self.line(f"if (!{self.at(each.mask)}[{t}]) {{")
                self.zero(y, units)
                self.line("}")
        self.line("}")

    def _simple_rnn(self, each: Recurrence, plan: Cell, x: str, h: str) -> None:
        self.line(f"int32_t z[{each.units}];")
        self._stack(each.units)
        self.sums(plan.gates, [x, h], "z")
        new = self.limited(self.curve(plan.activation, "z[i]", LARGEST_32, WIDE), 2**15)
        self.each_number(each.units, f"({h})[i] = (int16_t){new};")

    def _lstm(self, each: Recurrence, plan: Cell, x: str, h: str) -> None:
        units, state, recurrent = each.units, f"({self.at(each.states[1])})[i]", plan.recurrent
        assert recurrent is not None
        self.line(f"int32_t z[{4 * units}];")
        self._stack(4 * units)
        self.sums(plan.gates, [x, h], "z")
        kind, bound = ("int32_t", LARGEST_32) if recurrent.is_gate else ("int64_t", 2**32)
        self.loop("i", units)
        for place, gate in ((0, "i_gate"), (1, "f_gate"), (3, "o_gate")):
            self.line(f"const {kind} {gate} = {self.curve(recurrent, f'z[i + {place * units}]', LARGEST_32, WIDE)};")
        self.line(f"const int32_t g = {self.curve(plan.activation, f'z[i + {2 * units}]', LARGEST_32, WIDE)};")
        product, by = "i_gate * g", plan.activation.fraction - plan.state
        if by:
            product = f"{self.use('down32' if recurrent.is_gate else 'down64')}({product}, {by})"
        # Both terms are at most 2^15 (2^15 - 1), so that their sum and the half for rounding fit.
        new = f"f_gate * {state} + {product}"
        half = 1 << (recurrent.fraction - 1)
        new = self.limited(new, bound - (half if recurrent.is_gate else 0), recurrent.fraction)
        self.line(f"{state} = (int16_t){new};")
        y = self.curve(plan.activation, state, LARGEST, plan.state)
        self.line(f"({h})[i] = (int16_t){self.limited(f'o_gate * {y}', 2**30, recurrent.fraction)};")
        self.line("}")

    def _gru(self, each: Recurrence, plan: Cell, x: str, h: str) -> None:
        units, recurrent = each.units, plan.recurrent
        assert recurrent is not None
        bits = recurrent.fraction
        self.line(f"int32_t z[{2 * units}], wide[{units}];")
        self._stack((3 + each.reset_after) * units)
        self.sums(plan.gates, [x, h], "z")
        kind = "int32_t" if recurrent.is_gate else "int64_t"
        r = self.curve(recurrent, f"z[i + {units}]", LARGEST_32, WIDE)
        if each.reset_after:
            self.line(f"int32_t of_h[{units}];")
            self.sums(plan.inner[0], [x], "wide")
            self.sums(plan.inner[1], [h], "of_h")
            product = f"{self.use('down64')}((int64_t){r} * of_h[i], {bits})"
            text = f"{self.use('limit64')}(wide[i] + {product}, {LARGEST_32})"
            self.each_number(units, f"wide[i] = {text};")
        else:
            self.line(f"int16_t reset[{units}];")
            text = self.limited(f"{r} * ({h})[i]", 2**30, bits)
            self.each_number(units, f"reset[i] = (int16_t){text};")
            self.sums(plan.inner[0], [x, "reset"], "wide")
        self.loop("i", units)
        self.line(f"const {kind} z_gate = {self.curve(recurrent, 'z[i]', LARGEST_32, WIDE)};")
        self.line(f"const int32_t g = {self.curve(plan.activation, 'wide[i]', LARGEST_32, WIDE)};")
        # With a gate from 0 to 1 this is between h and g, scaled by 2^15.
        new = self.limited(
            f"z_gate * ({h})[i] + ({1 << bits} - z_gate) * g", 2**30 if recurrent.is_gate else 2**33, bits
        )
        self.line(f"({h})[i] = (int16_t){new};")
        self.line("}")

    # Number by number.

    def _activation(self, each: Activation) -> None:
        text = self.curve(self.plan(each), f"({self.at(each.x)})[i]", LARGEST, self.fraction(each.x))
        self.each_number(each.x.size, f"({self.at(each.y)})[i] = (int16_t){self.limited(text, 2**15)};")

    def _rowactivation(self, each: RowActivation) -> None:
        rows = each.x.size // each.width
        x, y = self.at(each.x), self.at(each.y)
        self.loop("r", rows)
        if each.name == "softmax":
            by = LOG2_BITS - WIDE + self.fraction(each.x)
            self.use("softmax_fixed")
            width = each.width
            self.line(f"softmax_fixed({x} + r * {width}, {y} + r * {width}, {width}, {max(by, 0)}, {max(-by, 0)});")
        else:
            half, fraction = each.width // 2, self.fraction(each.x)
            gate = self.curve(Curve("sigmoid", WIDE, UNIT), f"({x})[r * {each.width} + {half} + i]", LARGEST, fraction)
            by = UNIT + fraction - self.fraction(each.y)
            text = self.limited(f"({x})[r * {each.width} + i] * {gate}", 2**30, by)
            self.each_number(half, f"({y})[r * {half} + i] = (int16_t){text};")
        self.line("}")

    def _turn(self, values: Array, dtype: Any) -> str:
        """The C of element i of a vector that repeats."""
        if len(values) == 1:
            return f"INT64_C({int(values[0])})"
        return f"{self.integers(values, dtype)}[i % {len(values)}]"

    def _scaled(self, plan: Scaled, x: str) -> str:
        factors, offsets = self._turn(plan.factors, np.int64), self._turn(plan.offsets, np.int64)
        text = f"{self.use('right64')}({x} * {factors} + {offsets}, {plan.shift})"
        return f"{self.use('limit64')}({text}, {LARGEST})"

    def _affine(self, each: Affine) -> None:
        text = self._scaled(self.plan(each), f"({self.at(each.x)})[i]")
        self.each_number(each.x.size, f"({self.at(each.y)})[i] = (int16_t){text};")

    def _slope(self, each: Slope) -> None:
        x = f"({self.at(each.x)})[i]"
        above, below = self.converted(x, each.x, each.y), self._scaled(self.plan(each), x)
        self.each_number(each.x.size, f"({self.at(each.y)})[i] = (int16_t)({x} > 0 ? {above} : {below});")

    def _normalize(self, each: Normalize) -> None:
        plan, width = self.plan(each), each.width
        self.use("normalize")
        self.loop("r", each.x.size // width)
        self.line(
            f"normalize({self.at(each.x)} + r * {width}, {self.at(each.y)} + r * {width}, {width}, "
            f"{int(each.kind == 'variance')}, INT64_C({plan.extra}), INT64_C({plan.least}), INT64_C({plan.factor}));"
        )
        self.line("}")

    def _combine(self, each: Combine) -> None:
        x, other = f"({self.at(each.x)})[i]", f"({self.at(each.other)})[i]"
        fx, fo, fy = (self.fraction(value) for value in (each.x, each.other, each.y))
        common = max(fx, fo)
        if each.kind == "multiply":
            text, bound, by = f"{x} * {other}", 2**30, fx + fo - fy
        else:
            x, other = (
                f"(int64_t){text} * INT64_C({1 << (common - fraction)})" if common > fraction else f"(int64_t){text}"
                for text, fraction in ((x, fx), (other, fo))
            )
            symbol = {"add": "+", "subtract": "-", "maximum": ">", "minimum": "<"}[each.kind]
            text = f"{x} {symbol} {other}"
            if symbol in "<>":
                text = f"({text} ? {x} : {other})"
            # Wider than any int32, so that it is limited as an int64.
            bound, by = 2 ** (17 + common - min(fx, fo)) + 2**32, common - fy
        self.each_number(each.y.size, f"({self.at(each.y)})[i] = (int16_t){self.limited(text, bound, by)};")

    # Movement.

    def _move(self, each: Move) -> None:
        x, y = f"({self.at(each.x)})[{each.start}", f"({self.at(each.y)})[{each.to}"
        axes = list(zip(each.shape, each.strides, each.to_strides, strict=True))
        for place, (count, stride, to_stride) in enumerate(axes):
            self.loop(f"i{place}", count)
            x += term(f"i{place}", stride)
            y += term(f"i{place}", to_stride)
        self.line(f"{y}] = (int16_t){self.converted(f'{x}]', each.x, each.y)};")
        for _ in axes:
            self.line("}")

    def _select(self, each: Select) -> None:
        self.loop("r", each.mask.size)
        place = f"r * {each.width} + i"
        other = self.constant(each.number, each.y)
        if each.other is not None:
            other = self.converted(f"({self.at(each.other)})[{place}]", each.other, each.y)
        x = self.converted(f"({self.at(each.x)})[{place}]", each.x, each.y)
        text = f"({self.at(each.mask)})[r] ? {x} : {other}"
        self.each_number(each.width, f"({self.at(each.y)})[{place}] = (int16_t)({text});")
        self.line("}")

    def _lookup(self, each: Lookup) -> None:
        table, plan = self.plan(each)
        count, width = table.shape
        x = f"({self.at(each.x)})[r]"
        self.loop("r", each.x.size)
        self.line(f"const int id = {x} < 0 || {x} >= {count} ? 0 : {x};")
        factor = f"{self.integers(plan.factors, np.int64)}[id]"
        offset = f"INT64_C({1 << (plan.shift - 1)})"
        row = f"{self.integers(table, np.int8)}[id * {width} + i]"
        text = f"{self.use('limit64')}({self.use('right64')}({row} * {factor} + {offset}, {plan.shift}), {LARGEST})"
        self.each_number(width, f"({self.at(each.y)})[r * {width} + i] = (int16_t){text};")
        self.line("}")

    # Pooling.

    def _mean(self, total: str, count: str, each: Any) -> str:
        by = self.fraction(each.y) - self.fraction(each.x)
        text = f"{self.use('mean_fixed')}({total}, {count}, {max(by, 0)})"
        return self.limited(text, 2**40, max(-by, 0))

    def _pool(self, each: Pool) -> None:
        channels, x = each.channels, f"({self.at(each.x)})"
        y = f"({self.at(each.y)})[t * {channels} + i]"
        self.pool_window(each)
        self._pooled(each.kind, channels, x, y, each)
        self.line("}")

    def _poolall(self, each: PoolAll) -> None:
        steps = each.x.size // each.channels
        self.line("{")
        self.line(f"const int first = 0, end = {steps};")
        mask = "" if each.mask is None else f"({self.at(each.mask)})[k]"
        self._pooled(each.kind, each.channels, f"({self.at(each.x)})", f"({self.at(each.y)})[i]", each, mask)
        self.line("}")

    def _pooled(self, kind: str, channels: int, x: str, y: str, each: Any, mask: str = "") -> None:
        """Largest number or mean of the steps from `first` to `end`, channel by channel."""
        step = f"{x}[k * {channels} + i]"
        self.loop("i", channels)
        if kind == "max":
            self.line(f"int32_t top = -{LARGEST + 1};")
            self.line("for (int k = first; k < end; ++k) {")
            self.line(f"top = {step} > top ? {step} : top;")
            self.line("}")
            self.line(f"{y} = (int16_t){self.converted('top', each.x, each.y)};")
        else:
            self.line("int64_t total = 0, count = 0;")
            self.line("for (int k = first; k < end; ++k) {")
            if mask:
                self.line(f"if ({mask}) {{")
            self.line(f"total += {step};")
            self.line("++count;")
            if mask:
                self.line("}")
            self.line("}")
            self.line(f"{y} = (int16_t){self._mean('total', 'count', each)};")
        self.line("}")


def fraction_macros(name: str, quantized: Quantized) -> list[str]:
    """Return the macros of the header for the fraction bits of inputs and outputs."""
    values = itertools.chain(quantized.program.inputs, quantized.program.outputs)
    return [
        f"#define {name.upper()}_{value.name.upper()}_FRACTION {quantized.fractions[value]}"
        f" /* {value.name} holds numbers times 2^{quantized.fractions[value]} */"
        for value in values
        if value.kind == "number"
    ]
