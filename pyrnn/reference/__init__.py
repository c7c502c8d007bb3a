"""The compiled core's twin in plain NumPy: the same names and signatures, slow and readable.

`backend.OPERATIONS` lists the operations, and `_core.pyi` describes them.
"""

# ruff: noqa: F403
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.activations import *
from pyrnn.reference.attention import *
from pyrnn.reference.chain import *
from pyrnn.reference.convolution import *
from pyrnn.reference.losses import *
from pyrnn.reference.normalization import *
from pyrnn.reference.optimizers import *
from pyrnn.reference.pooling import *
from pyrnn.reference.recurrent import *
from pyrnn.reference.rows import *
from pyrnn.reference.streaming import *


class Workspace:
    """Takes the place of the core's scratch memory, of which NumPy needs none."""

    def array(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Return an array for a result.

        Args:
            shape: Its shape.
            dtype: "float32" or "float64".

        Returns:
            The array, whose numbers are undefined.
        """
        return np.empty(shape, dtype)
