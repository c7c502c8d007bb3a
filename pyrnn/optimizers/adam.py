"""Adam and AdamW."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import arguments_of, checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.rules import Whole
from pyrnn.typing import Count, Decay, Flag, Name, NonNegative, Positive, Rate

__all__ = ["Adam", "AdamW"]

Array = NDArray[Any]


class Adam(Optimizer):
    """Adam: steps by running means of the gradient and of its square.

    m += (1 - beta_1) * (g - m), v += (1 - beta_2) * (g**2 - v),
    w -= rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        beta_1: Momentum of the mean gradient, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added to the root, at least 0 (the "epsilon hat" of section 2.1 in the paper).
        amsgrad: Whether to use the largest mean square so far.
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
        >>> model.compile(pyrnn.optimizers.Adam(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9]], dtype=float32)

    Source: Kingma and Ba 2014; AMSGrad: Reddi et al. 2018.
    """

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
        super().__init__(**shared(locals()))
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        pairs: tuple[tuple[str, ...], ...] = (("momentum", "velocity"),)
        return (*pairs, ("velocity_hat",)) if self.amsgrad else pairs

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        self._in_core(values, gradients, learning_rate)

    def _in_core(self, values: Array, gradients: Array, learning_rate: float, count: Array | None = None) -> None:
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
            self._updates + 1,
            count,
        )

    def get_config(self) -> dict[str, Any]:
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **config}


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        weight_decay: Share by which weights shrink, times the learning rate, before each step; at least 0, or None.
        beta_1: Momentum of the mean gradient, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added to the root, at least 0.
        amsgrad: Whether to use the largest mean square so far.
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
        >>> model.compile(pyrnn.optimizers.AdamW(0.1, weight_decay=0.5), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.85]], dtype=float32)

    Source: Loshchilov and Hutter 2019.
    """

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
        super().__init__(**arguments_of(locals()))
