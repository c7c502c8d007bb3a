"""The list of callbacks that the trainer calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pyrnn import ranks
from pyrnn.arguments import checked
from pyrnn.callbacks.base import HOOKS, Callback, History, Hook, Logs
from pyrnn.callbacks.progress import ProgbarLogger
from pyrnn.rules import Unchecked
from pyrnn.typing import Anything, Flag
from pyrnn.validation import WrongType, shown

__all__ = ["CallbackList"]

CallbacksLike = Annotated[Callback | Sequence[Any] | None, Unchecked(allowed="list dict")]


class CallbackList(Callback):
    """Calls each hook of each callback in order; hooks that no callback overrides cost nothing.

    Callbacks with `comes_last` are called after the others. They all receive the same dict of logs, in alphabetical
    order, so what one adds, the next ones see.

    Args:
        callbacks: A callback or a list of them, which may contain lists.
        add_history: Whether to append a `History` if the list has none.
        add_progbar: Whether to append a `ProgbarLogger` if the list has none.
        model: The model, for `set_model` of each callback.
        **params: For `set_params` of each callback.

    Raises:
        TypeError: For anything that is not a `Callback`.

    Example:
        >>> from pyrnn.callbacks import CallbackList, LambdaCallback
        >>> hooks = CallbackList([LambdaCallback(on_epoch_begin=lambda epoch, logs: print("epoch", epoch))])
        >>> hooks.on_epoch_begin(3)
        epoch 3
    """

    @checked
    def __init__(
        self,
        callbacks: CallbacksLike = None,
        add_history: Flag = False,
        add_progbar: Flag = False,
        model: Anything = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self._hooks: dict[str, list[Hook]] = {}
        self.callbacks = list(_flatten(callbacks))
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                fix = f": write {callback.__name__}(...)" if isinstance(callback, type) else ""
                raise WrongType(f"callbacks must be Callback objects, got {shown(callback)}{fix}")
        if not ranks.is_first():
            self.callbacks = [callback for callback in self.callbacks if not callback.only_writes]
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(callback, kind) for callback in self.callbacks):
                self.callbacks.append(kind())
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    @property
    def history(self) -> History | None:
        """The last `History` of the list."""
        return next((c for c in reversed(self.callbacks) if isinstance(c, History)), None)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end.

        Args:
            callback: The callback.

        Raises:
            TypeError: If it is not a `Callback`.
        """
        if not isinstance(callback, Callback):
            raise WrongType(f"callback must be a Callback, got {shown(callback)}")
        self.callbacks.append(callback)
        self._hooks.clear()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)
        if (history := self.history) is not None:
            model.history = history

    def __enter__(self) -> None:
        """As a context manager it cleans up the terminal when an exception or Ctrl-C ends the loop."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for callback in self.callbacks if kind is not None else ():
            if isinstance(callback, ProgbarLogger):
                callback.leave_line()

    def __call__(self, hook: str, *arguments: Any) -> None:
        """Call `hook` ("on_epoch_end", ...) of every callback."""
        listeners = self._hooks.get(hook)
        if listeners is None:
            in_order = sorted(self.callbacks, key=lambda callback: callback.comes_last)
            listeners = [getattr(c, hook) for c in in_order if _listens(c, hook)]
            self._hooks[hook] = listeners
        if not listeners:
            return
        if arguments and type(arguments[-1]) is dict:
            arguments = (*arguments[:-1], _plain(arguments[-1]))
        for listener in listeners:
            listener(*arguments)


def _forward(hook: str) -> Hook:
    if hook.endswith(("_train_begin", "_train_end", "_test_begin", "_test_end", "_predict_begin", "_predict_end")):

        def of_whole(self: CallbackList, logs: Logs | None = None) -> None:
            self(hook, logs or {})

        return of_whole

    if "_epoch_" in hook:

        def of_epoch(self: CallbackList, epoch: int, logs: Logs | None = None) -> None:
            self(hook, epoch, logs or {})

        return of_epoch

    def of_batch(self: CallbackList, batch: int, logs: Logs | None = None) -> None:
        self(hook, batch, logs or {})

    return of_batch


for _hook in HOOKS:
    _function = _forward(_hook)
    _function.__doc__ = getattr(Callback, _hook).__doc__
    setattr(CallbackList, _hook, _function)


def _flatten(callbacks: Any) -> Iterator[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, list | tuple):
        for callback in callbacks:
            yield from _flatten(callback)
    elif isinstance(callbacks, Callback | str) or not hasattr(callbacks, "__iter__"):
        yield callbacks
    else:
        yield from callbacks


def _listens(callback: Callback, hook: str) -> bool:
    generic = hook.replace("train_batch", "batch")
    return any(
        name in vars(callback) or getattr(type(callback), name) is not getattr(Callback, name)
        for name in {hook, generic}
    )


def _plain(logs: Logs) -> Logs:
    """A copy in alphabetical order, NumPy's numbers as Python's."""
    return {name: float(value) if getattr(value, "ndim", None) == 0 else value for name, value in sorted(logs.items())}
