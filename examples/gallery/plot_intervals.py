"""
Intervals from quantiles
========================

A forecast without a range says little. Here one model forecasts three quantiles of the next hour's departures, trained
on the pinball loss of each. Its 80 % interval should hold eight of ten later hours.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers
from pyrnn.datasets import load_flights

pyrnn.utils.set_random_seed(0)
series = load_flights().total.astype("float32")
window, quantiles = 48, (0.1, 0.5, 0.9)
mean, spread = series[:6000].mean(), series[:6000].std()
scaled = (series - mean) / spread
x = np.lib.stride_tricks.sliding_window_view(scaled[:-1], window)[..., None]
y = scaled[window:, None]
split = 6000

# %%
# One output for each quantile, and one loss for each output.

inputs = layers.Input((window, 1))
state = layers.LSTM(32)(inputs)
model = pyrnn.Model(inputs, [layers.Dense(1, name=f"q{int(100 * quantile)}")(state) for quantile in quantiles])
model.compile(pyrnn.optimizers.Adam(5e-3), loss=[pyrnn.losses.Quantile(quantile) for quantile in quantiles])
model.fit(x[:split], [y[:split]] * 3, epochs=6, batch_size=64, verbose=0)

# %%
# The share of later hours below each quantile.

low, middle, high = (each[:, 0] * spread + mean for each in model.predict(x[split:], verbose=0))
truth = series[window:][split:]
for quantile, forecast in zip(quantiles, (low, middle, high), strict=True):
    print(f"{(truth <= forecast).mean():.0%} of the hours are below the {quantile:.0%} quantile")

hours = slice(0, 96)
plt.figure(figsize=(9, 3.5))
plt.fill_between(np.arange(96), low[hours], high[hours], alpha=0.3, label="80 % interval")
plt.plot(middle[hours], label="median")
plt.plot(truth[hours], color="black", linewidth=1, label="departures")
plt.xlabel("hours")
plt.legend()
plt.tight_layout()
