"""Backtests: forecasts of rows that are known by now, each made from the rows before it alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.baselines import drift, last_value, mean, seasonal_naive
from pyrnn.forecasting.forecast import Forecast
from pyrnn.forecasting.history import histories, observed_values
from pyrnn.forecasting.panel import Panel
from pyrnn.forecasting.scores import Scores, scores
from pyrnn.rules import Whole
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.forecasting.forecaster import Forecaster

Array = NDArray[Any]
_count = Whole(1)


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Forecasts of rows that are known, and how good they are.

    Args:
        forecasts: One for each fold, of the series that have rows up to it.
        truth: For each fold the targets (N, H), NaN where unknown.
        scores: The table of the forecaster and of simple forecasts, over all folds. MASE is in units of the seasonal
            naive forecast's error on the rows before the first fold.
        forecaster: The copy that was trained; with `refit` the last one.

    Example:
        >>> from pyrnn.forecasting import Forecaster
        >>> y = 10 + 5 * np.sin(2 * np.pi * np.arange(120) / 12)
        >>> backtest = Forecaster(horizon=6, season=12, epochs=1, members=1).backtest(y, folds=2)
        >>> backtest.forecasts[0].dates.tolist(), [row["forecast"] for row in backtest.scores.rows][:2]
        ([[108, 109, 110, 111, 112, 113]], ['forecaster', 'seasonal naive'])
    """

    forecasts: list[Forecast]
    truth: list[Array]
    scores: Scores
    forecaster: Forecaster

    def __repr__(self) -> str:
        return str(self.scores)


def backtest(forecaster: Forecaster, data: Any, folds: int, step: int, refit: bool) -> Backtest:
    """Return what `Forecaster.backtest` returns."""
    _count.check("folds", folds)
    _count.check("step", step)
    if not isinstance(refit, bool):
        raise TypeError(f"refit must be True or False, got {shown(refit)}")
    copy = type(forecaster)(**forecaster.get_params())
    panel, horizon = copy._read(data), forecaster.horizon
    needed = horizon + (folds - 1) * step
    last = panel.dates[panel.in_history].max()
    starts = panel.frequency.dates(last, np.arange(1 - needed, 1 - horizon + 1, step))
    if needed >= panel.lengths.max():
        raise ValueError(
            f"folds must leave rows for training, but {folds} of {horizon} rows, {step} rows apart, take {needed} of "
            f"{panel.lengths.max()}: pass fewer folds, or a step or horizon that is shorter"
        )
    made: list[tuple[Panel, Forecast, Array]] = []
    first: Panel | None = None
    for number, start in enumerate(starts):
        before = _ending_at(panel.until(start), start)
        if number == 0 or refit:
            copy.fit(panel.until(start))
        else:
            copy.calibrate(before)
        first = before if first is None else first
        made.append((before, copy.predict(before), _truth(panel, before, horizon)))
    assert first is not None
    return Backtest(
        [each for _, each, _ in made],
        [truth for _, _, truth in made],
        _scores(made, first, copy.layout_.season, horizon),
        copy,
    )


def _ending_at(panel: Panel, start: Any) -> Panel:
    """The series whose next row is at a date."""
    chosen = np.flatnonzero(panel.next_dates(1)[:, 0] == start)
    return panel if len(chosen) == len(panel) else panel.take(chosen)


def _truth(panel: Panel, before: Panel, horizon: int) -> Array:
    """The targets (N, H) after the last ones of an earlier panel, NaN where unknown."""
    longer = panel.with_horizon(horizon)
    values, places = observed_values(longer), {each: number for number, each in enumerate(panel.ids)}
    numbers = np.array([places[each] for each in before.ids])
    rows = longer.starts[numbers][:, None] + before.lengths[:, None] + np.arange(horizon)
    return np.asarray(values[rows])


def _scores(made: list[tuple[Panel, Forecast, Array]], first: Panel, season: int, horizon: int) -> Scores:
    simple: dict[str, Callable[[Any], Any]] = {
        "seasonal naive": lambda history: seasonal_naive(history, horizon, season),
        "last value": lambda history: last_value(history, horizon),
        "drift": lambda history: drift(history, horizon),
        "mean": lambda history: mean(history, horizon),
    }
    train = histories(first)
    rows: dict[str, list[Array]] = {name: [] for name in ("forecaster", *simple)}
    truths, groups = [], []
    for before, forecast, truth in made:
        places = [place for place, each in enumerate(before.ids) if each in train]
        values = list(histories(before).values())
        truths.append(truth[places])
        groups += [before.ids[place] for place in places]
        rows["forecaster"].append(forecast.quantiles[places])
        for name, function in simple.items():
            rows[name].append(np.asarray(function(values))[places])
    return scores(
        np.concatenate(truths),
        {name: np.concatenate(parts) for name, parts in rows.items()},
        quantiles=made[0][1].levels,
        train=train,
        season=season,
        groups=groups,
    )
