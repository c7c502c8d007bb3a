"""How long a fuzz target runs: PYRNN_FUZZ_SECONDS each if set, otherwise a fraction of a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("PYRNN_FUZZ_SECONDS", "0"))
SHORT_EXAMPLES, LONG_EXAMPLES = 40, 200
_CHECKS = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]


def fuzz(target: Callable[[Any], None]) -> Callable[[], None]:
    """Return a test that calls `target(draw)` with many draws, which differ only if PYRNN_FUZZ_SECONDS is set.

    `draw` is hypothesis's `data().draw`: `draw(strategy, label)`.
    """

    def once(number: int, examples: int) -> None:
        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=_CHECKS,
            phases=[Phase.generate, Phase.shrink],
        )
        @given(st.data())
        def run(data: Any) -> None:
            target(data.draw)

        run()

    def test() -> None:
        once(0, SHORT_EXAMPLES)
        end, number = time.monotonic() + SECONDS, time.time_ns() % 2**32
        while time.monotonic() < end:
            number += 1
            once(number, LONG_EXAMPLES if end - time.monotonic() > SECONDS / 2 else SHORT_EXAMPLES)

    test.__name__, test.__doc__ = target.__name__, target.__doc__
    return test
