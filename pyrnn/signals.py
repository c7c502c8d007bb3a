"""Changes that a signal must not cut in two: its handler runs after them."""

from __future__ import annotations

import _signal
import signal
import threading
from collections.abc import Iterable
from typing import Any

# The functions behind those of `signal`, which turn every number into an enum and take five times as long.
_handler_of, _set_handler = _signal.getsignal, _signal.signal
# Signals that a process is asked to stop, time out or report by; each may have a handler in Python that raises.
_NUMBERS = tuple(
    int(getattr(signal, name))
    for name in (
        "SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2",
        "SIGXCPU", "SIGTSTP",
    )
    if hasattr(signal, name)
)  # fmt: skip


# The outermost `deferred` of the main thread, while it lasts.
_active: list[deferred] = []


class deferred:
    """Within it the handlers of signals wait; they run at its end, in the order in which the signals arrived.

    Only the main thread runs handlers, so elsewhere it does nothing. The core, which looks for signals during long
    loops, then runs to its end. May be nested.

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
        if _active or threading.get_ident() != threading.main_thread().ident:
            return
        handlers = [(number, handler) for number in _NUMBERS if callable(handler := _handler_of(number))]
        try:
            for number, _ in handlers:
                _set_handler(number, self._arrive)
        except BaseException:
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
    """Put all handlers back, also if one of them raises meanwhile."""
    for number, handler in handlers:
        try:
            _set_handler(number, handler)
        except BaseException:
            _set_handler(number, handler)
            _restore(handlers)
            raise


def _handle(arrived: Iterable[tuple[int, Any]]) -> None:
    """Run the handlers of these signals, also if one of them raises.

    They are called instead of raising the signals again, which an event loop's wakeup descriptor would report twice.
    """
    for number, frame in arrived:
        try:
            handler = _handler_of(number)
            if callable(handler):
                handler(number, frame)
            else:  # one that ran before has put the default back
                signal.raise_signal(number)
        except BaseException:
            _handle(arrived)
            raise
