"""Watching one number of the logs, for the callbacks that act on its best value."""

from __future__ import annotations

import math
import re
from typing import Any

from pyrnn import losses
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.naming import snake_case
from pyrnn.typing import NonNegative, Text
from pyrnn.validation import did_you_mean, shown, warn

MODES = ("auto", "min", "max")
# Where a metric does not say itself which way it improves, the end of its name does.
RISING = (
    "acc", "accuracy", "auc", "precision", "recall", "f1", "f1_score", "fbeta_score", "r2_score", "cosine_similarity",
    "iou", "io_u", "sensitivity", "specificity", "true_positives", "true_negatives", "correlation",
)  # fmt: skip
FALLING = (
    "loss", "error", "mse", "rmse", "mae", "mape", "msle", "crossentropy", "hinge", "poisson", "kl_divergence",
    "logcosh", "false_positives", "false_negatives",
)  # fmt: skip


class MonitorCallback(Callback):
    """Knows which way `monitor` improves: `mode` "min" or "max", or "auto": as its metric or its name says.

    Raises:
        ValueError: when the number is first compared, if "auto" finds neither.
    """

    @checked
    def __init__(self, monitor: Text, mode: Text, min_delta: NonNegative = 0.0, best: float | None = None) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {shown(mode)}")
        self.monitor, self.mode = monitor, mode
        self._rises = None if mode == "auto" else mode == "max"
        self.min_delta = abs(min_delta)
        self.best: float | None = best

    def forget_best(self) -> None:
        """Start anew."""
        self.best = None

    def rises(self) -> bool:
        """Whether larger is better."""
        if self._rises is None:
            self._rises = _rises(self.monitor.removeprefix("val_"), self.model)
            if self._rises is None:
                raise ValueError(
                    f"{type(self).__name__} cannot tell whether {self.monitor!r} should rise or fall: "
                    "give mode='max' or mode='min'"
                )
        return self._rises

    def improved(self, value: float, than: float | None) -> bool:
        """Whether `value` is better than another by more than min_delta; NaN never is."""
        if than is None:
            return not math.isnan(value)
        return value - self.min_delta > than if self.rises() else value + self.min_delta < than

    def value(self, logs: Logs | None, consequence: str) -> float | None:
        """The monitored number, or None with a warning that says why it is missing and what follows from that."""
        logs = logs or {}
        if self.monitor in logs:
            self.rises()
            return float(logs[self.monitor])
        logged = [name for name in logs if name != "learning_rate"]
        hint = did_you_mean(self.monitor, logged) or "monitor one of these."
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in logged):
            hint = "pass validation_data or validation_split to fit."
        warn(
            f"{type(self).__name__} monitors {self.monitor!r}, which is not in the logs ({', '.join(logged)}): "
            f"{hint} {consequence}"
        )
        return None


def _rises(name: str, model: Any) -> bool | None:
    """Whether larger is better: as the metric says, else the end of its name in the logs or of its class's name."""
    if name == "loss":
        return False
    names = [name]
    for each, metric in zip(getattr(model, "metrics_names", ()), getattr(model, "metrics", ()), strict=False):
        if each == name:
            direction = getattr(metric, "_direction", None)
            if direction is not None:
                return bool(direction == "up")
            names += [type(metric).__name__, getattr(metric, "default_name", None) or ""]
    for each in names:
        plain = re.sub(r"_\d+$", "", snake_case(each))  # of a second metric of its name
        if plain.endswith(RISING):
            return True
        if each in losses.NAMES or plain.endswith(FALLING):
            return False
    return None
