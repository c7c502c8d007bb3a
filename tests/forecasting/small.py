"""A small forecaster and a table for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.forecasting import Forecaster

AHEAD = 5


def forecaster(**changes: Any) -> Forecaster:
    settings: dict[str, Any] = {"horizon": AHEAD, "season": 4, "units": 5, "epochs": 1, "target": "y", "group": "shop"}
    return Forecaster(**{**settings, **changes})


def waves(count: int = 3, length: int = 90) -> dict[str, Any]:
    generator = np.random.default_rng(5)
    t = np.arange(length)
    return {
        "shop": np.repeat(np.arange(count), length), "t": np.tile(t, count),
        "y": (20 + 5 * np.sin(np.pi * t / 2) + generator.normal(size=(count, length))).ravel(),
    }  # fmt: skip
