"""Integers as C: constants, limits, activations and sums of products. `fixed_point` has the same in NumPy.

Nothing depends on the platform: no shift of a negative number, no sum that overflows. An ARM core with SMLAD takes two
products at once; the sums are exact, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import c_fixed_point as c
from pyrnn.export import fixed_point
from pyrnn.export.c_lines import Lines
from pyrnn.export.c_text import array
from pyrnn.export.fixed_point import LARGEST, LARGEST_32, QUAD, ROWS, Curve, Sums
from pyrnn.export.program import Value
from pyrnn.export.quantize import Quantized

Array = NDArray[Any]


class IntegerLines(Lines):
    """Writes numbers, limits, activations and sums of integers; `c_int8` writes operations with them.

    Args:
        quantized: The program; its values have their places.

    Attributes:
        constant_bytes: Bytes of all constants.
        stack_bytes: Bytes of the largest arrays that an operation has on the stack.
    """

    unit: ClassVar[str] = "int16_t"

    def __init__(self, quantized: Quantized) -> None:
        super().__init__(quantized.program)
        self.quantized = quantized
        self.constant_bytes = self.stack_bytes = 0
        self._sums = 0

    def use(self, name: str) -> str:
        """Define a function of `c_fixed_point` at its first use; returns its name."""
        if name not in self.functions:
            text, called, tables = c.FUNCTIONS[name]
            for each in called:
                self.use(each)
            for table, values in tables:
                self.integers(values, np.int16 if values.max() < 2**15 else np.int32, table)
            self.functions[name] = text
        return name

    def integers(self, values: Array, dtype: Any, name: str | None = None) -> str:
        """Return the name of a constant array; equal ones are stored once."""
        values = np.ascontiguousarray(values, dtype).reshape(-1)
        key = str(values.dtype).encode() + values.tobytes()
        if key not in self._names:
            self._names[key] = name = name or f"k{len(self._names)}"
            aligned = " ALIGNED_4" if values.dtype == np.int8 else ""
            kind = f"static const {values.dtype}_t {name}[{values.size}]{aligned}"
            texts = [c.literal(int(each), values.dtype) for each in values]
            self.constants.append(array(kind, texts))
            self.constant_bytes += values.nbytes
        return self._names[key]

    def fraction(self, value: Value) -> int:
        """Return the fraction bits of a value."""
        return self.quantized.fractions[value]

    def plan(self, each: Any) -> Any:
        """Return the plan of an operation."""
        return self.quantized.plans[each]

    def limited(self, text: str, bound: int, by: int = 0, largest: int = LARGEST) -> str:
        """Return the C of `fixed_point.rescaled` as an int32.

        Args:
            text: An integer, of 64 bits where its bound needs them.
            bound: Its largest magnitude.
            by: The bits that it loses.
            largest: The limit of the result.
        """
        if by > 0:
            wide = bound + (1 << (by - 1)) > LARGEST_32
            text = f"{self.use('down64' if wide else 'down32')}({text}, {by})"
            bound = (bound + (1 << (by - 1))) >> by
        else:
            bound <<= -by
            wide = bound > LARGEST_32
            if by < 0:
                text = f"((int64_t)({text}) * INT64_C({1 << -by}))" if wide else f"(({text}) * {1 << -by})"
        if bound >= 2**63:
            raise AssertionError(f"{text} may overflow")
        if bound > largest:
            return f"{self.use('limit64' if wide else 'limit32')}({text}, {largest})"
        return f"(int32_t)({text})" if wide else f"({text})"

    def constant(self, number: float, value: Value) -> str:
        return str(int(fixed_point.to_fixed(number, self.fraction(value))))

    def converted(self, text: str, x: Value, y: Value) -> str:
        """Return the C of a number of x as one of y."""
        return self.limited(text, LARGEST, self.fraction(x) - self.fraction(y))

    def move_numbers(self, y: str, x: str, count: int, source: Value, target: Value) -> None:
        if self.fraction(source) == self.fraction(target):
            self.copy(y, x, count)
        else:
            self.each_number(count, f"({y})[i] = (int16_t){self.converted(f'({x})[i]', source, target)};")

    def curve(self, curve: Curve, text: str, bound: int, fraction: int) -> str:
        """Return the C of an activation of an integer, as an int32."""
        text = self.limited(text, bound, fraction - curve.reads, curve.largest)
        if curve.kind == "linear":
            return text
        if curve.kind == "table":
            assert curve.table is not None
            return f"{self.use('curve')}({self.integers(curve.table, np.int16)}, {text})"
        return f"{self.use(f'{curve.kind}_fixed')}({text})"

    # Matrices.

    def sums(self, sums: Sums, vectors: Sequence[str], z: str) -> None:
        """z = the sums; a vector whose length is no multiple of `QUAD` is copied to an array that is."""
        self._sums += 1
        name, places = f"sums{self._sums}", []
        lengths = [0] * len(vectors)
        for product in sums.products:
            lengths[product.source] = max(lengths[product.source], product.start + product.weights.shape[1])
        for number, (vector, length) in enumerate(zip(vectors, lengths, strict=True)):
            if length % QUAD:
                local = f"v{self._sums}_{number}"
                self.line(f"int16_t {local}[{-(-length // QUAD) * QUAD}] = {{0}};")
                self.line(f"memcpy({local}, {vector}, {length} * sizeof(int16_t));")
                vector = local
            places.append(vector)
        self.functions[name] = self._sums_text(name, sums, len(vectors))
        self.line(f"{name}({', '.join(places)}, {z});")

    def _sums_text(self, name: str, sums: Sums, vectors: int) -> str:
        groups, rest = divmod(len(sums.bias), ROWS)
        weights = self.integers(fixed_point.packed(sums.products), np.int8)
        constants = self.integers(fixed_point.row_constants(sums), np.int32)
        quads = [-(-product.weights.shape[1] // QUAD) for product in sums.products]
        starts = [f"v{each.source}{f' + {each.start}' if each.start else ''}" for each in sums.products]
        width = 2 + len(quads)
        lines = [
            f"APART static void {name}({', '.join(f'const int16_t *v{n}' for n in range(vectors))}, int32_t *z) {{",
            f"    const int8_t *w = {weights};",
            f"    const int32_t *k = {constants};",
        ]

        def result(row: int, sums_of: list[str]) -> str:
            terms = [f"(int64_t){text} * k[{row * width + 2 + n}]" for n, text in enumerate(sums_of)]
            bias = f"{self.use('wide')}(k{f' + {row * width}' if row else ''})"
            total = f"{self.use('right64')}({bias} + {' + '.join(terms)}, {sums.shift})"
            return f"{self.use('limit64')}({total}, {LARGEST_32})" if sums.limited else f"(int32_t){total}"

        def calls(function: str, rows: int, *after: str) -> list[str]:
            place, texts = 0, []
            for n, (count, start) in enumerate(zip(quads, starts, strict=True)):
                ends = [each.format(n=n) for each in after]
                texts.append(f"{function}({', '.join([f'w + {place}' if place else 'w', start, str(count), *ends])})")
                place += rows * count * QUAD
            return texts

        def advance(rows: int) -> list[str]:
            step = rows * QUAD * sum(quads)
            return [f"        w += {step};", f"        k += {rows * width};", f"        z += {rows};", "    }"]

        if groups:
            self.use("rows4")
            lines.append(f"    for (int g = 0; g < {groups}; ++g) {{")
            lines.append(f"        int32_t {', '.join(f'a{n}[{ROWS}]' for n in range(len(quads)))};")
            lines += [f"        {text};" for text in calls("rows4", ROWS, "a{n}")]
            for row in range(ROWS):
                lines.append(f"        z[{row}] = {result(row, [f'a{n}[{row}]' for n in range(len(quads))])};")
            lines += advance(ROWS)
        if rest:
            self.use("row1")
            lines.append(f"    for (int r = 0; r < {rest}; ++r) {{")
            lines.append(f"        z[0] = {result(0, calls('row1', 1))};")
            lines += advance(1)
        return "\n".join([*lines, "}", ""])
