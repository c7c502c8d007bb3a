"""Area under a curve of rates over thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.losses.alignment import match_ranks
from pyrnn.metrics.base import EPSILON, Array, ThresholdsLike, weights_of
from pyrnn.metrics.confusion import ConfusionMetric, divided
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Dict, Either, Whole
from pyrnn.typing import DtypeLike, Flag, Name, Size, Text
from pyrnn.validation import shown

__all__ = ["AUC"]

CURVES = {"roc": "ROC", "pr": "PR", "prgain": "PRGAIN"}
SUMMATIONS = {
    "interpolation": "interpolation", "minoring": "minoring", "majoring": "majoring",
}  # fmt: skip


class AUC(ConfusionMetric):
    """Area under the ROC, PR or PRGAIN curve, summed over thresholds.

    Args:
        num_thresholds: How many evenly spaced thresholds to use, at least 2; None only with `thresholds`.
        curve: "ROC", "PR" (precision and recall) or "PRGAIN".
        summation_method: "interpolation", "minoring" (the lower of two heights) or "majoring" (the higher).
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        thresholds: Numbers from 0 to 1 that replace the even ones, or None.
        multi_label: Whether each label along the last axis has a curve of its own; the result is the mean of the areas.
        num_labels: Number of labels, or None to take it from the first batch.
        label_weights: Weights of the labels in that mean, or None.
        from_logits: Whether y_pred holds logits; otherwise values from 0 to 1.

    Raises:
        ValueError: If an argument is out of its range, or `num_labels` is set without `multi_label`.

    Example:
        >>> metric = pyrnn.metrics.AUC(num_thresholds=3)
        >>> metric.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        >>> round(metric.result(), 4)
        0.75
    """

    hidden = ("_labels",)

    @checked
    def __init__(
        self,
        num_thresholds: Annotated[int, Whole(1, 2**20)] | None = 200,
        curve: Text = "ROC",
        summation_method: Text = "interpolation",
        name: Name | None = None,
        dtype: DtypeLike = None,
        thresholds: ThresholdsLike = None,
        multi_label: Flag = False,
        num_labels: Size | None = None,
        label_weights: Annotated[Mapping[int, float] | Sequence[float], Either(Dict(), rules.Vector())] | None = None,
        from_logits: Flag = False,
    ) -> None:
        for argument, value, allowed in (
            ("curve", curve, CURVES),
            ("summation_method", summation_method, SUMMATIONS),
        ):
            if str(value).lower() not in allowed:
                raise ValueError(f"{argument} must be one of {', '.join(allowed.values())}, got {shown(value)}")
        if thresholds is None and (num_thresholds is None or num_thresholds == 1):
            raise ValueError(f"num_thresholds must be at least 2, got {num_thresholds}")
        if num_labels and not multi_label:
            raise ValueError(f"num_labels is for multi_label=True only, got {num_labels}")
        self.curve, self.summation_method = CURVES[curve.lower()], SUMMATIONS[summation_method.lower()]
        self._inner = None if thresholds is None else sorted(np.atleast_1d(thresholds).tolist())
        steps = (num_thresholds or 1) - 1
        inner = self._inner if self._inner is not None else [(i + 1) / steps for i in range(steps - 1)]
        self.num_thresholds = len(inner) + 2
        self.multi_label, self.num_labels, self.from_logits = bool(multi_label), num_labels, bool(from_logits)
        if isinstance(label_weights, dict):  # as Keras writes an array down
            described, label_weights = label_weights, label_weights.get("config", {}).get("value")
            if label_weights is None:
                raise ValueError(f"label_weights must be a list of numbers, got {shown(described)}")
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float64)
        super().__init__([-EPSILON, *inner, 1 + EPSILON], name, dtype, num_labels)

    @property
    def thresholds(self) -> list[float]:
        """All thresholds in ascending order: the first is below 0, the last above 1."""
        return [float(level) for level in self._levels]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred: Array = measured("y_pred", y_pred).astype(np.float32, copy=False)
        labels = self._labels if self.label_weights is None else self.label_weights.size
        if self.multi_label and pred.ndim != 2:
            raise ValueError(f"y_pred must have shape (batch, labels), got {pred.shape}")
        if labels is not None and pred.shape[-1:] != (labels,):
            raise ValueError(f"y_pred must have {labels} labels along its last axis, got shape {pred.shape}")
        if self.multi_label and self._labels is None:
            match_ranks(measured("y_true", y_true), pred), weights_of(sample_weight, pred)  # before the state is made
            self._labels = pred.shape[-1]
            self.reset_state()
        if self.from_logits:
            pred = 1 / (1 + np.exp(-pred))
        if self.label_weights is not None and not self.multi_label:
            sample_weight = weights_of(sample_weight, pred) * self.label_weights
        self.count(y_true, pred, sample_weight)

    def _averaged(self, areas: Array) -> float:
        """The sum over thresholds, its mean over labels."""
        by_label = areas.sum(axis=0)
        if not self.multi_label:
            return float(by_label)
        if self.label_weights is None:
            return float(by_label.mean())
        return float((by_label * self.label_weights).sum() / self.label_weights.sum())

    def result(self) -> float:
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._averaged(self._between(tp, tp + fp, tp + fn))
        recall = divided(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divided(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, divided(tp, tp + fp)
        else:
            scale = divided(tp + fn, tn + fp)
            x = np.maximum(np.where(tp == 0, 0, 1 - scale * divided(fn, tp)), 0)
            y = np.where(tp == 0, 1, 1 - scale * divided(fp, tp))
        heights = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}.get(
            self.summation_method, np.maximum(y[:-1], y[1:])
        )
        return self._averaged((x[:-1] - x[1:]) * heights)

    @staticmethod
    def _between(tp: Array, positive: Array, true: Array) -> Array:
        """Areas under the PR curve with true positives linear between thresholds (Davis and Goadrich 2006)."""
        step = tp[:-1] - tp[1:]
        slope = divided(step, np.maximum(positive[:-1] - positive[1:], 0))
        intercept = tp[1:] - slope * positive[1:]
        both = (positive[:-1] > 0) & (positive[1:] > 0)
        ratio = np.where(both, divided(positive[:-1], np.maximum(positive[1:], 0)), 1)
        return divided(slope * (step + intercept * np.log(ratio)), np.maximum(true[1:], 0))

    def get_config(self) -> dict[str, Any]:
        weights = None if self.label_weights is None else self.label_weights.tolist()
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": weights,
            "from_logits": self.from_logits,
            "thresholds": self._inner,
        }
