"""Losses by Keras's names, each with its gradient.

A loss gives one value per sample (and time step): the mean over the last axis of y, or the sum over classes.
These are weighted and reduced as in Keras 3. Formulas: `keras/src/losses/losses.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry
from pyrnn.validation import lookup

Array = NDArray[Any]
EPSILON = 1e-7
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def match_ranks(y_true: Array, y_pred: Array) -> Array:
    """y_true in the shape of y_pred, where one of them lacks a last axis of length 1 that the other has.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if y_true.shape == y_pred.shape:
        return y_true
    if y_true.ndim + 1 == y_pred.ndim and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    elif y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    try:
        return np.broadcast_to(y_true, y_pred.shape)
    except ValueError:
        raise ValueError(f"y_true must have the shape of y_pred, {y_pred.shape}, got {y_true.shape}") from None


class Loss(registry.Configurable):
    """Base of all: `elements` gives the value of each sample and its derivative by y_pred."""

    default_name = "loss"

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
        if dtype is not None:
            raise ValueError(f"dtype of a loss follows y_pred here: leave it out, got {dtype!r}")
        self.name = name or self.default_name
        self.reduction = reduction

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """(values, gradient): one value a sample; the gradient of the sum of values, in the shape of y_pred."""
        raise NotImplementedError

    def value_and_gradient(
        self, y_true: Any, y_pred: Array, sample_weight: Any = None, mask: Array | None = None
    ) -> tuple[float, Array]:
        """The reduced loss and its gradient by y_pred.

        Raises:
            ValueError: if shapes do not fit, or reduction is "none", which has no single value.
        """
        if self.reduction in ("none", None):
            raise ValueError(
                "reduction='none' gives no single value to train on: choose 'sum_over_batch_size' or 'sum'"
            )
        values, gradient = self.elements(np.asarray(y_true), y_pred)
        weights = _weights(values, sample_weight, mask, self.reduction)
        total = float(values.sum() if weights is None else np.vdot(values, weights))
        scale = self._scale(values, weights)
        if weights is not None:
            gradient = gradient * weights.reshape(weights.shape + (1,) * (gradient.ndim - weights.ndim))
        gradient = gradient * gradient.dtype.type(scale)
        return total * scale, np.ascontiguousarray(gradient, y_pred.dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss; the weighted values of the samples if reduction is "none"."""
        y_pred = np.asarray(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(np.float32)
        values, _ = self.elements(np.asarray(y_true), y_pred)
        weights = _weights(values, sample_weight, None, self.reduction)
        weighted = values if weights is None else values * weights
        if self.reduction in ("none", None):
            return weighted
        return float(weighted.sum()) * self._scale(values, weights)

    def _scale(self, values: Array, weights: Array | None) -> float:
        if self.reduction == "sum":
            return 1.0
        if self.reduction == "mean_with_sample_weight" and weights is not None:
            total = float(weights.sum())
            return 1.0 / total if total else 0.0
        return 1.0 / max(1, values.size)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


def _weights(values: Array, sample_weight: Any, mask: Array | None, reduction: str | None) -> Array | None:
    """Weights in the shape of `values`; masked values weigh 0 and do not count in a mean."""
    weights: Array | None = None
    if sample_weight is not None:
        given = np.asarray(sample_weight, values.dtype)
        if given.ndim == values.ndim + 1 and given.shape[-1] == 1:
            given = given[..., 0]
        given = given.reshape(given.shape + (1,) * (values.ndim - given.ndim))
        try:
            weights = np.broadcast_to(given, values.shape)
        except ValueError:
            raise ValueError(
                f"sample_weight must broadcast to the samples, shape {values.shape}, got {np.shape(sample_weight)}"
            ) from None
    if mask is not None and mask.ndim <= values.ndim:
        keep = np.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values.shape)
        kept = keep.astype(values.dtype)
        if reduction in ("sum_over_batch_size", "mean"):
            kept = kept * np.asarray(kept.size / max(float(kept.sum()), EPSILON), values.dtype)
        weights = kept if weights is None else weights * kept
    return weights


class _Elementwise(Loss):
    """A loss that is the mean over the last axis of a function of each pair."""

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """(value, derivative by y_pred) of each element."""
        raise NotImplementedError

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        y_true = match_ranks(y_true, y_pred)
        if y_true.dtype != y_pred.dtype:
            y_true = y_true.astype(y_pred.dtype)
        values, slopes = self.pairs(y_true, y_pred)
        if values.ndim == 0:
            return values, slopes
        n = values.shape[-1]
        if n == 1:
            return values[..., 0], slopes
        return values.mean(axis=-1), slopes * slopes.dtype.type(1 / n)


class MeanSquaredError(_Elementwise):
    """mean((y_true - y_pred)**2)."""

    default_name = "mean_squared_error"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        return error * error, error + error


class MeanAbsoluteError(_Elementwise):
    """mean(|y_true - y_pred|)."""

    default_name = "mean_absolute_error"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        return np.abs(error), np.sign(error)


class MeanAbsolutePercentageError(_Elementwise):
    """100 * mean(|y_true - y_pred| / max(|y_true|, 1e-7))."""

    default_name = "mean_absolute_percentage_error"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        per_unit = 100 / np.maximum(np.abs(y_true), np.asarray(EPSILON, y_true.dtype))
        return np.abs(error) * per_unit, np.sign(error) * per_unit


class MeanSquaredLogarithmicError(_Elementwise):
    """mean((log(y_true + 1) - log(y_pred + 1))**2), both cut to at least 1e-7."""

    default_name = "mean_squared_logarithmic_error"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        low = np.asarray(EPSILON, y_pred.dtype)
        cut = np.maximum(y_pred, low)
        error = np.log(cut + 1) - np.log(np.maximum(y_true, low) + 1)
        return error * error, 2 * error / (cut + 1) * (y_pred > low)


class Huber(_Elementwise):
    """Half the squared error up to `delta`, linear beyond."""

    default_name = "huber_loss"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = delta

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        size, delta = np.abs(error), np.asarray(self.delta, error.dtype)
        values = np.where(size <= delta, error * error / 2, delta * size - delta * delta / 2)
        return values, np.clip(error, -delta, delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class LogCosh(_Elementwise):
    """mean(log(cosh(y_pred - y_true)))."""

    default_name = "log_cosh"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        error = y_pred - y_true
        return np.logaddexp(error, -error) - np.asarray(math.log(2), error.dtype), np.tanh(error)


class _CrossEntropy(Loss):
    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if axis != -1:
            raise ValueError(f"axis must be -1 here, got {axis}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def get_config(self) -> dict[str, Any]:
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis}
        return {**super().get_config(), **own}


class BinaryCrossentropy(_CrossEntropy, _Elementwise):
    """-mean(y log p + (1 - y) log(1 - p)), p cut to [1e-7, 1 - 1e-7], or from logits."""

    default_name = "binary_crossentropy"

    def pairs(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        if self.label_smoothing:
            y_true = y_true * np.asarray(1 - self.label_smoothing, y_true.dtype) + y_true.dtype.type(
                self.label_smoothing / 2
            )
        if self.from_logits:
            values = np.logaddexp(0, y_pred) - y_true * y_pred
            return values, 1 / (1 + np.exp(-np.clip(y_pred, -80, None))) - y_true
        low, high = y_pred.dtype.type(EPSILON), y_pred.dtype.type(1 - EPSILON)
        p = np.clip(y_pred, low, high)
        values = -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p))
        return values, (p - y_true) / (p * (1 - p)) * ((y_pred >= low) & (y_pred <= high))


def _log_probabilities(y_pred: Array, from_logits: bool) -> tuple[Array, Array, Array]:
    """(log p, p, where p was not cut) of classes along the last axis."""
    if from_logits:
        shifted = y_pred - y_pred.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return log_p, np.exp(log_p), np.ones(y_pred.shape, bool)
    p = y_pred / y_pred.sum(axis=-1, keepdims=True)
    low, high = y_pred.dtype.type(EPSILON), y_pred.dtype.type(1 - EPSILON)
    cut = np.clip(p, low, high)
    return np.log(cut), cut, (p >= low) & (p <= high)


def _class_gradient(target: Array, y_pred: Array, p: Array, inside: Array, from_logits: bool) -> Array:
    """Derivative of -sum(target * log p) by y_pred."""
    if from_logits:
        return np.asarray(p * target.sum(axis=-1, keepdims=True) - target)
    total = y_pred.sum(axis=-1, keepdims=True)
    by_p = np.where(inside, -target / p, 0)
    return np.asarray((by_p - (by_p * (y_pred / total)).sum(axis=-1, keepdims=True)) / total)


class CategoricalCrossentropy(_CrossEntropy):
    """-sum(y log p) over classes, y one-hot."""

    default_name = "categorical_crossentropy"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        target = match_ranks(y_true, y_pred).astype(y_pred.dtype)
        if self.label_smoothing:
            target = target * y_pred.dtype.type(1 - self.label_smoothing)
            target = target + y_pred.dtype.type(self.label_smoothing / y_pred.shape[-1])
        log_p, p, inside = _log_probabilities(y_pred, self.from_logits)
        return -(target * log_p).sum(axis=-1), _class_gradient(target, y_pred, p, inside, self.from_logits)


class SparseCategoricalCrossentropy(Loss):
    """-log p of the true class, y integers from 0 to classes - 1."""

    default_name = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if axis != -1 or ignore_class is not None:
            raise ValueError(f"axis must be -1 and ignore_class None here, got {axis} and {ignore_class}")
        self.from_logits, self.axis, self.ignore_class = from_logits, axis, ignore_class

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        classes = y_pred.shape[-1]
        if y_true.shape != y_pred.shape[:-1]:
            raise ValueError(f"y_true must have shape {y_pred.shape[:-1]} of class numbers, got {y_true.shape}")
        labels = y_true.astype(np.int64)
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"y_true must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
        target = (labels[..., None] == np.arange(classes)).astype(y_pred.dtype)
        log_p, p, inside = _log_probabilities(y_pred, self.from_logits)
        return -(target * log_p).sum(axis=-1), _class_gradient(target, y_pred, p, inside, self.from_logits)

    def get_config(self) -> dict[str, Any]:
        own = {"from_logits": self.from_logits, "ignore_class": self.ignore_class, "axis": self.axis}
        return {**super().get_config(), **own}


_CLASSES: tuple[type[Loss], ...] = (
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber, LogCosh,
    BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
)  # fmt: skip
NAMES: dict[str, type[Loss]] = (
    {cls.__name__: cls for cls in _CLASSES}
    | {cls.default_name: cls for cls in _CLASSES}
    | {
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "huber": Huber, "logcosh": LogCosh, "bce": BinaryCrossentropy,
        "BCE": BinaryCrossentropy,
    }
)  # fmt: skip


def _function(name: str) -> Any:
    """Keras's function form: the value of each sample."""

    def loss(y_true: Any, y_pred: Any) -> Array:
        return np.asarray(NAMES[name](reduction="none")(y_true, y_pred))

    loss.__name__ = loss.__qualname__ = name
    loss.__doc__ = f"The value of each sample of `{NAMES[name].__name__}`."
    return loss


FUNCTIONS: dict[str, Any] = {cls.default_name: _function(cls.default_name) for cls in _CLASSES}
globals().update(FUNCTIONS)


def get(identifier: Any) -> Loss | None:
    """The loss for a name, a description, a class, an object or one of this module's functions; None stays None."""
    if callable(identifier) and getattr(identifier, "__name__", None) in FUNCTIONS and not isinstance(identifier, type):
        identifier = identifier.__name__
    if isinstance(identifier, dict) and "class_name" not in identifier:
        identifier = identifier.get("config")
    if isinstance(identifier, str):
        return lookup("loss", identifier, NAMES)()
    return registry.get("loss", identifier, NAMES, Loss)


deserialize = get


def serialize(loss: Loss | None) -> dict[str, Any] | None:
    """Keras 3's description of a loss."""
    return registry.serialize(loss, "keras.losses")
