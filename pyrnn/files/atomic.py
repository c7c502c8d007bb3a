"""Writing a file completely or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping


def make_folder(path: str) -> None:
    """Create a missing folder so that it survives a power failure."""
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)
        _flush_folder(os.path.dirname(os.path.abspath(path)))


def replace_file(path: str, content: bytes, permissions_of: str | None = None) -> None:
    """Write `content` under a temporary name in the same folder, flush it to the disk, rename it to `path`.

    The folder is flushed too, so that the new name survives a power failure. As with `open(path, "wb")`, a new file has
    the permissions that the umask allows, a replaced file keeps its permissions and its group, a link is followed, and
    a write-protected file is not replaced.

    Args:
        path: The file to write.
        content: All of it.
        permissions_of: A file whose permissions the new one gets, for copies; `path` by default.

    Raises:
        OSError: If it cannot be written; what was at `path` is still there then.
    """
    try:
        _replace(os.path.realpath(path), content, os.path.realpath(permissions_of or path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path!r} ({reason}): what was there before is unchanged") from error


def replace_folder(path: str, contents: Mapping[str, bytes], marker: str) -> None:
    """Write files under a temporary folder next to `path`, flush them, and rename the folder to `path`.

    Args:
        path: The folder to write.
        contents: All of its files, by their paths in it.
        marker: A file that a folder of this kind holds; one without it is not replaced.

    Raises:
        OSError: If it cannot be written, or `path` is a file or another folder; what was there is unchanged then.
    """
    import shutil  # which takes long to import

    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(os.path.join(path, marker)):
        raise FileExistsError(f"{path!r} must be a new folder or one that holds {marker}: it is not replaced")
    parent, name = os.path.split(path)
    temporary = os.path.join(parent, f".{name}.{os.urandom(4).hex()}")
    try:
        for inside, content in contents.items():
            target = os.path.join(temporary, *inside.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            replace_file(target, content)
        if os.path.exists(path):
            os.rename(path, f"{temporary}.old")
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(f"{temporary}.old") and not os.path.exists(path):
            os.rename(f"{temporary}.old", path)
        raise
    finally:
        for rest in (temporary, f"{temporary}.old"):
            shutil.rmtree(rest, ignore_errors=True)
    _flush_folder(parent)


def _replace(path: str, content: bytes, model: str) -> None:
    if os.path.isfile(path):
        with open(path, "r+b"):  # fails if the file is write-protected; renaming onto it would not
            pass
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    # Not by `tempfile`: its files are 0600, and only the kernel knows the umask without changing it for other threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            _copy_permissions(model, temporary)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _copy_permissions(source: str, target: str) -> None:
    """Give `target` the group (if this user may) and the mode of `source`, if that exists."""
    try:
        status = os.stat(source)
    except FileNotFoundError:
        return
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(target, status.st_uid if os.geteuid() == 0 else -1, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_IMODE(os.stat(target).st_mode) != mode:  # some file systems have one mode for all files
        os.chmod(target, mode)


def _flush_folder(folder: str) -> None:
    if os.name == "nt":  # no folder can be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
