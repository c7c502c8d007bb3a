"""scikit-learn's own checks of estimators: all of them, none expected to fail."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from pyrnn import Sequential, initializers, layers, optimizers, wrappers


class _Repeatable:
    """Says that `fit` computes the same each time, which holds for `seeded`, so that no check is left out."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.non_deterministic = False
        if tags.classifier_tags is not None:
            tags.classifier_tags.poor_score = False
        if tags.regressor_tags is not None:
            tags.regressor_tags.poor_score = False
        return tags


class SKLearnClassifier(_Repeatable, wrappers.SKLearnClassifier):
    pass


class SKLearnRegressor(_Repeatable, wrappers.SKLearnRegressor):
    pass


class SKLearnTransformer(_Repeatable, wrappers.SKLearnTransformer):
    pass


def seeded(X: np.ndarray, y: np.ndarray, loss: str = "mse", activation: str | None = None) -> Sequential:
    """A model with the same first weights each time."""
    first, second = (initializers.GlorotUniform(seed) for seed in (1, 2))
    model = Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.Dense(20, "relu", kernel_initializer=first),
            layers.Dense(y.shape[1], activation, kernel_initializer=second),
        ]
    )
    model.compile(optimizers.Adam(0.02), loss)
    return model


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings
@pytest.mark.parametrize("cls", [SKLearnClassifier, SKLearnRegressor, SKLearnTransformer], ids=lambda cls: cls.__name__)
def test_every_check_of_scikit_learn(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out is `check_array_api_input`, which needs a variable of the environment before SciPy is imported.

    Without pandas so are the checks of data frames; the gate runs this again with optional packages.
    """
    options = {"loss": "categorical_crossentropy", "activation": "softmax"} if cls is SKLearnClassifier else None
    estimator = cls(seeded, model_kwargs=options, fit_kwargs={"epochs": 60, "verbose": 0, "shuffle": False})
    results = check_estimator(estimator, on_skip=None)
    left_out = {each["check_name"] for each in results if each["status"] != "passed"}
    of_pandas = {f"check_{kind}_data_not_an_array" for kind in ("classifier", "regressor")}
    may_be_left_out = {"check_array_api_input"} | (set() if find_spec("pandas") else of_pandas)
    assert left_out <= may_be_left_out and len(results) > 40
