"""Every loss of Keras and its options: value of each reduction, sample weights, and the gradient."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from tolerance import assert_close

from pyrnn import losses

SHAPE, CLASSES = (6, 5), 4
TERMS = 64
RNG = np.random.default_rng(11)


def softmax(x: np.ndarray) -> np.ndarray:
    y = np.exp(x)
    return y / y.sum(axis=-1, keepdims=True)


NUMBERS = RNG.normal(size=SHAPE), RNG.normal(size=SHAPE)
POSITIVE = RNG.random(SHAPE) + 0.1, RNG.random(SHAPE) + 0.1
BINARY = RNG.integers(0, 2, SHAPE), RNG.random(SHAPE) * 0.9 + 0.05
LOGITS = BINARY[0], RNG.normal(size=SHAPE)
ONE_HOT = np.eye(CLASSES)[RNG.integers(0, CLASSES, SHAPE)], softmax(RNG.normal(size=(*SHAPE, CLASSES)))
ONE_HOT_LOGITS = ONE_HOT[0], RNG.normal(size=(*SHAPE, CLASSES))
LABELS = RNG.integers(0, CLASSES, SHAPE), ONE_HOT[1]
LABELS_LOGITS = LABELS[0], ONE_HOT_LOGITS[1]
AXIS = np.moveaxis(ONE_HOT[0], -1, 1), np.moveaxis(ONE_HOT[1], -1, 1)
_vectors = RNG.normal(size=(8, 3))
CIRCLE = RNG.integers(0, 3, 8), _vectors / np.linalg.norm(_vectors, axis=1, keepdims=True)

CASES: dict[str, tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]] = {
    "MeanSquaredError": ({}, NUMBERS),
    "MeanAbsoluteError": ({}, NUMBERS),
    "MeanAbsolutePercentageError": ({}, POSITIVE),
    "MeanSquaredLogarithmicError": ({}, POSITIVE),
    "Huber": ({}, NUMBERS),
    "Huber:delta": ({"delta": 0.3}, NUMBERS),
    "LogCosh": ({}, NUMBERS),
    "Poisson": ({}, POSITIVE),
    "CosineSimilarity": ({}, NUMBERS),
    "CosineSimilarity:axis": ({"axis": 0}, NUMBERS),
    "Hinge": ({}, BINARY),
    "Hinge:signs": ({}, (2 * BINARY[0] - 1, NUMBERS[1])),
    "SquaredHinge": ({}, LOGITS),
    "CategoricalHinge": ({}, ONE_HOT_LOGITS),
    "KLDivergence": ({}, (ONE_HOT[1], softmax(ONE_HOT_LOGITS[1]))),
    "BinaryCrossentropy": ({}, BINARY),
    "BinaryCrossentropy:logits": ({"from_logits": True}, LOGITS),
    "BinaryCrossentropy:smooth": ({"label_smoothing": 0.2}, BINARY),
    "BinaryCrossentropy:axis": ({"axis": 0}, BINARY),
    "BinaryFocalCrossentropy": ({}, BINARY),
    "BinaryFocalCrossentropy:all": (
        {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0, "label_smoothing": 0.1},
        BINARY,
    ),
    "BinaryFocalCrossentropy:logits": ({"from_logits": True}, LOGITS),
    "CategoricalCrossentropy": ({}, ONE_HOT),
    "CategoricalCrossentropy:logits": ({"from_logits": True}, ONE_HOT_LOGITS),
    "CategoricalCrossentropy:smooth": ({"label_smoothing": 0.2}, ONE_HOT),
    "CategoricalCrossentropy:axis": ({"axis": 1}, AXIS),
    "CategoricalFocalCrossentropy": ({}, ONE_HOT),
    "CategoricalFocalCrossentropy:logits": ({"from_logits": True, "alpha": 0.5, "gamma": 1.5}, ONE_HOT_LOGITS),
    "CategoricalFocalCrossentropy:smooth": ({"label_smoothing": 0.2}, ONE_HOT),
    "SparseCategoricalCrossentropy": ({}, LABELS),
    "SparseCategoricalCrossentropy:logits": ({"from_logits": True}, LABELS_LOGITS),
    "SparseCategoricalCrossentropy:ignore": ({"ignore_class": 2}, LABELS),
    "SparseCategoricalCrossentropy:ignore-logits": ({"ignore_class": 0, "from_logits": True}, LABELS_LOGITS),
    "CategoricalGeneralizedCrossEntropy": ({}, LABELS),
    "CategoricalGeneralizedCrossEntropy:q": ({"q": 0.8}, LABELS),
    "Dice": ({}, BINARY),
    "Dice:axis": ({"axis": (1,)}, BINARY),
    "Tversky": ({"alpha": 0.3, "beta": 0.8}, BINARY),
    "Tversky:axis": ({"axis": (1,)}, BINARY),
    "Circle": ({}, CIRCLE),
    "Circle:all": ({"gamma": 5.0, "margin": 0.3, "remove_diagonal": False}, CIRCLE),
}
# Keras cannot read its own description of these.
UNREADABLE = ("CategoricalGeneralizedCrossEntropy",)
SHORT = ("bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE")
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]


def make(library: Any, case: str, **more: Any) -> Any:
    return getattr(library, case.split(":")[0])(**CASES[case][0], **more)


def arrays(case: str) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = CASES[case][1]
    return y_true if y_true.dtype.kind == "i" else y_true.astype("float32"), y_pred.astype("float32")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradient(case: str, weighted: bool) -> None:
    y_true, y_pred = arrays(case)
    for reduction in REDUCTIONS:
        theirs, ours = make(keras.losses, case, reduction=reduction), make(losses, case, reduction=reduction)
        values = make(losses, case, reduction="none")(y_true, y_pred)
        weight = np.linspace(0.5, 2, values.size).reshape(values.shape).astype("float32") if weighted else None
        prediction = torch.tensor(y_pred, requires_grad=True)
        expected = theirs(torch.tensor(y_true), prediction, None if weight is None else torch.tensor(weight))
        actual = np.asarray(ours(y_true, y_pred, weight), "float32")
        assert_close(actual, expected.detach().numpy(), TERMS, reduction)
        if reduction == "none":
            continue
        expected.backward()
        value, gradient = ours.value_and_gradient(y_true, y_pred, weight)
        assert_close(np.float32(value), expected.detach().numpy(), TERMS, reduction)
        assert prediction.grad is not None
        assert_close(gradient, prediction.grad.numpy(), TERMS, f"gradient, {reduction}")


@pytest.mark.parametrize("case", CASES)
def test_configs_both_ways(case: str) -> None:
    y_true, y_pred = arrays(case)
    theirs, ours = make(keras.losses, case), make(losses, case)
    description = keras.losses.serialize(theirs)
    if description["class_name"] in UNREADABLE:
        again = losses.deserialize(losses.serialize(ours))
        assert again is not None and again.get_config() == ours.get_config()
        return
    # Keras's descriptions of some losses leave options out, so what it reads back itself is what we must read.
    own = keras.losses.deserialize(description)(y_true, y_pred).detach().numpy()
    by_us = losses.deserialize(description)
    by_keras = keras.losses.deserialize(losses.serialize(ours))
    assert by_us is not None
    assert_close(np.float32(by_us(y_true, y_pred)), own, TERMS)
    if "delta" not in CASES[case][0] and "axis" not in CASES[case][0]:
        assert_close(np.float32(ours(y_true, y_pred)), by_keras(y_true, y_pred).detach().numpy(), TERMS)


FUNCTIONS = [
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "huber", "log_cosh", "poisson", "cosine_similarity", "hinge", "squared_hinge", "kl_divergence",
]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    y_true, y_pred = (each.astype("float32") for each in POSITIVE)
    assert_close(getattr(losses, name)(y_true, y_pred), getattr(keras.losses, name)(y_true, y_pred).numpy(), TERMS)


@pytest.mark.parametrize(
    "name", ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE"]
)
def test_short_names(name: str) -> None:
    y_true, y_pred = arrays("BinaryCrossentropy")
    loss = losses.get(name)
    assert loss is not None
    assert_close(np.float32(loss(y_true, y_pred)), keras.losses.get(name)(y_true, y_pred).numpy().mean(), TERMS)


def test_every_loss_is_compared() -> None:
    compared = {case.split(":")[0] for case in CASES}
    theirs = {n for n in dir(keras.losses) if isinstance(getattr(keras.losses, n), type)} - {"Loss", "CTC"}
    assert theirs <= compared
