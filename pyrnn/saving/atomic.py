"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile


def make_folder(path: str) -> None:
    """Make a folder where there is none, so that it outlives a power cut."""
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)
        _flush_folder(os.path.dirname(os.path.abspath(path)))


def replace_file(path: str, content: bytes) -> None:
    """Write `content` to a temporary name in the same folder, flush it to the disk, rename it to `path`.

    The folder is flushed too, so that the new name outlives a power cut.

    Raises:
        OSError: if it cannot be written; what was at `path` is still there then.
    """
    try:
        _replace(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path!r} ({reason}): what was there before is unchanged") from error


def _replace(path: str, content: bytes) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _flush_folder(folder: str) -> None:
    if os.name == "nt":  # no folder can be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
