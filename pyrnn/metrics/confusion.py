"""Counts of right and wrong predictions at thresholds, and the rates computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.losses.alignment import match_ranks, with_classes
from pyrnn.metrics.base import EPSILON, Array, Metric, ThresholdsLike, weights_of
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Dict, Either, Whole
from pyrnn.typing import DtypeLike, Flag, Name, Natural, Rate, Size, Text
from pyrnn.validation import shown

__all__ = [
    "AUC",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]

CURVES = {"roc": "ROC", "pr": "PR", "prgain": "PRGAIN"}
SUMMATIONS = {
    "interpolation": "interpolation", "minoring": "minoring", "majoring": "majoring",
}  # fmt: skip
_NEVER = -1e10  # below every prediction
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _thresholds(thresholds: Any, default: float) -> list[float]:
    return [default] if thresholds is None else [float(each) for each in np.atleast_1d(thresholds)]


def _divided(top: Array, below: Array) -> Array:
    """top / below, 0 where there is nothing below."""
    return np.divide(top, below, out=np.zeros(np.shape(top)), where=below != 0)


def _largest(pred: Array, count: int) -> Array:
    """Which are among the `count` largest of the last axis, the first of equal ones before the others."""
    if count >= pred.shape[-1]:
        return np.ones(pred.shape, bool)
    least = -np.partition(-pred, count - 1, axis=-1)[..., count - 1 : count]
    above, equal = pred > least, pred == least
    room = count - above.sum(axis=-1, keepdims=True)
    return np.asarray(above | (equal & (equal.cumsum(axis=-1) <= room)))


def _even(levels: Array) -> bool:
    """Return whether thresholds are evenly spaced from 0 to 1, apart from the epsilon at AUC's ends (Keras's rule)."""
    count = len(levels)
    return count > 2 and bool(np.allclose(levels, np.arange(count, dtype=np.float32) / (count - 1), atol=EPSILON))


class ConfusionMetric(Metric):
    """Counts of true and false positives and negatives, one for each threshold (and label)."""

    masked = of_points = True
    state: tuple[str, ...] = COUNTS

    def __init_subclass__(cls, *, counts: tuple[str, ...] | None = None, **kwargs: Any) -> None:
        """Make only these counts variables, as in Keras, and keep the others as well."""
        super().__init_subclass__(**kwargs)
        if counts is not None:
            cls.state, cls.hidden = counts, tuple(name for name in COUNTS if name not in counts)

    def __init__(self, thresholds: list[float], name: str | None, dtype: Any, labels: int | None = None) -> None:
        self._levels = np.asarray(thresholds, np.float32)
        self._order = np.argsort(self._levels, kind="stable")
        self._is_even, self._labels = _even(self._levels), labels
        super().__init__(dtype, name)
        ConfusionMetric.reset_state(self)

    def reset_state(self) -> None:
        super().reset_state()
        shape = self._levels.shape if self._labels is None else (*self._levels.shape, self._labels)
        self.true_positives, self.false_positives = np.zeros(shape), np.zeros(shape)
        self.true_negatives, self.false_negatives = np.zeros(shape), np.zeros(shape)

    def count(
        self, y_true: Any, y_pred: Any, sample_weight: Any, class_id: int | None = None, top_k: int | None = None
    ) -> None:
        """Add a batch to the counts.

        Args:
            y_true: Labels, shape (batch, ...); positive where not 0.
            y_pred: Predictions from 0 to 1, shape (batch, ...).
            sample_weight: Weights that broadcast to the predictions, such as (batch,), or None.
            class_id: The class along the last axis to count, or None for all.
            top_k: How many of the largest predictions of a row count as positive, or None for all.

        Raises:
            ValueError: If the shapes do not match, or y_pred has no such class.
        """
        pred: Array = measured("y_pred", y_pred).astype(np.float32, copy=False)
        true: Array = match_ranks(measured("y_true", y_true), pred)
        weight = weights_of(sample_weight, pred)
        if top_k is not None:
            pred = np.where(_largest(with_classes(pred), top_k), pred, np.float32(_NEVER))
        if class_id is not None:
            if pred.ndim < 2 or pred.shape[-1] <= class_id:
                raise ValueError(
                    f"y_pred must have shape (batch, classes) with more than class_id = {class_id} classes, "
                    f"got {pred.shape}"
                )
            pred, true, weight = (each[..., class_id] for each in (pred, true, weight))
        labels, places = self._labels or 1, len(self._levels) + 1
        # Four histograms a label, of right and wrong predictions, by how many thresholds lie below them.
        cell = self._passed(pred).reshape(-1, labels) + places * np.arange(labels)
        cell += np.where((true != 0).reshape(-1, labels), 0, labels * places)
        counts = np.bincount(cell.reshape(-1), weight.reshape(-1), minlength=2 * labels * places)
        counts = counts.reshape(2, labels, places)
        over = counts[..., ::-1].cumsum(axis=-1)[..., -2::-1]  # above threshold k: those that passed more than k
        under = counts.sum(axis=-1, keepdims=True) - over
        at: Any = self._order
        if self._labels is None:
            over, under = over[:, 0], under[:, 0]
        else:
            over, under = over.transpose(0, 2, 1), under.transpose(0, 2, 1)
        self.true_positives[at] += over[0]
        self.false_positives[at] += over[1]
        self.false_negatives[at] += under[0]
        self.true_negatives[at] += under[1]

    def _passed(self, pred: Array) -> Array:
        """How many thresholds lie below each prediction; none below what is no number."""
        missing = np.isnan(pred)
        if self._is_even:
            steps = np.float32(len(self._levels) - 1)
            # As Keras counts: cut to [0, 1], and 0 is above a first threshold below it.
            numbers = np.ceil(np.clip(np.where(missing, 0, pred), 0, 1) * steps).astype(np.int64)
            numbers = np.maximum(numbers, int(self._levels[0] < 0))
        else:
            numbers = np.searchsorted(self._levels[self._order], pred, side="left")
        return np.where(missing, 0, numbers)

    def plain(self, values: Array) -> Any:
        """Return a float if there is one threshold.

        Args:
            values: One value per threshold, shape (thresholds,).

        Returns:
            A float, or the array.
        """
        return float(values[0]) if len(values) == 1 else values


class _Count(ConfusionMetric):
    """One of the four counts, its only variable."""

    @checked
    def __init__(self, thresholds: ThresholdsLike = None, name: Name | None = None, dtype: DtypeLike = None) -> None:
        self.thresholds = thresholds
        super().__init__(_thresholds(thresholds, 0.5), name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count(y_true, y_pred, sample_weight)

    def result(self) -> Any:
        return self.plain(getattr(self, self.state[0]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.thresholds}


class TruePositives(_Count, counts=("true_positives",)):
    """Number (or weight) of positive predictions that are right.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If a threshold is not in [0, 1].

    Example:
        >>> metric = pyrnn.metrics.TruePositives()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.1, 0.7, 0.8])
        >>> metric.result()
        2.0
    """


class FalsePositives(_Count, counts=("false_positives",)):
    """Number (or weight) of positive predictions that are wrong.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If a threshold is not in [0, 1].

    Example:
        >>> metric = pyrnn.metrics.FalsePositives()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.1, 0.7, 0.8])
        >>> metric.result()
        1.0
    """


class TrueNegatives(_Count, counts=("true_negatives",)):
    """Number (or weight) of negative predictions that are right.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If a threshold is not in [0, 1].

    Example:
        >>> metric = pyrnn.metrics.TrueNegatives()
        >>> metric.update_state([0, 0, 1, 1], [0.9, 0.1, 0.7, 0.8])
        >>> metric.result()
        1.0
    """


class FalseNegatives(_Count, counts=("false_negatives",)):
    """Number (or weight) of negative predictions that are wrong.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If a threshold is not in [0, 1].

    Example:
        >>> metric = pyrnn.metrics.FalseNegatives()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.1, 0.7, 0.8])
        >>> metric.result()
        1.0
    """


class Precision(ConfusionMetric, counts=("true_positives", "false_positives")):
    """Precision: true positives / predicted positives.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None, or, with
            `top_k`, none.
        top_k: How many of the largest predictions of a row may be positive, at least 1, or None.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.Precision()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.1, 0.7, 0.8])
        >>> round(metric.result(), 4)
        0.6667
    """

    @checked
    def __init__(
        self,
        thresholds: ThresholdsLike = None,
        top_k: Size | None = None,
        class_id: Natural | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        super().__init__(_thresholds(thresholds, 0.5 if top_k is None else _NEVER), name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count(y_true, y_pred, sample_weight, self.class_id, self.top_k)

    def result(self) -> Any:
        missed = getattr(self, self.state[1])
        return self.plain(_divided(self.true_positives, self.true_positives + missed))

    def get_config(self) -> dict[str, Any]:
        config = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **config}


class Recall(Precision, counts=("true_positives", "false_negatives")):
    """Recall: true positives / all that is positive.

    Args:
        thresholds: A number from 0 to 1, or a list of them; predictions above it are positive. 0.5 if None, or, with
            `top_k`, none.
        top_k: How many of the largest predictions of a row may be positive, at least 1, or None.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.Recall()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.1, 0.7, 0.2])
        >>> round(metric.result(), 4)
        0.3333
    """


class _AtConstraint(ConfusionMetric):
    """The best of one rate over the thresholds where another reaches a value."""

    constraint = ""

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        setattr(self, self.constraint, value)  # specificity and the like
        steps = num_thresholds - 1
        levels = [0.5] if num_thresholds == 1 else [0.0, *((i + 1) / steps for i in range(steps - 1)), 1.0]
        super().__init__(levels, name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count(y_true, y_pred, sample_weight, self.class_id)

    def _best(self, constrained: Array, wanted: Array) -> float:
        return float(np.where(constrained >= self.value, wanted, 0).max(initial=0))

    def _recall(self) -> Array:
        return _divided(self.true_positives, self.true_positives + self.false_negatives)

    def _precision(self) -> Array:
        return _divided(self.true_positives, self.true_positives + self.false_positives)

    def _specificity(self) -> Array:
        return _divided(self.true_negatives, self.true_negatives + self.false_positives)

    def get_config(self) -> dict[str, Any]:
        config = {self.constraint: self.value, "num_thresholds": self.num_thresholds, "class_id": self.class_id}
        return {**super().get_config(), **config}


class SensitivityAtSpecificity(_AtConstraint):
    """Best sensitivity (recall) where the specificity is at least a given value.

    Args:
        specificity: The value, from 0 to 1.
        num_thresholds: How many evenly spaced thresholds to try, at least 1.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.SensitivityAtSpecificity(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> metric.result()
        0.5
    """

    constraint = "specificity"

    @checked
    def __init__(
        self,
        specificity: Rate,
        num_thresholds: Annotated[int, Whole(1, 2**20)] = 200,
        class_id: Natural | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._specificity(), self._recall())


class SpecificityAtSensitivity(_AtConstraint):
    """Best specificity where the sensitivity (recall) is at least a given value.

    Args:
        sensitivity: The value, from 0 to 1.
        num_thresholds: How many evenly spaced thresholds to try, at least 1.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.SpecificityAtSensitivity(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> round(metric.result(), 4)
        0.6667
    """

    constraint = "sensitivity"

    @checked
    def __init__(
        self,
        sensitivity: Rate,
        num_thresholds: Annotated[int, Whole(1, 2**20)] = 200,
        class_id: Natural | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._recall(), self._specificity())


class PrecisionAtRecall(_AtConstraint):
    """Best precision where the recall is at least a given value.

    Args:
        recall: The value, from 0 to 1.
        num_thresholds: How many evenly spaced thresholds to try, at least 1.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.PrecisionAtRecall(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> metric.result()
        0.5
    """

    constraint = "recall"

    @checked
    def __init__(
        self,
        recall: Rate,
        num_thresholds: Annotated[int, Whole(1, 2**20)] = 200,
        class_id: Natural | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._recall(), self._precision())


class RecallAtPrecision(_AtConstraint):
    """Best recall where the precision is at least a given value.

    Args:
        precision: The value, from 0 to 1.
        num_thresholds: How many evenly spaced thresholds to try, at least 1.
        class_id: The class along the last axis to count, or None for all.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.RecallAtPrecision(0.8)
        >>> metric.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        >>> metric.result()
        0.5
    """

    constraint = "precision"

    @checked
    def __init__(
        self,
        precision: Rate,
        num_thresholds: Annotated[int, Whole(1, 2**20)] = 200,
        class_id: Natural | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._precision(), self._recall())


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
        recall = _divided(tp, tp + fn)
        if self.curve == "ROC":
            x, y = _divided(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, _divided(tp, tp + fp)
        else:
            scale = _divided(tp + fn, tn + fp)
            x = np.maximum(np.where(tp == 0, 0, 1 - scale * _divided(fn, tp)), 0)
            y = np.where(tp == 0, 1, 1 - scale * _divided(fp, tp))
        heights = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}.get(
            self.summation_method, np.maximum(y[:-1], y[1:])
        )
        return self._averaged((x[:-1] - x[1:]) * heights)

    @staticmethod
    def _between(tp: Array, positive: Array, true: Array) -> Array:
        """Areas under the PR curve with true positives linear between thresholds (Davis and Goadrich 2006)."""
        step = tp[:-1] - tp[1:]
        slope = _divided(step, np.maximum(positive[:-1] - positive[1:], 0))
        intercept = tp[1:] - slope * positive[1:]
        both = (positive[:-1] > 0) & (positive[1:] > 0)
        ratio = np.where(both, _divided(positive[:-1], np.maximum(positive[1:], 0)), 1)
        return _divided(slope * (step + intercept * np.log(ratio)), np.maximum(true[1:], 0))

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
