"""Random numbers under the names of keras.random, from NumPy's generators.

In `call` of a custom layer they are symbols, and each run of the layer draws new numbers.
"""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.random import functions
from pyrnn.random.functions import *  # noqa: F403
from pyrnn.random.seed_generator import SeedGenerator

__all__ = ["SeedGenerator", *functions.__all__]
explain(__name__)
