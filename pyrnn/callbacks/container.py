"""The list of callbacks through which the trainer speaks to all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrnn.arguments import checked
from pyrnn.callbacks.base import HOOKS, Callback, History, Hook, Logs
from pyrnn.callbacks.progress import ProgbarLogger
from pyrnn.typing import Flag
from pyrnn.validation import shown


class CallbackList(Callback):
    """Calls each hook of each callback in order; hooks that nobody overrides cost nothing.

    Those with `comes_last` are called after the others. Callbacks see the logs in alphabetical order, as one dict that
    they share: what one adds, the next ones find.

    Args:
        callbacks: a callback or a list of them, which may hold lists.
        add_history, add_progbar: append a `History` and a `ProgbarLogger` where the list has none.
        model, params: told to each callback.

    Raises:
        TypeError: for anything that is no `Callback`.
    """

    @checked
    def __init__(
        self,
        callbacks: Any = None,
        add_history: Flag = False,
        add_progbar: Flag = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self._hooks: dict[str, list[Hook]] = {}
        self.callbacks = list(_flatten(callbacks))
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                fix = f": write {callback.__name__}(...)" if isinstance(callback, type) else ""
                raise TypeError(f"callbacks must be Callback objects, got {shown(callback)}{fix}")
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
        """Add a callback at the end."""
        if not isinstance(callback, Callback):
            raise TypeError(f"callback must be a Callback, got {shown(callback)}")
        self.callbacks.append(callback)
        self._hooks.clear()

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        if (history := self.history) is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def __enter__(self) -> None:
        """With `with`, a loop that an exception or Ctrl-C ends leaves a clean terminal."""

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

    def of_part(self: CallbackList, number: int, logs: Logs | None = None) -> None:
        self(hook, number, logs or {})

    return of_part


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
