"""Stopping when a number no longer improves, or is not finite."""

from __future__ import annotations

import math
from typing import Any

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.monitor import MonitorCallback
from pyrnn.messages import say
from pyrnn.states import Rule, array, count, number, optional, tuple_of
from pyrnn.typing import Finite, Flag, Index, NonNegative, Text, Verbose

__all__ = ["EarlyStopping", "TerminateOnNaN"]


class EarlyStopping(MonitorCallback):
    """Stops after `patience` epochs in which `monitor` did not improve by more than `min_delta`.

    Args:
        monitor: The name in the logs to watch.
        min_delta: The least change that counts as an improvement.
        patience: Epochs without an improvement before training stops.
        verbose: 1 prints when it stops.
        mode: "min" or "max", or "auto": as the metric or its name says.
        baseline: A value that must be beaten for patience to start again; None for none.
        restore_best_weights: Whether the model ends with the weights of its best epoch.
        start_from_epoch: Epochs before this number do not count.

    Raises:
        ValueError: For another mode or, in training, if "auto" cannot tell the direction.

    Example:
        >>> from pyrnn.callbacks import EarlyStopping
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> stop = EarlyStopping("loss", min_delta=1e6, patience=2)
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=10, callbacks=[stop], verbose=0)
        >>> len(history.epoch)
        3
    """

    remembers = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")

    @checked
    def __init__(
        self,
        monitor: Text = "val_loss",
        min_delta: NonNegative = 0,
        patience: Index = 0,
        verbose: Verbose = 0,
        mode: Text = "auto",
        baseline: Finite | None = None,
        restore_best_weights: Flag = False,
        start_from_epoch: Index = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def state_rules(self) -> dict[str, Rule]:
        weights = tuple_of(*(array(weight.shape) for weight in self.model.weights))
        counts = dict.fromkeys(("wait", "stopped_epoch", "best_epoch"), count())
        return {"best": optional(number), **counts, "best_weights": optional(weights)}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights = None
        self.forget_best()

    def get_monitor_value(self, logs: Logs | None) -> float | None:
        """Return the number to watch; a subclass may compute it from several.

        Args:
            logs: The logs of an epoch.

        Returns:
            The number, or None if it is missing.
        """
        return self.value(logs, "This epoch is not counted.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.improved(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improved(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Stops training at the first batch whose running loss is NaN or infinite.

    Args:
        raise_error: Whether to raise an error instead.

    Raises:
        RuntimeError: At such a batch, if `raise_error`; `on_train_end` of callbacks is not called then.

    Example:
        >>> from pyrnn.callbacks import TerminateOnNaN
        >>> TerminateOnNaN(raise_error=True).on_batch_end(5, {"loss": float("nan")})
        Traceback (most recent call last):
        RuntimeError: the loss is nan at batch 5: training ends here
    """

    @checked
    def __init__(self, raise_error: Flag = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Check the loss.

        Raises:
            RuntimeError: If the loss is not finite and `raise_error` is set.
        """
        loss = None if logs is None else logs.get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} at batch {batch}: training ends here")
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
