"""Automatic names, Keras's way: the class in snake case, then _1, _2, ... counted per process."""

from __future__ import annotations

import re
from collections import defaultdict

from pyrnn.arguments import checked
from pyrnn.typing import Flag

_counters: defaultdict[str, int] = defaultdict(int)


def snake_case(name: str) -> str:
    """SimpleRNN -> simple_rnn, Conv1D -> conv1d, GRU -> gru, as Keras names layers and groups of a file."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(kind: str) -> str:
    """Keras's automatic name: 'simple_rnn', then 'simple_rnn_1', counted per process."""
    snake = snake_case(kind)
    count = _counters[snake]
    _counters[snake] += 1
    return f"{snake}_{count}" if count else snake


@checked
def clear_session(free_memory: Flag = True) -> None:
    """Count automatic names from the start again; Keras's name of it. There is no other state to clear."""
    _counters.clear()
