"""The estimators for scikit-learn compared with Keras's."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest

import pyrnn

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=30)
LABELS = np.where(Y > 0.5, "c", np.where(Y > -0.5, "b", "a"))
NAMES = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module.wrappers, name)) for module in (pyrnn, keras))
    assert [(each.name, each.default) for each in ours.parameters.values()] == [
        (each.name, each.default) for each in theirs.parameters.values()
    ]
    here, there = (vars_of(module, name) for module in (pyrnn, keras))
    assert there <= here


def vars_of(module: Any, name: str) -> set[str]:
    return {each for each in dir(getattr(module.wrappers, name)) if not each.startswith("_")}


@pytest.mark.parametrize("name", NAMES)
def test_training(name: str) -> None:
    """The same first weights lead to the same predictions."""
    outputs = 3 if name == "SKLearnClassifier" else 1
    weights = [RANDOM.normal(size=(4, 5)), RANDOM.normal(size=5), RANDOM.normal(size=(5, outputs)), np.zeros(outputs)]

    def estimator(module: Any) -> Any:
        def build(X: np.ndarray, y: np.ndarray, loss: str) -> Any:
            assert y.shape == (30, outputs)
            last = module.layers.Dense(outputs, "softmax" if outputs > 1 else None)
            model = module.Sequential([module.layers.Input((4,)), module.layers.Dense(5, "tanh"), last])
            model.set_weights(weights)
            model.compile("adam", loss)
            return model

        loss = "categorical_crossentropy" if outputs > 1 else "mse"
        fit = {"epochs": 3, "verbose": 0, "shuffle": False}
        made = getattr(module.wrappers, name)(build, model_kwargs={"loss": loss}, fit_kwargs=fit)
        return made.fit(X, LABELS if outputs > 1 else Y)

    ours, theirs = estimator(pyrnn), estimator(keras)
    np.testing.assert_allclose(ours.history_.history["loss"], theirs.history_.history["loss"], rtol=1e-5)
    if outputs > 1:
        assert ours.classes_.tolist() == theirs.classes_.tolist()
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X).ravel())
        np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-4, atol=1e-6)
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-5)
    if name == "SKLearnTransformer":
        np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-4, atol=1e-5)
