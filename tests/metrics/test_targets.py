"""Metrics compare targets of the right shape with one forecast, also for losses with wide outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn import Sequential, layers, losses, metrics

RNG = np.random.default_rng(2)
N, T = 6, 3
X = RNG.normal(size=(N, T, 2)).astype("float32")
Y = RNG.normal(size=(N, T, 1)).astype("float32")


def model(loss: Any, units: int, **options: Any) -> Sequential:
    made = Sequential([layers.Input((T, 2)), layers.Dense(units, bias_initializer="random_normal")])
    made.compile("sgd", loss, **options)
    return made


def error(y_true: Any, y_pred: Any) -> Any:
    return np.abs(y_true - y_pred)


class Wide(losses.Loss):
    """A custom loss of (offset, forecast, offset), of which metrics see the forecast."""

    def elements(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return np.square(y_pred).sum(axis=-1), 2 * y_pred

    def target_shape(self, pred_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*pred_shape[:-1], 1)

    def point(self, y_pred: Any) -> Any:
        return y_pred[..., 1:2]


# loss -> (units of the output, which of them is the forecast)
WIDE: dict[str, tuple[Any, int, int]] = {
    "gaussian": (losses.GaussianNLL(), 2, 0),
    "gaussian by name": ("gaussian_nll", 2, 0),
    "quantiles": (losses.Quantile([0.1, 0.5, 0.9]), 3, 1),
    "quantiles in another order": (losses.Quantile([0.5, 0.9]), 2, 0),
    "one quantile": (losses.Quantile(0.9), 1, 0),
    "custom": (Wide(), 3, 1),
}
MEAN_ERRORS: dict[str, Callable[[], Any]] = {
    "string": lambda: "mae",
    "class": lambda: metrics.MeanAbsoluteError,
    "object": lambda: metrics.MeanAbsoluteError(),
    "function": lambda: losses.FUNCTIONS["mean_absolute_error"],
    "partial": lambda: functools.partial(losses.FUNCTIONS["mean_absolute_error"]),
    "loss": lambda: losses.MeanAbsoluteError(),
}


@pytest.mark.parametrize("metric", MEAN_ERRORS)
@pytest.mark.parametrize("wide", WIDE)
def test_metrics_compare_with_one_forecast(wide: str, metric: str) -> None:
    loss, units, place = WIDE[wide]
    made = model(loss, units, metrics=[MEAN_ERRORS[metric]()])
    expected = np.abs(made.predict(X, verbose=0)[..., place] - Y[..., 0]).mean()
    for y in (Y, Y[..., 0]):
        assert made.evaluate(X, y, verbose=0)[1] == pytest.approx(expected, rel=1e-5)
        assert made.train_on_batch(X, y)[1] == pytest.approx(expected, rel=1e-5)
        expected = made.test_on_batch(X, y)[1]
    history = made.fit(X, Y, validation_data=(X, Y), verbose=0).history
    assert list(history.values())[1] == [pytest.approx(expected, rel=1e-5)]
    assert list(history.values())[-1] == [made.evaluate(X, Y, verbose=0)[1]]


def test_other_metrics_of_a_mean() -> None:
    made = model(losses.GaussianNLL(), 2, metrics=["rmse", "accuracy", "wape"])
    mean = made.predict(X, verbose=0)[..., :1]
    _, rmse, accuracy, wape = made.evaluate(X, Y > 0, verbose=0)
    assert rmse == pytest.approx(np.sqrt(np.square(mean - (Y > 0)).mean()), rel=1e-5)
    assert type(made.metrics[2]) is metrics.BinaryAccuracy
    assert accuracy == pytest.approx(((mean > 0.5) == (Y > 0)).mean())
    assert wape == pytest.approx(100 * np.abs(mean - (Y > 0)).sum() / (Y > 0).sum(), rel=1e-5)


class Shapes(metrics.Metric):
    """A custom metric that notes the shapes that it is called with."""

    def __init__(self) -> None:
        super().__init__(name="shapes")
        self.seen: set[Any] = set()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.seen.add((y_true.shape, y_pred.shape))

    def result(self) -> float:
        return 0.0


def test_custom_metrics_receive_the_whole_output() -> None:
    def coverage(y_true: Any, y_pred: Any) -> Any:
        return (y_pred[..., :1] <= y_true) & (y_true <= y_pred[..., -1:])

    shapes = Shapes()
    quantiles = losses.Quantile([0.1, 0.9])  # without the median, which these do not need
    made = model(quantiles, 2, metrics=[coverage, shapes, losses.Quantile([0.1, 0.9])])
    pred = made.predict(X, verbose=0)
    expected = coverage(Y, pred).mean()
    for y in (Y, Y[..., 0]):
        loss, covered, _, pinball = made.evaluate(X, y, verbose=0)
        assert covered == pytest.approx(expected) and pinball == pytest.approx(loss)
    assert shapes.seen == {((N, T, 1), (N, T, 2))}


def test_a_median_that_is_missing() -> None:
    for metric in ("mae", "accuracy", metrics.RootMeanSquaredError()):
        made = model(losses.Quantile([0.1, 0.9]), 2, metrics=[metric])
        before = made.get_weights()
        for entry in (made.fit, made.evaluate):
            with pytest.raises(ValueError, match=r"median, which is not in quantile=\[0.1, 0.9\]: add 0.5, or"):
                entry(X, Y, verbose=0)
        assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), before, strict=True))


def test_a_missing_axis_is_the_same_to_custom_functions_and_metrics() -> None:
    def mean_error(y_true: Any, y_pred: Any) -> Any:
        return error(y_true, y_pred).mean()

    made = Sequential([layers.Input((2,)), layers.Dense(1)])
    shapes = Shapes()
    made.compile("sgd", "mse", metrics=[error, mean_error, "mae", shapes], weighted_metrics=[error])
    x, y = X[:, 0], Y[:, 0]
    weights = RNG.random(N)
    results = [made.evaluate(x, each, sample_weight=weights, verbose=0) for each in (y, y[:, 0])]
    assert results[0] == results[1] and shapes.seen == {((N, 1), (N, 1))}
    assert results[0][1] == pytest.approx(results[0][2]) == pytest.approx(results[0][3])


def test_values_that_were_broadcast() -> None:
    def flat(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred[:, 0])

    made = Sequential([layers.Input((2,)), layers.Dense(1)])
    made.compile("sgd", "mse", metrics=[flat])
    with pytest.raises(ValueError, match=r"'flat' returned values of shape \(6, 6\) for y_true of shape \(6, 1\)"):
        made.evaluate(X[:, 0], Y[:, 0], verbose=0)
    with pytest.raises(ValueError, match="one of them was broadcast"):
        metrics.MeanMetricWrapper(error)(np.zeros(3), np.zeros((3, 1)))


# Metrics whose targets are not those of the loss.

CLASSES = 4
NUMBERS = RNG.integers(0, CLASSES, (N, T))
ONE_HOT = np.eye(CLASSES, dtype="float32")[NUMBERS]
# (loss, y, metric, what the error says)
UNFIT: list[tuple[Any, Any, Any, str]] = [
    ("sparse_categorical_crossentropy", NUMBERS, "mae", r"metric 'mae': y_true must have the shape of y_pred"),
    ("sparse_categorical_crossentropy", NUMBERS, "rmse", r"metric 'rmse': y_true must have the shape of y_pred"),
    ("sparse_categorical_crossentropy", NUMBERS, "binary_accuracy", "metric 'binary_accuracy': y_true must have"),
    ("sparse_categorical_crossentropy", NUMBERS, "AUC", "metric 'AUC': y_true must have the shape of y_pred"),
    ("sparse_categorical_crossentropy", NUMBERS, metrics.Precision(name="p"), "metric 'p': y_true must have"),
    ("sparse_categorical_crossentropy", NUMBERS, "categorical_accuracy", "class numbers need sparse_categorical_acc"),
    ("sparse_categorical_crossentropy", NUMBERS, "top_k_categorical_accuracy", "class numbers need sparse_top_k_cat"),
    ("sparse_categorical_crossentropy", NUMBERS[..., None], "categorical_crossentropy", "need SparseCategoricalCross"),
    ("sparse_categorical_crossentropy", NUMBERS, losses.FUNCTIONS["mean_squared_error"], "metric 'mean_squared_err"),
    ("sparse_categorical_crossentropy", NUMBERS, losses.CategoricalCrossentropy(), "need SparseCategoricalCrossentr"),
    ("categorical_crossentropy", ONE_HOT, "sparse_categorical_accuracy", r"must have shape \(\d, 3\) of class numbers"),
    ("categorical_crossentropy", ONE_HOT, "sparse_categorical_crossentropy", "need CategoricalCrossentropy"),
    ("categorical_crossentropy", ONE_HOT, "r2_score", "metric 'r2_score': y_true and y_pred of R2Score"),
    ("categorical_crossentropy", ONE_HOT, "f1_score", "metric 'f1_score': y_true and y_pred of F1Score"),
    (
        "categorical_crossentropy",
        ONE_HOT,
        metrics.MeanIoU(4, sparse_y_pred=False),
        "must hold the same number of classes",
    ),
    ("categorical_crossentropy", ONE_HOT, metrics.MASE(scale=[1.0, 2.0]), "y_pred must have 2 series"),
]
ENTRIES: dict[str, Callable[[Sequential, Any, Any], Any]] = {
    "fit": lambda made, x, y: made.fit(x, y, verbose=0),
    "train_on_batch": lambda made, x, y: made.train_on_batch(x, y),
    "evaluate": lambda made, x, y: made.evaluate(x, y, verbose=0),
    "test_on_batch": lambda made, x, y: made.test_on_batch(x, y),
    "validation": lambda made, x, y: made.fit(np.ones((2, T, 2)), y[:2], validation_data=(x, y), verbose=0),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", UNFIT, ids=lambda case: f"{case[0][:6]}-{getattr(case[2], 'name', case[2])}"[:40])
def test_nothing_changes_where_targets_do_not_fit_a_metric(case: tuple[Any, ...], entry: str) -> None:
    loss, y, metric, message = case
    made = Sequential([layers.Input((T, 2)), layers.BatchNormalization(), layers.Dense(CLASSES, "softmax")])
    made.compile("adam", loss, metrics=[metric])
    before = made.get_weights()
    with pytest.raises(ValueError, match=message):
        ENTRIES[entry](made, X, y)
    assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), before, strict=True))
    assert made.optimizer is not None and made.optimizer.iterations == 0


class Twice(layers.Layer):
    """A custom layer, whose output is known only after it ran."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return 2 * x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return 2 * dy


def test_weights_stay_where_a_custom_layer_hides_the_shape() -> None:
    made = Sequential([layers.Input((T, 2)), layers.Dense(CLASSES, "softmax"), Twice()])
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["mae"])
    before = made.get_weights()
    with pytest.raises(ValueError, match="y_true must have the shape of y_pred"):
        made.fit(X, NUMBERS, verbose=0)
    assert all(np.array_equal(*pair) for pair in zip(made.get_weights(), before, strict=True))


def test_accuracy_is_chosen_anew_after_targets_that_did_not_fit() -> None:
    made = Sequential([layers.Input((T, 2)), layers.Dense(CLASSES, "softmax")])
    made.compile("sgd", "categorical_crossentropy", metrics=["accuracy", "sparse_categorical_accuracy"])
    with pytest.raises(ValueError, match="of class numbers"):
        made.fit(X, ONE_HOT, verbose=0)
    assert [type(metric) for metric in made.metrics[1:]] == [metrics.SparseCategoricalAccuracy]


def test_weights_that_do_not_fit_a_metric() -> None:
    made = model("mse", 1, metrics=["mae"], weighted_metrics=[metrics.BinaryIoU(name="iou")])
    with pytest.raises(ValueError, match=r"metric 'iou': sample_weight must hold whole numbers, .* got 0.5"):
        made.fit(X, Y > 0, sample_weight=np.full((N, T), 0.5), verbose=0)
    model("mse", 1, metrics=[metrics.BinaryIoU()]).fit(X, Y > 0, sample_weight=np.full((N, T), 0.5), verbose=0)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "message"),
    [
        ("CategoricalAccuracy", [[1], [2]], np.eye(3)[:2], "class numbers need sparse_categorical_accuracy"),
        ("TopKCategoricalAccuracy", [1, 2], np.eye(3)[:2], "class numbers need sparse_top_k_categorical_accuracy"),
        ("CategoricalAccuracy", np.eye(4)[:2], np.eye(3)[:2], r"y_true must have the shape of y_pred, \(2, 3\)"),
        ("SparseCategoricalAccuracy", [0.5, 1.0], np.eye(3)[:2], "y_true must hold whole class numbers, got 0.5"),
        ("SparseTopKCategoricalAccuracy", [0.5, 1.0], np.eye(3)[:2], "y_true must hold whole class numbers, got 0.5"),
        ("SparseCategoricalCrossentropy", [0.5, 1.0], np.eye(3)[:2], "y_true must hold whole class numbers, got 0.5"),
        ("MeanIoU", [0.5, 1.0], [0, 1], "y_true must hold whole class numbers, got 0.5"),
        ("SparseCategoricalAccuracy", np.zeros((8, 1)), np.zeros((8, 10, 3)), r"must have shape \(8, 10\)"),
        ("MeanSquaredError", np.zeros((8, 1)), np.zeros((8, 10, 1)), "return_sequences=False"),
        (
            "MeanIoU",
            np.zeros((2, 3)),
            np.zeros((3, 2)),
            r"must hold the same number of classes, got shapes \(2, 3\) and \(3, 2\)",
        ),
        ("Precision", np.zeros((8, 1)), np.zeros((8, 3)), "y_true must have the shape of y_pred"),
    ],
)
def test_targets_of_metrics_called_directly(name: str, y_true: Any, y_pred: Any, message: str) -> None:
    metric = metrics.MeanIoU(2) if name == "MeanIoU" else getattr(metrics, name)()
    with pytest.raises(ValueError, match=message):
        metric(np.asarray(y_true), np.asarray(y_pred))
    assert all(not np.any(value) for value in metric.get_state()["fields"].values())
