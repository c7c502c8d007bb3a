"""Learn to add: read a question such as "47+8" character by character and write the characters of its sum.

An LSTM reads the question, RepeatVector passes its last output to every step of the answer, and a second LSTM writes
the answer. Questions are read backwards, so that the least significant digits come first. After Keras's example
"Sequence to sequence learning for performing number addition" (Sutskever et al. 2014; Zaremba and Sutskever 2014).
"""

from __future__ import annotations

import argparse

import numpy as np

import pyrnn
from pyrnn import layers

CHARACTERS = "0123456789+ "


def encode(texts: list[str], length: int) -> np.ndarray:
    """Return one-hot characters (texts, length, 12)."""
    codes = np.array([[CHARACTERS.index(character) for character in text.ljust(length)] for text in texts])
    return np.eye(len(CHARACTERS), dtype="float32")[codes]


def decode(probabilities: np.ndarray) -> list[str]:
    """Return the most likely characters of each row."""
    return ["".join(CHARACTERS[code] for code in row).strip() for row in probabilities.argmax(axis=-1)]


def make_data(count: int, digits: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return `count` different questions, reversed, and their answers."""
    rng = np.random.default_rng(seed)
    pairs: dict[tuple[int, int], None] = {}
    while len(pairs) < count:
        first, second = sorted(int(number) for number in rng.integers(10 ** rng.integers(1, digits + 1, 2)))
        pairs[first, second] = None
    questions = [f"{first}+{second}".ljust(2 * digits + 1)[::-1] for first, second in pairs]
    return questions, [str(first + second) for first, second in pairs]


def main(count: int = 20000, digits: int = 3, epochs: int = 30, units: int = 128) -> float:
    """Train, print some answers, and return the fraction of correct characters on unseen questions."""
    pyrnn.utils.set_random_seed(0)
    questions, answers = make_data(count, digits)
    x, y = encode(questions, 2 * digits + 1), encode(answers, digits + 1)
    model = pyrnn.Sequential(
        [
            pyrnn.Input((2 * digits + 1, len(CHARACTERS))),
            layers.LSTM(units),
            layers.RepeatVector(digits + 1),
            layers.LSTM(units, return_sequences=True),
            layers.Dense(len(CHARACTERS), activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    held_out = count // 10
    model.fit(
        x[:-held_out],
        y[:-held_out],
        batch_size=32,
        epochs=epochs,
        validation_data=(x[-held_out:], y[-held_out:]),
        verbose=2,
    )
    for question, right, guess in zip(
        questions[-5:], answers[-5:], decode(model.predict(x[-5:], verbose=0)), strict=True
    ):
        print(f"{question[::-1].strip():>8} = {right:<5} guessed {guess:<5} {'yes' if guess == right else 'no'}")
    return float(model.evaluate(x[-held_out:], y[-held_out:], verbose=0)[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--digits", type=int, default=3)
    options = parser.parse_args()
    print(f"correct characters: {main(digits=options.digits, epochs=options.epochs):.1%}")
