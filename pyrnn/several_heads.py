"""`Heads`: the heads of a model with several outputs, which the training loop uses like a single `Head`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from pyrnn import losses, metrics, registry
from pyrnn.data.arrays import Arrays
from pyrnn.head_metrics import number_names, try_state
from pyrnn.heads import Head, describe_loss, factor, loss_of_head
from pyrnn.loss_parts import LossPart, nested_entries, of_output
from pyrnn.output_names import OutputNames, is_nested, numbered, single
from pyrnn.states import Rule, anything, list_of, record, tuple_of
from pyrnn.structures import described_structure, leaves
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]


class Heads:
    """The heads of several outputs. The loss is the sum of the weighted losses of the outputs that have one.

    If two or more outputs have a loss, a running mean of each one, without its weight, is in the logs too.

    Args:
        outputs: the names of the outputs.
        loss: one loss for all outputs, an entry for each, or a nested structure; None trains no output.
        loss_weights: an entry for each output, one number for all if `loss` is one for all, or the structure of `loss`.
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
        is_single = not is_nested(loss)
        self._nested: tuple[Any, Any] | None = None  # losses and their weights, unless there is one for each output
        entries = [loss] * count if is_single else _one_for_each(outputs, loss)
        factors: list[Any] = [None] * count
        if entries is None:
            self._nested = loss, loss_weights
            entries = [None] * count
        elif isinstance(loss_weights, list | tuple | Mapping) or loss_weights is None:
            factors = outputs.split("loss_weights", loss_weights)
        elif is_single:
            factors = [loss_weights] * count
        else:
            raise WrongType(f"loss_weights must have one entry per output, as loss has, got {shown(loss_weights)}")
        self.parts: list[LossPart] = []
        if self._nested is not None:
            self._add_nested(entries)
        lists = outputs.metrics("metrics", unweighted), outputs.metrics("weighted_metrics", weighted)
        self.heads = [Head(*each) for each in zip(entries, factors, *lists, outputs.logged, strict=True)]
        if self._nested is None:
            paths = outputs.paths([_loss_name(*each) for each in zip(entries, self.heads, strict=True)])
            for i in self._order:
                head = self.heads[i]
                if head.loss is not None:
                    self.parts.append(LossPart(paths[i], i, [(head.loss, head.loss_weight)]))
        # The numbers of the outputs that have a loss.
        self.trained = tuple(sorted({number for part in self.parts for number in part.numbers}))
        # By the place in `parts`; empty if there is one loss, which is the whole loss.
        self.means = {place: metrics.Mean(f"{part.name}_loss") for place, part in enumerate(self.parts)}
        if len(self.parts) == 1:
            self.means.clear()
        self._has_resolved = False
        self.entries = [entry for head in self.heads for entry in head.entries]
        self.entries.sort(key=lambda entry: entry.weighted)
        number_names(self.entries, [mean.name for mean in self.means.values()])
        self._reject_shared()
        self.entries.sort(key=lambda entry: entry.name)  # as Keras's `evaluate` lists them

    def _add_nested(self, first: list[Any]) -> None:
        """Make the losses of an argument that is nested; `first` gets the first loss of each output."""
        assert self._nested is not None
        parts: dict[tuple[Any, ...], list[Any]] = {}
        for entry in nested_entries(self.outputs, *self._nested):
            loss = loss_of_head(entry.loss)
            assert loss is not None
            if isinstance(entry.numbers, int):
                first[entry.numbers] = first[entry.numbers] or loss
            name = self.outputs.path(entry.path, entry.numbers, loss.name)
            part = parts.setdefault((entry.path, *leaves(entry.numbers)), [name, entry.numbers, []])
            part[2].append((loss, factor(entry.weight)))
        names = numbered([part[0] for part in parts.values()])
        self.parts = [LossPart(name, *part[1:]) for name, part in zip(names, parts.values(), strict=True)]

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
        return [head.loss for head in self.heads] if self.parts else None

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

    def is_squared_error(self) -> bool:
        """Return False: the core computes the loss of one output only.

        Returns:
            False.
        """
        return False

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
        gradients: list[Array | None] = [None] * len(self.heads)
        total = 0.0
        for part in self.parts:
            total += part.value_and_gradient(y, y_pred, sample_weight, mask, gradients)
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
        return sum(part.total(y, y_pred, sample_weight, mask) for part in self.parts)

    def not_finite(self) -> LossPart | None:
        """Return the first of the losses that is NaN or infinite for the last batch."""
        return next((part for part in self.parts if not math.isfinite(part.value)), None)

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
        for place, mean in self.means.items():
            part = self.parts[place]
            count = len(y_pred[part.numbers[0]])
            running = mean.__dict__  # faster than attributes, which metrics check for variables
            running["total"] += part.value * count
            running["count"] += count
        for i, head in enumerate(self.heads):
            target = y[i]
            if head.is_watched and target is not None:
                head.update(target, y_pred[i], of_output(sample_weight, i), mask[i])

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
        placed = {
            name: None
            if all(each[name] is None for each in described)
            else self.outputs.place([each[name] for each in described], self._order)
            for name in described[0]
        }
        if self._nested is not None:
            nested, factors = self._nested
            placed["loss"] = described_structure(lambda each: describe_loss(loss_of_head(each)), nested)
            placed["loss_weights"] = described_structure(lambda each: registry.plain(each, "loss_weights"), factors)
        return placed


def _one_for_each(outputs: OutputNames, loss: Any) -> list[Any] | None:
    """Return the loss of each output; None if some outputs have several losses, or some losses several outputs.

    Raises:
        ValueError: if the argument has other names or another number of entries.
    """
    try:
        entries = [single(entry) for entry in outputs.split("loss", loss, is_complete=True)]
    except ValueError:
        if outputs.is_flat and not any(map(is_nested, loss.values() if isinstance(loss, Mapping) else loss)):
            raise
        return None
    return None if any(map(is_nested, entries)) else entries


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
