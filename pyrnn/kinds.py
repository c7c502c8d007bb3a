"""The registries by the name of their module, for code below them.

A description in a config may name an object of any registry, such as a loss in the config of a custom layer. What
reads descriptions is imported by every registry and cannot import them; so each registry adds itself to `KINDS` when it
is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What descriptions need to know of a registry."""

    # Makes the object that a description of the module's describes.
    deserialize: Callable[[Any], Any]
    # Functions of pyrnn by the names that descriptions of functions hold.
    functions: Mapping[str, Callable[..., Any]] = {}
    # Further names that a function in this place would be taken for.
    names: frozenset[str] = frozenset()


# By module below `keras` and `pyrnn`, such as "optimizers.schedules".
KINDS: dict[str, Kind] = {}


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of pyrnn that a description may name: activations, losses, and functions of metrics."""
    return {name: function for kind in KINDS.values() for name, function in kind.functions.items()}
