"""How a model reads data: the number, names and structure of its inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn.structures import leaves
from pyrnn.validation import WrongType, shown, warn


class Ports:
    """The inputs of a model, or its outputs.

    Args:
        kind: "input" or "output".
        structure: The names, in the structure in which the model has its inputs or outputs: one name, or nested lists,
            tuples and dicts of names.
        ranks: The number of axes of each array, with the batch axis, in the order of `leaves`; None if unknown.
        optional: The names of the arrays that may be None.

    Example:
        >>> from pyrnn.data.signature import Ports
        >>> ports = Ports("input", ["series", "static"], (3, 2))
        >>> ports.flat("x", {"static": 2, "series": 1})
        [1, 2]
    """

    def __init__(self, kind: str, structure: Any, ranks: Sequence[int | None], optional: Collection[str] = ()) -> None:
        self.optional = frozenset(optional)
        self.kind, self.structure, self.ranks = kind, structure, tuple(ranks)
        self.names: list[str] = leaves(structure)
        self.count = len(self.names)
        self._trained: Sequence[int] = range(self.count)
        # A dict has the keys of the dict that the model was made with, or the names.
        self._choices: list[list[Any]] = []
        if isinstance(structure, Mapping) and len(structure) == self.count:
            self._choices.append(sorted(structure))
        if len(set(self.names)) == self.count:
            self._choices.append(self.names)

    def trained_at(self, numbers: Sequence[int]) -> Ports:
        """Return these outputs, of which only some have a loss.

        Args:
            numbers: The numbers of those with a loss; the others need no targets.

        Returns:
            A copy.
        """
        ports = copy.copy(self)
        ports._trained = numbers
        return ports

    def labels(self, argument: str) -> list[str]:
        """Return what messages call each array of an argument, such as "x['series']".

        Args:
            argument: The name of the argument.

        Returns:
            As many texts as there are arrays.
        """
        if self.count == 1:
            return [argument]
        keys = self._choices[0] if self._choices else range(self.count)
        return [f"{argument}[{key!r}]" for key in keys]

    def has_key_in(self, value: Mapping[Any, Any]) -> bool:
        """Return whether a dict has a key that names an array.

        Args:
            value: A dict.

        Returns:
            True if it has one or more.
        """
        return any(key in value for keys in self._choices for key in keys)

    def entry(self, value: Mapping[Any, Any]) -> Any:
        """Return the only array in a dict, under its name; None if the dict has no such key.

        Args:
            value: The dict. Other keys of an input are ignored, as in Keras.
        """
        if self.kind == "output" and len(value) != 1:
            return None
        return next((value[keys[0]] for keys in self._choices if keys[0] in value), None)

    def single(self, value: Any, rows: int | None = None) -> Any:
        """Take the only array out of a list or dict around it.

        Args:
            value: An array, or a list, tuple or dict.
            rows: The number of samples if it is known; an array in a list is then recognized by its rows, not by its
                rank.

        Returns:
            The array in a list or tuple of one array, or in a dict under its name; any other value unchanged. A list
            of one array that has an axis less than the model's is a sample.
        """
        if isinstance(value, Mapping):
            if (entry := self.entry(value)) is None:
                return value
            if len(value) > 1:
                self._warn_of_structure(value)
            return entry
        if not isinstance(value, list | tuple) or len(value) != 1 or not hasattr(value[0], "__array__"):
            return value
        shape = np.shape(value[0])
        if rows is not None and rows > 1:
            return value[0] if shape[:1] == (rows,) else value
        return value[0] if len(shape) == self.ranks[0] else value

    def flat(self, argument: str, value: Any) -> list[Any]:
        """Return the arrays of an argument, in the order of the model's inputs or outputs.

        Args:
            argument: The name of the argument, for messages.
            value: The structure that the user passed: that of the model, a flat list or tuple, or a dict by the names
                or by the keys of the model's dict. Of outputs, those without a loss may be missing.

        Returns:
            As many entries as the model has inputs or outputs; None for an output that is missing.

        Raises:
            TypeError: If it is not a structure, or an entry has a structure of its own.
            ValueError: If the number of arrays or the keys are others.
        """
        if isinstance(value, Mapping):
            entries = self._by_key(argument, value)
        elif isinstance(value, list | tuple):
            entries = self._by_place(argument, value)
        elif self.kind == "output" and len(self._trained) == 1:
            entries = self._of_trained([value])
        else:
            what = f"an array of shape {np.shape(value)}" if hasattr(value, "__array__") else shown(value)
            raise WrongType(f"{self._rule(argument)}, got {what}")
        entries = [
            entry[0] if isinstance(entry, list) and len(entry) == 1 and np.ndim(entry[0]) == rank else entry
            for entry, rank in zip(entries, self.ranks, strict=True)
        ]
        for name, label, entry in zip(self.names, self.labels(argument), entries, strict=True):
            if isinstance(entry, Mapping):
                raise WrongType(f"{label} must be one array, got a dict of {shown_keys(entry)}")
            if entry is None and self.kind == "input" and name not in self.optional:
                raise WrongType(f"{label} must be an array, got None: the input is not optional")
        return entries

    def _rule(self, argument: str) -> str:
        names = ", ".join(map(repr, self._choices[0] if self._choices else self.names))
        return f"{argument} must hold {self.count} arrays, one for each {self.kind} of the model ({names})"

    def _warn_of_structure(self, value: Any) -> None:
        """Warn of inputs in another structure than that of the model, which can be read nevertheless."""
        got = f"a dict of {shown_keys(value)}" if isinstance(value, Mapping) else f"a {type(value).__name__}"
        expected = shown_keys(self.structure) if isinstance(self.structure, Mapping) else ", ".join(self.names)
        warn(f"The structure of `inputs` doesn't match the expected structure: expected {expected}, got {got}")

    def _by_key(self, argument: str, value: Mapping[Any, Any]) -> list[Any]:
        """The entries of a dict. Other keys of inputs are ignored, as in Keras; those of outputs are an error."""
        is_nested = isinstance(self.structure, Mapping) and len(self.structure) != self.count
        if is_nested and (entries := _matched(self.structure, value)) is not None:
            return entries
        for keys in self._choices:
            missing = [key for key in keys if key not in value]
            if missing and (self.kind == "input" or len(missing) == len(keys)):
                continue
            if self.kind == "output" and (unknown := [key for key in value if key not in keys]):
                raise ValueError(f"{self._rule(argument)}, got the unknown key {unknown[0]!r}")
            if self.kind == "input" and len(value) > len(keys):
                self._warn_of_structure(value)
            return [value.get(key) for key in keys]
        hint = ""
        if self._choices and (absent := [key for key in self._choices[0] if key not in value]):
            hint = f"; {shown_keys(absent)} is missing" if len(absent) == 1 else ""
        raise ValueError(f"{self._rule(argument)}, got a dict of {shown_keys(value)}{hint}")

    def _by_place(self, argument: str, value: Sequence[Any]) -> list[Any]:
        """The entries of a list or tuple."""
        if (entries := _matched(self.structure, value)) is not None:
            return entries
        if len(value) == self.count:
            is_sorted = not isinstance(self.structure, Mapping) or list(self.structure) == sorted(self.structure)
            # `Arrays`, which have a shape, are in the order of the model.
            if self.kind == "input" and not is_sorted and not hasattr(value, "shape"):
                raise ValueError(
                    f"{argument} must be a dict of {shown_keys(self.structure)}, like the {self.kind}s of the model, "
                    f"got a {type(value).__name__}: the order of its arrays is ambiguous"
                )
            if self.kind == "input" and isinstance(self.structure, Mapping) and not hasattr(value, "shape"):
                self._warn_of_structure(value)
            return list(value)
        if self.kind == "output" and len(value) == len(self._trained):
            return self._of_trained(value)
        raise ValueError(f"{self._rule(argument)}, got {len(value)}")

    def _of_trained(self, value: Sequence[Any]) -> list[Any]:
        entries: list[Any] = [None] * self.count
        for number, entry in zip(self._trained, value, strict=True):
            entries[number] = entry
        return entries


class Signature:
    """How a model reads its inputs, and the targets and weights of its outputs.

    Args:
        inputs: The inputs.
        outputs: The outputs.

    Example:
        >>> from pyrnn.data.signature import Ports, Signature
        >>> Signature(Ports("input", "a", (3,)), Ports("output", ["p", "q"], (2, 2))).has_several
        True
    """

    # Whether the first data will tell, and what is called with them.
    is_open = False
    resolve: Callable[[Any], None]

    def __init__(self, inputs: Ports, outputs: Ports) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.has_several = inputs.count > 1 or outputs.count > 1


class OpenSignature(Signature):
    """The signature of a model that the first data build.

    Args:
        build: Builds the model for the inputs of a batch and calls `close`.
    """

    is_open = True

    def __init__(self, build: Callable[[Any], None]) -> None:
        self.resolve = build
        self.has_several = True  # until it is known

    def close(self, inputs: Ports, outputs: Ports) -> None:
        """Take what is known now.

        Args:
            inputs: The inputs.
            outputs: The outputs.
        """
        super().__init__(inputs, outputs)
        self.is_open = False


def shown_keys(keys: Iterable[Any]) -> str:
    """Return the keys of a dict as messages show them.

    Args:
        keys: The keys.

    Returns:
        A text such as "'a', 'b'".
    """
    return ", ".join(repr(key) for key in keys) or "nothing"


def _matched(structure: Any, value: Any) -> list[Any] | None:
    """The entries of a value at the leaves of a structure, in the order of `leaves`; None if the structure differs."""
    if isinstance(structure, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(structure):
            return None
        pairs = list(zip(structure, value, strict=True))
    elif isinstance(structure, Mapping):
        if not isinstance(value, Mapping) or any(key not in value for key in structure):
            return None
        pairs = [(structure[key], value[key]) for key in sorted(structure)]
    else:
        return [value]
    parts = [_matched(*pair) for pair in pairs]
    return None if None in parts else [entry for part in parts for entry in part or []]
