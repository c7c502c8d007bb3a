"""One call that makes a whole script repeatable."""

from __future__ import annotations

import random

import numpy as np

from pyrnn import seeds


def set_random_seed(seed: int) -> None:
    """Make everything random repeatable from here on: pyrnn itself, Python's `random` and NumPy's `np.random`.

    pyrnn draws from the first alone; the two others are set for the script that calls this, as Keras does.

    Raises:
        TypeError: if `seed` is no integer.
        ValueError: if it is not in 0..2**32 - 1.
    """
    seeds.set_random_seed(seed)
    random.seed(int(seed))
    np.random.seed(int(seed))
