"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, shared
from pyrnn.rules import Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate

__all__ = ["SGD"]

Array = NDArray[Any]


class SGD(Optimizer):
    """Gradient descent, optionally with momentum.

    w -= rate * g; with momentum m = momentum * m - rate * g and w += m; with Nesterov's w += momentum * m - rate * g.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        momentum: From 0 to 1.
        nesterov: Whether to use Nesterov's momentum.
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
        >>> model.compile(pyrnn.optimizers.SGD(0.1, momentum=0.9), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.8]], dtype=float32)
    """

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
        super().__init__(**shared(locals()))
        self.momentum, self.nesterov = momentum, nesterov

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        self._in_core(values, gradients, learning_rate)

    def _in_core(self, values: Array, gradients: Array, learning_rate: float, count: Array | None = None) -> None:
        backend.sgd_step(
            values,
            gradients,
            self.slots.get("momentum"),
            learning_rate,
            self.momentum,
            self.nesterov,
            count,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
