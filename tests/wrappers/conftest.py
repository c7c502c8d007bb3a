"""The same first weights and the same order of batches in each run of a test."""

from __future__ import annotations

import pytest

import pyrnn


@pytest.fixture(autouse=True)
def seed() -> None:
    pyrnn.utils.set_random_seed(0)
