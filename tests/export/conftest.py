"""Every test of an export starts from the same seed."""

from __future__ import annotations

import pytest

import pyrnn


@pytest.fixture(autouse=True)
def seed() -> None:
    pyrnn.utils.set_random_seed(0)
