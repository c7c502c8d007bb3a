"""Keras's metric functions: one value per sample or element. Functions that are also losses come from `losses`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.losses import EPSILON
from pyrnn.losses.alignment import aligned, match_ranks, same_rank, with_classes
from pyrnn.losses.labels import whole_numbers
from pyrnn.typing import Anything, Axes, Finite, Flag, Size
from pyrnn.validation import positive_int

__all__ = [
    "OF_LOSSES",
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "pearson_correlation",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

Array = NDArray[Any]


@checked
def binary_accuracy(y_true: Anything, y_pred: Anything, threshold: Finite = 0.5) -> Array:
    """Return 1 for each element that `threshold` puts on the right side, else 0.

    Args:
        y_true: True labels, shape (batch, ...), 0 or 1.
        y_pred: Predictions, shape (batch, ...).
        threshold: Border between 0 and 1; 0 for logits.

    Returns:
        float32 array in the shape of y_pred.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> pyrnn.metrics.binary_accuracy([1, 1, 0, 0], [0.9, 0.4, 0.1, 0.2])
        array([1., 0., 1., 1.], dtype=float32)
    """
    true, pred = _fitted(y_true, y_pred)
    return np.asarray(true == (pred > threshold), np.float32)


@checked
def categorical_accuracy(y_true: Anything, y_pred: Anything) -> Array:
    """Return 1 for each sample whose largest prediction is the one-hot class, else 0.

    Args:
        y_true: One-hot rows, shape (batch, ..., classes).
        y_pred: Predictions, shape (batch, ..., classes).

    Returns:
        float32 array of shape (batch, ...).

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> pyrnn.metrics.categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
        array([0., 1.], dtype=float32)
    """
    true, pred = _one_hot(y_true, y_pred, "sparse_categorical_accuracy")
    return np.asarray(true.argmax(axis=-1) == pred.argmax(axis=-1), np.float32)


@checked
def sparse_categorical_accuracy(y_true: Anything, y_pred: Anything) -> Array:
    """Return 1 for each sample whose largest prediction is at the class number, else 0.

    Args:
        y_true: Class numbers, shape (batch, ...) or (batch, ..., 1).
        y_pred: Predictions, shape (batch, ..., classes).

    Returns:
        float32 array of shape (batch, ...).

    Raises:
        ValueError: If the shapes do not match, or a class number is not an integer.

    Example:
        >>> pyrnn.metrics.sparse_categorical_accuracy([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
        array([0., 1.], dtype=float32)
    """
    labels, pred = _labels(y_true, y_pred)
    matches = np.asarray(whole_numbers(labels) == pred.argmax(axis=-1), np.float32)
    return matches[..., 0] if matches.ndim > 1 and matches.shape[-1] == 1 else matches


@checked
def top_k_categorical_accuracy(y_true: Anything, y_pred: Anything, k: Size = 5) -> Array:
    """Return 1 for each sample whose one-hot class is among the k largest predictions, else 0.

    Args:
        y_true: One-hot rows, shape (batch, ..., classes).
        y_pred: Predictions, shape (batch, ..., classes).
        k: How many predictions count, at least 1.

    Returns:
        float32 array of shape (batch, ...).

    Raises:
        ValueError: If the shapes do not match, or `k` is below 1.

    Example:
        >>> y_pred = [[0.1, 0.9, 0.8], [0.05, 0.95, 0.1]]
        >>> pyrnn.metrics.top_k_categorical_accuracy([[0, 0, 1], [1, 0, 0]], y_pred, k=2)
        array([1., 0.], dtype=float32)
    """
    true, pred = _one_hot(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    return sparse_top_k_categorical_accuracy(true.argmax(axis=-1), pred, k)


@checked
def sparse_top_k_categorical_accuracy(
    y_true: Anything, y_pred: Anything, k: Size = 5, from_sorted_ids: Flag = False
) -> Array:
    """Return 1 for each sample whose class number is among the k largest predictions, else 0.

    Args:
        y_true: Class numbers, shape (batch, ...) or (batch, ..., 1).
        y_pred: Predictions, shape (batch, ..., classes), or sorted class numbers.
        k: How many predictions count, at least 1.
        from_sorted_ids: Whether y_pred holds class numbers, the best first, instead of one prediction per class.

    Returns:
        float32 array in the shape of y_true.

    Raises:
        ValueError: If the shapes do not match, or `k` is below 1.

    Example:
        >>> pyrnn.metrics.sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.1]], k=2)
        array([1., 0.], dtype=float32)
    """
    k = positive_int("k", k)
    labels, pred = _labels(y_true, y_pred)
    if labels.shape != pred.shape[:-1]:
        labels, pred = labels.reshape(-1), pred.reshape(-1, pred.shape[-1])
        if len(labels) != len(pred):
            raise ValueError(_unfit(np.shape(y_true), np.shape(y_pred)))
    if from_sorted_ids:
        matches = (pred[..., :k] == labels[..., None]).any(axis=-1)
    else:
        numbers, classes = whole_numbers(labels), pred.shape[-1]
        valid = (numbers >= 0) & (numbers < classes)
        of_truth = np.take_along_axis(pred, np.where(valid, numbers, 0)[..., None], axis=-1)
        # Not "larger": NaN comes before every number, and is never among the best itself.
        before = np.count_nonzero(~(pred <= of_truth), axis=-1)
        matches = valid & (before < k) & ~np.isnan(of_truth[..., 0])
    return np.asarray(matches, np.float32).reshape(np.shape(y_true))


@checked
def pearson_correlation(y_true: Anything, y_pred: Anything, axis: Axes = -1) -> Array:
    """Return the Pearson correlation along an axis: the mean product of the standardized values.

    Args:
        y_true: Targets, shape (batch, ...).
        y_pred: Outputs of the model, shape (batch, ...).
        axis: Axis or axes of the mean.

    Returns:
        Array in the shape of y_pred without these axes.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> pyrnn.metrics.pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4)
        array([1.])
    """
    pair, dtype = _correlated(y_true, y_pred)
    normal = [each - each.mean(axis=axis, keepdims=True) for each in pair]
    normal = [each / each.std(axis=axis, keepdims=True) for each in normal]
    return np.asarray((normal[0] * normal[1]).mean(axis=axis), dtype)


@checked
def concordance_correlation(y_true: Anything, y_pred: Anything, axis: Axes = -1) -> Array:
    """Return the concordance correlation along an axis, which also asks for the same scale and mean.

    Args:
        y_true: Targets, shape (batch, ...).
        y_pred: Outputs of the model, shape (batch, ...).
        axis: Axis or axes of the mean.

    Returns:
        Array in the shape of y_pred without these axes.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> pyrnn.metrics.concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4)
        array([0.9756])

    Source: Lin 1989, in Keras's form.
    """
    pair, dtype = _correlated(y_true, y_pred)
    means = [each.mean(axis=axis, keepdims=True) for each in pair]
    spreads = [each.var(axis=axis, keepdims=True) for each in pair]
    together = (pair[0] - means[1]) * (pair[1] - means[1])
    norm = spreads[0] + spreads[1] + np.square(means[0] - means[1])
    return np.asarray((2 * together / (norm + EPSILON)).mean(axis=axis), dtype)


def _one_hot(y_true: Any, y_pred: Any, sparse: str) -> tuple[Array, Array]:
    """One-hot rows and predictions of one shape; `sparse` is the name of what takes class numbers instead."""
    true, pred = as_array("y_true", y_true), with_classes(as_array("y_pred", y_pred))
    are_numbers = pred.shape[-1] > 1 and true.shape in (pred.shape[:-1], (*pred.shape[:-1], 1))
    return aligned(true, pred.shape, fix=f"class numbers need {sparse}" if are_numbers else ""), pred


def _labels(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Class numbers in the shape of y_pred without its last axis, and y_pred.

    As in Keras, class numbers of another batch size broadcast to those of y_pred.
    """
    true, pred = as_array("y_true", y_true), with_classes(as_array("y_pred", y_pred))
    labels = true[..., 0] if true.ndim == pred.ndim and true.shape[-1:] == (1,) else true
    shape = pred.shape[:-1]
    if labels.shape != shape and not (
        labels.ndim == len(shape) > 0
        and len(labels) != shape[0]
        and all(length == other or 1 in (length, other) for length, other in zip(labels.shape, shape, strict=True))
    ):
        raise ValueError(_unfit(true.shape, pred.shape))
    return labels, pred


def _unfit(true: tuple[int, ...], pred: tuple[int, ...]) -> str:
    return f"y_true must have shape {pred[:-1]} of class numbers, got {true}"


def _correlated(y_true: Any, y_pred: Any) -> tuple[list[Array], Any]:
    """Both in float64, and the dtype of the answer."""
    true, pred = _fitted(y_true, y_pred)
    dtype = pred.dtype if pred.dtype.kind == "f" else np.dtype(np.float32)
    return [np.asarray(each, np.float64) for each in (true, pred)], dtype


def _fitted(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Both in one shape.

    Raises:
        ValueError: if theirs do not fit.
    """
    true, pred = same_rank(as_array("y_true", y_true), as_array("y_pred", y_pred))
    return match_ranks(true, pred), pred


OF_LOSSES: dict[str, Callable[..., Any]] = {
    name: losses.FUNCTIONS[name]
    for name in (
        "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
        "categorical_focal_crossentropy", "categorical_hinge", "hinge", "huber", "kl_divergence", "log_cosh",
        "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
        "mean_squared_logarithmic_error", "poisson", "sparse_categorical_crossentropy", "squared_hinge", "mse", "MSE",
        "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "kld", "KLD", "logcosh", "kullback_leibler_divergence",
    )
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        binary_accuracy, categorical_accuracy, concordance_correlation, pearson_correlation,
        sparse_categorical_accuracy, sparse_top_k_categorical_accuracy, top_k_categorical_accuracy,
    )
}  # fmt: skip
# What a file may name without its reader giving it: a metric may be any loss's function.
KNOWN = losses.FUNCTIONS | FUNCTIONS


def described(description: Mapping[str, Any]) -> Callable[..., Any]:
    """The function that a description names: a registered one, else one of Keras's.

    Raises:
        ValueError: if there is none of that name.
    """
    function: Callable[..., Any] = registry.described_function("metric", description, KNOWN)
    return function


def compares_points(function: Any) -> bool:
    """Whether a function or loss is one of pyrnn's that compares y_true with one forecast each."""
    if isinstance(function, losses.Loss):
        return type(function) in losses.CLASSES and type(function).point is losses.Loss.point
    plain = getattr(function, "func", function)  # of functools.partial
    whole = (losses.FUNCTIONS["quantile"], losses.FUNCTIONS["gaussian_nll"])
    return any(plain is each for each in KNOWN.values()) and not any(plain is each for each in whole)
