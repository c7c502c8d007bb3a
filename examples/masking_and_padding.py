"""Sequences of different lengths: padding turns them into one array, a mask marks the real steps.

Covers Keras's guide "Masking and padding": `pad_sequences`, Embedding(mask_zero=True), Masking, how the mask reaches
later layers, and a custom layer that changes a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers
from pyrnn.preprocessing.sequence import pad_sequences

SENTENCES = [[711, 632, 71], [73, 8, 3215, 55, 927], [83, 91, 1, 645, 1253, 927]]


class TakeEverySecond(layers.Layer):
    """Keep every second step, and the same steps of the mask: a layer that changes time must change the mask too."""

    supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, features = input_shape
        return (batch, None if time is None else -(-time // 2), features)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return None if mask is None else np.ascontiguousarray(mask[:, ::2])

    def forward(self, x: np.ndarray, *, training: bool = False, mask: Any = None) -> np.ndarray:
        if training:
            self._shape = x.shape
        return np.ascontiguousarray(x[:, ::2])

    def backward(self, dy: np.ndarray, *, need_dx: bool = True) -> Any:
        dx = np.zeros(self._shape, dy.dtype)
        dx[:, ::2] = dy
        return dx if need_dx else None


def main() -> dict[str, Any]:
    """Run the guide and return what the tests check."""
    pyrnn.utils.set_random_seed(0)
    padded = pad_sequences(SENTENCES, padding="post")
    print(padded)

    embedding = layers.Embedding(input_dim=5000, output_dim=16, mask_zero=True)
    vectors = embedding(padded)
    mask = embedding.compute_mask(padded)
    print(mask)

    # Masking does the same for numbers: it masks the steps that are all zeros.
    masking = layers.Masking()
    same = masking.compute_mask(vectors * mask[..., None])

    # A model passes the mask on; more padding changes nothing.
    model = pyrnn.Sequential([embedding, TakeEverySecond(), layers.LSTM(8), layers.Dense(1)])
    short, long = model.predict(padded, verbose=0), model.predict(np.pad(padded, ((0, 0), (0, 4))), verbose=0)

    # By hand, layer by layer.
    lstm = layers.LSTM(8)
    by_hand = lstm(vectors, mask=mask)
    alone = np.concatenate([lstm(embedding(np.array([ids]))) for ids in SENTENCES])
    return {"mask": mask, "same": same, "short": short, "long": long, "by_hand": by_hand, "alone": alone}


if __name__ == "__main__":
    main()
