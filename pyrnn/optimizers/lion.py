"""Lion."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.rules import Number, Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Lion"]

Array = NDArray[Any]


class Lion(Optimizer):
    """Lion: steps by the sign of an average gradient.

    w -= rate * sign(beta_1 * m + (1 - beta_1) * g), then m = beta_2 * m + (1 - beta_2) * g.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_1: Momentum in the sign, above 0 and below 1.
        beta_2: Momentum of the mean gradient, at least 0 and below 1.
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
        >>> model.compile(pyrnn.optimizers.Lion(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9]], dtype=float32)

    Source: Chen et al. 2023.
    """

    default_name = "lion"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        beta_1: Annotated[float, Number(0, 1, open_ends="()")] = 0.9,
        beta_2: Decay = 0.99,
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
        self.beta_1, self.beta_2 = beta_1, beta_2

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        momentum, change, other = self.slots["momentum"], self.scratch(0), self.scratch(1)
        np.multiply(momentum, self.beta_1, out=change)
        np.multiply(gradients, 1 - self.beta_1, out=other)
        change += other
        np.sign(change, out=change)
        change *= learning_rate
        values -= change
        np.multiply(gradients, 1 - self.beta_2, out=other)
        momentum *= self.beta_2
        momentum += other

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
