"""Permissions of the files that pyrnn writes: those of new files, or of the file that is replaced."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, layers, models, utils

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")

X, Y = np.ones((4, 3, 2), np.float32), np.ones((4, 1), np.float32)


def trained(*extra: callbacks.Callback, epochs: int = 2) -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=2, epochs=epochs, verbose=0, callbacks=list(extra))
    return model


def back_up(folder: Path) -> None:
    epochs = 4 if (folder / "b").exists() else 2
    backup = callbacks.BackupAndRestore(folder / "b", save_freq=1, double_checkpoint=True, delete_checkpoint=False)
    trained(backup, epochs=epochs)


def draw(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    utils.plot_model(trained(), folder / "model.png")


def write_events(folder: Path) -> None:
    pytest.importorskip("tensorboard")
    trained(callbacks.TensorBoard(folder / "logs"))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "keras": lambda folder: trained().save(folder / "m.keras"),
    "random streams": lambda folder: trained().save(folder / "m.keras", include_rng=True),
    "legacy": lambda folder: trained().save(folder / "m.h5"),
    "function": lambda folder: models.save_model(trained(), folder / "m.keras"),
    "weights": lambda folder: trained().save_weights(folder / "m.weights.h5"),
    "weights in several files": lambda folder: trained().save_weights(folder / "m.weights.json", max_shard_size=1),
    "legacy weights": lambda folder: trained().save_weights(folder / "m.hdf5"),
    "checkpoint": lambda folder: trained(callbacks.ModelCheckpoint(folder / "new" / "{epoch}.keras")),
    "checkpoint of weights": lambda folder: trained(
        callbacks.ModelCheckpoint(folder / "m.weights.h5", save_weights_only=True)
    ),
    "backup": back_up,
    "csv": lambda folder: trained(callbacks.CSVLogger(folder / "log.csv")),
    "tensorboard": write_events,
    "plot": draw,
}


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077], ids=oct)
@pytest.mark.parametrize("writer", WRITERS)
def test_new_files_respect_the_umask(writer: str, mask: int, tmp_path: Path) -> None:
    with umask(mask):
        WRITERS[writer](tmp_path)
    written = modes(tmp_path)
    assert any((tmp_path / name).is_file() for name in written)
    for name, mode in written.items():
        assert mode == (0o777 if (tmp_path / name).is_dir() else 0o666) & ~mask, (name, oct(mode))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o666], ids=oct)
@pytest.mark.parametrize("writer", WRITERS)
def test_replaced_files_keep_their_mode(writer: str, mode: int, tmp_path: Path) -> None:
    WRITERS[writer](tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: path.stat() for path in files}
    for path in files:
        path.chmod(mode)
    with umask(0o022):
        WRITERS[writer](tmp_path)
    rewritten = [path for path in files if path.stat().st_mtime_ns != before[path].st_mtime_ns]
    assert rewritten or writer == "tensorboard"  # which writes a new file at each run
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_a_backup_before_is_as_private_as_the_backup(tmp_path: Path) -> None:
    folder = tmp_path / "b"

    class Protect(callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            for path in folder.glob("*"):
                path.chmod(0o600)

    backup = callbacks.BackupAndRestore(folder, save_freq=1, double_checkpoint=True, delete_checkpoint=False)
    with umask(0o022):
        trained(backup, Protect())
    assert set(modes(folder)) == {f"{name}{end}" for name in ("latest.weights.h5", "training_metadata.json")
                                  for end in ("", ".bkp")}  # fmt: skip
    assert set(modes(folder).values()) == {0o600}


def test_the_umask_of_a_process_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread would create its files without one in the meantime."""

    def fail(mask: int) -> int:
        raise AssertionError("os.umask was called")

    monkeypatch.setattr(os, "umask", fail)
    trained().save(tmp_path / "m.keras")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    file, link = tmp_path / "run" / "m.keras", tmp_path / "latest.keras"
    link.symlink_to(Path("run") / "m.keras")
    for _ in range(2):  # a link to nothing, then to a file
        trained().save(link)
        assert link.is_symlink() and file.is_file() and not file.is_symlink()
        assert pyrnn.load_model(link).predict(X, verbose=0).shape == (4, 1)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["latest.keras", "m.keras", "run"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_group_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    trained().save(path)
    os.chown(path, 1234, 5678)
    path.chmod(0o660)
    trained().save(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o660)


@contextlib.contextmanager
def plain_user() -> Iterator[Path]:
    """A folder of a user who is not root."""
    with tempfile.TemporaryDirectory() as folder:
        if root := os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_a_protected_file_is_not_replaced() -> None:
    with plain_user() as folder:
        path = folder / "m.keras"
        model = trained()
        model.save(path)
        path.chmod(0o444)
        content = path.read_bytes()
        with pytest.raises(OSError, match=r"cannot write '.*m\.keras' \(Permission denied\): what was there"):
            model.save(path)
        assert path.read_bytes() == content and [each.name for each in folder.iterdir()] == ["m.keras"]
        path.chmod(0o644)
        model.save(path)
