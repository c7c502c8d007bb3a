"""`KerasClassifier` and `KerasRegressor` of Keras 2's keras.wrappers.scikit_learn, which scripts still use."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score

from pyrnn.losses import CategoricalCrossentropy
from pyrnn.models import Model, Sequential
from pyrnn.utils import to_categorical
from pyrnn.validation import did_you_mean, shown

__all__ = ["KerasClassifier", "KerasRegressor"]

Array = NDArray[Any]
_EVEN = 0.5  # the probability above which a single output means the second class


def _names(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the two estimators share: arguments of three functions in one dict."""

    def __init__(self, build_fn: Callable[..., Model] | None = None, **sk_params: Any) -> None:
        self.build_fn = build_fn
        self.sk_params = sk_params
        self._check(sk_params)

    def _build(self) -> Any:
        """Return the function that builds the model; a subclass may define `__call__` instead."""
        build = self if self.build_fn is None else self.build_fn
        if not callable(build):
            raise ValueError(f"build_fn must be a function that returns a compiled model, got {shown(self.build_fn)}")
        return build

    def _check(self, params: dict[str, Any]) -> None:
        names = {name for each in (self._build(), Sequential.fit, Sequential.predict) for name in _names(each)}
        for name in params.keys() - names - {"nb_epoch"}:
            raise ValueError(
                f"{name} must be an argument of build_fn, fit or predict; {did_you_mean(name, names) or 'leave it out'}"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor by name.

        Args:
            deep: has no effect, since there are no estimators among them.

        Returns:
            A dict with `build_fn` and what else the constructor received.
        """
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Any:
        """Replace arguments of the constructor.

        Args:
            **params: arguments of the constructor.

        Returns:
            This estimator.

        Raises:
            ValueError: for an argument that no function has.
        """
        twin = type(self)(**{**self.get_params(), **params})
        self.build_fn, self.sk_params = twin.build_fn, twin.sk_params
        return self

    def _arguments(self, function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
        names = _names(function)
        return {**{name: value for name, value in self.sk_params.items() if name in names}, **arguments}

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a new model and train it.

        Args:
            x: inputs, shape (samples, ...).
            y: targets, shape (samples,) or (samples, outputs).
            **kwargs: arguments of `Sequential.fit`, which replace those of the constructor.

        Returns:
            This estimator; its `history` is what `fit` of Keras 2's wrappers returned.
        """
        build = self._build()
        model = build(**self._arguments(build, {}))
        if isinstance(model.loss, CategoricalCrossentropy) or model.loss == "categorical_crossentropy":
            y = to_categorical(y) if np.ndim(y) == 1 else y
        options = self._arguments(Sequential.fit, kwargs)
        if "nb_epoch" in self.sk_params:
            options.setdefault("epochs", self.sk_params["nb_epoch"])
        self.history = model.fit(x, y, **options).history
        self.model = model
        return self

    def _outputs(self, x: Any, arguments: dict[str, Any]) -> Array:
        if not hasattr(self, "model"):
            raise AttributeError(f"{type(self).__name__} has no model before fit: call fit(x, y) first")
        outputs: Array = self.model.predict(x, **self._arguments(Sequential.predict, arguments))
        return outputs


class KerasClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """Keras 2's classifier for scikit-learn. New code uses `SKLearnClassifier`.

    Args:
        build_fn: a function that returns a compiled model with an output for each class, or one output between 0 and 1.
        **sk_params: arguments of `build_fn`, `fit` and `predict` by name.

    Raises:
        ValueError: for an argument that none of these functions has.

    Example:
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.wrappers import KerasClassifier
        >>> def build(units=4):
        ...     model = Sequential([layers.Dense(units, "relu", input_shape=(1,)), layers.Dense(1, "sigmoid")])
        ...     model.compile("adam", "binary_crossentropy")
        ...     return model
        >>> classifier = KerasClassifier(build_fn=build, units=2, epochs=3, verbose=0)
        >>> x = [[-2.0], [-1.0], [1.0], [2.0]]
        >>> classifier.fit(x, ["a", "a", "b", "b"]).predict_proba(x).shape
        (4, 2)

    Source: Keras 2's keras.wrappers.scikit_learn.
    """

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a new model and train it.

        Args:
            x: inputs, shape (samples, ...).
            y: labels, shape (samples,) or (samples, 1), or one-hot targets, shape (samples, classes).
            **kwargs: arguments of `Sequential.fit`, which replace those of the constructor.

        Returns:
            This estimator.
        """
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y.ravel(), return_inverse=True)
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Array:
        """Predict labels.

        Args:
            x: inputs, shape (samples, ...).
            **kwargs: arguments of `Sequential.predict`.

        Returns:
            Labels, shape (samples,).
        """
        outputs = self._outputs(x, kwargs)
        indices = outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else (outputs[:, 0] > _EVEN).astype(int)
        labels: Array = self.classes_[indices]
        return labels

    def predict_proba(self, x: Any, **kwargs: Any) -> Array:
        """Predict the probability of each class.

        Args:
            x: inputs, shape (samples, ...).
            **kwargs: arguments of `Sequential.predict`.

        Returns:
            Probabilities, shape (samples, classes).
        """
        outputs = self._outputs(x, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[-1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Compute the part of the labels that are predicted.

        Args:
            x: inputs, shape (samples, ...).
            y: labels, shape (samples,), or one-hot targets, shape (samples, classes).
            **kwargs: arguments of `Sequential.predict`.

        Returns:
            The accuracy, 0 to 1.
        """
        y = np.asarray(y)
        labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.ravel()
        return float(accuracy_score(labels, self.predict(x, **kwargs)))


class KerasRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """Keras 2's regressor for scikit-learn. New code uses `SKLearnRegressor`.

    Args:
        build_fn: a function that returns a compiled model.
        **sk_params: arguments of `build_fn`, `fit` and `predict` by name.

    Raises:
        ValueError: for an argument that none of these functions has.

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.wrappers import KerasRegressor
        >>> def build(units=4):
        ...     model = Sequential([layers.LSTM(units, input_shape=(5, 1)), layers.Dense(1)])
        ...     model.compile("adam", "mse")
        ...     return model
        >>> regressor = KerasRegressor(build_fn=build, units=2, epochs=1, verbose=0)
        >>> regressor.fit(np.zeros((4, 5, 1)), np.zeros(4)).score(np.zeros((4, 5, 1)), np.zeros(4))
        -0.0

    Source: Keras 2's keras.wrappers.scikit_learn.
    """

    def predict(self, x: Any, **kwargs: Any) -> Array:
        """Predict the targets.

        Args:
            x: inputs, shape (samples, ...).
            **kwargs: arguments of `Sequential.predict`.

        Returns:
            The outputs without axes of length 1.
        """
        return np.squeeze(self._outputs(x, kwargs))

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Compute the loss, with a minus sign since scikit-learn prefers larger scores.

        Args:
            x: inputs, shape (samples, ...).
            y: targets, shape (samples,) or (samples, outputs).
            **kwargs: arguments of `Sequential.evaluate`.

        Returns:
            The negative loss.
        """
        results = self.model.evaluate(x, y, **self._arguments(Sequential.evaluate, kwargs))
        return -float(results[0] if isinstance(results, list) else results)
