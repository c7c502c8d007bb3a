"""Keras 2's wrappers for scikit-learn, as scripts use them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyrnn
from pyrnn import layers
from pyrnn.wrappers import KerasClassifier, KerasRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0] - X[:, 1]
LABELS = np.where(Y > 0, "up", "down")


def regression(units: int = 4, rate: float = 0.05) -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.Dense(units, "tanh", input_dim=3), layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


def classification(outputs: int = 1) -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.Dense(outputs, "softmax" if outputs > 1 else "sigmoid", input_dim=3)])
    model.compile(pyrnn.optimizers.Adam(0.1), "categorical_crossentropy" if outputs > 1 else "binary_crossentropy")
    return model


def test_the_score_of_a_regressor_is_the_negative_loss() -> None:
    estimator = KerasRegressor(build_fn=regression, epochs=30, batch_size=8, verbose=0)
    fitted = estimator.fit(X, Y)
    assert fitted is estimator and len(fitted.history["loss"]) == 30
    loss, _ = fitted.model.evaluate(X, Y, verbose=0)
    assert fitted.score(X, Y) == pytest.approx(-loss) and fitted.predict(X).shape == (60,)
    scores = cross_val_score(estimator, X, Y, cv=KFold(3))
    assert (scores < 0).all() and np.isfinite(scores).all()


def test_a_search_over_arguments_of_the_function_and_of_fit() -> None:
    pipeline = make_pipeline(StandardScaler(), KerasRegressor(build_fn=regression, verbose=0))
    search = GridSearchCV(
        pipeline, {"kerasregressor__units": [2, 4], "kerasregressor__epochs": [1, 30]}, cv=KFold(2), n_jobs=2
    )
    search.fit(X, Y)
    best = search.best_estimator_[-1]
    assert search.best_params_["kerasregressor__epochs"] == 30 == len(best.history["loss"])
    assert best.model.layers[0].units == search.best_params_["kerasregressor__units"]


@pytest.mark.parametrize("outputs", [1, 2])
def test_labels(outputs: int) -> None:
    estimator = KerasClassifier(classification, outputs=outputs, epochs=30, verbose=0).fit(X, LABELS)
    probabilities = estimator.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(estimator.predict(X), np.where(probabilities[:, 1] > 0.5, "up", "down"))
    assert estimator.score(X, LABELS) == (estimator.predict(X) == LABELS).mean() > 0.9
    assert cross_val_score(estimator, X, LABELS, cv=2).min() > 0.7


def test_one_hot_targets() -> None:
    targets = np.eye(2)[(Y > 0).astype(int)]
    estimator = KerasClassifier(classification, outputs=2, nb_epoch=30, verbose=0).fit(X, targets)
    assert len(estimator.history["loss"]) == 30 and set(estimator.predict(X)) == {0, 1}
    assert estimator.score(X, targets) > 0.9


def test_arguments() -> None:
    estimator = KerasRegressor(build_fn=regression, units=3, epochs=2)
    assert clone(estimator).get_params() == {"build_fn": regression, "units": 3, "epochs": 2}
    assert estimator.set_params(units=5, verbose=0).fit(X, Y, epochs=1).model.layers[0].units == 5
    assert len(estimator.history["loss"]) == 1
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))


def test_a_subclass_may_build_the_model_itself() -> None:
    class Regressor(KerasRegressor):
        def __call__(self, units: int = 2) -> Any:
            return regression(units)

    assert Regressor(units=3, verbose=0).fit(X, Y).model.layers[0].units == 3


def test_errors() -> None:
    with pytest.raises(
        ValueError, match=r"unit must be an argument of build_fn, fit or predict; did you mean 'units'\?"
    ):
        KerasRegressor(regression, unit=3)
    with pytest.raises(ValueError, match="build_fn must be a function that returns a compiled model, got None"):
        KerasRegressor(epochs=3)
    estimator = KerasRegressor(regression)
    with pytest.raises(ValueError, match="nothing must be an argument of build_fn, fit or predict; leave it out"):
        estimator.set_params(nothing=3, units=4)
    assert estimator.get_params() == {"build_fn": regression}
    with pytest.raises(AttributeError, match=r"KerasRegressor has no model before fit: call fit\(x, y\) first"):
        estimator.predict(X)
