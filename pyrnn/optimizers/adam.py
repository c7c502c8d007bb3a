"""Adam and AdamW."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer
from pyrnn.rules import Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Adam", "AdamW"]

Array = NDArray[Any]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014) with the "epsilon hat" before its section 2.1; AMSGrad: Reddi et al. 2018."""

    default_name = "adam"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NonNegative = 1e-7,
        amsgrad: Flag = False,
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
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        pairs: tuple[tuple[str, ...], ...] = (("momentum", "velocity"),)
        return (*pairs, ("velocity_hat",)) if self.amsgrad else pairs

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        backend.adam_step(
            values,
            gradients,
            self.slots["momentum"],
            self.slots["velocity"],
            self.slots.get("velocity_hat"),
            learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.iterations + 1,
        )

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    default_name = "adam_w"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        weight_decay: NonNegative | None = 0.004,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NonNegative = 1e-7,
        amsgrad: Flag = False,
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
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay, got None: use Adam without one")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
