"""Saving the model while it trains."""

from __future__ import annotations

import os
import string
from typing import Annotated

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Logs
from pyrnn.callbacks.monitor import MonitorCallback
from pyrnn.files.archive import is_bare
from pyrnn.messages import say
from pyrnn.rules import Unchecked
from pyrnn.states import Rule, count, number, optional
from pyrnn.typing import FilePath, Finite, Flag, Text, Verbose
from pyrnn.validation import shown

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
    """Saves the model or its weights after each epoch, or after every `save_freq` batches.

    Args:
        filepath: The file: ".keras", or ".weights.h5" for the weights alone; ".h5" and ".hdf5" for Keras 2's format. It
            may contain fields of the logs and of the epoch, counted from 1: "m-{epoch:02d}-{val_loss:.2f}.keras". Its
            folder is created.
        monitor: The name in the logs that `save_best_only` compares.
        verbose: 1 prints a line for each file.
        save_best_only: Whether to save only when `monitor` has improved, or is missing from the logs.
        save_weights_only: Whether to save the weights instead of the model.
        mode: "min" or "max", or "auto": as the metric or its name says.
        save_freq: "epoch", or a number of batches, at least 1.
        initial_value_threshold: The value that the first file must improve on; None for any.

    Raises:
        ValueError: If `filepath` has another suffix or is not a valid format.
        KeyError: When saving, if `filepath` names a field that is not in the logs.

    Example:
        >>> import os, tempfile
        >>> from pyrnn.callbacks import ModelCheckpoint
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     best = ModelCheckpoint(f"{folder}/best-{{epoch}}.keras", monitor="loss", save_best_only=True)
        ...     history = model.fit(np.ones((4, 2)), np.ones((4, 1)), callbacks=[best], verbose=0)
        ...     os.listdir(folder)
        ['best-1.keras']
    """

    remembers = ("best", "_epoch", "_batches")

    @checked
    def __init__(
        self,
        filepath: FilePath,
        monitor: Text = "val_loss",
        verbose: Verbose = 0,
        save_best_only: Flag = False,
        save_weights_only: Flag = False,
        mode: Text = "auto",
        save_freq: Annotated[str | int, Unchecked(allowed="huge")] = "epoch",
        initial_value_threshold: Finite | None = None,
    ) -> None:
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        endings = (".weights.h5" if save_weights_only else ".keras", ".h5", ".hdf5")
        if not (self.filepath.endswith(endings) or is_bare(self.filepath)):
            raise ValueError(f"filepath must end in {' or '.join(map(repr, endings))}, got {shown(self.filepath)}")
        try:
            list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ValueError(
                f"filepath must be a format such as 'm-{{epoch}}.keras', got {self.filepath!r}: {error}"
            ) from None
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq = save_frequency(save_freq)
        self._epoch = self._batches = 0

    def state_rules(self) -> dict[str, Rule]:
        return {"best": optional(number), "_epoch": count(), "_batches": count()}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(logs, batch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs, None)

    def _save(self, logs: Logs | None, batch: int | None) -> None:
        fields = {"epoch": self._epoch + 1, **(logs or {})} | ({} if batch is None else {"batch": batch + 1})
        try:
            path = self.filepath.format(**fields)
        except KeyError as error:
            raise KeyError(
                f"filepath {self.filepath!r} has the field {error}, which is not in the logs ({', '.join(fields)})"
            ) from None
        except (ValueError, IndexError, AttributeError) as error:
            raise ValueError(f"filepath {self.filepath!r} cannot be filled in from the logs: {error}") from None
        if not self._wanted(logs, path):
            return
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self._say(f"finished saving model to {path}")

    def _wanted(self, logs: Logs | None, path: str) -> bool:
        if not self.save_best_only:
            self._say(f"saving model to {path}")
            return True
        value = self.value(logs, "The model is saved without a comparison.")
        if value is None:
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self.improved(value, self.best):
            self._say(f"{self.monitor} did not improve from {best}")
            return False
        self._say(f"{self.monitor} improved from {best} to {value:.5f}, saving model to {path}")
        self.best = value
        return True

    def _say(self, what: str) -> None:
        if self.verbose > 0:
            say(f"\nEpoch {self._epoch + 1}: {what}")


def save_frequency(value: str | int) -> str | int:
    """Check `save_freq`: "epoch" or a number of batches."""
    if not (isinstance(value, str) and value == "epoch") and (
        isinstance(value, bool) or not isinstance(value, int) or value < 1
    ):
        raise ValueError(f"save_freq must be 'epoch' or a positive number of batches, got {shown(value)}")
    return value
