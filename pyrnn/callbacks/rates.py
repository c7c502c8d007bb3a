"""Learning rates that change from epoch to epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.monitor import MonitorCallback


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch to schedule(epoch, rate), or schedule(epoch); it comes into the logs."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        takes = len(inspect.signature(self.schedule).parameters)
        new = self.schedule(epoch, rate) if takes > 1 else self.schedule(epoch)
        if isinstance(new, bool) or not isinstance(new, int | float | np.number | np.ndarray):
            raise TypeError(f"schedule must return a number, got {new!r}")
        self.model.optimizer.learning_rate = new
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(new)}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs in which `monitor` did not improve.

    Nothing is counted for `cooldown` epochs after that; the rate never falls below `min_lr`.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if "epsilon" in kwargs:  # Keras 1's name
            min_delta = kwargs.pop("epsilon")
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau got an unexpected argument {next(iter(kwargs))!r}")
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise ValueError(f"factor must be below 1, got {factor}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.cooldown_counter = 0
        self.forget_best()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            rate = float(self.model.optimizer.learning_rate)
            if self.wait >= self.patience and rate > float(np.float32(self.min_lr)):
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                if self.verbose:
                    new = float(self.model.optimizer.learning_rate)
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
                self.cooldown_counter, self.wait = self.cooldown, 0
