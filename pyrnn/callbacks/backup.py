"""Going on with a training that was interrupted."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.checkpoint import save_frequency
from pyrnn.validation import shown

WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"
PREVIOUS, NEW = ".bkp", ".new"


class BackupAndRestore(Callback):
    """Keeps weights, optimizer and the number of epochs done in `backup_dir`; the next `fit` goes on from there.

    Saved after each epoch, or after every `save_freq` batches (the epoch begun is then trained again from its start,
    with the weights of the interruption). Both files are written under other names, flushed, and renamed only when
    they are whole. With `double_checkpoint` the backup before stays as well, for when the last one is damaged. Files
    and names are Keras's.

    Args:
        backup_dir: a folder for this training alone; made if missing.
        delete_checkpoint: remove the backup when training ends.

    Raises:
        ValueError: if the model is not built when `fit` begins, or the backup is damaged and there is none before it.
    """

    @checked()
    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("backup_dir must name a folder, got ''")
        self.save_freq = save_frequency(save_freq)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._weights, self._metadata = (os.path.join(self.backup_dir, name) for name in (WEIGHTS, METADATA))
        self._epoch = self._last_batch = self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._epoch = self._last_batch = self._batches = 0
        if not self.model.built:
            raise ValueError("BackupAndRestore needs a built model: give it an input shape or call it on data first")
        try:
            self._restore("")
        except (OSError, ValueError):
            if not os.path.exists(self._weights + PREVIOUS):
                raise
            self._restore(PREVIOUS)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._last_batch = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._last_batch = batch
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        for name in os.listdir(self.backup_dir):
            if WEIGHTS in name or METADATA in name:  # also what a broken write left
                os.unlink(os.path.join(self.backup_dir, name))
        if not os.listdir(self.backup_dir):  # a user's other files stay
            os.rmdir(self.backup_dir)

    def _restore(self, suffix: str) -> None:
        from pyrnn.saving.weights_file import read_weights

        weights, metadata = self._weights + suffix, self._metadata + suffix
        if not os.path.exists(weights):
            if os.path.exists(self._weights + PREVIOUS) and not suffix:
                raise FileNotFoundError(f"{weights!r} is missing beside the backup before it")
            return
        epoch: Any = 0
        if os.path.exists(metadata):
            with open(metadata, encoding="utf-8") as text:
                described = json.load(text)
            epoch = described.get("epoch") if isinstance(described, dict) else None
            if not isinstance(epoch, int) or epoch < 0:
                raise ValueError(
                    f"{metadata!r} is damaged: it must hold the number of epochs done, got {shown(described)}"
                )
        with open(weights, "rb") as file:
            read_weights(self.model, file.read(), repr(weights), with_optimizer=True)
        self.model._initial_epoch = self._epoch = epoch

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        new_weights = os.path.join(self.backup_dir, f"new.{WEIGHTS}")
        self.model.save_weights(new_weights)
        with open(self._metadata + NEW, "w", encoding="utf-8") as text:
            json.dump({"epoch": self._epoch, "batch": self._last_batch}, text)
            text.flush()
            os.fsync(text.fileno())
        if self.double_checkpoint:
            for path in (self._weights, self._metadata):
                if os.path.exists(path):
                    shutil.copyfile(path, path + PREVIOUS + NEW)
                    os.replace(path + PREVIOUS + NEW, path + PREVIOUS)
        os.replace(new_weights, self._weights)
        os.replace(self._metadata + NEW, self._metadata)
