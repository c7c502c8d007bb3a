"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.parameters import ParameterVector
from pyrnn.rules import Number, Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["ScheduleFreeAdamW"]

Array = NDArray[Any]


class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW: takes Adam's steps on z and trains an average of z, so that no schedule is needed.

    v += (1 - beta_2) * (g**2 - v), z -= rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon), x = (1 - 1/t) * x + z / t,
    w = (1 - beta_1) * z + beta_1 * x. z starts at the weights. The model's weights are w, as in Keras.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_1: Share of the average x in the weights, above 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added to the root, at least 0.
        warmup_steps: Steps over which the rate grows linearly, at least 0.
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
        >>> model.compile(pyrnn.optimizers.ScheduleFreeAdamW(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9]], dtype=float32)

    Source: Defazio et al. 2024.
    """

    default_name = "schedule_free_adam_w"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.0025,
        beta_1: Annotated[float, Number(0, 1, open_ends="()")] = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NonNegative = 1e-8,
        warmup_steps: NonNegative = 0,
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
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def make_state(self, parameters: ParameterVector) -> None:
        self.slots["momentum"][...] = parameters.values

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        t = self._updates + 1
        if self.warmup_steps > 0:
            learning_rate *= min(t / self.warmup_steps, 1.0)
        moved, velocity = self.slots["momentum"], self.slots["velocity"]
        change, other = self.scratch(0), self.scratch(1)
        np.square(gradients, out=change)
        change -= velocity
        change *= 1 - self.beta_2
        velocity += change
        np.divide(velocity, 1 - self.beta_2**t, out=other)
        np.sqrt(other, out=other)
        other += self.epsilon
        np.divide(gradients, other, out=change)
        change *= learning_rate
        # beta_1 * x of the last step, from which w was mixed.
        np.multiply(moved, 1 - self.beta_1, out=other)
        values -= other
        moved -= change
        values *= 1 - 1 / t
        np.multiply(moved, self.beta_1 / t + 1 - self.beta_1, out=other)
        values += other

    def get_config(self) -> dict[str, Any]:
        config = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "warmup_steps": self.warmup_steps,
        }
        return {**super().get_config(), **config}
