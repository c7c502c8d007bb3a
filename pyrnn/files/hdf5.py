"""What reading Keras's two HDF5 layouts shares: opening, locating arrays, matching them to weights, assigning them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from pyrnn.files.archive import MOST_GROWTH, SMALL
from pyrnn.parameters import Weight
from pyrnn.validation import not_built, warn

if TYPE_CHECKING:
    from pyrnn.model import Model

M = TypeVar("M", bound="Model")

# Creates a model with new weights from the file's name for messages, a description, and whether to compile.
MakeModel = Callable[[str, Any, bool], M]
# Levels of groups in a file; Keras's layers within layers need a dozen.
DEEPEST = 64
_DAMAGE = (OSError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError, MemoryError)


@contextlib.contextmanager
def opened(content: bytes, source: str) -> Iterator[Any]:
    """The HDF5 file in `content`.

    Raises:
        ValueError: If it is damaged or not HDF5, even if HDF5 notices only while it is read.
    """
    import h5py

    with reading(source), h5py.File(io.BytesIO(content), "r") as file:
        yield file


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    """Turn what h5py and others raise over a damaged file into a ValueError that names it.

    TypeErrors and ValueErrors about what the file describes keep their type and get the file's name.
    """
    try:
        yield
    except NotImplementedError:  # from a custom layer of the file
        raise
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(reason if source in reason else f"{source}: {reason}") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{source} is damaged or not an HDF5 file: {reason}") from None


def node_at(group: Any, path: str) -> Any:
    """What is below `group` at `path`, or None.

    Soft and external links are not followed, as they could lead out of the file.
    """
    import h5py

    node, parts = group, path.split("/")
    if len(parts) > DEEPEST:
        return None
    for part in parts:
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        node = node[part] if isinstance(link, h5py.HardLink) else None
    return node


def group_at(group: Any, path: str) -> Any:
    """The group below `group`, or None."""
    import h5py

    node = node_at(group, path)
    return node if isinstance(node, h5py.Group) else None


def array_at(group: Any, path: str, source: str) -> Any:
    """The array below `group`; its numbers must be stored in the file itself, which must be able to hold them.

    Raises:
        ValueError: If it is missing, refers to other files, or claims more than the file can hold.
    """
    import h5py

    node = node_at(group, path)
    if not isinstance(node, h5py.Dataset):
        raise ValueError(
            f"{source} is not a weights file in Keras's layout: {group.name}/{path} is missing or not an array"
        )
    if node.is_virtual or node.external:
        raise ValueError(f"{source} must hold its arrays itself, {node.name} refers to other files")
    try:
        kind = node.dtype.kind
    except TypeError as error:  # HDF5 has types that NumPy lacks
        raise ValueError(f"{source} must hold arrays of numbers, {node.name} has none: {error}") from None
    if kind not in "fiub":
        raise ValueError(f"{source} must hold arrays of numbers, {node.name} has dtype {node.dtype}")
    if node.shape is None:
        raise ValueError(f"{source} must hold arrays of numbers, {node.name} has none")
    if node.nbytes > max(SMALL, MOST_GROWTH * node.id.get_storage_size()):
        raise ValueError(f"{source} is damaged: {node.name} claims shape {node.shape}, more than the file can hold")
    return node


class Arrays(NamedTuple):
    """Arrays of one group, which are opened once their number is known to be right."""

    group: Any
    names: Sequence[str]

    def opened(self, source: str) -> list[Any]:
        """The arrays themselves; raises as `array_at` does."""
        return [array_at(self.group, name, source) for name in self.names]


def claimed_bytes(content: bytes, source: str) -> int:
    """The memory that all arrays of an HDF5 file would take; each is checked to be there.

    Every object is opened once, from the group that holds it: a path from the root would cost its depth again.
    """
    import h5py

    total, seen = 0, set()
    with opened(content, source) as file:
        pending = [(file, 0)]
        while pending:
            group, depth = pending.pop()
            if depth > DEEPEST:
                raise ValueError(f"{source} is damaged: its groups are nested more than {DEEPEST} deep")
            for name in group:
                node = node_at(group, name)
                if node is None or (address := h5py.h5o.get_info(node.id).addr) in seen:
                    continue
                seen.add(address)
                if isinstance(node, h5py.Group):
                    pending.append((node, depth + 1))
                elif isinstance(node, h5py.Dataset):
                    total += int(array_at(group, name, source).nbytes)
    return total


def misfit(array: Any, dataset: Any, source: str) -> str | None:
    """What is wrong with a file's array that is to fill `array`, judged by shape and kind without reading it."""
    if dataset.shape != array.shape:
        return f"has shape {array.shape}, {source} holds {dataset.shape}"
    if dataset.dtype.kind not in ("iu" if array.dtype.kind in "iu" else "iuf"):
        return f"holds {array.dtype} numbers, {source} holds {dataset.dtype}"
    return None


def matched(
    layer: str, weights: list[Weight], arrays: Arrays, source: str, skip_mismatch: bool
) -> list[tuple[Weight, Any]]:
    """Pair each weight of a layer with its array of the file.

    Raises:
        ValueError: If number, shapes or kinds differ; with `skip_mismatch` a warning and an empty list instead.
    """
    reason, datasets = "", []
    if len(arrays.names) != len(weights):
        reason = f"layer {layer!r} has {len(weights)} weights, {source} holds {len(arrays.names)}"
    else:
        datasets = arrays.opened(source)
    for weight, dataset in zip(weights, datasets, strict=False):
        if not reason and (wrong := misfit(weight.array, dataset, source)):
            reason = f"weight {weight.path!r} of layer {layer!r} {wrong}"
    if not reason:
        return list(zip(weights, datasets, strict=True))
    if not skip_mismatch:
        raise ValueError(reason)
    warn(f"{reason}: the layer keeps its weights")
    return []


def read_arrays(datasets: list[Any]) -> list[Any]:
    """The numbers of arrays of an open file."""
    return [np.asarray(dataset[()]) for dataset in datasets]


def matched_state(model: Model, arrays: Arrays, source: str, skip_others: bool) -> list[Any]:
    """The arrays of a file for the variables of the model's optimizer, which is built for them; [] if there are none.

    With `skip_others` a number of arrays that is not the optimizer's counts as none.

    Raises:
        ValueError: If number, shapes or kinds differ.
    """
    optimizer, count = model.optimizer, len(arrays.names)
    if optimizer is None or not count:
        return []
    if count != len(optimizer.named_variables()):  # the file's optimizer has trained: build the slots
        optimizer.build(model.parameters())
    variables = optimizer.named_variables()
    if count != len(variables):
        if skip_others:
            return []
        raise ValueError(f"the optimizer has {len(variables)} variables, {source} holds {count}")
    datasets = arrays.opened(source)
    for (name, array), dataset in zip(variables, datasets, strict=True):
        if wrong := misfit(array, dataset, source):
            raise ValueError(f"optimizer variable {name!r} {wrong}")
    return datasets


@contextlib.contextmanager
def restored(optimizer: Any, *, only_on_error: bool = False) -> Iterator[None]:
    """Restore an optimizer afterwards, even to not built; its variables must not be set meanwhile."""
    before = None if optimizer is None else dict(vars(optimizer))
    done = False
    try:
        yield
        done = True
    finally:
        if before is not None and not (done and only_on_error):
            vars(optimizer).clear()
            vars(optimizer).update(before)


def require_built(model: Model, source: str) -> None:
    """Reject a model that has no weights yet."""
    if not model.built:
        raise ValueError(not_built(f"weights of {source} can be loaded"))
