"""C files as functions of arrays: many models are compiled in one call of a compiler and called through ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
COMPILERS = [each for each in ("gcc", "clang") if shutil.which(each)]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler: install gcc or clang")
# More than any state of a test; filled with what a state must not depend on before init.
STATE_BYTES = 1 << 18


def compile_all(sources: Sequence[Path], output: Path, compiler: str, *flags: str) -> Path:
    """Compile and link files; fails the test with what the compiler says."""
    command = [compiler, *flags, *map(str, sources), "-o", str(output), "-lm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr[:4000]}"
    return output


def library(folder: Path, compiler: str = COMPILERS[0] if COMPILERS else "cc", *flags: str) -> ctypes.CDLL:
    """Compile the models in a folder, all but their self-tests, as one library."""
    sources = [each for each in sorted(folder.glob("*.c")) if not each.stem.endswith("_test")]
    flags = flags or ("-std=c99", "-O1", *STRICT)
    return ctypes.CDLL(str(compile_all(sources, folder / f"{compiler}.so", compiler, "-shared", "-fPIC", *flags)))


class Exported:
    """An exported model in a library."""

    def __init__(self, folder: Path, name: str, shared: ctypes.CDLL) -> None:
        self.name, self.shared = name, shared
        self.has_state = f"{name}_state" in (folder / f"{name}.h").read_text()
        self.state = ctypes.create_string_buffer(b"\xa5" * STATE_BYTES, STATE_BYTES)

    def _call(self, function: str, *arguments: Any) -> None:
        state = [self.state] if self.has_state else []
        getattr(self.shared, f"{self.name}_{function}")(*state, *arguments)

    def init(self) -> None:
        """Prepare the state."""
        if self.has_state:
            self._call("init")

    def reset(self) -> None:
        """Start a new sequence."""
        if self.has_state:
            self._call("reset")

    def step(self, *inputs: Array, sizes: Sequence[int]) -> list[Array]:
        """Run one time step; returns outputs of these sizes."""
        outputs = [np.full(size, np.nan, np.float32) for size in sizes]
        self._call("step", *map(pointer, inputs), *map(pointer, outputs))
        return outputs

    def run(self, *inputs: Array, sizes: Sequence[int], steps: int | None = None) -> list[Array]:
        """Run a sequence, or steps of a stream; returns outputs of these sizes."""
        outputs = [np.full(size, np.nan, np.float32) for size in sizes]
        count = [] if steps is None else [ctypes.c_int(steps)]
        self._call("run", *map(pointer, inputs), *count, *map(pointer, outputs))
        return outputs


def pointer(array: Array) -> Any:
    """Return the address of an array, for ctypes."""
    assert array.flags.c_contiguous
    assert array.dtype in (np.float32, np.intc)
    return array.ctypes.data_as(ctypes.c_void_p)
