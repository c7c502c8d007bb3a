"""The hooks of training and the callbacks that are nothing but hooks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pyrnn.arguments import checked
from pyrnn.explaining import CallbackNames
from pyrnn.overriding import is_builtin
from pyrnn.rules import Function
from pyrnn.states import Rule, anything, count, list_of, mapping_of, record
from pyrnn.validation import unexpected_arguments

Logs = dict[str, Any]
Hook = Callable[..., Any]


class Callback(CallbackNames):
    """Base of all callbacks; `model` and `params` are set before training. Hooks and their order are Keras's.

    What a callback remembers from one hook to another is kept by `BackupAndRestore` if its class names the fields in
    `remembers` (numbers, texts, None, arrays, lists and dicts of them), or defines `get_state` and `set_state`.
    """

    # Fields that an interrupted training needs to go on.
    remembers: tuple[str, ...] = ()
    # Fields that belong to this process, such as open files, and what a pickle or copy has in their place.
    transient: Mapping[str, Any] = {}
    # Whether the hooks of all others come first.
    comes_last = False

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Told how training runs: epochs, steps, verbose."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Told which model is trained."""
        self.model = model

    def get_state(self) -> dict[str, Any]:
        """What this callback remembers; {} if it need not be kept."""
        return {name: getattr(self, name) for name in self.remembers}

    def state_rules(self) -> dict[str, Rule]:
        """Rules for the fields that `remembers` names, which may hold anything by default; see `check_state`."""
        return dict.fromkeys(self.remembers, anything)

    def check_state(self, state: dict[str, Any]) -> None:
        """Raise a ValueError if `set_state` cannot take this; a class with its own `get_state` checks it there."""
        owner = next(cls for cls in type(self).__mro__ if "get_state" in vars(cls))
        if is_builtin(owner):
            rules = self.state_rules()
            if owner is Callback:
                rules = {name: rules.get(name, anything) for name in self.remembers}
            record(rules)(f"state of {type(self).__name__}", state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; called after `on_train_begin`."""
        for name in self.remembers:
            setattr(self, name, state[name])

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle or copy holds; `transient` fields are as new."""
        return {**vars(self), **copy.deepcopy(dict(self.transient))}

    def _before_training(self) -> None:
        """Raise what can be known before `on_train_begin` of any callback has changed something."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `fit`."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `fit`; `logs` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before the first batch of an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After validation; `logs` hold the epoch's losses and metrics, those of validation with `val_` before."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_begin`, which calls it."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_end`, which calls it."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `fit`; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `fit`; `logs` hold the running means of the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `evaluate` or of a validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `evaluate` or of a validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `evaluate` or of a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `evaluate` or of a validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `predict`; `logs["outputs"]` holds what it gave."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class History(Callback):
    """Keeps the logs of every epoch: `history[name]` is a list, `epoch` the epochs' numbers."""

    remembers = ("history", "epoch")

    def state_rules(self) -> dict[str, Rule]:
        return {"history": mapping_of(list_of(anything)), "epoch": list_of(count())}

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class LambdaCallback(Callback):
    """Hooks given as functions: the six of training by position, any other hook of `Callback` by its name.

    Raises:
        TypeError: for a name that is no hook.
    """

    @checked
    def __init__(
        self,
        on_epoch_begin: Annotated[Hook, Function(2, 2)] | None = None,
        on_epoch_end: Annotated[Hook, Function(2, 2)] | None = None,
        on_train_begin: Annotated[Hook, Function(1, 1)] | None = None,
        on_train_end: Annotated[Hook, Function(1, 1)] | None = None,
        on_train_batch_begin: Annotated[Hook, Function(2, 2)] | None = None,
        on_train_batch_end: Annotated[Hook, Function(2, 2)] | None = None,
        **hooks: Hook | None,
    ) -> None:
        super().__init__()
        unknown = {name: hook for name, hook in hooks.items() if name not in HOOKS}
        if unknown:
            raise TypeError(unexpected_arguments("LambdaCallback", unknown, HOOKS))
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for hook, function in given.items():
            if function is not None:
                setattr(self, hook, function)
