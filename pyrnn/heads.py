"""`Head`: everything about one output of a model: its loss, the weight of the loss, its metrics and their names."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, metrics, registry
from pyrnn.head_metrics import MetricEntry, Output, mark_repeated, number_names, try_state
from pyrnn.losses.automatic import NAMES as AUTOMATIC
from pyrnn.losses.automatic import AutomaticCrossentropy
from pyrnn.losses.base import MEANS
from pyrnn.states import Rule, anything, count, list_of, optional, tuple_of
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]


class Head:
    """One output of a model as `compile` fixed it, with the running metrics of that output.

    Args:
        loss: name, class, object or function; None for a model that does not train.
        loss_weight: the factor of the loss, None for 1.
        unweighted: names, classes, objects or functions of metrics that sample weights do not reach.
        weighted: those of metrics that they reach.
        output: the name of the output in the logs, None for a model with one output.

    Raises:
        TypeError, ValueError: for unknown names and wrong kinds.
    """

    def __init__(
        self,
        loss: Any,
        loss_weight: Any,
        unweighted: Sequence[Any],
        weighted: Sequence[Any],
        output: str | None = None,
    ) -> None:
        self.loss = loss_of_head(loss)
        self._loss_weight = loss_weight
        self.loss_weight = factor(loss_weight)
        self.entries = [
            *(MetricEntry(identifier, False, output) for identifier in unweighted),
            *(MetricEntry(identifier, True, output) for identifier in weighted),
        ]
        if output is None:
            number_names(self.entries)
        mark_repeated(self.entries)
        self.is_watched = bool(self.entries)
        # Of y and of the forecasts in the first batch, which metrics named by their purpose depend on.
        self.shapes: list[list[int]] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the metrics in the logs."""
        return [entry.name for entry in self.entries]

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The metrics, except those that wait for the shapes of the first batch."""
        return [entry.metric for entry in self.entries if entry.metric is not None]

    # Loss.

    def value_and_gradient(
        self, y: Array, y_pred: Array, sample_weight: Array | None, mask: Array | None
    ) -> tuple[float, Array]:
        """Return the weighted loss of a batch and its gradient by the outputs.

        Args:
            y: targets, shape (B, ...).
            y_pred: outputs of the model, shape (B, ...).
            sample_weight: weights of the samples (B,) or steps (B, T), or None.
            mask: False for steps that do not count, (B, T), or None.
        """
        if self.shapes is None and y is not None:
            self.resolve(y, y_pred)
        if self.loss is None:
            return 0.0, np.zeros_like(y_pred)
        value, gradient = self.loss.value_and_gradient(y, y_pred, sample_weight, mask)
        if self.loss_weight != 1:
            value *= self.loss_weight
            gradient = gradient * gradient.dtype.type(self.loss_weight)
        return value, gradient

    def value(self, y: Array, y_pred: Array, sample_weight: Array | None, mask: Array | None) -> float:
        """Return the weighted loss of a batch, without its gradient.

        Args:
            y: targets, shape (B, ...).
            y_pred: outputs of the model, shape (B, ...).
            sample_weight: weights of the samples (B,) or steps (B, T), or None.
            mask: False for steps that do not count, (B, T), or None.
        """
        if self.shapes is None and y is not None:
            self.resolve(y, y_pred)
        if self.loss is None:
            return 0.0
        return self.loss.value(y, y_pred, sample_weight, mask) * self.loss_weight

    def is_squared_error(self) -> bool:
        """Return whether the loss is the plain mean squared error, once the first batch has resolved the metrics.

        Returns:
            False for other losses, reductions and weights.
        """
        loss = self.loss
        is_plain = type(loss) is losses.MeanSquaredError and loss.reduction in MEANS and self.loss_weight == 1
        return is_plain and self.shapes is not None

    # Metrics.

    def resolve(self, y: Array, y_pred: Array) -> None:
        """Turn "accuracy" and the like into the metric that the shapes of the first batch ask for.

        Args:
            y: targets, shape (B, ...).
            y_pred: outputs of the model, shape (B, ...).
        """
        waiting = any(entry.metric is None for entry in self.entries)
        points = self.loss.point(y_pred) if waiting and self.loss is not None else y_pred
        self._take_shapes([list(y.shape), list(points.shape)])

    def _take_shapes(self, shapes: list[list[int]]) -> None:
        self.shapes = shapes
        for entry in self.entries:
            if entry.metric is None:
                entry.take(metrics.resolve(entry.identifier, tuple(shapes[0]), tuple(shapes[1])))

    def check(self, y: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Check that targets and weights fit the metrics.

        Args:
            y: targets, shape (B, ...).
            y_pred: any array in the shape of the outputs.
            sample_weight: weights of the samples (B,) or steps (B, T), or None.

        Raises:
            ValueError: if they do not; nothing has changed.
        """
        output = Output(self.loss, y, y_pred)
        for entry in self.entries:
            try:
                entry.check(output, sample_weight)
            except (TypeError, ValueError) as error:
                raise type(error)(f"metric {entry.name!r}: {error}") from None

    def update(self, y: Array, y_pred: Array, sample_weight: Array | None, mask: Array | None) -> None:
        """Add a batch to the metrics.

        Args:
            y: targets, shape (B, ...).
            y_pred: outputs of the model, shape (B, ...).
            sample_weight: weights of the samples (B,) or steps (B, T), or None.
            mask: False for steps that do not count, (B, T), or None.
        """
        output = Output(self.loss, y, y_pred)
        for entry in self.entries:
            if not entry.repeated:
                entry.update(output, sample_weight, mask)

    def reset(self) -> None:
        """Let the metrics forget all batches."""
        for entry in self.entries:
            if entry.metric is not None:
                entry.metric.reset_state()

    def logs(self) -> dict[str, Any]:
        """Return the metrics by name; a metric whose result is a dict adds its entries, as in Keras."""
        logs: dict[str, Any] = {}
        for entry in self.entries:
            if entry.metric is not None:
                result = entry.metric._plain_result()
                results = result if isinstance(result, Mapping) else {entry.name: result}
                logs |= {name: _plain(value) for name, value in results.items()}
        return logs

    # State and description.

    @property
    def state_rules(self) -> dict[str, Rule]:
        """The rules for what `get_state` returns, by key."""
        shape = list_of(count())
        return {"shapes": optional(tuple_of(shape, shape)), "metrics": list_of(anything)}

    def get_state(self) -> dict[str, Any]:
        """Return the shapes of the first batch and the state of each metric, to continue from with `set_state`."""
        return {"shapes": self.shapes, "metrics": [metric.get_state() for metric in self.metrics]}

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Check what `set_state` is to be passed, on copies of the metrics.

        Args:
            state: a state that `state_rules` accept.

        Raises:
            ValueError: if it does not fit the metrics, or they could not continue from it; nothing has changed.
        """
        shapes, states = state["shapes"], state["metrics"]
        trials = []
        for entry in self.entries:
            if entry.metric is not None:
                trials.append(copy.deepcopy(entry.metric))
            elif shapes is not None:
                trials.append(metrics.resolve(entry.identifier, tuple(shapes[0]), tuple(shapes[1])))
        if len(trials) != len(states):
            raise ValueError(f"the model has {len(trials)} metrics, it holds the state of {len(states)}")
        for trial, each in zip(trials, states, strict=True):
            try_state(trial, each, shapes)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: a state that `check_state` accepts.
        """
        if state["shapes"] is not None:
            self._take_shapes(state["shapes"])
        for metric, each in zip(self.metrics, state["metrics"], strict=True):
            metric.set_state(each)

    def describe(self) -> dict[str, Any]:
        """Return Keras 3's description of what `compile` was passed for this output."""
        described = [
            [
                entry.identifier if isinstance(entry.identifier, str) else metrics.serialize(entry.metric)
                for entry in self.entries
                if entry.weighted == weighted
            ]
            for weighted in (False, True)
        ]
        return {
            "loss": describe_loss(self.loss),
            "loss_weights": registry.plain(self._loss_weight, "loss_weights"),
            "metrics": described[0] or None,
            "weighted_metrics": described[1] or None,
        }


def loss_of_head(identifier: Any) -> losses.Loss | None:
    """Return the loss for what `compile` was passed for an output.

    Args:
        identifier: what `losses.as_loss` takes, or "crossentropy".
    """
    if isinstance(identifier, str) and identifier.lower() in AUTOMATIC:
        return AutomaticCrossentropy(identifier)
    return losses.as_loss(identifier)


def describe_loss(loss: losses.Loss | None) -> Any:
    """Return Keras 3's description of a loss.

    Args:
        loss: what `loss_of_head` returned.
    """
    return loss.name if isinstance(loss, AutomaticCrossentropy) else losses.serialize(loss)


def factor(value: Any) -> float:
    """Return the factor of a loss.

    Args:
        value: what `compile` was passed for it.

    Raises:
        TypeError, ValueError: if it is no finite number.
    """
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise WrongType(f"loss_weights must be a number for each output, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"loss_weights must be finite, got {value}")
    return float(value)


def _plain(value: Any) -> Any:
    """Return the result of a metric as a float, or a copy if it is an array."""
    if type(value) is float:
        return value
    array = np.array(value)
    return float(array) if array.ndim == 0 else array
