"""RMSprop."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import Optimizer, Rate

Array = NDArray[Any]


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square (Tieleman and Hinton 2012); epsilon stands inside the root."""

    default_name = "rm_sprop"

    @checked()
    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
