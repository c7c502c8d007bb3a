"""What `compile` fixed: the optimizer, the head of the output, the running loss, and the logs that are made of them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from pyrnn import metrics, optimizers, states
from pyrnn.data import Batch
from pyrnn.head_metrics import try_state
from pyrnn.heads import Head
from pyrnn.validation import shown

Array = NDArray[Any]


class Compiled:
    """What `compile` fixed, checked as a whole before the model takes it.

    Args:
        optimizer: name, class, object or description.
        loss: of the output, or a list or dict with an entry for it.
        unweighted: a list of metrics, or a dict with one for the output.
        weighted: the same for metrics that sample weights reach.
        loss_weights: the factor of the loss, or a list or dict with an entry for it.
        execution: arguments of `compile` that change nothing here and are described again.
        output: name of the model's output, None before it has layers.

    Raises:
        TypeError, ValueError: for unknown names and wrong kinds.
    """

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        unweighted: Any,
        weighted: Any,
        loss_weights: Any,
        execution: dict[str, Any],
        output: str | None,
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.head = Head(
            _for_output("loss", loss, output),
            _for_output("loss_weights", loss_weights, output),
            _metrics_for_output("metrics", unweighted, output),
            _metrics_for_output("weighted_metrics", weighted, output),
        )
        self.execution = execution
        self.mean_loss = metrics.Mean("loss")
        # Shapes of x and y that were checked against the model and the loss: those of the last batch, and all without
        # the batch axis.
        self.last_shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self.fitting: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        self.has_warned = False  # of a loss that is not finite

    def reset(self) -> None:
        """Forget all batches."""
        running = self.mean_loss.__dict__  # faster than attributes, which metrics check for variables
        running["total"] = running["count"] = 0.0
        self.head.reset()

    def update(self, batch: Batch, y_pred: Array, loss: float, mask: Array | None) -> None:
        """Add a batch to the running loss and metrics.

        Args:
            batch: the batch, of B samples.
            y_pred: outputs of the model, shape (B, ...).
            loss: the loss of the batch with all penalties.
            mask: False for steps that do not count in metrics, (B, T), or None.
        """
        count = len(batch.x)
        running = self.mean_loss.__dict__
        running["total"] += loss * count
        running["count"] += count
        if self.head.entries:
            assert batch.y is not None
            self.head.update(batch.y, y_pred, batch.sample_weight, mask)

    def logs(self, prefix: str = "") -> dict[str, Any]:
        """Return the running loss and metrics by name.

        Args:
            prefix: comes before each name.
        """
        logs = {"loss": self.mean_loss.result(), **self.head.logs()}
        return {f"{prefix}{name}": value for name, value in logs.items()} if prefix else logs

    def get_state(self) -> dict[str, Any]:
        """Return the running loss and metrics, to continue from with `set_state`."""
        return {
            "shapes": self.head.shapes,
            "loss": self.mean_loss.get_state(),
            "metrics": self.head.metric_states(),
        }

    def check_state(self, state: Any) -> None:
        """Check what `set_state` is to be passed, on copies of the metrics.

        Args:
            state: what a file holds.

        Raises:
            ValueError: if it does not fit the metrics, or they could not continue from it; nothing has changed.
        """
        shape = states.list_of(states.count())
        rules = {"shapes": states.optional(states.tuple_of(shape, shape)), "loss": states.anything}
        states.record({**rules, "metrics": states.list_of(states.anything)})("running metrics", state)
        try_state(copy.deepcopy(self.mean_loss), state["loss"], state["shapes"])
        self.head.check_states(state["shapes"], state["metrics"])

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: a state that `check_state` accepts.
        """
        self.mean_loss.set_state(state["loss"])
        self.head.set_states(state["shapes"], state["metrics"])

    def describe(self) -> dict[str, Any]:
        """Return Keras 3's description of what `compile` was passed."""
        return {"optimizer": optimizers.serialize(self.optimizer), **self.head.describe(), **self.execution}


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
