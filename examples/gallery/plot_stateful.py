"""
A state that lasts
==================

The label of a whole series is its first value. Windows that start later do not contain it: only a model that keeps its
state from one batch to the next can know it.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

rng = np.random.default_rng(0)
count, length, pieces = 320, 20, 4
x = rng.normal(0, 0.1, size=(count, length * pieces, 1)).astype("float32")
label = rng.integers(0, 2, size=count)
x[:, 0, 0] = label
y = label[:, None].astype("float32")


def train(stateful):
    """Return the loss of each epoch; batches are the pieces of 32 series in their order."""
    pyrnn.utils.set_random_seed(0)
    model = pyrnn.Sequential(
        [layers.Input(batch_shape=(32, length, 1)), layers.LSTM(8, stateful=stateful), layers.Dense(1, "sigmoid")]
    )
    model.compile(pyrnn.optimizers.Adam(0.01), loss="binary_crossentropy")
    losses = []
    for _ in range(12):
        total = 0.0
        for first in range(0, count, 32):
            model.reset_states()
            for piece in range(pieces):
                rows = x[first : first + 32, piece * length : (piece + 1) * length]
                total += float(model.train_on_batch(rows, y[first : first + 32]))
        losses.append(total / (count // 32 * pieces))
    return losses


plt.figure(figsize=(9, 3.5))
for stateful in (False, True):
    plt.plot(train(stateful), label=f"stateful={stateful}")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.ylim(0)
plt.legend()
plt.tight_layout()
