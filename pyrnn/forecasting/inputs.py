"""What a network reads: scaled windows, earlier values at the same place of the season, and the base that it corrects.

Letters as in `history`; F and G features of each row of the lookback and of each step ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.history import LEAST_SCALE, History, Layout

Array = NDArray[Any]
LARGEST_INPUT = 20.0  # in units of the window's scale; the network sees no larger ones
LEAST_SHARE = 1e-6  # a window's scale is at least this part of its level
BASES = ("season", "seasons", "level", "last", "blend")


@dataclass
class Inputs:
    """Windows in the form that a network reads, and the way back to units.

    Args:
        past: (B, L, F) float32.
        future: (B, H, G) float32.
        recent: (B, L) float32, the scaled targets alone.
        numbers: (B, 1) int32, the number of each series.
        base: (B, H), the forecast that the network corrects, in units of the target.
        scale: (B, 1), the unit of corrections.
    """

    past: Array
    future: Array
    recent: Array
    numbers: Array
    base: Array
    scale: Array

    @property
    def arrays(self) -> list[Array]:
        """The inputs of the network, in order."""
        return [self.past, self.future, self.recent, self.numbers]


def make_inputs(history: History, layout: Layout, start: int = 0) -> Inputs:
    """Return what a network reads.

    Args:
        history: The rows around B origins.
        layout: Which of them the network sees.
        start: How many rows after the origin the forecast begins; the values up to there must have been filled in.
    """
    lookback, ahead, reach = layout.lookback, layout.horizon, layout.reach
    values = history.values[:, start : start + reach]
    center, scale = _level_and_scale(values, layout, history.deviation)
    scaled = (values - center) / scale
    window = scaled[:, reach - lookback :]
    earlier = scaled[:, reach - lookback - layout.season : reach - layout.season]
    missing = np.isnan(window)
    recent = np.clip(np.nan_to_num(window), -LARGEST_INPUT, LARGEST_INPUT)
    change = np.clip(np.nan_to_num(window - earlier), -LARGEST_INPUT, LARGEST_INPUT)
    columns = reach + np.arange(ahead)
    distances = layout.distances
    lags = np.stack([scaled[:, columns - distance] for distance in distances], axis=-1)
    lags = _filled(lags, layout.lags)
    base = _base(layout, lags, window)
    lags = np.clip(lags, -LARGEST_INPUT, LARGEST_INPUT)
    static = history.static[:, None]
    before, after = slice(start, start + lookback), slice(start + lookback, start + lookback + ahead)
    covariates = history.future[:, start:]
    past = [
        np.stack([recent, missing, change], axis=-1),
        history.clock[:, before],
        history.past[:, before],
        covariates[:, reach - lookback : reach],
        np.repeat(static, lookback, axis=1),
    ]
    place = np.broadcast_to((np.arange(ahead) / ahead)[:, None], (len(values), ahead, 1))
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
        scale,
    )


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
    return center, np.maximum(np.maximum(near, 0.1 * wide), np.maximum(floor, np.finfo(np.float32).tiny))[:, None]


def _filled(lags: Array, count: int) -> Array:
    """Lags (B, H, J) with unknown ones replaced by the mean of those of the main season, or by 0, the level."""
    unknown = np.isnan(lags)
    if not unknown.any():
        return lags
    main = ~unknown[..., :count]
    mean = np.where(main, lags[..., :count], 0.0).sum(axis=-1) / np.maximum(main.sum(axis=-1), 1)
    return np.where(unknown, mean[..., None], lags)


def _base(layout: Layout, lags: Array, window: Array) -> Array:
    """The base (B, H) in scaled units."""
    if layout.base == "season":
        return np.asarray(lags[..., 0])
    mean = lags[..., : layout.lags].mean(axis=-1)
    if layout.base == "seasons":
        return np.asarray(mean)
    if layout.base == "level":
        return np.zeros_like(mean)
    finite = np.isfinite(window)
    if layout.base == "last":
        last = window.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)
        value = np.nan_to_num(np.take_along_axis(window, last[:, None], axis=1))
        return np.asarray(np.repeat(value, mean.shape[1], axis=1))
    near = slice(max(0, window.shape[1] - layout.season), None)
    total = np.where(finite, window, 0.0)[:, near].sum(axis=1) / np.maximum(finite[:, near].sum(axis=1), 1)
    return np.asarray(0.5 * mean + 0.5 * total[:, None])
