"""
An amplifier, sample by sample
==============================

A small LSTM learns the sound of a distorting amplifier from its input and output, then runs as a stream: one sample in,
one sample out, the states inside. The amplifier is a formula here: a soft clipping whose strength depends on how loud
the last milliseconds were.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

pyrnn.utils.set_random_seed(0)
rng = np.random.default_rng(0)
rate = 8000


def guitar(seconds):
    """Return plucked notes."""
    t = np.arange(int(seconds * rate)) / rate
    starts = np.arange(0, seconds, 0.25)
    notes = np.zeros(len(t))
    for start, pitch in zip(starts, rng.choice([110, 147, 196, 247, 330], size=len(starts)), strict=True):
        since = np.maximum(t - start, 0)
        notes += np.exp(-4 * since) * np.sin(2 * np.pi * pitch * since)
    return (notes + rng.normal(0, 0.005, len(t))).astype("float32")


def amplifier(x):
    """Return what comes out: clipped the more, the louder the last 5 ms were."""
    loudness, y = 0.0, np.empty_like(x)
    for i, sample in enumerate(x):
        loudness += (abs(sample) - loudness) / (0.005 * rate)
        y[i] = np.tanh((1 + 6 * loudness) * sample)
    return y


clean = guitar(10)
loud = amplifier(clean)

# %%
# Training on windows of 200 samples; the first 50 of each warm the states up and count for nothing.

length, warm = 200, 50
x, y = (each[: len(each) // length * length].reshape(-1, length, 1) for each in (clean, loud))
weights = np.ones((len(x), length), "float32")
weights[:, :warm] = 0
model = pyrnn.Sequential([layers.Input((None, 1)), layers.LSTM(16, return_sequences=True), layers.Dense(1)])
model.compile(pyrnn.optimizers.Adam(0.01), loss="mse", weighted_metrics=[])
model.fit(x[:320], y[:320], sample_weight=weights[:320], epochs=40, batch_size=16, verbose=0)

# %%
# As a stream, on notes that are new to it.

new = clean[64000:68000]
stream = model.stream()
start = time.perf_counter()
heard = np.array([stream.step([sample])[0, 0] for sample in new])
print(f"{(time.perf_counter() - start) / len(new) * 1e6:.1f} microseconds a sample")
error = np.sqrt(np.mean((heard[200:] - loud[64200:68000]) ** 2) / np.mean(loud[64200:68000] ** 2))
print(f"error: {error:.1%} of the signal")

part = slice(2000, 2200)
plt.figure(figsize=(9, 3.5))
plt.plot(new[part], color="grey", label="in")
plt.plot(loud[64000:68000][part], color="black", label="amplifier")
plt.plot(heard[part], linestyle="--", label="LSTM")
plt.xlabel("sample")
plt.legend()
plt.tight_layout()
