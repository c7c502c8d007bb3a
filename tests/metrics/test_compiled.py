"""Metrics of compiled models: their names and results."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Sequential, callbacks, layers, load_model, losses, metrics
from pyrnn.utils import clear_session

X = np.random.default_rng(5).normal(size=(8, 2)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def classifier(plain: Any = None, weighted: Any = None) -> Sequential:
    model = Sequential([layers.Input((2,)), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=plain, weighted_metrics=weighted)
    return model


def absolute_error(y_true: Any, y_pred: Any) -> Any:
    return np.abs(y_true - y_pred)


NAMES: dict[str, tuple[Any, Any, list[str]]] = {
    "strings": (["AUC", "auc", "mae", "rmse"], None, ["AUC", "auc", "mae", "rmse"]),
    "accuracies": (["accuracy", "Accuracy", "ACC", "CE"], None, ["accuracy", "Accuracy", "ACC", "CE"]),
    "objects": ([metrics.AUC(name="mine"), metrics.MeanAbsoluteError()], None, ["mine", "mean_absolute_error"]),
    "functions": ([absolute_error, losses.MeanSquaredError(), losses.Huber], ["mae"],
                  ["absolute_error", "mean_squared_error", losses.Huber().name, "mae"]),
    "both": (["mae"], ["mae"], ["mae", "weighted_mae"]),
    "duplicates": (["mae", "mae"], ["mae", "mae"], ["mae", "mae_1", "weighted_mae", "weighted_mae_1"]),
    "a number that is taken": (["mae", metrics.MeanAbsoluteError(name="mae_1"), "mae"], None,
                               ["mae", "mae_1", "mae_2"]),
    "the loss's name": ([metrics.MeanAbsoluteError(name="loss")], None, ["loss_1"]),
    "nested": ([["mae"], ("mse",)], [["mae"]], ["mae", "mse", "weighted_mae"]),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_are_the_same_in_every_model_and_entry(case: str, tmp_path: Path) -> None:
    plain, weighted, names = NAMES[case]
    for _ in range(2):
        model = classifier(plain, weighted)
        assert model.metrics_names == ["loss", *names]
        logs = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert list(logs) == ["loss", *names]
        assert model.evaluate(X, Y, verbose=0) == list(logs.values())
        history = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
        assert set(history) == {*logs, *(f"val_{name}" for name in logs)}
        assert list(model.train_on_batch(X, Y, return_dict=True)) == list(logs)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", custom_objects={"absolute_error": absolute_error})
    for copy in (again, pickle.loads(pickle.dumps(model))):
        assert copy.evaluate(X, Y, verbose=0, return_dict=True) == model.evaluate(X, Y, verbose=0, return_dict=True)


def test_nameless_objects_are_counted_per_process() -> None:
    clear_session()
    for names in (["auc", "auc_1"], ["auc_2", "auc_3"]):
        model = classifier([metrics.AUC, metrics.AUC()][::-1])
        assert sorted(model.metrics_names[1:]) == names


@pytest.mark.parametrize("by_shape", ["accuracy", "Accuracy", "acc"])
def test_accuracy_in_any_case_of_letters_is_chosen_by_shapes(by_shape: str) -> None:
    model = classifier([by_shape])
    expected = np.mean((model.predict(X, verbose=0) > 0.5) == Y)
    assert model.evaluate(X, Y, verbose=0)[1] == pytest.approx(expected)
    assert type(model.metrics[1]) is metrics.BinaryAccuracy


@pytest.mark.parametrize("metric", ["AUC", metrics.AUC, "Accuracy", "TruePositives", metrics.Recall(name="found")])
def test_callbacks_know_which_way_a_metric_improves(metric: Any) -> None:
    model = classifier([metric], ["mae", "mae"])
    model.fit(X, Y, verbose=0)
    for name, rises in ((model.metrics_names[1], True), ("mae", False), ("weighted_mae_1", False)):
        if name in model.metrics_names:
            stopping = callbacks.EarlyStopping(monitor=f"val_{name}")
            stopping.set_model(model)
            assert stopping.rises() is rises


class Pair(metrics.Metric):
    """A metric of two results, the second one a variable as it is."""

    def __init__(self, name: str = "pair") -> None:
        super().__init__(name=name)
        self.batches = self.add_variable((), "zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.batches.assign_add(1)

    def result(self) -> Any:
        return {"twice": 2 * self.batches, "batches": self.batches}


def test_results_of_several_numbers_and_variables() -> None:
    model = classifier([Pair(), metrics.Precision(thresholds=[0.2, 0.8])])
    validation = {"validation_data": (X, Y), "validation_batch_size": 8}
    history = model.fit(X, Y, epochs=2, batch_size=4, verbose=0, **validation).history
    assert history["twice"] == [4.0, 4.0] and history["batches"] == [2.0, 2.0] and history["val_batches"] == [1.0, 1.0]
    assert all(type(value) is float for value in history["batches"])
    assert [value.shape for value in history["precision"]] == [(2,), (2,)]
    first, second = history["precision"]
    assert first is not second


def test_one_object_twice_is_updated_once() -> None:
    positives = metrics.TruePositives(name="positives")
    logs = classifier([positives, positives]).evaluate(X, np.ones((8, 1)), verbose=0, return_dict=True)
    assert logs["positives"] == logs["positives_1"] <= 8
    with pytest.raises(ValueError, match="must not hold the same object, got 'positives' in both"):
        classifier([positives], [positives])


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        ("mae", TypeError, r"metrics must be a list such as \['mae'\], got 'mae'"),
        ([None], TypeError, "metrics must hold names or Metric objects, got None"),
        ({"a": ["mae"], "b": ["mae"]}, ValueError, r"metrics as a dict must have one entry"),
        (["mea"], ValueError, "did you mean"),
        ([3], TypeError, "metric"),
    ],
)
def test_what_names_no_metric(metric: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        classifier(metric)


@pytest.mark.parametrize("name", ["acc", "ce", "crossentropy"])
def test_names_that_depend_on_shapes_are_no_metric_alone(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' depends on the shapes of y"):
        metrics.get(name)


def test_a_registered_function_is_a_metric_by_its_name() -> None:
    from pyrnn.utils import custom_object_scope

    with custom_object_scope({"absolute_error": absolute_error}):
        assert metrics.get("absolute_error").name == "absolute_error"


def test_losses_as_metrics_and_their_descriptions() -> None:
    true, pred = Y, np.full_like(Y, 0.25)
    for identifier in (losses.Huber, losses.Huber(delta=0.1), losses.serialize(losses.Huber(delta=0.1, name="mine"))):
        metric = metrics.get(identifier)
        loss = losses.deserialize(identifier) if isinstance(identifier, dict) else losses.as_loss(identifier)
        assert loss is not None and metric.name == loss.name
        assert metric(true, pred) == pytest.approx(loss(true, pred))
        again = metrics.deserialize(metrics.serialize(metric))
        assert again.name == metric.name and again(true, pred) == metric(true, pred)
