"""Training that goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import shutil

from pyrnn.callbacks.base import Callback, Logs

WEIGHTS, POSITION = "latest.weights.h5", "training_metadata.json"


class BackupAndRestore(Callback):
    """Keeps weights, optimizer state and the epoch in `backup_dir`; `fit` started again goes on from there.

    Saved after every epoch, or after every `save_freq` batches (a number); the files are written beside and renamed,
    so that the last good ones survive. `double_checkpoint` keeps the ones before them too; `delete_checkpoint` removes
    all when training has come to its end. An epoch that was interrupted is begun anew.
    """

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
            raise ValueError("backup_dir must name a folder, got an empty name")
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"save_freq must be 'epoch' or a positive number of batches, got {save_freq!r}")
        self.save_freq: str | int = save_freq
        self.double_checkpoint, self.delete_checkpoint = bool(double_checkpoint), bool(delete_checkpoint)
        self._epoch = self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        position = os.path.join(self.backup_dir, POSITION)
        if not os.path.exists(position):
            self._batches = 0
            return
        with open(position, encoding="utf-8") as file:
            found = json.load(file)
        from pyrnn.saving import load_training_state

        load_training_state(self.model, os.path.join(self.backup_dir, found["weights"]))
        self.model.resume_at(int(found["epoch"]))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1)

    def _save(self, epoch: int) -> None:
        """`epoch` is the one to begin with."""
        from pyrnn.saving.atomic import replace_file

        os.makedirs(self.backup_dir, exist_ok=True)
        # Another name each time: position and weights change together, by the one rename of the position.
        weights = os.path.join(self.backup_dir, f"{epoch}-{self._batches}.{WEIGHTS}")
        self.model.save_weights(weights)
        position = os.path.join(self.backup_dir, POSITION)
        before = None
        if os.path.exists(position):
            with open(position, encoding="utf-8") as file:
                before = json.load(file)["weights"]
        content = {"epoch": epoch, "batch": self._batches, "weights": os.path.basename(weights)}
        replace_file(position, json.dumps(content).encode())
        kept = {os.path.basename(weights), before if self.double_checkpoint else None}
        for name in os.listdir(self.backup_dir):
            if name.endswith(WEIGHTS) and name not in kept:
                os.remove(os.path.join(self.backup_dir, name))

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint and os.path.isdir(self.backup_dir):
            shutil.rmtree(self.backup_dir)
