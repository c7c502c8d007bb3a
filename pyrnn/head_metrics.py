"""The metrics of a `Head`: which one a name means, its name in the logs, and what reaches it."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, metrics, overriding
from pyrnn.losses.differentiation import read_only
from pyrnn.metrics.base import masked_weights
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
# Values of a batch on which a saved metric is tried.
_LARGEST_TRIAL = 1 << 22


class Output:
    """Targets and outputs of a batch, as metrics take them.

    Args:
        loss: the loss of the head, which says which part of y_pred is the forecast; None for an output without one.
        y: targets, shape (B, ...).
        y_pred: outputs of the model, shape (B, ...).
    """

    def __init__(self, loss: losses.Loss | None, y: Array, y_pred: Array) -> None:
        self.loss, self.y_pred = loss, y_pred
        # In the rank of y_pred, or of the loss's targets, so that y (N,) and (N, 1) are the same to custom metrics too.
        if y.ndim < y_pred.ndim:
            target_shape = y_pred.shape if loss is None else loss.target_shape(y_pred.shape)
            if (*y.shape, 1) in (y_pred.shape, target_shape):
                y = y[..., None]
        self.y = y

    @functools.cached_property
    def points(self) -> Array:
        """The forecasts that metrics compare with y."""
        return self.y_pred if self.loss is None else self.loss.point(self.y_pred)


class MetricEntry:
    """A metric of a head.

    Attributes:
        metric: None until the shapes of the first batch decide which one a name such as "accuracy" means.
        name: its name in the logs.
        repeated: whether an earlier entry holds the same metric and updates it.

    Args:
        identifier: what the user passed to `compile`: a name, a class, an object or a function.
        weighted: whether sample weights reach the metric.
        output: the name of the output in the logs, None for a model with one output.
    """

    def __init__(self, identifier: Any, weighted: bool, output: str | None = None) -> None:
        self.identifier, self.weighted = identifier, weighted
        self.prefix = "" if output is None else f"{output}_"
        self.metric: metrics.Metric | None = None
        self.takes_mask = self.repeated = False
        if isinstance(identifier, str):
            self.name = identifier
            if identifier.lower() not in metrics.BY_SHAPE:
                self.take(metrics.get(identifier))
        else:
            metric = metrics.get(identifier)
            if metric is None:
                raise WrongType("metrics must hold names or Metric objects, got None")
            self.take(metric)
            self.name = metric.name

    def take(self, metric: metrics.Metric) -> None:
        """Use a metric, under the name that the user passed, if any, as Keras does.

        Args:
            metric: the metric for `identifier`.
        """
        if isinstance(self.identifier, str):
            metric.name = self.identifier
        self.metric = metric
        self.takes_mask = "mask" in inspect.signature(metric.update_state).parameters

    def update(self, output: Output, sample_weight: Array | None, mask: Array | None) -> None:
        """Add a batch to the metric.

        Args:
            output: targets and outputs of the batch.
            sample_weight: weights of its samples (B,) or steps (B, T), or None.
            mask: False for steps that do not count, (B, T), or None.
        """
        assert self.metric is not None
        self.update_metric(self.metric, output, sample_weight, mask)

    def update_metric(
        self, metric: metrics.Metric, output: Output, sample_weight: Array | None, mask: Array | None = None
    ) -> None:
        """Add a batch to a metric other than that of this entry.

        Args:
            metric: the metric, or a copy of it.
            output: targets and outputs of the batch.
            sample_weight: weights of its samples (B,) or steps (B, T), or None.
            mask: False for steps that do not count, (B, T), or None.
        """
        y_pred = output.points if metric.of_points else output.y_pred
        weight = sample_weight if self.weighted else None
        options: dict[str, Any] = {"sample_weight": weight}
        if self.takes_mask:
            options["mask"] = mask
        elif mask is not None and metric.masked:
            metric.check_mask(mask, y_pred)
            options["sample_weight"] = masked_weights(weight, mask)
        if overriding.is_builtin(type(metric)):
            metric.update_state(output.y, y_pred, **options)
        else:
            update = functools.partial(metric.update_state, **options)
            read_only(f"the metric {metric.name!r}", update, output.y, y_pred)

    def check(self, output: Output, sample_weight: Array | None) -> None:
        """Check that a batch fits the metric, on a copy of it. A user's metric is only called in training.

        Args:
            output: targets and any array in the shape of the outputs.
            sample_weight: weights of the samples (B,) or steps (B, T), or None.

        Raises:
            ValueError: if the batch does not fit.
        """
        metric = self.metric or metrics.resolve(self.identifier, output.y.shape, output.points.shape)
        ours = type(metric) in metrics.CLASSES or (isinstance(metric, metrics.MeanMetricWrapper) and metric.of_points)
        if ours:
            self.update_metric(copy.deepcopy(metric), output, sample_weight)


def number_names(entries: list[MetricEntry], taken: Sequence[str] = ()) -> None:
    """Give entries of the same name different ones, as Keras does: "mae", "mae_1", "weighted_mae", ...

    Args:
        entries: the metrics of a model; those that sample weights reach come last.
        taken: names that the losses of several outputs have in the logs.
    """
    used = {"loss", *taken}
    for entry in entries:
        name = entry.prefix + entry.name
        if entry.weighted and name in used:
            name = f"{entry.prefix}weighted_{entry.name}"
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        entry.name = next(each for each in itertools.chain([name], numbered) if each not in used)
        used.add(entry.name)


def mark_repeated(entries: list[MetricEntry]) -> None:
    """Mark the entries whose metric an earlier entry holds.

    Raises:
        ValueError: if one object is to be updated with sample weights and without.
    """
    for place, entry in enumerate(entries):
        for earlier in entries[:place]:
            if entry.metric is not None and entry.metric is earlier.metric:
                if entry.weighted != earlier.weighted:
                    raise ValueError(
                        f"metrics and weighted_metrics must not hold the same object, got {entry.metric.name!r} in "
                        "both: make one for each"
                    )
                entry.repeated = True


def try_state(metric: metrics.Metric, state: Any, shapes: list[list[int]] | None) -> None:
    """Let a metric continue from a saved state, to find out whether it can.

    Args:
        metric: a copy, which is changed.
        state: what its `get_state` returned.
        shapes: shapes of y and of the forecasts in a batch, None before the first one.

    Raises:
        ValueError: if it cannot.
    """
    try:
        _continue(metric, copy.deepcopy(state), shapes)
    except Exception as error:  # whatever a metric's own code says of it
        raise ValueError(f"metric {metric.name!r} cannot resume from {shown(state)}: {error}") from None


def _continue(metric: metrics.Metric, state: Any, shapes: list[list[int]] | None) -> None:
    """Let a metric continue from a state, and a built-in one also over a batch of ones if it accepts such."""
    fresh = copy.deepcopy(metric)
    metric.set_state(state)
    if not overriding.is_builtin(type(metric)):  # a user's metric is only called in training
        return
    metric._plain_result()
    if shapes is None or isinstance(metric, metrics.Mean) or max(map(math.prod, shapes)) > _LARGEST_TRIAL:
        return
    ones = [np.ones(shape, np.float32) for shape in shapes]
    try:
        fresh.update_state(*ones)
    except (TypeError, ValueError, IndexError):
        return
    metric.update_state(*ones)
    metric._plain_result()
