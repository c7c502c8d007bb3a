"""Transfer learning: a recurrent layer trained on one task serves another, and both models keep training it.

A GRU learns to tell waves of five shapes apart from many examples. `Sequential(old.layers[:-1] + [...])` puts a new
classifier on the same layer, for three shapes of which few examples have a label: first with the layer frozen, then
fine-tuned at a small rate. The layer has one set of weights, so the old model sees what the new one changes, and each
model keeps its own optimizer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers

LENGTH = 40
# Functions of the turn, from 0 to 1.
COMMON = [
    lambda turn: np.sin(2 * np.pi * turn),
    lambda turn: np.sign(0.5 - turn),
    lambda turn: 2 * turn - 1,
    lambda turn: 1 - 2 * turn,
    lambda turn: np.abs(np.sin(np.pi * turn)),
]
RARE = [
    lambda turn: 1 - 4 * np.abs(turn - 0.5),
    lambda turn: np.sign(0.25 - turn),
    lambda turn: np.sin(2 * np.pi * turn) ** 3,
]


def waves(shapes: list[Any], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy waves (count, LENGTH, 1) of random period, phase and shape, and the number of each one's shape."""
    numbers = rng.integers(len(shapes), size=count)
    period, phase = rng.uniform(8, 20, (count, 1)), rng.uniform(0, 1, (count, 1))
    turn = (np.arange(LENGTH) / period + phase) % 1
    values = np.stack([shape(turn) for shape in shapes])[numbers, np.arange(count)]
    return (values + rng.normal(0, 0.15, values.shape)).astype(np.float32)[..., None], numbers


def compiled(model: pyrnn.Sequential, rate: float) -> pyrnn.Sequential:
    """The model with Adam at this rate; prints and tests look at its accuracy."""
    model.compile(pyrnn.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(count: int = 3000, labelled: int = 30, epochs: int = 20) -> dict[str, Any]:
    """Train all models; returns what the tests look at."""
    pyrnn.utils.set_random_seed(2)
    rng = np.random.default_rng(2)
    many, many_test = waves(COMMON, count, rng), waves(COMMON, 600, rng)
    few, test = waves(RARE, labelled, rng), waves(RARE, 600, rng)

    def accuracy(model: pyrnn.Sequential, data: tuple[np.ndarray, np.ndarray]) -> float:
        return float(model.evaluate(*data, verbose=0)[1])

    old = pyrnn.Sequential([layers.Input((LENGTH, 1)), layers.GRU(32), layers.Dense(len(COMMON), activation="softmax")])
    compiled(old, 0.01).fit(*many, epochs=epochs, verbose=0)
    before = accuracy(old, many_test)
    print(f"five shapes, {count} labels: accuracy {before:.3f}")

    # The new task on the same layer: frozen, so that only the new Dense layer learns.
    base = old.layers[0]
    new = pyrnn.Sequential([*old.layers[:-1], layers.Dense(len(RARE), activation="softmax")])
    base.trainable = False
    weights = base.get_weights()
    compiled(new, 0.05).fit(*few, epochs=5 * epochs, verbose=0)
    untouched = all(np.array_equal(old, new) for old, new in zip(weights, base.get_weights(), strict=True))
    frozen = accuracy(new, test)
    print(f"three other shapes, {labelled} labels, on the frozen layer: {frozen:.3f}")

    # Fine-tuning: the whole new model at a small rate. This changes the layer that the old model has, too.
    base.trainable = True
    compiled(new, 0.002).fit(*few, epochs=2 * epochs, verbose=0)
    tuned, changed = accuracy(new, test), accuracy(old, many_test)
    print(f"fine-tuned: {tuned:.3f}; the old model on the changed layer: {changed:.3f}")

    # The old model trains on, from the optimizer state that it had.
    assert old.optimizer is not None
    steps = old.optimizer.iterations
    old.fit(*many, epochs=2, verbose=0)
    repaired = accuracy(old, many_test)
    print(f"the old model after two more epochs: {repaired:.3f}")

    # What the few labels teach a model that starts from nothing.
    alone = pyrnn.Sequential([layers.Input((LENGTH, 1)), layers.GRU(32), layers.Dense(len(RARE), activation="softmax")])
    compiled(alone, 0.01).fit(*few, epochs=5 * epochs, verbose=0)
    scratch = accuracy(alone, test)
    print(f"from scratch, {labelled} labels: {scratch:.3f}")
    return {
        "before": before, "frozen": frozen, "tuned": tuned, "changed": changed, "repaired": repaired,
        "scratch": scratch, "untouched": untouched, "steps": steps, "one_layer": new.layers[0] is old.layers[0],
    }  # fmt: skip


if __name__ == "__main__":
    main()
