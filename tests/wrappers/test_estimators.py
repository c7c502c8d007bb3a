"""The estimators in scikit-learn's pipelines and searches, on series too, and what they raise."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyrnn
from pyrnn import layers, wrappers
from pyrnn.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

SILENT = {"epochs": 2, "verbose": 0}
RANDOM = np.random.default_rng(0)
SERIES, TABLE = RANDOM.normal(size=(40, 6, 2)), RANDOM.normal(size=(40, 3))
STEPS, LABELS = SERIES[:, -2:, 0], np.where(TABLE[:, 0] > 0, "up", "down")


def recurrent(X: np.ndarray, y: np.ndarray, units: int = 3) -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.Input(X.shape[1:]), layers.GRU(units), layers.Dense(y.shape[1])])
    model.compile("adam", "mse")
    return model


def dense(outputs: int = 1, inputs: int = 3, loss: str = "mse") -> pyrnn.Sequential:
    activation = "linear" if loss == "mse" else "softmax"
    model = pyrnn.Sequential([layers.Input((inputs,)), layers.Dense(outputs, activation)])
    model.compile(pyrnn.optimizers.Adam(0.05), loss)
    return model


def classifier(outputs: int = 2, **options: Any) -> SKLearnClassifier:
    return SKLearnClassifier(dense(outputs, loss="categorical_crossentropy"), **{"fit_kwargs": SILENT, **options})


def test_a_search_in_two_processes_over_the_units_of_a_recurrent_model() -> None:
    search = GridSearchCV(
        SKLearnRegressor(recurrent, fit_kwargs=SILENT),
        {"model_kwargs": [{"units": 2}, {"units": 4}]},
        cv=TimeSeriesSplit(2),
        n_jobs=2,
    )
    search.fit(SERIES, STEPS)
    assert search.best_estimator_.model_.layers[0].units == search.best_params_["model_kwargs"]["units"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(SERIES).shape == STEPS.shape


def test_pipelines() -> None:
    head = make_pipeline(StandardScaler(), SKLearnTransformer(dense(4), fit_kwargs=SILENT), LinearRegression())
    head.fit(TABLE, np.tile(TABLE[:, :1], 4))
    assert head.predict(TABLE).shape == (40, 4)
    tail = make_pipeline(StandardScaler(), classifier())
    tail.fit(TABLE, LABELS)
    assert set(tail.predict(TABLE)) <= {"up", "down"}
    scaled = TransformedTargetRegressor(SKLearnRegressor(recurrent, fit_kwargs=SILENT), transformer=StandardScaler())
    assert scaled.fit(SERIES, STEPS).predict(SERIES).shape == STEPS.shape


def test_two_classes_are_scored_by_decision_function() -> None:
    estimator = classifier(fit_kwargs={"epochs": 200, "verbose": 0}).fit(TABLE, LABELS)
    decision = estimator.decision_function(TABLE)
    assert decision.shape == (40,)
    np.testing.assert_array_equal(estimator.predict(TABLE), np.where(decision > 0, "up", "down"))
    assert get_scorer("roc_auc")(estimator, TABLE, LABELS) > 0.9
    assert cross_val_score(estimator, TABLE, LABELS, scoring="roc_auc", cv=2).min() > 0.5


def test_the_outputs_decide_between_three_classes() -> None:
    estimator = classifier(3).fit(TABLE, np.arange(40) % 3 + 10)
    np.testing.assert_array_equal(estimator.decision_function(TABLE), estimator.model_.predict(TABLE, verbose=0))
    np.testing.assert_array_equal(
        estimator.predict(TABLE), estimator.decision_function(TABLE).argmax(axis=1) + 10
    )  # fmt: skip


@pytest.mark.parametrize("target", [TABLE[:, 0], TABLE[:, :1], TABLE[:, :2]], ids=["flat", "column", "two"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_predictions_have_the_shape_and_the_precision_of_y(target: np.ndarray, dtype: str) -> None:
    y = target.astype(dtype)
    estimator = SKLearnRegressor(lambda X, y: dense(y.shape[1]), fit_kwargs=SILENT).fit(TABLE, y)
    predicted = estimator.predict(TABLE)
    assert predicted.shape == y.shape and predicted.dtype == ("float32" if dtype == "float32" else "float64")


def test_a_model_is_cloned_unless_warm_start() -> None:
    model = dense()
    weights = model.get_weights()
    estimator = SKLearnRegressor(model, fit_kwargs=SILENT).fit(TABLE, TABLE[:, 0])
    first = estimator.model_
    assert first is not model and estimator.fit(TABLE, TABLE[:, 0]).model_ is not first
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    warm = SKLearnRegressor(model, warm_start=True, fit_kwargs=SILENT).fit(TABLE, TABLE[:, 0])
    assert warm.model_ is model and warm.fit(TABLE, TABLE[:, 0]).model_ is model
    assert model.optimizer is not None and model.optimizer.iterations == 8  # 2 fits of 2 epochs of 2 batches


def test_a_function_is_called_once_with_warm_start() -> None:
    calls = []

    def build(X: np.ndarray, y: np.ndarray) -> pyrnn.Sequential:
        calls.append((X.shape, y.shape))
        return dense(y.shape[1])

    warm = SKLearnRegressor(build, warm_start=True, fit_kwargs=SILENT)
    warm.fit(TABLE, TABLE[:, 0]).fit(TABLE, TABLE[:, 0])
    assert calls == [((40, 3), (40, 1))]


def test_arguments_of_fit_replace_those_of_the_constructor_for_one_call() -> None:
    options = {"epochs": 3, "verbose": 0}
    estimator = SKLearnRegressor(dense(), fit_kwargs=options)
    assert estimator.epoch_ == 0
    estimator.fit(TABLE, TABLE[:, 0], epochs=5)
    assert estimator.epoch_ == len(estimator.history_.history["loss"]) == 5
    assert options == {"epochs": 3, "verbose": 0}
    assert estimator.fit(TABLE, TABLE[:, 0]).epoch_ == 3


def test_clones_and_pickles() -> None:
    fitted = classifier().fit(TABLE, LABELS)
    twin = clone(fitted)
    assert twin.fit_kwargs == SILENT and not hasattr(twin, "model_")
    np.testing.assert_array_equal(twin.model.get_weights()[0], fitted.model.get_weights()[0])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decision_function(TABLE), fitted.decision_function(TABLE))
    assert again.history_.history == fitted.history_.history


def test_sample_weights_are_routed_on_request() -> None:
    weights = np.zeros(40)
    estimator = SKLearnRegressor(dense(), fit_kwargs=SILENT)
    with pytest.raises(RuntimeError, match=r"call sklearn.set_config\(enable_metadata_routing=True\) first"):
        estimator.set_fit_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False),
                                 estimator.set_fit_request(sample_weight=True))  # fmt: skip
        pipeline.fit(TABLE, TABLE[:, 0], sample_weight=weights)
    assert pipeline[-1].history_.history["loss"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("estimator", "y", "error", "message"),
    [
        (SKLearnRegressor(3), 0, TypeError, "model must be a model or a function that returns one, got 3"),
        (SKLearnRegressor(lambda X, y: None), 0, TypeError, "model must be .* returns one, got None from it"),
        (
            SKLearnRegressor(pyrnn.Sequential([layers.Dense(1)])),
            0,
            RuntimeError,
            "model must be compiled with a loss: ",
        ),
        (classifier(), [1] * 40, ValueError, "y must have at least 2 classes, got 1 class: 1"),
        (classifier(), TABLE[:, 0], ValueError, "Unknown label type: continuous"),
        (classifier(3), LABELS, ValueError, "y_true must have the shape of y_pred"),
    ],
)
def test_errors(estimator: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        estimator.fit(TABLE, TABLE[:, 0] if isinstance(y, int) else y)
    assert not hasattr(estimator, "model_")


def test_other_classes_cannot_continue() -> None:
    warm = classifier(warm_start=True).fit(TABLE, LABELS)
    with pytest.raises(
        ValueError, match=r"classes of the last fit with warm_start=True: \['down', 'up'\], got \[0, 1\]"
    ):
        warm.fit(TABLE, np.arange(40) % 2)
    assert warm.classes_.tolist() == ["down", "up"]


@pytest.mark.parametrize("method", ["predict", "transform"])
def test_before_fit(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(SKLearnTransformer(dense()), method)(TABLE)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn" or name.startswith("pyrnn.wrappers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    module = importlib.import_module("pyrnn.wrappers")
    assert {"SKLearnClassifier", "SKLearnRegressor"} <= set(dir(module))
    with pytest.raises(
        ImportError, match=r"SKLearnRegressor needs scikit-learn 1.6 or later: pip install 'pyrnn-core\["
    ):
        _ = module.SKLearnRegressor
    with pytest.raises(AttributeError, match=r"module 'pyrnn.wrappers' has no attribute 'Pipeline'"):
        _ = module.Pipeline
    monkeypatch.setattr(pyrnn, "wrappers", wrappers, raising=False)


@pytest.mark.parametrize("name", ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"])
def test_the_signature_is_that_of_keras(name: str) -> None:
    parameters = inspect.signature(getattr(wrappers, name)).parameters
    assert {key: each.default for key, each in parameters.items() if key != "model"} == {
        "warm_start": False,
        "model_kwargs": None,
        "fit_kwargs": None,
    }
