"""The entries of a `.keras` file, a zip, read with an eye on what they claim to hold."""

from __future__ import annotations

import zipfile

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Larger entries are refused before anything is unpacked.
LARGEST = {CONFIG: 1 << 26, WEIGHTS: 1 << 34}


def read_entries(path: str, *names: str) -> list[bytes]:
    """The entries of these names.

    Raises:
        ValueError: if the file is damaged, lacks one, or one is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_entry(archive, name) for name in names]
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path!r} is damaged or no .keras file: {error}") from None


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > LARGEST[name]:
        raise ValueError(f"{name} claims {size} bytes, more than the {LARGEST[name]} allowed")
    return archive.read(name)
