"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile


def replace_file(path: str, content: bytes) -> None:
    """Write `content` to a temporary name in the same folder, flush it to the disk, rename it to `path`."""
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
        os.unlink(temporary)
        raise
