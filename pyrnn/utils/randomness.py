"""One call that makes a whole script repeatable."""

from __future__ import annotations

import random

import numpy as np

from pyrnn import seeds


def set_random_seed(seed: int) -> None:
    """Make everything random repeatable from here on: pyrnn itself, Python's `random` and NumPy's `np.random`.

    pyrnn draws only from its own streams; the other two are set for the calling script, as Keras does. In a thread
    other than the main one the seed of pyrnn is that of the thread, while the other two belong to the whole process.

    Args:
        seed: From 0 to 2**32 - 1.

    Raises:
        TypeError: If `seed` is not an integer.
        ValueError: If it is out of range.

    Example:
        >>> from pyrnn.utils import set_random_seed
        >>> set_random_seed(7)
        >>> first = float(np.random.rand())
        >>> set_random_seed(7)
        >>> first == float(np.random.rand())
        True
    """
    seeds.set_random_seed(seed)
    random.seed(int(seed))
    np.random.seed(int(seed))
