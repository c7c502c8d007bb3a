"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer
from pyrnn.parameters import ParameterVector
from pyrnn.rules import Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["ScheduleFreeAdamW"]

Array = NDArray[Any]


class ScheduleFreeAdamW(Optimizer):
    """Steps z by Adam's second moment, and averages it: x = (1 - 1/t) * x + z / t, w = (1 - beta_1) * z + beta_1 * x.

    v += (1 - beta_2) * (g**2 - v), z -= rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon); z starts at the weights, the
    rate grows linearly over `warmup_steps`. The model's weights are w, as in Keras.  Source: Defazio et al. 2024.
    """

    default_name = "schedule_free_adam_w"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.0025,
        beta_1: Decay = 0.9,
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
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
        if not beta_1 > 0:
            raise ValueError(f"beta_1 must be positive, got {beta_1}")
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def make_state(self, parameters: ParameterVector) -> None:
        self.slots["momentum"][...] = parameters.values

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        t = self.iterations + 1
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
        own = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "warmup_steps": self.warmup_steps,
        }
        return {**super().get_config(), **own}
