"""Everything a training needs to resume as if it had never stopped, in addition to weights and optimizer.

Plain values and arrays in dicts and lists; `pyrnn.files.state` writes them to a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import seeds
from pyrnn.compiled import Compiled
from pyrnn.data import Batch, Batches
from pyrnn.data.class_weight import ClassWeight
from pyrnn.inner_layers import all_layers
from pyrnn.layers import Layer
from pyrnn.overriding import is_builtin
from pyrnn.states import Rule, anything, array, count, flag, list_of, mapping_of, optional, record, text, tuple_of
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.callbacks import Callback, CallbackList

State = dict[str, Any]


@dataclass
class Run:
    """A running `fit`: what it works with, and its position."""

    batches: Batches
    validation: Batches | None
    compiled: Compiled
    hooks: CallbackList
    epoch: int
    """The present epoch, or the next one between two epochs."""
    class_weight: ClassWeight | None = None
    batch: int = 0
    """How many of its batches are done."""
    logs: dict[str, Any] = field(default_factory=dict)
    """Those of the last finished epoch."""
    last: Any = None
    """Of the last batch, if methods of a subclass made them."""
    stopped: bool = False
    """Whether `stop_training` was set when this training was interrupted."""

    def get_state(self, stop: bool) -> State:
        """Return position, data, running metrics and callbacks.

        Args:
            stop: Whether `stop_training` is set.

        Returns:
            Plain values and arrays.
        """
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

    def check(self, state: Any) -> None:
        """Check what `set_position` and `set_rest` are to be called with.

        Args:
            state: What `get_state` returned, read from a file.

        Raises:
            ValueError: If a part of it is wrong, or it is of a training with other data; nothing has changed.
        """
        record({
            "epoch": count(), "batch": count(), "logs": mapping_of(anything), "stop_training": flag,
            "data": list_of(mapping_of(anything)), "compiled": anything,
            "callbacks": list_of(record({"class": text, "state": mapping_of(anything)})),
        })("run", state)  # fmt: skip
        self._check_data(state["data"], state["epoch"] + 1)
        if self.batches.steps is not None and state["batch"] > self.batches.steps:
            raise ValueError(f"batch must be at most {self.batches.steps}, got {state['batch']}")
        self.compiled.check_state(state["compiled"])
        for callback, saved in self._callbacks(state):
            callback.check_state(saved)

    def _check_data(self, saved: list[State], epochs: int) -> None:
        """Raise a ValueError if the data differ from those of the interrupted training, or a position is wrong."""
        names = ("training data", "validation data")
        if len(saved) != len(self._data()):
            had, has = ("without", "has some") if len(saved) < len(self._data()) else ("with", "has none")
            raise ValueError(f"it was made {had} validation data, fit {has}")
        for name, batches, each in zip(names, self._data(), saved, strict=False):
            described = batches.describe()
            changes = [
                f"{_NAMES.get(key, key + ' ')}{_shown(each[key])}, now {_shown(value)}"
                for key, value in described.items()
                if each.get(key, value) != value  # older versions did not write all of them
            ]
            if changes:
                of_kind = each.get("kind") != described["kind"]  # the rest follows from it
                raise ValueError(f"it was made with other {name} ({'; '.join(changes[:1] if of_kind else changes)})")
            record({**dict.fromkeys(described, anything), "position": record(batches.state_rules(epochs))},
                   optional_names=list(described))(name, each)  # fmt: skip

    def set_position(self, state: State) -> None:
        """Set epoch and batch, and advance the data; only once, because generators cannot go back.

        Args:
            state: A checked state.

        Raises:
            ValueError: If the data end too early.
        """
        for batches, each in zip(self._data(), state["data"], strict=True):
            batches.set_state(each["position"])
        self.epoch, self.batch, self.logs = state["epoch"], state["batch"], state["logs"]
        self.stopped = state["stop_training"]

    def set_rest(self, state: State) -> None:
        """Set running metrics and callbacks.

        Args:
            state: A checked state.
        """
        self.compiled.set_state(state["compiled"])
        for callback, saved in self._callbacks(state):
            callback.set_state(saved)

    def _callbacks(self, state: State) -> list[tuple[Callback, State]]:
        """The callbacks with their states, matched by class and order; those without a state start anew."""
        saved, pairs = list(state["callbacks"]), []
        for callback in self.hooks.callbacks:
            match = next((each for each in saved if each["class"] == type(callback).__name__), None)
            if match is not None:
                saved.remove(match)
                pairs.append((callback, match["state"]))
        return pairs

    def _data(self) -> list[Batches]:
        return [self.batches] if self.validation is None else [self.batches, self.validation]


def random_state(model: Any) -> State:
    """Return every random stream, and the states of stateful layers.

    Args:
        model: The model.

    Returns:
        Plain values and arrays.
    """
    layers = [
        {
            "class": type(layer).__name__,
            "streams": seeds.own_streams(layer.generators()),
            "states": None if vars(layer).get("states") is None else list(vars(layer)["states"]),
        }
        for layer in all_layers(model.layers)
    ]
    return {"streams": seeds.streams(), "layers": layers}


def check_random_state(model: Any, state: Any) -> None:
    """Check what `set_random_state` is to be called with.

    Args:
        model: The model.
        state: What `random_state` returned, read from a file.

    Raises:
        ValueError: If it is of a model with other layers, or a part of it is wrong; nothing has changed.
    """
    record({"streams": seeds.streams_rule(), "layers": list_of(mapping_of(anything))})("random state", state)
    layers = list(all_layers(model.layers))
    classes, saved = [type(layer).__name__ for layer in layers], [each.get("class") for each in state["layers"]]
    if classes != saved:
        raise ValueError(f"it holds the random streams of layers {shown(saved)}, the model has {shown(classes)}")
    for layer, each in zip(layers, state["layers"], strict=True):
        rules = {
            "class": text,
            "streams": seeds.own_streams_rule(layer.generators()),
            "states": optional(_states_rule(layer)),
        }
        record(rules)(f"random state of layer {layer.name!r}", each)


def _states_rule(layer: Layer) -> Rule:
    """The rule for the states of a stateful layer: arrays of the present shapes and dtypes."""
    states = vars(layer).get("states")
    if states is None:
        return list_of(anything, 0) if is_builtin(type(layer)) else list_of(anything)
    return tuple_of(*(array(np.shape(each), dtype=np.asarray(each).dtype) for each in states))


def set_random_state(model: Any, state: State) -> None:
    """Continue every random stream and stateful layer from what `random_state` returned.

    Args:
        model: The model.
        state: A checked state.
    """
    for layer, each in zip(all_layers(model.layers), state["layers"], strict=True):
        seeds.set_own_streams(layer.generators(), each["streams"])
        if each["states"] is not None:
            layer.states = tuple(each["states"])
    seeds.set_streams(state["streams"])


# The keys of `Batches.describe` as messages name them.
_NAMES = {"kind": "", "steps": "batches per epoch: ", "shuffled": "shuffle=", "batch_size": "batch_size=", "shapes": ""}
_KINDS = {
    "ArrayBatches": "arrays", "RepeatedBatches": "arrays with steps_per_epoch", "IteratorBatches": "a generator",
    "StoredBatches": "a generator that ends", "LoaderBatches": "a loader", "PyDatasetBatches": "a PyDataset",
}  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        shapes = {name: value.get(name) for name in Batch._fields}
        return ", ".join(f"{name} {shown(tuple(each))}" for name, each in shapes.items() if isinstance(each, list))
    return _KINDS.get(value, shown(value)) if isinstance(value, str) else shown(value)


def _data_state(batches: Batches) -> State:
    return {**batches.describe(), "position": batches.get_state()}
