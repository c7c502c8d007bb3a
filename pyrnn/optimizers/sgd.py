"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer
from pyrnn.rules import Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate

__all__ = ["SGD"]

Array = NDArray[Any]


class SGD(Optimizer):
    """w -= rate * g, or with momentum m = momentum * m - rate * g, w += m (Nesterov: w += momentum * m - rate * g)."""

    default_name = "sgd"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.01,
        momentum: Rate = 0.0,
        nesterov: Flag = False,
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
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
        self.momentum, self.nesterov = momentum, nesterov

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        backend.sgd_step(values, gradients, self.slots.get("momentum"), learning_rate, self.momentum, self.nesterov)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
