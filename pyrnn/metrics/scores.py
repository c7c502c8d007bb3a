"""F scores and intersections over unions."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses.labels import whole_numbers
from pyrnn.metrics.base import EPSILON, Array, ClassIds, Metric, weights_of
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Number, Whole
from pyrnn.typing import Axis, DtypeLike, Finite, Flag, Name, Positive, Size, Text
from pyrnn.validation import LARGEST_SIZE, shown

__all__ = ["BinaryIoU", "F1Score", "FBetaScore", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]

AVERAGES = (None, "micro", "macro", "weighted")
_NEARLY_ZERO = 1e-9


class FBetaScore(Metric):
    """F-beta score: (1 + beta**2) * precision * recall / (beta**2 * precision + recall), for each class.

    y_true and y_pred have shape (batch, classes).

    Args:
        average: None for one score per class, or "micro" (of all counts together), "macro" (their mean), "weighted"
            (their mean, weighted by the number of true samples).
        beta: Weight of recall against precision, above 0.
        threshold: Predictions above it are positive, in (0, 1]; None takes the largest of each row.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If `average`, `beta` or `threshold` is none of these.

    Example:
        >>> metric = pyrnn.metrics.FBetaScore(beta=2.0, threshold=0.5)
        >>> metric.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
        >>> metric.result().round(4)
        array([0.3846, 0.9091, 0.8333])
    """

    default_name = "fbeta_score"
    masked = of_points = True
    hidden = ("_counts",)

    @checked
    def __init__(
        self,
        average: Text | None = None,
        beta: Positive = 1.0,
        threshold: Annotated[float, Number(0, 1, open_ends="(")] | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        if average not in AVERAGES:
            raise ValueError(f"average must be one of {AVERAGES}, got {shown(average)}")
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(f"beta must be a positive float, got {shown(beta)}")
        if threshold is not None and (not isinstance(threshold, float) or not 0 < threshold <= 1):
            raise ValueError(f"threshold must be a float in (0, 1], got {shown(threshold)}")
        super().__init__(dtype, name)
        self.average, self.beta, self.threshold = average, beta, threshold
        FBetaScore.reset_state(self)

    def reset_state(self) -> None:
        super().reset_state()
        self._counts: Array = np.zeros((4, 1))  # true and false positives, false negatives, all that is true

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = (
            measured(name, each).astype(np.float64, copy=False)
            for name, each in (("y_true", y_true), ("y_pred", y_pred))
        )
        if true.ndim != 2 or pred.shape != true.shape:
            raise ValueError(
                f"y_true and y_pred of {type(self).__name__} must have shape (batch, classes), "
                f"got {true.shape} and {pred.shape}"
            )
        if self.threshold is None:
            chosen = (pred >= pred.max(axis=-1, keepdims=True)) & (np.abs(pred) > _NEARLY_ZERO)
        else:
            chosen = pred > self.threshold
        parts = np.stack([chosen * true, chosen * (1 - true), ~chosen * true, true])
        if sample_weight is not None:
            parts = parts * weights_of(sample_weight, true)
        self._counts = self._counts + parts.sum(axis=1)

    def result(self) -> Any:
        counts = self._counts.sum(axis=1, keepdims=True) if self.average == "micro" else self._counts
        tp, fp, fn, true = counts
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        scores = (1 + self.beta**2) * precision * recall / (self.beta**2 * precision + recall + EPSILON)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float((scores * true / (true.sum() + EPSILON)).sum())
        return float(scores.mean())

    def get_config(self) -> dict[str, Any]:
        config = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **config}


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall, for each class: `FBetaScore` with beta 1.

    Args:
        average: None for one score per class, or "micro" (of all counts together), "macro" (their mean), "weighted"
            (their mean, weighted by the number of true samples).
        threshold: Predictions above it are positive, in (0, 1]; None takes the largest of each row.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If `average` or `threshold` is none of these.

    Example:
        >>> metric = pyrnn.metrics.F1Score(threshold=0.5)
        >>> metric.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
        >>> metric.result().round(4)
        array([0.5   , 0.8   , 0.6667])
    """

    default_name = "f1_score"

    @checked
    def __init__(
        self,
        average: Text | None = None,
        threshold: Finite | None = None,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config


class IoU(Metric):
    """Intersection over union, averaged over some classes.

    For each class: true positives / (true positives + false positives + false negatives).

    Args:
        num_classes: Number of classes, at least 1.
        target_class_ids: The classes whose mean is the result.
        name: Name in logs and reports.
        dtype: None or an integer dtype asks for whole sample weights, a float dtype does not.
        ignore_class: A class number in y_true whose elements do not count, or None.
        sparse_y_true: Whether y_true holds class numbers; otherwise one value per class along `axis`.
        sparse_y_pred: Whether y_pred holds class numbers, rounded towards 0; otherwise one value per class along
            `axis`.
        axis: Axis of the classes.

    Raises:
        ValueError: If a class is not below `num_classes`.

    Example:
        >>> metric = pyrnn.metrics.IoU(num_classes=2, target_class_ids=[0])
        >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(metric.result(), 4)
        0.3333
    """

    masked = of_points = True
    hidden = ("_matrix",)

    @checked
    def __init__(
        self,
        num_classes: Size,
        target_class_ids: ClassIds,
        name: Name | None = None,
        dtype: DtypeLike = None,
        ignore_class: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
        sparse_y_true: Flag = True,
        sparse_y_pred: Flag = True,
        axis: Axis = -1,
    ) -> None:
        self.target_class_ids = list(target_class_ids)
        if max(self.target_class_ids) >= num_classes:
            raise ValueError(
                f"target_class_ids must lie below num_classes = {num_classes}, got {shown(target_class_ids)}"
            )
        self.num_classes, self.ignore_class = num_classes, ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = bool(sparse_y_true), bool(sparse_y_pred), axis
        super().__init__(dtype or "int", name)
        IoU.reset_state(self)

    def reset_state(self) -> None:
        super().reset_state()
        self._matrix: Array = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = measured("y_true", y_true), measured("y_pred", y_pred)
        true = self._numbers("y_true", true, self.sparse_y_true)
        pred = self._numbers("y_pred", pred, self.sparse_y_pred)
        weight = self._weights(sample_weight, true)
        shapes = {each.shape[:-1] if each.shape[-1:] == (1,) else each.shape for each in (true, pred)}
        in_a_row = 1 in (true.ndim, pred.ndim)  # as Keras takes them too
        if true.size != pred.size or (len(shapes) > 1 and not in_a_row):
            raise ValueError(
                f"y_true and y_pred must hold the same number of classes, got shapes {true.shape} and {pred.shape}"
            )
        true, pred = true.reshape(-1), pred.reshape(-1)
        inside = (true >= 0) & (true < self.num_classes) & (pred >= 0) & (pred < self.num_classes)
        if self.ignore_class is not None:
            inside &= true != self.ignore_class
        cells = true[inside] * self.num_classes + pred[inside]
        counts = np.bincount(cells, weight[inside], minlength=self.num_classes**2)
        self._matrix = self._matrix + counts.reshape(self._matrix.shape)

    def _weights(self, sample_weight: Any, true: Array) -> Array:
        """The weight of each class number in `true`, in one row."""
        if sample_weight is None:
            return np.ones(true.size)
        weight = measured("sample_weight", sample_weight)
        is_row = weight.ndim == 1 and weight.size == true.size
        weight = weight.astype(np.float64) if is_row else weights_of(weight, true)
        if np.dtype(self.dtype).kind in "iu" and (weight != np.trunc(weight)).any():
            raise ValueError(
                f"sample_weight must hold whole numbers, since {type(self).__name__} counts in dtype {self.dtype!r}, "
                f"got {weight[weight != np.trunc(weight)][0]}: give it dtype='float32'"
            )
        return weight.reshape(-1)

    def _numbers(self, name: str, values: Array, sparse: bool) -> Array:
        """Class numbers."""
        if not sparse:
            if not -values.ndim <= self.axis < values.ndim or not values.shape[self.axis]:
                raise ValueError(f"{name} must hold classes along axis {self.axis}, got shape {values.shape}")
            values = values.argmax(axis=self.axis)
        return whole_numbers(values) if name == "y_true" else values.astype(np.int64)  # Keras cuts fractions of y_pred

    def result(self) -> float:
        right = self._matrix.diagonal()
        below = (self._matrix.sum(axis=0) + self._matrix.sum(axis=1) - right)[self.target_class_ids]
        seen = below > _NEARLY_ZERO
        scores = np.where(seen, right[self.target_class_ids] / (below + EPSILON), 0)
        return float(scores.sum() / (seen.sum() + EPSILON))

    def get_config(self) -> dict[str, Any]:
        names = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class BinaryIoU(IoU):
    """Intersection over union of the classes 0 and 1; predictions of at least `threshold` are 1.

    Args:
        target_class_ids: The classes whose mean is the result, from 0 and 1.
        threshold: Border between the classes.
        name: Name in logs and reports.
        dtype: None or an integer dtype asks for whole sample weights, a float dtype does not.

    Raises:
        ValueError: If a class is neither 0 nor 1.

    Example:
        >>> metric = pyrnn.metrics.BinaryIoU(threshold=0.3)
        >>> metric.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
        >>> round(metric.result(), 4)
        0.3333
    """

    @checked
    def __init__(
        self,
        target_class_ids: ClassIds = (0, 1),
        threshold: Finite = 0.5,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, measured("y_pred", y_pred).astype(np.float32) >= self.threshold, sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {"target_class_ids": self.target_class_ids, "threshold": self.threshold}
        return {"name": self.name, "dtype": self.dtype, **config}


class MeanIoU(IoU):
    """Intersection over union, averaged over all classes.

    Args:
        num_classes: Number of classes, at least 1.
        name: Name in logs and reports.
        dtype: None or an integer dtype asks for whole sample weights, a float dtype does not.
        ignore_class: A class number in y_true whose elements do not count, or None.
        sparse_y_true: Whether y_true holds class numbers; otherwise one value per class along `axis`.
        sparse_y_pred: Whether y_pred holds class numbers, rounded towards 0; otherwise one value per class along
            `axis`.
        axis: Axis of the classes.

    Raises:
        ValueError: If `num_classes` is below 1.

    Example:
        >>> metric = pyrnn.metrics.MeanIoU(num_classes=2)
        >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(metric.result(), 4)
        0.3333
    """

    @checked
    def __init__(
        self,
        num_classes: Size,
        name: Name | None = None,
        dtype: DtypeLike = None,
        ignore_class: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
        sparse_y_true: Flag = True,
        sparse_y_pred: Flag = True,
        axis: Axis = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """Intersection over union with one-hot y_true.

    Args:
        num_classes: Number of classes, at least 1.
        target_class_ids: The classes whose mean is the result.
        name: Name in logs and reports.
        dtype: None or an integer dtype asks for whole sample weights, a float dtype does not.
        ignore_class: A class number in y_true whose elements do not count, or None.
        sparse_y_pred: Whether y_pred holds class numbers, rounded towards 0; otherwise one value per class along
            `axis`.
        axis: Axis of the classes.

    Raises:
        ValueError: If a class is not below `num_classes`.

    Example:
        >>> metric = pyrnn.metrics.OneHotIoU(num_classes=3, target_class_ids=[0, 2])
        >>> metric.update_state([[0, 0, 1], [1, 0, 0]], [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7]])
        >>> round(metric.result(), 4)
        0.25
    """

    @checked
    def __init__(
        self,
        num_classes: Size,
        target_class_ids: ClassIds,
        name: Name | None = None,
        dtype: DtypeLike = None,
        ignore_class: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
        sparse_y_pred: Flag = False,
        axis: Axis = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class OneHotMeanIoU(OneHotIoU):
    """Intersection over union with one-hot y_true, averaged over all classes.

    Args:
        num_classes: Number of classes, at least 1.
        name: Name in logs and reports.
        dtype: None or an integer dtype asks for whole sample weights, a float dtype does not.
        ignore_class: A class number in y_true whose elements do not count, or None.
        sparse_y_pred: Whether y_pred holds class numbers, rounded towards 0; otherwise one value per class along
            `axis`.
        axis: Axis of the classes.

    Raises:
        ValueError: If `num_classes` is below 1.

    Example:
        >>> metric = pyrnn.metrics.OneHotMeanIoU(num_classes=3)
        >>> metric.update_state([[0, 0, 1], [1, 0, 0]], [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7]])
        >>> round(metric.result(), 4)
        0.25
    """

    @checked
    def __init__(
        self,
        num_classes: Size,
        name: Name | None = None,
        dtype: DtypeLike = None,
        ignore_class: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
        sparse_y_pred: Flag = False,
        axis: Axis = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return config
