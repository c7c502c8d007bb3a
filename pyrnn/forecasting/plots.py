"""The plot of a forecast, with matplotlib if it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.forecasting.moments import zone_of
from pyrnn.forecasting.panel import Panel
from pyrnn.validation import shown

if TYPE_CHECKING:
    from pyrnn.forecasting.forecast import Forecast

PLOTTED_SERIES = 4
PLOTTED_HORIZONS = 4  # of history
WIDTH, HEIGHT = 9.0, 3.0  # inches, of one series


def plot_forecast(forecast: Forecast, path: Any, history: Panel | None, series: Any) -> Any:
    """Draw each series in a row of its own, the widest interval palest; write the image if a path is passed.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no such series.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plot needs matplotlib: type `pip install ".[forecast]"`') from error
    chosen = list(forecast.ids[:PLOTTED_SERIES]) if series is None else list(series)
    if unknown := [each for each in chosen if each not in forecast.ids]:
        raise ValueError(f"series must be ids of the forecast, got {shown(unknown[0])}")
    figure = Figure(figsize=(WIDTH, HEIGHT * len(chosen)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, each in zip(figure.subplots(len(chosen), squeeze=False)[:, 0], chosen, strict=True):
        _draw(axes, forecast, forecast.ids.index(each), history)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def _draw(axes: Any, forecast: Forecast, place: int, history: Panel | None) -> None:
    dates, ahead = forecast.dates[place], forecast.dates.shape[1]
    if forecast.timezone is not None and forecast.utc:  # matplotlib takes dates for UTC
        axes.xaxis_date(zone_of(forecast.timezone))
    if history is not None and forecast.ids[place] in history.ids:
        past = history[history.ids.index(forecast.ids[place])]
        count = min(PLOTTED_HORIZONS * ahead, len(past.target))
        values = np.where(past.observed, past.target[:, 0], np.nan)[-count:]
        axes.plot(past.dates[: len(past.target)][-count:], values, color="black", linewidth=1.2, label="history")
    lower = [level for level in forecast.levels if level < 0.5 and round(1 - level, 9) in forecast.levels]
    for level in lower:
        low, high = forecast.interval(1 - 2 * level)
        axes.fill_between(dates, low[place], high[place], color="tab:blue", alpha=0.2, label=f"{100 - 200 * level:g} %")
    axes.plot(dates, forecast.median[place], color="tab:blue", linewidth=1.5, label="median")
    axes.set_title(forecast.names[2] if not forecast.names[0] else f"{forecast.names[2]}, {forecast.ids[place]}")
    axes.legend(loc="best")
    axes.tick_params(axis="x", rotation=20)
