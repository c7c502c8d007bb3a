"""The project's English: none of the phrases below in code, messages or documents, and no variable named after nothing.

`python tests/package/test_prose.py [FILE ...]` lists them.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]

_PARTICIPLE = r"(?:\w+ed|\w+en|yet|changed|begun|made|had|met|read|run|set|come|gone|left|lost|found|kept|sent)\b"
PHRASES = {
    "is, is in, comes after": r"\b(?:stands?|standing|stood) (?!for\b)|\bstands?[.,;:]",
    "next to, compared with, in addition to": r"\bbesides?\b",
    "receives, is called with, is passed": r"\b(?:is|are|was|were|be|been|not|and|never|only) told\b|^told\b",
    "that many, at most": r"\bso many\b",
    "does not have, lacks": rf"\b(?:has|have|had) not(?! {_PARTICIPLE})\b",
    "resume, continue": r"\b(?:go|goes|going|went|gone) on\b|\btrains? on(?=[.,;:]| and\b| with\b| as\b)",
    "custom, user-defined, its own": r"\bof (?:one'?s|your|his|the user's) own\b|\bof yours\b|\bof the user's\b",
    "save, keep for backward": r"\b(?:left|leaves?) behind\b|\bwhat \w+ (?:left|leaves)\b",
    "expensive, costs": r"\bdear(?:er|est|ly)?\b",
    "indefinitely": r"\bfor ever\b",
    "raise, reject": r"\brefus(?:e|es|ed|ing|al|als)\b",
    "as before": r"\bas ever\b",
    "is rounded up, is split into": r"\b(?:is|are|was|were|be) cut\b|\bcuts? into\b",
}
EMPTY_NAMES = {"found", "given", "own", "kept", "words", "told", "known", "one"}

_PATTERNS = {better: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for better, pattern in PHRASES.items()}
_CPP_TEXT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_CPP_NAME = re.compile(rf"[\w>&*] +[&*]?({'|'.join(sorted(EMPTY_NAMES))})\b *[=;,){{(:\[]")
_QUOTED = re.compile(r"```.*?```|“[^”]*”", re.DOTALL)


def files() -> list[str]:
    """What is written by hand."""
    folders = (".ci", "benchmarks", "cmake", "csrc", "docs", "examples", "pyrnn", "tests")
    paths = [*SOURCE.iterdir(), *(path for folder in folders for path in (SOURCE / folder).rglob("*"))]
    kinds = {".py", ".pyi", ".cpp", ".hpp", ".def", ".cmake", ".md", ".toml", ".json", ".in", ".txt"}
    chosen = (path for path in paths if path.is_file() and (path.suffix in kinds or path.parent.name == ".ci"))
    return sorted(str(path.relative_to(SOURCE)) for path in chosen if path != Path(__file__).resolve())


def python_text(code: str) -> Iterator[tuple[int, str]]:
    """Comments and strings of Python, consecutive comments as one, with the lines where they begin."""
    comment: list[str] = []
    first, last = 0, -1
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield first, "\n".join(comment)
                comment, first = [], token.start[0]
            comment.append(token.string.lstrip("# "))
            last = token.start[0]
    yield first, "\n".join(comment)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def python_names(code: str) -> Iterator[tuple[int, str]]:
    """Variables and arguments that Python code names so."""
    for node in ast.walk(ast.parse(code)):
        name = getattr(node, "arg", None) if isinstance(node, ast.arg) else None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if name in EMPTY_NAMES:
            yield getattr(node, "lineno", 0), str(name)


def python_identifiers(code: str) -> Iterator[tuple[int, str]]:
    """Names of functions and classes, as words."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and "refus" not in node.name:  # fine in the name of a test
            yield node.lineno, node.name.replace("_", " ")


def texts(name: str, content: str) -> Iterator[tuple[int, str]]:
    if name.endswith((".py", ".pyi")):
        yield from python_text(content)
        yield from python_identifiers(content)
    elif name.endswith((".cpp", ".hpp", ".def")):
        for match in _CPP_TEXT.finditer(content):
            yield content.count("\n", 0, match.start()) + 1, match[0]
    else:
        yield 1, _QUOTED.sub(lambda match: "\n" * match[0].count("\n"), content)


def hits(name: str, content: str) -> Iterator[str]:
    """`line: phrase (what to write)` for each phrase and each empty name in a file."""
    for first, text in texts(name, content):
        for better, pattern in _PATTERNS.items():
            for match in pattern.finditer(text):
                yield f"{name}:{first + text.count(chr(10), 0, match.start())}: {match[0]!r}: write {better}"
    if name.endswith((".py", ".pyi")):
        for line, variable in python_names(content):
            yield f"{name}:{line}: the name {variable!r} says nothing"
    elif name.endswith((".cpp", ".hpp")):
        code = _CPP_TEXT.sub(lambda match: "\n" * match[0].count("\n"), content)
        for match in _CPP_NAME.finditer(code):
            yield f"{name}:{code.count(chr(10), 0, match.start()) + 1}: the name {match[1]!r} says nothing"


@pytest.mark.parametrize("name", files())
def test_prose(name: str) -> None:
    lines = list(hits(name, (SOURCE / name).read_text(encoding="utf-8")))
    assert not lines, "\n".join(lines)


def test_hits_are_noticed() -> None:
    code = """x = "It stands here"  # beside it,
# told so many times
# by words

def f(found): one = f"refused {x}"
"""
    noticed = [line.split(": write")[0] for line in hits("a.py", code)]
    assert noticed == [
        "a.py:1: 'beside'", "a.py:2: 'told'", "a.py:2: 'so many'", "a.py:1: 'stands '", "a.py:5: 'refused'",
        "a.py:5: the name 'found' says nothing", "a.py:5: the name 'one' says nothing",
    ]  # fmt: skip
    text = "int kept = 1;  // what it left\nf(own); auto& words{};"
    assert [line.split(":", 2)[1] for line in hits("a.hpp", text)] == ["1", "1", "2"]
    assert list(hits("a.md", "It has not been cut. “It stands.”\n```\nfor ever\n```\n")) == []


if __name__ == "__main__":
    for chosen in sys.argv[1:] or files():
        print(*hits(chosen, (SOURCE / chosen).read_text(encoding="utf-8")), sep="\n", end="\n")
