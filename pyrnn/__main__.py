"""``python -m pyrnn`` is the command ``pyrnn``."""

from __future__ import annotations

import sys

from pyrnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
