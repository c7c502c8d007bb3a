"""
A tag for every step
====================

Sequences of different lengths are padded with zeros; ``mask_zero=True`` keeps the padding out of the states, the loss
and the metrics. A bidirectional LSTM finds, in made-up logs, the events that belong to a break-in: a "login" counts
only if it follows three failures and comes before a "download".
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers
from pyrnn.preprocessing.sequence import pad_sequences

pyrnn.utils.set_random_seed(0)
EVENTS = ["", "read", "write", "fail", "login", "download", "logout"]
rng = np.random.default_rng(0)


def log():
    """Return events of a session and whether each belongs to a break-in."""
    events, tags = [], []
    for _ in range(rng.integers(2, 6)):
        kind = rng.integers(3)
        quiet = list(rng.choice(["read", "write", "logout"], size=rng.integers(1, 4)))
        piece = [["fail"] * 3 + ["login"], ["fail", "login"], ["login"]][kind] + quiet
        piece += ["download"] if rng.random() < 0.5 else []
        events += piece
        tags += [int(kind == 0 and piece[-1] == "download")] * len(piece)
    return events, tags


logs = [log() for _ in range(3000)]
x = pad_sequences([[EVENTS.index(event) for event in events] for events, _ in logs], padding="post")
y = pad_sequences([tags for _, tags in logs], padding="post")[..., None].astype("float32")
print(x.shape)

# %%

model = pyrnn.Sequential(
    [
        layers.Embedding(len(EVENTS), 8, mask_zero=True),
        layers.Bidirectional(layers.LSTM(24, return_sequences=True)),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", weighted_metrics=["accuracy"])
history = model.fit(x, y, batch_size=64, epochs=8, validation_split=0.2, verbose=0)
print(f"right tags among real events: {history.history['val_accuracy'][-1]:.1%}")

# %%
# What the model sees in one log: grey where nothing was logged any more.

chances = model.predict(x[-12:], verbose=0)[..., 0]
shown = np.where(x[-12:] > 0, chances, np.nan)
plt.figure(figsize=(9, 3.5))
plt.gca().set_facecolor("lightgrey")
plt.imshow(shown, aspect="auto", cmap="coolwarm", vmin=0, vmax=1)
plt.colorbar(label="probability of a break-in")
plt.xlabel("event")
plt.ylabel("session")
plt.tight_layout()
