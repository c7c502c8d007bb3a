"""Makes the pages of docs/api, one for each module with public names, and reads docstrings as reStructuredText.

`sphinx.ext.autodoc` fills the pages from the docstrings; docs/api is made anew by each build of the site.
"""

from __future__ import annotations

import ast
import importlib
import importlib.resources
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyrnn

FOLDER = Path(__file__).parent / "api"
# Modules in the order in which a reader meets them; the others follow.
FIRST = ("models", "layers", "forecasting", "losses", "metrics", "optimizers", "callbacks", "data", "ops")
INNER = (
    "keras_shim", "optimizers.schedules", "preprocessing.sequence", "preprocessing.text", "utils.legacy", "variable"
)  # fmt: skip
CODE = re.compile(r"(``[^`]+``|`[^`]+`)")


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public classes and functions of a module by name."""
    here = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    for name in sorted(dict.fromkeys([*getattr(module, "__all__", ()), *here]), key=str.lower):
        value = getattr(module, name)
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isroutine(value)):
            yield name, value


def documented_stubs() -> dict[str, str]:
    """Return the docstrings of the core's classes and methods, which only the typed interface `_core.pyi` has."""
    stub = ast.parse(importlib.resources.files(pyrnn).joinpath("_core.pyi").read_text(encoding="utf-8"))
    texts = {}
    for thing in stub.body:
        if isinstance(thing, ast.ClassDef):
            texts[thing.name] = ast.get_docstring(thing) or ""
            for member in thing.body:
                if isinstance(member, ast.FunctionDef):
                    texts[f"{thing.name}.{member.name}"] = ast.get_docstring(member) or ""
    return texts


STUBS = documented_stubs()


def documentation(thing: Any) -> str:
    """Return the docstring of a class or function, of the core's from their typed interface."""
    if getattr(thing, "__module__", None) == "pyrnn._core" and thing.__qualname__ in STUBS:
        return STUBS[thing.__qualname__]
    return inspect.getdoc(thing) or ""


def modules() -> list[str]:
    """Return the names of the modules with pages, below `pyrnn`, in their order."""
    return [*FIRST, *sorted({*pyrnn._SUBMODULES, *INNER} - set(FIRST))]


def title(text: str, line: str = "=") -> str:
    """Return a heading."""
    return f"{text}\n{line * len(text)}\n\n"


def page(module: ModuleType, documented: dict[int, str]) -> str:
    """Return the page of a module, or "" if it has no public names; what another page documents is referred to."""
    members = list(public(module))
    if not members:
        return ""
    name = module.__name__
    text = title(name) + f".. automodule:: {name}\n   :no-members:\n   :no-index:\n\n.. currentmodule:: {name}\n\n"
    for member, value in members:
        if documented.setdefault(id(value), name) != name:
            text += title(member, "-") + f"See ``{documented[id(value)]}``.\n\n"
        elif inspect.isclass(value):
            text += title(member, "-") + f".. autoclass:: {member}\n   :members:\n   :show-inheritance:\n\n"
        else:
            text += title(member, "-") + f".. autofunction:: {member}\n\n"
    return text


def shortcuts() -> str:
    """Return the page of the package itself, whose names come from its modules."""
    rows = "".join(f"- ``pyrnn.{name}``: ``{module}.{name}``\n" for name, module in sorted(pyrnn._NAMES.items()))
    return title("pyrnn") + f"The names that most scripts need, and where they come from:\n\n{rows}"


def write() -> None:
    """Write all pages."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    seen: dict[int, str] = {}
    pages = {f"pyrnn.{name}": page(importlib.import_module(f"pyrnn.{name}"), seen) for name in modules()}
    pages = {"pyrnn": shortcuts(), **{name: text for name, text in pages.items() if text}}
    for name, text in pages.items():
        (FOLDER / f"{name}.rst").write_text(text, encoding="utf-8")
    core = (FOLDER.parents[1] / "csrc" / "README.md").read_text(encoding="utf-8")
    (FOLDER / "core.md").write_text(core.replace("](../docs/", "](../"), encoding="utf-8")
    rows = "".join(f"   {name}\n" for name in pages)
    text = title("Reference") + f"Every public name, by module.\n\n.. toctree::\n   :maxdepth: 1\n\n{rows}"
    (FOLDER / "index.rst").write_text(text, encoding="utf-8")


def escaped(text: str) -> str:
    """Return the text with code in double backquotes, and without other markup than code."""
    parts = []
    for part in CODE.split(text):
        if part.startswith("`"):
            parts.append(f"``{' '.join(part.strip('`').split())}``")
        else:
            part = re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", part)
            parts.append("\\ " + part if parts and part[:1].isalnum() else part)
    return "".join(parts)


def read_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Change the lines of a docstring for reStructuredText; examples stay as they are."""
    if getattr(thing, "__module__", None) == "pyrnn._core":
        lines[:] = documentation(thing).split("\n")
    text = "\n".join(lines)
    # A doctest lasts until an empty line.
    parts = re.split(r"(^ *>>> (?:.+\n?)+)", text, flags=re.MULTILINE)
    lines[:] = "".join(part if part.lstrip().startswith(">>> ") else escaped(part) for part in parts).split("\n")


def signature_of(app: Any, what: str, name: str, thing: Any, options: Any, signature: Any, result: Any) -> Any:
    """Return the arguments of a class: those of `__init__`, where autodoc finds those of its metaclass."""
    if what != "class" or not inspect.isfunction(thing.__init__):
        return None
    arguments = inspect.signature(thing.__init__)
    parameters = [each.replace(annotation=each.empty) for each in list(arguments.parameters.values())[1:]]
    return str(arguments.replace(parameters=parameters, return_annotation=arguments.empty)), None


def skip(app: Any, what: str, name: str, thing: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what classes inherit from other packages."""
    module = getattr(inspect.unwrap(getattr(thing, "__func__", thing)), "__module__", None)
    return True if isinstance(module, str) and not module.startswith("pyrnn") else None
