"""Metrics over several batches of unequal size, with and without sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from pyrnn import metrics

RNG = np.random.default_rng(1)
T, P = RNG.normal(size=(7, 3)) + 2, RNG.normal(size=(7, 3)) + 2
PROBABILITIES = RNG.uniform(0.05, 0.95, size=(7, 3))
LABELS = RNG.integers(0, 2, size=(7, 3))
CLASSES = RNG.integers(0, 3, size=7)
WEIGHTS = RNG.uniform(size=7)

# name -> (y_true, y_pred, values of each sample)
CASES: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {
    "mse": (T, P, ((T - P) ** 2).mean(-1)),
    "mae": (T, P, np.abs(T - P).mean(-1)),
    "mape": (T, P, 100 * np.abs((T - P) / T).mean(-1)),
    "log_cosh": (T, P, np.log(np.cosh(T - P)).mean(-1)),
    "binary_accuracy": (LABELS, PROBABILITIES, ((PROBABILITIES > 0.5) == LABELS).mean(-1)),
    "categorical_accuracy": (np.eye(3)[CLASSES], PROBABILITIES, (PROBABILITIES.argmax(-1) == CLASSES) * 1.0),
    "sparse_categorical_accuracy": (CLASSES, PROBABILITIES, (PROBABILITIES.argmax(-1) == CLASSES) * 1.0),
    "accuracy": (LABELS, LABELS[::-1], (LABELS[::-1] == LABELS).mean(-1)),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_over_batches(name: str, weighted: bool) -> None:
    y_true, y_pred, values = CASES[name]
    metric: Any = metrics.get(name)
    for _ in range(2):  # the second round proves that reset forgets the first
        metric.reset_state()
        for part in (slice(0, 4), slice(4, 5), slice(5, 7)):
            metric.update_state(y_true[part], y_pred[part], WEIGHTS[part] if weighted else None)
    assert_close(metric.result(), np.average(values, weights=WEIGHTS if weighted else None), 21)


def test_root_mean_squared_error() -> None:
    metric = metrics.RootMeanSquaredError()
    metric.update_state(T[:5], P[:5])
    metric.update_state(T[5:], P[5:])
    assert_close(metric.result(), np.sqrt(((T - P) ** 2).mean()), 21)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "kind"),
    [
        ((4, 1), (4, 1), "BinaryAccuracy"),
        ((4,), (4, 1), "BinaryAccuracy"),
        ((4, 3), (4, 3), "CategoricalAccuracy"),
        ((4,), (4, 3), "SparseCategoricalAccuracy"),
        ((4, 1), (4, 3), "SparseCategoricalAccuracy"),
    ],
)
def test_accuracy_follows_the_shapes(y_true: tuple[int, ...], y_pred: tuple[int, ...], kind: str) -> None:
    metric = metrics.resolve("acc", y_true, y_pred)
    assert type(metric).__name__ == kind and metric.name == "acc"


def test_empty_mean_users_function_and_names() -> None:
    assert metrics.Mean().result() == 0.0

    def worst(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).max()

    metric = metrics.get(worst)
    assert metric.name == "worst"
    assert_close(metric(T, P), np.abs(T - P).max(), 1)
    assert metrics.get("mse").name == "mse" and metrics.get("rmse").name == "rmse"
    with pytest.raises(ValueError, match="did you mean 'mean_squared_error'"):
        metrics.get("mean_squared_eror")


@pytest.mark.parametrize("name", sorted(metrics.NAMES))
def test_configs(name: str) -> None:
    metric = metrics.get(name)
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
