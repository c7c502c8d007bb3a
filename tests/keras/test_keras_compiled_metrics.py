"""Metrics of compiled models: under a mask, with and without sample weights, and their names, compared with Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.metrics.reduction_metrics import MeanMetricWrapper
from tolerance import assert_close

import pyrnn

BATCHES, ROWS, CLASSES = 3, 4, 6
TERMS = BATCHES * ROWS * CLASSES * 64
RNG = np.random.default_rng(15)
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]

# What the model outputs -> (activation, units, loss, metrics that Keras masks).
OUTPUTS: dict[str, tuple[str, int, str, list[str]]] = {
    "numbers": (
        "softplus",
        3,
        "mean_squared_error",
        [
            "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError",
            "CosineSimilarity", "LogCoshError", "KLDivergence", "Poisson", "PearsonCorrelation",
            "ConcordanceCorrelation", "Hinge", "SquaredHinge", "CategoricalHinge", "Accuracy", "mean_squared_error",
            "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "log_cosh",
            "huber", "kl_divergence", "poisson", "pearson_correlation", "concordance_correlation", "hinge",
            "squared_hinge", "categorical_hinge",
        ],
    ),
    "binary": (
        "sigmoid",
        1,
        "binary_crossentropy",
        [
            "BinaryAccuracy", "BinaryCrossentropy", "Hinge", "SquaredHinge", "Accuracy", "binary_accuracy",
            "binary_crossentropy", "binary_focal_crossentropy",
        ],
    ),
    "one-hot": (
        "softmax",
        CLASSES,
        "categorical_crossentropy",
        [
            "CategoricalAccuracy", "CategoricalCrossentropy", "TopKCategoricalAccuracy", "CategoricalHinge",
            "categorical_accuracy", "categorical_crossentropy", "categorical_focal_crossentropy",
            "top_k_categorical_accuracy", "BinaryAccuracy",
        ],
    ),
    "class numbers": (
        "softmax",
        CLASSES,
        "sparse_categorical_crossentropy",
        [
            "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
            "sparse_categorical_accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy",
        ],
    ),
}  # fmt: skip
OPTIONS = {"TopKCategoricalAccuracy": {"k": 2}, "SparseTopKCategoricalAccuracy": {"k": 2}}


def test_every_metric_that_keras_masks_is_compared() -> None:
    public = [getattr(keras.metrics, name) for name in dir(keras.metrics)]
    masked = {each.__name__ for each in public if isinstance(each, type) and issubclass(each, MeanMetricWrapper)}
    functions = {each.__name__ for each in public if callable(each) and not isinstance(each, type)}
    compared = {name for *_, names in OUTPUTS.values() for name in names}
    assert compared == (masked | functions) - {"MeanMetricWrapper", "deserialize", "get", "serialize"}


def targets(kind: str, steps: int) -> np.ndarray:
    if kind == "numbers":
        return RNG.random((ROWS, steps, 3)).astype("float32") + 0.1
    if kind == "binary":
        return RNG.integers(0, 2, (ROWS, steps, 1)).astype("float32")
    numbers = RNG.integers(0, CLASSES, (ROWS, steps))
    return np.eye(CLASSES, dtype="float32")[numbers] if kind == "one-hot" else numbers


def batch(kind: str, steps: int) -> Batch:
    """x, in which about a third of the steps are 0, y, and a weight for each step."""
    x = RNG.normal(size=(ROWS, steps, 2)).astype("float32")
    x[RNG.random((ROWS, steps)) < 0.3] = 0
    return x, targets(kind, steps), RNG.uniform(0.5, 2, (ROWS, steps)).astype("float32")


@functools.cache
def data(kind: str) -> list[Batch]:
    return [batch(kind, 5) for _ in range(BATCHES)]


def models(kind: str, weighted: bool) -> list[Any]:
    """Keras's model and ours, with the same weights and every metric once or, with sample weights, twice."""
    activation, units, loss, names = OUTPUTS[kind]
    made = []
    for library in (keras, pyrnn):
        layers = library.layers
        model = library.Sequential(
            [library.Input((None, 2)), layers.Masking(0.0), layers.GRU(5, return_sequences=True),
             layers.Dense(units, activation, bias_initializer="random_normal")]
        )  # fmt: skip
        fresh = [
            [
                each(**OPTIONS.get(name, {})) if isinstance(each, type) else each
                for name in names
                for each in [getattr(library.metrics, name)]
            ]
            for _ in range(2)
        ]
        model.compile(
            library.optimizers.SGD(0.01), loss, metrics=fresh[0], weighted_metrics=fresh[1] if weighted else None
        )
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    return made


def whole(kind: str, weighted: bool) -> dict[str, np.ndarray]:
    parts = [np.concatenate(each) for each in zip(*data(kind), strict=True)]
    return dict(zip(("x", "y", "sample_weight"), parts if weighted else parts[:2], strict=False))


def generator(batches: list[Batch], weighted: bool) -> Iterator[tuple[np.ndarray, ...]]:
    for each in batches:
        yield each if weighted else each[:2]


def fitted(model: Any, kind: str, weighted: bool) -> dict[str, list[float]]:
    arrays = whole(kind, weighted)
    held = tuple(array[: ROWS + 1] for array in arrays.values())
    options = {"batch_size": ROWS + 1, "epochs": 2, "shuffle": False, "verbose": 0}
    history: dict[str, list[float]] = model.fit(**arrays, validation_data=held, **options).history
    return history


ENTRIES: dict[str, Callable[[Any, str, bool], dict[str, Any]]] = {
    "fit": fitted,
    "evaluate": lambda model, kind, weighted: model.evaluate(
        **whole(kind, weighted), batch_size=ROWS + 1, verbose=0, return_dict=True
    ),
    "evaluate in buckets": lambda model, kind, weighted: model.evaluate(
        generator([data(kind)[0], buckets(kind)], weighted), steps=2, verbose=0, return_dict=True
    ),
    "train_on_batch": lambda model, kind, weighted: model.train_on_batch(**whole(kind, weighted), return_dict=True),
    "test_on_batch": lambda model, kind, weighted: model.test_on_batch(**whole(kind, weighted), return_dict=True),
}


@functools.cache
def buckets(kind: str) -> Batch:
    return batch(kind, 9)


@pytest.fixture
def weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Keras's loss from multiplying the mask into the sample weights in place.

    With its PyTorch backend the metrics of a batch then see the weights times steps / steps that count, as with no
    other backend.
    """
    from keras.src.losses import loss

    original = loss.apply_mask

    def apply_mask(sample_weight: Any, *rest: Any, **named: Any) -> Any:
        return original(None if sample_weight is None else sample_weight + 0, *rest, **named)

    monkeypatch.setattr(loss, "apply_mask", apply_mask)


@pytest.mark.usefixtures("weights_stay")
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_masked_metrics(kind: str, weighted: bool, entry: str) -> None:
    theirs, ours = (ENTRIES[entry](model, kind, weighted) for model in models(kind, weighted))
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert_close(np.float32(ours[name]), np.float32(expected), TERMS, name)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (2, 1), (2, 3), (2, 3, 1), (2, 3, 4), (1, 3), (2, 1, 1), (1, 1, 4)])
@pytest.mark.parametrize(
    "name",
    ["MeanSquaredError", "RootMeanSquaredError", "BinaryAccuracy", "Accuracy", "CategoricalAccuracy",
     "CosineSimilarity", "KLDivergence", "BinaryCrossentropy", "Mean", "Sum"],
)  # fmt: skip
def test_shapes_of_sample_weights(name: str, shape: tuple[int, ...]) -> None:
    """Values and variables are Keras's; where Keras fails on weights of elements, they weigh the elements."""
    arrays = [(np.arange(24).reshape(2, 3, 4) % each / each).astype("float32") for each in (2, 5)]
    if name in ("Mean", "Sum"):
        arrays = arrays[1:]
    weight = np.arange(1, 1 + np.prod(shape, dtype=int), dtype="float32").reshape(shape)
    theirs, ours = getattr(keras.metrics, name)(), getattr(pyrnn.metrics, name)()
    try:
        theirs.update_state(*arrays, sample_weight=weight)
    except RuntimeError:
        assert shape in [(2, 3, 4), (1, 1, 4)]
        if name != "MeanSquaredError":
            with pytest.raises(ValueError, match="sample_weight"):
                ours.update_state(*arrays, sample_weight=weight)
            return
        elements = keras.metrics.RootMeanSquaredError()
        elements.update_state(*arrays, sample_weight=weight)
        ours.update_state(*arrays, sample_weight=weight)
        assert_close(np.float32(ours.result()), np.float32(elements.result()) ** 2, TERMS)
        return
    ours.update_state(*arrays, sample_weight=weight)
    assert_close(np.float32(ours.result()), np.float32(theirs.result()), TERMS)
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        assert_close(np.float32(our.numpy()), np.float32(their.numpy()), TERMS, our.name)


@pytest.mark.parametrize("name", ["MeanIoU", "IoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU"])
def test_weights_with_fractions_in_counts(name: str) -> None:
    """Keras cuts them to whole numbers with the default dtype; with a float dtype they count."""
    options = {"num_classes": 2} if name != "BinaryIoU" else {}
    if name in ("IoU", "OneHotIoU"):
        options["target_class_ids"] = [0, 1]
    true, pred = np.array([[1, 0], [0, 1], [1, 0]]), np.array([[0.9, 0.2], [0.8, 0.1], [0.3, 0.9]], "float32")
    if name in ("MeanIoU", "IoU"):
        pred = pred.round()
    weight = np.array([0.5, 1.5, 2.25], "float32")
    if "OneHot" not in name:
        weight = np.stack([weight, weight + 1], axis=1)
    theirs, ours = (getattr(library.metrics, name)(**options, dtype="float32") for library in (keras, pyrnn))
    assert_close(np.float32(ours(true, pred, weight)), np.float32(theirs(true, pred, sample_weight=weight)), TERMS)
    with pytest.raises(ValueError, match="sample_weight must hold whole numbers"):
        getattr(pyrnn.metrics, name)(**options)(true, pred, weight)


LABELS = [((2, 1), (1, 2, 3)), ((2, 1), (2, 3)), ((2,), (2, 3)), ((2, 4, 1), (2, 4, 3)), ((2, 1), (2, 1, 3)),
          ((2, 2, 1), (1, 2, 3)), ((1, 2), (3, 2, 3))]  # fmt: skip


@pytest.mark.parametrize(("true", "pred"), LABELS)
@pytest.mark.parametrize("name", ["SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"])
def test_shapes_of_class_numbers(name: str, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
    y_true, y_pred = RNG.integers(0, 3, true), RNG.random(pred).astype("float32")
    theirs, ours = (getattr(library.metrics, name)(**OPTIONS.get(name, {})) for library in (keras, pyrnn))
    try:
        expected = np.float32(theirs(y_true, y_pred))
    except RuntimeError:
        with pytest.raises(ValueError, match=r"y_true must have shape .* of class numbers"):
            ours(y_true, y_pred)
        return
    assert_close(np.float32(ours(y_true, y_pred)), expected, TERMS)
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        assert_close(np.float32(our.numpy()), np.float32(their.numpy()), TERMS, our.name)


# Names.


def absolute_error(y_true: Any, y_pred: Any) -> Any:
    same = np.asarray if isinstance(y_pred, np.ndarray) else keras.ops.convert_to_tensor
    return abs(same(y_true) - y_pred)


def CamelCase(y_true: Any, y_pred: Any) -> Any:
    return absolute_error(y_true, y_pred)


class Called:
    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return absolute_error(y_true, y_pred)


Given = Callable[[Any], list[Any]]
# case -> (metrics, weighted_metrics) of a library.
GIVEN: dict[str, tuple[Given, Given]] = {
    "strings": (lambda lib: ["mae", "MAE", "AUC", "auc", "MeanAbsoluteError", "mean_absolute_error"], lambda lib: []),
    "accuracies": (lambda lib: ["accuracy", "Accuracy", "acc", "ACC"], lambda lib: ["acc"]),
    "classes": (lambda lib: [lib.metrics.AUC, lib.metrics.AUC, lib.metrics.MeanAbsoluteError], lambda lib: []),
    "objects": (
        lambda lib: [lib.metrics.AUC(), lib.metrics.AUC(), lib.metrics.Precision(), lib.metrics.AUC(name="mine")],
        lambda lib: [lib.metrics.AUC(), lib.metrics.MeanAbsoluteError()],
    ),
    "functions": (
        lambda lib: [absolute_error, CamelCase, Called(), functools.partial(absolute_error), lib.metrics.log_cosh,
                     lambda y_true, y_pred: absolute_error(y_true, y_pred)],
        lambda lib: [absolute_error, lib.metrics.MeanMetricWrapper(absolute_error)],
    ),
    "losses": (lambda lib: [lib.losses.MeanSquaredError(), lib.losses.MeanSquaredError, lib.losses.Huber(name="h")],
               lambda lib: []),
    "both": (lambda lib: ["mae"], lambda lib: ["mae"]),
    "weighted only": (lambda lib: [], lambda lib: ["mae", "mae", lib.metrics.MeanAbsoluteError]),
    "duplicates": (lambda lib: ["mae", "mae", "mse", "mae"], lambda lib: ["mae", "mse", "mae", "mae"]),
    "nested": (lambda lib: [["mae"], ("mse",)], lambda lib: [["mae", "mape"]]),
}  # fmt: skip


def names_of(library: Any, case: str) -> list[list[str]]:
    """The names that two models, and the first of them evaluated again, report in a new session."""
    library.utils.clear_session()
    reported, x, y = [], np.ones((4, 2), "float32"), np.array([[1.0], [0], [1], [0]], "float32")
    for _ in range(2):
        model = library.Sequential([library.Input((2,)), library.layers.Dense(1, activation="sigmoid")])
        plain, weighted = (made(library) for made in GIVEN[case])
        model.compile("sgd", "mse", metrics=plain, weighted_metrics=weighted)
        reported.append(sorted(model.evaluate(x, y, verbose=0, return_dict=True)))
        history = model.fit(x, y, validation_data=(x, y), epochs=1, verbose=0).history
        reported.append(sorted(history))
        reported.append(sorted(model.train_on_batch(x, y, return_dict=True)))
    return reported


@pytest.mark.parametrize("case", GIVEN)
def test_names(case: str) -> None:
    assert names_of(pyrnn, case) == names_of(keras, case)


def test_names_in_files(tmp_path: Path) -> None:
    """Metrics of a file have the names of the model that was saved, whichever library wrote it."""
    x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
    for library in (keras, pyrnn):
        model = library.Sequential([library.Input((2,)), library.layers.Dense(1)])
        made = [library.losses.MeanSquaredError(), library.losses.Huber(name="mine"), library.metrics.AUC(name="area")]
        watched = ["mae", "mae", "AUC", "Accuracy", *made, library.metrics.mean_squared_error]
        model.compile("sgd", "mse", metrics=watched, weighted_metrics=["mae"])
        expected = model.evaluate(x, y, verbose=0, return_dict=True)
        model.save(tmp_path / f"{library.__name__}.keras")
        for load in (keras.models.load_model, pyrnn.load_model):
            logs = load(tmp_path / f"{library.__name__}.keras").evaluate(x, y, verbose=0, return_dict=True)
            assert set(logs) == set(expected)
            for name, value in expected.items():
                assert_close(np.float32(logs[name]), np.float32(value), TERMS, name)


def test_default_names() -> None:
    for library in (keras, pyrnn):
        library.utils.clear_session()
    needed: dict[str, tuple[Any, ...]] = {
        "IoU": (3, [0]), "MeanIoU": (3,), "OneHotIoU": (3, [0]), "OneHotMeanIoU": (3,),
        "MeanMetricWrapper": (absolute_error,),
    } | dict.fromkeys(
        ("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)
    )  # fmt: skip
    for name in dir(keras.metrics):
        if isinstance(getattr(keras.metrics, name), type):
            for _ in range(2):
                made = [getattr(library.metrics, name)(*needed.get(name, ())) for library in (pyrnn, keras)]
                assert made[0].name == made[1].name


def test_metrics_by_name_keep_their_own_names_outside_of_compile() -> None:
    for name in ("mse", "MAE", "mean_squared_error", "Poisson"):
        assert pyrnn.metrics.get(name).name == keras.metrics.get(name).name


def nested(library: Any) -> Any:
    """A metric in the form of Keras's guides, with variables, metrics and a `reset_state` of its own."""

    class Scaled(library.metrics.Metric):  # type: ignore[misc]  # of either library
        def __init__(self, name: str = "scaled") -> None:
            super().__init__(name=name)
            self.error = library.metrics.MeanAbsoluteError()
            self.scale = self.add_weight(name="scale", initializer="zeros")
            self.others = [library.metrics.MeanSquaredError(), library.metrics.Mean()]

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.error.update_state(y_true, y_pred, sample_weight)
            self.others[0].update_state(y_true, y_pred, sample_weight)
            self.scale.assign_add(1)
            self.scale.assign(self.scale * 2)

        def result(self) -> Any:
            return self.error.result() * self.scale + self.others[0].result()

        def reset_state(self) -> None:
            super().reset_state()
            self.scale.assign(0)

    return Scaled()


def test_metrics_that_hold_metrics() -> None:
    x, y = RNG.normal(size=(8, 2)).astype("float32"), RNG.normal(size=(8, 1)).astype("float32")
    made = []
    for library in (keras, pyrnn):
        model = library.Sequential([library.Input((2,)), library.layers.Dense(1)])
        metric = nested(library)
        model.compile(library.optimizers.SGD(0.1), "mse", metrics=[metric])
        if made:
            model.set_weights(made[0][0].get_weights())
        made.append((model, metric))
    histories = [
        model.fit(x, y, validation_data=(x[:3], y[:3]), epochs=3, batch_size=3, shuffle=False, verbose=0).history
        for model, _ in made
    ]
    for name, expected in histories[0].items():
        assert_close(np.float32(histories[1][name]), np.float32(expected), TERMS, name)
    theirs, ours = (metric.variables for _, metric in made)
    assert [each.name for each in ours] == [each.name for each in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert_close(np.float32(our.numpy()), np.float32(their.numpy()), TERMS, our.name)
