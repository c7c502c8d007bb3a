"""Resuming an interrupted training."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Annotated, Any, NamedTuple

from pyrnn import ranks, resume
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.callbacks.checkpoint import save_frequency
from pyrnn.files.atomic import make_folder, replace_file
from pyrnn.files.hdf5 import restored
from pyrnn.files.state import read_state
from pyrnn.files.weights_file import matched_weights, read_weights, weights_bytes
from pyrnn.messages import say
from pyrnn.rules import Unchecked
from pyrnn.states import Rule, anything, count, record
from pyrnn.typing import FilePath, Flag
from pyrnn.validation import not_built, shown

__all__ = ["BackupAndRestore"]

WEIGHTS, METADATA = "latest.weights.h5", "training_metadata.json"
PREVIOUS = ".bkp"


class _Backup(NamedTuple):
    """A backup that was read and checked; in one that Keras made `state` is None and `epoch` says where to begin."""

    content: bytes
    source: str
    state: dict[str, Any] | None
    epoch: int


class BackupAndRestore(Callback):
    """Saves the whole state of a training in `backup_dir`; the next `fit` resumes there and ends with the same bits.

    It saves after each epoch, or after every `save_freq` batches, when all other callbacks have run: weights,
    optimizer, position in the epoch, order of the samples, running loss and metrics, all random streams, states of
    stateful layers, and what the other callbacks remember (see `Callback.remembers`). Everything is in one file, which
    is written under another name, flushed, and renamed. Files and names are Keras's, and Keras can read the weights.

    `fit` must be called with the same data again. Arrays and a `PyDataset` continue where they were; a generator is
    advanced, so it must be a new one that yields the same batches. With `double_checkpoint` the previous backup is
    kept, in case the last one is damaged. A backup that Keras made resumes at the beginning of its epoch.

    Args:
        backup_dir: A folder for this training alone; created if missing.
        save_freq: "epoch", or a number of batches, at least 1.
        double_checkpoint: Whether to keep the previous backup too.
        delete_checkpoint: Whether to remove the backup when training ends.

    Raises:
        ValueError: If the model is not built when `fit` begins, if the backup is damaged and there is no previous one,
            or if it was made with other data or another model.
        OSError: If a backup cannot be written; the model and the previous backup are unchanged.

    Example:
        >>> import tempfile
        >>> from pyrnn.callbacks import BackupAndRestore
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     backup = BackupAndRestore(f"{folder}/backup", save_freq=10)
        ...     history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, callbacks=[backup], verbose=0)
    """

    remembers = ("_batches",)

    comes_last = True

    @checked
    def __init__(
        self,
        backup_dir: FilePath,
        save_freq: Annotated[str | int, Unchecked(allowed="huge")] = "epoch",
        double_checkpoint: Flag = False,
        delete_checkpoint: Flag = True,
    ) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("backup_dir must name a folder, got ''")
        self.save_freq = save_frequency(save_freq)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._weights, self._metadata = (os.path.join(self.backup_dir, name) for name in (WEIGHTS, METADATA))
        self._batches = 0
        self._backup: _Backup | None = None  # to be restored when training begins
        self._within_epoch: _Backup | None = None  # to be restored once more

    def state_rules(self) -> dict[str, Rule]:
        return {"_batches": count()}

    def _before_training(self) -> None:
        """Read and check the backup.

        This comes before another callback starts its log anew, which a damaged backup must not destroy.
        """
        self._backup, self._batches, self._within_epoch = None, 0, None
        if not self.model.built:
            raise ValueError(not_built("BackupAndRestore can use it"))
        if self.model._run is None:
            raise ValueError("BackupAndRestore works in fit; in a custom loop use model.save(path, include_rng=True)")
        try:
            self._backup = self._checked("")
        except (OSError, ValueError):
            if not _exists(self._weights + PREVIOUS):
                raise
            self._backup = self._checked(PREVIOUS)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self._backup is None:
            self._before_training()
        self._remove(lambda name: name.startswith((f".{WEIGHTS}", f".{METADATA}")))  # files unfinished at a kill
        backup, self._backup = self._backup, None
        if backup is None:
            return
        run = self.model._run
        self._restore(backup)
        if run.batch:
            self._within_epoch = backup
        if self.params.get("verbose"):
            batch = f", batch {run.batch}" if run.batch else ""
            say(f"Resumed at epoch {run.epoch + 1}{batch}, from {self.backup_dir!r}")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Restore the state once more if training resumed within this epoch, whose beginning others saw again."""
        if self._within_epoch is not None:
            (content, source, _, _), self._within_epoch = self._within_epoch, None
            read_weights(self.model, content, source, with_optimizer=True)
            state = read_state(content, source)  # read again, because training writes to the arrays
            assert state is not None
            self._set_rest(state)

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
        if not (self.delete_checkpoint and ranks.is_first() and os.path.isdir(self.backup_dir)):
            return
        self._remove(lambda name: WEIGHTS in name or METADATA in name)
        if not os.listdir(self.backup_dir):  # a user's other files stay
            os.rmdir(self.backup_dir)

    def _remove(self, wanted: Any) -> None:
        if ranks.is_first() and os.path.isdir(self.backup_dir):
            for name in filter(wanted, os.listdir(self.backup_dir)):
                os.unlink(os.path.join(self.backup_dir, name))

    def _checked(self, suffix: str) -> _Backup | None:
        """The backup, if there is one, after checking that all of it fits this training; nothing has changed.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is damaged, or of another model or other data.
        """
        path = self._weights + suffix
        source = repr(path)
        content = _content(path)
        if content is None:
            if _exists(self._weights + PREVIOUS) and not suffix:
                raise FileNotFoundError(f"{path!r} is missing, but the previous backup exists: {path + PREVIOUS!r}")
            return None
        try:
            state = read_state(content, source)
            epoch = self._epoch_of_keras(self._metadata + suffix) if state is None else 0
            with restored(self.model.optimizer):
                if state is not None:
                    record({"run": anything, "random": anything})("its state", state)
                    self.model._run.check(state["run"])
                    resume.check_random_state(self.model, state["random"])
                matched_weights(self.model, content, source, with_optimizer=True)
        except ValueError as error:
            raise ValueError(self._refusal(source, error)) from None
        return _Backup(content, source, state, epoch)

    def _refusal(self, source: str, error: Exception) -> str:
        reason = " ".join((str(error) if isinstance(error, ValueError) else repr(error)).split())
        reason = reason if source in reason else f"{source} does not fit this training: {reason}"
        return f"{reason}; to start over, delete the folder {self.backup_dir!r}"

    def _restore(self, backup: _Backup) -> None:
        """Continue from a backup; if the data or a custom callback fail on it, everything else is as it was.

        Raises:
            ValueError: If they fail.
        """
        model, run = self.model, self.model._run
        before = {"run": run.get_state(model.stop_training), "random": resume.random_state(model)}
        weights, optimizer = model.get_weights(), model.optimizer
        slots, fields = [value.copy() for _, value in optimizer.named_variables()], dict(vars(optimizer))
        try:
            read_weights(model, backup.content, backup.source, with_optimizer=True)
            if backup.state is None:
                run.epoch = backup.epoch or run.epoch
                return
            run.set_position(backup.state["run"])
            self._set_rest(backup.state)
        except Exception as error:
            model.set_weights(weights)
            vars(optimizer).clear()
            vars(optimizer).update(fields)  # also of an optimizer that was not built
            optimizer.set_variables(slots)
            with contextlib.suppress(Exception):  # the user's code may fail again
                run.set_position(before["run"])
                self._set_rest(before)
            resume.set_random_state(model, before["random"])
            raise ValueError(self._refusal(backup.source, error)) from error

    def _set_rest(self, saved: dict[str, Any]) -> None:
        """Restore what reading the data may have changed too; random streams come last."""
        self.model._run.set_rest(saved["run"])
        self.model.stop_training = self.model._run.stopped
        resume.set_random_state(self.model, saved["random"])

    @staticmethod
    def _epoch_of_keras(metadata: str) -> int:
        content = _content(metadata)
        if content is None:
            return 0
        try:
            epoch: int = json.loads(content)["epoch"]
            count()("epoch", epoch)
        except (ValueError, TypeError, KeyError, RecursionError):
            reason = f"it must hold the number of finished epochs, got {shown(content)}"
            raise ValueError(f"{metadata!r} is damaged: {reason}") from None
        return epoch

    def _save(self) -> None:
        if not ranks.is_first():
            return
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


def _exists(path: str) -> bool:
    """Return whether the first process finds a file."""
    return ranks.of_first(lambda: os.path.exists(path))


def _content(path: str) -> bytes | None:
    """Return what the first process reads in a file; None if there is none."""

    def read() -> bytes | None:
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    return ranks.of_first(read)
