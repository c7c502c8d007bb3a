"""Read a sequence from both ends.

Each sequence contains one mark; the label is the class of the token right after it. A forward LSTM reads the mark
before that token, a backward LSTM reads the token first; together they see each step with its past and its future. The
layers are those of Keras's example "Bidirectional LSTM": Embedding, two bidirectional LSTMs and one sigmoid unit.
"""

from __future__ import annotations

import numpy as np

import pyrnn
from pyrnn import layers

WORDS, LENGTH, MARK = 20, 20, 1


def make_data(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return word ids (count, LENGTH) and labels (count, 1): whether the word after MARK is in the upper half."""
    rng = np.random.default_rng(seed)
    x = rng.integers(2, WORDS, (count, LENGTH))
    at = rng.integers(0, LENGTH - 1, count)
    rows = np.arange(count)
    x[rows, at] = MARK
    return x, (x[rows, at + 1] >= (WORDS + 2) // 2).astype("float32")[:, None]


def main(count: int = 4000, epochs: int = 8) -> float:
    """Train and return the accuracy on unseen sequences."""
    pyrnn.utils.set_random_seed(0)
    x, y = make_data(count)
    model = pyrnn.Sequential(
        [
            layers.Embedding(WORDS, 16),
            layers.Bidirectional(layers.LSTM(16, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(16)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.1, verbose=2)
    model.summary()
    return float(model.evaluate(*make_data(1000, seed=1), verbose=0)[1])


if __name__ == "__main__":
    print(f"accuracy: {main():.1%}")
