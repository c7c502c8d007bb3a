"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import Optimizer, Rate

Array = NDArray[Any]


class SGD(Optimizer):
    """w -= rate * g, or with momentum m = momentum * m - rate * g, w += m (Nesterov: w += momentum * m - rate * g)."""

    default_name = "sgd"

    @checked()
    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
        self.momentum, self.nesterov = momentum, nesterov

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        backend.sgd_step(values, gradients, self.slots.get("momentum"), learning_rate, self.momentum, self.nesterov)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
