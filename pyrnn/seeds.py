"""Where randomness starts: one seed sequence for the process, from which every generator is drawn."""

from __future__ import annotations

import numpy as np

from pyrnn.arguments import checked
from pyrnn.validation import shown

_root = np.random.default_rng()


@checked(seed=None)
def set_random_seed(seed: int) -> None:
    """Make everything random in pyrnn repeatable from here on (weights, shuffling, dropout).

    Args:
        seed: an integer, 0 to 2**32 - 1.

    Raises:
        TypeError: if ``seed`` is no integer.
        ValueError: if it is out of range.
    """
    global _root
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer, got {shown(seed)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be between 0 and 2**32 - 1, got {seed}")
    _root = np.random.default_rng(int(seed))


def next_seed() -> int:
    """A fresh seed drawn from the process's seed sequence."""
    return int(_root.integers(2**31))


def generator(seed: int | None = None) -> np.random.Generator:
    """A generator for one consumer: from ``seed``, or from the process's sequence when it is None."""
    return np.random.default_rng(next_seed() if seed is None else seed)
