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


_TUPLE = "__tuple__"  # how Keras writes a tuple into a config


def described_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return a structure as a config holds it: Keras's form of tuples, and descriptions in place of the leaves.

    Args:
        function: describes a leaf. The description of an object, a dict with "class_name", is a leaf.
        structure: nested lists, tuples and dicts.

    Example:
        >>> from pyrnn.structures import described_structure
        >>> described_structure(str, {"a": (1, 2)})
        {'a': {'class_name': '__tuple__', 'items': ['1', '2']}}
    """
    if isinstance(structure, list | tuple):
        parts = [described_structure(function, each) for each in structure]
        return {"class_name": _TUPLE, "items": parts} if isinstance(structure, tuple) else parts
    if isinstance(structure, Mapping) and "class_name" not in structure:
        return {key: described_structure(function, each) for key, each in structure.items()}
    return function(structure)


def with_tuples(config: Any) -> Any:
    """Return a config with tuples in place of Keras's form of them, in its lists and dicts.

    Args:
        config: what a file holds.

    Example:
        >>> from pyrnn.structures import with_tuples
        >>> with_tuples([{"class_name": "__tuple__", "items": [1, 2]}])
        [(1, 2)]
    """
    if isinstance(config, list):
        return [with_tuples(each) for each in config]
    if not isinstance(config, Mapping):
        return config
    items = config.get("items")
    if config.get("class_name") == _TUPLE and isinstance(items, list | tuple):
        return tuple(map(with_tuples, items))
    return config if "class_name" in config else {key: with_tuples(each) for key, each in config.items()}
