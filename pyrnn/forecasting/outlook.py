"""From networks to quantiles: one pass for a direct forecast, one step after the other for a recursive one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting import conformal
from pyrnn.forecasting.heads import Head
from pyrnn.forecasting.history import Layout
from pyrnn.forecasting.inputs import Inputs
from pyrnn.forecasting.network import read
from pyrnn.forecasting.recursion import recursive_outputs
from pyrnn.models import Model

Array = NDArray[Any]


@dataclass
class Outlook:
    """What an ensemble forecasts for B windows.

    Args:
        quantiles: (B, H, K) in units of the target, the mean of those of the members.
        mean: (B, H).
        scale: (B, 1), the scale of each window.
    """

    quantiles: Array
    mean: Array
    scale: Array

    def calibrated(self, factors: Array, levels: tuple[float, ...], least: float) -> Outlook:
        """Return the outlook with conformal factors (H, K), and nothing below a least value."""
        quantiles = conformal.apply(self.quantiles, self.scale, factors, levels)
        return Outlook(np.maximum(quantiles, least), np.maximum(self.mean, least), self.scale)


def look_ahead(networks: list[Model], head: Head, inputs: Inputs, layout: Layout) -> Outlook:
    """Return what an ensemble forecasts.

    Args:
        networks: The members.
        head: What their outputs mean.
        inputs: What they read of B windows.
        layout: The rows that the networks see.
    """
    if layout.recursive:
        raws = recursive_outputs(networks, head, inputs, layout, head.levels.index(conformal.MEDIAN))
    else:
        raws = [read(network, inputs) for network in networks]
    if len(raws) == 1:
        return Outlook(*head.quantiles_and_mean(raws[0], inputs.base, inputs.scale), inputs.scale)
    quantiles, mean = head.quantiles_and_mean(np.stack(raws), inputs.base, inputs.scale)
    return Outlook(quantiles.mean(axis=0), mean.mean(axis=0), inputs.scale)
