"""The one rule for how far two results may be apart: rounding of the terms summed, relative to the largest value."""

from __future__ import annotations

from typing import Any

import numpy as np

# Rounding errors of one term, its product and its activation (at most 4 ULP) with a margin for unlucky sums.
FACTOR = 16


def assert_close(actual: Any, expected: Any, terms: int, what: str = "result") -> None:
    """Within FACTOR * eps * sqrt(terms) of the largest expected size; eps is that of `actual`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    size = max(1.0, float(np.abs(expected).max(initial=0.0)))
    bound = FACTOR * float(np.finfo(actual.dtype).eps) * np.sqrt(max(1, terms)) * size
    worst = float(np.abs(actual.astype(np.float64) - expected).max(initial=0.0))
    assert worst <= bound, f"{what}: off by {worst:.3g}, allowed {bound:.3g}"
