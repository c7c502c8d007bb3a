"""Nested lists, tuples and dicts: taking their leaves apart and putting them together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """Return the leaves of a structure, from left to right; those of a dict in the order of its sorted keys.

    Args:
        structure: nested lists, tuples and dicts; anything else is a leaf.

    Returns:
        A flat list.

    Example:
        >>> from pyrnn.structures import leaves
        >>> leaves({"b": [1, 2], "a": 3})
        [3, 1, 2]
    """
    if isinstance(structure, list | tuple):
        return [leaf for entry in structure for leaf in leaves(entry)]
    if isinstance(structure, Mapping):
        return [leaf for key in sorted(structure) for leaf in leaves(structure[key])]
    return [structure]


def mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return the structure with `function` applied to each leaf, in the order of `leaves`.

    Args:
        function: function of one leaf.
        structure: nested lists, tuples and dicts; anything else is a leaf.

    Returns:
        The same structure of the results. Dicts keep the order of their keys.

    Example:
        >>> from pyrnn.structures import mapped
        >>> mapped(lambda leaf: leaf + 1, {"b": [1, 2], "a": (3,)})
        {'b': [2, 3], 'a': (4,)}
    """
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(mapped(function, entry) for entry in structure))
    if isinstance(structure, list | tuple):
        return type(structure)(mapped(function, entry) for entry in structure)
    if isinstance(structure, Mapping):
        results = {key: mapped(function, structure[key]) for key in sorted(structure)}
        return {key: results[key] for key in structure}
    return function(structure)


def packed(structure: Any, values: list[Any]) -> Any:
    """Return the structure with its leaves replaced by `values`, in the order of `leaves`.

    Args:
        structure: nested lists, tuples and dicts.
        values: as many values as the structure has leaves.

    Returns:
        The same structure of the values.

    Example:
        >>> from pyrnn.structures import packed
        >>> packed({"b": 0, "a": [0, 0]}, [1, 2, 3])
        {'b': 3, 'a': [1, 2]}
    """
    remaining = iter(values)
    return mapped(lambda _: next(remaining), structure)
