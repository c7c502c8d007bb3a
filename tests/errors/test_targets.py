"""Targets must have the shape of the outputs: nothing broadcasts over steps, outputs or quantiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses

N, T, C = 8, 3, 4
SEQUENCES, LAST = "return_sequences=False in the last", "return_sequences=True in the last"
ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge")
CLASS_NUMBERS = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
PAIRED: list[Any] = [
    losses.MASE(scale=2.0) if kind is losses.MASE else kind.default_name
    for kind in losses.CLASSES
    if issubclass(kind, losses.Elementwise) or kind.default_name in ("kl_divergence", "cosine_similarity", "tversky")
]
QUANTILES, GAUSSIAN = losses.Quantile([0.1, 0.5, 0.9]), losses.GaussianNLL()

# (loss, shape of y, shape of the output, what the error advises)
BROADCASTS: list[tuple[Any, tuple[int, ...], tuple[int, ...], str]] = [
    *((name, (N, 1), (N, T, 1), SEQUENCES) for name in PAIRED),
    *((name, (N,), (N, T, 1), SEQUENCES) for name in PAIRED),
    *((name, (N, C), (N, T, C), SEQUENCES) for name in PAIRED),
    *((name, (N, 1, 1), (N, T, 1), SEQUENCES) for name in PAIRED),
    *((name, (N, 1), (N, C), "a last layer of 1 unit") for name in PAIRED),
    *((name, (N,), (N, C), "a last layer of 1 unit") for name in PAIRED),
    *((name, (N, T, 1), (N, T, C), "a last layer of 1 unit") for name in PAIRED),
    *((name, (N, T), (N, 1), f"a last layer of {T} units") for name in PAIRED),
    *((name, (N, T, C), (N, C), LAST) for name in PAIRED),
    *((name, (N, 1), (N, C), "need SparseCategoricalCrossentropy") for name in ONE_HOT),
    *((name, (N,), (N, C), f"to_categorical\\(y, {C}\\)") for name in ONE_HOT),
    *((name, (N, T), (N, T, C), "'sparse_categorical_crossentropy'") for name in ONE_HOT),
    *((name, (N, T, 1), (N, T, C), "'sparse_categorical_crossentropy'") for name in ONE_HOT),
    *((name, (N, C), (N, C), "need CategoricalCrossentropy") for name in CLASS_NUMBERS),
    *((name, (N, 1), (N, T, C), SEQUENCES) for name in CLASS_NUMBERS),
    *((name, (N, T), (N, C), LAST) for name in CLASS_NUMBERS),
    (QUANTILES, (N, 1), (N, T, 3), SEQUENCES),
    (QUANTILES, (N, 3), (N, 3), "one number for all quantiles"),
    (QUANTILES, (N, 1), (N, 4), "one forecast per quantile"),
    (losses.Quantile(0.5), (N, 1), (N, C), "a last layer of 1 unit"),
    (GAUSSIAN, (N, 1), (N, T, 2), SEQUENCES),
    (GAUSSIAN, (N, 1), (N, 4), r"\(8, 2\), got \(8, 1\)"),
    (GAUSSIAN, (N, 2), (N, 2), r"\(8, 1\), got \(8, 2\)"),
    ("mse", (N, 4, 1), (N, T, 1), r"\(8, 3, 1\), got \(8, 4, 1\)$"),
    ("dice", (N, 1), (N, C), r"\(8, 4\), got \(8, 1\)"),
    ("circle", (N, 2), (N, C), r"\(8,\), got \(8, 2\)"),
]  # fmt: skip
# What trains: the same shape, and (N,) for (N, 1).
FITTING: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = [
    ("mse", (N,), (N, 1)),
    ("mae", (N, T), (N, T, 1)),
    ("binary_crossentropy", (N, T, 1), (N, T, 1)),
    ("categorical_crossentropy", (N,), (N, 1)),
    ("sparse_categorical_crossentropy", (N, T), (N, T, C)),
    ("sparse_categorical_crossentropy", (N, T, 1), (N, T, C)),
    (QUANTILES, (N,), (N, 3)),
    (QUANTILES, (N, 1), (N, 3)),
    (QUANTILES, (N, T), (N, T, 3)),
    (GAUSSIAN, (N,), (N, 2)),
    (GAUSSIAN, (N, T), (N, T, 2)),
]


def names(case: tuple[Any, ...]) -> str:
    name = case[0] if isinstance(case[0], str) else case[0].name
    return f"{name}-{case[1]}-{case[2]}".replace(" ", "")


def model(loss: Any, output: tuple[int, ...]) -> pyrnn.Sequential:
    made = pyrnn.Sequential(
        [
            layers.Input(batch_shape=(N, T, 2)),
            layers.BatchNormalization(),
            layers.GRU(3, return_sequences=len(output) == 3, stateful=True),
            layers.Dense(output[-1], activation="sigmoid"),
        ]
    )
    made.compile("adam", loss)
    return made


X = np.random.default_rng(0).normal(size=(N, T, 2)).astype(np.float32)


def batches(y: Any) -> Iterator[Any]:
    while True:
        yield X, y


class Dataset(pyrnn.utils.PyDataset):
    def __init__(self, y: Any) -> None:
        super().__init__()
        self.y = y

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return X, self.y


ENTRIES: dict[str, Callable[[pyrnn.Sequential, Any], Any]] = {
    "fit": lambda m, y: m.fit(X, y, verbose=0),
    "fit-steps": lambda m, y: m.fit(X, y, batch_size=N, steps_per_epoch=1, verbose=0),
    "fit-generator": lambda m, y: m.fit(batches(y), steps_per_epoch=1, verbose=0),
    "fit-dataset": lambda m, y: m.fit(Dataset(y), verbose=0),
    "train_on_batch": lambda m, y: m.train_on_batch(X, y),
    "evaluate": lambda m, y: m.evaluate(X, y, verbose=0),
    "evaluate-generator": lambda m, y: m.evaluate(batches(y), steps=1, verbose=0),
    "test_on_batch": lambda m, y: m.test_on_batch(X, y),
}


def state(made: pyrnn.Sequential) -> list[bytes]:
    assert made.optimizer is not None
    values = [*made.get_weights(), *(value for _, value in made.optimizer.named_variables()), *made.layers[1].states]  # type: ignore[attr-defined]
    return [np.asarray(value).tobytes() for value in values]


@pytest.mark.parametrize("case", BROADCASTS, ids=names)
def test_a_loss_called_directly(case: Any) -> None:
    identifier, true, pred, advice = case
    loss = losses.as_loss(identifier)
    assert loss is not None
    y_true, y_pred = np.ones(true), np.full(pred, 0.25)
    for call in (lambda: loss(y_true, y_pred), lambda: loss.value_and_gradient(y_true, y_pred)):
        with pytest.raises(ValueError, match=advice) as caught:
            call()
        assert str(true) in str(caught.value) or str(pred) in str(caught.value)
    if identifier in losses.FUNCTIONS:
        with pytest.raises(ValueError, match="y_true must"):
            losses.FUNCTIONS[identifier](y_true, y_pred)


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_changes_where_targets_would_broadcast(entry: str) -> None:
    for loss, true, pred, advice in BROADCASTS:
        if loss == "circle":
            continue
        made = model(loss, pred)
        made.predict(X, verbose=0)  # a stateful layer has a state now
        before = state(made)
        with pytest.raises(ValueError, match=advice):
            ENTRIES[entry](made, np.ones(true))
        assert state(made) == before, (loss, true, pred)


@pytest.mark.parametrize("data", ["arrays", "generator"])
def test_validation_data(data: str) -> None:
    for loss, true, pred, advice in BROADCASTS:
        if loss == "circle":
            continue
        shape = losses.as_loss(loss).target_shape(pred) if advice != "one forecast per quantile" else true  # type: ignore[union-attr]
        y = np.ones(true)
        data_set = (X, y) if data == "arrays" else batches(y)
        with pytest.raises(ValueError, match=advice):
            model(loss, pred).fit(X, np.ones(shape), validation_data=data_set, validation_steps=1, verbose=0)


@pytest.mark.parametrize("case", FITTING, ids=names)
def test_what_fits_trains_to_the_same_numbers(case: Any) -> None:
    identifier, true, pred = case
    loss = losses.as_loss(identifier)
    assert loss is not None
    shape = loss.target_shape(pred)
    assert shape is not None
    y = np.random.default_rng(1).integers(0, 2, true)
    weights = []
    for each in (y, y.reshape(shape)):
        pyrnn.utils.set_random_seed(0)
        made = model(identifier, pred)
        assert np.isfinite(made.fit(X, each, epochs=2, shuffle=False, verbose=0).history["loss"]).all()
        weights.append(state(made))
    assert weights[0] == weights[1]


def test_a_function_sees_targets_in_the_rank_of_the_output() -> None:
    """(N,) and (N, 1) would broadcast to (N, N)."""
    seen = []

    def error(y_true: Any, y_pred: Any) -> Any:
        seen.append(y_true.shape)
        return np.square(y_true - y_pred).mean(axis=-1), 2 * (y_pred - y_true)

    class Called(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return np.mean(np.square(y_true - y_pred), axis=-1)

    y, made = np.arange(N, dtype=float), model("mse", (N, 1))
    expected = made.test_on_batch(X, y)
    for loss in (error, Called()):
        made.compile("adam", loss)
        made.reset_states()
        assert made.test_on_batch(X, y) == pytest.approx(expected)
    assert seen == [(N, 1)]
    with pytest.raises(ValueError, match="or another last axis"):
        losses.as_loss(error).value_and_gradient(np.ones((N, 1, 1)), np.ones((N, T, 1)))  # type: ignore[union-attr]


def test_a_custom_loss_declares_its_targets() -> None:
    class FirstOutput(losses.Loss):
        def target_shape(self, pred_shape: Any) -> Any:
            return (*pred_shape[:-1], 1)

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return np.mean(np.square(y_true - y_pred[..., :1]), axis=-1)

    made = model(FirstOutput(), (N, C))
    made.fit(X, np.ones(N), verbose=0)
    before = state(made)
    with pytest.raises(ValueError, match=r"\(8, 1\), got \(8, 4\)"):
        made.fit(X, np.ones((N, C)), verbose=0)
    assert state(made) == before


def test_targets_of_custom_layers_are_checked_after_forward() -> None:
    """Without `compute_output_shape` their output shape is unknown before."""

    class Last(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return np.ascontiguousarray(x[:, -1])

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return None

    made = pyrnn.Sequential([layers.Input((T, 2)), Last()])
    made.compile("sgd", "mse")
    made.fit(X, np.ones((N, 2)), validation_data=(X, np.ones((N, 2))), verbose=0)
    with pytest.raises(ValueError, match=r"\(8, 2\), got \(8, 3, 2\)"):
        made.fit(X, np.ones((N, T, 2)), verbose=0)


def test_class_numbers_are_checked_before_the_first_step() -> None:
    made = model("sparse_categorical_crossentropy", (N, C))
    y = np.zeros(4 * N)
    for wrong, message in ((4, r"y_true must lie in 0..3, got 0..4"), (0.5, "whole class numbers, got 0.5"),
                         (-1, "must lie in 0..3")):  # fmt: skip
        y[-1] = wrong
        before = state(made)
        with pytest.raises(ValueError, match=message):
            made.fit(np.tile(X, (4, 1, 1)), y, batch_size=N, verbose=0)
        assert state(made) == before


@pytest.mark.parametrize("name", [*CLASS_NUMBERS, "circle"])
def test_class_numbers_with_fractions(name: str) -> None:
    loss, pred = losses.as_loss(name), np.full((3, 4), 0.25)
    assert loss is not None
    assert loss(np.array([0.0, 1.0, 2.0]), pred) == loss(np.array([0, 1, 2]), pred)
    for wrong in (1.5, np.nan, np.inf):
        with pytest.raises(ValueError, match="y_true must hold whole class numbers, got"):
            loss(np.array([0.0, 1.0, wrong]), pred)


def test_class_numbers_out_of_range() -> None:
    for name in CLASS_NUMBERS:
        with pytest.raises(ValueError, match=r"y_true must lie in 0..3, got 0..4"):
            losses.as_loss(name)(np.array([0, 4]), np.full((2, 4), 0.25))  # type: ignore[misc]
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert np.isfinite(ignoring(np.array([0, -1]), np.full((2, 4), 0.25)))
    with pytest.raises(ValueError, match="must lie in"):
        ignoring(np.array([-2, -1]), np.full((2, 4), 0.25))
    for y_pred in (np.float32(1), np.ones((2, 0))):
        with pytest.raises(ValueError, match="y_pred must hold classes along axis -1"):
            ignoring(np.array([0, 1]), y_pred)
    with pytest.raises(ValueError, match="y_pred must hold classes along axis 2"):
        losses.CategoricalCrossentropy(axis=2)(np.ones((2, 4)), np.ones((2, 4)))
