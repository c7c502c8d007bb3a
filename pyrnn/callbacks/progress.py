"""The progress bar of fit, evaluate and predict, in Keras's form."""

from __future__ import annotations

import sys
import time
from typing import Any

from pyrnn import config
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.messages import say

__all__ = ["ProgbarLogger"]

WIDTH = 20
# Seconds between two redraws, so that drawing costs next to nothing.
INTERVAL = 0.05


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _per_step(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


class ProgbarLogger(Callback):
    """Prints progress as a bar or in lines.

    With verbose 1 a bar is redrawn on a terminal, and a line is printed per epoch elsewhere; with 2 always a line.
    `fit`, `evaluate` and `predict` add it unless `verbose` is 0.

    Example:
        >>> from pyrnn.callbacks import ProgbarLogger
        >>> bar = ProgbarLogger()
        >>> bar.set_params({"epochs": 2, "steps": 10, "verbose": 1})
        >>> bar.on_epoch_begin(0)
        Epoch 1/2
    """

    def __init__(self) -> None:
        super().__init__()
        self.verbose, self._live = 1, False
        self._start = self._drawn = 0.0
        self._seen = 0
        self._in_training = False
        self._line_open = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        if self.verbose == 1 and not config.is_interactive_logging_enabled():
            self.verbose = 2
        self._live = self.verbose == 1 and sys.stdout.isatty()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._in_training = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.verbose:
            say(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._in_training:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._in_training:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._in_training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._advance(batch, {})

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._finish({})

    def _begin(self) -> None:
        self._start, self._seen, self._drawn = time.perf_counter(), 0, 0.0

    def _advance(self, batch: int, logs: Logs | None) -> None:
        self._seen = batch + 1
        if not self._live:
            return
        now = time.perf_counter()
        if now - self._drawn < INTERVAL:
            return
        self._drawn = now
        steps = self.params.get("steps")
        spent = now - self._start
        eta = _duration(spent / self._seen * (steps - self._seen)) if steps else _duration(spent)
        print(f"\r\x1b[K{self._bar(steps)} {eta} {self._rate(spent)}{self._numbers(logs)}", end="", flush=True)
        self._line_open = True

    def leave_line(self) -> None:
        """End the line of an unfinished bar, so that what is printed next begins on a new line."""
        if self._line_open:
            print(flush=True)
        self._line_open = False

    def _finish(self, logs: Logs | None) -> None:
        if not self.verbose:
            return
        spent = time.perf_counter() - self._start
        start = "\r\x1b[K" if self._live else ""
        self._line_open = False
        steps = self.params.get("steps") or self._seen
        if self.verbose == 2:
            say(f"{self._seen}/{steps} - {_duration(spent)} - {self._rate(spent)}{self._numbers(logs)}")
        else:
            print(f"{start}{self._bar(steps)} {_duration(spent)} {self._rate(spent)}{self._numbers(logs)}", flush=True)

    def _rate(self, spent: float) -> str:
        return _per_step(spent / max(1, self._seen))

    def _bar(self, steps: int | None) -> str:
        if not steps:
            return f"{self._seen}/Unknown"
        filled = round(WIDTH * min(1.0, self._seen / steps))
        return f"{self._seen:>{len(str(steps))}}/{steps} " + "━" * filled + "╺" * (WIDTH - filled)

    @staticmethod
    def _numbers(logs: Logs | None) -> str:
        parts = []
        for name, value in (logs or {}).items():
            small = value != 0 and abs(value) < 1e-3
            parts.append(f" - {name}: {value:.4e}" if small else f" - {name}: {value:.4f}")
        return "".join(parts)
