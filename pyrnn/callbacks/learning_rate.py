"""Changing the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.monitor import MonitorCallback
from pyrnn.rules import Function
from pyrnn.states import Rule, count, number, optional
from pyrnn.typing import Index, NonNegative, Text, Verbose
from pyrnn.validation import shown


class LearningRateScheduler(Callback):
    """Before each epoch sets the learning rate to `schedule(epoch, learning_rate)`, or to the older `schedule(epoch)`.

    The logs of each epoch get `learning_rate`.

    Raises:
        TypeError: if the schedule's answer is no float.
    """

    @checked
    def __init__(self, schedule: Annotated[Callable[..., Any], Function(1, 2)], verbose: Verbose = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of epoch and learning rate, got {shown(schedule)}")
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        now = float(optimizer.learning_rate)
        rate = self.schedule(epoch, now) if _takes_two(self.schedule) else self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise TypeError(f"schedule must return a float, got {shown(rate)}")
        optimizer.learning_rate = rate
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):  # functions written in C need not have one
        return True
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return False
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor`, down to `min_lr`, after `patience` epochs without an improvement.

    An improvement is a change of `monitor` by more than `min_delta`; after a reduction `cooldown` epochs do not count.
    The logs of each epoch get `learning_rate`.

    Raises:
        ValueError: if factor is 1 or more.
    """

    remembers = ("best", "wait", "cooldown_counter")

    @checked
    def __init__(
        self,
        monitor: Text = "val_loss",
        factor: NonNegative = 0.1,
        patience: Index = 10,
        verbose: Verbose = 0,
        mode: Text = "auto",
        min_delta: NonNegative = 1e-4,
        cooldown: Index = 0,
        min_lr: NonNegative = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise ValueError(f"factor must be less than 1, got {factor}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.cooldown_counter = self.wait = 0

    def state_rules(self) -> dict[str, Rule]:
        return {"best": optional(number), "wait": count(), "cooldown_counter": count()}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.forget_best()
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.value(logs, "The learning rate is not changed.")
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def in_cooldown(self) -> bool:
        """Whether epochs do not count now."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        if old <= np.float32(self.min_lr):  # the learning rate is a float32
            return False
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True
