"""
The next day of an airport
==========================

A GRU reads one week of hourly departures from JFK and forecasts the next 24 hours in one step. The comparison is the
same hour one week before, which is hard to beat: flights follow a weekly schedule. The model therefore forecasts the
difference to last week.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers
from pyrnn.datasets import load_flights

pyrnn.utils.set_random_seed(0)
flights = load_flights()
week, horizon = 168, 24
series = flights.departures[:, flights.airports.index("JFK")].astype("float32")

# %%
# Windows
# -------
#
# A window is the week before a midnight: what left in each hour, and the difference to one week earlier.

scaled = series / series[:6000].std()
change = np.zeros_like(scaled)
change[week:] = scaled[week:] - scaled[:-week]
rows = np.stack([scaled, change], axis=1)
starts = np.arange(2 * week, len(series) - horizon, 4)
x = np.stack([rows[start - week : start] for start in starts])
y = np.stack([change[start : start + horizon] for start in starts])
train, test = starts < 6500, starts >= 6500 + horizon
print(x.shape, y.shape)

# %%
# Training
# --------

model = pyrnn.Sequential([layers.Input(x.shape[1:]), layers.GRU(32), layers.Dense(horizon)])
model.compile(pyrnn.optimizers.Adam(2e-3), loss="mae")
history = model.fit(x[train], y[train], validation_data=(x[test], y[test]), epochs=12, batch_size=64, verbose=0)

# %%
# Result
# ------
#
# The forecast is last week plus the change that the model expects.

scale = series[:6000].std()
before = np.stack([series[start - week : start - week + horizon] for start in starts[test]])
truth = np.stack([series[start : start + horizon] for start in starts[test]])
forecast = before + model.predict(x[test], verbose=0) * scale
print(f"mean absolute error: last week {np.abs(truth - before).mean():.2f}, GRU {np.abs(truth - forecast).mean():.2f}")

day = 3
plt.figure(figsize=(9, 3.5))
plt.plot(truth[day], color="black", label="departures")
plt.plot(before[day], linestyle=":", label="one week before")
plt.plot(forecast[day], label="GRU")
plt.xlabel("hours ahead")
plt.legend()
plt.tight_layout()
