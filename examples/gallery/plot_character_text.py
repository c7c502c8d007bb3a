"""
Text, one character at a time
=============================

Two LSTM layers learn to continue Python source code. ``model.stream()`` keeps their states, so each new character costs
microseconds instead of another pass over the text.
"""

import inspect
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

pyrnn.utils.set_random_seed(0)
source = inspect.getsource(textwrap)
alphabet = sorted(set(source))
text = np.array([alphabet.index(character) for character in source])
starts = np.random.default_rng(0).integers(len(text) - 61, size=2000)
places = starts[:, None] + np.arange(60)

model = pyrnn.Sequential(
    [
        layers.Embedding(len(alphabet), 24),
        layers.LSTM(64, return_sequences=True),
        layers.LSTM(64, return_sequences=True),
        layers.Dense(len(alphabet), activation="softmax"),
    ]
)
model.compile(pyrnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
history = model.fit(text[places], text[places + 1], batch_size=32, epochs=6, verbose=0)

# %%
# The model writes. A low temperature favours likely characters.

rng = np.random.default_rng(0)
stream = model.stream()
written = [alphabet.index(character) for character in "    def wrap("]
for character in written:
    chances = stream.step([character])[0]
for _ in range(400):
    weights = np.asarray(chances, np.float64) ** (1 / 0.5)
    written.append(int(rng.choice(len(weights), p=weights / weights.sum())))
    chances = stream.step([written[-1]])[0]
print("".join(alphabet[character] for character in written))

# %%
# How sure it is of each character that it wrote last.

stream.reset()
sure = [float(stream.step([character])[0].max()) for character in written[-80:]]
plt.figure(figsize=(9, 2.5))
plt.bar(range(80), sure, width=0.9)
plt.xticks(range(80), [alphabet[character] for character in written[-79:]] + [""], family="monospace", fontsize=7)
plt.ylabel("largest probability")
plt.tight_layout()
