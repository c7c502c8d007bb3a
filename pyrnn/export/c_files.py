"""The files of an exported model: header, source and self-test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import c_text
from pyrnn.export.program import Program, Value

Array = NDArray[Any]


class Source(NamedTuple):
    """A program in C, in one dtype.

    Args:
        constants: Definitions of the weights.
        functions: Definitions of the functions that `body` calls.
        body: The statements of one call, of the state `s`, the inputs and the outputs.
        headers: The headers that they need.
        flash: Bytes of the weights.
        number: The C type of inputs, outputs and memory.
        number_size: Its bytes.
        notes: Further lines for the comment at the top.
        public: Lines for the header: what it includes and defines.
    """

    constants: Sequence[str]
    functions: Sequence[str]
    body: str
    headers: Sequence[str]
    flash: int
    number: str = "float"
    number_size: int = 4
    notes: Sequence[str] = ()
    public: Sequence[str] = ()


def _type(value: Value, source: Source) -> str:
    return "int" if value.kind == "ids" else source.number


def _has_state(program: Program) -> bool:
    """Whether the functions take a state struct."""
    return bool(program.state_size or program.work_size or program.mask_size)


def _parameters(name: str, program: Program, source: Source, run: bool) -> str:
    """The parameters of `step`, or of `run`."""
    parts = []
    if _has_state(program):
        parts.append(f"{name}_state *s")
    parts += [f"const {_type(value, source)} *{value.name}" for value in program.inputs]
    if run and program.stream:
        parts.append("int steps")
    parts += [f"{source.number} *{value.name}" for value in program.outputs]
    return ", ".join(parts)


def ram(program: Program, source: Source) -> int:
    """Return the bytes of the state struct."""
    return (program.state_size + program.work_size) * source.number_size + program.mask_size


def description(name: str, model: str, program: Program, source: Source) -> list[str]:
    """Return the lines of the comment that heads both files."""
    per = "time step" if program.stream else "sequence"
    return [
        f"{name}: the model {model!r}, written by pyrnn.export.to_c. Do not edit.",
        "",
        f"Weights    {source.flash} bytes of constants (flash)",
        f"State      {ram(program, source)} bytes (RAM)",
        f"Work       {program.multiply_adds()} multiply-adds and {program.activations()} activations per {per}",
        *source.notes,
    ]


def header(name: str, model: str, program: Program, source: Source) -> str:
    """Return the text of the header."""
    upper = name.upper()
    lines = [
        c_text.comment(description(name, model, program, source)),
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        *source.public,
    ]
    for value in program.inputs:
        per = " of one time step" if program.stream and value not in program.steady_inputs else ""
        lines.append(f"#define {_size_name(upper, value)} {value.size} /* of {value.name}{per} */")
    for value in program.outputs:
        lines.append(f"#define {_size_name(upper, value)} {value.size} /* of {value.name} */")
    lines += ["", "#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    has_state = _has_state(program)
    if has_state:
        lines.append("typedef struct {")
        if program.state_size:
            lines.append(f"    {source.number} state[{program.state_size}]; /* kept from step to step */")
        if program.work_size:
            lines.append(f"    {source.number} work[{program.work_size}]; /* means nothing between calls */")
        if program.mask_size:
            lines.append(f"    unsigned char masks[{program.mask_size}];")
        lines += [f"}} {name}_state;", ""]
    if program.stream:
        last = "the last step" if all(value in program.steady_outputs for value in program.outputs) else "each step"
        if has_state:
            lines += [
                "/* Prepare the state; to be called once before the first step. */",
                f"void {name}_init({name}_state *s);",
                "/* Start a new sequence. */",
                f"void {name}_reset({name}_state *s);",
            ]
        lines += [
            "/* Take the next time step, and write the output for all steps so far. The arrays must not overlap. */",
            f"void {name}_step({_parameters(name, program, source, False)});",
            f"/* Take several steps, one after the other in the inputs, and write the output of {last}. */",
        ]
    else:
        lines.append("/* Compute the output for a whole sequence. The arrays must not overlap. */")
    lines.append(f"void {name}_run({_parameters(name, program, source, True)});")
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "#endif", ""]
    return "\n".join(lines)


def _size_name(upper: str, value: Value) -> str:
    return f"{upper}_{value.name.upper()}_SIZE"


def source_file(name: str, model: str, program: Program, source: Source) -> str:
    """Return the text of the source file."""
    has_state = _has_state(program)
    parts = [c_text.comment(description(name, model, program, source)), f'#include "{name}.h"\n']
    parts += [f"#include <{each}>\n" for each in source.headers]
    parts.append(
        "\n#ifdef __cplusplus\n#define RESTRICT __restrict\n#else\n#define RESTRICT restrict\n#endif\n"
        "#if defined(__GNUC__)\n#define ALIGNED __attribute__((aligned(64)))\n#else\n#define ALIGNED\n#endif\n"
        '#if defined(__FAST_MATH__)\n#error "compile this file without -ffast-math: its activations round with it"\n'
        "#endif\n"
        "/* Without this, GCC vectorizes comparisons of floats for few processors only. */\n"
        '#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC optimize ("no-trapping-math")\n#endif\n\n'
    )
    parts += [*source.constants, "\n", *(f"{text}\n" for text in source.functions)]
    if program.stream and has_state:
        reset = "    memset(s->state, 0, sizeof s->state);\n" if program.state_size else "    (void)s;\n"
        parts.append(f"void {name}_init({name}_state *s) {{\n    memset(s, 0, sizeof *s);\n}}\n\n")
        parts.append(f"void {name}_reset({name}_state *s) {{\n{reset}}}\n\n")
    function = "step" if program.stream else "run"
    parameters = _parameters(name, program, source, False)
    parts.append(f"void {name}_{function}({parameters}) {{\n{source.body}}}\n")
    if program.stream:
        arguments = (["s"] if has_state else []) + [
            value.name if value in steady else f"{value.name} + t * {value.size}"
            for values, steady in (
                (program.inputs, program.steady_inputs),
                (program.outputs, program.steady_outputs),
            )
            for value in values
        ]
        parameters = _parameters(name, program, source, True)
        parts.append(
            f"\nvoid {name}_run({parameters}) {{\n    for (int t = 0; t < steps; ++t) {{\n"
            f"        {name}_step({', '.join(arguments)});\n    }}\n}}\n"
        )
    return "".join(parts)


def self_test(
    name: str, program: Program, source: Source, inputs: Sequence[Array], expected: Sequence[Array], tolerance: float
) -> str:
    """Return the text of a program that runs the model on stored inputs and compares with stored outputs.

    Args:
        name: Prefix of the model's functions.
        program: The program.
        source: The program in C.
        inputs: For each input, one time step or sequence after the other.
        expected: For each output, what the model returns.
        tolerance: The largest difference that passes.
    """
    has_state = _has_state(program)
    lines = [f"/* Checks {name}.c against outputs of the model; prints the largest difference. */"]
    lines += [f'#include "{name}.h"', "", "#include <stdio.h>", ""]
    for value, array in zip(program.inputs, inputs, strict=True):
        if value.kind == "ids":
            texts = [str(int(each)) for each in np.asarray(array).reshape(-1)]
            lines.append(c_text.array(f"static const int {value.name}[{len(texts)}]", texts))
        else:
            lines.append(_numbers(f"static const {source.number} {value.name}[{array.size}]", array))
    for value, array in zip(program.outputs, expected, strict=True):
        lines.append(_numbers(f"static const {source.number} expected_{value.name}[{array.size}]", array))
        lines.append(f"static {source.number} {value.name}[{array.size}];")
    if has_state:
        lines.append(f"static {name}_state state;")
    arguments = ["&state"] if has_state else []
    arguments += [value.name for value in program.inputs]
    if program.stream:
        arguments.append(str(_steps(program, inputs)))
    arguments += [value.name for value in program.outputs]
    lines += ["", "int main(void) {", "    double worst = 0.0;"]
    if program.stream and has_state:
        lines.append(f"    {name}_init(&state);")
    lines.append(f"    {name}_run({', '.join(arguments)});")
    for value, array in zip(program.outputs, expected, strict=True):
        lines += [
            f"    for (int i = 0; i < {array.size}; ++i) {{",
            f"        const double apart = (double){value.name}[i] - (double)expected_{value.name}[i];",
            "        const double size = apart < 0.0 ? -apart : apart;",
            "        worst = size <= worst ? worst : size; /* a NaN too */",
            "    }",
        ]
    limit = repr(float(tolerance))
    lines += [
        f'    printf("{name}: off by %g, at most {limit} is allowed\\n", worst);',
        f"    return worst <= {limit} ? 0 : 1;",
        "}",
        "",
    ]
    return "\n".join(lines)


def _numbers(declaration: str, numbers: Array) -> str:
    """The definition of an array of floats, or of integers."""
    if numbers.dtype.kind == "f":
        return c_text.floats(declaration, numbers)
    return c_text.array(declaration, map(str, numbers.reshape(-1).tolist()))


def _steps(program: Program, inputs: Sequence[Array]) -> int:
    for value, array in zip(program.inputs, inputs, strict=True):
        if value not in program.steady_inputs:
            return int(array.size // value.size)
    return 1
