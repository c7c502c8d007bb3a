"""Every public class and function has a complete docstring: arguments, shapes, results, errors and an example."""

from __future__ import annotations

import ast
import importlib
import importlib.resources
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

import import_order
import pytest

import pyrnn
from pyrnn import backend

NAMESPACES = sorted(
    {"", *(f".{name}" for name in pyrnn._SUBMODULES), ".optimizers.schedules", ".preprocessing.sequence",
     ".preprocessing.text"}
)  # fmt: skip
# Arguments that hold arrays: their descriptions state a shape.
ARRAYS = {"x", "y", "y_true", "y_pred", "d_output", "mask", "sample_weight", "sequences", "weights", "validation_data"}
STUB = ast.parse(importlib.resources.files(pyrnn).joinpath("_core.pyi").read_text(encoding="utf-8"))
SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Examples?):$", re.MULTILINE)
ENTRY = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^\n]*?\))?:(.*(?:\n(?:     .*)?)*)", re.MULTILINE)
NOTHING = (None, inspect.Parameter.empty, "None", "NoReturn", "Never")


def sections(text: str) -> dict[str, str]:
    """The sections of a docstring by title."""
    parts = SECTION.split(inspect.cleandoc(text))
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> dict[str, str]:
    """What an `Args` section says of each argument."""
    return {name: text for names, text in ENTRY.findall(section) for name in names.split(", ")}


def source_of(function: Any) -> ast.AST | None:
    function = inspect.unwrap(function)
    if not inspect.isfunction(function) or function.__code__.co_filename.startswith("<"):
        return None
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError):  # a lambda
        return None


def raises(function: Any) -> bool:
    """Whether the function has a raise statement or has its arguments checked."""
    node = source_of(function)
    if not isinstance(node, ast.FunctionDef):
        return False
    decorators = {ast.unparse(each).split("(")[0].split(".")[-1] for each in node.decorator_list}
    errors = [each for each in ast.walk(node) if isinstance(each, ast.Raise) and each.exc is not None]
    texts = [ast.unparse(each.exc) for each in errors if each.exc is not None]
    return "checked" in decorators or any("NotImplementedError" not in text for text in texts)


def missing(
    called: Any, text: str | None, inherited: Sequence[str] = (), bound: bool = False, example: bool = True
) -> Iterator[str]:
    """What a docstring lacks; sections of the methods it overrides (`inherited`) may be left out."""
    if not text or not text.strip():
        yield "docstring"
        return
    if not re.match(r"\S.*[.:]($|\n\n)", inspect.cleandoc(text)):
        yield "first line that is one sentence"
    parts = sections(text)
    above = [sections(each) for each in inherited]
    arguments = {name: entry for each in (*above, parts) for name, entry in entries(each.get("Args", "")).items()}
    is_class = inspect.isclass(called)
    function = called.__init__ if is_class else called
    if is_class and not inspect.isfunction(function):  # made by `__new__`, if it has arguments at all
        function = vars(called).get("__new__", lambda self: None)
    signature = inspect.signature(function)
    for parameter in list(signature.parameters.values())[bound or is_class :]:
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.name.startswith("_"):
            continue
        if stars + parameter.name not in arguments:
            yield f"Args: {stars}{parameter.name}"
        elif parameter.name in ARRAYS and "(" not in arguments[parameter.name]:
            yield f"Args: shape of {parameter.name}"
    whole = parts.keys() | {title for each in above for title in each}
    if not is_class and signature.return_annotation not in NOTHING and not whole & {"Returns", "Yields"}:
        yield "Returns"
    if raises(function) and "Raises" not in whole:
        yield "Raises"
    if example and ">>> " not in text:
        yield "Example"


def plain(member: Any) -> Any:
    return getattr(member, "__func__", member)


def methods(cls: type) -> Iterator[tuple[type, str, Any]]:
    """Public methods that a class has from pyrnn, with the class that defines each."""
    for base in cls.__mro__:
        if base.__module__.startswith("pyrnn"):
            for name, member in vars(base).items():
                if not name.startswith("_") and isinstance(plain(member), property | FunctionType):
                    yield base, name, member


def inherited_texts(owner: type, name: str) -> list[str]:
    """The docstrings of a method that the classes above its owner have, the nearest first."""
    above = (plain(vars(base).get(name)) for base in owner.__mro__[1:] if name in vars(base))
    return [text for member in above if (text := member.__doc__)]


def inherited_arguments(thing: Any) -> list[str]:
    """The docstring of the class from which another class has its constructor."""
    if not inspect.isclass(thing) or "__init__" in vars(thing):
        return []
    owner = next(base for base in thing.__mro__ if "__init__" in vars(base))
    return [owner.__doc__] if owner.__module__.startswith("pyrnn") and owner.__doc__ else []


def namespaces() -> Iterator[tuple[str, Any]]:
    """Public classes and functions under the names that users import."""
    for namespace in NAMESPACES:
        module = importlib.import_module(f"pyrnn{namespace}")
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for name in dict.fromkeys([*getattr(module, "__all__", ()), *names]):
            value = getattr(module, name)
            if not name.startswith("_") and (inspect.isclass(value) or inspect.isroutine(value)):
                yield f"{module.__name__}.{name}", value


def operations() -> Iterator[str]:
    """What the stub's docstrings lack, which describe the twins in `pyrnn.reference` too."""
    functions = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
    for name in sorted(functions.keys() & set(backend.OPERATIONS)):
        text, arguments = ast.get_docstring(functions[name]) or "", functions[name].args
        for each in (*arguments.args, *arguments.kwonlyargs):
            if not re.search(rf"\b{each.arg}\b", text):
                yield f"{name}: Args: {each.arg}"


def problems() -> dict[str, list[str]]:
    """What docstrings lack, by the module that defines them."""
    result: dict[str, list[str]] = defaultdict(list, {"pyrnn._core": list(operations())})
    seen: set[int] = set()
    for name, thing in namespaces():
        if id(thing) in seen or not thing.__module__.startswith("pyrnn") or thing.__module__ == "pyrnn._core":
            continue
        seen.add(id(thing))
        text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
        result[thing.__module__].extend(f"{name}: {each}" for each in missing(thing, text, inherited_arguments(thing)))
        for owner, method, member in methods(thing) if inspect.isclass(thing) else ():
            if id(member) in seen:
                continue
            seen.add(id(member))
            where, above = f"{owner.__qualname__}.{method}", inherited_texts(owner, method)
            if isinstance(member, property):
                lacks = [] if member.__doc__ or above else ["docstring"]
            else:
                bound = not isinstance(member, staticmethod)
                lacks = list(
                    missing(plain(member), plain(member).__doc__ or "".join(above[:1]), above, bound, example=False)
                )
            result[owner.__module__].extend(f"{where}: {each}" for each in lacks)
    return {module: lacks for module, lacks in result.items() if lacks}


PROBLEMS = problems()


def test_docstrings_are_complete() -> None:
    assert not PROBLEMS, "\n".join(f"{module}: {lack}" for module, lacks in PROBLEMS.items() for lack in lacks)


def described(x: Any, rate: float, *rest: Any) -> float:
    """Return something.

    Args:
        x: Array of shape (batch,).
        rate, *rest: Numbers
            on two lines: all of them.

    Returns:
        A number.

    Example:
        >>> described(1, 2)
    """
    raise ValueError


def test_what_is_missing_is_noticed() -> None:
    text = str(described.__doc__)
    assert list(missing(described, text)) == ["Raises"]
    assert list(missing(described, text.replace("(batch,)", "B"))) == ["Args: shape of x", "Raises"]
    assert list(missing(described, text.replace("rate, ", ""))) == ["Args: rate", "Raises"]
    assert list(missing(described, text.replace("Returns:", "").replace(">>>", ""))) == ["Returns", "Raises", "Example"]
    assert list(missing(described, "Two\nlines.")) == [
        "first line that is one sentence", "Args: x", "Args: rate", "Args: *rest", "Returns", "Raises", "Example",
    ]  # fmt: skip
    assert list(missing(described, "  ")) == ["docstring"]


# All modules, also those that users do not import: every public name has a docstring.


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


MODULES = sorted(set(import_order.MODULES) - {"pyrnn.__main__"})
DESCRIBED_IN_STUB = {
    node.name for node in ast.walk(STUB) if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
}


@pytest.mark.parametrize("module", MODULES)
def test_public_names_have_docstrings(module: str) -> None:
    """Overriding methods may inherit them; the twins of the core's operations have theirs in `_core.pyi`."""
    bare = [name for name, thing in public_things(module) if not inspect.getdoc(thing)]
    if module.startswith("pyrnn.reference."):
        bare = [name for name in bare if name.rsplit(".")[-1] not in DESCRIBED_IN_STUB]
    assert not bare


def test_every_operation_is_described_in_the_stub() -> None:
    assert set(backend.OPERATIONS) <= DESCRIBED_IN_STUB
