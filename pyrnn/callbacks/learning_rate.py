"""Changing the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.monitor import MonitorCallback
from pyrnn.function_rules import Function
from pyrnn.messages import say
from pyrnn.states import Rule, count, number, optional
from pyrnn.typing import Index, NonNegative, Text, Verbose
from pyrnn.validation import WrongType, shown

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to `schedule(epoch, learning_rate)` or `schedule(epoch)`.

    The logs of each epoch get `learning_rate`.

    Args:
        schedule: A function of the epoch, from 0, and the present learning rate, which returns a float.
        verbose: 1 prints a line per epoch.

    Raises:
        TypeError: If schedule is not a function or, before an epoch, if it does not return a float.

    Example:
        >>> from pyrnn.callbacks import LearningRateScheduler
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile(pyrnn.optimizers.SGD(0.5), "mse")
        >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, callbacks=[halve], verbose=0)
        >>> history.history["learning_rate"]
        [0.25, 0.125, 0.0625]
    """

    @checked
    def __init__(self, schedule: Annotated[Callable[..., Any], Function(1, 2)], verbose: Verbose = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise WrongType(f"schedule must be a function of epoch and learning rate, got {shown(schedule)}")
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate of the epoch.

        Raises:
            TypeError: If the schedule does not return a float.
        """
        optimizer = self.model.optimizer
        now = float(optimizer.learning_rate)
        rate = self.schedule(epoch, now) if _takes_two(self.schedule) else self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise WrongType(f"schedule must return a float, got {shown(rate)}")
        optimizer.learning_rate = rate
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):  # a function written in C may lack one
        return True
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return False
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs without an improvement.

    The logs of each epoch get `learning_rate`.

    Args:
        monitor: The name in the logs to watch.
        factor: Less than 1.
        patience: Epochs without an improvement before a reduction.
        verbose: 1 prints a line per reduction.
        mode: "min" or "max", or "auto": as the metric or its name says.
        min_delta: The least change that counts as an improvement.
        cooldown: Epochs after a reduction that do not count.
        min_lr: The lowest learning rate.

    Raises:
        ValueError: If factor is 1 or more.

    Example:
        >>> from pyrnn.callbacks import ReduceLROnPlateau
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile(pyrnn.optimizers.SGD(0.5), "mse")
        >>> reduce = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e6)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, callbacks=[reduce], verbose=0)
        >>> history.history["learning_rate"]
        [0.5, 0.5, 0.25]
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
        """Return whether epochs do not count at present, because the rate was just reduced.

        Returns:
            True during a cooldown.
        """
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        if old <= np.float32(self.min_lr):  # the learning rate is a float32
            return False
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True
