"""Optimizers against the formulas of Keras's source, clipping, decay, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from pyrnn import optimizers
from pyrnn.constraints import NonNeg
from pyrnn.parameters import ParameterVector, Weight

STEPS, SHAPES = 5, ((3, 4), (4,))
Step = Callable[[int, np.ndarray, np.ndarray, dict[str, np.ndarray]], np.ndarray]


def sgd(momentum: float, nesterov: bool) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        m = s["m"] = momentum * s.get("m", 0) - 0.1 * g
        return w + (momentum * m - 0.1 * g if nesterov else m)

    return step


def rmsprop(momentum: float, centered: bool) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        v = s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
        a = s["a"] = 0.9 * s.get("a", 0) + 0.1 * g
        change = 0.1 * g / np.sqrt(v - a**2 * centered + 1e-3)
        change = s["m"] = momentum * s.get("m", 0) + change
        return w - change

    return step


def adam(amsgrad: bool, decay: float = 0.0) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        w = w - w * decay * 0.1
        m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
        best = s["best"] = np.maximum(s.get("best", 0), v)
        alpha = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return w - alpha * m / (np.sqrt(best if amsgrad else v) + 1e-7)

    return step


CASES: dict[str, tuple[Callable[[], Any], Step]] = {
    "sgd": (lambda: optimizers.SGD(0.1), sgd(0, False)),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), sgd(0.9, False)),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), sgd(0.9, True)),
    "rmsprop": (lambda: optimizers.RMSprop(0.1, epsilon=1e-3), rmsprop(0, False)),
    "centered": (lambda: optimizers.RMSprop(0.1, momentum=0.5, epsilon=1e-3, centered=True), rmsprop(0.5, True)),
    "adam": (lambda: optimizers.Adam(0.1), adam(False)),
    "amsgrad": (lambda: optimizers.Adam(0.1, amsgrad=True), adam(True)),
    "adam-decay": (lambda: optimizers.Adam(0.1, weight_decay=0.01), adam(False, 0.01)),
    "adamw": (lambda: optimizers.AdamW(0.1), adam(False, 0.004)),
}


def parameters() -> ParameterVector:
    vector = ParameterVector([Weight(shape, f"w{i}", "float64") for i, shape in enumerate(SHAPES)])
    vector.values[:] = np.random.default_rng(0).normal(size=len(vector))
    return vector


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    make, formula = CASES[name]
    optimizer, vector, rng = make(), parameters(), np.random.default_rng(1)
    optimizer.build(vector)
    expected, state = vector.values.copy(), {}
    # Keras keeps the learning rate as float32: so do the formulas' steps, to its rounding.
    terms = STEPS * (np.finfo(np.float32).eps / np.finfo(np.float64).eps) ** 2
    for t in range(1, STEPS + 1):
        vector.gradients[:] = rng.normal(size=len(vector))
        expected = formula(t, expected, vector.gradients.copy(), state)
        optimizer.step()
    assert_close(vector.values, expected, int(terms))
    assert optimizer.iterations == STEPS


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name: str) -> None:
    optimizer = CASES[name][0]()
    again = optimizers.get(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


def clipped(**option: float) -> np.ndarray:
    """Gradients 3, 3, ... and 4, 4, ... of the two weights after clipping."""
    vector, optimizer = parameters(), optimizers.SGD(1.0, **option)
    optimizer.build(vector)
    before = vector.values.copy()
    for weight, value in zip(vector.weights, (3.0, 4.0), strict=True):
        weight.gradient[...] = value
    optimizer.step()
    return before - vector.values


def test_clipping() -> None:
    norms = np.sqrt(12) * 3, np.sqrt(4) * 4
    assert_close(clipped(clipvalue=2.0), np.full(16, 2.0), 1)
    assert_close(clipped(clipnorm=1.0), np.repeat([3 / norms[0], 4 / norms[1]], [12, 4]), 12)
    assert_close(clipped(global_clipnorm=1.0), np.repeat([3.0, 4.0], [12, 4]) / np.hypot(*norms), 16)
    assert_close(clipped(global_clipnorm=1e3), np.repeat([3.0, 4.0], [12, 4]), 16)


def test_learning_rate_can_change_and_constraints_hold() -> None:
    vector = ParameterVector([Weight((3,), "w", "float64", constraint=NonNeg())])
    optimizer = optimizers.SGD(0.5)
    optimizer.build(vector)
    vector.gradients[:] = [1.0, -1.0, -2.0]
    optimizer.step()
    assert (vector.values == [0.0, 0.5, 1.0]).all()
    optimizer.lr = 0.25
    assert optimizer.learning_rate == 0.25
    vector.gradients[:] = [-1.0, 0.0, 0.0]
    optimizer.step()
    assert (vector.values == [0.25, 0.5, 1.0]).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optimizers.get("adma"), ValueError, "did you mean .*'adam'"),
        (lambda: optimizers.Adam(learning_rate="fast"), TypeError, "learning_rate must be a number"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of clipnorm"),
        (lambda: optimizers.SGD(clipnorm=-1.0), ValueError, "clipnorm must be positive"),
        (lambda: optimizers.SGD(momentum=2.0), ValueError, "momentum"),
        (lambda: optimizers.Adam(use_ema=True, ema_momentum=1.5), ValueError, "ema_momentum must lie in"),
        (lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=-1), ValueError, "ema_overwrite_frequency"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=1), ValueError, "must be at least 2, got 1"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=2.5), TypeError, "must be an integer"),
        (lambda: optimizers.Adam(loss_scale_factor=0.0), ValueError, "loss_scale_factor must be positive"),
        (lambda: optimizers.Adam(beta1=0.9), TypeError, "did you mean 'beta_1'"),
        (lambda: optimizers.SGD(lr=0.1), TypeError, "use learning_rate"),
        (lambda: optimizers.SGD(0.1, decay=1e-3), TypeError, "decay.*schedule"),
        (lambda: optimizers.Ftrl(learning_rate_power=1.0), ValueError, "learning_rate_power must be at most 0"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), ValueError, "l1_regularization_strength"),
        (lambda: optimizers.Lion(beta_1=0.0), ValueError, "beta_1 must lie in"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1.0), ValueError, "initial_accumulator_value"),
        (lambda: optimizers.SGD().exclude_from_weight_decay(var_names="bias"), TypeError, "list of strings"),
        (lambda: optimizers.SGD().exclude_from_weight_decay(var_list=["w"]), TypeError, "weights of a model"),
        (lambda: optimizers.SGD().step(), ValueError, "call build"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
