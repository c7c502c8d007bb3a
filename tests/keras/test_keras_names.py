"""docs/keras.md names every public name of Keras that concerns series, and is right about which of them are here."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import keras
import pytest

TEXT = (Path(__file__).parent.parent.parent / "docs/keras.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `keras\.?([\w.]*)`\n(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section or "keras")
def test_names(section: str) -> None:
    path = f".{section}" if section else ""
    theirs = importlib.import_module(f"keras{path}")
    public = {
        name
        for name in dir(theirs)
        if not name.startswith("_") and (section == "datasets" or not inspect.ismodule(getattr(theirs, name)))
    }
    rows = re.findall(r"^\| (`.*?`) \| (same|differs|not here)", SECTIONS[section], re.MULTILINE)
    listed = {name: kind for names, kind in rows for name in re.findall(r"`([\w.]+)`", names)}
    assert public <= listed.keys(), f"docs/keras.md lacks {sorted(public - listed.keys())}"
    for name in public:
        try:
            here = hasattr(importlib.import_module(f"pyrnn{path}"), name)
        except ImportError:
            here = False
        assert here == (listed[name] != "not here"), f"{name} is {'' if here else 'not '}here, the table says otherwise"


def test_sections() -> None:
    assert {"", "layers", "losses", "metrics", "optimizers", "callbacks", "utils"} <= SECTIONS.keys()
    assert keras.__version__.split(".")[0] == "3"
