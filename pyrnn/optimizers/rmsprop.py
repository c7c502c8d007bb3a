"""RMSprop."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer
from pyrnn.rules import Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate

__all__ = ["RMSprop"]

Array = NDArray[Any]


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square (Tieleman and Hinton 2012); epsilon stands inside the root."""

    default_name = "rm_sprop"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        rho: Rate = 0.9,
        momentum: Rate = 0.0,
        epsilon: NonNegative = 1e-7,
        centered: Flag = False,
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
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        slots = [("velocity",)]
        if self.momentum > 0:
            slots.append(("momentum",))
        if self.centered:
            slots.append(("average_gradient",))
        return tuple(slots)

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        backend.rmsprop_step(
            values,
            gradients,
            self.slots["velocity"],
            self.slots.get("momentum"),
            self.slots.get("average_gradient"),
            learning_rate,
            self.rho,
            self.momentum,
            self.epsilon,
        )

    def get_config(self) -> dict[str, Any]:
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}
