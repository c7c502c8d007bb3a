"""Transfer learning: reuse a recurrent layer that was trained on another task; both models can train it.

A GRU learns to distinguish waves of five shapes from many examples. `Sequential([*old.layers[:-1], ...])` puts a new
classifier on the same layer, for three shapes with few labelled examples: first with the layer frozen, then fine-tuned
at a small learning rate. The layer has one set of weights, so the old model sees what the new one changes, and each
model keeps its own optimizer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers

LENGTH = 40
# Wave shapes: functions of the phase, from 0 to 1.
COMMON = [
    lambda phase: np.sin(2 * np.pi * phase),
    lambda phase: np.sign(0.5 - phase),
    lambda phase: 2 * phase - 1,
    lambda phase: 1 - 2 * phase,
    lambda phase: np.abs(np.sin(np.pi * phase)),
]
RARE = [
    lambda phase: 1 - 4 * np.abs(phase - 0.5),
    lambda phase: np.sign(0.25 - phase),
    lambda phase: np.sin(2 * np.pi * phase) ** 3,
]


def waves(shapes: list[Any], count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy waves (count, LENGTH, 1) of random period, phase and shape, and the index of each shape."""
    numbers = rng.integers(len(shapes), size=count)
    period, offset = rng.uniform(8, 20, (count, 1)), rng.uniform(0, 1, (count, 1))
    phase = (np.arange(LENGTH) / period + offset) % 1
    values = np.stack([shape(phase) for shape in shapes])[numbers, np.arange(count)]
    return (values + rng.normal(0, 0.15, values.shape)).astype(np.float32)[..., None], numbers


def compiled(model: pyrnn.Sequential, rate: float) -> pyrnn.Sequential:
    """Compile the model with Adam at this learning rate and return it."""
    model.compile(pyrnn.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(count: int = 3000, labelled: int = 30, epochs: int = 20) -> dict[str, Any]:
    """Train all models and return what the tests check."""
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

    # Fine-tuning: train the whole new model at a small learning rate. This changes the layer of the old model, too.
    base.trainable = True
    compiled(new, 0.002).fit(*few, epochs=2 * epochs, verbose=0)
    tuned, changed = accuracy(new, test), accuracy(old, many_test)
    print(f"fine-tuned: {tuned:.3f}; the old model on the changed layer: {changed:.3f}")

    # The old model continues training from its optimizer state.
    assert old.optimizer is not None
    steps = old.optimizer.iterations
    old.fit(*many, epochs=2, verbose=0)
    repaired = accuracy(old, many_test)
    print(f"the old model after two more epochs: {repaired:.3f}")

    # For comparison: a new model trained on the few labels only.
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
