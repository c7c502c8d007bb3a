"""Functions with a gradient of their own, for arrays and for arrays that autograd traces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@functools.cache
def function(
    name: str, forward: Callable[[Array], Array], backward: Callable[[Array, Array, Array], Array]
) -> Callable[[Any], Any]:
    """Return a function of one array that autograd can differentiate.

    Args:
        name: its name.
        forward: the function of x.
        backward: function of (x, y, dy) that returns dx.

    Returns:
        The function; it imports autograd when it gets a traced array.
    """
    traced: list[Any] = []

    def run(x: Any) -> Any:
        if isinstance(x, np.ndarray | np.generic):
            return forward(np.asarray(x))
        if not traced:
            from autograd.extend import defvjp, primitive

            traceable = primitive(forward)
            defvjp(traceable, lambda y, x: lambda dy: backward(x, y, dy))
            traced.append(traceable)
        return traced[0](x)

    run.__name__ = name
    return run
