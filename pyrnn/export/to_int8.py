"""A model as C in integers: calibration data, the text, and vectors for its self-test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import c_files, c_fixed_point, fixed_point, memory
from pyrnn.export.c_int8 import IntegerWriter, fraction_macros
from pyrnn.export.integers import Integers
from pyrnn.export.program import Program, Value
from pyrnn.export.quantize import Quantized, quantized, steps_of
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]

# Of the self-test: the most steps of the calibration data that it runs.
TEST_STEPS = 64


def arrays_of(data: Any, program: Program, samples: Sequence[tuple[int, ...]], argument: str) -> list[Array]:
    """Return data for the inputs as arrays: (B, T, size) for steps of a stream, else (B, size).

    Args:
        data: An array for the one input, or a list or tuple of arrays.
        program: The program.
        samples: The shape of one sample of each input; the time axis of a stream has size 1.
        argument: The name of the data in messages.

    Raises:
        TypeError, ValueError: If data are missing, of another shape, empty or not finite.
    """
    if data is None:
        raise ValueError(f"{argument} must be data for the model, like those for predict, got None: pass some of them")
    listed = list(data) if isinstance(data, (list, tuple)) and len(program.inputs) > 1 else [data]
    if len(listed) != len(program.inputs):
        raise ValueError(f"{argument} must be {len(program.inputs)} arrays, one for each input, got {len(listed)}")
    arrays = [
        _array(each, value, sample, value not in program.steady_inputs and program.stream, argument)
        for each, value, sample in zip(listed, program.inputs, samples, strict=True)
    ]
    sizes = {array.shape[:2] if array.ndim == 3 else array.shape[:1] for array in arrays}
    if len({size[0] for size in sizes}) > 1 or len({size[1] for size in sizes if len(size) > 1}) > 1:
        raise ValueError(f"{argument} must have equally many samples and steps for each input, got {sorted(sizes)}")
    return arrays


def _array(data: Any, value: Value, sample: tuple[int, ...], moves: bool, argument: str) -> Array:
    try:
        array = np.asarray(data, np.float64)
    except (TypeError, ValueError):
        raise WrongType(f"{argument} must be an array of numbers, got {shown(data)}") from None
    rest = sample[1:] if moves else sample
    lead = 2 if moves else 1
    if array.ndim != lead + len(rest) or array.shape[lead:] != rest or 0 in array.shape:
        axes = ("batch", "time")[:lead]
        wanted = ", ".join([*axes, *map(str, rest)])
        raise ValueError(
            f"{argument} must have shape ({wanted}) for input {value.name}, none of it empty, got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{argument} must be finite, got NaN or infinity")
    return array.reshape(*array.shape[:lead], value.size)


def integers_of(array: Array, value: Value, fractions: dict[Value, int]) -> Array:
    """Return numbers of an input as integers; ids are as they are."""
    if value.kind == "ids":
        return array.astype(np.int64)
    return fixed_point.to_fixed(array, fractions[value])


def placed(program: Program, data: Sequence[Array]) -> Quantized:
    """Return a program in integers, with all values in their places.

    Args:
        program: The program, without places in memory.
        data: The calibration data.

    Raises:
        ValueError: If an operation cannot be done in integers; the message names its layer.
    """
    memory.place(program)  # first, since it adds copies
    return quantized(program, data)


def source(name: str, integer: Quantized) -> c_files.Source:
    """Return the text of a quantized program, whose values have their places.

    Args:
        name: What the functions begin with.
        integer: The program.
    """
    writer = IntegerWriter(integer)
    body = writer.body()
    constants = [c_fixed_point.PREAMBLE, *writer.constants]
    return c_files.Source(
        constants,
        list(writer.functions.values()),
        body,
        ["string.h"],
        writer.constant_bytes,
        "int16_t",
        2,
        [f"Stack      {writer.stack_bytes} bytes for sums", "Numbers    integers: int8 weights, int16 values"],
        ["#include <stdint.h>", "", *fraction_macros(name, integer), ""],
    )


def vectors(integer: Quantized, data: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """Return inputs for the self-test, the first sample of the calibration data, and the outputs for them."""
    program = integer.program
    first = [array[:1, :TEST_STEPS] if array.ndim == 3 else array[:1] for array in data]
    inputs = [integers_of(array, value, integer.fractions) for array, value in zip(first, program.inputs, strict=True)]
    machine = Integers(integer, 1)
    outputs = [machine.run(each) for each in steps_of(program, inputs)]
    expected = []
    for place, value in enumerate(program.outputs):
        steps = [each[place][0] for each in outputs]
        is_last = not program.stream or value in program.steady_outputs
        expected.append(steps[-1] if is_last else np.concatenate(steps))
    return inputs, expected


def texts(name: str, model: str, integer: Quantized, data: Sequence[Array]) -> dict[str, str]:
    """Return the three files of a quantized program, by name.

    Args:
        name: What the functions begin with.
        model: The name of the model.
        integer: The program, whose values have their places.
        data: The calibration data.
    """
    text = source(name, integer)
    inputs, expected = vectors(integer, data)
    program = integer.program
    return {
        f"{name}.c": c_files.source_file(name, model, program, text),
        f"{name}.h": c_files.header(name, model, program, text),
        f"{name}_test.c": c_files.self_test(name, program, text, inputs, expected, 0.0),
    }
