"""
A sensor with gaps
==================

Three of ten readings are missing. There are three ways to pass them to a GRU: a ``Masking`` layer that skips these
steps, the last reading in place of the gap, or the last reading next to a flag that says so. Skipping keeps made-up
values out of the state, but the model then no longer knows how much time has passed. Where the clock matters, the flag
wins.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

rng = np.random.default_rng(0)
hours = np.arange(6000)
level = np.sin(2 * np.pi * hours / 24) + 0.5 * np.sin(2 * np.pi * hours / 31) + rng.normal(0, 0.1, len(hours))
missing = rng.random(len(hours)) < 0.3
window, gap = 48, -9.0
seen = np.where(missing, gap, level)
last = np.maximum.accumulate(np.where(missing, 0, hours))
filled = level[last]


def cut(*columns):
    """Return windows (N, window, columns)."""
    views = [np.lib.stride_tricks.sliding_window_view(column[:-1], window) for column in columns]
    return np.stack(views, axis=-1).astype("float32")


y = level[window:, None].astype("float32")
split = 4500


def train(inputs, *first):
    """Return forecasts of the last hours by a GRU behind the given layers."""
    pyrnn.utils.set_random_seed(0)
    model = pyrnn.Sequential([layers.Input(inputs.shape[1:]), *first, layers.GRU(16), layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(5e-3), loss="mse")
    model.fit(inputs[:split], y[:split], epochs=10, batch_size=64, verbose=0)
    return model.predict(inputs[split:], verbose=0)


forecasts = {
    "skipped": train(cut(seen), layers.Masking(gap)),
    "filled": train(cut(filled)),
    "filled, with a flag": train(cut(filled, missing)),
}
for name, forecast in forecasts.items():
    print(f"{name}: mean absolute error {np.abs(forecast - y[split:]).mean():.3f}")

# %%

part = slice(0, 72)
plt.figure(figsize=(9, 3.5))
plt.plot(y[split:][part], color="black", label="level")
gaps = np.flatnonzero(missing[window + split :][part])
plt.plot(gaps, y[split:][gaps], "x", label="missing")
for name, forecast in forecasts.items():
    plt.plot(forecast[part], label=name)
plt.xlabel("hour")
plt.legend(ncol=2)
plt.tight_layout()
