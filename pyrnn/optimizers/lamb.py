"""LAMB."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import Optimizer, Rate

Array = NDArray[Any]


class Lamb(Optimizer):
    """Adam's direction u = m_hat / (sqrt(v_hat) + epsilon) as long as the weight: w -= rate * |w| / |u| * u.

    |w| / |u| is 1 where one of the norms is 0.  Source: You et al. 2020.
    """

    default_name = "lamb"

    @checked()
    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        t = self.iterations + 1
        momentum, velocity = self.slots["momentum"], self.slots["velocity"]
        change, other = self.scratch(0), self.scratch(1)
        np.subtract(gradients, momentum, out=change)
        change *= 1 - self.beta_1
        momentum += change
        np.square(gradients, out=change)
        change -= velocity
        change *= 1 - self.beta_2
        velocity += change
        np.divide(velocity, 1 - self.beta_2**t, out=other)
        np.sqrt(other, out=other)
        other += self.epsilon
        np.divide(momentum, 1 - self.beta_1**t, out=change)
        change /= other
        assert self.parameters is not None
        for weight in self.parameters.weights:
            part = self.parameters.view(change, weight)
            lengths = [math.sqrt(np.vdot(array, array)) for array in (weight.array, part)]
            part *= learning_rate * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0)
        values -= change

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
