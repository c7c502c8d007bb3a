"""`to_c`: writes a model as C."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.export import c_files, c_text, lower_layers, lower_recurrent, memory, to_int8
from pyrnn.export.c_float import Writer
from pyrnn.export.lowering import Lowering, Tensor
from pyrnn.export.program import Program, Value
from pyrnn.files.atomic import make_folder, replace_files
from pyrnn.rules import OneOf
from pyrnn.typing import IS_MODEL, FilePath, Flag, Inputs, Name, Size
from pyrnn.validation import not_built, shown

Array = NDArray[Any]

__all__ = ["to_c"]

# The modules that register the rules of layers.
RULES = (lower_layers, lower_recurrent)
# Of the self-test: time steps of a model that takes any number, and the seed of its inputs.
TEST_STEPS = 16
TEST_SEED = 20
# Of the self-test, relative to the largest output: 16 rounding errors of float32 times the root of the terms summed.
TEST_FACTOR = 16 * float(np.finfo(np.float32).eps)


@checked
def to_c(
    model: Annotated[Any, IS_MODEL],
    path: FilePath,
    *,
    name: Name | None = None,
    dtype: Annotated[str, OneOf("float32", "int8")] = "float32",
    stream: Flag = True,
    steps: Size | None = None,
    calibration: Inputs = None,
) -> list[str]:
    """Write a model as C99 that needs neither memory allocation nor a library next to the C library's math.

    There are three files: NAME.h, NAME.c and NAME_test.c, a self-test with inputs and outputs of the model. They are
    valid C++17 as well. NAME.c defines, with the sizes of x and y as macros in NAME.h,

    - `NAME_init(state)`, `NAME_reset(state)`: prepare the state, start a new sequence;
    - `NAME_step(state, x, y)`: take one time step, and write the output for all steps so far;
    - `NAME_run(state, x, steps, y)`: take several steps; y is the output of each step, or of the last one if the model
      returns one output per sequence.

    With `stream=False` there is `NAME_run(state, x, y)` alone, for whole sequences of a fixed number of steps; that is
    what `Bidirectional`, pooling and layers that change the number of steps need. A model of several inputs takes x0,
    x1, ..., of several outputs y0, y1, ...; one that begins with an `Embedding` takes ids as `int`, and an id that is
    out of range counts as 0. Each state is independent of all others. All weights are constants.

    Args:
        model: A `Sequential` or functional model, built. Its layers must be of pyrnn, not custom.
        path: A folder, which is created if it is missing; or a file "NAME.c".
        name: Prefix of the functions; by default the name of the file or of the model.
        dtype: "float32", also for models in float64; or "int8": weights of 8 bits with a scale for each output, int16
            numbers, and integer arithmetic alone, with the same bits on every platform. x and y are then `int16_t`, the
            numbers times 2^NAME_X_FRACTION and 2^NAME_Y_FRACTION; `export.report` shows the error.
        stream: Whether to write one time step at a time, as `Model.stream` runs it.
        steps: The number of time steps of `stream=False`, for models that leave it open.
        calibration: For "int8", data as for `predict`, or a list with an array for each input, from which the ranges of
            all numbers are measured; numbers outside these ranges saturate.

    Returns:
        The paths of the files: source, header, self-test.

    Raises:
        TypeError, ValueError: If an argument is out of range, the model is not built, or a layer cannot be exported;
            the message names the layer and the reason, and no file is written.
        OSError: If a file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import pyrnn
        >>> from pyrnn import Sequential, layers
        >>> model = Sequential([layers.LSTM(8, input_shape=(None, 2)), layers.Dense(1)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = pyrnn.export.to_c(model, folder, name="lstm")
        ...     [os.path.basename(path) for path in paths]
        ['lstm.c', 'lstm.h', 'lstm_test.c']
    """
    folder, name = _target(model, os.fspath(path), name)
    if calibration is not None and dtype != "int8":
        raise ValueError(f"calibration is for dtype='int8', got dtype={dtype!r}: leave it out")
    program, sequences = lowered(model, stream, steps)
    if dtype == "int8":
        data = to_int8.arrays_of(calibration, program, sequences, "calibration")
        return _save(folder, to_int8.texts(name, model.name, to_int8.placed(program, data), data))
    source = float_source(program)
    inputs, expected, terms = _vectors(model, program, sequences)
    largest = max((float(np.abs(each).max(initial=0.0)) for each in expected), default=0.0)
    tolerance = TEST_FACTOR * math.sqrt(terms) * max(1.0, largest)
    texts = {
        f"{name}.c": c_files.source_file(name, model.name, program, source),
        f"{name}.h": c_files.header(name, model.name, program, source),
        f"{name}_test.c": c_files.self_test(name, program, source, inputs, expected, tolerance),
    }
    return _save(folder, texts)


def float_source(program: Program) -> c_files.Source:
    """Place the values of a program, and return its text in float32."""
    Writer.add_scratch(program)
    memory.place(program)
    writer = Writer(program)
    body = writer.body()
    headers = ["math.h", "string.h"] if writer.needs_math else ["string.h"]
    return c_files.Source(writer.constants, list(writer.functions.values()), body, headers, writer.weight_count * 4)


def _save(folder: str, texts: dict[str, str]) -> list[str]:
    """Write files; returns their paths."""
    make_folder(folder or ".")
    contents = {os.path.join(folder, each): text.encode() for each, text in texts.items()}
    replace_files(contents)
    return list(contents)


def _target(model: Any, path: str, name: str | None) -> tuple[str, str]:
    """The folder of the files, and the name of the functions."""
    folder = path
    if path.endswith(".c"):
        folder, file = os.path.split(path)
        if name is not None and name != file[:-2]:
            raise ValueError(f"name must be that of the file, {file[:-2]!r}, or left out, got {name!r}")
        name = file[:-2]
    name = c_text.as_name(model.name) if name is None else name
    if not c_text.is_name(name):
        raise ValueError(f"name must begin a function of C: letters, digits and _, no reserved word, got {shown(name)}")
    return folder, name


def lowered(model: Any, stream: bool, steps: int | None) -> tuple[Program, list[tuple[int, ...]]]:
    """Return a model as a program, without places in memory, and the shapes of one sample of its inputs.

    Args:
        model: The model.
        stream: Whether the program runs one time step at a time.
        steps: The number of time steps where the model leaves it open.

    Raises:
        ValueError: If it is not built, or cannot be exported, or if `steps` is passed for a stream.
    """
    if stream and steps is not None:
        raise ValueError(f"steps is for whole sequences, stream=False: a stream takes any number of them; got {steps}")
    if not model.built:
        raise ValueError(not_built("it can be exported"))
    lowering = Lowering(stream, model.dtype)
    lowering.check_class(model)
    shapes = _input_shapes(model)
    of_ids = _reads_ids(model, len(shapes))
    tensors, samples = [], []
    for number, (shape, is_ids) in enumerate(zip(shapes, of_ids, strict=True)):
        sample, is_step = _sample_shape(model, shape, is_ids, stream, steps)
        value = Value(
            math.prod(sample), "ids" if is_ids else "number", "input", f"x{number}" if len(shapes) > 1 else "x"
        )
        lowering.program.inputs.append(value)
        if stream and not is_step:
            lowering.program.steady_inputs.append(value)
        tensors.append(Tensor(value, sample, None, is_step))
        samples.append(sample)
    if stream and not any(each.is_step for each in tensors):
        raise ValueError(
            f"stream=True needs a model of sequences, with a time axis, got one for inputs of shape {shapes[0]}: "
            "pass stream=False"
        )
    outputs = lowering.model(model, tensors)
    lowering.program.outputs = [each.value for each in outputs]
    lowering.program.steady_outputs = [each.value for each in outputs if not each.is_step]
    return lowering.program, samples


def _input_shapes(model: Any) -> list[tuple[int | None, ...]]:
    graph = model.plan().graph
    return [tuple(each.shape) for each in graph.inputs] if graph is not None else [tuple(model.input_shape)]


def _reads_ids(model: Any, count: int) -> list[bool]:
    """For each input, whether an Embedding reads it."""
    graph = model.plan().graph
    if graph is None:
        layer = model
        while getattr(layer, "is_model", False):
            inner = layer.plan().graph
            if inner is not None:
                return _reads_ids(layer, 1)
            layer = next((each for each in layer.layers if type(each).__name__ != "InputLayer"), None)
        return [layer is not None and layer.reads_ids]
    readers = {id(symbol): node.layer for node in graph.nodes for symbol in node.inputs}
    return [bool(getattr(readers.get(id(symbol)), "reads_ids", False)) for symbol in graph.inputs]


def _sample_shape(
    model: Any, shape: Sequence[int | None], is_ids: bool, stream: bool, steps: int | None
) -> tuple[tuple[int, ...], bool]:
    """The shape of one sample of an input, and whether its first axis is the time of a stream."""
    sample = list(shape[1:])
    has_time = len(sample) >= (1 if is_ids else 2)
    if has_time and stream:
        sample[0] = 1
    elif has_time and steps is not None:
        if sample[0] not in (None, steps):
            raise ValueError(f"steps must be that of the model, {sample[0]}, or left out, got {steps}")
        sample[0] = steps
    if sample and sample[0] is None and has_time:
        raise ValueError(
            f"stream=False needs a number of time steps, got a model for inputs of shape {shape}: pass steps"
        )
    if None in sample:
        raise ValueError(f"model {model.name!r} must have inputs of a fixed number of features, got shape {shape}")
    return tuple(size for size in sample if size is not None), has_time and stream


def _vectors(model: Any, program: Program, samples: Sequence[tuple[int, ...]]) -> tuple[list[Array], list[Array], int]:
    """Inputs for the self-test, the outputs of the model for them, and the most terms of a sum times the steps."""
    generator = np.random.default_rng(TEST_SEED)
    inputs: list[Array] = []
    table_size = _smallest_table(program)
    for value, sample, shape in zip(program.inputs, samples, _input_shapes(model), strict=True):
        if program.stream and value not in program.steady_inputs:
            sample = (shape[1] or TEST_STEPS, *sample[1:])
        if value.kind == "ids":
            inputs.append(generator.integers(0, table_size, sample))
        else:
            inputs.append(generator.standard_normal(sample).astype(np.float32))
    expected = _predicted(model, program, inputs)
    steps = max((len(each) for each in inputs if each.ndim), default=1)
    terms = max((max(each.kernel.shape) for each in program.operations if hasattr(each, "kernel")), default=1)
    return inputs, expected, terms * steps


def _smallest_table(program: Program) -> int:
    return min((len(each.table) for each in program.operations if hasattr(each, "table")), default=1)


def _predicted(model: Any, program: Program, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of the model for one sample, those of a chain by its stream where it keeps states."""
    batch = [each[None] for each in inputs]
    if program.stream and any(getattr(layer, "stateful", False) for layer in model.layers):
        stream = model.stream()
        outputs = [stream.step(x)[0] for x in inputs[0][:, None]]
        steady = program.outputs[0] in program.steady_outputs
        return [np.asarray(outputs[-1] if steady else outputs, np.float32)]
    results = model.predict(batch[0] if len(batch) == 1 else batch, verbose=0)
    listed = [results] if isinstance(results, np.ndarray) else list(results)
    return [np.asarray(each[0], np.float32) for each in listed]
