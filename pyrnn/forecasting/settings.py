"""Rules of a forecaster's arguments and targets that a type cannot state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.heads import Head
from pyrnn.forecasting.network import CELLS
from pyrnn.forecasting.panel import Panel
from pyrnn.validation import WrongType, did_you_mean, shown

Array = NDArray[Any]


def check_model(model: Any) -> None:
    """Check the argument `model`.

    Args:
        model: Its value.

    Raises:
        ValueError: If it is neither a name nor a function.
    """
    if callable(model) or (isinstance(model, str) and model in CELLS):
        return
    hint = did_you_mean(model, list(CELLS)) if isinstance(model, str) else ""
    raise ValueError(
        f"model must be 'gru', 'lstm', 'rnn' or a function of two symbolic inputs, got {shown(model)}"
        + (f"; {hint}" if hint else "")
    )


def levels_of(quantiles: Any) -> tuple[float, ...]:
    """Return quantiles as numbers.

    Args:
        quantiles: Levels between 0 and 1 in increasing order, with 0.5 among them.

    Raises:
        ValueError: If they are anything else.
    """
    try:
        levels = tuple(float(level) for level in quantiles)
    except (TypeError, ValueError):
        levels = ()
    if 0.5 not in levels or any(not 0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ValueError(
            "quantiles must be numbers between 0 and 1 in increasing order with 0.5, the median, among them, got "
            f"{shown(quantiles)}"
        )
    return levels


def check_targets(panel: Panel, values: Array, head: Head) -> None:
    """Check what a forecaster is trained on.

    Args:
        panel: The panel.
        values: (R,) targets, NaN where unknown.
        head: The head, which may need counts.

    Raises:
        ValueError: If there are several targets, or none is known.
        TypeError: If the head needs counts and a target is none.
    """
    if panel.target.shape[1] != 1:
        raise ValueError(
            f"target must name one column, got {', '.join(map(repr, panel.names['target']))}: pass wide=True to "
            "forecast each as a series of its own"
        )
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError("target must have known values, got none")
    if head.counts and ((finite < 0) | (finite != np.rint(finite))).any():
        wrong = finite[(finite < 0) | (finite != np.rint(finite))][0]
        raise WrongType(f"target must hold counts (0, 1, 2, ...) for head {head.name!r}, got {wrong:g}")
