"""A character RNN that writes Python: trained on windows of text, run one character at a time.

The text is the source of a module of the standard library. `model.stream()` keeps the states of all layers, so each new
character costs microseconds instead of another pass over the whole text. The last lines check that the stream agrees
with `predict`.
"""

from __future__ import annotations

import inspect
import textwrap
import time
from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers


def windows(text: np.ndarray, length: int, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (count, length) of a text at random positions, and the same windows one character later."""
    starts = rng.integers(len(text) - length - 1, size=count)
    places = starts[:, None] + np.arange(length)
    return text[places], text[places + 1]


def write(model: pyrnn.Sequential, prompt: np.ndarray, count: int, temperature: float, seed: int = 0) -> np.ndarray:
    """Return the prompt and `count` characters drawn one after the other; low temperatures favour likely characters."""
    rng = np.random.default_rng(seed)
    stream = model.stream()
    for character in prompt:
        probabilities = stream.step([character])[0]
    text = list(prompt)
    for _ in range(count):
        chances = np.asarray(probabilities, np.float64) ** (1 / temperature)
        text.append(rng.choice(len(chances), p=chances / chances.sum()))
        probabilities = stream.step([text[-1]])[0]
    return np.array(text)


def main(units: int = 64, count: int = 4000, epochs: int = 6) -> dict[str, Any]:
    """Train, write, and return what the tests check."""
    pyrnn.utils.set_random_seed(3)
    source = inspect.getsource(textwrap)
    alphabet = sorted(set(source))
    text = np.array([alphabet.index(character) for character in source])
    x, y = windows(text, 60, np.random.default_rng(3), count)
    model = pyrnn.Sequential(
        [
            layers.Embedding(len(alphabet), 24),
            layers.LSTM(units, return_sequences=True),
            layers.LSTM(units, return_sequences=True),
            layers.Dense(len(alphabet), activation="softmax"),
        ]
    )
    model.compile(pyrnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=2).history

    prompt = text[:20]
    begin = time.perf_counter()
    written = write(model, prompt, 300, temperature=0.5)
    spent = (time.perf_counter() - begin) / len(written)
    print("".join(alphabet[number] for number in written))
    print(f"\n{spent * 1e6:.0f} us per character, including the draw")

    # At each step, the stream returns what predict returns for all characters so far.
    stream = model.stream()
    streamed = np.stack([stream.step([number])[0] for number in written])
    whole = model.predict(written[None], verbose=0)[0]
    return {"history": history, "written": written, "prompt": prompt, "streamed": streamed, "whole": whole}


if __name__ == "__main__":
    main()
