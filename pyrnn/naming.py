"""Automatic names as in Keras: the class in snake case, then with _1, _2, ..., counted per process."""

from __future__ import annotations

import gc
import re
from collections import defaultdict

from pyrnn.arguments import checked
from pyrnn.typing import Flag

_counters: defaultdict[str, int] = defaultdict(int)


def snake_case(name: str) -> str:
    """Spell a name as Keras names layers and groups in a file: simple_rnn, conv1d, gru."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(kind: str) -> str:
    """Return the next automatic name of a kind of object: 'simple_rnn', then 'simple_rnn_1'."""
    snake = snake_case(kind)
    count = _counters[snake]
    _counters[snake] += 1
    return f"{snake}_{count}" if count else snake


@checked
def clear_session(free_memory: Flag = True) -> None:
    """Restart the numbers in automatic names. There is no other state to clear.

    Args:
        free_memory: Whether to run Python's garbage collector, which frees models that are no chain of layers. A
            `Sequential` is freed with the last reference to it.

    Raises:
        TypeError: If `free_memory` is not True or False.

    Example:
        >>> import pyrnn
        >>> pyrnn.utils.clear_session()
        >>> pyrnn.layers.Dense(1).name, pyrnn.layers.Dense(1).name
        ('dense', 'dense_1')
    """
    _counters.clear()
    if free_memory:
        gc.collect()
