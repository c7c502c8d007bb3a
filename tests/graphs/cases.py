"""The table of graph architectures, which tests/models and tests/keras run."""

from __future__ import annotations

from graphs import attention, branches, nested, outputs, sequences  # noqa: F401  # they enter their architectures
from graphs.architecture import CASES, Architecture, Graph

__all__ = ["CASES", "Architecture", "Graph"]
