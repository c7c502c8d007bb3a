"""The rows of docs/guide/keras.md about absent names, from `pyrnn.absent`; run as a script, this writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pyrnn.absent import FAMILIES

PAGE = Path(__file__).parent.parent / "docs/guide/keras.md"
OBJECTS = ("model", "layer", "cell", "optimizer", "loss", "metric", "callback", "weight")
HEADING = "## Attributes of objects that are not here"
_ROW = re.compile(r"^\| `[^\n]*? \| not here: [^\n]*\n", re.MULTILINE)


def rows(owner: str) -> str:
    """The rows for the absent names of a module (`pyrnn` itself first) or a kind of object."""
    return "".join(
        f"| {', '.join(f'`{name}`' for name in sorted(names.split()))} | not here: {reason}; {instead} |\n"
        for owners, families in FAMILIES.items()
        if owner in owners.split()
        for names, reason, instead in families
    )


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Each section about a module of Keras: its owner in the table and its text."""
    for path, section in re.findall(r"^## `keras\.?([\w.]*)`\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL):
        yield path or "pyrnn", section


def written(text: str) -> str:
    """The page with the rows of the table."""
    for owner, section in sections(text):
        text = text.replace(section, f"{_ROW.sub('', section).rstrip()}\n{rows(owner)}\n")
    objects = "".join(f"\n### {kind}\n\n| name | here |\n|---|---|\n{rows(kind)}" for kind in OBJECTS)
    return re.sub(rf"{HEADING}\n.*?(?=^## )", f"{HEADING}\n{objects}\n", text, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
