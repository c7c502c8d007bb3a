"""Adamax and Nadam: Adam by the largest gradient, and with Nesterov's momentum."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, State, shared
from pyrnn.parameters import ParameterVector
from pyrnn.rules import Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Adamax", "Nadam"]

Array = NDArray[Any]


class Adamax(Optimizer):
    """Adamax: Adam with the largest gradient in place of its root mean square.

    m += (1 - beta_1) * (g - m), u = max(beta_2 * u, |g|), w -= rate / (1 - beta_1**t) * m / (u + epsilon).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_1: Momentum of the mean gradient, at least 0 and below 1.
        beta_2: Decay of the largest gradient, at least 0 and below 1.
        epsilon: Added to the largest gradient, at least 0.
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
        >>> model.compile(pyrnn.optimizers.Adamax(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9]], dtype=float32)

    Source: Kingma and Ba 2014, section 7.1.
    """

    default_name = "adamax"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NonNegative = 1e-7,
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
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "norm"),)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        momentum, norm, change = self.slots["momentum"], self.slots["norm"], self.scratch()
        np.subtract(gradients, momentum, out=change)
        change *= 1 - self.beta_1
        momentum += change
        np.abs(gradients, out=change)
        norm *= self.beta_2
        np.maximum(norm, change, out=norm)
        np.add(norm, self.epsilon, out=change)
        np.divide(momentum, change, out=change)
        change *= learning_rate / (1 - self.beta_1 ** (self._updates + 1))
        values -= change

    def get_config(self) -> dict[str, Any]:
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Nadam(Optimizer):
    """Nadam: Adam with Nesterov's momentum, on the schedule u_t = beta_1 * (1 - 0.96**t / 2), U_t = u_1 * ... * u_t.

    With m and v as in Adam: m_hat = u_(t+1) * m / (1 - U_(t+1)) + (1 - u_t) * g / (1 - U_t), v_hat = v / (1 -
    beta_2**t), w -= rate * m_hat / (sqrt(v_hat) + epsilon).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_1: Momentum of the mean gradient, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added to the root, at least 0.
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
        >>> model.compile(pyrnn.optimizers.Nadam(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.8937]], dtype=float32)

    Source: Dozat 2015.
    """

    default_name = "nadam"
    DECAY = 0.96

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NonNegative = 1e-7,
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
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def make_state(self, parameters: ParameterVector) -> None:
        self.product = np.ones((), parameters.dtype)

    def state(self) -> State:
        # Keras gives the product no name of its own.
        return [*super().state(), (None, "variable", self.product)] if self.built else []

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        t = self._updates + 1
        now, then = (self.beta_1 * (1 - 0.5 * self.DECAY**step) for step in (t, t + 1))
        self.product *= now
        product = float(self.product)
        momentum, velocity = self.slots["momentum"], self.slots["velocity"]
        change, other = self.scratch(0), self.scratch(1)
        np.subtract(gradients, momentum, out=change)
        change *= 1 - self.beta_1
        momentum += change
        np.square(gradients, out=change)
        change -= velocity
        change *= 1 - self.beta_2
        velocity += change
        np.multiply(momentum, learning_rate * then / (1 - product * then), out=change)
        np.multiply(gradients, learning_rate * (1 - now) / (1 - product), out=other)
        change += other
        np.divide(velocity, 1 - self.beta_2**t, out=other)
        np.sqrt(other, out=other)
        other += self.epsilon
        change /= other
        values -= change

    def get_config(self) -> dict[str, Any]:
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **config}
