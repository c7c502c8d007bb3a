"""Documents name only what exists: links, files, commands, extras, sessions, Keras's names; the guide's Python runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import keras_table
import numpy as np
import pytest

import pyrnn
from pyrnn import backend, cli, explaining

SOURCE = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "csrc", "docs", "examples", "tests")
DOCUMENTS = sorted([*SOURCE.glob("*.md"), *(path for folder in FOLDERS for path in (SOURCE / folder).rglob("*.md"))])
TOP = {path.name for path in SOURCE.iterdir() if path.is_dir()} - {"build", "dist"}
PROJECT = (SOURCE / "pyproject.toml").read_text(encoding="utf-8")
OPTIONAL = PROJECT.split("[project.optional-dependencies]")[1].split("[project.")[0]
EXTRAS = set(re.findall(r"^(\w+) = \[", OPTIONAL, re.MULTILINE))
NOXFILE = (SOURCE / "noxfile.py").read_text(encoding="utf-8")
SESSIONS = set(re.findall(r"^@nox\.session.*\ndef (\w+)\(", NOXFILE, re.MULTILINE))


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(document), flags=re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(document), re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: (\S+)", prose(document), re.MULTILINE):
        link = "".join(target)
        parts = urlsplit(link)
        if parts.scheme:
            if parts.scheme not in {"http", "https", "mailto"} or not (parts.netloc or parts.scheme == "mailto"):
                yield link
            continue
        if parts.path.startswith("../../actions/"):  # of the repository's page
            if document.name != "README.md" or not (SOURCE / ".github" / parts.path.split("/badge")[0][14:]).is_file():
                yield link
            continue
        path = document.parent / parts.path if parts.path else document
        if not path.exists() or (parts.fragment and parts.fragment not in anchors(path)):
            yield link


def named_paths(document: Path) -> Iterator[str]:
    """Words in `code` that are files or folders of the repository."""
    for word in re.findall(r"`([\w./-]+)`", prose(document)):
        first = word.split("/")[0]
        if ("/" in word and first in TOP) or re.search(r"\w\.(md|py|pyi|hpp|cpp|def|cmake|toml|txt)$", word):
            yield word


def exists(word: str, document: Path) -> bool:
    near = ("", "benchmarks", "csrc", "csrc/cells", "docs", "docs/dev", "pyrnn", "tests")
    return any((folder / word).exists() for folder in (document.parent, *(SOURCE / name for name in near)))


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(SOURCE)))
def document(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_all_documents_are_looked_at() -> None:
    assert {"README.md", "CHANGELOG.md", "keras.md", "testing.md"} <= {path.name for path in DOCUMENTS}


def test_links_and_files(document: Path) -> None:
    assert not list(broken_links(document))
    missing = [word for word in named_paths(document) if not exists(word, document)]
    assert not missing, f"{document.name} names files that are not there: {missing}"


def test_lines_are_at_most_120_characters(document: Path) -> None:
    """Tables, images and indented blocks may be longer."""
    lines = prose(document).splitlines()
    assert not [line for line in lines if len(line) > 120 and not line.startswith(("|", "![", "    "))]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: `x`\n[a](#a-title-x) [b](#none) [c](page.md#a-title-x) [d](no.md) [e](http:/x) [f](https://x.y/z)\n"
    )
    assert list(broken_links(page)) == ["#none", "no.md", "http:/x"]


def test_python_blocks(document: Path) -> None:
    """They compile, and what they import from pyrnn is there."""
    for block in blocks(document, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pyrnn":
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


GUIDE = [SOURCE / "README.md", *sorted((SOURCE / "docs/guide").glob("*.md"))]


# A block that imports one of these needs no other block, and runs where the package is installed.
TOOLS = ("distributed", "fastapi", "joblib", "keras_tuner", "onnxruntime", "optuna", "ray", "skforecast", "torch")


def missing_tools(block: str) -> bool:
    return any(re.search(rf"^(import|from) {tool}\b", block, re.MULTILINE) and not find_spec(tool) for tool in TOOLS)


@pytest.mark.parametrize("page", GUIDE, ids=lambda path: path.stem)
def test_pages_for_users_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page, one after the other, as a reader would paste them.

    A block in which Keras's names become pyrnn's runs in a process of its own.
    """
    monkeypatch.chdir(tmp_path)
    threads, namespace = backend.get_num_threads(), {"__name__": "guide"}
    try:
        for block in blocks(page, "python"):
            if missing_tools(block):
                continue
            if "keras_shim.install()" in block:
                command = [sys.executable, "-W", "ignore", "-c", block]
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                assert result.returncode == 0, result.stderr
            else:
                exec(compile(block, str(page), "exec"), namespace)
    finally:
        backend.set_num_threads(threads)


def test_commands_extras_and_sessions(document: Path) -> None:
    text = text_of(document)
    subcommands = set(re.findall(r"`pyrnn ([a-z]+)", text))
    for block in blocks(document, "sh"):
        subcommands |= set(re.findall(r"(?:^|& )pyrnn ([a-z]+)", block, re.MULTILINE))
    for command in subcommands:
        with pytest.raises(SystemExit) as stop:
            cli.main([command, "--help"])
        assert stop.value.code == 0, command
    asked = {extra for names in re.findall(r"\.\[([\w,]+)\]", text) for extra in names.split(",")}
    assert asked <= EXTRAS
    assert set(re.findall(r"nox -s (\w+)", text)) <= SESSIONS


def test_decisions_are_numbered_in_turn() -> None:
    numbers = sorted(int(path.name[:4]) for path in (SOURCE / "docs/dev/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_session_is_described() -> None:
    described = text_of(SOURCE / "docs/dev/testing.md")
    assert len(SESSIONS) >= 8
    assert [name for name in SESSIONS if f"`nox -s {name}`" not in described] == []


def test_the_list_of_keras_says_what_the_errors_say() -> None:
    page = keras_table.PAGE.read_text(encoding="utf-8")
    assert keras_table.written(page) == page, "run python tests/keras_table.py"
    owners = {owner for owner, _ in keras_table.sections(page)} | set(keras_table.OBJECTS) | {"tensorflow"}
    assert owners >= set(explaining.ABSENT)


def test_names_in_the_list_of_keras_are_here() -> None:
    """`tests/keras` compares the list with Keras; this holds its half about pyrnn without it."""
    text = text_of(SOURCE / "docs/guide/keras.md")
    sections = re.findall(r"^## `keras\.?([\w.]*)`\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert len(sections) > 10
    for section, table in sections:
        rows = re.findall(r"^\| (`.*?`) \| (same|differs)", table, re.MULTILINE)
        names = [name for cell, _ in rows for name in re.findall(r"`([\w.]+)`", cell)]
        module = importlib.import_module(f"pyrnn.{section}".rstrip(".")) if names else None
        assert [name for name in names if not hasattr(module, name)] == [], section


EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in (SOURCE / "pyrnn").rglob("*.py")
    if re.search(r"^ +>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_of_docstrings(module: str) -> None:
    # Examples need not import these two, and their classes are a user's.
    names = {"np": np, "pyrnn": pyrnn, "__name__": "__main__"}
    flags = doctest.NORMALIZE_WHITESPACE
    failed, attempted = doctest.testmod(importlib.import_module(module), extraglobs=names, optionflags=flags)
    assert attempted and not failed
