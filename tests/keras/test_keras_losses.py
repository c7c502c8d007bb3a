"""Every loss of Keras and its options: value of each reduction, sample weights, and the gradient."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import torch
from tolerance import assert_close

from pyrnn import layers, losses

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


# What probabilities and numbers may come to at the ends of float32.
EDGES = np.array([0, 1, 1e-45, 1e-38, 1e-30, 1e-12, 1e-8, 1e-7, 1 - 1e-7, 1 - 6e-8], "float32")
FAR = np.array([0, 1, 20, 88, 104, 1e4, 1e10, 1e20, 3e38], "float32")
OF_NUMBERS = ("MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh", "CosineSimilarity", "Hinge", "SquaredHinge")
# At a kink, each library has its own derivative.
KINKS = ("MeanSquaredLogarithmicError", "Hinge", "CategoricalHinge")


def at_the_ends(case: str, shape: tuple[int, ...], draw: int) -> np.ndarray:
    rng = np.random.default_rng(draw)
    name = case.split(":")[0]
    if name in (*OF_NUMBERS, "CategoricalHinge") or "logits" in case:
        return (rng.choice(FAR, shape) * rng.choice([-1, 1], shape)).astype("float32")
    return rng.choice(EDGES, shape)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("Circle")])
def test_finite_where_keras_is(case: str) -> None:
    y_true, y_pred = arrays(case)
    theirs, ours = make(keras.losses, case, reduction="sum"), make(losses, case, reduction="sum")
    for draw in range(20):
        extreme = at_the_ends(case, y_pred.shape, draw)
        prediction = torch.tensor(extreme, requires_grad=True)
        expected = theirs(torch.tensor(y_true), prediction)
        expected.backward()
        assert prediction.grad is not None
        value, gradient = ours.value_and_gradient(y_true, extreme)
        if np.isfinite(expected.item()):
            assert_close(np.float32(value), expected.detach().numpy(), TERMS, f"value of draw {draw}")
        finite = np.isfinite(prediction.grad.numpy())
        assert np.isfinite(gradient[finite]).all(), f"draw {draw}: {extreme[finite & ~np.isfinite(gradient)]}"
        if case.split(":")[0] not in KINKS:
            assert_close(gradient[finite], prediction.grad.numpy()[finite], TERMS, f"gradient of draw {draw}")


HEADS = {
    "softmax, one-hot": ("softmax", "CategoricalCrossentropy"),
    "softmax, labels": ("softmax", "SparseCategoricalCrossentropy"),
    "softmax, divergence": ("softmax", "KLDivergence"),
    "sigmoid": ("sigmoid", "BinaryCrossentropy"),
    "sigmoid, focal": ("sigmoid", "BinaryFocalCrossentropy"),
    "softplus": ("softplus", "Poisson"),
    "log_softmax": ("log_softmax", "MeanSquaredError"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("head", HEADS)
def test_activation_and_loss_are_finite_where_keras_is(head: str) -> None:
    activation, name = HEADS[head]
    y_true, y_pred = arrays(name)
    theirs, ours = make(keras.losses, name), make(losses, name)
    for draw in range(20):
        rng = np.random.default_rng(draw)
        logits = rng.choice(FAR[:-2], y_pred.shape) * rng.choice([-1, 1], y_pred.shape).astype("float32")
        tensor = torch.tensor(logits, requires_grad=True)
        expected = theirs(torch.tensor(y_true), keras.activations.get(activation)(tensor))
        expected.backward()
        assert tensor.grad is not None
        layer = layers.Activation(activation)
        layer.build(logits.shape)
        value, dy = ours.value_and_gradient(y_true, layer.forward(logits, training=True))
        gradient = layer.backward(dy)
        assert gradient is not None
        if np.isfinite(expected.item()):
            assert_close(np.float32(value), expected.detach().numpy(), TERMS, f"value of draw {draw}")
        finite = np.isfinite(tensor.grad.numpy())
        assert np.isfinite(gradient[finite]).all(), f"draw {draw}: {logits[finite & ~np.isfinite(gradient)]}"
        assert_close(gradient[finite], tensor.grad.numpy()[finite], TERMS, f"gradient of draw {draw}")


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
    expected = keras.losses.deserialize(description)(y_true, y_pred).detach().numpy()
    by_us = losses.deserialize(description)
    by_keras = keras.losses.deserialize(losses.serialize(ours))
    assert by_us is not None
    assert_close(np.float32(by_us(y_true, y_pred)), expected, TERMS)
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


@pytest.mark.parametrize("name", SHORT)
def test_short_names(name: str) -> None:
    y_true, y_pred = arrays("BinaryCrossentropy")
    y_true, y_pred = (each.astype("float32") for each in (y_true, y_pred))
    ours, theirs = losses.get(name), keras.losses.get(name)
    assert inspect.isfunction(ours) == inspect.isfunction(theirs)
    assert_close(np.float32(ours(y_true, y_pred)), theirs(y_true, y_pred).numpy(), TERMS)


def test_every_loss_is_compared() -> None:
    compared = {case.split(":")[0] for case in CASES}
    theirs = {n for n in dir(keras.losses) if isinstance(getattr(keras.losses, n), type)} - {"Loss", "CTC"}
    assert theirs <= compared


STEPS = (4, 3)
MASK = np.array([[True, False, True], [True, True, True], [False, False, True], [True, True, False]])
_truth, _share = RNG.integers(0, 2, (*STEPS, 5)), RNG.random((*STEPS, 5)) * 0.9 + 0.05
_one_hot = np.eye(5)[RNG.integers(0, 5, STEPS)]
# case -> (loss, options, y_true, sample_weight, mask); y_pred is `_share`
WEIGHED: dict[str, tuple[str, dict[str, Any], np.ndarray, Any, Any]] = {
    "one weight a row of steps": ("MeanSquaredError", {}, _truth, RNG.random((4, 1)), None),
    "mask": ("MeanAbsoluteError", {}, _truth, None, MASK),
    "mask and weights": ("BinaryCrossentropy", {}, _truth, RNG.random(STEPS), MASK),
    "all masked": ("Huber", {}, _truth, None, np.zeros(STEPS, bool)),
    "no weight": ("Poisson", {}, _truth, np.zeros((4, 1)), None),
    "one value, weights": ("Dice", {}, _truth, RNG.random(4), None),
    "one value, columns of weights": ("Dice", {}, _truth, RNG.random((4, 1)), None),
    "one value, mask": ("Tversky", {"axis": (0, 1, 2)}, _truth, None, MASK),
    "a value a sample, columns of weights": ("Dice", {"axis": (1, 2)}, _truth, RNG.random((4, 1)), None),
    "smoothed along another axis": (
        "CategoricalCrossentropy",
        {"axis": 1, "label_smoothing": 0.2},
        _one_hot,
        RNG.random((4, 5)),
        None,
    ),
    "ignored class, mask": ("SparseCategoricalCrossentropy", {"ignore_class": 1}, _one_hot.argmax(-1), None, MASK),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", WEIGHED)
def test_weights_and_masks(case: str, reduction: str) -> None:
    name, options, y_true, weight, mask = WEIGHED[case]
    y_pred = _share.astype("float32")
    y_true = y_true if y_true.ndim == 2 else y_true.astype("float32")
    weight = None if weight is None else weight.astype("float32")
    prediction = torch.tensor(y_pred, requires_grad=True)
    if mask is not None:
        keras.src.backend.set_keras_mask(prediction, torch.tensor(mask))
    theirs = getattr(keras.losses, name)(**options, reduction=reduction)
    expected = theirs(torch.tensor(y_true), prediction, None if weight is None else torch.tensor(weight))
    ours = getattr(losses, name)(**options, reduction=reduction)
    if reduction == "none":
        if mask is None:
            assert_close(np.asarray(ours(y_true, y_pred, weight), "float32"), expected.detach().numpy(), TERMS)
        else:
            with pytest.raises(ValueError, match="no single value"):
                ours.value_and_gradient(y_true, y_pred, weight, mask)
        return
    expected.backward()
    assert prediction.grad is not None
    value, gradient = ours.value_and_gradient(y_true, y_pred, weight, mask)
    assert_close(np.float32(value), expected.detach().numpy(), TERMS)
    assert_close(gradient, prediction.grad.numpy(), TERMS)


def arguments(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


KERAS_FUNCTIONS = sorted(
    name for name in dir(keras.losses) if inspect.isfunction(getattr(keras.losses, name)) and name in losses.FUNCTIONS
)


@pytest.mark.parametrize("name", KERAS_FUNCTIONS)
def test_arguments_of_functions(name: str) -> None:
    assert arguments(getattr(losses, name)) == arguments(getattr(keras.losses, name))


@pytest.mark.parametrize("remove_diagonal", [True, False])
@pytest.mark.parametrize(
    "names", [("ref_embeddings",), ("ref_labels",), ("ref_labels", "ref_embeddings")], ids="+".join
)
def test_circle_with_references(names: tuple[str, ...], remove_diagonal: bool) -> None:
    y_true, y_pred = CIRCLE[0], CIRCLE[1].astype("float32")
    every = {"ref_labels": y_true[::-1].copy(), "ref_embeddings": y_pred[::-1].copy()}
    options: dict[str, Any] = {name: every[name] for name in names}
    options |= {"remove_diagonal": remove_diagonal, "gamma": 4.0, "margin": 0.3}
    expected = keras.losses.circle(y_true, y_pred, **options).numpy()
    assert_close(losses.circle(y_true, y_pred, **options), expected, TERMS)


@pytest.mark.parametrize("name", sorted({case.split(":")[0] for case in CASES}))
def test_arguments_of_classes(name: str) -> None:
    assert arguments(getattr(losses, name)) == arguments(getattr(keras.losses, name))


POSITIONAL: dict[str, tuple[Any, ...]] = {
    "huber": (0.3,),
    "binary_crossentropy": (True, 0.1),
    "binary_focal_crossentropy": (True, 0.4, 3.0),
    "tversky": (0.3, 0.8, (1,)),
    "cosine_similarity": (0,),
}


@pytest.mark.parametrize("name", POSITIONAL)
def test_functions_by_place(name: str) -> None:
    y_true, y_pred = arrays("BinaryCrossentropy")
    y_true = y_true.astype("float32")
    expected = getattr(keras.losses, name)(y_true, y_pred, *POSITIONAL[name]).numpy()
    assert_close(getattr(losses, name)(y_true, y_pred, *POSITIONAL[name]), expected, TERMS)


def test_every_name_of_keras() -> None:
    from keras.src.losses import ALL_OBJECTS_DICT

    for name in ALL_OBJECTS_DICT.keys() - {"Loss", "LossFunctionWrapper", "CTC", "ctc"}:
        assert type(losses.get(name)).__name__ == type(keras.losses.get(name)).__name__
