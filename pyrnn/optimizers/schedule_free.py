"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import Optimizer, Rate
from pyrnn.parameters import ParameterVector

Array = NDArray[Any]


class ScheduleFreeAdamW(Optimizer):
    """Steps z by Adam's second moment, and averages it: x = (1 - 1/t) * x + z / t, w = (1 - beta_1) * z + beta_1 * x.

    v += (1 - beta_2) * (g**2 - v), z -= rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon); z starts at the weights, the
    rate grows linearly over `warmup_steps`. The model's weights are w, as in Keras.  Source: Defazio et al. 2024.
    """

    default_name = "schedule_free_adam_w"

    @checked()
    def __init__(
        self,
        learning_rate: Rate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
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
