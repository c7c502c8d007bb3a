"""The import order of the package: reads `import_order.txt` and the imports themselves.

Run as a script, this writes the order into docs/dev/architecture.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pyrnn

PACKAGE = Path(pyrnn.__file__).parent
PAGE = Path(__file__).parent.parent / "docs/dev/architecture.md"
# The modules and packages from bottom to top, each with what it is for.
ORDER: dict[str, str] = {
    name: purpose.strip()
    for name, purpose in (
        line.split(maxsplit=1)
        for line in Path(__file__).with_name("import_order.txt").read_text(encoding="utf-8").splitlines()
    )
}
MODULES: dict[str, Path] = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def entry(module: str) -> str:
    """The entry of the order to which a module belongs."""
    return module.removeprefix("pyrnn.").split(".")[0]


def imports(module: str) -> Iterator[str]:
    """The modules of pyrnn that a module imports, when it is loaded or when one of its functions runs.

    Imports for type checkers are left out, since nothing runs them. A module outside a package that imports from it
    runs the package's `__init__` too. `pyrnn` itself is left out where it is only the first part of a name: all that it
    runs is `explaining`.

    Raises:
        ValueError: for an import whose module is computed.
    """
    nodes: list[ast.AST] = [ast.parse(MODULES[module].read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes.extend(node.orelse)
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and re.search(r"\b(import_module|__import__)$", ast.unparse(node.func)):
            raise ValueError(f"line {node.lineno}: {ast.unparse(node)}")
        else:
            continue
        for name in names:
            if name.split(".")[0] == "pyrnn":
                yield from _loaded(module, name)


def _loaded(module: str, name: str) -> Iterator[str]:
    """What runs when `module` imports `name`, a module or something in one."""
    if name not in MODULES and name != "pyrnn._core":
        name = name.rpartition(".")[0]
    yield name
    while (name := name.rpartition(".")[0]) not in ("", "pyrnn"):
        if not module.startswith(f"{name}."):
            yield name


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of one cycle in order, or an empty list."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node not in done:
            for other in sorted(graph.get(node, ())):
                if nodes := search(other, [*path, node]):
                    return nodes
            done.add(node)
        return []

    return next(filter(None, (search(node, []) for node in sorted(graph))), [])


def written(page: str) -> str:
    """The page with the list of the order."""
    rows = "".join(f"| `{name}` | {purpose} |\n" for name, purpose in ORDER.items())
    table = f"| from bottom to top | what it is for |\n|---|---|\n{rows}"
    return re.sub(r"(?<=<!-- import_order.txt -->\n).*?(?=<!-- end -->)", table, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
