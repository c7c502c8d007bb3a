"""Means of losses, and errors of forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import losses
from pyrnn.arguments import checked
from pyrnn.data.batches import as_array
from pyrnn.metrics.base import Array, MeanMetric, Metric, check_masked_axis, matched, weights_of
from pyrnn.metrics.functions import concordance_correlation, pearson_correlation
from pyrnn.typing import Axes, DtypeLike, Name, Natural, Text
from pyrnn.validation import shown, unexpected_arguments

__all__ = [
    "MASE",
    "SMAPE",
    "WAPE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "PearsonCorrelation",
    "Poisson",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "ZeroSafeMAPE",
]

_OF_PAIRS = losses.Elementwise.elements


class LossMetric(MeanMetric):
    """The mean of a loss's values over samples; takes the loss's own arguments after name and dtype."""

    loss: type[losses.Loss]
    # Arguments of the loss that the metric takes, in Keras's order.
    takes: tuple[str, ...] = ()
    # Whether what the loss leaves out is left out without weights too: Keras's metrics do so with weights only.
    always_leaves_out = False

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None, *values: Any, **named: Any) -> None:
        super().__init__(name, dtype)
        own, known = type(self).__name__, self.takes
        if len(values) > len(known):
            arguments = ", ".join(["name", "dtype", *known])
            raise TypeError(f"{own}() takes {2 + len(known)} arguments ({arguments}), got {2 + len(values)}")
        given = dict(zip(known, values, strict=False))
        twice = given.keys() & named.keys()
        if twice:
            raise TypeError(f"{own}() got multiple values for argument {min(twice)!r}")
        if named.keys() - set(known):
            raise TypeError(unexpected_arguments(own, {n: v for n, v in named.items() if n not in known}, known))
        self._loss = self.loss(**given, **named)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_array("y_true", y_true), as_array("y_pred", y_pred)
        values = self.values(y_true, y_pred)
        if sample_weight is not None:
            sample_weight = as_array("sample_weight", sample_weight)
            of_elements = sample_weight.ndim > values.ndim and sample_weight.shape[-1] > 1
            if of_elements and type(self._loss).elements is _OF_PAIRS:
                values = self._elementwise(y_true, y_pred)
        if sample_weight is not None or self.always_leaves_out:
            counted = self._loss.counted(y_true, values)
            if counted is not None:
                sample_weight = weights_of(sample_weight, counted) * counted
        self.add(values, sample_weight)

    def _elementwise(self, y_true: Array, y_pred: Array) -> Array:
        """The values before their mean over the last axis, for weights of elements."""
        assert isinstance(self._loss, losses.Elementwise)
        pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
        return self._loss.pairs(losses.match_ranks(y_true, pred).astype(pred.dtype, copy=False), pred)[0]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
        return self._loss.elements(self._loss.target(y_true, pred.shape), pred)[0]

    def get_config(self) -> dict[str, Any]:
        own = self._loss.get_config()
        return {**super().get_config(), **{name: own[name] for name in self.takes}}


def _of(
    loss: type[losses.Loss],
    class_name: str | None = None,
    name: str | None = None,
    takes: tuple[str, ...] = (),
    always_leaves_out: bool = False,
    aliases: tuple[str, ...] = (),
) -> type[LossMetric]:
    body = {
        "loss": loss,
        "takes": takes,
        "always_leaves_out": always_leaves_out,
        "default_name": name or loss.default_name,
        "aliases": (*aliases, *(() if class_name else loss.aliases)),
        "__doc__": f"Mean of {loss.__name__} over samples, with its arguments.",
        "__module__": __name__,
    }
    return type(class_name or loss.__name__, (LossMetric,), body)


MeanSquaredError = _of(losses.MeanSquaredError)
MeanAbsoluteError = _of(losses.MeanAbsoluteError)
MeanAbsolutePercentageError = _of(losses.MeanAbsolutePercentageError)
MeanSquaredLogarithmicError = _of(losses.MeanSquaredLogarithmicError)
Huber = _of(losses.Huber, name="huber", takes=("delta",))
LogCoshError = _of(losses.LogCosh, "LogCoshError", "logcosh", aliases=("log_cosh",))
BinaryCrossentropy = _of(losses.BinaryCrossentropy, takes=("from_logits", "label_smoothing"))
CategoricalCrossentropy = _of(losses.CategoricalCrossentropy, takes=("from_logits", "label_smoothing", "axis"))
SparseCategoricalCrossentropy = _of(losses.SparseCategoricalCrossentropy, takes=("from_logits", "ignore_class", "axis"))
Hinge = _of(losses.Hinge)
SquaredHinge = _of(losses.SquaredHinge)
CategoricalHinge = _of(losses.CategoricalHinge)
KLDivergence = _of(losses.KLDivergence)
Poisson = _of(losses.Poisson)
SMAPE = _of(losses.SymmetricMAPE, "SMAPE", "smape")
MASE = _of(losses.MASE, "MASE", "mase", takes=("scale",))
ZeroSafeMAPE = _of(losses.ZeroSafeMAPE, always_leaves_out=True)


class RootMeanSquaredError(MeanMetric):
    """sqrt of the mean squared error of all elements."""

    default_name = "root_mean_squared_error"
    aliases = (
        "rmse",
        "RMSE",
    )

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.square(np.asarray(losses.match_ranks(y_true, y_pred), np.float64) - y_pred)

    def result(self) -> float:
        return float(np.sqrt(super().result()))


class CosineSimilarity(MeanMetric):
    """Mean cosine of the angle between y_true and y_pred along `axis`."""

    default_name = "cosine_similarity"

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None, axis: Axes = -1) -> None:
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return -losses.CosineSimilarity(axis=self.axis).elements(y_true, y_pred)[0]

    def check_mask(self, mask: Array, y_pred: Array) -> None:
        check_masked_axis(self.name, self.axis, mask, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class WAPE(Metric):
    """100 * sum(|y_true - y_pred|) / sum(|y_true|): the error of all, relative to the size of all."""

    default_name = "wape"
    masked = of_points = True
    state = ("error", "size")

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None) -> None:
        super().__init__(dtype, name)
        WAPE.reset_state(self)

    def reset_state(self) -> None:
        super().reset_state()
        self.error = self.size = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = matched(y_true, y_pred)
        weight = weights_of(sample_weight, true)
        self.error += float((np.abs(true - pred) * weight).sum())
        self.size += float((np.abs(true) * weight).sum())

    def result(self) -> float:
        return 100 * self.error / self.size if self.size else 0.0


class _Correlation(MeanMetric):
    """A correlation along `axis`, its mean over the other axes and batches."""

    correlation: Any

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None, axis: Axes = -1) -> None:
        super().__init__(name, dtype)
        self.axis = tuple(axis) if isinstance(axis, list) else axis

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return np.asarray(self.correlation(y_true, np.asarray(y_pred, np.float64), self.axis))

    def check_mask(self, mask: Array, y_pred: Array) -> None:
        check_masked_axis(self.name, self.axis, mask, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class PearsonCorrelation(_Correlation):
    """Mean of the products of what is left of both without mean and scale."""

    default_name = "pearson_correlation"
    correlation = staticmethod(pearson_correlation)


class ConcordanceCorrelation(_Correlation):
    """How far both agree, in scale and mean too; Keras's form (Lin 1989)."""

    default_name = "concordance_correlation"
    correlation = staticmethod(concordance_correlation)


class R2Score(Metric):
    """1 - squared error / variance, a column of y each; averaged by `class_aggregation`.

    Args:
        class_aggregation: "uniform_average", "variance_weighted_average" or None (one score a column).
        num_regressors: number of predictors, for the adjusted score; 0 gives the plain one.
    """

    default_name = "r2_score"
    masked = of_points = True
    hidden = ("_sums", "_samples")

    @checked
    def __init__(
        self,
        class_aggregation: Text | None = "uniform_average",
        num_regressors: Natural = 0,
        name: Name | None = None,
        dtype: DtypeLike = None,
    ) -> None:
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(f"class_aggregation must be one of {known}, got {shown(class_aggregation)}")
        if num_regressors < 0:
            raise ValueError(f"num_regressors must be at least 0, got {num_regressors}")
        super().__init__(dtype, name)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        R2Score.reset_state(self)

    def reset_state(self) -> None:
        super().reset_state()
        self._sums: Array = np.zeros((4, 1))  # of weights, y, y**2 and squared errors, a column each
        self._samples = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = matched(y_true, y_pred)
        if true.ndim != 2:
            raise ValueError(f"y_true and y_pred of R2Score must have shape (batch, outputs), got {true.shape}")
        weight = weights_of(sample_weight, true)
        parts = (weight, weight * true, weight * true * true, weight * np.square(true - pred))
        self._sums = self._sums + np.stack([part.sum(axis=0) for part in parts])
        self._samples += true.size

    def result(self) -> Any:
        count, total, squares, errors = self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * (total / count)
            scores = 1 - errors / variance
        scores = np.where(np.isinf(scores), 0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation is not None:
            scores = (variance * scores).sum() / variance.sum()
        rest = self._samples - self.num_regressors - 1
        if self.num_regressors and rest > 0:
            scores = 1 - (1 - scores) * (self._samples - 1) / rest
        return float(scores) if np.ndim(scores) == 0 else scores

    def get_config(self) -> dict[str, Any]:
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}
