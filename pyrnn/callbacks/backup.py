"""Going on with a training that was interrupted."""

from __future__ import annotations

import json
import os
from typing import Any

from pyrnn import resume
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.checkpoint import save_frequency
from pyrnn.validation import not_built, shown

WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"
PREVIOUS = ".bkp"


class BackupAndRestore(Callback):
    """Keeps the whole state of a training in `backup_dir`; the next `fit` goes on there and ends with the same bits.

    Saved after each epoch, or after every `save_freq` batches, when all other callbacks had their turn: weights,
    optimizer, position in the epoch, order of the samples, running loss and metrics, every random stream, states of
    stateful layers, and what the other callbacks remember (see `Callback.remembers`). All of it is in one file, which
    is written under another name, flushed, and renamed. Files and names are Keras's, which reads the weights.

    `fit` must get the same data again: arrays and a `PyDataset` begin where they were left; a generator is advanced, so
    it must be a new one that yields the same batches. With `double_checkpoint` the backup before stays as well, for
    when the last one is damaged. A backup that Keras made begins the epoch it was made in anew.

    Args:
        backup_dir: a folder for this training alone; made if missing.
        delete_checkpoint: remove the backup when training ends.

    Raises:
        ValueError: if the model is not built when `fit` begins, the backup is damaged and there is none before it, or
            it was made with other data or another model.
        OSError: if a backup cannot be written; the model and the backup before stay as they are.
    """

    remembers = ("_batches",)
    comes_last = True

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
        self._batches = 0
        self._within_epoch: tuple[bytes, str] | None = None  # a backup to be restored once more

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._batches, self._within_epoch = 0, None
        if not self.model.built:
            raise ValueError(not_built("BackupAndRestore can use it"))
        if self.model._run is None:
            raise ValueError(
                "BackupAndRestore works in fit; in a loop of your own use model.save(path, include_rng=True)"
            )
        self._remove(lambda name: name.startswith((f".{WEIGHTS}", f".{METADATA}")))  # what a kill left half written
        try:
            self._restore("")
        except (OSError, ValueError):
            if not os.path.exists(self._weights + PREVIOUS):
                raise
            self._restore(PREVIOUS)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The epoch's beginning was lived through twice now; what it changed is undone."""
        from pyrnn.saving.state import read_state
        from pyrnn.saving.weights_file import read_weights

        if self._within_epoch is not None:
            (content, source), self._within_epoch = self._within_epoch, None
            read_weights(self.model, content, source, with_optimizer=True)
            kept = read_state(content, source)  # read anew, for training writes to the arrays
            assert kept is not None
            self._set_rest(kept)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        self._remove(lambda name: WEIGHTS in name or METADATA in name)
        if not os.listdir(self.backup_dir):  # a user's other files stay
            os.rmdir(self.backup_dir)

    def _remove(self, wanted: Any) -> None:
        if os.path.isdir(self.backup_dir):
            for name in filter(wanted, os.listdir(self.backup_dir)):
                os.unlink(os.path.join(self.backup_dir, name))

    def _restore(self, suffix: str) -> None:
        from pyrnn.saving.state import read_state
        from pyrnn.saving.weights_file import read_weights

        path = self._weights + suffix
        if not os.path.exists(path):
            if os.path.exists(self._weights + PREVIOUS) and not suffix:
                raise FileNotFoundError(f"{path!r} is missing, the backup before it is there: {path + PREVIOUS!r}")
            return
        with open(path, "rb") as file:
            content = file.read()
        run = self.model._run
        kept = read_state(content, repr(path))
        if kept is None:
            epoch = self._epoch_of_keras(self._metadata + suffix)
            read_weights(self.model, content, repr(path), with_optimizer=True)
            run.epoch = epoch or run.epoch
            return
        run.check(kept["run"])
        read_weights(self.model, content, repr(path), with_optimizer=True)
        run.set_position(kept["run"])
        self._set_rest(kept)
        if run.batch:
            self._within_epoch = content, repr(path)

    def _set_rest(self, kept: dict[str, Any]) -> None:
        """What the walk through the data may have changed too: streams come last."""
        self.model._run.set_rest(kept["run"])
        self.model.stop_training = self.model._run.stopped
        resume.set_random_state(self.model, kept["random"])

    @staticmethod
    def _epoch_of_keras(metadata: str) -> int:
        if not os.path.exists(metadata):
            return 0
        with open(metadata, encoding="utf-8") as text:
            described = json.load(text)
        epoch = described.get("epoch") if isinstance(described, dict) else None
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"{metadata!r} is damaged: it must hold the number of epochs done, got {shown(described)}")
        return epoch

    def _save(self) -> None:
        from pyrnn.saving.atomic import make_folder, replace_file
        from pyrnn.saving.weights_file import weights_bytes

        run = self.model._run
        state = {"run": run.get_state(self.model.stop_training), "random": resume.random_state(self.model)}
        metadata = {"epoch": run.epoch, "batch": max(0, run.batch - 1)}
        make_folder(self.backup_dir)
        if self.double_checkpoint:
            for path in (self._weights, self._metadata):
                if os.path.exists(path):
                    with open(path, "rb") as file:
                        replace_file(path + PREVIOUS, file.read(), permissions_of=path)
        replace_file(self._weights, weights_bytes(self.model, with_optimizer=True, state=state))
        replace_file(self._metadata, json.dumps(metadata).encode())
