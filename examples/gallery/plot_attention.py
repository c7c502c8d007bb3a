"""
What attention looks at
=======================

A model reads a row of digits and writes them backwards. Its attention weights show from which digit it copies each one.
"""

import matplotlib.pyplot as plt
import numpy as np

import pyrnn
from pyrnn import layers

pyrnn.utils.set_random_seed(0)
length, count = 8, 4000
digits = np.random.default_rng(0).integers(1, 10, size=(count, length))
backwards = digits[:, ::-1]
before = np.concatenate([np.zeros((count, 1), int), backwards[:, :-1]], axis=1)  # what was written so far

# %%
# An encoder, a decoder that starts from the encoder's last state, and attention between the two.

read, written = layers.Input((length,), name="read"), layers.Input((length,), name="written")
encoded, state = layers.GRU(48, return_sequences=True, return_state=True)(layers.Embedding(10, 16)(read))
decoded = layers.GRU(48, return_sequences=True)(layers.Embedding(10, 16)(written), initial_state=state)
context, scores = layers.Attention(use_scale=True)([decoded, encoded], return_attention_scores=True)
logits = layers.Dense(10, activation="softmax")(layers.Concatenate()([decoded, context]))
model = pyrnn.Model([read, written], logits)
model.compile(pyrnn.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit([digits, before], backwards, epochs=10, batch_size=64, validation_split=0.2, verbose=0)
print(f"right digits: {history.history['val_accuracy'][-1]:.1%}")

# %%
# Another model on the same layers returns the weights.

weights = pyrnn.Model([read, written], scores).predict([digits[-1:], before[-1:]], verbose=0)[0]
plt.figure(figsize=(4.5, 4))
plt.imshow(weights, cmap="Greys", vmin=0)
plt.xticks(range(length), digits[-1])
plt.yticks(range(length), backwards[-1])
plt.xlabel("read")
plt.ylabel("written")
plt.tight_layout()
