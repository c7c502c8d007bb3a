"""
Anomalies of a sensor
=====================

An autoencoder learns to repeat healthy days of a machine's temperature. What it cannot repeat is unusual. The data are
made up: a daily cycle with noise, and two faults in the last week.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

pyrnn.utils.set_random_seed(0)
rng = np.random.default_rng(0)
hours = np.arange(24 * 120)
series = 20 + 5 * np.sin(2 * np.pi * hours / 24) + np.sin(2 * np.pi * hours / 168) + rng.normal(0, 0.4, len(hours))
series[-100:-88] += 4  # runs hot
series[-40:-34] = series[-41]  # the sensor hangs
scaled = ((series - 20) / 5).astype("float32")
window = 24
x = np.lib.stride_tricks.sliding_window_view(scaled, window)[..., None]

# %%
# The state of the first GRU has four numbers, too few to remember faults.

model = pyrnn.Sequential(
    [
        layers.Input((window, 1)),
        layers.GRU(4),
        layers.RepeatVector(window),
        layers.GRU(24, return_sequences=True),
        layers.Dense(1),
    ]
)
model.compile(pyrnn.optimizers.Adam(0.01), loss="mse")
healthy = x[: 24 * 100]
model.fit(healthy, healthy, epochs=15, batch_size=64, verbose=0)

# %%
# The error of a window, and a threshold that one healthy window of a thousand exceeds.

errors = np.abs(model.predict(x, verbose=0) - x).mean(axis=(1, 2))
threshold = np.quantile(errors[: len(healthy)], 0.999)
unusual = np.flatnonzero(errors > threshold)
print(f"{len(unusual)} unusual windows, the first begins at hour {unusual[unusual > len(healthy)][0]}")

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 4.5), sharex=True)
last = slice(-24 * 10, None)
above.plot(hours[last], series[last], color="black", linewidth=1)
above.set_ylabel("temperature")
below.plot(hours[window - 1 :][last], errors[last], label="error of the last 24 hours")
below.axhline(threshold, color="crimson", linestyle=":", label="threshold")
below.set_xlabel("hour")
below.legend()
figure.tight_layout()
