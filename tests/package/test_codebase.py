"""Guards of the house: import floors, one door to the core, names that agree between the languages."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pyrnn
from pyrnn import backend, layers
from pyrnn.reference.recurrent import CELLS

PACKAGE = Path(pyrnn.__file__).parent
SOURCE = Path(__file__).parents[2]

# Lower floors first; a module may import from its own floor and from those below it.
FLOORS = [
    {
        "absent",
        "arguments",
        "config",
        "custom_objects",
        "descriptions",
        "explaining",
        "jsonable",
        "kinds",
        "naming",
        "overriding",
        "registry",
        "seeds",
        "signals",
        "states",
        "validation",
    },
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
    {
        "not_finite",
        "trainer",
        "keras2",
        "callbacks",
        "compiled",
        "files",
        "fitting",
        "resume",
        "shapes",
        "stages",
        "streaming",
        "summary",
    },
    {"keras_objects", "model", "models", "plan", "sequential"},
    {"saving", "utils"},
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


def public_things(module: str) -> Iterator[tuple[str, Any]]:
    """The module, its public classes and functions, and what is public in these classes."""
    loaded = importlib.import_module(module)
    yield module, loaded
    for name, thing in vars(loaded).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module:
            continue
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield f"{module}.{name}", thing
        for member in vars(thing) if inspect.isclass(thing) else ():
            part = getattr(thing, member, None)  # names of Keras that are absent raise
            if not member.startswith("_") and (inspect.isroutine(part) or isinstance(part, property)):
                yield f"{module}.{name}.{member}", part


MODULE_NAMES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in MODULES
    if path.name != "__main__.py"
)

DESCRIBED_IN_STUB = {
    node.name
    for node in ast.walk(ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8")))
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
}


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_public_names_have_docstrings(module: str) -> None:
    """Overriding methods may inherit them; the twins of the core's operations have theirs in `_core.pyi`."""
    bare = [name for name, thing in public_things(module) if not inspect.getdoc(thing)]
    if module.startswith("pyrnn.reference."):
        bare = [name for name in bare if name.rsplit(".")[-1] not in DESCRIBED_IN_STUB]
    assert not bare


def test_every_operation_is_described_in_the_stub() -> None:
    assert set(backend.OPERATIONS) <= DESCRIBED_IN_STUB


def test_every_kernel_activation_has_a_python_name() -> None:
    from pyrnn import activations

    header = (SOURCE / "csrc/abi/problem.hpp").read_text()
    table = header.split("kActivationNames[] = {")[1].split("};")[0]
    names = re.findall(r'"(\w+)"', table)
    assert len(names) > 20
    for name in names:
        assert activations.get(name).__name__ == name


def test_import_is_light(uncounted: dict[str, str]) -> None:
    code = (
        "import sys, pyrnn; print(*[m for m in ('h5py', 'rich', 'matplotlib', 'multiprocessing') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]  # coverage.py imports one of them itself
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env=uncounted)
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
