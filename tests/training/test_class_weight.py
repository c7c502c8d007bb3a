"""class_weight: each row, or each time step, has the weight of its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, utils

N, T, C = 6, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, 2)).astype(np.float32)
WEIGHTS = {0: 0.5, 1: 3.0, 2: 0.0}
STEPS = RNG.integers(0, 2, (N, T))
STEP_CLASSES = RNG.integers(0, C, (N, T))
LAST, LAST_CLASSES = STEPS[:, -1], STEP_CLASSES[:, -1]
WEIGH = np.vectorize(lambda label: WEIGHTS.get(int(label), 1.0))

# case -> (loss, outputs, return_sequences, y, expected weights)
CASES: dict[str, tuple[str, int, bool, Any, Any]] = {
    "(N,)": ("binary_crossentropy", 1, False, LAST, WEIGH(LAST)),
    "(N, 1)": ("binary_crossentropy", 1, False, LAST[:, None], WEIGH(LAST)),
    "(N, 1) floats": ("binary_crossentropy", 1, False, LAST[:, None].astype("float32"), WEIGH(LAST)),
    "flags": ("binary_crossentropy", 1, False, LAST == 1, WEIGH(LAST)),
    "(N, C)": ("categorical_crossentropy", C, False, np.eye(C)[LAST_CLASSES], WEIGH(LAST_CLASSES)),
    "(N,) sparse": ("sparse_categorical_crossentropy", C, False, LAST_CLASSES, WEIGH(LAST_CLASSES)),
    "(N, 1) sparse": ("sparse_categorical_crossentropy", C, False, LAST_CLASSES[:, None], WEIGH(LAST_CLASSES)),
    "soft": ("categorical_crossentropy", C, False, np.eye(C)[LAST_CLASSES] * 0.9 + 0.1 / C, WEIGH(LAST_CLASSES)),
    "(N, T)": ("binary_crossentropy", 1, True, STEPS, WEIGH(STEPS)),
    "(N, T, 1)": ("binary_crossentropy", 1, True, STEPS[..., None], WEIGH(STEPS)),
    "(N, T, C)": ("categorical_crossentropy", C, True, np.eye(C)[STEP_CLASSES], WEIGH(STEP_CLASSES)),
    "(N, T) sparse": ("sparse_categorical_crossentropy", C, True, STEP_CLASSES, WEIGH(STEP_CLASSES)),
    "(N, T, 1) sparse": ("sparse_categorical_crossentropy", C, True, STEP_CLASSES[..., None], WEIGH(STEP_CLASSES)),
}  # fmt: skip


def model(case: str) -> pyrnn.Sequential:
    loss, units, sequences, _, _ = CASES[case]
    utils.set_random_seed(1)
    activation = "sigmoid" if units == 1 else "softmax"
    made = pyrnn.Sequential(
        [layers.Input((None, 2)), layers.GRU(3, return_sequences=sequences), layers.Dense(units, activation=activation)]
    )
    made.compile("sgd", loss, weighted_metrics=["mse"] if loss != "sparse_categorical_crossentropy" else None)
    return made


class Rows(utils.PyDataset):
    def __init__(self, y: Any, weight: Any = None) -> None:
        super().__init__()
        self.parts = (X, y) if weight is None else (X, y, weight)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return tuple(part[3 * index : 3 * index + 3] for part in self.parts)


def batches(y: Any, weight: Any = None) -> Any:
    return iter([Rows(y, weight)[0], Rows(y, weight)[1]])


def fit(made: Any, *data: Any, **options: Any) -> Any:
    return made.fit(*data, verbose=0, shuffle=False, **options).history


WAYS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "fit": (
        lambda m, y, by: fit(m, X, y, class_weight=by, batch_size=3),
        lambda m, y, w: fit(m, X, y, sample_weight=w, batch_size=3),
    ),
    "generator": (lambda m, y, by: fit(m, batches(y), class_weight=by), lambda m, y, w: fit(m, batches(y, w))),
    "dataset": (lambda m, y, by: fit(m, Rows(y), class_weight=by), lambda m, y, w: fit(m, Rows(y, w))),
    "train_on_batch": (
        lambda m, y, by: m.train_on_batch(X, y, class_weight=by),
        lambda m, y, w: m.train_on_batch(X, y, sample_weight=w),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_each_row_or_step_weighs_as_its_class(case: str, way: str) -> None:
    _, _, _, y, weights = CASES[case]
    by_class, by_weight = WAYS[way]
    first, other = model(case), model(case)
    assert by_class(first, y, WEIGHTS) == by_weight(other, y, weights)
    for a, b in zip(first.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first.get_weights()[0], model(case).get_weights()[0])


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, T), (N, T, 1)])
def test_sample_weights_multiply(shape: tuple[int, ...]) -> None:
    _, _, _, y, weights = CASES["(N, T)"]
    sample_weight = RNG.random(shape).astype(np.float32)
    first, other = model("(N, T)"), model("(N, T)")
    expected = weights * sample_weight.reshape((N, -1))
    assert first.train_on_batch(X, y, sample_weight, WEIGHTS) == pytest.approx(
        other.train_on_batch(X, y, expected), rel=1e-6
    )


def test_classes_without_a_weight_weigh_1() -> None:
    case = "(N, T) sparse"
    y = STEP_CLASSES
    for weights in ({}, {0: 1.0}, {7: 5.0, -3: 2.0}, {np.int64(1): 1.0, 2.0: 1}):
        assert model(case).train_on_batch(X, y, class_weight=weights) == model(case).train_on_batch(
            X, y, np.ones((N, T))
        )


BAD: dict[str, tuple[str, Any, Any, type[Exception], str]] = {
    "list": ("(N,)", LAST, [0.5, 2.0], TypeError, r"class numbers .*write dict\(enumerate\(class_weight\)\)"),
    "array": ("(N,)", LAST, np.ones(2), TypeError, r"write dict\(enumerate\(class_weight\)\)"),
    "text": ("(N,)", LAST, "balanced", TypeError, "class_weight must be a dict of class numbers to weights"),
    "names": ("(N,)", LAST, {"0": 1.0}, TypeError, "got the class '0'"),
    "halves": ("(N,)", LAST, {0.5: 1.0}, TypeError, "got the class 0.5"),
    "no number": ("(N,)", LAST, {0: None}, TypeError, "got the weight None for class 0"),
    "negative": ("(N,)", LAST, {0: -1.0}, ValueError, "finite weights of at least 0, got -1.0 for class 0"),
    "infinite": ("(N,)", LAST, {0: np.inf}, ValueError, "finite weights of at least 0"),
    "fractions": ("(N,)", LAST * 0.5 + 0.25, WEIGHTS, ValueError, "whole class numbers in y, got 0."),
    "several": ("(N, C)", np.ones((N, C)), WEIGHTS, ValueError, "class_weight needs one class for each row of y"),
    "none": ("(N, C)", np.zeros((N, C)), WEIGHTS, ValueError, "pass sample_weight instead"),
    "no classes": ("(N, C)", RNG.normal(size=(N, C)), WEIGHTS, ValueError, "class numbers or one-hot rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_class_weight(name: str) -> None:
    case, y, weights, error, message = BAD[name]
    made = model(case)
    before = made.get_weights()
    for call in (
        lambda: made.fit(X, y, class_weight=weights, verbose=0),
        lambda: made.train_on_batch(X, y, class_weight=weights),
    ):
        with pytest.raises(error, match=message) as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))


def test_binary_steps_without_an_axis_of_outputs_are_no_one_hot_rows() -> None:
    made = pyrnn.Sequential(
        [
            layers.Input((T, 2)),
            layers.GRU(3, return_sequences=True),
            layers.Dense(1, activation="sigmoid"),
            layers.Reshape((T,)),
        ]
    )
    made.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="pass sample_weight instead"):
        made.fit(X, np.ones((N, T)), class_weight=WEIGHTS, verbose=0)
