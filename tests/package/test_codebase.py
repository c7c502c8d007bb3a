"""Guards of the house: import order, one door to the core, names that agree between the languages."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import import_order
import pytest

import pyrnn
from pyrnn import backend, keras_shim, layers
from pyrnn.reference.activations import ACTIVATIONS
from pyrnn.reference.recurrent import CELLS

SOURCE = Path(__file__).parents[2]

# Modules that import others by computed names, with these others: the lazy package itself, and the shim's table.
COMPUTED = {
    "pyrnn": {*pyrnn._NAMES.values(), *(f"pyrnn.{name}" for name in pyrnn._SUBMODULES)},
    "pyrnn.keras_shim": {f"pyrnn.{name}" for name in keras_shim.MODULES},
}


def imports(module: str) -> set[str]:
    """The modules that a module imports, whatever way and whenever it does."""
    if module in COMPUTED:
        with pytest.raises(ValueError, match="import_module"):
            set(import_order.imports(module))
        return COMPUTED[module]
    return set(import_order.imports(module))


def test_every_module_is_in_the_import_order() -> None:
    entries = {import_order.entry(module) for module in import_order.MODULES} | {"_core"}
    assert entries == import_order.ORDER.keys(), "tests/import_order.txt has one line for each module or package"


@pytest.mark.parametrize("module", import_order.MODULES)
def test_imports_point_downwards(module: str) -> None:
    """Imports inside functions too."""
    order = list(import_order.ORDER)
    entry = import_order.entry(module)
    below = {*order[: order.index(entry)], entry}
    upwards = {name for name in imports(module) if import_order.entry(name) not in below}
    assert not upwards, f"{module} imports from above itself in tests/import_order.txt"


def test_no_modules_import_each_other() -> None:
    graph = {module: imports(module) - {module} for module in import_order.MODULES}
    assert import_order.cycle(graph) == []


def test_the_page_has_the_import_order() -> None:
    page = import_order.PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}` | {purpose} |" in page for name, purpose in import_order.ORDER.items())
    assert import_order.written(page) == page, "run python tests/import_order.py"


def test_the_reader_of_imports_sees_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import pyrnn.seeds\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from pyrnn.models import Sequential\n"
        "def function():\n    from pyrnn import config\n    from pyrnn.losses.base import Loss\n"
    )
    monkeypatch.setitem(import_order.MODULES, "pyrnn.data.module", module)
    seen = set(import_order.imports("pyrnn.data.module"))
    assert seen == {"pyrnn.seeds", "pyrnn.config", "pyrnn.losses", "pyrnn.losses.base"}
    module.write_text("import importlib\ndef function(name):\n    importlib.import_module(name)\n")
    with pytest.raises(ValueError, match=r"line 3: importlib\.import_module"):
        set(import_order.imports("pyrnn.data.module"))
    assert import_order.cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]


def test_only_backend_imports_the_implementations() -> None:
    for module in import_order.MODULES:
        if import_order.entry(module) not in {"backend", "reference"}:
            assert not {import_order.entry(name) for name in imports(module)} & {"_core", "reference"}, module


def test_core_and_reference_have_the_same_operations() -> None:
    from pyrnn import _core, reference

    asks_the_machine = {"usable_cores", "processor_bits", "x86_level", "call_cost", "rehearse"}
    asks_the_machine |= {name for name in vars(backend) if inspect.isfunction(getattr(backend, name))}
    assert set(backend.OPERATIONS) == {name for name in vars(_core) if not name.startswith("_")} - asks_the_machine
    for name in backend.OPERATIONS:
        assert hasattr(reference, name), f"reference lacks {name}"


def test_a_core_older_than_the_sources_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrnn import _core

    monkeypatch.delattr(_core, "adam_step")
    with pytest.raises(ImportError, match="older than its sources and lacks adam_step: type `pip install"):
        backend.use_backend("core")
    assert backend.current_backend() == "core"


def test_every_kernel_activation_has_a_python_name() -> None:
    from pyrnn import activations

    definitions = (SOURCE / "csrc/abi/activations.def").read_text(encoding="utf-8")
    names = re.findall(r'^PYRNN_(?:ROW_)?ACTIVATION\(\w+, "(\w+)"', definitions, re.MULTILINE)
    assert len(names) > 20
    for name in names:
        assert activations.get(name).__name__ == name
    assert activations.NAMES == list(ACTIVATIONS) == [*names, "glu"]


def test_import_is_light(uncounted: dict[str, str]) -> None:
    modules = ("h5py", "rich", "matplotlib", "multiprocessing", "zipfile", "lzma")
    code = f"import sys, numpy, pyrnn.models; print(*[m for m in {modules} if m in sys.modules])"
    command = [sys.executable, "-c", code]  # coverage.py imports one of them itself
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env=uncounted)
    assert result.stdout.strip() == ""


def test_an_unknown_isa_is_rejected_with_the_list() -> None:
    code = "import os; os.environ['PYRNN_ISA'] = 'v9'; import pyrnn.backend"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert result.returncode != 0
    assert "PYRNN_ISA must be one of" in result.stderr


def test_every_cell_is_in_the_kernel_the_reference_and_a_layer() -> None:
    definitions = (SOURCE / "csrc/cells/cells.def").read_text(encoding="utf-8")
    kernel = re.findall(r'^PYRNN_CELL\(\w+, \w+, "(\w+)"', definitions, re.MULTILINE)
    made = [layers.SimpleRNN(1), layers.LSTM(1), layers.GRU(1), layers.GRU(1, reset_after=False)]
    assert kernel == list(CELLS) == [layer.cell for layer in made]
