"""The entries of a `.keras` file, a zip, read within limits on what they claim to hold.

`zipfile` and `lzma` are imported when they are used: they take as long to import as a third of pyrnn.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from pyrnn.arguments import translators
from pyrnn.validation import MissingFile

if TYPE_CHECKING:
    import zipfile

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Larger entries are rejected before anything is unpacked, and so are those that would grow more than weights ever do.
LARGEST_OTHER = 1 << 30
LARGEST = {CONFIG: 1 << 26, WEIGHTS: 1 << 34}
MOST_GROWTH, SMALL = 100, 1 << 20
# A config with an array, which is text of numbers, grows no more than this; that much of a file is always unpacked.
USUAL_GROWTH = 4
_DAMAGE = (
    zlib.error, struct.error, KeyError, ValueError, EOFError, OSError, RuntimeError, OverflowError, IndexError,
)  # fmt: skip


def opened_file(path: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: If it cannot be opened; a ValueError too if it is not there.
    """
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise MissingFile(error.errno, error.strerror, path) from None


def require_format(filepath: str, save_format: str | None, endings: dict[str, tuple[str, ...]]) -> None:
    """Check the argument of older scripts, which must agree with the suffix of the file.

    Raises:
        ValueError: If it is another format, or one that is not written.
    """
    if save_format is None:
        return
    if save_format not in endings:
        reason = "TensorFlow's SavedModel is not written" if save_format == "tf" else f"got {save_format!r}"
        raise ValueError(f"save_format must be {' or '.join(map(repr, endings))}, {reason}")
    if not filepath.endswith(endings[save_format]):
        ending = endings[save_format][0]
        raise ValueError(
            f"filepath must end in {ending!r} for save_format={save_format!r}, got {filepath!r}: "
            f"remove save_format, which the suffix implies, or write {os.path.splitext(filepath)[0] + ending!r}"
        )


def is_bare(path: str) -> bool:
    """Return whether a script for Keras 2, which runs through the shim, writes a path for TensorFlow's formats."""
    return bool(translators) and not path.endswith((".keras", ".h5", ".hdf5"))


Source = str | io.BytesIO


def shown_source(path: Source) -> str:
    """Return what messages call a file: its path, or that it is an open file."""
    return repr(path) if isinstance(path, str) else "the open file"


def _opened(path: Source) -> BinaryIO:
    return opened_file(path) if isinstance(path, str) else io.BytesIO(path.getvalue())


def read_entries(path: Source, *names: str) -> list[bytes]:
    """Read entries by name; nothing is written to the disk, whatever names the others have.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is damaged, lacks an entry, or one is too large.
    """
    import lzma
    import zipfile

    if isinstance(path, str) and os.path.isdir(path):
        return [_file(path, name) for name in names]
    with _opened(path) as file:
        try:
            size = file.seek(0, io.SEEK_END)
            with zipfile.ZipFile(file) as archive:
                return [_entry(archive, name, size) for name in names]
        except (zipfile.BadZipFile, lzma.LZMAError, *_DAMAGE) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{shown_source(path)} is damaged or not a .keras file: {reason}") from None


def read_below(path: Source, folder: str) -> dict[str, bytes]:
    """Read all files below a folder of the zip.

    Returns:
        Their contents by name. Names that lead out of the folder are left out.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is damaged, or an entry is too large.
    """
    import zipfile

    if isinstance(path, str) and os.path.isdir(path):
        files = (os.path.join(root, name) for root, _, names in os.walk(os.path.join(path, folder)) for name in names)
        inside = sorted(os.path.relpath(each, path).replace(os.sep, "/") for each in files)
        return {name: _file(path, name) for name in inside}
    with _opened(path) as file, zipfile.ZipFile(file) as archive:
        names = [each for each in archive.namelist() if each.startswith(f"{folder}/") and _stays_inside(each)]
    return dict(zip(names, read_entries(path, *names), strict=True)) if names else {}


def _file(folder: str, name: str) -> bytes:
    """Read a file of a model that was saved as a folder."""
    path = os.path.join(folder, *name.split("/"))
    if not os.path.isfile(path):
        raise ValueError(f"{folder!r} is not a saved model: it holds no {name}")
    size, most = os.path.getsize(path), LARGEST.get(name, LARGEST_OTHER)
    if size > most:
        raise ValueError(f"{path!r} has {size} bytes, more than the {most} allowed")
    with opened_file(path) as file:
        return file.read()


def _stays_inside(name: str) -> bool:
    """Whether the parts of an entry's name are plain names of folders and of a file, on every system."""
    parts = name.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts)


def packed(entries: Mapping[str, str | bytes]) -> bytes:
    """Return a zip with these entries."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _entry(archive: zipfile.ZipFile, name: str, file_size: int) -> bytes:
    info = archive.getinfo(name)
    most = min(LARGEST.get(name, LARGEST_OTHER), max(SMALL, MOST_GROWTH * info.compress_size))
    most = max(most, USUAL_GROWTH * min(info.compress_size, file_size))
    if info.file_size > most:
        raise ValueError(f"{name} claims {info.file_size} bytes, more than the {most} allowed")
    if info.compress_size > file_size:
        raise ValueError(f"{name} claims {info.compress_size} bytes of a file of {file_size}")
    return archive.read(name)
