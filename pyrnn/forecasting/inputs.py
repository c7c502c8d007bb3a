"""What a network reads: scaled windows, earlier values at the same place of the season, and the base that it corrects.

A direct network reads the lookback and the rows to forecast. A recursive one reads row after row, beyond the lookback
too: each with its target and with what is known in advance of the next one, whose target it forecasts.

Letters as in `history`; F and G features of each row that is read and of each step ahead, T rows: L of a direct
network, L + H - 1 of a recursive one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.history import LEAST_SCALE, History, Layout

Array = NDArray[Any]
TARGET = 0  # the column of the rows that are read
LARGEST_INPUT = 20.0  # in units of the window's scale; the network sees no larger ones
LEAST_SHARE = 1e-6  # a window's scale is at least this part of its level
SMALLEST = float(np.finfo(np.float32).tiny)
BASES = ("season", "seasons", "level", "last", "blend")


@dataclass
class Inputs:
    """Windows in the form that a network reads, and the way back to units.

    Args:
        past: (B, T, F) float32; the target is in column `TARGET`.
        future: (B, H, G) float32.
        recent: (B, L) float32, the scaled targets alone.
        numbers: (B, 1) int32, the number of each series.
        base: (B, H), the forecast that the network corrects, in units of the target.
        center: (B, 1), the level of each window; networks read (target - center) / scale.
        scale: (B, 1), the unit of corrections.
    """

    past: Array
    future: Array
    recent: Array
    numbers: Array
    base: Array
    center: Array
    scale: Array

    @property
    def arrays(self) -> list[Array]:
        """The inputs of the network, in order."""
        return [self.past, self.future, self.recent, self.numbers]


def make_inputs(history: History, layout: Layout, later: Array | None = None) -> Inputs:
    """Return what a network reads.

    Args:
        history: The rows around B origins.
        layout: Which of them the network sees.
        later: Targets (B, H) from the origins on, NaN where unknown, which a recursive network reads while it is
            trained; None to leave them 0.
    """
    lookback, ahead, reach = layout.lookback, layout.horizon, layout.reach
    center, scale, scaled, lags = _scaled(history, layout)
    window = scaled[:, reach - lookback :]
    earlier = scaled[:, reach - lookback - layout.season : reach - layout.season]
    recent = _clipped(window)
    columns = reach + np.arange(ahead)
    distances = layout.distances
    base = _base(layout.base, layout, lags, window)
    lags = _limited(lags)
    static, covariates = history.static[:, None], history.future
    after = slice(lookback, lookback + ahead)
    if layout.recursive:
        following = np.zeros((len(scaled), ahead - 1)) if later is None else ((later - center) / scale)[:, :-1]
        targets = np.concatenate([window, following], axis=1)
        same_place = np.concatenate([_clipped(earlier), lags[:, :-1, 0]], axis=1)
        past = [
            np.stack([_clipped(targets), np.isnan(targets), same_place], axis=-1),
            history.clock[:, 1:],
            history.past[:, :-1],
            covariates[:, reach - lookback + 1 :],
            np.repeat(static, lookback + ahead - 1, axis=1),
        ]
    else:
        past = [
            np.stack([recent, np.isnan(window), _clipped(window - earlier)], axis=-1),
            history.clock[:, :lookback],
            history.past[:, :lookback],
            covariates[:, reach - lookback : reach],
            np.repeat(static, lookback, axis=1),
        ]
    place = np.broadcast_to((np.arange(ahead) / ahead)[:, None], (len(scaled), ahead, 1))
    future = [lags, place, np.sqrt(place), history.clock[:, after], np.repeat(static, ahead, axis=1)]
    if covariates.shape[-1]:
        same = np.stack([covariates[:, columns - distance] for distance in distances[: layout.lags]])
        future += [covariates[:, columns], same[0], same.mean(axis=0)]
    return Inputs(
        np.concatenate(past, axis=-1, dtype=np.float32),
        np.concatenate(future, axis=-1, dtype=np.float32),
        recent.astype(np.float32),
        history.numbers[:, None].astype(np.int32),
        center + scale * base,
        center,
        scale,
    )


def make_bases(history: History, layout: Layout) -> tuple[dict[str, Array], Array]:
    """Return every base (B, H) that networks may correct, in units of the target, and the scale (B, 1) of each window.

    Args:
        history: The rows around B origins.
        layout: Which of them the network sees.
    """
    center, scale, scaled, lags = _scaled(history, layout)
    window = scaled[:, layout.reach - layout.lookback :]
    return {base: center + scale * _base(base, layout, lags, window) for base in BASES}, scale


def _scaled(history: History, layout: Layout) -> tuple[Array, Array, Array, Array]:
    """The level and the scale (B, 1) of each window, its scaled targets (B, W), and the known lags (B, H, J)."""
    values = history.values[:, : layout.reach]
    center, scale = _level_and_scale(values, layout, history.deviation)
    scaled = (values - center) / scale
    columns = layout.reach + np.arange(layout.horizon)
    lags = np.stack([scaled[:, columns - distance] for distance in layout.distances], axis=-1)
    return center, scale, scaled, _filled(lags, layout.lags)


def _clipped(values: Array) -> Array:
    """Scaled values, not too large for a network, and 0 where they are unknown."""
    clipped = _limited(values)
    clipped[np.isnan(clipped)] = 0
    return clipped


def _limited(values: Array) -> Array:
    limited = np.minimum(values, LARGEST_INPUT)
    return np.maximum(limited, -LARGEST_INPUT, out=limited)


def _level_and_scale(values: Array, layout: Layout, deviation: Array) -> tuple[Array, Array]:
    """The mean of each lookback, and its scale, at least a part of the deviation of the whole history: (B, 1) each."""
    lookback = layout.lookback
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0.0)
    recent = slice(values.shape[1] - lookback, None)
    counts, all_counts = finite[:, recent].sum(axis=1), np.maximum(finite.sum(axis=1), 1)
    whole = filled.sum(axis=1) / all_counts
    center = np.where(counts > 0, filled[:, recent].sum(axis=1) / np.maximum(counts, 1), whole)[:, None]
    distances = np.where(finite, np.abs(values - center), 0.0)
    wide = distances.sum(axis=1) / all_counts
    near = distances[:, recent].sum(axis=1) / np.maximum(counts, 1) if layout.scale == "deviation" else center[:, 0]
    floor = np.maximum(LEAST_SCALE * deviation, LEAST_SHARE * np.abs(center[:, 0]))
    return center, np.maximum(np.maximum(near, 0.1 * wide), np.maximum(floor, SMALLEST))[:, None]


def level_and_scale_of_known(values: Array, layout: Layout, deviation: float) -> tuple[float, float]:
    """Return the level and the scale of one window.

    Args:
        values: (W,) targets, all known.
        layout: What the networks see.
        deviation: The mean deviation of the series.
    """
    lookback = layout.lookback
    center = float(np.add.reduce(values[-lookback:])) / lookback
    distances = np.abs(values - center)
    wide = float(np.add.reduce(distances)) / len(values)
    near = float(np.add.reduce(distances[-lookback:])) / lookback if layout.scale == "deviation" else center
    floor = max(LEAST_SCALE * deviation, LEAST_SHARE * abs(center), SMALLEST)
    return center, max(near, 0.1 * wide, floor)


def base_weights(layout: Layout) -> Array:
    """Return the weights (W, H) of the scaled targets in the base, which is linear in them where all are known.

    Args:
        layout: What the networks see.
    """
    ones, columns = np.eye(layout.reach), layout.reach + np.arange(layout.horizon)
    lags = np.stack([ones[:, columns - distance] for distance in layout.distances], axis=-1)
    return _base(layout.base, layout, lags, ones[:, layout.reach - layout.lookback :])


def _filled(lags: Array, count: int) -> Array:
    """Lags (B, H, J) with unknown ones replaced by the mean of those of the main season, or by 0, the level."""
    unknown = np.isnan(lags)
    if not unknown.any():
        return lags
    main = ~unknown[..., :count]
    mean = np.where(main, lags[..., :count], 0.0).sum(axis=-1) / np.maximum(main.sum(axis=-1), 1)
    return np.where(unknown, mean[..., None], lags)


def _base(base: str, layout: Layout, lags: Array, window: Array) -> Array:
    """A base (B, H) in scaled units."""
    if base == "season":
        return np.asarray(lags[..., 0])
    mean = lags[..., : layout.lags].mean(axis=-1)
    if base == "seasons":
        return np.asarray(mean)
    if base == "level":
        return np.zeros_like(mean)
    finite = np.isfinite(window)
    if base == "last":
        last = window.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)
        value = np.nan_to_num(np.take_along_axis(window, last[:, None], axis=1))
        return np.asarray(np.repeat(value, mean.shape[1], axis=1))
    near = slice(max(0, window.shape[1] - layout.season), None)
    total = np.where(finite, window, 0.0)[:, near].sum(axis=1) / np.maximum(finite[:, near].sum(axis=1), 1)
    return np.asarray(0.5 * mean + 0.5 * total[:, None])
