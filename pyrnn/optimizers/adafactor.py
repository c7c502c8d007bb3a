"""Adafactor."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, State, shared
from pyrnn.parameters import ParameterVector, Weight
from pyrnn.rules import Whole
from pyrnn.typing import Count, Finite, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Adafactor"]

Array = NDArray[Any]


class Adafactor(Optimizer):
    """Adafactor: scales gradients by a rank-one estimate of their mean squares.

    For a weight of shape (..., n, m), with a row r (..., n), a column c (..., m), q = g**2 + epsilon_1 and beta = 1 -
    t**beta_2_decay: r = beta * r + (1 - beta) * mean(q, -1), c = beta * c + (1 - beta) * mean(q, -2), v = r / mean(r,
    -1) * c; for a vector, v is the running mean itself. u = g / sqrt(v), scaled down to a root mean square of at most
    `clip_threshold`; w -= max(epsilon_2, rms(w)) * min(rate, 1 / sqrt(t)) * u.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_2_decay: Exponent of the momentum's schedule, usually negative.
        epsilon_1: Added to the squares, at least 0.
        epsilon_2: Smallest root mean square of a weight, at least 0.
        clip_threshold: Largest root mean square of a step, above 0.
        relative_step: Stored in files; like Keras, pyrnn always takes the minimum of `learning_rate` and 1 / sqrt(t).
        weight_decay: Share by which weights shrink, times the learning rate, before each step; at least 0, or None.
        clipnorm: Largest norm of each weight's gradient, above 0, or None. At most one of the three clips may be set.
        clipvalue: Largest absolute value of a gradient's elements, above 0, or None.
        global_clipnorm: Largest norm of all gradients together, above 0, or None.
        use_ema: Whether to keep a moving average of the weights, which replaces them at the end of `fit`.
        ema_momentum: Momentum of that average, from 0 to 1.
        ema_overwrite_frequency: Steps after which the average replaces the weights each time, or None.
        loss_scale_factor: Stored in files for Keras; nothing is scaled here, since gradients are float32 or float64.
        gradient_accumulation_steps: Steps whose mean gradient makes one update, at least 2, or None.
        name: Name of the optimizer; by default its class in snake case.

    Raises:
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument is out of its range, or several clips are set.

    Example:
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        >>> model.compile(pyrnn.optimizers.Adafactor(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9]], dtype=float32)

    Source: Shazeer and Stern 2018.
    """

    default_name = "adafactor"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        beta_2_decay: Finite = -0.8,
        epsilon_1: NonNegative = 1e-30,
        epsilon_2: NonNegative = 1e-3,
        clip_threshold: Positive = 1.0,
        relative_step: Flag = True,
        weight_decay: NonNegative | None = None,
        clipnorm: Positive | None = None,
        clipvalue: Positive | None = None,
        global_clipnorm: Positive | None = None,
        use_ema: Flag = False,
        ema_momentum: Rate = 0.99,
        ema_overwrite_frequency: Count | None = None,
        loss_scale_factor: Positive | None = None,
        gradient_accumulation_steps: Annotated[int, Whole(2)] | None = None,
        name: Name | None = None,
    ) -> None:
        super().__init__(**shared(locals()))
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def make_state(self, parameters: ParameterVector) -> None:
        # Keras keeps an integer 0 in place of the row and column of a vector.
        empty = ((), np.int32)
        self.rows, self.columns = [], []
        for weight in parameters.weights:
            shape, matrix = weight.shape, len(weight.shape) > 1
            self.rows.append(np.zeros(*((shape[:-1], weight.dtype) if matrix else empty)))
            self.columns.append(np.zeros(*((shape[:-2] + shape[-1:], weight.dtype) if matrix else empty)))
        self.velocities = [np.zeros(weight.shape, weight.dtype) for weight in parameters.weights]

    def state(self) -> State:
        state = super().state()
        if self.parameters is not None:
            for weight, row, column, v in zip(
                self.parameters.weights, self.rows, self.columns, self.velocities, strict=True
            ):
                state += [(weight, "row", row), (weight, "column", column), (weight, "velocity", v)]
        return state

    def variable_name(self, weight: Weight | None, slot: str) -> str:
        return weight.name if weight is not None and slot in ("row", "column") else super().variable_name(weight, slot)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        assert self.parameters is not None
        t = self._updates + 1
        rate, share = min(learning_rate, 1 / math.sqrt(t)), float(t) ** self.beta_2_decay
        for weight, row, column, v in zip(
            self.parameters.weights, self.rows, self.columns, self.velocities, strict=True
        ):
            gradient = self.parameters.view(gradients, weight)
            squares = np.square(gradient, out=np.empty_like(gradient))  # an array also of a weight of shape ()
            squares += self.epsilon_1
            if gradient.ndim > 1:
                row += (squares.mean(axis=-1) - row) * share
                column += (squares.mean(axis=-2) - column) * share
                scaled = row / row.mean(axis=-1, keepdims=True)
                np.multiply(scaled[..., None], column[..., None, :], out=v)
            else:
                squares -= v
                squares *= share
                v += squares
            change = np.sqrt(v, out=squares)
            np.divide(gradient, change, out=change)
            change *= max(self.epsilon_2, _rms(weight.array)) * rate / max(1.0, _rms(change) / self.clip_threshold)
            weight.array[...] -= change

    def get_config(self) -> dict[str, Any]:
        config = {
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }
        return {**super().get_config(), **config}


def _rms(array: Array) -> float:
    return math.sqrt(np.vdot(array, array) / max(1, array.size))
