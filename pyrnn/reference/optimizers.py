"""Optimizer steps on flat vectors, in place, in Keras 3's form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sgd_step(
    weights: Array,
    gradients: Array,
    momentum: Array | None,
    learning_rate: float,
    momentum_rate: float,
    nesterov: bool,
    count: Array | None = None,
) -> None:
    if momentum is None:
        weights -= learning_rate * gradients
    else:
        momentum[...] = momentum_rate * momentum - learning_rate * gradients
        weights += momentum_rate * momentum - learning_rate * gradients if nesterov else momentum
    _raise(count)


def rmsprop_step(
    weights: Array,
    gradients: Array,
    velocity: Array,
    momentum: Array | None,
    average_gradient: Array | None,
    learning_rate: float,
    rho: float,
    momentum_rate: float,
    epsilon: float,
    count: Array | None = None,
) -> None:
    velocity[...] = rho * velocity + (1 - rho) * gradients**2
    denominator = velocity + epsilon
    if average_gradient is not None:
        average_gradient[...] = rho * average_gradient + (1 - rho) * gradients
        denominator = denominator - average_gradient**2
    step = learning_rate * gradients / np.sqrt(denominator)
    if momentum is not None:
        momentum[...] = momentum_rate * momentum + step
        step = momentum
    weights -= step
    _raise(count)


def adam_step(
    weights: Array,
    gradients: Array,
    momentum: Array,
    velocity: Array,
    velocity_hat: Array | None,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    count: Array | None = None,
) -> None:
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    alpha = learning_rate * float(np.sqrt(1 - beta_2**step)) / (1 - beta_1**step)
    momentum += (gradients - momentum) * (1 - beta_1)
    velocity += (gradients**2 - velocity) * (1 - beta_2)
    second = velocity
    if velocity_hat is not None:
        velocity_hat[...] = np.maximum(velocity_hat, velocity)
        second = velocity_hat
    weights -= momentum * alpha / (np.sqrt(second) + epsilon)
    _raise(count)


def _raise(count: Array | None) -> None:
    if count is not None:
        count += 1
