"""Writing a file completely or not at all. Of several processes that train together, the first one writes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from typing import BinaryIO

from pyrnn import ranks


def make_folder(path: str) -> None:
    """Create a missing folder so that it survives a power failure."""
    if ranks.is_first() and not os.path.isdir(path):
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
    _replace({path: content}, permissions_of)


def replace_files(contents: Mapping[str, bytes]) -> None:
    """Write files of one folder as `replace_file` does, and rename them in order once all of them are on the disk.

    Args:
        contents: All of each file, by its path. The last one makes the others valid.

    Raises:
        OSError: If one cannot be written; what was at the paths is still there then.
    """
    _replace(contents)


def replace_folder(path: str, contents: Mapping[str, bytes], marker: str) -> None:
    """Write files under a temporary folder next to `path`, flush them, and rename the folder to `path`.

    Args:
        path: The folder to write.
        contents: All of its files, by their paths in it.
        marker: A file that a folder of this kind holds; one without it is not replaced.

    Raises:
        OSError: If it cannot be written, or `path` is a file or another folder; what was there is unchanged then.
    """
    if not ranks.is_first():
        return
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


def refuse_existing(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise an error if a file is there that is not to be replaced."""
    if not overwrite and ranks.is_first() and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)!r} exists and overwrite is False")


def _replace(contents: Mapping[str, bytes], permissions_of: str | None = None) -> None:
    if not ranks.is_first():
        return
    written: list[tuple[str, str]] = []
    path = ""
    try:
        for path, content in contents.items():
            target = os.path.realpath(path)
            temporary = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.{os.urandom(4).hex()}")
            _require_replaceable(target)
            with _created(temporary) as file:
                written.append((temporary, target))
                file.write(content)
                file.flush()
                _copy_permissions(os.path.realpath(permissions_of or path), temporary)
                os.fsync(file.fileno())
        for temporary, target in written:
            os.replace(temporary, target)
        for folder in {os.path.dirname(target) for _, target in written}:
            _flush_folder(folder)
    except BaseException as error:
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path!r} ({reason}): what was there before is unchanged") from error


def _require_replaceable(path: str) -> None:
    """Fail if a file is write-protected or a folder; renaming would not, or only after others are renamed."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if os.path.isfile(path):
        with open(path, "r+b"):
            pass


def _created(path: str) -> BinaryIO:
    """Open a new file for writing.

    Not by `tempfile`: its files are 0600, and only the kernel knows the umask without changing it for other threads.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    return os.fdopen(handle, "wb")


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
