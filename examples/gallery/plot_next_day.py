"""
The next day of three airports
==============================

``Forecaster`` takes a table with dates and returns the next rows with intervals. Here it reads the hourly departures of
three airports, learns from all of them, and forecasts a whole day at once.
"""

import matplotlib.pyplot as plt
import numpy as np

from pyrnn.datasets import load_flights
from pyrnn.forecasting import Forecaster

flights = load_flights()
first, count, horizon = np.datetime64("2013-01-01T00"), 5000, 24
hours = first + np.arange(count)
table = {
    "time": np.tile(hours, 3),
    "airport": np.repeat(flights.airports, count),
    "departures": flights.departures[:count].T.ravel().astype(float),
}

# %%
# Training ends a day before the table does. ``epochs=2`` keeps this page quick; by default the data decide.

early = np.tile(np.arange(count) < count - horizon, 3)
past = {name: column[early] for name, column in table.items()}
forecaster = Forecaster(horizon=horizon, target="departures", group="airport", season=168, epochs=2).fit(past)
forecast = forecaster.predict()
print(*forecaster.notes_, sep="\n")

# %%
# The last day as it was, and as it was forecast.

low, high = forecast.interval(0.8)
figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for number, (panel, airport) in enumerate(zip(panels, flights.airports, strict=True)):
    panel.fill_between(np.arange(horizon), low[number], high[number], alpha=0.3, label="80 % interval")
    panel.plot(forecast.median[number], label="forecast")
    panel.plot(flights.departures[count - horizon : count, number], color="black", linewidth=1, label="departures")
    panel.set(title=airport, xlabel="hour")
panels[0].legend()
figure.tight_layout()
