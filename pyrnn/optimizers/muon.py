"""Muon."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend, rules
from pyrnn.arguments import checked
from pyrnn.optimizers.base import LearningRateLike, Optimizer, State, shared
from pyrnn.parameters import ParameterVector, Weight
from pyrnn.rules import ListOf, Whole
from pyrnn.typing import Count, Decay, Finite, Flag, Name, NonNegative, Positive, Rate, Size

__all__ = ["Muon"]

Array = NDArray[Any]


class Muon(Optimizer):
    """Muon: steps of matrices are orthogonalized; other weights take Adam's steps.

    m = momentum * m + g, w -= rate * scale * O(g + momentum * m), where O is `ns_steps` Newton-Schulz steps
    X <- muon_a * X + (muon_b * X X' + muon_c * (X X')**2) X from X / |X|, and scale = rms_rate * sqrt(larger side).

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        adam_beta_1: Adam's momentum of the mean gradient, at least 0 and below 1.
        adam_beta_2: Adam's momentum of the mean square, at least 0 and below 1.
        adam_weight_decay: Weight decay of weights that take Adam's steps, at least 0, or None.
        epsilon: Added to Adam's root, at least 0.
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
        exclude_layers: Regular expressions; matrices whose path contains a match take Adam's steps.
        exclude_embeddings: Whether embeddings take Adam's steps.
        muon_a: Coefficient of X.
        muon_b: Coefficient of X X' X.
        muon_c: Coefficient of (X X')**2 X.
        adam_lr_ratio: Adam's step size relative to `learning_rate`, at least 0.
        momentum: From 0 to 1.
        ns_steps: Number of Newton-Schulz steps, at least 1.
        nesterov: Whether to use Nesterov's momentum; otherwise the step is O(m).
        rms_rate: Root mean square of a step relative to Adam's, from 0 to 1; None for a scale of 1.

    Raises:
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument is out of its range, or several clips are set.

    Example:
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        >>> model.compile(pyrnn.optimizers.Muon(0.1), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()[0].round(4)
        array([[0.9857]], dtype=float32)

    Source: Jordan et al. 2024; the scale: Liu et al. 2025.
    """

    default_name = "muon"

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike = 0.001,
        adam_beta_1: Decay = 0.9,
        adam_beta_2: Decay = 0.999,
        adam_weight_decay: NonNegative | None = 0.004,
        epsilon: NonNegative = 1e-7,
        weight_decay: NonNegative | None = 0.004,
        clipnorm: Positive | None = None,
        clipvalue: Positive | None = None,
        global_clipnorm: Positive | None = None,
        use_ema: Flag = False,
        ema_momentum: Rate = 0.99,
        ema_overwrite_frequency: Count | None = None,
        loss_scale_factor: Positive | None = None,
        gradient_accumulation_steps: Annotated[int, Whole(2)] | None = None,
        name: Name | None = None,
        exclude_layers: Annotated[Sequence[str], ListOf(rules.Text())] | None = None,
        exclude_embeddings: Flag = True,
        muon_a: Finite = 3.4445,
        muon_b: Finite = -4.7750,
        muon_c: Finite = 2.0315,
        adam_lr_ratio: NonNegative = 1,
        momentum: Rate = 0.95,
        ns_steps: Size = 5,
        nesterov: Flag = True,
        rms_rate: Rate | None = 0.2,
    ) -> None:
        super().__init__(**shared(locals()))
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate

    def uses_adam(self, weight: Weight) -> bool:
        """Return whether a weight takes Adam's steps.

        Args:
            weight: The weight.

        Returns:
            True for vectors and for excluded matrices.
        """
        if len(weight.shape) != 2 or (self.exclude_embeddings and "embedding" in weight.path.lower()):
            return True
        return any(re.search(keyword, weight.path) for keyword in self.exclude_layers)

    def make_state(self, parameters: ParameterVector) -> None:
        self.momentums = [np.zeros(weight.shape, weight.dtype) for weight in parameters.weights]
        self.velocities = [
            np.zeros(weight.shape, weight.dtype) if self.uses_adam(weight) else None for weight in parameters.weights
        ]

    def state(self) -> State:
        state = super().state()
        if self.parameters is not None:
            for weight, momentum, velocity in zip(
                self.parameters.weights, self.momentums, self.velocities, strict=True
            ):
                state.append((weight, "momentum", momentum))
                if velocity is not None:
                    state.append((weight, "velocity", velocity))
        return state

    def decays(self) -> bool:
        return self.weight_decay is not None or self.adam_weight_decay is not None

    def decay_of(self, weight: Weight) -> float | None:
        return self.adam_weight_decay if self.uses_adam(weight) else self.weight_decay

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        assert self.parameters is not None
        for weight, momentum, velocity in zip(self.parameters.weights, self.momentums, self.velocities, strict=True):
            gradient = self.parameters.view(gradients, weight)
            if velocity is None:
                momentum *= self.momentum
                momentum += gradient
                direction = gradient + self.momentum * momentum if self.nesterov else momentum
                scale = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(weight.shape))
                weight.array[...] -= self._orthogonalize(direction) * (learning_rate * scale)
                continue
            backend.adam_step(
                weight.array.reshape(-1),
                gradient.reshape(-1),
                momentum.reshape(-1),
                velocity.reshape(-1),
                None,
                learning_rate * self.adam_lr_ratio,
                self.adam_beta_1,
                self.adam_beta_2,
                self.epsilon,
                self._updates + 1,
            )

    def _orthogonalize(self, matrix: Array) -> Array:
        """The nearest matrix with equal singular values, about."""
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix
        x = x / (math.sqrt(np.vdot(matrix, matrix)) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + (self.muon_c * square) @ square) @ x
        return np.asarray(x.T if tall else x)

    def get_config(self) -> dict[str, Any]:
        config = {
            "adam_beta_1": self.adam_beta_1,
            "adam_beta_2": self.adam_beta_2,
            "epsilon": self.epsilon,
            "exclude_layers": self.exclude_layers,
            "muon_a": self.muon_a,
            "muon_b": self.muon_b,
            "muon_c": self.muon_c,
            "adam_lr_ratio": self.adam_lr_ratio,
            "momentum": self.momentum,
            "ns_steps": self.ns_steps,
            "nesterov": self.nesterov,
            "exclude_embeddings": self.exclude_embeddings,
            "adam_weight_decay": self.adam_weight_decay,
            "rms_rate": self.rms_rate,
        }
        return {**super().get_config(), **config}
