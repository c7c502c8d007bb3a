"""Real Keras and pyrnn in one process; without Keras (extra `keras`) no test of this folder runs.

Its PyTorch backend needs no compilation, so a case takes hundredths of a second.
"""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
# This folder has the name of the package it waits for, so that only a real one has a file to load.
_spec = find_spec("keras")
if _spec is None or _spec.origin is None:
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras  # noqa: F401  # first import outside of the tests' rule that warnings are errors


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings that come out of Keras and its backend are not ours."""
    for item in items:
        if "/keras/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
