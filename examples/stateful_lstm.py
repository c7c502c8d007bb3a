"""Keep the state from batch to batch: a moving average over more steps than a batch contains.

The target is the mean of the last `LAG` values, but each batch contains a single step. With stateful=True each batch
starts from the state of the previous one; without it, the layer sees one value and can only guess. After Keras's
example of a stateful LSTM.
"""

from __future__ import annotations

import numpy as np

import pyrnn
from pyrnn import layers

LAG = 4
STEPS = 1000


def make_data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noise (STEPS, 1, 1) and the mean of its last LAG values (STEPS, 1)."""
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, STEPS + LAG - 1).astype("float32")
    means = np.convolve(noise, np.ones(LAG, "float32") / LAG, mode="valid")
    return noise[LAG - 1 :].reshape(-1, 1, 1), means.reshape(-1, 1)


def make_model(stateful: bool) -> pyrnn.Sequential:
    """Return a model with one LSTM, for batches of one row and one step."""
    model = pyrnn.Sequential([pyrnn.Input(batch_shape=(1, 1, 1)), layers.LSTM(20, stateful=stateful), layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    return model


def train(stateful: bool, epochs: int) -> float:
    """Train, and return the mean squared error on the last fifth, which is held out, relative to its variance."""
    pyrnn.utils.set_random_seed(1)
    x, y = make_data()
    at = STEPS * 4 // 5
    model = make_model(stateful)
    for _ in range(epochs):
        model.fit(x[:at], y[:at], batch_size=1, epochs=1, shuffle=False, verbose=0)
        if stateful:
            model.reset_states()  # the next epoch starts at the first step again
    model.predict(x[:at], batch_size=1, verbose=0)
    error = model.predict(x[at:], batch_size=1, verbose=0) - y[at:]
    return float((error**2).mean() / y[at:].var())


def main(epochs: int = 10) -> tuple[float, float]:
    """Train with and without state and return both relative errors."""
    results = train(True, epochs), train(False, epochs)
    print(f"relative error: stateful {results[0]:.3f}, stateless {results[1]:.3f}")
    return results


if __name__ == "__main__":
    main()
