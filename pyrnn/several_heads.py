"""`Heads`: the heads of a model with several outputs, which the training loop uses like a single `Head`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from pyrnn import losses, metrics
from pyrnn.data.arrays import Arrays
from pyrnn.head_metrics import number_names, try_state
from pyrnn.heads import Head
from pyrnn.output_names import OutputNames, single
from pyrnn.states import Rule, anything, list_of, record, tuple_of
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]


class Heads:
    """The heads of several outputs. The loss is the sum of the weighted losses of the outputs that have one.

    If two or more outputs have a loss, a running mean of each one, without its weight, is in the logs too.

    Args:
        outputs: the names of the outputs.
        loss: one loss for all outputs, or an entry for each; None trains no output.
        loss_weights: an entry for each output, or one number for all if `loss` is one for all.
        unweighted: metrics of each output.
        weighted: metrics that sample weights reach, of each output.

    Raises:
        TypeError, ValueError: for unknown names and wrong kinds.
    """

    is_watched = True

    def __init__(self, outputs: OutputNames, loss: Any, loss_weights: Any, unweighted: Any, weighted: Any) -> None:
        count = len(outputs.names)
        self.outputs = outputs
        self._order = outputs.order(loss)
        is_single = not isinstance(loss, list | tuple | Mapping) or (isinstance(loss, Mapping) and "class_name" in loss)
        loss_entries = (
            [loss] * count if is_single else [single(entry) for entry in outputs.split("loss", loss, is_complete=True)]
        )
        if isinstance(loss_weights, list | tuple | Mapping) or loss_weights is None:
            factors = outputs.split("loss_weights", loss_weights)
        elif is_single:
            factors = [loss_weights] * count
        else:
            raise WrongType(f"loss_weights must have one entry per output, as loss has, got {shown(loss_weights)}")
        lists = outputs.metrics("metrics", unweighted), outputs.metrics("weighted_metrics", weighted)
        self.heads = [Head(*each) for each in zip(loss_entries, factors, *lists, outputs.logged, strict=True)]
        trained = [i for i in self._order if self.heads[i].loss is not None]
        # By the number of the output; empty if there is one loss, which is the whole loss.
        paths = outputs.paths([_loss_name(*each) for each in zip(loss_entries, self.heads, strict=True)])
        self.means = {i: metrics.Mean(f"{paths[i]}_loss") for i in trained if len(trained) > 1}
        self._values = dict.fromkeys(trained, 0.0)  # the losses of the last batch, without their weights
        self._has_resolved = False
        self.entries = [entry for head in self.heads for entry in head.entries]
        self.entries.sort(key=lambda entry: entry.weighted)
        number_names(self.entries, [mean.name for mean in self.means.values()])
        self._reject_shared()
        self.entries.sort(key=lambda entry: entry.name)  # as Keras's `evaluate` lists them

    def _reject_shared(self) -> None:
        """Reject a metric that is to hold the values of several outputs."""
        owners: dict[int, Head] = {}
        for head in self.heads:
            for metric in head.metrics:
                if owners.setdefault(id(metric), head) is not head:
                    raise ValueError(
                        f"metrics must have a different object for each output, got {metric.name!r} for several"
                    )

    @property
    def loss(self) -> list[losses.Loss | None] | None:
        """The loss of each output, None where there is none; None if no output has one."""
        each = [head.loss for head in self.heads]
        return None if all(loss is None for loss in each) else each

    @property
    def trained(self) -> tuple[int, ...]:
        """The numbers of the outputs that have a loss."""
        return tuple(sorted(self._values))

    @property
    def names(self) -> list[str]:
        """Names of the losses and metrics of the outputs, in the order in which `evaluate` lists them."""
        return [*(mean.name for mean in self.means.values()), *(entry.name for entry in self.entries)]

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The means of the losses and the metrics, except those that wait for the shapes of the first batch."""
        ready = (entry.metric for entry in self.entries if entry.metric is not None)
        return [*self.means.values(), *ready]

    # Loss.

    def value_and_gradient(
        self, y: Sequence[Array | None], y_pred: Sequence[Array], sample_weight: Any, mask: Sequence[Array | None]
    ) -> tuple[float, list[Array | None]]:
        """Return the weighted loss of a batch and its gradient by each output.

        Args:
            y: targets (B, ...) of each output, None where it has none.
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) or (B, T) of each output, one array for all of them, or None.
            mask: mask (B, T) of each output, or None.

        Returns:
            The loss, and a gradient per output, None for outputs without a loss.
        """
        if not self._has_resolved:
            self._resolve(y, y_pred)
        total = 0.0
        gradients: list[Array | None] = [None] * len(self.heads)
        for i in self._values:
            head, weight = self.heads[i], _of_output(sample_weight, i)
            assert head.loss is not None
            value, gradient = head.loss.value_and_gradient(y[i], y_pred[i], weight, mask[i])
            self._values[i] = value
            total += value * head.loss_weight
            gradients[i] = gradient if head.loss_weight == 1 else gradient * gradient.dtype.type(head.loss_weight)
        return total, gradients

    def value(
        self, y: Sequence[Array | None], y_pred: Sequence[Array], sample_weight: Any, mask: Sequence[Array | None]
    ) -> float:
        """Return the weighted loss of a batch, without its gradient.

        Args:
            y: targets (B, ...) of each output, None where it has none.
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) or (B, T) of each output, one array for all of them, or None.
            mask: mask (B, T) of each output, or None.
        """
        if not self._has_resolved:
            self._resolve(y, y_pred)
        for i in self._values:
            loss = self.heads[i].loss
            assert loss is not None
            self._values[i] = loss.value(y[i], y_pred[i], _of_output(sample_weight, i), mask[i])
        return sum(value * self.heads[i].loss_weight for i, value in self._values.items())

    def not_finite(self) -> tuple[int, float] | None:
        """Return the number and the loss of the first output whose loss of the last batch is NaN or infinite."""
        return next(((i, value) for i, value in self._values.items() if not math.isfinite(value)), None)

    # Metrics.

    def _resolve(self, y: Sequence[Array | None], y_pred: Sequence[Array]) -> None:
        for head, target, output in zip(self.heads, y, y_pred, strict=True):
            if head.shapes is None and target is not None:
                head.resolve(target, output)
        self._has_resolved = True

    def update(
        self, y: Sequence[Array | None], y_pred: Sequence[Array], sample_weight: Any, mask: Sequence[Array | None]
    ) -> None:
        """Add a batch, whose loss was computed last, to the means of the losses and the metrics.

        Args:
            y: targets (B, ...) of each output, None where it has none.
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) or (B, T) of each output, one array for all of them, or None.
            mask: mask (B, T) of each output, or None.
        """
        for i, mean in self.means.items():
            running, count = mean.__dict__, len(y_pred[i])  # faster than attributes, which metrics check for variables
            running["total"] += self._values[i] * count
            running["count"] += count
        for i, head in enumerate(self.heads):
            target = y[i]
            if head.is_watched and target is not None:
                head.update(target, y_pred[i], _of_output(sample_weight, i), mask[i])

    def reset(self) -> None:
        """Let the means and metrics forget all batches."""
        for metric in self.metrics:
            metric.reset_state()

    def logs(self) -> dict[str, Any]:
        """Return the means of the losses and the metrics by name."""
        logs: dict[str, Any] = {mean.name: mean._plain_result() for mean in self.means.values()}
        for head in self.heads:
            logs |= head.logs()
        return logs

    # State and description.

    @property
    def state_rules(self) -> dict[str, Rule]:
        """The rules for what `get_state` returns, by key."""
        heads = (record(head.state_rules) for head in self.heads)
        return {"losses": list_of(anything, len(self.means)), "heads": tuple_of(*heads)}

    def get_state(self) -> dict[str, Any]:
        """Return the state of the means and of each head, to continue from with `set_state`."""
        means = [mean.get_state() for mean in self.means.values()]
        return {"losses": means, "heads": [head.get_state() for head in self.heads]}

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Check what `set_state` is to be passed, on copies of the metrics.

        Args:
            state: a state that `state_rules` accept.

        Raises:
            ValueError: if it does not fit the metrics, or they could not continue from it; nothing has changed.
        """
        for mean, each in zip(self.means.values(), state["losses"], strict=True):
            try_state(metrics.Mean(mean.name), each, None)
        for head, each in zip(self.heads, state["heads"], strict=True):
            head.check_state(each)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: a state that `check_state` accepts.
        """
        for mean, each in zip(self.means.values(), state["losses"], strict=True):
            mean.set_state(each)
        for head, each in zip(self.heads, state["heads"], strict=True):
            head.set_state(each)

    def describe(self) -> dict[str, Any]:
        """Return Keras 3's description of what `compile` was passed, with an entry per output."""
        described = [head.describe() for head in self.heads]
        return {
            name: None
            if all(each[name] is None for each in described)
            else self.outputs.place([each[name] for each in described], self._order)
            for name in described[0]
        }


def _loss_name(entry: Any, head: Head) -> str:
    """The name that Keras gives the loss of an output without a name: that of the function, as the user wrote it."""
    if isinstance(entry, str) and entry[:1].islower():
        return entry
    return "" if head.loss is None else head.loss.name


def of_each(value: Any, count: int) -> Sequence[Any]:
    """Return an entry for each of several outputs.

    Args:
        value: `Arrays`, one array for all outputs, or None.
        count: number of outputs.

    Returns:
        The entries.
    """
    return value if isinstance(value, Arrays) else [value] * count


def _of_output(sample_weight: Any, number: int) -> Array | None:
    weight: Array | None = sample_weight[number] if type(sample_weight) is Arrays else sample_weight
    return weight
