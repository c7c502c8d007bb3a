"""`OutputNames`: the names of a model's outputs, and how the arguments of `compile` refer to them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pyrnn.structures import leaves, packed
from pyrnn.validation import WrongType, shown


class OutputNames:
    """The outputs of a model by name, in the order of the model.

    Attributes:
        names: names of the layers that make the outputs.
        keys: names in dicts of `compile`: the keys of the outputs if these are a dict, otherwise `names`.
        logged: names in the logs of metrics.

    Args:
        structure: the names of the layers in the structure of the outputs; None for a model without layers.

    Example:
        >>> from pyrnn.output_names import OutputNames
        >>> OutputNames({"price": "dense_1", "class": "dense"}).keys
        ['class', 'price']
    """

    def __init__(self, structure: Any) -> None:
        self.structure = structure
        self.names: list[Any] = leaves(structure)
        is_mapping = isinstance(structure, Mapping)
        parts = [structure[key] for key in sorted(structure)] if is_mapping else structure
        self.is_flat = not is_nested(structure) or not any(map(is_nested, parts))
        self.keys: list[Any] = sorted(structure) if is_mapping and self.is_flat else self.names
        # Keras takes the keys of a dict of outputs wherever there are as many as outputs.
        self.logged = sorted(structure) if is_mapping and len(structure) == len(self.names) else self.names

    def paths(self, losses: Sequence[str]) -> list[str]:
        """Return the names in the logs of losses, which for nested outputs hold the keys on the way.

        Args:
            losses: the name of the loss of each output, which stands for an output without a name.
        """
        pairs = zip(_paths(self.structure), losses, strict=True)
        return numbered([_joined(path, loss if name is None else name) for (path, name), loss in pairs])

    def path(self, path: tuple[Any, ...], numbers: Any, loss: str) -> str:
        """Return the name in the logs of a loss at a place in the structure of the outputs.

        Args:
            path: the keys and positions that lead to the place.
            numbers: the numbers of the outputs there, in their structure.
            loss: the name of the loss, which stands for an output without a name.
        """
        if isinstance(numbers, int):
            name = self.names[numbers]
            return _joined(path, loss if name is None else name)
        names = sorted(numbers) if isinstance(numbers, Mapping) else [self.names[each] for each in leaves(numbers)]
        return "/".join(map(str, path)) or "_".join(map(str, names))

    def split(self, argument: str, value: Any, is_complete: bool = False) -> list[Any]:
        """Return the entries of an argument of `compile`, one for each of several outputs.

        Args:
            argument: its name.
            value: a list with an entry per output, a dict by the names of the outputs, or the structure of the outputs
                with an entry in place of each of them; None for no entry.
            is_complete: whether a dict by the names of the layers must have all of them, as Keras demands of losses.

        Returns:
            The entries in the order of the model, None where there is none.

        Raises:
            ValueError: if it has other names or another number of entries.
        """
        count = len(self.names)
        if value is None:
            return [None] * count
        if not self.is_flat and _fits(self.structure, value):
            return _along(self.structure, value)
        if isinstance(value, list | tuple) and len(value) == count:
            return list(value)
        if isinstance(value, Mapping) and set(value) <= set(self.keys):
            by_layer = not isinstance(self.structure, Mapping)
            if value and (set(value) == set(self.keys) or not (is_complete and by_layer)):
                return [value.get(key) for key in self.keys]
        keys = ", ".join(map(repr, self.keys))
        other = "" if self.is_flat else ", or have the structure of the outputs"
        rule = f"{argument} must be a list with one entry for each of the {count} outputs, or a dict by name ({keys})"
        raise ValueError(f"{rule}{other}, got {shown(value)}{self._fix(value, is_complete)}")

    def _fix(self, value: Any, is_complete: bool) -> str:
        """Return what is wrong with the names in a dict."""
        if not isinstance(value, Mapping):
            return ""
        unknown = [name for name in value if name not in self.keys]
        if unknown:
            return f"; the model has no output {shown(unknown[0])}"
        missing = [key for key in self.keys if key not in value]
        return f"; pass None for {missing[0]!r} if it has no loss" if missing and is_complete else ""

    def place(self, values: list[Any], order: list[int]) -> Any:
        """Return one value per output in a form that `split` and Keras take.

        Args:
            values: a value for each output, in the order of the model.
            order: the numbers of the outputs in the order that a dict of them is to have.

        Returns:
            A list, a dict if the outputs are a dict, or their structure if they are nested.
        """
        if not self.is_flat:
            return packed(self.structure, values)
        return {self.keys[i]: values[i] for i in order} if isinstance(self.structure, Mapping) else values

    def order(self, loss: Any) -> list[int]:
        """Return the order in which `evaluate` lists the losses: that of a dict of losses if the outputs are a dict.

        Args:
            loss: the argument of `compile`.

        Returns:
            The numbers of the outputs.
        """
        numbers = range(len(self.names))
        if isinstance(self.structure, Mapping) and self.is_flat and isinstance(loss, Mapping):
            listed = list(loss)
            return sorted(numbers, key=lambda i: listed.index(self.keys[i]) if self.keys[i] in listed else len(listed))
        return list(numbers)

    # One output.

    def only(self, argument: str, value: Any) -> Any:
        """Return the entry for the model's one output in a dict by output name or a list with one entry per output.

        Args:
            argument: the name of the argument of `compile`.
            value: its value.

        Returns:
            The entry, or the value itself if it is no list or dict.

        Raises:
            ValueError: if it has other entries.
        """
        if isinstance(value, list | tuple):
            if len(value) != 1:
                raise ValueError(
                    f"{argument} must have one entry, since the model has one output, got {len(value)}: {shown(value)}"
                )
            return value[0]
        if not isinstance(value, Mapping) or "class_name" in value:
            return value
        output = self.names[0]
        if len(value) != 1 or next(iter(value)) not in (output, self.keys[0]):
            name = "the model has no layers yet" if output is None else f"the model's output is {output!r}"
            raise ValueError(
                f"{argument} as a dict must have one entry with the name of the model's last layer ({name}), "
                f"got {shown(value)}; with one output, the entry itself can be passed instead of a dict"
            )
        return next(iter(value.values()))

    def metrics_of_only(self, argument: str, value: Any) -> list[Any]:
        """Return a flat list of the metrics in a list, which may hold lists, or in a dict by output name.

        Args:
            argument: the name of the argument of `compile`.
            value: its value.

        Returns:
            The metrics.

        Raises:
            TypeError: if it is something else.
            ValueError: if it has other names.
        """
        if value is None:
            return []
        if isinstance(value, Mapping):
            value = self.only(argument, value)
            value = value if isinstance(value, list | tuple) else [value]
        _require_list(argument, value)
        nested = (each if isinstance(each, list | tuple) else [each] for each in value)
        return list(itertools.chain.from_iterable(nested))

    def metrics(self, argument: str, value: Any) -> list[list[Any]]:
        """Return the lists of metrics, one for each of several outputs.

        Args:
            argument: the name of the argument of `compile`.
            value: its value.

        Returns:
            A list of metrics for each output.

        Raises:
            TypeError: if it is neither a list nor a dict.
            ValueError: if it has other names or another number of entries.
        """
        if value is not None and not isinstance(value, Mapping):
            _require_list(argument, value)
        entries = self.split(argument, value or None)
        return [[] if e is None else list(e) if isinstance(e, list | tuple) else [e] for e in entries]


def single(loss: Any) -> Any:
    """Return the only entry of a list of one, which Keras takes for a loss as well; anything else as it is."""
    return single(loss[0]) if isinstance(loss, list | tuple) and len(loss) == 1 else loss


def _require_list(argument: str, value: Any) -> None:
    if not isinstance(value, list | tuple):
        example = list(value) if isinstance(value, set | frozenset) else [value]
        raise WrongType(f"{argument} must be a list such as {shown(example)}, got {shown(value)}")


def is_nested(value: Any) -> bool:
    """Return whether a value is a list, tuple or dict of entries, not the description of an object.

    Args:
        value: an argument of `compile`, or part of one.
    """
    return isinstance(value, list | tuple) or (isinstance(value, Mapping) and "class_name" not in value)


def _fits(structure: Any, value: Any) -> bool:
    """Return whether a value has the structure down to its leaves; None and missing keys stand for no entries."""
    if value is None or not is_nested(structure):
        return True
    if isinstance(structure, Mapping):
        return is_nested(value) and isinstance(value, Mapping) and set(value) <= set(structure) and all(
            _fits(structure[key], value[key]) for key in value
        )  # fmt: skip
    return isinstance(value, list | tuple) and len(value) == len(structure) and all(map(_fits, structure, value))


def _along(structure: Any, value: Any) -> list[Any]:
    """Return the entries of a value that `_fits` the structure."""
    if not is_nested(structure):
        return [value]
    if value is None:
        return [None] * len(leaves(structure))
    if isinstance(structure, Mapping):
        return [entry for key in sorted(structure) for entry in _along(structure[key], value.get(key))]
    return [entry for part, each in zip(structure, value, strict=True) for entry in _along(part, each)]


def _paths(structure: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Return the path of keys and positions to each leaf, and the leaf."""
    if isinstance(structure, Mapping):
        return [leaf for key in sorted(structure) for leaf in _paths(structure[key], (*path, key))]
    if isinstance(structure, list | tuple):
        return [leaf for number, part in enumerate(structure) for leaf in _paths(part, (*path, number))]
    return [(path, structure)]


def _joined(path: tuple[Any, ...], name: Any) -> str:
    """Return Keras's name of a loss: the path, with the name of the layer in place of a last position in a list."""
    if not path or isinstance(path[-1], int):
        path = (*path[:-1], name)
    return "/".join(map(str, path))


def numbered(names: list[str]) -> list[str]:
    """Return names of which no two are the same.

    Args:
        names: the names.
    """
    used: set[str] = set()
    for place, name in enumerate(names):
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        names[place] = next(each for each in itertools.chain([name], numbered) if each not in used)
        used.add(names[place])
    return names
