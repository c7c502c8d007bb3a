"""All that a training needs to go on as if it had never stopped, beside weights and optimizer.

Plain values and arrays in dicts and lists; `pyrnn.saving.state` writes them to a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyrnn import seeds
from pyrnn.compiled import Compiled
from pyrnn.data import Batches
from pyrnn.data.class_weight import ClassWeight
from pyrnn.layers import Layer

if TYPE_CHECKING:
    from pyrnn.callbacks import CallbackList

State = dict[str, Any]


@dataclass
class Run:
    """A `fit` under way: what it works with and where it stands."""

    batches: Batches
    validation: Batches | None
    compiled: Compiled
    hooks: CallbackList
    epoch: int
    """The epoch under way, or the next one between two epochs."""
    class_weight: ClassWeight | None = None
    batch: int = 0
    """Its batches that are done."""
    logs: dict[str, Any] = field(default_factory=dict)
    """Of the last epoch that is done."""
    stopped: bool = False
    """Whether `stop_training` was set when this training was interrupted."""

    def get_state(self, stop: bool) -> State:
        """Position, data, running metrics and callbacks."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "logs": self.logs,
            "stop_training": stop,
            "data": [_data_state(each) for each in self._data()],
            "compiled": self.compiled.get_state(),
            "callbacks": [
                {"class": type(callback).__name__, "state": state}
                for callback in self.hooks.callbacks
                if (state := callback.get_state())
            ],
        }

    def check(self, state: State) -> None:
        """Refuse the state of a training over other data.

        Raises:
            ValueError: if they are of another kind or number of batches.
        """
        own = [_description(each) for each in self._data()]
        kept = [{name: each[name] for name in ("kind", "steps", "shuffled")} for each in state["data"]]
        if own != kept:
            raise ValueError(f"the backup was made over other data: {kept}, fit has {own} (training, validation)")

    def set_position(self, state: State) -> None:
        """Go to epoch and batch, and walk the data to there; once only, for generators cannot walk back.

        Raises:
            ValueError: if the data end too early.
        """
        for batches, each in zip(self._data(), state["data"], strict=True):
            batches.set_state(each["position"])
        self.epoch, self.batch, self.logs = state["epoch"], state["batch"], state["logs"]
        self.stopped = state["stop_training"]

    def set_rest(self, state: State) -> None:
        """Running metrics and callbacks, which are found by class and order; those that were not kept start anew."""
        self.compiled.set_state(state["compiled"])
        kept = list(state["callbacks"])
        for callback in self.hooks.callbacks:
            for each in kept:
                if each["class"] == type(callback).__name__:
                    callback.set_state(each["state"])
                    kept.remove(each)
                    break

    def _data(self) -> list[Batches]:
        return [self.batches] if self.validation is None else [self.batches, self.validation]


def random_state(model: Any) -> State:
    """Every random stream, and the states of stateful layers."""
    layers = [
        {
            "class": type(layer).__name__,
            "streams": seeds.own_streams(layer),
            "states": None if vars(layer).get("states") is None else list(vars(layer)["states"]),
        }
        for layer in all_layers(model)
    ]
    return {"streams": seeds.streams(), "layers": layers}


def set_random_state(model: Any, state: State) -> None:
    """Let every random stream and stateful layer go on from what `random_state` gave.

    Raises:
        ValueError: if it was of a model with other layers.
    """
    layers = list(all_layers(model))
    own, kept = [type(layer).__name__ for layer in layers], [each["class"] for each in state["layers"]]
    if own != kept:
        raise ValueError(f"the random streams kept are those of layers {kept}, the model has {own}")
    for layer, each in zip(layers, state["layers"], strict=True):
        seeds.set_own_streams(layer, each["streams"])
        if each["states"] is not None:
            layer.states = tuple(each["states"])  # type: ignore[attr-defined]  # a layer that had states has them
    seeds.set_streams(state["streams"])


def all_layers(model: Any) -> Iterator[Layer]:
    """The layers of a model and those that they hold, each once, in one order."""
    seen: set[int] = set()
    pending: list[Any] = list(model.layers)
    while pending:
        layer = pending.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        for value in vars(layer).values():
            held = value if isinstance(value, list | tuple) else [value]
            pending += [each for each in held if isinstance(each, Layer)]


def _description(batches: Batches) -> State:
    shuffled = getattr(batches, "_random", None) is not None
    return {"kind": type(batches).__name__, "steps": batches.steps, "shuffled": shuffled}


def _data_state(batches: Batches) -> State:
    return {**_description(batches), "position": batches.get_state()}
