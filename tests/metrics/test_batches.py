"""Metrics over several batches of unequal size, with and without sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import losses, metrics

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
    assert metrics.get("mse").name == "mean_squared_error"  # `compile` gives it the user's name
    with pytest.raises(ValueError, match="did you mean 'mean_squared_error'"):
        metrics.get("mean_squared_eror")


NEEDED = {"IoU": (3, [0]), "MeanIoU": (3,), "OneHotIoU": (3, [0]), "OneHotMeanIoU": (3,)} | dict.fromkeys(
    ("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)
)


@pytest.mark.parametrize("kind", metrics.CLASSES, ids=lambda kind: kind.__name__)
def test_configs(kind: type[metrics.Metric]) -> None:
    metric = kind(*NEEDED.get(kind.__name__, ()), **({"scale": [1.0, 2.0]} if kind is metrics.MASE else {}))
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_errors_of_forecasts() -> None:
    true, pred = np.array([[100.0], [0.0], [50.0]]), np.array([[110.0], [7.0], [40.0]])
    assert metrics.WAPE()(true, pred) == pytest.approx(100 * 27 / 150)
    assert metrics.SMAPE()(true, pred) == pytest.approx((200 * 10 / 210 + 200 + 200 * 10 / 90) / 3)
    assert metrics.MASE(scale=3.0)(true, pred) == pytest.approx(3.0)


# At the thresholds below 0, 0.2, 0.5 and above 1: true positives 2, 2, 1, 0, false ones 2, 1, 0, 0.
AREAS: dict[tuple[str, str], float] = {
    ("ROC", "interpolation"): 0.5 * (1 + 0.5) / 2 + 0.5,
    ("ROC", "minoring"): 0.5 * 0.5 + 0.5,
    ("ROC", "majoring"): 1.0,
    ("PR", "interpolation"): 0.5 * (1 + 0.5 * np.log(3)) / 2 + 0.5,  # Davis and Goadrich 2006
    ("PR", "minoring"): 0.5 * 2 / 3,
    ("PR", "majoring"): 1.0,
    ("PRGAIN", "interpolation"): (0.5 + 1) / 2,
    ("PRGAIN", "minoring"): 0.5,
}


@pytest.mark.parametrize(("curve", "summation"), AREAS)
def test_areas_by_hand(curve: str, summation: str) -> None:
    true, pred = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    expected = AREAS[curve, summation]
    made: Any = {"curve": curve, "summation_method": summation, "thresholds": [0.5, 0.2]}
    assert metrics.AUC(**made)(true, pred) == pytest.approx(expected, abs=1e-6)
    logits = np.log(pred / (1 - pred))
    assert metrics.AUC(**made, from_logits=True)(true, logits) == pytest.approx(expected, abs=1e-6)
    # A second label that is predicted without error counts three times as much.
    perfect = metrics.AUC(**made)(true, true * 1.0)
    both = metrics.AUC(**made, multi_label=True, label_weights=[1, 3])
    result = both(np.stack([true, true], -1), np.stack([pred, true * 1.0], -1))
    assert result == pytest.approx((expected + 3 * perfect) / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2, got 1"),
        (lambda: metrics.AUC(num_labels=3), "num_labels is for multi_label=True only"),
        (lambda: metrics.AUC(label_weights={"config": {}}), "label_weights must be a list of numbers"),
        (lambda: metrics.Precision(thresholds=[0.5, 2]), r"thresholds must lie in \[0, 1\]"),
        (lambda: metrics.PrecisionAtRecall(1.5), r"recall must be a number from 0 to 1, got 1.5"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds must be a positive integer, got 0"),
    ],
)
def test_thresholds_that_make_no_sense(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_state_is_read_and_written() -> None:
    mean = metrics.Mean()
    assert mean([1.0, 3.0], sample_weight=[1.0, 3.0]) == 2.5
    total, count = mean.variables
    assert (total.name, total.numpy(), count.shape, np.asarray(count, np.float32)) == ("total", 10.0, (), 4.0)
    total.assign_add(2)
    assert mean.result() == 3.0 and float(total * 2) == 24.0
    metric = Largest(name="own")
    variable = metric.add_weight((2,), "ones", name="kept")
    made = metric.add_variable((2,), lambda shape: np.arange(2.0), dtype="int")
    variable.assign_add([1, 2])
    assert variable.numpy().tolist() == [2, 3] and made.numpy().dtype == np.int64
    metric.reset_state()
    assert variable.numpy().tolist() == [1, 1] and made.numpy().tolist() == [0, 1]
    with pytest.raises(ValueError, match="initializer must be 'zeros', 'ones', a function"):
        metric.add_variable((), "twos")
    with pytest.raises(NotImplementedError, match=r"Metric must define update_state"):
        metrics.Metric().update_state(0, 0)
    with pytest.raises(NotImplementedError, match=r"Metric must define result\(\)"):
        metrics.Metric().result()


class Largest(metrics.Metric):
    """A user's own metric."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.largest = self.add_variable(shape=(), initializer="zeros", name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest.assign(np.maximum(self.largest, np.abs(y_true - y_pred).max()))

    def result(self) -> float:
        return float(self.largest)


def test_a_custom_metric() -> None:
    metric = Largest()
    metric.update_state(np.zeros(3), np.array([1.0, -4.0, 2.0]))
    metric.update_state(np.zeros(3), np.ones(3))
    assert metric.result() == 4 and metric.name == "largest"
    metric.reset_state()
    assert metric.result() == 0
    assert float(metric.largest + 1) == 1 and [variable.name for variable in metric.variables] == ["largest"]


@pytest.mark.parametrize("shape", [(3, 1), (3, 2)])
def test_targets_of_zero_count_neither_in_loss_nor_metric(shape: tuple[int, int]) -> None:
    true, pred = np.zeros(shape), np.full(shape, 3.0)
    true[0], true[2, 0] = 2.0, 4.0
    for weight in (None, np.array([0.5, 1.0, 1.0])):
        loss = losses.ZeroSafeMAPE(reduction="mean_with_sample_weight")
        weights = np.array([1.0, 0.0, 1.0]) * (1 if weight is None else weight)
        expected = (weights[0] * 50 + weights[2] * 25) / weights.sum()
        metric = metrics.ZeroSafeMAPE()
        for rows in (slice(0, 2), slice(2, 3)):
            metric.update_state(true[rows], pred[rows], None if weight is None else weight[rows])
        assert metric.result() == pytest.approx(expected)
        assert loss(true, pred, weights) == pytest.approx(expected)


def test_labels_that_are_no_class_are_wrong() -> None:
    metric = metrics.SparseTopKCategoricalAccuracy(k=2)
    assert metric(np.array([7, -1, 1]), np.array([[0.2, 0.3, 0.5]] * 3)) == pytest.approx(1 / 3)


SHAPES = {
    "IoU": lambda: metrics.IoU(3, [0])(np.zeros(4), np.zeros(3)),
    "F1Score": lambda: metrics.F1Score()(np.zeros((4, 2)), np.zeros((4, 3))),
    "Precision": lambda: metrics.Precision()(np.zeros((4, 2)), np.zeros((4, 3))),
    "R2Score": lambda: metrics.R2Score()(np.zeros((4, 2)), np.zeros((4, 3))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match="got"):
        SHAPES[name]()


def test_custom_objects() -> None:
    description = {"class_name": "Largest", "config": {}, "registered_name": "Largest"}
    assert type(metrics.deserialize(description, custom_objects={"Largest": Largest})) is Largest


def test_the_first_of_equal_predictions_are_the_top() -> None:
    true, pred = np.array([[1, 0, 1, 0], [0, 1, 0, 1]]), np.array([[0.5] * 4, [0.2, 0.9, 0.5, 0.5]])
    assert metrics.Precision(top_k=2)(true, pred) == pytest.approx((1 + 1) / 4)
    assert metrics.Recall(top_k=2, class_id=2)(true, pred) == 0
    assert metrics.Precision(top_k=9)(true, pred) == pytest.approx(4 / 8)


@pytest.mark.parametrize("name", ["mean_squared_error", "cosine_similarity", "log_cosh", "huber"])
def test_functions_of_losses_are_metrics_of_their_name_and_sign(name: str) -> None:
    metric = metrics.get(losses.FUNCTIONS[name])
    assert metric.name == name
    assert metric(T, P) == pytest.approx(float(np.mean(losses.FUNCTIONS[name](T, P))))


def test_a_function_that_leaves_samples_out_is_its_metric() -> None:
    true, pred = np.array([[0.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [2.0, 3.0]])
    assert metrics.get(losses.FUNCTIONS["zero_safe_mape"])(true, pred) == metrics.ZeroSafeMAPE()(true, pred) == 50


@pytest.mark.parametrize("name", ["sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"])
def test_functions_refuse_labels_of_another_shape(name: str) -> None:
    with pytest.raises(ValueError, match=r"y_true must have shape \(4,\) of class numbers, got \(3,\)"):
        getattr(metrics, name)(np.zeros(3), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="k must be a positive integer"):
        metrics.top_k_categorical_accuracy(np.eye(3), np.eye(3), k=0)


def test_class_numbers_of_another_batch_broadcast_as_in_keras() -> None:
    true, pred = np.array([[0], [1]]), np.array([[[0.9, 0.1, 0.0], [0.7, 0.2, 0.1]]])
    assert metrics.sparse_categorical_accuracy(true, pred).tolist() == [[1, 1], [0, 0]]
    assert metrics.sparse_top_k_categorical_accuracy(true, pred, k=1).tolist() == [[1], [0]]
    assert metrics.SparseCategoricalAccuracy()(true, pred) == 0.5
    with pytest.raises(ValueError, match=r"y_true must have shape \(3, 2\) of class numbers, got \(1, 2\)"):
        metrics.sparse_top_k_categorical_accuracy(np.zeros((1, 2)), np.zeros((3, 2, 4)))


@pytest.mark.parametrize("weight", [2.0, [2.0]])
def test_one_weight_for_one_value(weight: Any) -> None:
    mean = metrics.Mean()
    mean.update_state(3.0, weight)
    mean.update_state([1.0, 5.0])
    assert mean.result() == pytest.approx((2 * 3 + 1 + 5) / 4)


class InPlaceMetric(metrics.Metric):
    def __init__(self, name: str = "in_place") -> None:
        super().__init__(name=name)
        self.total = self.add_variable((), "zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred -= y_true
        self.total += np.abs(y_pred).sum()

    def result(self) -> float:
        return float(self.total)


def in_place_function(y_true: Any, y_pred: Any) -> Any:
    y_true -= 1
    return np.abs(y_true - y_pred)


@pytest.mark.parametrize("metric", [InPlaceMetric(), in_place_function], ids=["class", "function"])
def test_a_users_metric_cannot_change_the_data(metric: Any) -> None:
    model = pyrnn.Sequential([pyrnn.layers.Input((3,)), pyrnn.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    x, y = np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"the metric 'in_place.*' assigns to y_true or y_pred in place"):
            call(x, y, verbose=0)
    assert (y == 1).all()
