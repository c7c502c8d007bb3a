"""What `compile` fixed, with its running loss and metrics, and the logs that are made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses, metrics, optimizers
from pyrnn.data import Batch
from pyrnn.validation import shown

Array = NDArray[Any]


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
        self.given_metrics = _metrics_for_output("metrics", plain, output)
        self.given_weighted = _metrics_for_output("weighted_metrics", weighted, output)
        # Each entry: (metric or a name to be resolved by shape, whether sample weights reach it).
        self.entries: list[tuple[metrics.Metric | str, bool]] = [
            (given if given in metrics.BY_SHAPE else _metric(given), is_weighted)
            for is_weighted, group in ((False, self.given_metrics), (True, self.given_weighted))
            for given in group
        ]
        self.mean_loss = metrics.Mean("loss")
        # Shapes of x and y that were checked against the model and the loss: those of the last batch, and all without
        # the batch axis.
        self.last_shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self.fitting: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        # Shapes of y and of the output in the first batch.
        self.shapes: list[list[int]] | None = None

    def resolve(self, y: Array, y_pred: Array) -> None:
        """Turn "accuracy" and the like into the metric that the shapes of the first batch call for."""
        if self.shapes is None:
            self._resolve([list(y.shape), list(y_pred.shape)])

    def _resolve(self, shapes: list[list[int]]) -> None:
        self.shapes = shapes
        for i, (metric, weighted) in enumerate(self.entries):
            if isinstance(metric, str):
                self.entries[i] = (metrics.resolve(metric, tuple(shapes[0]), tuple(shapes[1])), weighted)

    def get_state(self) -> dict[str, Any]:
        """Running loss and metrics, to go on from with `set_state`."""
        found = [metric.get_state() for metric, _ in self.entries if isinstance(metric, metrics.Metric)]
        return {"shapes": self.shapes, "loss": self.mean_loss.get_state(), "metrics": found}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` gave."""
        if state["shapes"] is not None:
            self._resolve(state["shapes"])
        own = [metric for metric, _ in self.entries if isinstance(metric, metrics.Metric)]
        self.mean_loss.set_state(state["loss"])
        for metric, kept in zip(own, state["metrics"], strict=True):
            metric.set_state(kept)

    def reset(self) -> None:
        """Forget all batches."""
        self.mean_loss.total = self.mean_loss.count = 0.0
        for metric, _ in self.entries:
            if isinstance(metric, metrics.Metric):
                metric.reset_state()

    def update(self, batch: Batch, y_pred: Array, loss: float) -> None:
        """Take a batch into the running loss and metrics."""
        count = len(batch.x)
        self.mean_loss.total += loss * count
        self.mean_loss.count += count
        for metric, weighted in self.entries:
            assert isinstance(metric, metrics.Metric)
            metric.update_state(batch.y, y_pred, batch.sample_weight if weighted else None)

    def logs(self, prefix: str = "") -> dict[str, float]:
        """Running loss and metrics by name."""
        found = {metric.name: metric.result() for metric, _ in self.entries if isinstance(metric, metrics.Metric)}
        return {f"{prefix}{name}": value for name, value in {"loss": self.mean_loss.result(), **found}.items()}

    def describe(self) -> dict[str, Any]:
        """Keras 3's description of what `compile` was given."""
        described = [[m if isinstance(m, str) else metrics.serialize(_metric(m)) for m in group]
                     for group in (self.given_metrics, self.given_weighted)]  # fmt: skip
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": losses.serialize(self.loss),
            "loss_weights": self.given_loss_weights,
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
        raise TypeError(f"{argument} must be a list, such as [{shown(value)}], got {shown(value)}")
    nested = (each if isinstance(each, list | tuple) else [each] for each in value)
    return list(itertools.chain.from_iterable(nested))


def _loss_weight(value: Any) -> float:
    """The factor of the loss."""
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"loss_weights must be a number, since the model has one output, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"loss_weights must be finite, got {value}")
    return float(value)


def _metric(given: Any) -> metrics.Metric:
    metric: metrics.Metric | None = metrics.get(given)
    if metric is None:
        raise TypeError("metrics must hold names or objects, got None")
    return metric


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
