"""What a model would need in C: bytes of constants and of memory, without writing a file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pyrnn.export import c_files, to_int8
from pyrnn.export.program import Program, Value
from pyrnn.export.to_c import float_source, lowered

__all__ = ["Footprint", "Sizes", "footprint"]

_STEPS = 16  # of the noise used as calibration data


class Sizes(NamedTuple):
    """Bytes that a model needs in C.

    Args:
        flash: Bytes of its constants.
        ram: Bytes of its state.

    Example:
        >>> from pyrnn.export.footprint import Sizes
        >>> Sizes(4096, 256).flash
        4096
    """

    flash: int
    ram: int


class Footprint(NamedTuple):
    """What a model needs in C.

    Args:
        stream: Whether it runs one time step at a time, else whole sequences.
        multiply_adds: Multiply-adds of one time step of a stream, or of a sequence.
        float32: Its sizes in float32.
        int8: Its sizes with int8 weights, or why it has none.

    Example:
        >>> from pyrnn.export.footprint import Footprint, Sizes
        >>> Footprint(True, 1000, Sizes(4096, 256), Sizes(1200, 128)).stream
        True
    """

    stream: bool
    multiply_adds: int
    float32: Sizes
    int8: Sizes | str


def footprint(model: Any, steps: int | None = None) -> Footprint:
    """Return what a model needs in C: as a stream if it can run one time step at a time, else for whole sequences.

    Sizes in int8 are measured with noise as calibration data; other data change them little or not at all.

    Args:
        model: A built model.
        steps: The number of time steps of whole sequences, where the model leaves it open.

    Returns:
        A `Footprint`.

    Raises:
        ValueError: If the model cannot be exported; the message names the layer and the reason.

    Example:
        >>> import pyrnn
        >>> from pyrnn.export.footprint import footprint
        >>> model = pyrnn.Sequential([pyrnn.layers.LSTM(8, input_shape=(None, 2)), pyrnn.layers.Dense(1)])
        >>> footprint(model).stream
        True
    """
    program = _program(model, steps)
    sizes = _sizes(program, float_source(program))
    return Footprint(program.stream, program.multiply_adds(), sizes, _int8(_program(model, steps)))


def _sizes(program: Program, source: c_files.Source) -> Sizes:
    return Sizes(source.flash, c_files.ram(program, source))


def _program(model: Any, steps: int | None) -> Program:
    try:
        return lowered(model, True, None)[0]
    except ValueError:
        return lowered(model, False, steps)[0]


def _int8(program: Program) -> Sizes | str:
    """Sizes with int8 weights, or why there are none."""
    generator = np.random.default_rng(0)

    def noise(value: Value) -> Any:
        moves = program.stream and value not in program.steady_inputs
        shape = (1, _STEPS, value.size) if moves else (1, value.size)
        return np.zeros(shape) if value.kind == "ids" else generator.standard_normal(shape)

    try:
        integer = to_int8.placed(program, [noise(value) for value in program.inputs])
        source = to_int8.source("model", integer)
    except ValueError as error:
        return str(error)
    return _sizes(integer.program, source)
