"""The FastAPI service of the examples; without FastAPI (extra `serving`) no test of this folder runs."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("fastapi") is None or find_spec("httpx") is None:
    collect_ignore_glob = ["test_*.py"]
