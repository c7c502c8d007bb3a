"""What `compile` fixed: the optimizer, the heads of the outputs, the running loss, and the logs made of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from pyrnn import metrics, optimizers, states
from pyrnn.data import Batch
from pyrnn.data.arrays import Arrays
from pyrnn.head_metrics import try_state
from pyrnn.heads import Head
from pyrnn.output_names import OutputNames, single
from pyrnn.several_heads import Heads

Array = NDArray[Any]

UNKNOWN: Any = object()


class Compiled:
    """What `compile` fixed, checked as a whole before the model takes it.

    Args:
        optimizer: name, class, object or description; None for a model that is only evaluated.
        loss: of the output, or a list or dict with an entry for each output.
        unweighted: a list of metrics, or with several outputs a list or dict with an entry for each.
        weighted: the same for metrics that sample weights reach.
        loss_weights: the factor of the loss, or a list or dict with an entry for each output.
        execution: arguments of `compile` that change nothing here and are described again.
        outputs: names of the model's outputs in their structure, None before it has layers; `UNKNOWN` if the first
            data will tell, and `name_outputs` will be called.

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
        outputs: Any,
    ) -> None:
        self.optimizer: Any = None if optimizer is None else optimizers.as_optimizer(optimizer)
        self._arguments = loss, loss_weights, unweighted, weighted
        self.head: Any  # a `Head`, or `Heads`, which have the same methods for several outputs
        if outputs is UNKNOWN:
            self.head, self.lists_results, self.has_loss = Head(None, None, [], []), False, loss is not None
        else:
            self.name_outputs(outputs)
        self.execution = execution
        self.mean_loss = metrics.Mean("loss")
        self.tracked: list[metrics.Metric] = []  # those in the attributes of a custom model
        # Shapes of x and y that were checked against the model and the loss: those of the last batch, and all without
        # the batch axis.
        self.last_shapes: tuple[Any, Any] | None = None
        self.fitting: set[tuple[Any, Any]] = set()
        self.has_warned = False  # of a loss that is not finite

    def name_outputs(self, outputs: Any) -> None:
        """Make the heads of the outputs.

        Args:
            outputs: names of the model's outputs in their structure, None before it has layers.

        Raises:
            TypeError, ValueError: if what `compile` was passed does not fit.
        """
        loss, loss_weights, unweighted, weighted = self._arguments
        names = OutputNames(outputs)
        if len(names.names) > 1:
            self.head = Heads(names, loss, loss_weights, unweighted, weighted)
        else:
            self.head = Head(
                single(names.only("loss", loss)),
                names.only("loss_weights", loss_weights),
                names.metrics_of_only("metrics", unweighted),
                names.metrics_of_only("weighted_metrics", weighted),
            )
        self.lists_results = bool(self.head.names)  # whether results are a list, or the loss alone
        self.has_loss = self.head.loss is not None

    def reset(self) -> None:
        """Forget all batches."""
        running = self.mean_loss.__dict__  # faster than attributes, which metrics check for variables
        running["total"] = running["count"] = 0.0
        self.head.reset()
        for metric in self.tracked:
            metric.reset_state()

    def update_loss(self, batch: Batch, loss: float) -> None:
        """Add a batch to the running loss.

        Args:
            batch: the batch, of B samples.
            loss: the loss of the batch with all penalties.
        """
        x: Any = batch.x
        count = len(x) if type(x) is not Arrays else batch.samples
        running = self.mean_loss.__dict__
        running["total"] += loss * count
        running["count"] += count

    def logs(self, prefix: str = "") -> dict[str, Any]:
        """Return the running loss and metrics by name; those of several outputs in the order of the names, as Keras.

        Args:
            prefix: comes before each name.
        """
        logs = {"loss": self.mean_loss._plain_result(), **self.head.logs()}
        if type(self.head) is Heads:
            logs = dict(sorted(logs.items()))
        for metric in self.tracked:
            result = metric._plain_result()
            logs |= result if isinstance(result, Mapping) else {metric.name: float(result)}
        return {f"{prefix}{name}": value for name, value in logs.items()} if prefix else logs

    def results(self) -> list[Any]:
        """Return the running loss and metrics in the order in which `evaluate` lists them."""
        logs = self.logs()
        listed = [name for name in ("loss", *self.head.names) if name in logs]
        return [logs[name] for name in (*listed, *(name for name in logs if name not in listed))]

    def named_metrics(self) -> list[tuple[str, metrics.Metric]]:
        """Return the running loss and the metrics of `compile` with their names in the logs."""
        entries = [(entry.name, entry.metric) for entry in self.head.entries if entry.metric is not None]
        return [("loss", self.mean_loss), *entries]

    def get_state(self) -> dict[str, Any]:
        """Return the running loss and metrics, to continue from with `set_state`."""
        tracked = {"tracked": [metric.get_state() for metric in self.tracked]} if self.tracked else {}
        return {"loss": self.mean_loss.get_state(), **self.head.get_state(), **tracked}

    def check_state(self, state: Any) -> None:
        """Check what `set_state` is to be passed, on copies of the metrics.

        Args:
            state: what a file holds.

        Raises:
            ValueError: if it does not fit the metrics, or they could not continue from it; nothing has changed.
        """
        tracked = {"tracked": states.list_of(states.anything, len(self.tracked))} if self.tracked else {}
        states.record({"loss": states.anything, **self.head.state_rules, **tracked})("running metrics", state)
        for metric, each in zip(self.tracked, state.get("tracked", ()), strict=True):
            try_state(copy.deepcopy(metric), each, None)
        try_state(copy.deepcopy(self.mean_loss), state["loss"], None)
        self.head.check_state(state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Args:
            state: a state that `check_state` accepts.
        """
        self.mean_loss.set_state(state["loss"])
        self.head.set_state(state)
        for metric, each in zip(self.tracked, state.get("tracked", ()), strict=True):
            metric.set_state(each)

    def describe(self) -> dict[str, Any]:
        """Return Keras 3's description of what `compile` was passed."""
        optimizer = None if self.optimizer is None else optimizers.serialize(self.optimizer)
        return {"optimizer": optimizer, **self.head.describe(), **self.execution}


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
