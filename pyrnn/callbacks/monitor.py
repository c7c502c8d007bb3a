"""Watching one number of the logs, for callbacks that act on its best value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn import losses, ops
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.naming import snake_case
from pyrnn.rules import Unchecked
from pyrnn.typing import NonNegative, Text
from pyrnn.validation import did_you_mean, shown, warn

MODES = ("auto", "min", "max")
# Suffixes of names, for metrics that do not declare which way they improve.
RISING = (
    "acc", "accuracy", "auc", "precision", "recall", "f1", "f1_score", "fbeta_score", "r2_score", "cosine_similarity",
    "iou", "io_u", "sensitivity", "specificity", "true_positives", "true_negatives", "correlation",
)  # fmt: skip
FALLING = (
    "loss", "error", "mse", "rmse", "mae", "mape", "msle", "crossentropy", "hinge", "poisson", "kl_divergence",
    "logcosh", "false_positives", "false_negatives",
)  # fmt: skip


class MonitorCallback(Callback):
    """Base class of callbacks that compare one number of the logs with the best so far.

    Args:
        monitor: The name in the logs.
        mode: "min" or "max", or "auto": as the metric or its name says. Anything else is "auto", with a warning.
        min_delta: The least change that counts as an improvement.
        best: The value to beat at first; None for any.

    Raises:
        ValueError: When the number is first compared, if "auto" cannot tell the direction.
    """

    @checked
    def __init__(
        self, monitor: Text, mode: Text, min_delta: NonNegative = 0.0, best: Annotated[float, Unchecked()] | None = None
    ) -> None:
        super().__init__()
        if mode not in MODES:
            modes = ", ".join(map(repr, MODES))
            warn(f"{type(self).__name__} mode {shown(mode)} is unknown: it takes 'auto'; known: {modes}")
            mode = "auto"
        self.monitor, self.mode = monitor, mode
        self._rises = None if mode == "auto" else mode == "max"
        self.min_delta = abs(min_delta)
        self.best: float | None = best

    def forget_best(self) -> None:
        """Start again without a best value."""
        self.best = None

    def rises(self) -> bool:
        """Return whether larger is better.

        Returns:
            True for "max".

        Raises:
            ValueError: If `mode` is "auto" and neither the metric nor its name tells.
        """
        if self._rises is None:
            self._rises = _rises(self.monitor.removeprefix("val_"), self.model)
            if self._rises is None:
                raise ValueError(
                    f"{type(self).__name__} cannot tell whether {self.monitor!r} should rise or fall: "
                    "pass mode='max' or mode='min'"
                )
        return self._rises

    @property
    def monitor_op(self) -> Callable[..., Any]:
        """`ops.greater` if larger is better, else `ops.less`."""
        operation: Callable[..., Any] = getattr(ops, "greater" if self.rises() else "less")
        return operation

    def improved(self, value: float, than: float | None) -> bool:
        """Return whether a value is better than another by more than `min_delta`; NaN never is.

        Args:
            value: The new value.
            than: The value to beat, or None.

        Returns:
            True if it is better, or if there is no value to beat.
        """
        if than is None:
            return not math.isnan(value)
        return value - self.min_delta > than if self.rises() else value + self.min_delta < than

    def value(self, logs: Logs | None, consequence: str) -> float | None:
        """Return the monitored number.

        Args:
            logs: The logs of an epoch.
            consequence: What happens without the number, for the warning.

        Returns:
            The number, or None after a warning that it is missing.

        Raises:
            ValueError: If nothing tells whether it should rise or fall.
        """
        logs = logs or {}
        if self.monitor in logs:
            self.rises()
            number = np.asarray(logs[self.monitor])
            if number.size != 1:
                raise ValueError(
                    f"{type(self).__name__} must monitor one number, got {self.monitor!r} with {number.size} of them"
                )
            return float(number.item())
        logged = [name for name in logs if name != "learning_rate"]
        hint = did_you_mean(self.monitor, logged) or "monitor one of these."
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in logged):
            hint = "pass validation_data or validation_split to fit."
        missing = (
            f"{type(self).__name__} monitors {self.monitor!r}, which is not in the logs ({', '.join(logged)}): {hint}"
        )
        if self._rises is None and _rises(self.monitor.removeprefix("val_"), self.model) is None:
            raise ValueError(f"{missing} Nor does the name tell whether it should rise or fall")
        warn(f"{missing} {consequence}")
        return None


def _rises(name: str, model: Any) -> bool | None:
    """Whether larger is better: as the metric says, else by the suffix of its name or its class's name."""
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
        plain = re.sub(r"_\d+$", "", snake_case(each))  # a second metric of that name has a number
        if plain.endswith(RISING):
            return True
        if each in losses.NAMES or plain.endswith(FALLING):
            return False
    return None
