"""`report`: the error that int8 causes in the outputs of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.export import c_files, to_int8
from pyrnn.export.calibration import Floats
from pyrnn.export.fixed_point import to_float
from pyrnn.export.integers import Integers
from pyrnn.export.quantize import Quantized, steps_of
from pyrnn.export.to_c import lowered
from pyrnn.typing import IS_MODEL, Flag, Inputs, Size

Array = NDArray[Any]

__all__ = ["Report", "report"]


@dataclass
class Error:
    """Differences between integers and the numbers that they represent.

    Attributes:
        name: Name of a layer or an output.
        largest: The largest difference.
        mean_square: The mean of its squares.
        range: The largest magnitude of the numbers.
    """

    name: str
    largest: float = 0.0
    mean_square: float = 0.0
    range: float = 0.0
    _count: int = field(default=0, repr=False)

    @property
    def rms(self) -> float:
        """The root of the mean square."""
        return math.sqrt(self.mean_square)

    def add(self, integers: Array, floats: Array) -> None:
        """Take in more numbers."""
        apart = np.abs(integers - floats)
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        self.range = max(self.range, float(np.abs(floats).max(initial=0.0)))
        total = self.mean_square * self._count + float((apart * apart).sum())
        self._count += apart.size
        self.mean_square = total / max(1, self._count)


@dataclass
class Report:
    """The error of int8 by layer and output, and the memory that it needs; `print` shows it as a table.

    Args:
        outputs: For each output of the model, an object with `name`, `largest` error, `rms` error and the `range` of
            its numbers.
        layers: The same for what each layer computes, in the order of the model.
        flash: Bytes of the constants with int8.
        float32_flash: Bytes of the weights with float32.
        ram: Bytes of the state struct with int8.

    Example:
        >>> import numpy as np
        >>> import pyrnn
        >>> from pyrnn import Sequential, layers
        >>> model = Sequential([layers.GRU(8, input_shape=(None, 2), name="memory"), layers.Dense(1, name="head")])
        >>> result = pyrnn.export.report(model, np.ones((1, 5, 2)))
        >>> [layer.name for layer in result.layers]
        ["'memory' (GRU)", "'head' (Dense)"]
    """

    outputs: list[Error]
    layers: list[Error]
    flash: int
    float32_flash: int
    ram: int

    def __str__(self) -> str:
        entries = [*self.layers, *self.outputs]
        width = max(len(each.name) for each in entries)
        lines = [f"{'':{width}}  {'range':>10}  {'rms error':>10}  {'largest':>10}"]
        lines += [
            f"{each.name:{width}}  {each.range:10.4g}  {each.rms:10.3g}  {each.largest:10.3g}" for each in entries
        ]
        lines.append(f"constants {self.flash} bytes (float32: {self.float32_flash}), state {self.ram} bytes")
        return "\n".join(lines)


@checked
def report(
    model: Annotated[Any, IS_MODEL],
    x: Inputs,
    *,
    calibration: Inputs = None,
    stream: Flag = True,
    steps: Size | None = None,
) -> Report:
    """Show the error that `to_c(dtype="int8")` causes, without a compiler.

    The integers are computed in NumPy with the bits that the C computes, and compared with the same model in float64.

    Args:
        model: A `Sequential` or functional model, built.
        x: Data to compare on, as for `predict`: (B, T, F), or a list with an array for each input.
        calibration: The `calibration` of `to_c`; x by default. Pass other data than x to see how well it generalizes.
        stream: As for `to_c`.
        steps: As for `to_c`.

    Returns:
        The errors of each output and layer, and the sizes in memory.

    Raises:
        TypeError, ValueError: As `to_c`.

    Example:
        >>> import numpy as np
        >>> import pyrnn
        >>> from pyrnn import Sequential, layers
        >>> model = Sequential([layers.LSTM(8, input_shape=(None, 2)), layers.Dense(1)])
        >>> x = np.random.default_rng(0).standard_normal((16, 20, 2))
        >>> result = pyrnn.export.report(model, x)
        >>> result.outputs[0].largest < 0.02 * result.outputs[0].range
        True
    """
    program, samples = lowered(model, stream, steps)
    data = to_int8.arrays_of(x, program, samples, "x")
    ranges = data if calibration is None else to_int8.arrays_of(calibration, program, samples, "calibration")
    integer = to_int8.placed(program, ranges)
    layers, outputs = _errors(integer, data)
    source = to_int8.source("model", integer)
    weights = {id(array): array for each in program.operations for array in _weights(each)}
    float32 = 4 * sum(int(np.size(array)) for array in weights.values())
    return Report(outputs, layers, source.flash, float32, c_files.ram(program, source))


def _weights(operation: Any) -> list[Array]:
    names = ("kernel", "recurrent_kernel", "bias", "centre", "factor", "offset", "slopes", "table")
    arrays = (getattr(operation, name, None) for name in names)
    return [array for array in arrays if array is not None]


def _errors(integer: Quantized, data: Sequence[Array]) -> tuple[list[Error], list[Error]]:
    """The errors by layer and by output."""
    program, rows = integer.program, len(data[0])
    floats, integers = Floats(program, rows), Integers(integer, rows)
    last = {}  # for each layer, the value that its last operation writes
    for each in program.operations:
        written = [value for value in each.values(each.writes) if value.kind == "number"]
        if each.layer and written:
            last[each.layer] = written[0]
    layers = {layer: Error(layer.removeprefix("layer ")) for layer in last}
    several = len(program.outputs) > 1
    outputs = [Error(f"output {number}" if several else "output") for number in range(len(program.outputs))]
    calls = steps_of(program, data)
    for number, inputs in enumerate(calls):
        expected = floats.run(inputs)
        fixed = [
            to_int8.integers_of(array, value, integer.fractions)
            for array, value in zip(inputs, program.inputs, strict=True)
        ]
        results = integers.run(fixed)
        for layer, value in last.items():
            layers[layer].add(to_float(integers.load(value), integer.fractions[value]), floats.load(value))
        for error, value, y, y_float in zip(outputs, program.outputs, results, expected, strict=True):
            if number == len(calls) - 1 or value not in program.steady_outputs:
                error.add(to_float(y, integer.fractions[value]), y_float)
    return list(layers.values()), outputs
