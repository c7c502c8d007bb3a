"""Models in integers: C against NumPy bit by bit, and the error against the model."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from export.compiled import COMPILERS, STRICT, Exported, compile_all, library, needs_compiler
from export.generated import joined_masks
from export.integers import Twin, run_c
from export.test_models import KINDS, drawn
from pyrnn import Input, Model, Sequential, layers
from pyrnn.export import to_c
from pyrnn.export.c_float import Writer
from pyrnn.export.c_int8 import IntegerWriter
from pyrnn.export.c_lines import Lines
from pyrnn.export.program import Operation

# The message for drawn models that int8 cannot express.
ABSENT = r"there are no integers for"


def check(folder: Path, kind: str, examples: list[tuple[Any, Any]], *flags: str) -> int:
    """Compile the models that int8 takes and compare all bits, also where numbers saturate; returns how many."""
    stream = KINDS[kind][1]
    twins: list[Twin] = []
    for model, x in examples:
        name = f"m{len(twins)}"
        try:
            to_c(model, folder, name=name, dtype="int8", calibration=x[None], stream=stream)
        except ValueError as error:
            assert re.search(ABSENT, str(error)), error
            assert not (folder / f"{name}.c").exists()
            continue
        twins.append(Twin(model, x[None], stream))
    shared = library(folder, COMPILERS[0], *flags)
    for number, twin in enumerate(twins):
        exported = Exported(folder, f"m{number}", shared)
        for x in (twin.inputs(), twin.inputs(0.5), twin.inputs(1e6)):
            expected = twin.run(x)
            results = run_c(exported, twin, x, [each.size for each in expected])
            for result, each in zip(results, expected, strict=True):
                assert (result == each).all(), f"m{number} in {folder}"
    return len(twins)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_models(kind: str, tmp_path: Path) -> None:
    assert check(tmp_path, kind, drawn(kind, 5)) >= 3


@needs_compiler
@pytest.mark.parametrize("kind", ["graph streams", "graph sequences"])
def test_joined_masks(kind: str, tmp_path: Path) -> None:
    assert check(tmp_path, kind, [joined_masks()]) == 1


@pytest.mark.parametrize("writer", [Writer, IntegerWriter])
def test_every_operation_has_c(writer: type[Lines]) -> None:
    kinds = [each.__name__ for each in Operation.__subclasses__()]
    assert [each for each in kinds if not hasattr(writer, f"_{each.lower()}")] == []


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_models(kind: str, tmp_path: Path) -> None:
    flags = ("-std=c99", "-O1", *STRICT, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    assert check(tmp_path, kind, drawn(kind, 160), *flags) >= 80


def chain(*stack: Any, features: int = 5, steps: int | None = None) -> Any:
    """A chain of layers after an input of sequences."""
    return Sequential([Input((steps, features)), *stack])


def sines(features: int = 5, steps: int = 24, rows: int = 16) -> Any:
    """Smooth series with noise."""
    generator = np.random.default_rng(3)
    phase = generator.uniform(0, 6, (rows, 1, features))
    return np.sin(phase + np.arange(steps)[:, None] / 3) + generator.normal(0, 0.1, (rows, steps, features))


ACCURATE: dict[str, tuple[Any, bool]] = {
    "SimpleRNN": (lambda: [layers.SimpleRNN(16), layers.Dense(1)], True),
    "SimpleRNN relu": (lambda: [layers.SimpleRNN(8, "relu"), layers.Dense(1)], True),
    "LSTM": (lambda: [layers.LSTM(16), layers.Dense(1)], True),
    "LSTM hard_sigmoid": (lambda: [layers.LSTM(9, "softsign", "hard_sigmoid"), layers.Dense(1)], True),
    "GRU": (lambda: [layers.GRU(16), layers.Dense(1)], True),
    "GRU reset before": (lambda: [layers.GRU(16, reset_after=False), layers.Dense(1)], True),
    "stack": (lambda: [layers.LSTM(8, return_sequences=True), layers.GRU(8), layers.Dense(3, "softmax")], True),
    "causal": (lambda: [layers.Conv1D(6, 3, padding="causal", activation="elu"), layers.GRU(8)], True),
    "norm": (lambda: [layers.Dense(8), layers.LayerNormalization(), layers.BatchNormalization(), layers.LSTM(4)], True),
    "both": (lambda: [layers.Bidirectional(layers.LSTM(6, return_sequences=True)), layers.Dense(2)], False),
    "pool": (lambda: [layers.Conv1D(6, 3), layers.MaxPooling1D(2), layers.GlobalAveragePooling1D()], False),
}


@pytest.mark.parametrize("case", ACCURATE)
def test_error_is_small(case: str) -> None:
    """At most 2 % of the largest output, and 0.6 % of it as root mean square."""
    stack, stream = ACCURATE[case]
    x = sines()
    model = chain(*stack(), steps=None if stream else x.shape[1])
    (output,) = pyrnn.export.report(model, x, stream=stream).outputs
    y = model.predict(x, verbose=0)
    assert output.range == pytest.approx(float(np.abs(y).max()), rel=1e-4)
    assert output.largest <= 0.02 * output.range
    assert output.rms <= 0.006 * output.range


SANITIZED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *STRICT)
LANGUAGES = {
    "C99": ("gcc", "-std=c99", *SANITIZED),
    "C++17": ("g++", "-std=c++17", "-x", "c++", *SANITIZED),
    "Clang": ("clang", "-std=c99", "-O2", *STRICT),
}


@pytest.mark.parametrize("case", ["stack", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_strict_compilers_and_sanitizers(language: str, case: str, tmp_path: Path) -> None:
    """Strict compilers take the files, and the self-test finds all bits equal without an error of the sanitizers."""
    compiler, *flags = LANGUAGES[language]
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    x = sines()
    for number, (stack, stream) in enumerate([ACCURATE[case]] if case != "all" else ACCURATE.values()):
        name = f"m{number}"
        model = chain(*stack(), steps=None if stream else x.shape[1])
        to_c(model, tmp_path, name=name, dtype="int8", calibration=x, stream=stream)
        program = compile_all([tmp_path / f"{name}.c", tmp_path / f"{name}_test.c"], tmp_path / name, compiler, *flags)
        result = subprocess.run([str(program)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "off by 0, " in result.stdout


def test_state_does_not_drift() -> None:
    """Thousands of steps: the error stays as small as in the first ones."""
    x = sines(steps=3000, rows=2)
    model = chain(layers.LSTM(8, return_sequences=True), layers.Dense(1))
    twin = Twin(model, x, stream=True)
    y = model.predict(x[:1], verbose=0)[0, :, 0]
    fixed = twin.run(twin.inputs())[0] * 2.0 ** -twin.integer.fractions[twin.program.outputs[0]]
    assert np.abs(fixed - y)[-500:].max() <= 0.02 * np.abs(y).max()


def test_columns_that_need_several_sums() -> None:
    """More products than an int32 holds."""
    model = chain(layers.Dense(3), features=1300)
    x = np.ones((1, 2, 1300))
    for weight in model.weights[:1]:
        weight.assign(np.ones(weight.shape, np.float32))
    (output,) = pyrnn.export.report(model, x).outputs
    assert output.range == 1300
    assert output.largest < 1


def test_report_as_a_table() -> None:
    x = sines()
    model = chain(layers.LSTM(16, name="memory"), layers.Dense(1, name="head"))
    result = pyrnn.export.report(model, x)
    assert [each.name for each in result.layers] == ["'memory' (LSTM)", "'head' (Dense)"]
    assert result.layers[-1].largest >= result.outputs[0].largest  # of all steps, and of the last one
    assert result.float32_flash == 4 * model.count_params()
    assert "output" in str(result)
    assert f"constants {result.flash} bytes" in str(result)


def test_report_on_other_data() -> None:
    """What leaves the range of the calibration saturates."""
    x = sines()
    model = chain(layers.Dense(2, "linear"))
    inside = pyrnn.export.report(model, x).outputs[0]
    outside = pyrnn.export.report(model, 10 * x, calibration=x).outputs[0]
    assert outside.largest > 20 * inside.largest


def test_report_rejects_steps_of_a_stream() -> None:
    with pytest.raises(ValueError, match="steps is for whole sequences"):
        pyrnn.export.report(chain(layers.GRU(3)), sines(), steps=24)


def test_two_inputs_and_outputs() -> None:
    first, second = Input((6, 3)), Input((6, 2))
    y = layers.Concatenate()([layers.LSTM(4, return_sequences=True)(first), layers.Dense(3)(second)])
    model = Model([first, second], [layers.Dense(2)(y), layers.GRU(3)(y)])
    x = [sines(3, 6), sines(2, 6)]
    result = pyrnn.export.report(model, x)
    assert [each.name for each in result.outputs] == ["output 0", "output 1"]
    assert all(each.largest < 0.03 * each.range for each in result.outputs)


def test_rejected(tmp_path: Path) -> None:
    """By name, and no file is written."""
    x = sines()
    model = chain(layers.Dense(4), layers.Activation("sparsemax", name="sparse"))
    message = r"layer 'sparse' \(Activation\) cannot be exported with dtype='int8': there are no integers"
    with pytest.raises(ValueError, match=message):
        to_c(model, tmp_path, dtype="int8", calibration=x)
    model = chain(layers.LSTM(3, name="memory"))
    model.layers[-1].kernel.assign(np.full((5, 12), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"layer 'memory' \(LSTM\) cannot be exported.*: a weight is NaN"):
        to_c(model, tmp_path, dtype="int8", calibration=x)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "calibration must be data for the model"),
        (np.zeros((2, 5)), r"calibration must have shape \(batch, time, 5\)"),
        (np.zeros((2, 0, 5)), r"none of it empty"),
        (np.full((2, 3, 5), np.nan), "calibration must be finite"),
        ([["a"]], "calibration must be an array of numbers"),
    ],
)
def test_bad_calibration(calibration: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        to_c(chain(layers.GRU(3)), tmp_path, dtype="int8", calibration=calibration)
    assert not list(tmp_path.iterdir())


def test_calibration_is_for_int8(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="calibration is for dtype='int8', got dtype='float32'"):
        to_c(chain(layers.GRU(3)), tmp_path, calibration=sines())
