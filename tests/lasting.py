"""How long a computation must be for a signal to meet it, whatever the machine and the build of the core."""

from __future__ import annotations

import time
from collections.abc import Callable

SIGNAL_AT = 0.03  # seconds
SAMPLE = 100


def steps_that_last(compute: Callable[[int], object], most: int) -> int:
    """Return for how many steps compute(steps) takes five times as long as until the signal, at most `most`.

    The core looks for signals every 50 ms. Under a sanitizer a tenth of the steps is enough.
    """
    times = []
    for _ in range(4):  # the first packs the weights
        begin = time.perf_counter()
        compute(SAMPLE)
        times.append(time.perf_counter() - begin)
    return min(most, int(5 * SIGNAL_AT / min(times) * SAMPLE))
