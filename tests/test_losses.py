"""Losses: values against their formulas, gradients against finite differences, weights, reductions, names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from pyrnn import losses

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(6, 3)) + 2
PROBABILITIES = RNG.uniform(0.05, 0.95, size=(6, 3))
LABELS = RNG.integers(0, 2, size=(6, 3)).astype(float)
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0, 2]]
CLASSES = np.array([0, 2, 1, 1, 0, 2])


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def normalised(p: np.ndarray) -> np.ndarray:
    return p / p.sum(-1, keepdims=True)


def huber(error: np.ndarray, delta: float) -> np.ndarray:
    size = np.abs(error)
    return np.where(size <= delta, error**2 / 2, delta * size - delta**2 / 2)


# name -> (loss, y_true, y_pred, the values of each sample)
CASES: dict[str, tuple[Any, np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "mse": ("mse", NUMBERS, NUMBERS[::-1], lambda t, p: ((t - p) ** 2).mean(-1)),
    "mae": ("mean_absolute_error", NUMBERS, NUMBERS[::-1], lambda t, p: np.abs(t - p).mean(-1)),
    "mape": ("mape", NUMBERS, NUMBERS[::-1], lambda t, p: 100 * np.abs((t - p) / t).mean(-1)),
    "msle": ("MSLE", np.abs(NUMBERS), np.abs(NUMBERS[::-1]), lambda t, p: (np.log((t + 1) / (p + 1)) ** 2).mean(-1)),
    "huber": (losses.Huber(delta=0.7), NUMBERS, NUMBERS[::-1], lambda t, p: huber(t - p, 0.7).mean(-1)),
    "log_cosh": (losses.LogCosh(), NUMBERS, NUMBERS[::-1], lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    "bce": (
        "binary_crossentropy",
        LABELS,
        PROBABILITIES,
        lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1),
    ),
    "bce-logits-smoothed": (
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        LABELS,
        NUMBERS,
        lambda t, z: (np.log(1 + np.exp(z)) - (0.9 * t + 0.05) * z).mean(-1),
    ),
    "cce": ("categorical_crossentropy", ONE_HOT, PROBABILITIES, lambda t, p: -(t * np.log(normalised(p))).sum(-1)),
    "cce-logits-smoothed": (
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        ONE_HOT,
        NUMBERS,
        lambda t, z: -((0.7 * t + 0.1) * log_softmax(z)).sum(-1),
    ),
    "scce": (
        "sparse_categorical_crossentropy",
        CLASSES,
        PROBABILITIES,
        lambda t, p: -np.log(normalised(p))[np.arange(6), t],
    ),
    "scce-logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
        NUMBERS,
        lambda t, z: -log_softmax(z)[np.arange(6), t],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str) -> None:
    given, y_true, y_pred, formula = CASES[name]
    loss = losses.get(given)
    assert loss is not None
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    assert_close(value, formula(y_true, y_pred).mean(), y_pred.size)
    for index in np.ndindex(y_pred.shape):
        around = []
        for step in (1e-6, -1e-6):
            moved = y_pred.copy()
            moved[index] += step
            around.append(formula(y_true, moved).mean())
        assert abs((around[0] - around[1]) / 2e-6 - gradient[index]) < 1e-7


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_weights_and_reductions(reduction: str) -> None:
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    values = ((NUMBERS - NUMBERS[::-1]) ** 2).mean(-1)
    expected = (values * weights).sum()
    expected /= {"sum_over_batch_size": 6, "sum": 1, "mean_with_sample_weight": weights.sum()}[reduction]
    loss = losses.MeanSquaredError(reduction=reduction)
    value, gradient = loss.value_and_gradient(NUMBERS, NUMBERS[::-1], weights)
    assert_close(value, expected, 18)
    assert_close(loss(NUMBERS, NUMBERS[::-1], weights), expected, 18)
    assert (gradient[0] == 0).all() and (gradient[5] != 0).all()


def test_no_reduction_gives_each_sample() -> None:
    loss = losses.MeanAbsoluteError(reduction="none")
    assert_close(loss(NUMBERS, NUMBERS[::-1]), np.abs(NUMBERS - NUMBERS[::-1]).mean(-1), 3)
    with pytest.raises(ValueError, match="reduction='none' gives no single value"):
        loss.value_and_gradient(NUMBERS, NUMBERS[::-1])


def test_masked_steps_do_not_count_in_the_mean() -> None:
    y_true, y_pred = RNG.normal(size=(2, 4, 1)), RNG.normal(size=(2, 4, 1))
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    value, gradient = losses.MeanSquaredError().value_and_gradient(y_true, y_pred, None, mask)
    assert_close(value, ((y_true - y_pred)[..., 0] ** 2)[mask].mean(), 8)
    assert (gradient[~mask] == 0).all()


def test_mape_at_zero_labels_is_cut_as_in_keras() -> None:
    value, _ = losses.MeanAbsolutePercentageError().value_and_gradient(np.zeros((1, 1)), np.full((1, 1), 1e-7))
    assert_close(value, 100.0, 1)


@pytest.mark.parametrize("name", sorted(losses.NAMES))
def test_names_and_configs(name: str) -> None:
    loss = losses.get(name)
    assert loss is not None
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    if name in losses.FUNCTIONS:
        assert type(losses.get(losses.FUNCTIONS[name])) is type(loss)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: losses.get("mean_square_error"), ValueError, "did you mean 'mean_squared_error'"),
        (lambda: losses.get(3), TypeError, "loss must be"),
        (lambda: losses.Huber(reduction="median"), ValueError, "reduction must be one of"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), ValueError, "label_smoothing"),
        (lambda: losses.get("mse").value_and_gradient(np.zeros((4, 3)), np.zeros((4, 2))), ValueError, "y_true must"),
        (
            lambda: losses.get("sparse_categorical_crossentropy").value_and_gradient(np.array([3]), np.ones((1, 3))),
            ValueError,
            r"y_true must lie in 0..2, got 3..3",
        ),
        (
            lambda: losses.get("mse").value_and_gradient(np.zeros((4, 1)), np.zeros((4, 1)), np.ones(3)),
            ValueError,
            "sample_weight must broadcast",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
