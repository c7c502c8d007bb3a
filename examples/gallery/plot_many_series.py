"""
One model for many series
=========================

Sixty shops sell on the same weekdays, but at different levels and with habits of their own. One model learns from all
of them: an embedding tells it which shop a window comes from, and each window is divided by its own mean.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

pyrnn.utils.set_random_seed(0)
rng = np.random.default_rng(0)
shops, days, window = 60, 500, 28
levels = np.exp(rng.normal(3, 1, shops))
habits = rng.dirichlet(np.full(7, 8.0), shops) * 7
sales = rng.poisson(levels[:, None] * habits[:, np.arange(days) % 7]).astype("float32")

# %%
# Windows of all shops; the last hundred days validate.

starts = np.arange(days - window)
x = np.stack([sales[:, start : start + window] for start in starts], axis=1)  # (shops, N, window)
y = sales[:, window:]
means = x.mean(axis=-1) + 1
shop = np.repeat(np.arange(shops), len(starts))
late = np.tile(starts >= days - window - 100, shops)
scaled = (x / means[..., None]).reshape(-1, window, 1)
target = (y / means).reshape(-1, 1)

# %%

series, which = layers.Input((window, 1)), layers.Input((1,))
state = layers.LSTM(24)(series)
identity = layers.Flatten()(layers.Embedding(shops, 4)(which))
model = pyrnn.Model([series, which], layers.Dense(1)(layers.Dense(24, "relu")(layers.Concatenate()([state, identity]))))
model.compile(pyrnn.optimizers.Adam(5e-3), loss="mae")
model.fit([scaled[~late], shop[~late]], target[~late], epochs=10, batch_size=128, verbose=0)

forecast = model.predict([scaled[late], shop[late]], verbose=0)[:, 0] * means.reshape(-1)[late]
truth = y.reshape(-1)[late]
week_before = x[..., -7].reshape(-1)[late]
error, naive = np.abs(forecast - truth), np.abs(week_before - truth)
print(f"mean absolute error: one week before {naive.mean():.2f}, LSTM {error.mean():.2f}")

# %%
# Shop by shop, against the same weekday one week before.

each = shop[late]
ratio = [error[each == number].mean() / naive[each == number].mean() for number in range(shops)]
plt.figure(figsize=(9, 3.5))
plt.semilogx(levels, ratio, "o")
plt.axhline(1, color="grey", linestyle=":")
plt.xlabel("mean sales of the shop")
plt.ylabel("error, in that of one week before")
plt.tight_layout()
