"""What `compile` fixed, with its running loss and metrics, and the logs that are made of them."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, metrics, optimizers, overriding, registry, states
from pyrnn.data import Batch
from pyrnn.losses.differentiation import read_only
from pyrnn.metrics.base import masked_weights
from pyrnn.validation import shown

Array = NDArray[Any]
# Values of a batch on which a saved metric is tried.
_LARGEST_TRIAL = 1 << 22


class Entry:
    """A metric of `compile`.

    `given` is what the user passed; `metric` is None until the shapes of the first batch say which one a name such as
    "accuracy" means; sample weights reach it if it is `weighted`; `name` is its name in the logs. A `repeated` entry
    holds the metric of an earlier one, which updates it.
    """

    def __init__(self, given: Any, weighted: bool) -> None:
        self.given, self.weighted = given, weighted
        self.metric: metrics.Metric | None = None
        self.takes_mask = self.repeated = False
        if isinstance(given, str):
            self.name = given
            if given.lower() not in metrics.BY_SHAPE:
                self.take(metrics.get(given))
        else:
            metric = metrics.get(given)
            if metric is None:
                raise TypeError("metrics must hold names or Metric objects, got None")
            self.take(metric)
            self.name = metric.name

    def take(self, metric: metrics.Metric) -> None:
        """Use this metric, under the user's name where there is one, as Keras does."""
        if isinstance(self.given, str):
            metric.name = self.given
        self.metric = metric
        self.takes_mask = "mask" in inspect.signature(metric.update_state).parameters

    def update(self, output: Output, sample_weight: Array | None, mask: Array | None) -> None:
        """Take a batch in."""
        assert self.metric is not None
        self.update_metric(self.metric, output, sample_weight, mask)

    def update_metric(
        self, metric: metrics.Metric, output: Output, sample_weight: Array | None, mask: Array | None = None
    ) -> None:
        """Take a batch into this metric."""
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
        """Raise a ValueError if a batch does not fit the metric; a user's metric is not called but in training."""
        metric = self.metric or metrics.resolve(self.given, output.y.shape, output.points.shape)
        ours = type(metric) in metrics.CLASSES or (isinstance(metric, metrics.MeanMetricWrapper) and metric.of_points)
        if ours:
            self.update_metric(copy.deepcopy(metric), output, sample_weight)


class Output:
    """y and what the model made of x, as metrics take them."""

    def __init__(self, loss: losses.Loss, y: Array, y_pred: Array) -> None:
        self.loss, self.y_pred = loss, y_pred
        # In the rank of y_pred, or of the loss's targets, so that y (N,) and (N, 1) are the same to custom metrics too.
        if y.ndim < y_pred.ndim and (*y.shape, 1) in (y_pred.shape, loss.target_shape(y_pred.shape)):
            y = y[..., None]
        self.y = y

    @functools.cached_property
    def points(self) -> Array:
        """The forecasts that are compared with y."""
        return self.loss.point(self.y_pred)


class Compiled:
    """What `compile` fixed: optimizer, loss and metrics, checked as a whole before the model takes it."""

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        plain: Any,
        weighted: Any,
        loss_weights: Any,
        execution: dict[str, Any],
        output: str | None,
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.loss = losses.get(_for_output("loss", loss, output))
        self.given_loss_weights = _for_output("loss_weights", loss_weights, output)
        self.loss_weight = _loss_weight(self.given_loss_weights)
        self.execution = execution
        self.entries = [
            *(Entry(given, False) for given in _metrics_for_output("metrics", plain, output)),
            *(Entry(given, True) for given in _metrics_for_output("weighted_metrics", weighted, output)),
        ]
        _number_names(self.entries)
        _mark_repeated(self.entries)
        self.mean_loss = metrics.Mean("loss")
        # Shapes of x and y that were checked against the model and the loss: those of the last batch, and all without
        # the batch axis.
        self.last_shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self.fitting: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        self.has_warned = False  # of a loss that is not finite
        # Shapes of y and of the output in the first batch.
        self.shapes: list[list[int]] | None = None

    def resolve(self, y: Array, y_pred: Array) -> None:
        """Turn "accuracy" and the like into the metric that the shapes of the first batch call for."""
        if self.shapes is None:
            assert self.loss is not None
            waiting = any(entry.metric is None for entry in self.entries)
            points = self.loss.point(y_pred) if waiting else y_pred
            self._resolve([list(y.shape), list(points.shape)])

    def check(self, y: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Check that targets and weights fit the metrics; y_pred is any array of the output's shape.

        Raises:
            ValueError: if they do not; nothing has changed.
        """
        assert self.loss is not None
        output = Output(self.loss, y, y_pred)
        for entry in self.entries:
            try:
                entry.check(output, sample_weight)
            except (TypeError, ValueError) as error:
                raise type(error)(f"metric {entry.name!r}: {error}") from None

    def _resolve(self, shapes: list[list[int]]) -> None:
        self.shapes = shapes
        for entry in self.entries:
            if entry.metric is None:
                entry.take(metrics.resolve(entry.given, tuple(shapes[0]), tuple(shapes[1])))

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The metrics of the entries, but for those that wait for the shapes of the first batch."""
        return [entry.metric for entry in self.entries if entry.metric is not None]

    def get_state(self) -> dict[str, Any]:
        """Running loss and metrics, to continue from with `set_state`."""
        states = [metric.get_state() for metric in self.metrics]
        return {"shapes": self.shapes, "loss": self.mean_loss.get_state(), "metrics": states}

    def check_state(self, state: Any) -> None:
        """Check what `set_state` is to be passed, on copies of the metrics.

        Raises:
            ValueError: if it does not fit them, or they could not go on from it; nothing has changed.
        """
        shape = states.list_of(states.count())
        rules = {"shapes": states.optional(states.tuple_of(shape, shape)), "loss": states.anything}
        states.record({**rules, "metrics": states.list_of(states.anything)})("running metrics", state)
        shapes = state["shapes"]
        trials: list[metrics.Metric] = [copy.deepcopy(self.mean_loss)]
        for entry in self.entries:
            if entry.metric is not None:
                trials.append(copy.deepcopy(entry.metric))
            elif shapes is not None:
                trials.append(metrics.resolve(entry.given, tuple(shapes[0]), tuple(shapes[1])))
        if len(trials) != 1 + len(state["metrics"]):
            raise ValueError(f"the model has {len(trials) - 1} metrics, it holds the state of {len(state['metrics'])}")
        for trial, saved in zip(trials, [state["loss"], *state["metrics"]], strict=True):
            try:
                _try_state(trial, copy.deepcopy(saved), shapes)
            except Exception as error:  # whatever a metric's own code says of it
                raise ValueError(f"metric {trial.name!r} cannot resume from {shown(saved)}: {error}") from None

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        if state["shapes"] is not None:
            self._resolve(state["shapes"])
        self.mean_loss.set_state(state["loss"])
        for metric, saved in zip(self.metrics, state["metrics"], strict=True):
            metric.set_state(saved)

    def reset(self) -> None:
        """Forget all batches."""
        running = self.mean_loss.__dict__  # faster than attributes, which metrics check for variables
        running["total"] = running["count"] = 0.0
        for entry in self.entries:
            if entry.metric is not None:
                entry.metric.reset_state()

    def update(self, batch: Batch, y_pred: Array, loss: float, mask: Array | None = None) -> None:
        """Take a batch into the running loss and metrics; steps that `mask` leaves out do not count in metrics."""
        count = len(batch.x)
        running = self.mean_loss.__dict__
        running["total"] += loss * count
        running["count"] += count
        if self.entries:
            assert batch.y is not None
            assert self.loss is not None
            output = Output(self.loss, batch.y, y_pred)
            for entry in self.entries:
                if not entry.repeated:
                    entry.update(output, batch.sample_weight, mask)

    def logs(self, prefix: str = "") -> dict[str, Any]:
        """Running loss and metrics by name; a metric whose result is a dict adds its entries, as in Keras."""
        logs: dict[str, Any] = {f"{prefix}loss": self.mean_loss.result()}
        for entry in self.entries:
            if entry.metric is not None:
                result = entry.metric.result()
                results = result if isinstance(result, Mapping) else {entry.name: result}
                logs |= {f"{prefix}{name}": _plain(value) for name, value in results.items()}
        return logs

    def describe(self) -> dict[str, Any]:
        """Keras 3's description of what `compile` was given."""
        described = [
            [
                entry.given if isinstance(entry.given, str) else metrics.serialize(entry.metric)
                for entry in self.entries
                if entry.weighted == weighted
            ]
            for weighted in (False, True)
        ]
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": losses.serialize(self.loss),
            "loss_weights": registry.plain(self.given_loss_weights, "loss_weights"),
            "metrics": described[0] or None,
            "weighted_metrics": described[1] or None,
            **self.execution,
        }


def _for_output(argument: str, value: Any, output: str | None) -> Any:
    """The entry for the model's one output in a dict by output name or a list with one entry per output."""
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise ValueError(
                f"{argument} must have one entry, since the model has one output, got {len(value)}: {shown(value)}"
            )
        return value[0]
    if not isinstance(value, Mapping) or "class_name" in value:
        return value
    if list(value) != [output]:
        name = "the model has no layers yet" if output is None else f"the model's output is {output!r}"
        raise ValueError(
            f"{argument} as a dict must have one entry with the name of the model's last layer ({name}), "
            f"got {shown(value)}; with one output, the entry itself can be passed instead of a dict"
        )
    return value[output]


def _metrics_for_output(argument: str, value: Any, output: str | None) -> list[Any]:
    """A flat list of the metrics in a list, which may hold lists, or in a dict by output name."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        value = _for_output(argument, value, output)
        value = value if isinstance(value, list | tuple) else [value]
    if not isinstance(value, list | tuple):
        example = list(value) if isinstance(value, set | frozenset) else [value]
        raise TypeError(f"{argument} must be a list such as {shown(example)}, got {shown(value)}")
    nested = (each if isinstance(each, list | tuple) else [each] for each in value)
    return list(itertools.chain.from_iterable(nested))


def _try_state(metric: metrics.Metric, state: Any, shapes: list[list[int]] | None) -> None:
    """Let a metric go on from a state, and one of ours also over a batch of ones if it takes such."""
    fresh = copy.deepcopy(metric)
    metric.set_state(state)
    if not overriding.is_builtin(type(metric)):  # which is not called but in training
        return
    metric.result()
    if shapes is None or isinstance(metric, metrics.Mean) or max(map(math.prod, shapes)) > _LARGEST_TRIAL:
        return
    ones = [np.ones(shape, np.float32) for shape in shapes]
    try:
        fresh.update_state(*ones)
    except (TypeError, ValueError, IndexError):
        return
    metric.update_state(*ones)
    metric.result()


def _loss_weight(value: Any) -> float:
    """The factor of the loss."""
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"loss_weights must be a number, since the model has one output, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"loss_weights must be finite, got {value}")
    return float(value)


def _number_names(entries: list[Entry]) -> None:
    """Give entries of one name different ones, as Keras does: "mae", "mae_1", "weighted_mae", "weighted_mae_1"."""
    used = {"loss"}
    for entry in entries:
        name = f"weighted_{entry.name}" if entry.weighted and entry.name in used else entry.name
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        entry.name = next(each for each in itertools.chain([name], numbered) if each not in used)
        used.add(entry.name)


def _mark_repeated(entries: list[Entry]) -> None:
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


def _plain(value: Any) -> Any:
    """A metric's result as a float, or a copy of the array that it is."""
    if type(value) is float:
        return value
    array = np.array(value)
    return float(array) if array.ndim == 0 else array


class LazyLogs(dict[str, float]):
    """The logs of a batch, computed only if a callback looks at them."""

    def __init__(self, compiled: Compiled) -> None:
        super().__init__()
        self._compiled: Compiled | None = compiled

    def _fill(self) -> None:
        if self._compiled is not None:
            self.update(sorted(self._compiled.logs().items()))
            self._compiled = None

    def __getitem__(self, name: str) -> float:
        self._fill()
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return super().__contains__(name)

    def __iter__(self) -> Any:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def get(self, name: str, default: Any = None) -> Any:
        self._fill()
        return super().get(name, default)

    def items(self) -> Any:
        self._fill()
        return super().items()

    def keys(self) -> Any:
        self._fill()
        return super().keys()

    def values(self) -> Any:
        self._fill()
        return super().values()

    def copy(self) -> dict[str, float]:
        self._fill()
        return dict(super().items())
