"""Every metric of Keras and its options, over several batches, with and without sample weights."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import losses, metrics

BATCHES, ROWS, CLASSES = 3, 16, 4
TERMS = BATCHES * ROWS * CLASSES * 64
RNG = np.random.default_rng(21)
Batch = tuple[np.ndarray, np.ndarray]


def softmax(x: np.ndarray) -> np.ndarray:
    y = np.exp(x)
    return y / y.sum(axis=-1, keepdims=True)


def batches(true: Any, pred: Any) -> list[Batch]:
    return [(true(), pred()) for _ in range(BATCHES)]


NUMBERS = batches(lambda: RNG.normal(size=(ROWS, 3)), lambda: RNG.normal(size=(ROWS, 3)))
POSITIVE = batches(lambda: RNG.random((ROWS, 3)) + 0.1, lambda: RNG.random((ROWS, 3)) + 0.1)
BINARY = batches(lambda: RNG.integers(0, 2, (ROWS, 1)), lambda: RNG.random((ROWS, 1)))
LOGITS = batches(lambda: RNG.integers(0, 2, (ROWS, 1)), lambda: RNG.normal(size=(ROWS, 1)))
MULTI = batches(lambda: RNG.integers(0, 2, (ROWS, CLASSES)), lambda: RNG.random((ROWS, CLASSES)))
ONE_HOT = batches(
    lambda: np.eye(CLASSES)[RNG.integers(0, CLASSES, ROWS)], lambda: softmax(RNG.normal(size=(ROWS, CLASSES)))
)
SPARSE = batches(lambda: RNG.integers(0, CLASSES, ROWS), lambda: softmax(RNG.normal(size=(ROWS, CLASSES))))
NUMBERED = batches(lambda: RNG.integers(0, CLASSES, ROWS), lambda: RNG.integers(0, CLASSES, ROWS))
STEPS = batches(lambda: RNG.integers(0, CLASSES, (ROWS, 5)), lambda: softmax(RNG.normal(size=(ROWS, 5, CLASSES))))

CASES: dict[str, tuple[dict[str, Any], list[Batch]]] = {
    "MeanSquaredError": ({}, NUMBERS),
    "RootMeanSquaredError": ({}, NUMBERS),
    "MeanAbsoluteError": ({}, NUMBERS),
    "MeanAbsolutePercentageError": ({}, POSITIVE),
    "MeanSquaredLogarithmicError": ({}, POSITIVE),
    "CosineSimilarity": ({}, NUMBERS),
    "LogCoshError": ({}, NUMBERS),
    "R2Score": ({}, NUMBERS),
    "R2Score:weighted": ({"class_aggregation": "variance_weighted_average"}, NUMBERS),
    "R2Score:columns": ({"class_aggregation": None}, NUMBERS),
    "R2Score:adjusted": ({"num_regressors": 3}, NUMBERS),
    "PearsonCorrelation": ({}, NUMBERS),
    "ConcordanceCorrelation": ({}, NUMBERS),
    "Hinge": ({}, LOGITS),
    "SquaredHinge": ({}, LOGITS),
    "CategoricalHinge": ({}, ONE_HOT),
    "KLDivergence": ({}, POSITIVE),
    "Poisson": ({}, POSITIVE),
    "BinaryCrossentropy": ({}, BINARY),
    "BinaryCrossentropy:logits": ({"from_logits": True, "label_smoothing": 0.1}, LOGITS),
    "CategoricalCrossentropy": ({"label_smoothing": 0.1}, ONE_HOT),
    "SparseCategoricalCrossentropy": ({}, SPARSE),
    "SparseCategoricalCrossentropy:steps": ({}, STEPS),
    "Accuracy": ({}, NUMBERED),
    "BinaryAccuracy": ({}, BINARY),
    "BinaryAccuracy:threshold": ({"threshold": 0.3}, BINARY),
    "CategoricalAccuracy": ({}, ONE_HOT),
    "SparseCategoricalAccuracy": ({}, SPARSE),
    "SparseCategoricalAccuracy:steps": ({}, STEPS),
    "TopKCategoricalAccuracy": ({"k": 2}, ONE_HOT),
    "SparseTopKCategoricalAccuracy": ({"k": 3}, SPARSE),
    **{kind: ({}, BINARY) for kind in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")},
    **{
        f"{kind}:thresholds": ({"thresholds": [0.2, 0.7]}, BINARY)
        for kind in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    },
    **{
        f"{kind}:{name}": (options, data)
        for kind in ("Precision", "Recall")
        for name, options, data in (
            ("plain", {}, BINARY),
            ("thresholds", {"thresholds": [0.1, 0.5, 0.9]}, BINARY),
            ("top", {"top_k": 2}, MULTI),
            ("class", {"class_id": 1}, MULTI),
            ("multi", {}, MULTI),
        )
    },
    "SensitivityAtSpecificity": ({"specificity": 0.6}, BINARY),
    "SpecificityAtSensitivity": ({"sensitivity": 0.6}, BINARY),
    "PrecisionAtRecall": ({"recall": 0.6, "num_thresholds": 50}, BINARY),
    "RecallAtPrecision": ({"precision": 0.55}, BINARY),
    **{
        f"AUC:{curve}-{method}": ({"curve": curve, "summation_method": method, "num_thresholds": 50}, BINARY)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    },
    "AUC:plain": ({}, BINARY),
    "AUC:thresholds": ({"thresholds": [0.1, 0.2, 0.7]}, BINARY),
    "AUC:logits": ({"from_logits": True}, LOGITS),
    "AUC:labels": ({"multi_label": True}, MULTI),
    "AUC:label-weights": (
        {"multi_label": True, "num_labels": CLASSES, "label_weights": [0.1, 0.2, 0.3, 0.4]},
        MULTI,
    ),
    **{
        f"{kind}:{average}": ({"average": average, **more}, data)
        for kind, more in (("F1Score", {}), ("FBetaScore", {"beta": 2.0}))
        for average in (None, "micro", "macro", "weighted")
        for data in (ONE_HOT,)
    },
    "F1Score:threshold": ({"threshold": 0.5}, MULTI),
    "IoU": ({"num_classes": CLASSES, "target_class_ids": [0, 2]}, NUMBERED),
    "IoU:ignore": ({"num_classes": CLASSES, "target_class_ids": [0, 2], "ignore_class": 1}, NUMBERED),
    "BinaryIoU": ({"threshold": 0.4}, BINARY),
    "MeanIoU": ({"num_classes": CLASSES}, NUMBERED),
    "OneHotIoU": ({"num_classes": CLASSES, "target_class_ids": [1, 3]}, ONE_HOT),
    "OneHotMeanIoU": ({"num_classes": CLASSES}, ONE_HOT),
}


def make(library: Any, case: str) -> Any:
    return getattr(library, case.split(":")[0])(**CASES[case][0])


def single(*arrays: np.ndarray) -> list[np.ndarray]:
    """Numbers as float32, classes as they are."""
    return [a if a.dtype.kind == "i" else a.astype("float32") for a in arrays]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_over_batches(case: str, weighted: bool) -> None:
    theirs, ours = make(keras.metrics, case), make(metrics, case)
    for _ in range(2):  # again after a reset
        for number, batch in enumerate(CASES[case][1]):
            y_true, y_pred = single(*batch)
            weight = np.linspace(1, 3, ROWS).astype("float32") + number if weighted else None
            if weight is not None and "IoU" in case:
                weight = weight.astype("int32")
            theirs.update_state(y_true, y_pred, weight)
            ours.update_state(y_true, y_pred, weight)
            assert_close(
                np.asarray(ours.result(), "float32"), np.asarray(theirs.result(), "float32"), TERMS, f"batch {number}"
            )
        theirs.reset_state()
        ours.reset_state()


@pytest.mark.parametrize("case", CASES)
def test_configs_both_ways(case: str) -> None:
    theirs, ours = make(keras.metrics, case), make(metrics, case)
    by_us = metrics.deserialize(keras.metrics.serialize(theirs))
    by_keras = keras.metrics.deserialize(metrics.serialize(ours))
    y_true, y_pred = single(*CASES[case][1][0])
    expected = np.asarray(theirs(y_true, y_pred), "float32")
    for metric in (ours, by_us, by_keras):
        assert_close(np.asarray(metric(y_true, y_pred), "float32"), expected, TERMS)


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_of_values(name: str) -> None:
    theirs, ours = getattr(keras.metrics, name)(), getattr(metrics, name)()
    for metric in (theirs, ours):
        metric.update_state([1.0, 2.0, 5.0])
        metric.update_state(np.float32([3.0, 4.0]), [0.5, 2.0])
    assert float(ours.result()) == pytest.approx(float(theirs.result()))


def test_every_metric_is_compared() -> None:
    compared = {case.split(":")[0] for case in CASES} | {"Mean", "Sum", "Metric", "MeanMetricWrapper"}
    assert {n for n in dir(keras.metrics) if isinstance(getattr(keras.metrics, n), type)} <= compared


def column(*values: float) -> np.ndarray:
    return np.array(values, "float32")[:, None]


GRID = (RNG.integers(0, 2, (200, 1)), np.linspace(0, 1, 200, dtype="float32")[:, None])
NAN = float("nan")
# case -> (metric, options, y_true, y_pred, sample_weight)
EDGES: dict[str, tuple[str, dict[str, Any], np.ndarray, np.ndarray, Any]] = {
    "accuracy of logits": ("BinaryAccuracy", {"threshold": 0.0}, column(1, 0, 1), column(2, -1, -3), None),
    "ignored class": ("SparseCategoricalCrossentropy", {"ignore_class": 1}, *SPARSE[0], None),
    "ignored class, weights": (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 1},
        *SPARSE[0],
        RNG.random(ROWS).astype("float32"),
    ),
    "steps of an ignored class, weights": (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 2},
        *STEPS[0],
        RNG.random((ROWS, 5)).astype("float32"),
    ),
    "top k is no number": (
        "SparseTopKCategoricalAccuracy",
        {"k": 2},
        np.array([0, 1]),
        np.array([[NAN, 0.3, 0.3], [0.1, 0.5, 0.1]], "float32"),
        None,
    ),
    "no number is not above": ("Precision", {}, column(1, 0, 1), column(NAN, NAN, 0.9), None),
    "outside of 0 to 1": ("AUC", {}, column(1, 0), column(1.5, -0.2), None),
    "on thresholds": ("AUC", {}, *GRID, None),
    "on few thresholds": ("AUC", {"num_thresholds": 5, "curve": "PR"}, *GRID, None),
    "on even thresholds": ("Recall", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, *GRID, None),
    "on a constraint's thresholds": ("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 11}, *GRID, None),
    "on uneven thresholds": ("TruePositives", {"thresholds": [0.9, 0.0, 0.5]}, *GRID, None),
}


@pytest.mark.parametrize("case", EDGES)
def test_edges(case: str) -> None:
    name, options, y_true, y_pred, weight = EDGES[case]
    y_pred = y_pred.astype("float32")
    theirs, ours = getattr(keras.metrics, name)(**options), getattr(metrics, name)(**options)
    theirs.update_state(y_true, y_pred, weight)
    ours.update_state(y_true, y_pred, weight)
    assert_close(np.asarray(ours.result(), "float32"), np.asarray(theirs.result(), "float32"), TERMS)


def parameters(kind: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


@pytest.mark.parametrize("name", sorted({case.split(":")[0] for case in CASES} | {"Mean", "Sum", "Metric"}))
def test_arguments_by_place(name: str) -> None:
    """Keras's arguments in Keras's order make the same description."""
    if name == "Metric":
        ours, theirs = (parameters(library.Metric) for library in (metrics, keras.metrics))
        assert [each.name for each in ours] == [each.name for each in theirs]
        return
    example = next((case for case in CASES if case.split(":")[0] == name), None)
    options = {} if example is None else CASES[example][0]
    placed = [options.get(each.name, each.default) for each in parameters(getattr(keras.metrics, name))]
    theirs, ours = getattr(keras.metrics, name)(*placed), getattr(metrics, name)(*placed)
    expected, actual = theirs.get_config(), ours.get_config()
    # Keras's descriptions leave some arguments out, and number the names of nameless ones.
    for key in expected.keys() - {"name", "thresholds", "dtype"}:
        assert actual[key] == expected[key] or list(actual[key]) == list(expected[key]), key


UNKNOWN = {"MeanSquaredError": "reduction", "BinaryCrossentropy": "axis", "KLDivergence": "from_logits"}


@pytest.mark.parametrize("name", UNKNOWN)
def test_arguments_that_do_nothing_are_refused(name: str) -> None:
    for library in (keras.metrics, metrics):
        with pytest.raises(TypeError, match=UNKNOWN[name]):
            getattr(library, name)(**{UNKNOWN[name]: 1})


@pytest.mark.parametrize("name", ["Mean", "Sum", "MeanSquaredError", "BinaryAccuracy", "CategoricalAccuracy"])
def test_variables(name: str) -> None:
    theirs, ours = getattr(keras.metrics, name)(), getattr(metrics, name)()
    assert [each.name for each in ours.variables] == [each.name for each in theirs.variables]
    data = ([1.0, 2.0],) if name in ("Mean", "Sum") else ONE_HOT[0]
    for metric in (theirs, ours):
        metric.update_state(*data)
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        assert_close(np.float32(our.numpy()), np.asarray(their.numpy()), TERMS)
    ours.variables[0].assign(0)
    assert ours.result() == 0


def test_every_name_of_keras() -> None:
    from keras.src.metrics import ALL_OBJECTS_DICT

    for name in ALL_OBJECTS_DICT.keys() - {"Metric", "metric", "MeanMetricWrapper", "mean_metric_wrapper"}:
        try:
            assert isinstance(metrics.get(name), metrics.Metric)
        except TypeError as error:  # those with arguments that must be given
            assert "required positional argument" in str(error)


# function -> (further arguments by place, y_true, y_pred)
FUNCTIONS: dict[str, tuple[tuple[Any, ...], Batch]] = {
    "binary_accuracy": ((), MULTI[0]),
    "binary_accuracy:threshold": ((0.3,), BINARY[0]),
    "binary_accuracy:ranks": ((), (BINARY[0][0][:, 0], BINARY[0][1])),
    "binary_accuracy:other ranks": ((), (BINARY[0][0], BINARY[0][1][:, 0])),
    "binary_accuracy:steps": ((), (STEPS[0][0] > 1, STEPS[0][1][..., :1])),
    "categorical_accuracy": ((), ONE_HOT[0]),
    "categorical_accuracy:steps": ((), (np.eye(CLASSES)[STEPS[0][0]], STEPS[0][1])),
    "sparse_categorical_accuracy": ((), SPARSE[0]),
    "sparse_categorical_accuracy:column": ((), (SPARSE[0][0][:, None], SPARSE[0][1])),
    "sparse_categorical_accuracy:steps": ((), STEPS[0]),
    "sparse_categorical_accuracy:step columns": ((), (STEPS[0][0][..., None], STEPS[0][1])),
    "sparse_categorical_accuracy:one step": ((), (STEPS[0][0][:, :1], STEPS[0][1][:, :1])),
    "top_k_categorical_accuracy": ((2,), ONE_HOT[0]),
    "top_k_categorical_accuracy:steps": ((3,), (np.eye(CLASSES)[STEPS[0][0]], STEPS[0][1])),
    "sparse_top_k_categorical_accuracy": ((2,), SPARSE[0]),
    "sparse_top_k_categorical_accuracy:column": ((1,), (SPARSE[0][0][:, None], SPARSE[0][1])),
    "sparse_top_k_categorical_accuracy:steps": ((2,), STEPS[0]),
    "sparse_top_k_categorical_accuracy:sorted": ((2, True), (SPARSE[0][0], np.argsort(-SPARSE[0][1], axis=-1))),
    "pearson_correlation": ((), NUMBERS[0]),
    "pearson_correlation:axis": ((0,), NUMBERS[0]),
    "concordance_correlation": ((), NUMBERS[0]),
    "concordance_correlation:axis": ((0,), NUMBERS[0]),
    "binary_crossentropy": ((True, 0.1), LOGITS[0]),
    "binary_focal_crossentropy": ((True, 0.4, 3.0), BINARY[0]),
    "categorical_crossentropy": ((False, 0.1), ONE_HOT[0]),
    "categorical_focal_crossentropy": ((), ONE_HOT[0]),
    "categorical_hinge": ((), ONE_HOT[0]),
    "hinge": ((), LOGITS[0]),
    "huber": ((0.3,), NUMBERS[0]),
    "kl_divergence": ((), POSITIVE[0]),
    "log_cosh": ((), NUMBERS[0]),
    "mean_absolute_error": ((), NUMBERS[0]),
    "mean_absolute_percentage_error": ((), POSITIVE[0]),
    "mean_squared_error": ((), NUMBERS[0]),
    "mean_squared_error:ranks": ((), (LOGITS[0][0][:, 0], LOGITS[0][1])),
    "mean_squared_error:other ranks": ((), (LOGITS[0][0], LOGITS[0][1][:, 0])),
    "mean_squared_error:step ranks": ((), (STEPS[0][0], STEPS[0][1][..., :1])),
    "mean_squared_error:steps": ((), (STEPS[0][1], STEPS[1][1])),
    "mean_squared_logarithmic_error": ((), POSITIVE[0]),
    "poisson": ((), POSITIVE[0]),
    "sparse_categorical_crossentropy": ((), STEPS[0]),
    "sparse_categorical_crossentropy:ignored": ((False, 1), SPARSE[0]),
    "squared_hinge": ((), LOGITS[0]),
}
KERAS_FUNCTIONS = {
    name for name in dir(keras.metrics) if inspect.isfunction(getattr(keras.metrics, name))
} - {"deserialize", "get", "serialize"}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case: str) -> None:
    name, (options, batch) = case.split(":")[0], FUNCTIONS[case]
    y_true, y_pred = single(*batch)
    expected = getattr(keras.metrics, name)(y_true, y_pred, *options).numpy()
    actual = getattr(metrics, name)(y_true, y_pred, *options)
    assert actual.dtype == expected.dtype
    assert_close(actual, expected, TERMS)


def test_every_function_is_compared() -> None:
    assert {case.split(":")[0] for case in FUNCTIONS} >= KERAS_FUNCTIONS


@pytest.mark.parametrize("name", sorted(KERAS_FUNCTIONS))
def test_arguments_of_functions(name: str) -> None:
    ours, theirs = (parameters(getattr(library, name)) for library in (metrics, keras.metrics))
    assert [(each.name, each.default) for each in ours] == [(each.name, each.default) for each in theirs]


COMPILED = ["binary_accuracy", "log_cosh", "mean_absolute_error", "binary_focal_crossentropy", "pearson_correlation"]


def test_functions_in_models_and_files(tmp_path: Path) -> None:
    """Files name Keras's functions, which need not be given again; a loss is a metric with its own sign."""
    data = MULTI[0][1].astype("float32"), ONE_HOT[0][0].astype("float32")
    models = []
    for library, their_losses in ((keras, keras.losses), (pyrnn, losses)):
        watched = [getattr(library.metrics, name) for name in COMPILED] + [their_losses.cosine_similarity]
        model = library.Sequential([library.Input((CLASSES,)), library.layers.Dense(CLASSES)])
        model.compile("sgd", "mse", metrics=watched, weighted_metrics=[library.metrics.hinge])
        models.append(model)
    theirs, ours = models
    ours.set_weights(theirs.get_weights())
    theirs.save(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    read = [pyrnn.load_model(tmp_path / f"{name}.keras") for name in ("theirs", "ours")]
    read.append(keras.models.load_model(tmp_path / "ours.keras"))
    expected = theirs.evaluate(*data, verbose=0, return_dict=True)
    for model in (ours, *read):
        actual = model.evaluate(*data, verbose=0, return_dict=True)
        assert actual.keys() == expected.keys()
        for name, value in expected.items():
            assert_close(np.float32(actual[name]), np.float32(value), TERMS, name)
