"""Means over batches: the base class of metrics that are one, and those of values and functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn import losses, registry
from pyrnn.arguments import checked
from pyrnn.function_rules import takes
from pyrnn.losses.differentiation import read_only
from pyrnn.metrics.base import Array, Metric, weights_of
from pyrnn.metrics.functions import compares_points, described
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Unchecked
from pyrnn.typing import DtypeLike, Name
from pyrnn.validation import WrongType, shown

__all__ = ["Mean", "MeanMetric", "MeanMetricWrapper", "Sum"]


class MeanMetric(Metric):
    """Weighted mean over samples. If a sample has several values, it counts with their mean.

    A subclass defines `values`.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> class Overshoot(pyrnn.metrics.MeanMetric):
        ...     def values(self, y_true, y_pred):
        ...         return np.maximum(y_pred - y_true, 0)
        >>> metric = Overshoot()
        >>> metric.update_state(np.zeros((3, 1)), np.array([[-1.0], [1.0], [5.0]]))
        >>> metric.result()
        2.0
    """

    masked = of_points = True
    state: tuple[str, ...] = ("total", "count")

    @checked
    def __init__(self, name: Name | None = None, dtype: DtypeLike = None) -> None:
        super().__init__(dtype, name)
        MeanMetric.reset_state(self)  # not a subclass's, which may need what its constructor makes

    def reset_state(self) -> None:
        super().reset_state()
        self.total = 0.0
        self.count = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.add(self.values(measured("y_true", y_true), measured("y_pred", y_pred)), sample_weight)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the values to average.

        Args:
            y_true: Targets, shape (batch, ...).
            y_pred: Outputs of the model, shape (batch, ...).

        Returns:
            An array of shape (batch, ...), or a scalar for the whole batch.

        Raises:
            TypeError: If a function does not return numbers.
            ValueError: If the shapes do not match.
        """
        raise NotImplementedError

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def add(self, values: Array, sample_weight: Any) -> None:
        """Add values and their weights to the mean.

        Args:
            values: Array of shape (batch, ...); a scalar counts as one sample.
            sample_weight: Weights that broadcast to the values, shape (batch, ...), or None. A single weight for all
                makes them one sample.

        Raises:
            ValueError: If the weights do not broadcast to the values.
        """
        per_sample = math.prod(values.shape[1:]) or 1
        if sample_weight is None:
            self.total += float(values.sum()) / per_sample
            self.count += len(values) if values.ndim else 1
            return
        weight = measured("sample_weight", sample_weight)
        if weight.ndim == 0 or (values.ndim == 0 and weight.shape == (1,)):
            self.total += float(values.mean()) * weight.item()
            self.count += weight.item()
            return
        if values.ndim == 0:
            raise ValueError(
                f"sample_weight or mask of shape {weight.shape} cannot apply to {self.name}, which has one value for "
                "the whole batch: it must return one value per sample, or per sample and step"
            )
        weight = weights_of(weight, values)
        total = float((values * weight).sum())
        if not math.isfinite(total):  # 0 times NaN or infinity: what has no weight does not count
            total = float((values[weight != 0] * weight[weight != 0]).sum())
        self.total += total / per_sample
        self.count += float(weight.sum()) / per_sample


class Mean(MeanMetric):
    """Weighted mean of values.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.Mean()
        >>> metric.update_state([1.0, 3.0])
        >>> metric.update_state([5.0], sample_weight=[2.0])
        >>> metric.result()
        3.5
    """

    masked = of_points = False  # it takes values; what a subclass makes of the whole output is its own
    default_name = "mean"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # as in Keras
        """Add values.

        Args:
            values: A number or an array of any shape.
            sample_weight: Weights that broadcast to the values, such as (batch,), or None.
        """
        self.add(measured("values", values).astype(np.float64), sample_weight)

    def __call__(self, values: Any, sample_weight: Any = None) -> float:  # type: ignore[override]  # as in Keras
        self.update_state(values, sample_weight)
        return self.result()


class Sum(Mean):
    """Weighted sum of values.

    Args:
        name: Name in logs and reports; by default the snake-case name of the class.
        dtype: Accepted as in Keras; sums are kept in float64.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> metric = pyrnn.metrics.Sum()
        >>> metric.update_state([1.0, 3.0])
        >>> metric.update_state([5.0], sample_weight=[2.0])
        >>> metric.result()
        14.0
    """

    default_name = "sum"
    state = ("total",)

    def add(self, values: Array, sample_weight: Any) -> None:
        """Add values and their weights to the sum.

        Args:
            values: Array of any shape.
            sample_weight: Weights that broadcast to the values, such as (batch,), or None.
        """
        self.total += float((values * weights_of(sample_weight, values)).sum())

    def result(self) -> float:
        return self.total


class MeanMetricWrapper(MeanMetric):
    """Mean of a function of (y_true, y_pred), or of a loss.

    Args:
        fn: The function or loss. It returns one value per sample, per sample and step, or for the whole batch.
        name: Name in logs and reports.
        dtype: Accepted as in Keras; sums are kept in float64.
        **options: Keyword arguments of `fn`.

    Raises:
        TypeError: If `fn` is not a function of two arguments and these options.

    Example:
        >>> def within(y_true, y_pred, margin):
        ...     return abs(y_true - y_pred) <= margin
        >>> metric = pyrnn.metrics.MeanMetricWrapper(within, name="within", margin=0.5)
        >>> metric.update_state(np.zeros((2, 1)), np.array([[0.4], [0.6]]))
        >>> metric.result()
        0.5
    """

    @checked
    def __init__(
        self,
        fn: Annotated[Callable[..., Any], Unchecked()],
        name: Name | None = None,
        dtype: DtypeLike = None,
        **options: Any,
    ) -> None:
        if not callable(fn) or not takes(fn, 2, options):
            arguments = ", ".join(["y_true", "y_pred", *options])
            raise WrongType(f"a metric must be a function of ({arguments}), got {shown(fn)}")
        super().__init__(name, dtype)
        self.fn, self.options = fn, options
        self.of_points = compares_points(fn)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        values = read_only(f"the metric {self.name!r}", functools.partial(self.fn, **self.options), y_true, y_pred)
        if np.asarray(values).dtype.kind not in "biuf":
            raise WrongType(f"the metric {self.name!r} must return numbers, got {shown(values)}")
        if np.size(values) > max(y_true.size, y_pred.size):
            raise ValueError(
                f"metric {self.name!r} returned values of shape {np.shape(values)} for y_true of shape {y_true.shape} "
                f"and y_pred of shape {y_pred.shape}: one of them was broadcast; make their shapes the same"
            )
        return np.asarray(values, np.float64)

    def get_config(self) -> dict[str, Any]:
        fn = losses.serialize(self.fn) if isinstance(self.fn, losses.Loss) else registry.describe_callable(self.fn)
        return {**super().get_config(), "fn": fn, **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        """Return the metric that `get_config` described.

        Args:
            config: The dictionary. Its function must be registered or in `custom_objects`.

        Returns:
            The metric.
        """
        fn = config["fn"]
        if isinstance(fn, Mapping):
            fn = described(fn) if registry.is_function(fn) else registry.with_objects(fn, "metric")
        return cls(**{**config, "fn": fn})
