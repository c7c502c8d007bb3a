"""Runs a `Program` on arrays of many samples: what moves numbers and masks; subclasses compute.

`calibration` computes in float64, `integers` in integers with the bits of C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export.program import (
    Copy,
    Fill,
    JoinMasks,
    LoopBegin,
    LoopEnd,
    MakeMask,
    Move,
    Operation,
    Pool,
    PoolAll,
    Program,
    Recurrence,
    Select,
    Value,
    Window,
)

Array = NDArray[Any]


class Machine:
    """Memory and the operations that only move.

    Args:
        program: The program.
        rows: How many samples run side by side.

    Attributes:
        memory: The numbers (rows, size) of each value.
    """

    dtype: type = np.float64

    def __init__(self, program: Program, rows: int) -> None:
        self.program, self.rows = program, rows
        self.memory: dict[Value, Array] = {}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run one time step of a stream, or whole sequences.

        Args:
            inputs: Arrays (rows, size), one for each input.

        Returns:
            Arrays (rows, size), one for each output.
        """
        for value, array in zip(self.program.inputs, inputs, strict=True):
            self.store(value, array)
        self._block(self.program.operations)
        return [self.memory[value] for value in self.program.outputs]

    def load(self, value: Value) -> Array:
        """Return the numbers of a value; zeros before anything was stored."""
        if value not in self.memory:
            self.memory[value] = np.zeros((self.rows, value.size), bool if value.kind == "mask" else self.dtype)
        return self.memory[value]

    def store(self, value: Value, array: Array) -> None:
        """Set the numbers of a value."""
        self.memory[value] = array.reshape(self.rows, value.size)

    def convert(self, array: Array, x: Value, y: Value) -> Array:
        """Return numbers of x as numbers of y."""
        return array

    def constant(self, number: float, y: Value) -> Any:
        """Return a constant as a number of y."""
        return number

    # Control.

    def _block(self, operations: Sequence[Operation]) -> None:
        place = 0
        while place < len(operations):
            each = operations[place]
            if isinstance(each, LoopBegin):
                end = next(
                    number
                    for number, other in enumerate(operations)
                    if isinstance(other, LoopEnd) and other.loop == each.loop
                )
                self._loop(each, operations[place + 1 : end], operations[end])
                place = end + 1
                continue
            getattr(self, f"_{type(each).__name__.lower()}")(each)
            place += 1

    def _loop(self, begin: LoopBegin, body: Sequence[Operation], end: Any) -> None:
        x = self.load(begin.x).reshape(self.rows, begin.count, -1)
        parts = []
        for part in range(begin.count):
            self.store(begin.part, self.convert(x[:, part], begin.x, begin.part))
            self._block(body)
            parts.append(self.convert(self.load(end.part), end.part, end.y))
        self.store(end.y, np.stack(parts, axis=1))

    # Movement.

    def _copy(self, each: Copy) -> None:
        self.store(each.y, self.convert(self.load(each.x), each.x, each.y))

    def _fill(self, each: Fill) -> None:
        self.store(each.y, np.full((self.rows, each.y.size), self.constant(each.number, each.y), self.dtype))

    def _move(self, each: Move) -> None:
        places = np.indices(each.shape).reshape(len(each.shape), -1)
        y = self.load(each.y).copy()
        x = self.load(each.x)[:, each.start + np.array(each.strides) @ places]
        y[:, each.to + np.array(each.to_strides) @ places] = self.convert(x, each.x, each.y)
        self.store(each.y, y)

    def _window(self, each: Window) -> None:
        past, x = self.load(each.past), self.load(each.x)
        window = np.concatenate([self.convert(past, each.past, each.y), self.convert(x, each.x, each.y)], axis=1)
        self.store(each.y, window)
        self.store(each.past, self.convert(window[:, each.x.size :], each.y, each.past))

    def _select(self, each: Select) -> None:
        mask = np.repeat(self.load(each.mask), each.width, axis=1)
        x = self.convert(self.load(each.x), each.x, each.y)
        if each.other is None:
            other = self.constant(each.number, each.y)
        else:
            other = self.convert(self.load(each.other), each.other, each.y)
        self.store(each.y, np.where(mask, x, other))

    def _makemask(self, each: MakeMask) -> None:
        x = self.load(each.x).reshape(self.rows, each.y.size, each.width)
        number = each.number if each.x.kind == "ids" else self.constant(each.number, each.x)
        self.store(each.y, (x != number).any(axis=2))

    def _joinmasks(self, each: JoinMasks) -> None:
        self.store(each.y, np.logical_or.reduce([self.load(mask) for mask in each.masks]))

    def _pool(self, each: Pool) -> None:
        x = self.load(each.x).reshape(self.rows, each.steps, each.channels)
        parts = []
        for step in range(each.y.size // each.channels):
            first = step * each.stride - each.before
            part = x[:, max(first, 0) : first + each.size]
            if each.kind == "max":
                parts.append(self.convert(part.max(axis=1), each.x, each.y))
            else:
                parts.append(self.mean(part.sum(axis=1), np.array(part.shape[1]), each.x, each.y))
        self.store(each.y, np.stack(parts, axis=1))

    def _poolall(self, each: PoolAll) -> None:
        x = self.load(each.x).reshape(self.rows, -1, each.channels)
        if each.kind == "max":
            self.store(each.y, self.convert(x.max(axis=1), each.x, each.y))
            return
        count = np.full((self.rows, 1), x.shape[1])
        if each.mask is not None:
            mask = self.load(each.mask)
            x, count = x * mask[..., None], mask.sum(axis=1, keepdims=True)
        self.store(each.y, self.mean(x.sum(axis=1), count, each.x, each.y))

    def mean(self, total: Array, count: Array, x: Value, y: Value) -> Array:
        """Return sums of numbers of x, divided by their count, as numbers of y; 0 if nothing counts."""
        raise NotImplementedError

    # Recurrent layers.

    def _recurrence(self, each: Recurrence) -> None:
        x = self.load(each.x).reshape(self.rows, each.steps, each.features)
        mask = None if each.mask is None else self.load(each.mask)
        if not each.keeps:
            for place, state in enumerate(each.states):
                start = None if each.initial is None else each.initial[place]
                zeros: Array = np.zeros((self.rows, each.units), self.dtype)
                self.store(state, zeros if start is None else self.convert(self.load(start), start, state))
        outputs = []
        for step in range(each.steps)[:: -1 if each.reverse else 1]:
            before = [self.load(state) for state in each.states]
            after = self.cell(each, x[:, step], before)
            counts = None if mask is None else mask[:, step, None]
            for state, new, old in zip(each.states, after, before, strict=True):
                self.store(state, new if counts is None else np.where(counts, new, old))
            h = self.load(each.states[0])
            outputs.append(np.where(counts, h, 0) if counts is not None and each.zero_output else h)
        if each.y is not None:
            y = outputs[-1] if each.last_only else np.stack(outputs, axis=1)
            self.store(each.y, self.convert(y, each.states[0], each.y))

    def cell(self, each: Recurrence, x: Array, states: Sequence[Array]) -> list[Array]:
        """Return the states (rows, H) after one step of x (rows, F)."""
        raise NotImplementedError
