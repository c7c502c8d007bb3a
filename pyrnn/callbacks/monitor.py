"""Watching one number of the logs, for the callbacks that act on its best value."""

from __future__ import annotations

import math
import warnings

from pyrnn.callbacks.base import Callback, Logs

MODES = ("auto", "min", "max")


class MonitorCallback(Callback):
    """Knows which way `monitor` improves: `mode` "min" or "max", or "auto": "max" for names that speak of accuracy."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0, best: float | None = None) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        rises = mode == "max" or (mode == "auto" and (monitor.endswith(("acc", "accuracy", "auc")) or "f1" in monitor))
        self.monitor, self.mode = monitor, mode
        self._sign = 1.0 if rises else -1.0
        self._min_delta = abs(min_delta)
        self.best: float | None = best

    def forget_best(self) -> None:
        """Start anew."""
        self.best = None

    def improved(self, value: float, than: float | None) -> bool:
        """Whether `value` is better than another by more than min_delta."""
        if than is None:
            return not math.isnan(value)
        return self._sign * (value - than) > self._min_delta

    def value(self, logs: Logs | None) -> float | None:
        """The monitored number, or None with a warning that lists what there is."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not among {', '.join(logs) or 'the logs'}",
                stacklevel=4,
            )
            return None
        return float(logs[self.monitor])
