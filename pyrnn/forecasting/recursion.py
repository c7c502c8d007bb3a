"""A recursive network row after row: its forecasts from its own medians, and sample paths drawn by the core.

The scale of a window stays that of its origin. The network has read the lookback once; each further row holds the value
that was forecast, or drawn, for it.

Letters as in `inputs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.heads import Head
from pyrnn.forecasting.history import Layout
from pyrnn.forecasting.inputs import TARGET, Inputs
from pyrnn.forecasting.network import AHEAD, CHAIN, FIXED
from pyrnn.forecasting.paths import signed_seed
from pyrnn.forecasting.usual import LINEAR, SERIES
from pyrnn.models import Model
from pyrnn.streaming import Stream

Array = NDArray[Any]


class Recursion:
    """A network at the origins of B windows.

    Args:
        network: A recursive network.
        inputs: What it reads of the windows.
        layout: What it sees.

    Attributes:
        stream: Its layers, which have read the rows of the lookback but the last one.
        rows: (H, B, F), the rows that are read for each step ahead. Only the first has its target yet.
        offset: (H, B, O), the part of the outputs that does not depend on these rows.
    """

    def __init__(self, network: Model, inputs: Inputs, layout: Layout) -> None:
        past, future = inputs.past, inputs.future
        if any(layer.name == SERIES for layer in network.layers):
            vectors = network.get_layer(SERIES).get_weights()[0][inputs.numbers]  # (B, 1, E)
            past, future = (_next_to(each, vectors) for each in (past, future))
        ahead, linear = (network.get_layer(FIXED).get_layer(name).get_weights()[0] for name in (AHEAD, LINEAR))
        offset = future @ ahead
        offset += (inputs.recent @ linear).reshape(offset.shape)
        self.offset = np.ascontiguousarray(np.swapaxes(offset, 0, 1))
        rows = np.ascontiguousarray(np.swapaxes(past, 0, 1))
        self.stream: Stream = network.get_layer(CHAIN).stream(rows.shape[1])
        before = layout.lookback - 1
        for row in rows[:before]:
            self.stream.step(row)
        self.rows = rows[before:]

    def step(self, number: int) -> Array:
        """Return the raw outputs (B, 1, O) of a step ahead; its row must have its target by then."""
        return np.asarray(self.stream.step(self.rows[number]) + self.offset[number])[:, None]


def recursive_outputs(networks: list[Model], head: Head, inputs: Inputs, layout: Layout, median: int) -> list[Array]:
    """Return the raw outputs (B, H, O) of networks that read the median of their forecasts as the next target.

    Args:
        networks: The members.
        head: What their outputs mean.
        inputs: Windows.
        layout: What the networks see.
        median: The place of the median among the quantiles.
    """
    members = [Recursion(network, inputs, layout) for network in networks]
    outputs: list[list[Array]] = []
    for number in range(layout.horizon):
        outputs.append([member.step(number) for member in members])
        if number + 1 < layout.horizon:
            base = inputs.base[:, number : number + 1]
            medians = np.mean([head.quantiles(raw, base, inputs.scale)[..., median] for raw in outputs[-1]], axis=0)
            for member in members:
                member.rows[number + 1, :, TARGET] = ((medians - inputs.center) / inputs.scale)[:, 0]
    return [np.concatenate(steps, axis=1) for steps in zip(*outputs, strict=True)]


def draw_paths(
    networks: list[Model], head: Head, inputs: Inputs, layout: Layout, paths: int, seeds: list[int]
) -> Array:
    """Return sample paths (B, P, H): path p is drawn from member p modulo their number, in one call of the core each.

    Args:
        networks: The members.
        head: What their outputs mean; it has a `distribution`.
        inputs: Windows.
        layout: What the networks see.
        paths: P.
        seeds: One for each member.

    Raises:
        ValueError: If a layer does not run in the core.
    """
    count, ahead, center, scale = len(inputs.past), layout.horizon, inputs.center, inputs.scale
    # Counts are drawn in their own units, other values as the networks read them.
    origin, unit = (center, scale) if head.counts else (np.zeros((count, 1)), np.ones((count, 1)))
    base, width = head.location_and_unit(inputs.base, scale)
    if not head.counts:
        base, width = (base - center) / scale, width / scale
    values = np.empty((count, paths, ahead))
    for number, network in enumerate(networks[:paths]):
        member = Recursion(network, inputs, layout)
        core = member.stream.core
        if core is None:
            names = ", ".join(type(each).__name__ for each in network.get_layer(CHAIN).layers)
            raise ValueError(
                "model must consist of SimpleRNN, LSTM, GRU, Dense, Activation and LayerNormalization to sample paths, "
                f"got layers {names}"
            )
        floats = [np.ascontiguousarray(each, np.float32) for each in (origin[:, 0], unit[:, 0], base, width)]
        values[:, number :: len(networks)] = core.sample(
            np.ascontiguousarray(np.swapaxes(member.rows, 0, 1)),
            *floats[:2],
            np.ascontiguousarray(np.swapaxes(member.offset, 0, 1)),
            *floats[2:],
            head.distribution,
            len(range(number, paths, len(networks))),
            TARGET,
            signed_seed(seeds[number]),
        )
    return values if head.counts else values * scale[..., None] + center[..., None]


def _next_to(rows: Array, vectors: Array) -> Array:
    """Rows (B, T, F) with the vectors (B, 1, E) of their series."""
    return np.concatenate([rows, np.repeat(vectors, rows.shape[1], axis=1)], axis=-1)
