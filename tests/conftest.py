"""Fixtures of several files."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import pyrnn


@pytest.fixture
def any_thread_count() -> Iterator[None]:
    """Restore the number of threads after the test."""
    before = pyrnn.get_num_threads()
    yield
    pyrnn.set_num_threads(before)


@pytest.fixture(scope="session")
def uncounted() -> dict[str, str]:
    """The environment for a child that coverage.py does not measure: a killed one would write half a file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
