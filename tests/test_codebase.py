"""Guards of the house: import floors, one door to the core, names that agree between the languages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyrnn
from pyrnn import backend, layers
from pyrnn.reference.recurrent import CELLS

PACKAGE = Path(pyrnn.__file__).parent
SOURCE = Path(__file__).parent.parent

# Lower floors first; a module may import from its own floor and from those below it.
FLOORS = [
    {"arguments", "config", "validation", "seeds", "registry", "naming"},
    {"_core", "reference"},
    {"backend"},
    {
        "activations",
        "initializers",
        "regularizers",
        "constraints",
        "losses",
        "metrics",
        "optimizers",
        "parameters",
        "data",
        "preprocessing",
    },
    {"layers"},
    {"trainer", "callbacks", "compiled", "resume", "streaming", "utils"},
    {"models", "saving"},
    {"summary"},
    {"cli", "demo", "bench", "datasets", "wrappers", "keras_shim", "__main__", "__init__"},
]
FLOOR_OF = {name: level for level, names in enumerate(FLOORS) for name in names}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_at_load(path: Path) -> set[str]:
    """Parts of pyrnn that `path` imports when it is loaded (not inside functions, not for types only)."""
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.parse(path.read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pyrnn.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "pyrnn":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyrnn."):
            found.add(str(node.module).split(".")[1])
        pending.extend(ast.iter_child_nodes(node))
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    assert part in FLOOR_OF, f"{part} has no floor: add it to FLOORS"
    if part == "__init__":
        return
    upward = {name for name in imports_at_load(path) & FLOOR_OF.keys() if FLOOR_OF[name] > FLOOR_OF[part]}
    assert not upward, f"{path.name} (floor {FLOOR_OF[part]}) imports upwards: {sorted(upward)}"


def test_only_backend_imports_the_implementations() -> None:
    for path in MODULES:
        if part_of(path) in {"backend", "reference"}:
            continue
        assert not imports_at_load(path) & {"_core", "reference"}, path


def test_core_and_reference_have_every_operation() -> None:
    from pyrnn import _core, reference

    for name in backend.OPERATIONS:
        assert hasattr(_core, name), f"_core lacks {name}"
        assert hasattr(reference, name), f"reference lacks {name}"


def test_every_kernel_activation_has_a_python_name() -> None:
    from pyrnn import activations

    header = (SOURCE / "csrc/abi/problem.hpp").read_text()
    table = header.split("kActivationNames[] = {")[1].split("};")[0]
    names = re.findall(r'"(\w+)"', table)
    assert len(names) > 20
    for name in names:
        assert activations.get(name).__name__ == name


def test_import_is_light() -> None:
    code = (
        "import sys, pyrnn; print(*[m for m in ('h5py', 'rich', 'matplotlib', 'multiprocessing') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == ""


def test_unknown_isa_is_refused_with_the_list() -> None:
    code = "import os; os.environ['PYRNN_ISA'] = 'v9'; import pyrnn.backend"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert result.returncode != 0
    assert "PYRNN_ISA must be one of" in result.stderr


def test_every_cell_stands_in_the_kernel_the_reference_and_a_layer() -> None:
    definitions = (SOURCE / "csrc/cells/cells.def").read_text(encoding="utf-8")
    kernel = re.findall(r'^PYRNN_CELL\(\w+, \w+, "(\w+)"', definitions, re.MULTILINE)
    made = [layers.SimpleRNN(1), layers.LSTM(1), layers.GRU(1), layers.GRU(1, reset_after=False)]
    assert kernel == list(CELLS) == [layer.cell for layer in made]
