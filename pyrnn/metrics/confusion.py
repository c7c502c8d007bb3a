"""Counts of right and wrong predictions at thresholds, and the rates computed from them."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses.alignment import match_ranks, with_classes
from pyrnn.metrics.base import EPSILON, Array, Metric, ThresholdsLike, weights_of
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Whole
from pyrnn.typing import DtypeLike, Name, Natural, Rate, Size

__all__ = [
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

_NEVER = -1e10  # below every prediction
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _thresholds(thresholds: Any, default: float) -> list[float]:
    return [default] if thresholds is None else [float(each) for each in np.atleast_1d(thresholds)]


def divided(top: Array, below: Array) -> Array:
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
        return self.plain(divided(self.true_positives, self.true_positives + missed))

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
        return divided(self.true_positives, self.true_positives + self.false_negatives)

    def _precision(self) -> Array:
        return divided(self.true_positives, self.true_positives + self.false_positives)

    def _specificity(self) -> Array:
        return divided(self.true_negatives, self.true_negatives + self.false_positives)

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
