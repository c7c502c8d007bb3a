"""How good forecasts are: one table of errors, pinball losses and coverages for one or several forecasts.

The errors are those of Hyndman and Athanasopoulos 2021, Forecasting: Principles and Practice, 3rd edition, section 5.8,
and of Hyndman and Koehler 2006; the pinball loss is that of Koenker and Bassett 1978.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.arguments import checked
from pyrnn.forecasting.showing import text_table, to_frame
from pyrnn.losses import naive_scale
from pyrnn.typing import Anything, ArrayLike, Size
from pyrnn.validation import shown

__all__ = ["Scores", "scores"]

Array = NDArray[Any]
By = Annotated[str, rules.OneOf("all", "group", "step")]


class Scores:
    """A table of scores: one row for each forecast, or for each forecast and group or step.

    Attributes:
        rows: The rows as dicts of column names and values.
        unscaled: Groups that MASE leaves out because the naive forecast has no error, or none that is known, on their
            training rows.

    Args:
        rows: The rows, all with the same columns.
        unscaled: Groups without MASE.

    Example:
        >>> from pyrnn.forecasting import scores
        >>> table = scores([[2.0, 4.0]], [[1.0, 6.0]])
        >>> table.rows[0]["MAE"]
        1.5
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], unscaled: Sequence[Hashable] = ()) -> None:
        self.rows = [dict(row) for row in rows]
        self.unscaled = list(unscaled)

    def frame(self) -> Any:
        """Return the table as a DataFrame.

        Returns:
            A pandas DataFrame with one row for each row.

        Raises:
            ImportError: Without pandas.
        """
        return to_frame(self.rows, "Scores.frame", "rows")

    def markdown(self) -> str:
        """Return the table as Markdown.

        Returns:
            The lines of the table, joined.
        """
        header, *lines = self._cells()
        # Names are aligned to the left, numbers to the right.
        ruler = ["---" if isinstance(value, str) else "---:" for value in self.rows[0].values()]
        escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in lines]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *escaped))

    def _cells(self) -> list[list[str]]:
        return [list(self.rows[0]), *([_text(name, value) for name, value in row.items()] for row in self.rows)]

    def __str__(self) -> str:
        _, *lines = self._cells()
        return "\n".join(text_table({name: isinstance(value, str) for name, value in self.rows[0].items()}, lines))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return "-"
    return f"{value:.1%}" if name.startswith("coverage") else f"{value:.4g}"


class _Rows(NamedTuple):
    """What a row of the table is computed from: the elements that count, in one axis."""

    true: Array
    point: Array
    scale: Array  # of the series of each element, NaN if MASE leaves it out
    series: Array  # numbers
    bounds: Array | None  # (elements, K)


@checked
def scores(
    y_true: ArrayLike,
    forecasts: ArrayLike,
    *,
    quantiles: Anything = None,
    train: Anything = None,
    season: Size = 1,
    groups: Anything = None,
    by: By = "all",
) -> Scores:
    """Return the table of scores of one or several forecasts.

    With e = y_true - y_pred over all rows and steps:

    - MAE: mean |e|. RMSE: square root of the mean of e**2.
    - MAPE: 100 mean |e / y_true| over the elements whose y_true is not 0.
    - sMAPE: 200 mean (|e| / (|y_true| + |y_pred|)), with 0 where both are 0; from 0 to 200.
    - WAPE: 100 sum |e| / sum |y_true|.
    - MASE: mean |e| / scale, where the scale of a series is the mean error of the seasonal naive forecast on its
      training rows, mean |y[t] - y[t - season]|; the mean in each series, then the mean over the series. Needs `train`.
    - pinball: mean over quantiles q of the mean max(q e, (q - 1) e). Needs `quantiles`.
    - coverage 80: the fraction of y_true from the 0.1 quantile to the 0.9 quantile, ends included; likewise for each
      pair q and 1 - q.

    Args:
        y_true: What happened, shape (N, horizon) or (horizon,); NaN where it is unknown, which does not count.
        forecasts: A forecast of shape (N, horizon), or (N, horizon, K) for K quantiles, or a dict of several by name.
            The point forecast among quantiles is the median.
        quantiles: K levels between 0 and 1 in increasing order, with 0.5 among them; None if there are none.
        train: The training rows of the series, with NaN for unknown values: an array (time,) or a dict of arrays by
            group. None for no MASE.
        season: Steps of a season in MASE, 1 for none.
        groups: The series of each row, shape (N,); None if all are of one.
        by: "all" for one row of the table for each forecast, "group" for one per series, "step" for one per step ahead.

    Returns:
        The table.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If shapes do not match, a quantile is not between 0 and 1, a forecast is NaN where y_true is known,
            or a group has no training rows in `train`.

    Example:
        >>> from pyrnn.forecasting import scores
        >>> y_true = [[3.0, 5.0], [4.0, 8.0]]
        >>> forecasts = {"last value": [[2.0, 2.0], [5.0, 5.0]], "model": [[3.0, 4.0], [4.0, 7.0]]}
        >>> print(scores(y_true, forecasts, train=[1.0, 2.0, 4.0]))
        forecast     MAE     RMSE    MAPE   sMAPE   WAPE     MASE
        ─────────────────────────────────────────────────────────
        last value     2    2.236   38.96   48.52     40    1.333
        model        0.5   0.7071   8.125   8.889     10   0.3333

    Source: Hyndman and Athanasopoulos 2021, section 5.8; Hyndman and Koehler 2006; Koenker and Bassett 1978.
    """
    true = _numbers("y_true", y_true)
    true = true[None] if true.ndim == 1 else true
    if true.ndim != 2 or not true.size:
        raise ValueError(f"y_true must have shape (N, horizon), got {np.shape(y_true)}")
    levels = _levels(quantiles)
    names, series = _series(groups, len(true))
    scale, unscaled = _scales(train, season, names)
    if not isinstance(forecasts, Mapping):
        forecasts = {"forecast": forecasts}
    if not forecasts:
        raise ValueError("forecasts must hold at least one forecast, got {}")
    present = ~np.isnan(true)
    wide = np.broadcast_to(series[:, None], true.shape)
    steps = np.broadcast_to(np.arange(true.shape[1]), true.shape)
    parts: list[tuple[dict[str, Any], Array]] = [({}, present)]
    if by == "group":
        parts = [({"group": name}, present & (wide == i)) for i, name in enumerate(names)]
    elif by == "step":
        parts = [({"step": i + 1}, present & (steps == i)) for i in range(true.shape[1])]
    rows: list[dict[str, Any]] = []
    for name, forecast in forecasts.items():
        values = _forecast(name, forecast, true, present, levels)
        bounds = values if values.ndim == 3 else None
        point = values[..., levels.index(0.5)] if bounds is not None else values
        for columns, counted in parts:
            chosen = _Rows(
                true[counted],
                point[counted],
                scale[wide[counted]],
                wide[counted],
                None if bounds is None else bounds[counted],
            )
            scored = {**_point_scores(chosen, train is not None), **_quantile_scores(chosen, levels)}
            rows.append({"forecast": str(name), **columns, **scored})
    return Scores(rows, unscaled)


def _numbers(argument: str, values: Any) -> Array:
    """The values in float64, with NaN but no infinity."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{argument} must be an array of numbers, got {shown(values)}") from None
    if np.isinf(array).any():
        raise ValueError(f"{argument} must hold finite numbers or NaN, got infinity")
    return array


def _levels(quantiles: Any) -> list[float]:
    if quantiles is None:
        return []
    levels = _numbers("quantiles", quantiles)
    between = levels.ndim == 1 and levels.size and ((levels > 0) & (levels < 1)).all()
    if not between or (np.diff(levels) <= 0).any() or 0.5 not in levels:
        raise ValueError(
            f"quantiles must be numbers between 0 and 1 in increasing order, 0.5 among them, got {shown(quantiles)}"
        )
    return [float(level) for level in levels]


def _series(groups: Any, rows: int) -> tuple[list[Any], Array]:
    """The names of the series, in the order of their first rows, and the number of that of each row."""
    if groups is None:
        return [None], np.zeros(rows, int)
    labels = list(groups) if np.ndim(groups) == 1 else []
    if len(labels) != rows:
        raise ValueError(f"groups must have one label for each of the {rows} rows of y_true, got {shown(groups)}")
    numbers: dict[Any, int] = {}
    series = np.array([numbers.setdefault(label, len(numbers)) for label in labels])
    return list(numbers), series


def _scales(train: Any, season: int, names: list[Any]) -> tuple[Array, list[Any]]:
    """The scale of each series, NaN where it has none, and the series that have none."""
    if train is None:
        return np.full(len(names), np.nan), []
    if not isinstance(train, Mapping):
        if len(names) > 1:
            raise ValueError(f"train must be a dict with the training rows of {len(names)} groups, got {shown(train)}")
        train = {names[0]: train}
    if lacking := [name for name in names if name not in train]:
        raise ValueError(f"train must have the training rows of every group, {shown(lacking[0])} is missing")
    scale = np.array([seasonal_scale(_numbers("train", train[name]), season) for name in names])
    return scale, [name for name, value in zip(names, scale, strict=True) if np.isnan(value)]


def seasonal_scale(values: Array, season: int) -> float:
    """Return the mean error of the seasonal naive forecast on a series, NaN where it is 0 or unknown.

    Args:
        values: (T,), NaN where unknown.
        season: The rows of a season.

    Raises:
        ValueError: If `values` has another shape.
    """
    if values.ndim != 1:
        raise ValueError(f"train must have shape (time,) for each group, got {values.shape}")
    pairs = ~np.isnan(values[season:] - values[:-season])
    scale = float(naive_scale(values, season)) if pairs.any() else 0.0
    return scale or np.nan


def _forecast(name: Any, forecast: Any, true: Array, present: Array, levels: list[float]) -> Array:
    """A forecast as (N, horizon) or (N, horizon, K)."""
    label = f"forecasts[{name!r}]"
    values = _numbers(label, forecast)
    values = values[None] if values.shape == (true.shape[1], *([len(levels)] if values.ndim == 2 else [])) else values
    shapes = [true.shape] if not levels else [true.shape, (*true.shape, len(levels))]
    if values.shape not in shapes:
        expected = "(N, horizon)" if not levels else "(N, horizon) or (N, horizon, K)"
        raise ValueError(
            f"forecasts must have shape {expected} = {' or '.join(map(str, shapes))}, got {values.shape} for {name!r}"
            + ("; did you forget quantiles?" if values.ndim == 3 and not levels else "")
        )
    if np.isnan(values[present]).any():
        raise ValueError(f"forecasts must be numbers wherever y_true is one, got NaN for {name!r}")
    return values


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _point_scores(rows: _Rows, scaled: bool) -> dict[str, float]:
    error, size = np.abs(rows.true - rows.point), np.abs(rows.true)
    both = size + np.abs(rows.point)
    nonzero, total = size != 0, float(size.sum())
    result = {
        "MAE": _mean(error),
        "RMSE": _mean(error * error) ** 0.5,
        "MAPE": 100 * _mean(error[nonzero] / size[nonzero]),
        "sMAPE": 200 * _mean(error / np.where(both > 0, both, 1)),
        "WAPE": 100 * float(error.sum()) / total if total else float("nan"),
    }
    if scaled:
        counted = ~np.isnan(rows.scale)
        series, ratio = rows.series[counted], error[counted] / rows.scale[counted]
        counts = np.bincount(series)
        sums = np.bincount(series, ratio)
        result["MASE"] = _mean(sums[counts > 0] / counts[counts > 0])
    return result


def _quantile_scores(rows: _Rows, levels: list[float]) -> dict[str, float]:
    if not levels:
        return {}
    pairs = [(low, levels.index(high)) for low in levels for high in levels if low < 0.5 and abs(low + high - 1) < 1e-9]
    named = {f"coverage {100 * (1 - 2 * low):g}": (levels.index(low), high) for low, high in pairs[::-1]}
    if rows.bounds is None:
        return {"pinball": float("nan"), **dict.fromkeys(named, float("nan"))}
    error = rows.true[:, None] - rows.bounds
    level = np.array(levels)
    result = {"pinball": _mean(np.maximum(level * error, (level - 1) * error))}
    for name, (low, high) in named.items():
        result[name] = _mean((rows.bounds[:, low] <= rows.true) & (rows.true <= rows.bounds[:, high]))
    return result
