"""Metrics by Keras's names: weighted means over the batches seen since the last reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, registry
from pyrnn.validation import lookup

Array = NDArray[Any]


class Metric(registry.Configurable):
    """Base of all: `update_state` for each batch, `result` at any time, `reset_state` between epochs."""

    default_name = "metric"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or self.default_name
        self.dtype = dtype or "float32"
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.total = 0.0
        self.count = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch in."""
        self._add(self.values(np.asarray(y_true), np.asarray(y_pred)), sample_weight)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """One value a sample."""
        raise NotImplementedError

    def result(self) -> float:
        """The metric over all batches since the last reset."""
        return self.total / self.count if self.count else 0.0

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def _add(self, values: Array, sample_weight: Any) -> None:
        if sample_weight is None:
            self.total += float(values.sum())
            self.count += values.size
            return
        weight = np.asarray(sample_weight, np.float64)
        if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        weight = np.broadcast_to(weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim)), values.shape)
        self.total += float((values * weight).sum())
        self.count += float(weight.sum())

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class Mean(Metric):
    """Weighted mean of the values given."""

    default_name = "mean"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # as in Keras
        self._add(np.atleast_1d(np.asarray(values, np.float64)), sample_weight)

    def __call__(self, values: Any, sample_weight: Any = None) -> float:  # type: ignore[override]  # as in Keras
        self.update_state(values, sample_weight)
        return self.result()


class _LossMetric(Metric):
    """The mean of a loss's values."""

    loss: type[losses.Loss]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return self.loss().elements(y_true, y_pred)[0]


def _loss_metric(loss: type[losses.Loss], name: str | None = None) -> type[_LossMetric]:
    body = {
        "loss": loss,
        "default_name": name or loss.default_name,
        "__doc__": f"Mean of {loss.__name__} over samples.",
    }
    return type(loss.__name__, (_LossMetric,), body)


MeanSquaredError = _loss_metric(losses.MeanSquaredError)
MeanAbsoluteError = _loss_metric(losses.MeanAbsoluteError)
MeanAbsolutePercentageError = _loss_metric(losses.MeanAbsolutePercentageError)
MeanSquaredLogarithmicError = _loss_metric(losses.MeanSquaredLogarithmicError)
Huber = _loss_metric(losses.Huber, "huber")
LogCoshError = _loss_metric(losses.LogCosh, "logcosh")
BinaryCrossentropy = _loss_metric(losses.BinaryCrossentropy)
CategoricalCrossentropy = _loss_metric(losses.CategoricalCrossentropy)
SparseCategoricalCrossentropy = _loss_metric(losses.SparseCategoricalCrossentropy)
Huber.__name__, LogCoshError.__name__ = "Huber", "LogCoshError"


class RootMeanSquaredError(Metric):
    """sqrt of the mean squared error of all elements."""

    default_name = "root_mean_squared_error"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.square(np.asarray(losses.match_ranks(y_true, y_pred), np.float64) - y_pred)

    def result(self) -> float:
        return float(np.sqrt(super().result()))


class Accuracy(Metric):
    """Share of elements that are equal."""

    default_name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return _mean_last(losses.match_ranks(y_true, y_pred) == y_pred)


class BinaryAccuracy(Metric):
    """Share of elements on the true side of `threshold`."""

    default_name = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        self.threshold = threshold

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return _mean_last(losses.match_ranks(y_true, y_pred) == (y_pred > self.threshold))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Share of samples whose largest prediction is the one-hot class."""

    default_name = "categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(y_true.argmax(axis=-1) == y_pred.argmax(axis=-1), np.float64)


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest prediction is the class number."""

    default_name = "sparse_categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        return np.asarray(y_true == y_pred.argmax(axis=-1), np.float64)


class MeanMetricWrapper(Metric):
    """The mean of a user's function of (y_true, y_pred)."""

    def __init__(self, fn: Callable[[Array, Array], Any], name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self.fn = fn

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.atleast_1d(np.asarray(self.fn(y_true, y_pred), np.float64))


def _mean_last(equal: Any) -> Array:
    values = np.asarray(equal, np.float64)
    return values.mean(axis=-1) if values.ndim > 1 else values


_CLASSES: tuple[type[Metric], ...] = (
    Mean, MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber,
    LogCoshError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy, RootMeanSquaredError,
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
)  # fmt: skip
NAMES: dict[str, type[Metric]] = (
    {cls.__name__: cls for cls in _CLASSES}
    | {cls.default_name: cls for cls in _CLASSES}
    | {
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "rmse": RootMeanSquaredError, "RMSE": RootMeanSquaredError,
        "log_cosh": LogCoshError, "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy,
    }
)  # fmt: skip
# Resolved by the shapes of the first batch.
BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def get(identifier: Any) -> Any:
    """The metric for a name, a description, a class, an object or a function of (y_true, y_pred); None stays None."""
    if isinstance(identifier, str):
        metric = lookup("metric", identifier, {**NAMES, **dict.fromkeys(BY_SHAPE, Accuracy)})()
        if identifier not in (metric.name, type(metric).__name__):
            metric.name = identifier
        return metric
    if callable(identifier) and not isinstance(identifier, type | Metric):
        name = getattr(identifier, "__name__", "")
        known: type[Metric] | None = NAMES.get(name) if identifier is losses.FUNCTIONS.get(name) else None
        return MeanMetricWrapper(identifier) if known is None else known()
    return registry.get("metric", identifier, NAMES, Metric)


def resolve(name: str, y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> Metric:
    """The metric that "accuracy", "acc", "crossentropy" or "ce" means for these shapes, by Keras's rule."""
    if y_pred_shape[-1:] == (1,):
        kind = "binary"
    elif len(y_true_shape) < len(y_pred_shape) or (y_true_shape[-1:] == (1,) and y_pred_shape[-1] > 1):
        kind = "sparse_categorical"
    else:
        kind = "categorical"
    metric = NAMES[f"{kind}_{'accuracy' if name in ('accuracy', 'acc') else 'crossentropy'}"]()
    metric.name = name
    return metric


deserialize = get


def serialize(metric: Metric | None) -> dict[str, Any] | None:
    """Keras 3's description of a metric."""
    return registry.serialize(metric, "keras.metrics")
