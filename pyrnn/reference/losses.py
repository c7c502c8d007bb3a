"""The squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def squared_error(y_true: Array, y_pred: Array) -> tuple[float, Array]:
    if y_pred.shape != y_true.shape:
        raise ValueError(f"y_pred must have shape of y_true = {y_true.shape}, got {y_pred.shape}")
    error = y_pred - y_true
    count = max(1, error.size)
    return float(np.vdot(error, error)) / count, error * error.dtype.type(2 / count)
