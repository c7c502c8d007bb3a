"""The C as compilers, sanitizers and valgrind see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from export.compiled import COMPILERS, STRICT, Exported, compile_all, library, needs_compiler, pointer
from export.test_models import drawn
from pyrnn import Input, Sequential, activations, layers
from pyrnn.export import c_activations, c_vectors, to_c

pytestmark = needs_compiler

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def self_tests(folder: Path, examples: Sequence[tuple[Any, Any]], stream: bool) -> list[Path]:
    """Export the models, and return the files of one program that runs all their self-tests."""
    names = [f"m{number}" for number in range(len(examples))]
    for name, (model, _) in zip(names, examples, strict=True):
        to_c(model, folder, name=name, stream=stream)
        test = folder / f"{name}_test.c"
        prefix = f'#ifdef __cplusplus\nextern "C"\n#endif\nint {name}_main(void);\n'
        test.write_text(test.read_text().replace("int main(void)", f"{prefix}int {name}_main(void)"))
    declared = "".join(f"int {name}_main(void);\n" for name in names)
    calls = " | ".join(f"{name}_main()" for name in names)
    (folder / "all.c").write_text(
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\n{declared}#ifdef __cplusplus\n}}\n#endif\n'
        f"int main(void) {{\n    return {calls};\n}}\n"
    )
    return sorted(folder.glob("*.c"))


def passes(command: Sequence[str | Path]) -> None:
    """Run a program, which must succeed."""
    result = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr[:4000]}"


@pytest.fixture
def sanitized(compiler: str, tmp_path: Path) -> None:
    """Skip the test if a compiler comes without its sanitizers, as Debian's clang does without libclang-rt-dev."""
    (tmp_path / "probe").mkdir()
    source = tmp_path / "probe" / "probe.c"
    source.write_text("int main(void) {\n    return 0;\n}\n")
    command = [compiler, *SANITIZERS, str(source), "-o", str(tmp_path / "probe" / "probe")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"{compiler} has no sanitizer library: install it, in Debian libclang-rt-dev")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "sequences"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_self_tests_in_c_with_sanitizers(compiler: str, stream: bool, sanitized: None, tmp_path: Path) -> None:
    files = self_tests(tmp_path, drawn("streams" if stream else "sequences", 4), stream)
    passes([compile_all(files, tmp_path / "all", compiler, "-std=c99", *STRICT, *SANITIZERS)])


@pytest.mark.parametrize("compiler", COMPILERS)
def test_self_tests_in_cpp(compiler: str, tmp_path: Path) -> None:
    files = self_tests(tmp_path, [*drawn("streams", 2), *drawn("graph streams", 2)], True)
    flags = ("-x", "c++", "-std=c++17", "-O1", *STRICT)
    passes([compile_all(files, tmp_path / "all", {"gcc": "g++", "clang": "clang++"}[compiler], *flags)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["streams", "sequences", "graph streams", "graph sequences"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_many_self_tests_with_sanitizers(compiler: str, kind: str, sanitized: None, tmp_path: Path) -> None:
    files = self_tests(tmp_path, drawn(kind, 80), kind.endswith("streams"))
    passes([compile_all(files, tmp_path / "all", compiler, "-std=c99", *STRICT, *SANITIZERS)])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.parametrize("kind", ["streams", "sequences"])
def test_self_tests_under_valgrind(kind: str, tmp_path: Path) -> None:
    files = self_tests(tmp_path, drawn(kind, 40), kind == "streams")
    program = compile_all(files, tmp_path / "all", COMPILERS[0], "-std=c99", "-O1", "-g", *STRICT)
    passes(["valgrind", "--error-exitcode=9", "-q", program])


def test_fastest_flags_give_the_same_numbers(tmp_path: Path) -> None:
    model = Sequential(
        [Input(shape=(None, 5)), layers.LSTM(21, return_sequences=True), layers.GRU(48), layers.Dense(3)]
    )
    to_c(model, tmp_path, name="m")
    x = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    expected = model.predict(x[None], verbose=0)[0]
    for compiler in COMPILERS:
        exported = Exported(tmp_path, "m", library(tmp_path, compiler, "-O3", "-march=native"))
        exported.init()
        (y,) = exported.run(x, sizes=[3], steps=30)
        assert_close(y, expected, 53 * 30)


def test_fast_math_is_rejected(tmp_path: Path) -> None:
    to_c(Sequential([Input(shape=(None, 2)), layers.LSTM(2)]), tmp_path, name="m")
    command = [COMPILERS[0], "-ffast-math", "-c", str(tmp_path / "m.c"), "-o", str(tmp_path / "m.o")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "compile this file without -ffast-math" in result.stderr


def test_nothing_is_called_but_string_functions(tmp_path: Path) -> None:
    to_c(Sequential([Input(shape=(None, 2)), layers.LSTM(20), layers.Dense(2, "softmax")]), tmp_path, name="m")
    text = (tmp_path / "m.c").read_text()
    assert re.findall(r"#include <(.*)>", text) == ["string.h", "immintrin.h", "xmmintrin.h"]
    guards = "#if defined(__GNUC__) && defined(__AVX__)\n#include <immintrin.h>\n"
    assert guards + "#elif defined(__GNUC__) && defined(__SSE__)\n#include <xmmintrin.h>\n#endif\n" in text
    compile_all([tmp_path / "m.c"], tmp_path / "m.o", COMPILERS[0], "-c", "-O2")
    symbols = subprocess.run(["nm", "-u", str(tmp_path / "m.o")], capture_output=True, text=True, check=True).stdout
    allowed = {"memcpy", "memset", "memmove", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert {line.split()[-1] for line in symbols.splitlines()} <= allowed


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "sequences"])
@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU])
def test_weights_beyond_the_first_cache(cell: Any, stream: bool, tmp_path: Path) -> None:
    """Every other step reads them backwards; blocks of 16 units, of 8, of 4 and a last one of fewer."""
    steps, units = 9, 79
    layer = cell(units, return_sequences=True)
    model = Sequential([Input((None, 5)), layer if stream else layers.Bidirectional(layer), layers.Dense(3)])
    model.set_weights([np.random.default_rng(1).normal(0, 0.2, each.shape) for each in model.get_weights()])
    source, *_ = to_c(model, tmp_path, name="m", stream=stream, **({} if stream else {"steps": steps}))
    assert ("const int turn" if stream else "t % 2") in Path(source).read_text()
    x = np.random.default_rng(0).standard_normal((steps, 5)).astype(np.float32)
    expected = model.predict(x[None], verbose=0)[0]
    flags = [("-std=c99", "-O1", *STRICT), ("-O3", "-march=native")]
    for number, (compiler, options) in enumerate((each, options) for each in COMPILERS for options in flags):
        (tmp_path / str(number)).mkdir()
        for name in ("m.c", "m.h"):
            shutil.copy(tmp_path / name, tmp_path / str(number) / name)
        exported = Exported(tmp_path, "m", library(tmp_path / str(number), compiler, *options))
        if stream:
            exported.init()
        (y,) = exported.run(x, sizes=[steps * 3], steps=steps if stream else None)
        assert_close(y.reshape(expected.shape), expected, (units + 5) * steps)


def ulps(actual: Any, expected: Any) -> float:
    """Return the largest error in units of the last place of the expected float32."""
    spacing = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    return float((np.abs(actual.astype(np.float64) - expected) / np.maximum(spacing, np.finfo(np.float32).tiny)).max())


EXACT = {"exponential": np.exp, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


@pytest.mark.parametrize("lanes", c_vectors.LANES.values())
def test_vectors_are_within_4_ulp(lanes: str, tmp_path: Path) -> None:
    names = [name for name in EXACT if name in c_activations.VECTOR_BODIES]
    text = "#include <string.h>\n" + c_vectors.INCLUDE + c_vectors.TYPES + c_vectors.basics(lanes)
    for name in names:
        text += c_vectors.activation(name, lanes) + (
            f"void all_{name}(const float *x, float *y, int n) {{\n    int i;\n"
            f"    for (i = 0; i < n; i += (int)(sizeof({lanes}) / sizeof(float))) {{\n"
            f"        const {lanes} result = {name}_{lanes}(load_{lanes}(x + i));\n"
            "        memcpy(y + i, &result, sizeof result);\n    }\n}\n"
        )
    generator = np.random.default_rng(0)
    size = 1 << 16
    x = (np.exp2(generator.uniform(-30, 6.4, size)) * generator.choice([-1, 1], size)).astype(np.float32)
    special = np.resize(np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30], np.float32), 16)
    for number, flags in enumerate([("-std=c99", "-O1", *STRICT[:-1]), ("-O3", "-march=native")]):
        for compiler in COMPILERS:
            folder = tmp_path / f"{number}{compiler}"
            folder.mkdir()
            (folder / "v.c").write_text(text)
            shared = library(folder, compiler, *flags)
            for name in names:
                for values in (x, special):
                    y = np.empty_like(values)
                    getattr(shared, f"all_{name}")(pointer(values), pointer(y), values.size)
                    with np.errstate(over="ignore"):
                        expected = EXACT[name](values.astype(np.float64))
                    assert (np.isnan(y) == np.isnan(values)).all()
                    normal = ~np.isnan(values) & (np.abs(values) < 88)
                    assert ulps(y[normal], expected[normal]) <= 4, (name, lanes, compiler, flags)
                    assert np.abs(y - expected)[~np.isnan(values)].max() < 1e-6


def test_own_polynomials_are_within_4_ulp(tmp_path: Path) -> None:
    width = 4096
    for name in EXACT:
        to_c(Sequential([Input(shape=(1, width)), layers.Activation(name)]), tmp_path, name=name)
    shared = {compiler: library(tmp_path, compiler, "-O2", "-std=c99") for compiler in COMPILERS}
    shared |= {f"{each} native": library(tmp_path, each, "-O3", "-march=native") for each in COMPILERS}
    generator = np.random.default_rng(0)
    for name, exact in EXACT.items():
        exponents = generator.uniform(-30, 6.4, (12, width))  # sigmoid and exp stay normal numbers
        x = (np.exp2(exponents) * generator.choice([-1, 1], exponents.shape)).clip(-87, 87).astype(np.float32)
        expected = exact(x.astype(np.float64))
        for compiler, library_of in shared.items():
            exported = Exported(tmp_path, name, library_of)
            actual = np.array([exported.step(row, sizes=[width])[0] for row in x])
            assert ulps(actual, expected) <= 4, f"{name} with {compiler}"


def test_activations_at_their_ends(tmp_path: Path) -> None:
    """Infinities, zeros and NaN come out as from `pyrnn.activations`."""
    ends = np.array(
        [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 0.5, -0.5, 6.0, 7.0, 100.0, -100.0, 1e30, -1e30, np.nan], np.float32
    )
    names = [name for name in activations.NAMES if name not in ("softmax", "log_softmax", "sparsemax", "glu", "linear")]
    for name in names:
        to_c(Sequential([Input(shape=(1, ends.size)), layers.Activation(name)]), tmp_path, name=f"f_{name}")
    shared = library(tmp_path)
    for name in names:
        (y,) = Exported(tmp_path, f"f_{name}", shared).step(ends, sizes=[ends.size])
        with np.errstate(over="ignore", invalid="ignore"):
            np.testing.assert_allclose(y, activations.get(name)(ends), rtol=2e-6, atol=1e-37, err_msg=name)
