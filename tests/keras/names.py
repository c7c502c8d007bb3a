"""What the tests of Keras's names share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


def explained(call: Callable[[], Any], error: type[Exception], label: str) -> bool:
    """Whether the call raises the error with a reason, and what to use instead."""
    try:
        call()
    except error as caught:
        return re.fullmatch(rf"{label} has no \w+: .+; .+", str(caught)) is not None
    return False
