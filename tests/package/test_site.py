"""The documentation site names every public thing and describes it; `.ci/site` builds it with warnings as errors."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import import_order
import pytest

import pyrnn

DOCS = Path(__file__).parents[2] / "docs"
# Used by pyrnn itself, and documented where users meet what they return.
INTERNAL = {"pyrnn.descriptions", "pyrnn.export.footprint", "pyrnn.forecasting.heads"}


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


api_pages = load(DOCS / "api_pages.py")
plot_summary = load(DOCS.parent / "benchmarks" / "plot_summary.py")
MODULES = [f"pyrnn.{name}" for name in api_pages.modules()]


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module: str) -> None:
    names = dict(api_pages.public(importlib.import_module(module)))
    assert [name for name, thing in names.items() if not api_pages.documentation(thing)] == []


def test_names_of_the_package_have_pages() -> None:
    pages = {id(thing) for name in MODULES for _, thing in api_pages.public(importlib.import_module(name))}
    missing = [name for name in pyrnn._NAMES if id(getattr(pyrnn, name)) not in pages]
    for name in import_order.MODULES:
        if name in INTERNAL or name.startswith(("pyrnn.reference", "pyrnn.__main__")):
            continue
        module = importlib.import_module(name)
        for each in getattr(module, "__all__", ()):
            thing = getattr(module, each)
            if (inspect.isclass(thing) or inspect.isroutine(thing)) and id(thing) not in pages:
                missing.append(f"{name}.{each}")
    assert missing == []


def test_every_page_of_the_guide_is_listed() -> None:
    pages = {path.stem for path in (DOCS / "guide").glob("*.md")}
    table, site = ((DOCS / name).read_text(encoding="utf-8") for name in ("README.md", "index.md"))
    assert [page for page in sorted(pages) if f"(guide/{page}.md)" not in table] == []
    assert [page for page in sorted(pages) if f"\nguide/{page}\n" not in site] == []


def test_an_undocumented_name_is_noticed() -> None:
    assert api_pages.documentation(type("Silent", (), {"__doc__": None, "__module__": "pyrnn.x"})) == ""
    assert api_pages.documentation(pyrnn.backend.Workspace).startswith("Scratch memory")


def test_the_picture_of_the_readme_has_a_panel_for_each_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    summary = DOCS.parent / "benchmarks" / "summary.json"
    results = json.loads(summary.read_text(encoding="utf-8"))["results"]
    assert [result["name"] for result in results] == list(plot_summary.TITLES)
    monkeypatch.setattr("sys.argv", ["plot_summary.py", str(summary), str(tmp_path / "x.png")])
    plot_summary.main()
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_bars_begin_with_pyrnn_and_show_the_fastest_backend_of_keras() -> None:
    medians = {"Keras/JAX": 3.0, "PyTorch": 2.5, "Keras/TensorFlow": 2.0, "pyrnn": 2.2}
    assert plot_summary.bars(medians) == [("pyrnn", 2.2), ("Keras on TensorFlow", 2.0), ("PyTorch", 2.5)]
    assert plot_summary.time_of(1.36e-6) == "1.36 µs" and plot_summary.time_of(0.00706) == "7.06 ms"
