"""What writers of C share: lines of statements, loops, where values are, and the operations that only move."""

from __future__ import annotations

from typing import ClassVar

from pyrnn.export.c_text import INDENT
from pyrnn.export.program import (
    Copy,
    Fill,
    JoinMasks,
    LoopBegin,
    LoopEnd,
    MakeMask,
    Pool,
    Program,
    Value,
    Window,
)


class Lines:
    """Writes the operations of a program: each by the method `_name` named after its class.

    Args:
        program: The program.

    Attributes:
        unit: The C type of numbers.
        constants: Definitions of weights.
        functions: Definitions of functions, by name, in the order of first use.
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

    # What depends on the type of numbers.

    def constant(self, number: float, value: Value) -> str:
        """Return the C of a constant as a number of a value."""
        raise NotImplementedError

    def move_numbers(self, y: str, x: str, count: int, source: Value, target: Value) -> None:
        """Copy numbers of one value to another."""
        self.copy(y, x, count)

    # Operations.

    def _copy(self, each: Copy) -> None:
        self.move_numbers(self.at(each.y), self.at(each.x), each.x.size, each.x, each.y)

    def _fill(self, each: Fill) -> None:
        self.each_number(each.y.size, f"({self.at(each.y)})[i] = {self.constant(each.number, each.y)};")

    def _window(self, each: Window) -> None:
        y, past, size = self.at(each.y), self.at(each.past), each.past.size
        self.move_numbers(y, past, size, each.past, each.y)
        self.move_numbers(moved(y, size), self.at(each.x), each.x.size, each.x, each.y)
        self.move_numbers(past, moved(y, each.x.size), size, each.y, each.past)

    def _loopbegin(self, each: LoopBegin) -> None:
        loop, size = f"l{each.loop}", each.part.size
        self.loop(loop, each.count)
        self.move_numbers(self.at(each.part), f"{self.at(each.x)} + {loop} * {size}", size, each.x, each.part)

    def _loopend(self, each: LoopEnd) -> None:
        size = each.part.size
        self.move_numbers(f"{self.at(each.y)} + l{each.loop} * {size}", self.at(each.part), size, each.part, each.y)
        self.line("}")

    def _makemask(self, each: MakeMask) -> None:
        number = str(int(each.number)) if each.x.kind == "ids" else self.constant(each.number, each.x)
        self.loop("r", each.y.size)
        self.line(f"({self.at(each.y)})[r] = 0;")
        self.loop("i", each.width)
        self.line(f"if (({self.at(each.x)})[r * {each.width} + i] != {number}) {{")
        self.line(f"({self.at(each.y)})[r] = 1;")
        for _ in range(3):
            self.line("}")

    def _joinmasks(self, each: JoinMasks) -> None:
        flags = " || ".join(f"({self.at(mask)})[i]" for mask in each.masks)
        self.each_number(each.y.size, f"({self.at(each.y)})[i] = {flags};")

    def pool_window(self, each: Pool) -> None:
        """Open the loop over the outputs t of a pool, with the steps from `first` to `end` of each."""
        self.loop("t", each.y.size // each.channels)
        self.line(f"int first = t * {each.stride} - {each.before}, end = first + {each.size};")
        self.line("first = first < 0 ? 0 : first;")
        self.line(f"end = end > {each.steps} ? {each.steps} : end;")


def moved(pointer: str, offset: int) -> str:
    """Return the C of a pointer plus an offset."""
    return f"{pointer} + {offset}" if offset else pointer


def term(index: str, stride: int) -> str:
    """Return the C that adds an index times a stride to a pointer or a place."""
    return f" + {index} * {stride}" if stride >= 0 else f" - {index} * {-stride}"
