"""What tests of several files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pyrnn


@pytest.fixture
def any_thread_count() -> Iterator[None]:
    """The test may set any number of threads; it is what it was afterwards."""
    before = pyrnn.get_num_threads()
    yield
    pyrnn.set_num_threads(before)
