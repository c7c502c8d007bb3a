"""FTRL."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.rules import Number, Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Ftrl"]

Array = NDArray[Any]


class Ftrl(Optimizer):
    """Follow the regularized leader.

    n' = n + g**2, p = -learning_rate_power, z += g + 2 * shrinkage * w - (n'**p - n**p) / rate * w,
    w = (clip(z, -l1, l1) - z) / (n'**p / rate + 2 * (l2 + beta / (2 * rate))).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        learning_rate_power: Exponent of the accumulated squares, at most 0.
        initial_accumulator_value: Initial value of n, at least 0.
        l1_regularization_strength: l1, at least 0.
        l2_regularization_strength: l2, at least 0.
        l2_shrinkage_regularization_strength: Shrinkage, at least 0.
        beta: At least 0.
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
        >>> model.compile(pyrnn.optimizers.Ftrl(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.7451]], dtype=float32)

    Source: McMahan et al. 2013; the shrinkage is Keras's.
    """

    default_name = "ftrl"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        learning_rate_power: Annotated[float, Number(most=0)] = -0.5,
        initial_accumulator_value: NonNegative = 0.1,
        l1_regularization_strength: NonNegative = 0.0,
        l2_regularization_strength: NonNegative = 0.0,
        l2_shrinkage_regularization_strength: NonNegative = 0.0,
        beta: NonNegative = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator", "linear"),)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        accumulator, linear = self.slots["accumulator"], self.slots["linear"]
        change, power = self.scratch(0), self.scratch(1)
        np.power(accumulator, -self.learning_rate_power, out=change)
        np.square(gradients, out=power)
        accumulator += power
        np.power(accumulator, -self.learning_rate_power, out=power)
        np.subtract(power, change, out=change)
        change /= -learning_rate
        change += 2 * self.l2_shrinkage_regularization_strength
        change *= values
        linear += gradients
        linear += change
        power /= learning_rate
        power += 2 * self.l2_regularization_strength + self.beta / learning_rate
        np.clip(linear, -self.l1_regularization_strength, self.l1_regularization_strength, out=change)
        change -= linear
        np.divide(change, power, out=values)

    def get_config(self) -> dict[str, Any]:
        config = {
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
        return {**super().get_config(), **config}
