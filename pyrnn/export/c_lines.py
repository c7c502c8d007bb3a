"""What writers of C share: lines of statements, loops, and where values are."""

from __future__ import annotations

from typing import ClassVar

from pyrnn.export.c_text import INDENT
from pyrnn.export.program import Program, Value


class Lines:
    """Writes the operations of a program: each by the method `_name` that is called like its class.

    Args:
        program: the program.

    Attributes:
        unit: the C type of numbers.
        constants: definitions of weights. functions: definitions of functions, by name, in the order of first use.
    """

    unit: ClassVar[str] = "float"

    def __init__(self, program: Program) -> None:
        self.program = program
        self.constants: list[str] = []
        self.functions: dict[str, str] = {}
        self._names: dict[bytes, str] = {}
        self._lines: list[str] = []
        self._depth = 1

    def at(self, value: Value) -> str:
        """Return the C expression of a value's first number."""
        if value.role in ("input", "output"):
            return value.name
        memory = {"state": "s->state", "buffer": "s->work" if value.kind == "number" else "s->masks"}[value.role]
        return f"({memory} + {value.offset})" if value.offset else memory

    def body(self) -> str:
        """Return the statements of all operations."""
        for each in self.program.operations:
            getattr(self, f"_{type(each).__name__.lower()}")(each)
        return "".join(f"{line}\n" for line in self._lines)

    def line(self, text: str) -> None:
        """Append a line; what it opens and closes moves those after it."""
        if text.startswith("}"):
            self._depth -= 1
        self._lines.append(INDENT * self._depth + text)
        if text.endswith("{"):
            self._depth += 1

    def loop(self, variable: str, count: int | str) -> None:
        """Open a loop from 0 up to a count."""
        self.line(f"for (int {variable} = 0; {variable} < {count}; ++{variable}) {{")

    def each_number(self, count: int, text: str) -> None:
        """Run a statement for i from 0 up to a count."""
        self.loop("i", count)
        self.line(text)
        self.line("}")

    def copy(self, y: str, x: str, count: int | str) -> None:
        """Copy numbers."""
        if x != y:
            self.line(f"memcpy({y}, {x}, {count} * sizeof({self.unit}));")

    def zero(self, y: str, count: int) -> None:
        """Set numbers to 0; GCC takes a memset of half an array for an error."""
        self.each_number(count, f"({y})[i] = 0;")
