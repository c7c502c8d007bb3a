"""From a table to a forecast: the `Forecaster`, and the panels, windows, scalers, calendars and scores below it.

NumPy is all that most of it needs. `pip install ".[forecast]"` adds pandas for files and matplotlib for plots.
"""

from __future__ import annotations

from pyrnn.forecasting.backtesting import Backtest
from pyrnn.forecasting.baselines import drift, last_value, mean, seasonal_naive
from pyrnn.forecasting.building import panel
from pyrnn.forecasting.calendars import Calendar, add_calendar, calendar
from pyrnn.forecasting.extending import extend
from pyrnn.forecasting.forecast import Forecast
from pyrnn.forecasting.forecaster import Forecaster
from pyrnn.forecasting.frequency import Frequency
from pyrnn.forecasting.online import OnlineForecast
from pyrnn.forecasting.panel import Panel, Series
from pyrnn.forecasting.paths import sample_paths
from pyrnn.forecasting.reading import ReadTable, read_table
from pyrnn.forecasting.scalers import (
    ChainScaler,
    DifferenceScaler,
    LogScaler,
    RobustScaler,
    StandardScaler,
    WindowMeanScaler,
)
from pyrnn.forecasting.scaling import Scaler
from pyrnn.forecasting.scores import Scores, scores
from pyrnn.forecasting.windows import Windows, latest_windows, windows

__all__ = [
    "Backtest",
    "Calendar",
    "ChainScaler",
    "DifferenceScaler",
    "Forecast",
    "Forecaster",
    "Frequency",
    "LogScaler",
    "OnlineForecast",
    "Panel",
    "ReadTable",
    "RobustScaler",
    "Scaler",
    "Scores",
    "Series",
    "StandardScaler",
    "WindowMeanScaler",
    "Windows",
    "add_calendar",
    "calendar",
    "drift",
    "extend",
    "last_value",
    "latest_windows",
    "mean",
    "panel",
    "read_table",
    "sample_paths",
    "scores",
    "seasonal_naive",
    "windows",
]
