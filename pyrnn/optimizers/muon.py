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
from pyrnn.optimizers.base import LearningRateLike, Optimizer, State
from pyrnn.parameters import ParameterVector, Weight
from pyrnn.rules import ListOf, Whole
from pyrnn.typing import Count, Decay, Finite, Flag, Name, NonNegative, Positive, Rate, Size

__all__ = ["Muon"]

Array = NDArray[Any]


class Muon(Optimizer):
    """Steps of matrices are orthogonalized: m = momentum * m + g, w -= rate * scale * O(g + momentum * m).

    O is `ns_steps` Newton-Schulz steps X <- muon_a * X + (muon_b * X X' + muon_c * (X X')**2) X from X / |X|;
    scale = rms_rate * sqrt(larger side), or 1 if `rms_rate` is None; without `nesterov` it is O(m).
    All other weights take Adam's step at adam_lr_ratio * rate: vectors, weights in whose path an expression of
    `exclude_layers` is found, and embeddings (`exclude_embeddings`); they decay by `adam_weight_decay`.
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
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate

    def uses_adam(self, weight: Weight) -> bool:
        """Whether a weight takes Adam's step."""
        if len(weight.shape) != 2 or (self.exclude_embeddings and "embedding" in weight.path.lower()):
            return True
        return any(re.search(keyword, weight.path) for keyword in self.exclude_layers)

    def make_state(self, parameters: ParameterVector) -> None:
        self.momentums = [np.zeros(weight.shape, weight.dtype) for weight in parameters.weights]
        self.velocities = [
            np.zeros(weight.shape, weight.dtype) if self.uses_adam(weight) else None for weight in parameters.weights
        ]

    def state(self) -> State:
        found = super().state()
        if self.parameters is not None:
            for weight, momentum, velocity in zip(
                self.parameters.weights, self.momentums, self.velocities, strict=True
            ):
                found.append((weight, "momentum", momentum))
                if velocity is not None:
                    found.append((weight, "velocity", velocity))
        return found

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
                self.iterations + 1,
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
        own = {
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
        return {**super().get_config(), **own}
