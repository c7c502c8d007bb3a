"""Working with recurrent layers: what Keras's guide of that name shows for Sequential models.

Covers layers, stacks, outputs and states, stateful layers, Bidirectional and cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers


def first_model() -> pyrnn.Sequential:
    """Return a model from word ids to ten classes."""
    return pyrnn.Sequential([layers.Embedding(input_dim=1000, output_dim=64), layers.LSTM(128), layers.Dense(10)])


def stack() -> pyrnn.Sequential:
    """Return a stack of layers: return_sequences=True passes every step to the next layer, not just the last."""
    return pyrnn.Sequential(
        [
            layers.Embedding(input_dim=1000, output_dim=64),
            layers.GRU(256, return_sequences=True),
            layers.SimpleRNN(128),
            layers.Dense(10),
        ]
    )


def encoder_and_decoder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Start a layer from the states of another: return_state=True returns them, initial_state= accepts them."""
    _, state_h, state_c = layers.LSTM(64, return_state=True)(x)
    output: np.ndarray = layers.LSTM(64)(y, initial_state=[state_h, state_c])
    return output


def carried_over(paragraphs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Read a long sequence in parts with a stateful layer, and as a whole; both outputs are the same."""
    lstm = layers.LSTM(16, stateful=True)
    for paragraph in paragraphs:
        output = lstm(paragraph)
    lstm.reset_states()
    return output, lstm(np.concatenate(paragraphs, axis=1))


def bidirectional() -> pyrnn.Sequential:
    """Return a model whose layers read the sequence from both ends and concatenate the outputs."""
    return pyrnn.Sequential(
        [
            pyrnn.Input((5, 10)),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(32)),
            layers.Dense(10),
        ]
    )


def rows_of_pictures(model: Any, epochs: int) -> float:
    """Classify pictures of 16 x 16 by reading them row by row: one of their four quarters is bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1200)
    pictures = rng.normal(0, 0.3, (len(labels), 16, 16)).astype("float32")
    for picture, label in zip(pictures, labels, strict=True):
        picture[8 * (label // 2) :][:8, 8 * (label % 2) :][:, :8] += rng.normal(0.8, 0.2)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    model.fit(pictures[:1000], labels[:1000], batch_size=32, epochs=epochs, verbose=0)
    return float(model.evaluate(pictures[1000:], labels[1000:], verbose=0)[1])


def picture_model(use_cell: bool) -> pyrnn.Sequential:
    """Return a model with LSTM(64), or with RNN(LSTMCell(64)), which computes the same."""
    recurrent = layers.RNN(layers.LSTMCell(64)) if use_cell else layers.LSTM(64)
    return pyrnn.Sequential(
        [pyrnn.Input((None, 16)), recurrent, layers.BatchNormalization(), layers.Dense(4, activation="softmax")]
    )


def main(epochs: int = 5) -> dict[str, Any]:
    """Run everything and return what the tests check."""
    pyrnn.utils.set_random_seed(0)
    ids = np.random.default_rng(0).integers(0, 1000, (4, 12))
    outputs = {"first": first_model()(ids), "stack": stack()(ids)}
    x = np.random.default_rng(1).normal(size=(20, 10, 50)).astype("float32")
    outputs["decoded"] = encoder_and_decoder(x, x[:, :7])
    outputs["pieces"], outputs["whole"] = carried_over([x, x, x])
    model = bidirectional()
    model.summary()
    outputs["bidirectional"] = model(x[:, :5, :10])
    accuracies = [rows_of_pictures(picture_model(use_cell), epochs) for use_cell in (False, True)]
    print(f"accuracy: LSTM {accuracies[0]:.1%}, RNN(LSTMCell) {accuracies[1]:.1%}")
    return {**outputs, "accuracies": accuracies}


if __name__ == "__main__":
    main()
