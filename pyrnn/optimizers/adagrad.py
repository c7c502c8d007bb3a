"""Adagrad and Adadelta: steps by the squares of all past gradients."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.rules import Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Adadelta", "Adagrad"]

Array = NDArray[Any]


class Adagrad(Optimizer):
    """Adagrad: divides the gradient by the root of the sum of its squares.

    a += g**2, w -= rate * g / sqrt(a + epsilon).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        initial_accumulator_value: Initial value of the sum, at least 0.
        epsilon: Added inside the root, at least 0.
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
        >>> model.compile(pyrnn.optimizers.Adagrad(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9012]], dtype=float32)

    Source: Duchi et al. 2011.
    """

    default_name = "adagrad"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        initial_accumulator_value: NonNegative = 0.1,
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
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator",),)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        accumulator, change = self.slots["accumulator"], self.scratch()
        np.square(gradients, out=change)
        accumulator += change
        np.add(accumulator, self.epsilon, out=change)
        np.sqrt(change, out=change)
        np.divide(gradients, change, out=change)
        change *= learning_rate
        values -= change

    def get_config(self) -> dict[str, Any]:
        config = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Adadelta(Optimizer):
    """Adadelta: scales steps by the ratio of the mean squares of earlier steps and of gradients.

    a = rho * a + (1 - rho) * g**2, d = -g * sqrt(b + epsilon) / sqrt(a + epsilon), b = rho * b + (1 - rho) * d**2,
    w += rate * d.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        rho: Momentum of the mean squares, from 0 to 1.
        epsilon: Added inside the roots, at least 0.
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
        >>> model.compile(pyrnn.optimizers.Adadelta(1.0), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9986]], dtype=float32)

    Source: Zeiler 2012 (where the rate is 1).
    """

    default_name = "adadelta"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        rho: Rate = 0.95,
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
        self.rho, self.epsilon = rho, epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulated_grad", "accumulated_delta_var"),)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        squares, changes = self.slots["accumulated_grad"], self.slots["accumulated_delta_var"]
        change, other = self.scratch(0), self.scratch(1)
        self._blend(squares, gradients, other)
        np.add(changes, self.epsilon, out=change)
        np.add(squares, self.epsilon, out=other)
        change /= other
        np.sqrt(change, out=change)
        change *= gradients
        self._blend(changes, change, other)
        change *= learning_rate
        values -= change

    def _blend(self, mean: Array, new: Array, scratch: Array) -> None:
        """mean = rho * mean + (1 - rho) * new**2."""
        np.square(new, out=scratch)
        scratch *= 1 - self.rho
        mean *= self.rho
        mean += scratch

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
