"""Cross entropies of classes and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.losses.alignment import EPSILON, Array, match_ranks, with_classes
from pyrnn.losses.base import Elementwise, Lazy, Loss, Paired, Reduction
from pyrnn.losses.labels import ClassNumbers, OneHot
from pyrnn.rules import Number, Whole
from pyrnn.typing import Axis, DtypeLike, Flag, Name, NonNegative, Rate
from pyrnn.validation import LARGEST_SIZE

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalCrossentropy",
]


def _last(axis: int, *arrays: Array) -> tuple[Array, ...]:
    """The arrays with that axis moved to the end."""
    return arrays if axis == -1 else tuple(np.moveaxis(array, axis, -1) for array in arrays)


def _moved(gradient: Callable[[], Array], axis: int) -> Callable[[], Array]:
    """Return the function with the last axis of its result moved to `axis`."""
    return gradient if axis == -1 else lambda: np.moveaxis(gradient(), -1, axis)


class _CrossEntropy(Paired):
    """Base of the cross entropies, with classes along `axis`."""

    @checked
    def __init__(
        self,
        from_logits: Flag = False,
        label_smoothing: Rate = 0.0,
        axis: Axis = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        Loss.__init__(self, name, reduction, dtype)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def get_config(self) -> dict[str, Any]:
        config = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis}
        return {**super().get_config(), **config}


class BinaryCrossentropy(_CrossEntropy, Elementwise):
    """Binary cross entropy: -mean(y log p + (1 - y) log(1 - p)), with p between 1e-7 and 1 - 1e-7.

    Args:
        from_logits: Whether y_pred holds logits; otherwise probabilities.
        label_smoothing: From 0 to 1: how far targets move from 0 and 1 towards 1/2.
        axis: Axis of the mean.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `label_smoothing` is not in [0, 1], or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.25, 0.5]])
        >>> round(pyrnn.losses.BinaryCrossentropy()(y_true, y_pred), 4)
        0.4904
        >>> pyrnn.losses.binary_crossentropy(y_true, y_pred).round(4)
        array([0.4904])
    """

    default_name = "binary_crossentropy"
    aliases = (
        "bce",
        "BCE",
    )

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true, pred = _last(self.axis, match_ranks(y_true, y_pred), y_pred)
        values, gradient = super().lazy_elements(true, pred)
        return values, _moved(gradient, self.axis)

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        if self.label_smoothing:
            y_true = y_true * np.asarray(1 - self.label_smoothing, y_true.dtype) + y_true.dtype.type(
                self.label_smoothing / 2
            )
        if self.from_logits:
            values = np.logaddexp(0, y_pred) - y_true * y_pred
            return values, lambda: 1 / (1 + np.exp(-np.clip(y_pred, -80, None))) - y_true
        low, high = y_pred.dtype.type(EPSILON), y_pred.dtype.type(1 - EPSILON)
        p = np.clip(y_pred, low, high)
        values = -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p))
        return values, lambda: (p - y_true) / (p * (1 - p)) * ((y_pred >= low) & (y_pred <= high))


def _probabilities(y_pred: Array) -> tuple[Array, Array, Array, Array]:
    """(p, sums that it was divided by, p cut, where it was not) of classes along the last axis."""
    total = with_classes(y_pred).sum(axis=-1, keepdims=True)
    p = y_pred / total
    low, high = y_pred.dtype.type(EPSILON), y_pred.dtype.type(1 - EPSILON)
    return p, total, np.clip(p, low, high), (p >= low) & (p <= high)


def _shifted(y_pred: Array) -> Array:
    """Logits less the largest of each row."""
    shifted: Array = y_pred - with_classes(y_pred).max(axis=-1, keepdims=True)
    return shifted


class CategoricalCrossentropy(_CrossEntropy, OneHot):
    """Cross entropy of one-hot classes: -sum(y log p) over classes.

    Args:
        from_logits: Whether y_pred holds logits; otherwise probabilities, which are divided by their sum.
        label_smoothing: From 0 to 1: the share of a target that is spread evenly over all classes.
        axis: Axis of the classes.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `label_smoothing` is not in [0, 1], or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0, 0.0]]), np.array([[0.25, 0.5, 0.25]])
        >>> round(pyrnn.losses.CategoricalCrossentropy()(y_true, y_pred), 4)
        0.6931
        >>> pyrnn.losses.categorical_crossentropy(y_true, y_pred).round(4)
        array([0.6931])
    """

    default_name = "categorical_crossentropy"

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        target = self.target(y_true, y_pred.shape).astype(y_pred.dtype)
        if self.label_smoothing:
            # Keras divides by the length of the last axis, whatever `axis` is.
            target = target * y_pred.dtype.type(1 - self.label_smoothing)
            target = target + y_pred.dtype.type(self.label_smoothing / target.shape[-1])
        target, y_pred = _last(self.axis, target, y_pred)
        values, gradient = self.of_classes(target, y_pred)
        return values, _moved(gradient, self.axis)

    def of_classes(self, target: Array, y_pred: Array) -> Lazy:
        """Return values and gradient of classes along the last axis.

        Args:
            target: One-hot rows, shape (..., classes).
            y_pred: Probabilities or logits, shape (..., classes).

        Returns:
            (values of shape (...,), gradient of shape (..., classes)).
        """
        return _of_logits(target, y_pred) if self.from_logits else _of_probabilities(target, y_pred)


def _of_logits(target: Array, y_pred: Array) -> Lazy:
    """Return -sum(target log p) over classes, p from logits."""
    log_p = _shifted(y_pred)
    slopes = np.exp(log_p)
    total = slopes.sum(axis=-1, keepdims=True)
    log_p -= np.log(total)
    log_p *= target

    def gradient() -> Array:
        nonlocal slopes
        slopes *= target.sum(axis=-1, keepdims=True) / total
        slopes -= target
        return slopes

    return -log_p.sum(axis=-1), gradient


def _of_probabilities(target: Array, y_pred: Array) -> Lazy:
    """Return -sum(target log p) over classes, p from y_pred."""
    p, total, cut, inside = _probabilities(y_pred)
    log_p = np.log(cut)
    log_p *= target

    def gradient() -> Array:
        nonlocal p
        slopes = np.where(inside, -target / cut, 0)
        p *= slopes
        slopes -= p.sum(axis=-1, keepdims=True)
        slopes /= total
        return slopes

    return -log_p.sum(axis=-1), gradient


def _sparse_probabilities(y_pred: Array, of_truth: Array, counted: Array | None) -> Lazy:
    """(-log p of the truth, gradient) of rows of classes; `of_truth`: flat positions of the true classes."""
    total = y_pred.sum(axis=-1)
    p = y_pred.reshape(-1)[of_truth] / total
    low, high = y_pred.dtype.type(EPSILON), y_pred.dtype.type(1 - EPSILON)
    cut = np.clip(p, low, high)
    counts = (p >= low) & (p <= high)
    values = -np.log(cut)
    if counted is not None:
        values, counts = np.where(counted, values, 0), counts & counted

    def gradient() -> Array:
        by_p = np.where(counts, -1 / cut, 0) / total
        by_total = by_p * p
        slopes = np.repeat(-by_total, y_pred.shape[-1])
        slopes[of_truth] = by_p - by_total
        return slopes

    return values, gradient


def _sparse_logits(y_pred: Array, of_truth: Array, counted: Array | None) -> Lazy:
    """The same from logits."""
    shifted = _shifted(y_pred)
    log_p = shifted.reshape(-1)[of_truth]
    slopes = np.exp(shifted, out=shifted)
    total = slopes.sum(axis=-1, keepdims=True)
    values = np.log(total[:, 0]) - log_p
    if counted is not None:
        values = np.where(counted, values, 0)

    def gradient() -> Array:
        nonlocal slopes
        slopes /= total
        slopes.reshape(-1)[of_truth] -= 1
        if counted is not None:
            slopes *= counted[:, None]
        return slopes

    return values, gradient


class SparseCategoricalCrossentropy(ClassNumbers):
    """Cross entropy of class numbers: -log p of the true class.

    y_true holds integers from 0 to classes - 1, in the shape of y_pred without its classes.

    Args:
        from_logits: Whether y_pred holds logits; otherwise probabilities, which are divided by their sum.
        ignore_class: A class number whose samples do not count, or None.
        axis: Axis of the classes.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([1, 0]), np.array([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]])
        >>> round(pyrnn.losses.SparseCategoricalCrossentropy()(y_true, y_pred), 4)
        1.0397
        >>> pyrnn.losses.sparse_categorical_crossentropy(y_true, y_pred).round(4)
        array([0.6931, 1.3863])
    """

    default_name = "sparse_categorical_crossentropy"

    @checked
    def __init__(
        self,
        from_logits: Flag = False,
        ignore_class: Annotated[int, Whole(-LARGEST_SIZE)] | None = None,
        reduction: Reduction = "sum_over_batch_size",
        axis: Axis = -1,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits, self.axis, self.ignore_class = from_logits, axis, ignore_class

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        labels, counted = self.target(y_true, with_classes(y_pred).shape), None
        if self.ignore_class is not None:
            counted = labels != self.ignore_class
            labels = np.where(counted, labels, 0)
        (y_pred,) = _last(self.axis, y_pred)
        classes = y_pred.shape[-1]
        rows = y_pred.reshape(-1, classes)
        of_truth = labels.reshape(-1) + np.arange(0, rows.size, classes)
        of_rows = _sparse_logits if self.from_logits else _sparse_probabilities
        values, slopes = of_rows(rows, of_truth, None if counted is None else counted.reshape(-1))
        return values.reshape(labels.shape), _moved(lambda: slopes().reshape(y_pred.shape), self.axis)

    def counted(self, y_true: Array, values: Array) -> Array | None:
        return None if self.ignore_class is None else y_true.reshape(values.shape) != self.ignore_class

    def get_config(self) -> dict[str, Any]:
        config = {"from_logits": self.from_logits, "ignore_class": self.ignore_class, "axis": self.axis}
        return {**super().get_config(), **config}


class BinaryFocalCrossentropy(Elementwise):
    """Binary cross entropy times (1 - p of the truth)**gamma, so that easy samples count less.

    Args:
        apply_class_balancing: Whether to weight class 1 by `alpha` and class 0 by 1 - `alpha`.
        alpha: Weight of class 1, from 0 to 1.
        gamma: Exponent, at least 0; at 0 the loss is the cross entropy.
        from_logits: Whether y_pred holds logits; otherwise probabilities.
        label_smoothing: From 0 to 1: how far targets move from 0 and 1 towards 1/2.
        axis: Axis of the mean.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If a number is out of its range, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.25, 0.5]])
        >>> round(pyrnn.losses.BinaryFocalCrossentropy()(y_true, y_pred), 4)
        0.0956
        >>> pyrnn.losses.binary_focal_crossentropy(y_true, y_pred).round(4)
        array([0.0956])

    Source: Lin et al. 2018.
    """

    default_name = "binary_focal_crossentropy"

    @checked
    def __init__(
        self,
        apply_class_balancing: Flag = False,
        alpha: NonNegative = 0.25,
        gamma: NonNegative = 2.0,
        from_logits: Flag = False,
        label_smoothing: Rate = 0.0,
        axis: Axis = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.apply_class_balancing, self.alpha, self.gamma = bool(apply_class_balancing), alpha, gamma
        self.from_logits, self.label_smoothing, self.axis = bool(from_logits), label_smoothing, axis

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        true, pred = _last(self.axis, match_ranks(y_true, y_pred), y_pred)
        values, gradient = super().lazy_elements(true, pred)
        return values, _moved(gradient, self.axis)

    def lazy_pairs(self, y_true: Array, y_pred: Array) -> Lazy:
        kind = y_pred.dtype.type
        if self.label_smoothing:
            y_true = y_true * kind(1 - self.label_smoothing) + kind(self.label_smoothing / 2)
        p = 1 / (1 + np.exp(-y_pred)) if self.from_logits else y_pred
        low, high = kind(EPSILON), kind(1 - EPSILON)
        cut = np.clip(p, low, high)
        entropy = -(y_true * np.log(cut) + (1 - y_true) * np.log(1 - cut))
        far = 1 - (y_true * p + (1 - y_true) * (1 - p))  # how far from the truth
        factor = far ** kind(self.gamma)
        weight = None
        if self.apply_class_balancing:
            weight = y_true * kind(self.alpha) + (1 - y_true) * kind(1 - self.alpha)

        def slopes() -> Array:
            entropy_slope = (cut - y_true) / (cut * (1 - cut)) * ((p >= low) & (p <= high))
            factor_slope = kind(self.gamma) * far ** kind(self.gamma - 1) * (1 - 2 * y_true)
            slopes = factor * entropy_slope + factor_slope * entropy
            if weight is not None:
                slopes = slopes * weight
            return np.asarray(slopes * p * (1 - p) if self.from_logits else slopes)

        return factor * entropy if weight is None else factor * entropy * weight, slopes

    def get_config(self) -> dict[str, Any]:
        names = ("apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """Focal cross entropy of one-hot classes: -sum(alpha (1 - p)**gamma y log p) over classes.

    Args:
        alpha: Weight of all classes.
        gamma: Exponent, at least 0.
        from_logits: Whether y_pred holds logits; otherwise probabilities, which are divided by their sum.
        label_smoothing: From 0 to 1: the share of a target that is spread evenly over all classes.
        axis: Axis of the classes.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If a number is out of its range, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([[0.0, 1.0, 0.0]]), np.array([[0.25, 0.5, 0.25]])
        >>> round(pyrnn.losses.CategoricalFocalCrossentropy()(y_true, y_pred), 4)
        0.0433
        >>> pyrnn.losses.categorical_focal_crossentropy(y_true, y_pred).round(4)
        array([0.0433])

    Source: Lin et al. 2018.
    """

    default_name = "categorical_focal_crossentropy"

    @checked
    def __init__(
        self,
        alpha: NonNegative = 0.25,
        gamma: NonNegative = 2.0,
        from_logits: Flag = False,
        label_smoothing: Rate = 0.0,
        axis: Axis = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha, self.gamma = alpha, gamma

    def of_classes(self, target: Array, y_pred: Array) -> Lazy:
        kind = y_pred.dtype.type
        probabilities = _softmax(y_pred) if self.from_logits else y_pred
        share, total, p, inside = _probabilities(probabilities)
        log_p, rest = np.log(p), 1 - p
        factor = kind(self.alpha) * rest ** kind(self.gamma)

        def gradient() -> Array:
            factor_slope = -kind(self.alpha * self.gamma) * rest ** kind(self.gamma - 1)
            by_p = np.where(inside, -target * (factor / p + factor_slope * log_p), 0)
            slopes: Array = (by_p - (by_p * share).sum(axis=-1, keepdims=True)) / total
            if self.from_logits:
                slopes = probabilities * (slopes - (slopes * probabilities).sum(axis=-1, keepdims=True))
            return slopes

        return -(target * factor * log_p).sum(axis=-1), gradient

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


def _softmax(x: Array) -> Array:
    y: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


class CategoricalGeneralizedCrossEntropy(ClassNumbers):
    """(1 - p**q) / q for the probability p of the true class; robust to wrong labels.

    y_true holds integers from 0 to classes - 1. Near q = 0 the loss is the cross entropy, near q = 1 the absolute
    error.

    Args:
        q: Between 0 and 1.
        reduction: How the values of samples become one number: "sum_over_batch_size" or "mean" (their mean), "sum",
            "mean_with_sample_weight" (the weighted sum divided by the sum of the weights), or "none" or None to return
            every value.
        name: Name of the loss; by default the snake-case name of the class.
        dtype: None or "float32". A loss is computed in the dtype of y_pred.

    Raises:
        ValueError: If `q` is not between 0 and 1, or `reduction` or `dtype` is none of these.

    Example:
        >>> y_true, y_pred = np.array([1, 0]), np.array([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]])
        >>> round(pyrnn.losses.CategoricalGeneralizedCrossEntropy()(y_true, y_pred), 4)
        0.7929
        >>> pyrnn.losses.categorical_generalized_cross_entropy(y_true, y_pred, q=0.5).round(4)
        array([0.5858, 1.    ])

    Source: Zhang and Sabuncu 2018.
    """

    default_name = "categorical_generalized_cross_entropy"

    @checked
    def __init__(
        self,
        q: Annotated[float, Number(0, 1, open_ends="()")] = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.q = q

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        labels = self.target(y_true, with_classes(y_pred).shape)
        target = (labels[..., None] == np.arange(y_pred.shape[-1])).astype(y_pred.dtype)
        p, q = (target * y_pred).sum(axis=-1), y_pred.dtype.type(self.q)
        return (1 - p**q) / q, lambda: -target * (p ** (q - 1))[..., None]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "q": self.q}
