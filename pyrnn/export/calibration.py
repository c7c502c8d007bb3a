"""Runs a program in float64 on the user's data and records how large its numbers get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.export.machine import Machine
from pyrnn.export.program import (
    Activation,
    Affine,
    Combine,
    Convolution,
    Lookup,
    Matrix,
    Normalize,
    Operation,
    Program,
    Recurrence,
    RowActivation,
    Slope,
    Value,
)

Array = NDArray[Any]

# Activations with further arguments: f(x, *arguments).
_WITH_ARGUMENTS: dict[str, Callable[..., Array]] = {
    "relu_layer": lambda x, a, b: np.where(x > a, x, 0) + b * np.where(x < a, x - a, 0),
    "capped_relu_layer": lambda x, a, b, c: np.where(x > a, np.minimum(x, c), 0) + b * np.where(x < a, x - a, 0),
    "leaky_relu_layer": lambda x, a: np.where(x < 0, a * x, x),
    "elu_layer": lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
}


def function(name: str, arguments: Sequence[float] = ()) -> Callable[[Array], Array]:
    """Return an activation of float64 arrays.

    Args:
        name: Its name in a program.
        arguments: Its further arguments.
    """
    if name in _WITH_ARGUMENTS:
        return lambda x: np.asarray(_WITH_ARGUMENTS[name](x, *arguments), np.float64)
    return lambda x: backend.activation_forward(np.ascontiguousarray(x, np.float64), name)


class Floats(Machine):
    """A program in float64.

    Attributes:
        peaks: The largest magnitude of each value.
        inner: For each recurrence, the largest magnitude of "z", the input of its activation, of "y", its output, and
            of "gate z" and "gate y", those of its gates.
    """

    def __init__(self, program: Program, rows: int) -> None:
        super().__init__(program, rows)
        self.peaks: dict[Value, float] = {}
        self.inner: dict[tuple[Operation, str], float] = {}

    def store(self, value: Value, array: Array) -> None:
        super().store(value, array)
        if value.kind == "number":
            self.peaks[value] = max(self.peaks.get(value, 0.0), float(np.abs(array).max(initial=0.0)))

    def mean(self, total: Array, count: Array, x: Value, y: Value) -> Array:
        return np.asarray(total / np.maximum(count, 1))

    def _matrix(self, each: Matrix) -> None:
        x = self.load(each.x).reshape(self.rows, each.rows, -1)
        self.store(each.y, x @ each.kernel.astype(np.float64) + (0 if each.bias is None else each.bias))

    def _convolution(self, each: Convolution) -> None:
        size, channels, outputs = each.kernel.shape
        x = self.load(each.x).reshape(self.rows, each.steps, each.groups, channels)
        kernel = each.kernel.reshape(size, channels, each.groups, outputs // each.groups).astype(np.float64)
        steps = each.y.size // outputs
        y = sum(
            np.einsum(
                "btgc,cgn->btgn", x[:, k * each.dilation :][:, : (steps - 1) * each.stride + 1 : each.stride], taps
            )
            for k, taps in enumerate(kernel)
        )
        self.store(each.y, np.asarray(y).reshape(self.rows, steps, outputs) + (0 if each.bias is None else each.bias))

    def cell(self, each: Recurrence, x: Array, states: Sequence[Array]) -> list[Array]:
        act, gate = function(each.activation), function(each.recurrent_activation)
        h, units = states[0], each.units
        bias = np.zeros((2, each.kernel.shape[1])) if each.bias is None else np.atleast_2d(each.bias).astype(np.float64)
        of_x, recurrent_kernel = x @ each.kernel.astype(np.float64) + bias[0], each.recurrent_kernel.astype(np.float64)
        if each.cell == "simple_rnn":
            z = of_x + h @ recurrent_kernel
            new = act(z)
            self._measure(each, [z], [new], [], [])
            return [new]
        if each.cell == "lstm":
            zi, zf, zg, zo = np.split(of_x + h @ recurrent_kernel, 4, axis=1)
            i, f, o, g = gate(zi), gate(zf), gate(zo), act(zg)
            c = f * states[1] + i * g
            y = act(c)
            self._measure(each, [zg, c], [g, y], [zi, zf, zo], [i, f, o])
            return [o * y, c]
        of_h = h @ recurrent_kernel[:, : 2 * units] + (bias[1, : 2 * units] if each.reset_after else 0)
        zz, zr = np.split(of_x[:, : 2 * units] + of_h, 2, axis=1)
        z, r = gate(zz), gate(zr)
        last = recurrent_kernel[:, 2 * units :]
        product = r * (h @ last + bias[1, 2 * units :]) if each.reset_after else (r * h) @ last
        zg = of_x[:, 2 * units :] + product
        g = act(zg)
        new = z * h + (1 - z) * g
        self._measure(each, [zg], [g, new], [zz, zr], [z, r])
        return [new]

    def _measure(self, each: Recurrence, *groups: list[Array]) -> None:
        """Record what the activation of a cell reads and returns (with what is scaled alike), and that of its gates."""
        for key, group in zip(("z", "y", "gate z", "gate y"), groups, strict=True):
            peak = max((float(np.abs(array).max(initial=0.0)) for array in group), default=0.0)
            self.inner[each, key] = max(self.inner.get((each, key), 0.0), peak)

    def _activation(self, each: Activation) -> None:
        with np.errstate(over="ignore"):
            self.store(each.y, function(each.name, each.arguments)(self.load(each.x)))

    def _rowactivation(self, each: RowActivation) -> None:
        rows = self.load(each.x).reshape(self.rows, -1, each.width)
        self.store(each.y, function(each.name)(rows))

    def _affine(self, each: Affine) -> None:
        y = self.load(each.x)
        for operate, vector in ((np.subtract, each.centre), (np.multiply, each.factor), (np.add, each.offset)):
            if vector is not None:
                y = operate(y, np.resize(np.asarray(vector, np.float64), y.shape[1]))
        self.store(each.y, y)

    def _slope(self, each: Slope) -> None:
        x = self.load(each.x)
        self.store(each.y, np.where(x > 0, x, np.resize(each.slopes, x.shape[1]) * x))

    def _normalize(self, each: Normalize) -> None:
        x = self.load(each.x).reshape(self.rows, -1, each.width)
        centred = x - x.mean(axis=2, keepdims=True) if each.kind in ("variance", "centred rms") else x
        square = (centred * centred).mean(axis=2, keepdims=True)
        if each.kind == "norm":
            y = x / np.maximum(np.sqrt(square * each.width), each.epsilon)
        else:
            y = (centred if each.kind == "variance" else x) / np.sqrt(square + each.epsilon)
        self.store(each.y, y)

    def _combine(self, each: Combine) -> None:
        operate = getattr(np, each.kind)
        self.store(each.y, operate(self.load(each.x), self.load(each.other)))

    def _lookup(self, each: Lookup) -> None:
        ids = self.load(each.x).astype(int)
        ids = np.where((ids < 0) | (ids >= len(each.table)), 0, ids)
        self.store(each.y, np.asarray(each.table, np.float64)[ids])
