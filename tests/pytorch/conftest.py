"""Real PyTorch and pyrnn in one process; without PyTorch (extra `keras`) no test of this folder runs."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
