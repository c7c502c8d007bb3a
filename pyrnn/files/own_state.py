"""What custom layers and models write into files themselves, by Keras's hooks.

`save_own_variables` and `load_own_variables` replace the weights that `add_weight` made; `save_assets` and
`load_assets` add files to a `.keras` file, below `assets/` at the place of the layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.files.hdf5 import array_at, group_at
from pyrnn.layers.holder import Holder
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.model import Model

ASSETS = "assets"
_VARIABLES = ("save_own_variables", "load_own_variables")


def holders(model: Model) -> Iterator[tuple[str, Any]]:
    """Return the model and every layer in it, each with its place in a file.

    Args:
        model: the model, at the place "".
    """
    pending: list[tuple[str, Any]] = [("", model)]
    seen: set[int] = set()
    while pending:
        place, holder = pending.pop()
        if id(holder) not in seen:
            seen.add(id(holder))
            yield place, holder
            pending += [(f"{place}/{path}".lstrip("/"), child) for path, child in holder.file_children()]


def with_own_variables(model: Model) -> dict[str, Any]:
    """Return the layers that write their variables themselves, by the group of the file that holds them."""
    return {
        f"{place}/vars".lstrip("/"): holder
        for place, holder in holders(model)
        if any(getattr(type(holder), name) is not getattr(Holder, name) for name in _VARIABLES)
    }


def write_variables(holder: Any, group: Any) -> None:
    """Write what a layer saves into its group.

    Raises:
        TypeError: If it stores something else than arrays of numbers.
    """
    store: dict[Any, Any] = {}
    holder.save_own_variables(store)
    for name, value in store.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"save_own_variables() of {holder.name!r} must store arrays of numbers, got {shown(value)} for {name!r}"
            )
        group[str(name)] = array


def read_variables(file: Any, path: str, source: str) -> dict[str, Any]:
    """Return the arrays of a layer's group by their names; none if the file lacks the group.

    Raises:
        ValueError: If the file is damaged.
    """
    group = group_at(file, path)
    return {} if group is None else {name: np.asarray(array_at(group, name, source)[()]) for name in group}


def assets(model: Model) -> dict[str, bytes]:
    """Return the files that `save_assets` of the layers writes, by their names in a `.keras` file."""
    import tempfile  # costs more than the rest of pyrnn's imports of files

    entries = {}
    for place, holder in holders(model):
        if hasattr(holder, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                holder.save_assets(folder)
                for path, _, names in os.walk(folder):
                    for name in names:
                        file = os.path.join(path, name)
                        inner = os.path.relpath(file, folder).replace(os.sep, "/")
                        with open(file, "rb") as opened:
                            entries["/".join(filter(None, (ASSETS, place, inner)))] = opened.read()
    return entries


def load_assets(model: Model, entries: Mapping[str, bytes]) -> None:
    """Let each layer read its files.

    Args:
        model: the model.
        entries: the files by their names in the `.keras` file, which `archive.read_below` has checked.
    """
    import tempfile

    for place, holder in holders(model):
        if hasattr(holder, "load_assets"):
            start = "".join(f"{part}/" for part in (ASSETS, place) if part)
            with tempfile.TemporaryDirectory() as folder:
                for name, content in entries.items():
                    if name.startswith(start):
                        file = os.path.join(folder, *name.removeprefix(start).split("/"))
                        os.makedirs(os.path.dirname(file), exist_ok=True)
                        with open(file, "wb") as opened:
                            opened.write(content)
                holder.load_assets(folder)
