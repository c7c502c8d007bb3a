"""Which kernels a processor runs, and which of them PYRNN_ISA may choose."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pyrnn import _core

on_x86 = pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="needs an x86-64 processor")
on_linux = pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux's /proc/cpuinfo")

# Numbers of bits, from Intel's manual of the instruction cpuid, with the names of /proc/cpuinfo: what each level adds,
# of the instructions that cmake/isas.cmake turns on.
LEAF_1 = {"pni": 0, "ssse3": 9, "sse4_1": 19, "sse4_2": 20, "popcnt": 23, "fma": 12, "avx": 28, "f16c": 29}
LEAF_7 = {
    "bmi1": 3,
    "avx2": 5,
    "bmi2": 8,
    "avx512f": 16,
    "avx512dq": 17,
    "avx512cd": 28,
    "avx512bw": 30,
    "avx512vl": 31,
}
EXTENDED_1 = {"abm": 5}
SAVED = {"xmm": 1, "ymm": 2, "masks": 5, "zmm": 6, "zmm16": 7}
REGISTERS = (LEAF_1 | {"osxsave": 27}, LEAF_7, EXTENDED_1, SAVED)
SECOND = {"pni", "ssse3", "sse4_1", "sse4_2", "popcnt"}
THIRD = {"fma", "avx", "f16c", "bmi1", "avx2", "bmi2", "abm", "osxsave", "xmm", "ymm"}
FOURTH = {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl", "masks", "zmm", "zmm16"}
EVERYTHING = SECOND | THIRD | FOURTH


def level(names: set[str]) -> int:
    """Return the level of a processor that has just these."""
    return _core.x86_level(*(sum(1 << bit for name, bit in bits.items() if name in names) for bits in REGISTERS))


@pytest.mark.parametrize("added, expected", [(set(), 1), (SECOND, 2), (SECOND | THIRD, 3), (EVERYTHING, 4)])
def test_a_level_needs_what_its_kernels_use(added: set[str], expected: int) -> None:
    assert level(added) == expected
    for missing in added:
        below = 1 if missing in SECOND else 2 if missing in THIRD else 3
        assert level(added - {missing}) == below, missing


def test_other_bits_change_nothing() -> None:
    assert _core.x86_level(*[2**32 - 1] * 4) == 4
    needed = [sum(1 << bit for bit in bits.values()) for bits in REGISTERS]
    assert _core.x86_level(*(2**32 - 1 - bits for bits in needed)) == 1


@on_linux
@on_x86
def test_the_processor_says_what_the_system_says() -> None:
    """Linux drops the flags of registers that it does not save, so both bits and saved registers are compared."""
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    for bits, register in zip((LEAF_1, LEAF_7, EXTENDED_1), _core.processor_bits(), strict=False):
        for name, bit in bits.items():
            assert bool(register >> bit & 1) == (name in flags), name
    saved = {"osxsave"} if "xsave" in flags else set()
    saved |= {"xmm", "ymm"} if "avx" in flags else set()
    saved |= {"masks", "zmm", "zmm16"} if "avx512f" in flags else set()
    assert _core.x86_level(*_core.processor_bits()) == level(EVERYTHING & (set(flags) | saved))


@on_x86
def test_the_kernels_of_every_level_of_this_processor_are_available() -> None:
    runs = [f"v{number}" for number in range(_core.x86_level(*_core.processor_bits()), 1, -1)]
    available = [isa for isa in _core.available_isas() if isa != "generic"]
    assert available == [isa for isa in runs if isa in available]
    if "v2" in available:  # not one of the builds for a test, which have few ISAs
        assert available == runs


def isa_in_a_process(name: str) -> subprocess.CompletedProcess[str]:
    """Import the core where PYRNN_ISA has this value and print the ISA it chooses."""
    command = [sys.executable, "-c", "from pyrnn import backend; print(backend.isa())"]
    return subprocess.run(command, env={**os.environ, "PYRNN_ISA": name}, capture_output=True, text=True, cwd="/")


@pytest.mark.parametrize("isa", ["", *_core.available_isas()])
def test_the_variable_chooses(isa: str) -> None:
    assert isa_in_a_process(isa).stdout.split() == [isa or _core.available_isas()[0]]


@pytest.mark.parametrize(
    "isa", ["v9", "V2", *sorted({"v2", "v3", "v4", "neon", "generic"} - set(_core.available_isas()))]
)
def test_the_variable_cannot_choose_what_is_not_available(isa: str) -> None:
    result = isa_in_a_process(isa)
    assert result.returncode != 0
    expected = f"PYRNN_ISA must be one of {', '.join(_core.available_isas())} on this machine, got '{isa}'"
    assert expected in result.stderr
