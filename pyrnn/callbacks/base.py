"""The hooks of training, and the callbacks that consist of nothing but hooks."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pyrnn.arguments import checked
from pyrnn.explaining import CallbackNames
from pyrnn.function_rules import Function
from pyrnn.overriding import is_builtin
from pyrnn.states import Rule, anything, count, list_of, mapping_of, record
from pyrnn.validation import WrongType, unexpected_arguments

__all__ = ["Callback", "History", "LambdaCallback"]

Logs = dict[str, Any]
Hook = Callable[..., Any]


class Callback(CallbackNames):
    """Base class of all callbacks; `model` and `params` are set before training. Hooks and their order are Keras's.

    `BackupAndRestore` saves what a callback remembers from one hook to the next if its class lists the fields in
    `remembers` (numbers, texts, None, arrays, lists and dicts of them), or defines `get_state` and `set_state`.

    Example:
        >>> from pyrnn.callbacks import Callback
        >>> class StopAt(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         if logs["loss"] < 1e3:
        ...             self.model.stop_training = True
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=5, callbacks=[StopAt()], verbose=0)
        >>> len(history.history["loss"])
        1
    """

    # Fields that an interrupted training needs to resume.
    remembers: tuple[str, ...] = ()
    # Fields that belong to this process, such as open files, with the value that a pickle or copy gets instead.
    transient: Mapping[str, Any] = {}
    # Whether its hooks run after those of all other callbacks.
    comes_last = False
    # Whether it does nothing but write or send: of several processes that train together, the first one runs it.
    only_writes = False

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Receive how training runs.

        Args:
            params: "epochs", "steps" and "verbose".
        """
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receive the model that is trained.

        Args:
            model: The model.
        """
        self.model = model

    def get_state(self) -> dict[str, Any]:
        """Return what this callback remembers.

        Returns:
            Plain values and arrays by name; {} if nothing has to be saved.
        """
        return {name: getattr(self, name) for name in self.remembers}

    def state_rules(self) -> dict[str, Rule]:
        """Return the rules for the fields listed in `remembers`; by default they may hold anything.

        Returns:
            A rule of `pyrnn.states` for each field.
        """
        return dict.fromkeys(self.remembers, anything)

    def check_state(self, state: dict[str, Any]) -> None:
        """Check a state before `set_state`; a class with its own `get_state` checks it there.

        Args:
            state: What `get_state` returned in the interrupted training, read from a file.

        Raises:
            ValueError: If `set_state` cannot take it.
        """
        owner = next(cls for cls in type(self).__mro__ if "get_state" in vars(cls))
        if is_builtin(owner):
            rules = self.state_rules()
            if owner is Callback:
                rules = {name: rules.get(name, anything) for name in self.remembers}
            record(rules)(f"state of {type(self).__name__}", state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; called after `on_train_begin`.

        Args:
            state: The state.
        """
        for name in self.remembers:
            setattr(self, name, state[name])

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle or copy holds; `transient` fields are as in a new object."""
        return {**vars(self), **copy.deepcopy(dict(self.transient))}

    def _before_training(self) -> None:
        """Raise foreseeable errors before any callback's `on_train_begin` changes something."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first batch of `fit`.

        Args:
            logs: {}.
        """

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last batch of `fit`.

        Args:
            logs: Those of the last epoch.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before the first batch of an epoch.

        Args:
            epoch: Its number, from 0.
            logs: {}.
        """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation.

        Args:
            epoch: Its number, from 0.
            logs: The loss and metrics of the epoch, with the prefix `val_` those of the validation.
        """

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called by `on_train_batch_begin`, as its older name.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: {}.
        """

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called by `on_train_batch_end`, as its older name.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: The running means of the epoch.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `fit`.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: {}.
        """
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `fit`.

        Args:
            batch: The number of the batch in its epoch, from 0.
            logs: The running means of the epoch.
        """
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before the first batch of `evaluate` or of a validation.

        Args:
            logs: {}.
        """

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after the last batch of `evaluate` or of a validation.

        Args:
            logs: The loss and metrics.
        """

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `evaluate` or of a validation.

        Args:
            batch: The number of the batch, from 0.
            logs: {}.
        """

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `evaluate` or of a validation.

        Args:
            batch: The number of the batch, from 0.
            logs: The running means.
        """

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before the first batch of `predict`.

        Args:
            logs: {}.
        """

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after the last batch of `predict`.

        Args:
            logs: {}.
        """

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of `predict`.

        Args:
            batch: The number of the batch, from 0.
            logs: {}.
        """

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of `predict`.

        Args:
            batch: The number of the batch, from 0.
            logs: "outputs" holds the predictions of the batch.
        """


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class History(Callback):
    """Collects the logs of every epoch.

    `fit` returns it. `history[name]` is a list with one value per epoch; `epoch` holds their numbers.

    Example:
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0)
        >>> history.epoch, len(history.history["loss"])
        ([0, 1, 2], 3)
    """

    __slots__ = ("_model",)  # outside of the fields, which `KeptHistory` shares

    remembers = ("history", "epoch")

    def state_rules(self) -> dict[str, Rule]:
        return {"history": mapping_of(list_of(anything)), "epoch": list_of(count())}

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    @property
    def model(self) -> Any:
        """The model that was trained."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "model": self._model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class KeptHistory:
    """A `History` as its model holds it: the fields without the reference to the model.

    A model and a history that hold each other would wait for the garbage collector, with all their arrays. A program
    that trains many models would hold dozens of them.
    """

    def __init__(self, history: History, model: Any) -> None:
        """Keep a history.

        Args:
            history: The history, perhaps one whose fields a pickle has not filled in yet.
            model: Its model.
        """
        self._class, self._fields = type(history), vars(history)
        self._history, self._model = weakref.ref(history), weakref.ref(model)

    def get(self) -> History:
        """Return the history, made again from its fields if nobody else holds it."""
        history = self._history()
        if history is None:
            history = self._class.__new__(self._class)
            history.__dict__ = self._fields
            history.model = self._model()
            self._history = weakref.ref(history)
        return history

    def __reduce__(self) -> Any:
        return KeptHistory, (self.get(), self._model())


class LambdaCallback(Callback):
    """Runs functions as hooks.

    Args:
        on_epoch_begin: Called with (epoch, logs).
        on_epoch_end: Called with (epoch, logs).
        on_train_begin: Called with (logs).
        on_train_end: Called with (logs).
        on_train_batch_begin: Called with (batch, logs).
        on_train_batch_end: Called with (batch, logs).
        **hooks: Any other hook of `Callback` by its name; other names become attributes.

    Raises:
        TypeError: For a name that begins with "on_" and is not a hook.

    Example:
        >>> from pyrnn.callbacks import LambdaCallback
        >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs)))
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), callbacks=[callback], verbose=0)
        0 ['loss']
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
        **hooks: Any,
    ) -> None:
        super().__init__()
        unknown = {name: hook for name, hook in hooks.items() if name.startswith("on_") and name not in HOOKS}
        if unknown:
            raise WrongType(unexpected_arguments("LambdaCallback", unknown, HOOKS))
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for hook, function in functions.items():
            if function is not None:
                setattr(self, hook, function)
