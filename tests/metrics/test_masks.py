"""Metrics of models whose output has a mask: masked steps do not count."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from pyrnn import Sequential, layers, metrics
from pyrnn.metrics.base import masked_weights

ROWS, STEPS, CLASSES = 6, 5, 3
RNG = np.random.default_rng(15)
TERMS = ROWS * STEPS * CLASSES * 16
X = RNG.normal(size=(ROWS, STEPS, 2)).astype("float32")
X[:, 0][::2] = X[:, 3] = 0
MASK = (X != 0).any(axis=-1)
NUMBERS = RNG.integers(0, CLASSES, (ROWS, STEPS))
# Targets for outputs of (activation, units); metrics not named here take those of "numbers".
TARGETS: dict[str, tuple[str, int, np.ndarray]] = {
    "numbers": ("softplus", CLASSES, RNG.random((ROWS, STEPS, CLASSES)) + 0.1),
    "binary": ("sigmoid", 1, RNG.integers(0, 2, (ROWS, STEPS, 1))),
    "one-hot": ("softmax", CLASSES, np.eye(CLASSES)[NUMBERS]),
    "class numbers": ("softmax", CLASSES, NUMBERS),
}
KINDS: dict[str, list[str]] = {
    "binary": [
        "BinaryAccuracy", "BinaryCrossentropy", "AUC", "Precision", "Recall", "TruePositives", "FalsePositives",
        "TrueNegatives", "FalseNegatives", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
        "SpecificityAtSensitivity", "BinaryIoU",
    ],
    "one-hot": ["CategoricalAccuracy", "CategoricalCrossentropy", "TopKCategoricalAccuracy", "CategoricalHinge",
                "OneHotIoU", "OneHotMeanIoU"],
    "class numbers": ["SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
                      "IoU", "MeanIoU"],
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": CLASSES, "target_class_ids": [0, 2], "sparse_y_pred": False},
    "MeanIoU": {"num_classes": CLASSES, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": CLASSES, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": CLASSES},
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "MASE": {"scale": 2.0},
}
# They take one value per sample and output: a sequence has no shape for them.
OF_TABLES = ("F1Score", "FBetaScore", "R2Score")
NAMES = [cls.__name__ for cls in metrics.CLASSES if cls.__name__ not in (*OF_TABLES, "Mean", "Sum")]


def kind_of(name: str) -> str:
    return next((kind for kind, names in KINDS.items() if name in names), "numbers")


@functools.cache
def tagger(kind: str) -> Sequential:
    activation, units, _ = TARGETS[kind]
    model = Sequential([layers.Masking(0.0, input_shape=(STEPS, 2)), layers.GRU(4, return_sequences=True)])
    model.add(layers.Dense(units, activation, bias_initializer="random_normal"))
    return model


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", NAMES)
def test_only_steps_that_count_reach_a_metric(name: str, weighted: bool) -> None:
    kind = kind_of(name)
    model, y = tagger(kind), TARGETS[kind][2]
    made, alone = (getattr(metrics, name)(**OPTIONS.get(name, {})) for _ in range(2))
    assert made.masked
    model.compile("sgd", "sparse_categorical_crossentropy" if kind == "class numbers" else "mae",
                  **{"weighted_metrics" if weighted else "metrics": [made]})  # fmt: skip
    weights = RNG.integers(1, 4, (ROWS, STEPS)).astype("float32") if weighted else None
    results = model.evaluate(X, y, sample_weight=weights, batch_size=4, verbose=0)
    alone.update_state(y[MASK], model.predict(X, verbose=0)[MASK], None if weights is None else weights[MASK])
    assert_close(np.float32(results[1]), np.float32(alone.result()), TERMS)


@pytest.mark.parametrize("name", OF_TABLES)
def test_metrics_of_tables_take_a_mask_of_their_shape(name: str) -> None:
    true, pred = NUMBERS[:4, :2] % 2, RNG.random((4, 2))
    mask = np.array([[True, True], [True, True], [True, True], [False, False]])
    masked, alone = getattr(metrics, name)(), getattr(metrics, name)()
    masked.update_state(true, pred, masked_weights(None, mask))
    alone.update_state(true[:3], pred[:3])
    if name != "R2Score":  # its number of samples is for the adjusted score only
        assert_close(np.asarray(masked.result()), np.asarray(alone.result()), TERMS)
    assert masked.masked and masked.result() == pytest.approx(alone.result())


def model_of_sums() -> Sequential:
    """A model that outputs its input where it is not 0, which its mask leaves out."""
    model = Sequential([layers.Masking(0.0, input_shape=(3, 1)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mae", metrics=["mae"])
    return model


def test_a_masked_error_of_two_steps() -> None:
    assert model_of_sums().evaluate([[[1], [0], [1]]], [[[0], [1], [1]]], verbose=0) == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3), (2, 3, 1)])
def test_weights_of_samples_and_steps_next_to_a_mask(shape: tuple[int, ...]) -> None:
    x = np.array([[[1.0], [0], [1]], [[2], [3], [0]]])
    y = np.array([[[0.0], [1], [1]], [[1], [1], [1]]])
    weight = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    model = model_of_sums()
    model.compile("sgd", "mae", weighted_metrics=["mae", "rmse"])
    logs = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    steps = (weight.reshape(weight.shape[:2] + (1,) * (2 - weight.ndim)) * (x != 0)[..., 0]).astype(float)
    error = np.abs(x - y)[..., 0]
    assert logs["mae"] == pytest.approx((error * steps).sum() / steps.sum())
    assert logs["rmse"] == pytest.approx(np.sqrt((error**2 * steps).sum() / steps.sum()))


def test_values_of_masked_steps_may_be_no_numbers() -> None:
    """The correlation of a constant output is NaN, and a masked step of a recurrent layer is such an output."""
    metric = metrics.PearsonCorrelation()
    with np.errstate(invalid="ignore"):
        metric.update_state([[[1.0, 2.0], [1.0, 2.0]]], [[[0.0, 0.0], [1.0, 3.0]]], [[0.0, 1.0]])
    assert metric.result() == pytest.approx(1.0)


class Steps(metrics.Metric):
    """A custom metric that counts the steps of a mask."""

    def __init__(self, name: str = "steps") -> None:
        super().__init__(name=name)
        self.steps = self.add_variable((), "zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> None:
        self.steps.assign_add(y_pred[..., 0].size if mask is None else mask.sum())

    def result(self) -> Any:
        return self.steps


class Unaware(metrics.Metric):
    """A custom metric as in Keras's guides, which is called without weights where there are none."""

    def __init__(self, name: str = "unaware") -> None:
        super().__init__(name=name)
        self.weights: list[Any] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.weights.append(sample_weight)

    def result(self) -> float:
        return float(len(self.weights))


def test_custom_metrics_take_the_mask_as_an_argument() -> None:
    model, unaware = tagger("numbers"), Unaware()
    model.compile("sgd", "mae", metrics=[Steps(), unaware])
    logs = model.evaluate(X, TARGETS["numbers"][2], verbose=0, return_dict=True)
    assert logs["steps"] == MASK.sum() and unaware.weights == [None]
    plain = Sequential([layers.Input((STEPS, 2)), layers.Dense(CLASSES)])
    plain.compile("sgd", "mae", metrics=[Steps()])
    assert plain.evaluate(X, TARGETS["numbers"][2], verbose=0)[1] == MASK.size


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            lambda y_true, y_pred: np.abs(y_true - y_pred).mean(),
            "mask of shape .* cannot apply to lambda, which has one value.*must return",
        ),
        (metrics.CosineSimilarity(axis=1), r"cosine_similarity has one value along axis 1 of y_pred.*use axis=-1"),
        (metrics.PearsonCorrelation(axis=(1, 2)), r"pearson_correlation has one value along axis \(1, 2\)"),
    ],
    ids=["one value", "cosine over time", "correlation over time"],
)
def test_what_cannot_leave_steps_out_is_rejected(metric: Any, message: str) -> None:
    model = tagger("numbers")
    model.compile("sgd", "mae", metrics=[metric])
    with pytest.raises(ValueError, match=message):
        model.evaluate(X, TARGETS["numbers"][2], verbose=0)


class LastStep(metrics.Metric):
    """A mixin: the error of the last step, or of each sequence, which has no step left that a mask could leave out."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true[:, -1], y_pred[:, -1], sample_weight)


class LastError(LastStep, metrics.MeanAbsoluteError):
    pass


class LastValue(metrics.MeanMetricWrapper):
    def __init__(self, name: str = "last", **options: Any) -> None:
        super().__init__(lambda y_true, y_pred: np.abs(y_true - y_pred), name=name, **options)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true[:, -1], y_pred[:, -1], sample_weight)


class LastMean(metrics.Mean):
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(np.abs(y_true - y_pred)[:, -1, 0], sample_weight)


class LastMeanOfASubclass(LastMean):
    pass


class MaskedByChoice(metrics.MeanAbsoluteError):
    """A custom `update_state` that keeps the steps, and says that it wants their weights."""

    masked = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(2 * y_true, 2 * y_pred, sample_weight)


@pytest.mark.parametrize("cls", [LastError, LastValue, LastMean, LastMeanOfASubclass])
@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_a_custom_update_state_receives_no_weights_of_a_mask(cls: type[metrics.Metric], argument: str) -> None:
    x, y = np.array([[[1.0], [0], [3]], [[2], [3], [0]]]), np.zeros((2, 3, 1))
    model = model_of_sums()
    model.compile("sgd", "mae", **{argument: [cls()]})
    weight = np.array([1.0, 2.0])
    results = model.evaluate(x, y, sample_weight=weight, verbose=0)
    expected = np.average([3.0, 0.0], weights=weight if argument == "weighted_metrics" else None)
    assert results[1] == pytest.approx(expected)


def test_a_custom_update_state_can_ask_for_the_weights_of_a_mask() -> None:
    model = model_of_sums()
    model.compile("sgd", "mae", metrics=[MaskedByChoice()])
    assert model.evaluate([[[1], [0], [1]]], [[[0], [1], [1]]], verbose=0) == [0.5, 1.0]
