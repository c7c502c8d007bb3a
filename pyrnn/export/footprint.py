"""What a model would need in C: bytes of constants and of memory, without writing a file."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyrnn.export import memory
from pyrnn.export.c_float import Writer
from pyrnn.export.program import Convolution, Matrix, Program, Recurrence
from pyrnn.export.to_c import lowered

__all__ = ["Footprint", "footprint"]

_FLOAT, _HALF, _WORD = 4, 2, 4  # bytes of a float, of an int16, and of a scale or bias of an int8 row


class Footprint(NamedTuple):
    """What a model needs in C.

    Args:
        stream: whether it runs one time step at a time, else whole sequences.
        flash: bytes of the weights in float32.
        ram: bytes of the state in float32.
        flash_int8: bytes of the weights in int8, an estimate: exact ones depend on the data of the calibration.
        ram_int8: bytes of the state in int16, likewise.
        multiply_adds: of one time step of a stream, or of a sequence.

    Example:
        >>> from pyrnn.export.footprint import Footprint
        >>> Footprint(True, 4096, 256, 1200, 128, 1000).flash
        4096
    """

    stream: bool
    flash: int
    ram: int
    flash_int8: int
    ram_int8: int
    multiply_adds: int


def footprint(model: Any, steps: int | None = None) -> Footprint:
    """Return what a model needs in C: as a stream if it can run one time step at a time, else for whole sequences.

    Args:
        model: a built model.
        steps: the number of time steps of whole sequences, where the model leaves it open.

    Returns:
        A `Footprint`.

    Raises:
        ValueError: if the model cannot be exported; the message names the layer and the reason.

    Example:
        >>> import pyrnn
        >>> from pyrnn.export.footprint import footprint
        >>> model = pyrnn.Sequential([pyrnn.layers.LSTM(8, input_shape=(None, 2)), pyrnn.layers.Dense(1)])
        >>> footprint(model).stream
        True
    """
    try:
        program, _ = lowered(model, True, None)
    except ValueError:
        program, _ = lowered(model, False, steps)
    Writer.add_scratch(program)
    memory.place(program)
    writer = Writer(program)
    writer.body()
    numbers = program.state_size + program.work_size
    rows, matrices = _matrices(program)
    others = writer.weight_count - matrices
    return Footprint(
        program.stream,
        writer.weight_count * _FLOAT,
        numbers * _FLOAT + program.mask_size,
        matrices + rows * _WORD + others * _WORD,
        numbers * _HALF + program.mask_size,
        program.multiply_adds(),
    )


def _matrices(program: Program) -> tuple[int, int]:
    """The rows that have a scale in int8, and the numbers in matrices."""
    kernels = [each.kernel for each in program.operations if isinstance(each, Matrix | Convolution | Recurrence)]
    kernels += [each.recurrent_kernel for each in program.operations if isinstance(each, Recurrence)]
    return sum(int(each.shape[-1]) for each in kernels), sum(int(each.size) for each in kernels)
