"""Changes that a signal must not interrupt: its handler runs after them."""

from __future__ import annotations

import _signal
import signal
import threading
from collections.abc import Iterable
from typing import Any

# The functions that `signal` wraps; its own turn every number into an enum, which takes five times as long.
_handler_of, _set_handler = _signal.getsignal, _signal.signal
# Signals that ask a process to stop or report; each may have a handler in Python that raises.
_NUMBERS = tuple(
    int(getattr(signal, name))
    for name in (
        "SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2",
        "SIGXCPU", "SIGTSTP",
    )
    if hasattr(signal, name)
)  # fmt: skip


# The default, to ignore the signal, and a handler that was not set from Python.
_NOT_CALLED = (_signal.SIG_DFL, _signal.SIG_IGN, None)

# The outermost `deferred` of the main thread, while its block runs.
_active: list[deferred] = []


class deferred:
    """A `with` block during which signal handlers wait. They run at its end, in the order of the signals.

    Only the main thread runs handlers, so in other threads the block changes nothing. The core, which checks for
    signals during long loops, does not stop within the block. Blocks may be nested.

    Example:
        >>> import signal
        >>> from pyrnn import signals
        >>> before = signal.signal(signal.SIGUSR1, lambda number, frame: print("handled"))
        >>> with signals.deferred():
        ...     signal.raise_signal(signal.SIGUSR1)
        ...     print("complete")
        complete
        handled
        >>> _ = signal.signal(signal.SIGUSR1, before)
    """

    __slots__ = ("_arrived", "_handlers")

    def __enter__(self) -> None:
        self._arrived: list[tuple[int, Any]] = []
        self._handlers: list[tuple[int, Any]] = []
        if _active:
            return
        handlers = [(number, handler) for number in _NUMBERS if (handler := _handler_of(number)) not in _NOT_CALLED]
        try:
            for number, _ in handlers:
                _set_handler(number, self._arrive)
        except BaseException as error:
            # Outside of the main thread Python raises this, before it changes anything; a handler may raise it too.
            if isinstance(error, ValueError) and threading.get_ident() != threading.main_thread().ident:
                return
            _restore(iter(handlers))
            raise
        self._handlers = handlers
        if handlers:
            _active.append(self)

    def __exit__(self, *_: object) -> None:
        if self._handlers:
            _active.clear()
            try:
                _restore(iter(self._handlers))
            finally:
                if self._arrived:
                    _handle(iter(self._arrived))

    def _arrive(self, number: int, frame: Any) -> None:
        self._arrived.append((number, frame))


def _restore(handlers: Iterable[tuple[int, Any]]) -> None:
    """Restore all handlers, even if one of them runs and raises in between."""
    for number, handler in handlers:
        try:
            _set_handler(number, handler)
        except BaseException:
            _set_handler(number, handler)
            _restore(handlers)
            raise


def _handle(arrived: Iterable[tuple[int, Any]]) -> None:
    """Run the handlers of these signals, even if one of them raises.

    Raising the signals again instead would report them twice to the wakeup descriptor of an event loop.
    """
    for number, frame in arrived:
        try:
            handler = _handler_of(number)
            if callable(handler):
                handler(number, frame)
            else:  # an earlier handler has restored the default
                signal.raise_signal(number)
        except BaseException:
            _handle(arrived)
            raise
