"""Workloads: models, shapes, the weights and data that every library receives, and the float64 truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
SHORT = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7


@dataclass(frozen=True)
class Workload:
    """A stack of recurrent layers of one cell and Dense(1).

    kind: "train" (mean squared error and Adam), "predict", or "step" (one time step at a time, keeping the states).
    """

    cell: str
    batch: int
    steps: int
    features: int
    units: tuple[int, ...]
    kind: str

    @property
    def name(self) -> str:
        """A name such as "SimpleRNN 16 train B128 T100 F29"."""
        layers = "-".join(map(str, self.units))
        return f"{SHORT[self.cell]} {layers} {self.kind} B{self.batch} T{self.steps} F{self.features}"

    @property
    def flops(self) -> float:
        """Multiplications and additions of the matrix products, forward and backward, except for the gradient of x."""
        total, wide = 0.0, self.features
        rows = 2.0 * self.batch * self.steps
        for layer, units in enumerate(self.units):
            width = GATES[self.cell] * units
            forward = rows * (wide + units) * width
            backward = forward + rows * (units + (wide if layer else 0)) * width
            total += forward + (backward if self.kind == "train" else 0)
            wide = units
        return total

    @property
    def calls(self) -> int:
        """Number of calls in one pass over the data: one per time step for "step", else 1."""
        return self.steps if self.kind == "step" else 1

    @property
    def weight_bytes(self) -> int:
        """Bytes of float32 weights that a time step must read: U only if x W is computed for many steps at once."""
        widths = [0] * len(self.units) if self.kind == "predict" else [self.features, *self.units]
        return sum(4 * (a + b) * GATES[self.cell] * b for a, b in zip(widths, self.units, strict=False))

    def weights(self) -> list[Array]:
        """Return the float64 weights in Keras's layout and order: those of each layer, then those of Dense(1)."""
        rng = np.random.default_rng(0)
        weights, wide = [], self.features
        for units in self.units:
            width = GATES[self.cell] * units
            bias = (2, width) if self.cell == "gru" else (width,)
            weights += [
                rng.normal(size=(wide, width)) / np.sqrt(wide + units),
                rng.normal(size=(units, width)) / np.sqrt(wide + units),
                rng.normal(size=bias) * 0.1,
            ]
            wide = units
        return [*weights, rng.normal(size=(wide, 1)) / np.sqrt(wide), np.zeros(1)]

    def data(self) -> tuple[Array, Array]:
        """Return x (B, T, F) and y (B, 1), float32."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.batch, self.steps, self.features))
        return x.astype(np.float32), rng.normal(size=(self.batch, 1)).astype(np.float32)

    def truth(self) -> Array:
        """Return the float64 output (B, 1) of pyrnn's NumPy reference."""
        from pyrnn import reference

        h: Array = self.data()[0].astype(np.float64)
        weights = self.weights()
        for layer in range(len(self.units)):
            h, _, _ = reference.rnn_forward(
                self.cell,
                h,
                *weights[3 * layer : 3 * layer + 3],
                activation="tanh",
                recurrent_activation=None if self.cell == "simple_rnn" else "sigmoid",
                initial_state=None,
                mask=None,
                input_scale=None,
                state_scale=None,
                go_backwards=False,
                return_sequences=layer + 1 < len(self.units),
                zero_output_for_mask=False,
                checkpoint_steps=None,
                training=False,
                workspace=None,
                version=None,
            )
        return h @ weights[-2] + weights[-1]


def _cells(batch: int, steps: int, features: int, units: int, kind: str) -> list[Workload]:
    return [Workload(cell, batch, steps, features, (units,), kind) for cell in GATES]


WORKLOADS: dict[str, list[Workload]] = {
    "book": [
        Workload("simple_rnn", 128, 100, 29, (16,), "train"),
        Workload("simple_rnn", 128, 100, 29, (16, 32, 64), "train"),
    ],
    "small": _cells(32, 50, 16, 32, "train"),
    "mid": _cells(64, 50, 64, 128, "train") + _cells(64, 50, 64, 128, "predict"),
    "large": _cells(64, 100, 256, 512, "train") + _cells(64, 100, 256, 512, "predict"),
    "huge": _cells(128, 32, 1024, 1024, "train"),
    "stream": _cells(1, 50, 16, 64, "step"),
    "single": _cells(1, 100, 64, 256, "predict"),
}
