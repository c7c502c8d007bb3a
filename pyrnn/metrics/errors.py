"""Means of losses, and errors of forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import losses
from pyrnn.arguments import checked
from pyrnn.metrics.base import Array, Metric, check_masked_axis, matched, weights_of
from pyrnn.metrics.functions import concordance_correlation, pearson_correlation
from pyrnn.metrics.means import MeanMetric
from pyrnn.ops.differentiation import measured
from pyrnn.typing import Axes, DtypeLike, Name, Natural, Text
from pyrnn.validation import WrongType, shown, unexpected_arguments

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

_OF_PAIRS = losses.Elementwise.lazy_elements


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
        cls_name, taken = type(self).__name__, self.takes
        if len(values) > len(taken):
            arguments = ", ".join(["name", "dtype", *taken])
            raise TypeError(f"{cls_name}() takes {2 + len(taken)} arguments ({arguments}), got {2 + len(values)}")
        options = dict(zip(taken, values, strict=False))
        twice = options.keys() & named.keys()
        if twice:
            raise TypeError(f"{cls_name}() got multiple values for argument {min(twice)!r}")
        if named.keys() - set(taken):
            raise WrongType(unexpected_arguments(cls_name, {n: v for n, v in named.items() if n not in taken}, taken))
        self._loss = self.loss(**options, **named)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = measured("y_true", y_true), measured("y_pred", y_pred)
        values = self.values(y_true, y_pred)
        if sample_weight is not None:
            sample_weight = measured("sample_weight", sample_weight)
            of_elements, loss = sample_weight.ndim > values.ndim and sample_weight.shape[-1] > 1, type(self._loss)
            if of_elements and loss.lazy_elements is _OF_PAIRS and not loss._defines_elements:
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
        return self._loss.of_pairs(y_true, pred)[0]

    def values(self, y_true: Array, y_pred: Array) -> Array:
        pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
        return self._loss.values(self._loss.target(y_true, pred.shape), pred)

    def get_config(self) -> dict[str, Any]:
        loss_config = self._loss.get_config()
        return {**super().get_config(), **{name: loss_config[name] for name in self.takes}}


_DOC = """Mean of the loss `{loss}` over samples.

    Args:
        name: Name in logs and reports; by default {default!r}.
        dtype: Accepted as in Keras; sums are kept in float64.
        *values, **named: {takes}

    Raises:
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> metric = pyrnn.metrics.{class_name}({arguments})
        >>> metric.update_state({batch})
        >>> round(metric.result(), 4)
        {result}
    """

_NUMBERS, _SIGNS = "[[1.0, 3.0]], [[2.0, 5.0]]", "[[0, 1]], [[-0.5, 0.5]]"
_SHARES, _ONE_HOT = "[[0.5, 0.5]], [[0.25, 0.75]]", "[[0, 1, 0]], [[0.25, 0.5, 0.25]]"


def _of(
    loss: type[losses.Loss],
    batch: str,
    result: float,
    class_name: str | None = None,
    name: str | None = None,
    *,
    takes: tuple[str, ...] = (),
    arguments: str = "",
    always_leaves_out: bool = False,
    aliases: tuple[str, ...] = (),
) -> type[LossMetric]:
    """Return the class of a loss's mean; `batch`, `arguments` and `result` are the example of its docstring."""
    default_name = name or loss.default_name
    doc = _DOC.format(
        loss=f"pyrnn.losses.{loss.__name__}",
        default=default_name,
        takes=f"Arguments of the loss: {', '.join(map('`{}`'.format, takes))}." if takes else "None are accepted.",
        class_name=class_name or loss.__name__,
        arguments=arguments,
        batch=batch,
        result=result,
    )
    body = {
        "loss": loss,
        "takes": takes,
        "always_leaves_out": always_leaves_out,
        "default_name": default_name,
        "aliases": (*aliases, *(() if class_name else loss.aliases)),
        "__doc__": doc,
        "__module__": __name__,
    }
    return type(class_name or loss.__name__, (LossMetric,), body)


MeanSquaredError = _of(losses.MeanSquaredError, _NUMBERS, 2.5)
MeanAbsoluteError = _of(losses.MeanAbsoluteError, _NUMBERS, 1.5)
MeanAbsolutePercentageError = _of(losses.MeanAbsolutePercentageError, _NUMBERS, 83.3333)
MeanSquaredLogarithmicError = _of(losses.MeanSquaredLogarithmicError, _NUMBERS, 0.1644)
Huber = _of(losses.Huber, _NUMBERS, 1.1875, name="huber", takes=("delta",), arguments="delta=1.5")
LogCoshError = _of(losses.LogCosh, _NUMBERS, 0.8794, "LogCoshError", "logcosh", aliases=("log_cosh",))
BinaryCrossentropy = _of(
    losses.BinaryCrossentropy, _SHARES, 0.837, takes=("from_logits", "label_smoothing"), arguments="label_smoothing=0.1"
)
CategoricalCrossentropy = _of(
    losses.CategoricalCrossentropy, _ONE_HOT, 0.6931, takes=("from_logits", "label_smoothing", "axis")
)
SparseCategoricalCrossentropy = _of(
    losses.SparseCategoricalCrossentropy,
    "[1], [[0.25, 0.5, 0.25]]",
    0.6931,
    takes=("from_logits", "ignore_class", "axis"),
)
Hinge = _of(losses.Hinge, _SIGNS, 0.5)
SquaredHinge = _of(losses.SquaredHinge, _SIGNS, 0.25)
CategoricalHinge = _of(losses.CategoricalHinge, _ONE_HOT, 0.75)
KLDivergence = _of(losses.KLDivergence, _SHARES, 0.1438)
Poisson = _of(losses.Poisson, _NUMBERS, 0.7393)
SMAPE = _of(losses.SymmetricMAPE, _NUMBERS, 58.3333, "SMAPE", "smape")
MASE = _of(losses.MASE, _NUMBERS, 0.5, "MASE", "mase", takes=("scale",), arguments="scale=3.0")
ZeroSafeMAPE = _of(losses.ZeroSafeMAPE, "[[0.0, 4.0]], [[1.0, 3.0]]", 25.0, always_leaves_out=True)


class RootMeanSquaredError(MeanMetric):
    """Root of the mean squared error of all elements.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.RootMeanSquaredError()
        >>> metric.update_state([[0.0, 1.0], [0.0, 0.0]], [[3.0, 1.0], [0.0, 4.0]])
        >>> metric.result()
        2.5
    """

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
    """Mean cosine of the angle between y_true and y_pred.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        axis: Axis of the vectors.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.CosineSimilarity()
        >>> metric.update_state(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 2.0]]))
        >>> round(metric.result(), 4)
        0.5
    """

    default_name = "cosine_similarity"

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None, axis: Axes = -1) -> None:
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Array, y_pred: Array) -> Array:
        return -losses.CosineSimilarity(axis=self.axis).values(y_true, y_pred)

    def check_mask(self, mask: Array, y_pred: Array) -> None:
        check_masked_axis(self.name, self.axis, mask, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class WAPE(Metric):
    """Weighted absolute percentage error: 100 * sum(|y_true - y_pred|) / sum(|y_true|).

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.WAPE()
        >>> metric.update_state([[2.0], [6.0]], [[1.0], [7.0]])
        >>> metric.result()
        25.0
    """

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
    """Mean Pearson correlation of y_true and y_pred.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        axis: Axis, or list of axes, along which to correlate; the mean is over the others and over batches.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.PearsonCorrelation()
        >>> metric.update_state([[0.0, 1.0, 0.5], [0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5], [1.0, 0.0, 0.5]])
        >>> round(abs(metric.result()), 4)
        0.0
    """

    default_name = "pearson_correlation"
    correlation = staticmethod(pearson_correlation)


class ConcordanceCorrelation(_Correlation):
    """Mean concordance correlation of y_true and y_pred, which also asks for the same scale and mean.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.
        axis: Axis, or list of axes, along which to correlate; the mean is over the others and over batches.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.ConcordanceCorrelation()
        >>> metric.update_state([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]])
        >>> round(metric.result(), 4)
        0.9756

    Source: Lin 1989, in Keras's form.
    """

    default_name = "concordance_correlation"
    correlation = staticmethod(concordance_correlation)


class R2Score(Metric):
    """Coefficient of determination: 1 - squared error / variance, for each column of y.

    Args:
        class_aggregation: "uniform_average" (the mean over columns), "variance_weighted_average", or None for one score
            per column.
        num_regressors: Number of predictors for the adjusted score, at least 0; 0 gives the plain score.
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        ValueError: If `class_aggregation` or `num_regressors` is none of these.

    Example:
        >>> metric = pyrnn.metrics.R2Score()
        >>> metric.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
        >>> round(metric.result(), 4)
        0.5714
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
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(f"class_aggregation must be one of {allowed}, got {shown(class_aggregation)}")
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
        config = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **config}
