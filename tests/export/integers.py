"""Models in int8: what NumPy computes for integers, and what the C computes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.compiled import Exported
from pyrnn.export import to_int8
from pyrnn.export.integers import Integers
from pyrnn.export.quantize import Quantized, steps_of
from pyrnn.export.to_c import lowered

Array = NDArray[Any]


class Twin:
    """A model in integers, in NumPy.

    Args:
        model: The model.
        calibration: Data (B, T, ...).
        stream: As for `to_c`.
    """

    def __init__(self, model: Any, calibration: Array, stream: bool) -> None:
        program, samples = lowered(model, stream, None)
        (self.data,) = to_int8.arrays_of(calibration, program, samples, "calibration")
        self.integer: Quantized = to_int8.placed(program, [self.data])
        self.program = program

    def inputs(self, times: float = 1.0) -> Array:
        """The first sample of the calibration data as integers, ids as they are."""
        value = self.program.inputs[0]
        data = self.data[:1] if value.kind == "ids" else self.data[:1] * times
        return to_int8.integers_of(data, value, self.integer.fractions)

    def run(self, x: Array) -> list[Array]:
        """All outputs for one sample of integers."""
        machine = Integers(self.integer, 1)
        calls = [machine.run(each) for each in steps_of(self.program, [x])]
        results = []
        for place, value in enumerate(self.program.outputs):
            steady = not self.program.stream or value in self.program.steady_outputs
            steps = [call[place][0] for call in calls]
            results.append(steps[-1] if steady else np.concatenate(steps))
        return results


def run_c(exported: Exported, twin: Twin, x: Array, sizes: Sequence[int]) -> list[Array]:
    """The outputs of the C for one sample of integers."""
    numbers = np.ascontiguousarray(x, np.intc if twin.program.inputs[0].kind == "ids" else np.int16)
    outputs = [np.full(size, -12345, np.int16) for size in sizes]
    count = [ctypes.c_int(x.shape[1])] if twin.program.stream else []
    state = [exported.state] if exported.has_state else []
    if twin.program.stream:
        exported.init()
    pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in (numbers, *outputs)]
    getattr(exported.shared, f"{exported.name}_run")(*state, pointers[0], *count, *pointers[1:])
    return outputs
