"""`SKLearnClassifier`, `SKLearnRegressor` and `SKLearnTransformer`: a model behind scikit-learn's interface.

They keep scikit-learn's conventions: the constructor only stores its arguments, `fit` checks them, and what was learned
is in attributes that end with an underscore.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pyrnn.models import Model, clone_model
from pyrnn.validation import WrongType, shown

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]

Array = NDArray[Any]


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the three estimators share."""

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    @property
    def epoch_(self) -> int:
        """The number of the last epoch of the last `fit`, 0 before it."""
        history = getattr(self, "history_", None)
        return history.epoch[-1] + 1 if history is not None and history.epoch else 0

    def set_fit_request(self, **kwargs: bool | str | None) -> Any:
        """Say which arguments of `fit` a pipeline or search passes on, where scikit-learn routes metadata.

        Args:
            **kwargs: for each argument of `fit`, such as `sample_weight`: True to pass it on, False to ignore it, None
                to reject it, or the name that it has there.

        Returns:
            This estimator.

        Raises:
            RuntimeError: unless `sklearn.set_config(enable_metadata_routing=True)` was called.

        Example:
            >>> import sklearn, pyrnn
            >>> from pyrnn.wrappers import SKLearnRegressor
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
            >>> with sklearn.config_context(enable_metadata_routing=True):
            ...     regressor = SKLearnRegressor(model).set_fit_request(sample_weight=True)
            ...     regressor.get_metadata_routing().fit.requests
            {'sample_weight': True}
        """
        if not sklearn.get_config().get("enable_metadata_routing"):
            raise RuntimeError(
                "set_fit_request needs metadata routing: call sklearn.set_config(enable_metadata_routing=True) first"
            )
        request = self.get_metadata_routing()
        for name, alias in kwargs.items():
            request.fit.add_request(param=name, alias=alias)
        self._metadata_request = request
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Train a new model, or with `warm_start` the model of the last call.

        Args:
            X: inputs, shape (samples, features) or (samples, time, features).
            y: targets, shape (samples,); of a regressor or transformer also (samples, outputs) or more axes.
            **kwargs: arguments of `model.fit`, which replace those of `fit_kwargs`.

        Returns:
            This estimator.

        Raises:
            TypeError, ValueError: if `model` is neither a model nor a function that returns one, or the data do not
                fit it.
            RuntimeError: if the model is not compiled with a loss.
        """
        X, targets, learned = self._data(X, y)
        model = self._model_for(X, targets)
        history = model.fit(X, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.__dict__.update(learned, model_=model, history_=history)
        return self

    def predict(self, X: Any) -> Array:
        """Predict the targets.

        Args:
            X: inputs, shape (samples, features) or (samples, time, features).

        Returns:
            The targets in the shape of the y that `fit` received.

        Raises:
            NotFittedError: before `fit`.
            ValueError: if X has another number of features than in `fit`.
        """
        return self._targets_of(self._outputs(X))

    def _data(self, X: Any, y: Any) -> tuple[Array, Array, dict[str, Any]]:
        """Return X, the targets of the model, and attributes of the fitted estimator that say how to read its outputs.

        Predictions have the shape of y and, as those of scikit-learn's regressors, its precision.
        """
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        dtype = y.dtype if y.dtype.kind == "f" else np.dtype(np.float64)
        is_flat = y.ndim == 1
        return X, y[:, None] if is_flat else y, {"_dtype": dtype, "_is_flat": is_flat}

    def _targets_of(self, outputs: Array) -> Array:
        """Return outputs of the model as targets."""
        outputs = outputs.astype(self._dtype, copy=False)
        return outputs[:, 0] if self._is_flat and outputs.ndim == 2 else outputs

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self, "model_")
        outputs: Array = self.model_.predict(validate_data(self, X, reset=False, allow_nd=True), verbose=0)
        return outputs

    def _model_for(self, X: Array, targets: Array) -> Model:
        model: Any
        if self.warm_start and hasattr(self, "model_"):
            model = self.model_
        elif isinstance(self.model, Model):
            model = self.model if self.warm_start else clone_model(self.model)
        elif callable(self.model):
            model = self.model(X=X, y=targets, **(self.model_kwargs or {}))
        else:
            model = self.model
        if not isinstance(model, Model):
            returned = "" if model is self.model else " from it"
            raise WrongType(f"model must be a model or a function that returns one, got {shown(model)}{returned}")
        if not model.compiled or model.loss is None:
            raise RuntimeError("model must be compiled with a loss: call model.compile(optimizer=..., loss=...) first")
        return model


class SKLearnClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model as a classifier of scikit-learn.

    The model is trained on one-hot targets, shape (samples, classes), and the largest of its outputs is the class.

    Args:
        model: a compiled model with an output for each class, or a function that returns one. A model is cloned with
            fresh weights before each `fit`. A function is called as `model(X=X, y=y, **model_kwargs)` with X as passed
            to `fit` and the one-hot targets y.
        warm_start: train `model` itself, and continue from its weights in each later `fit`.
        model_kwargs: arguments of the function `model`.
        fit_kwargs: arguments of `model.fit`, such as `epochs`.

    Attributes:
        model_: the trained model.
        history_: the History that `model.fit` returned.
        classes_: the labels of the classes, sorted, shape (classes,).

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.wrappers import SKLearnClassifier
        >>> model = Sequential([layers.Dense(2, "softmax", kernel_initializer="zeros", input_shape=(1,))])
        >>> model.compile("adam", "categorical_crossentropy")
        >>> classifier = SKLearnClassifier(model, fit_kwargs={"epochs": 5, "verbose": 0})
        >>> _ = classifier.fit([[-2.0], [-1.0], [1.0], [2.0]], ["down", "down", "up", "up"])
        >>> classifier.predict([[-1.5], [1.5]]).tolist()
        ['down', 'up']

    Source: keras.wrappers.SKLearnClassifier.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def decision_function(self, X: Any) -> Array:
        """Compute how much speaks for each class.

        Args:
            X: inputs, shape (samples, features) or (samples, time, features).

        Returns:
            The outputs of the model, shape (samples, classes); of two classes the second output less the first, shape
            (samples,), as scikit-learn requires.

        Raises:
            NotFittedError: before `fit`.
            ValueError: if X has another number of features than in `fit`.
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def _data(self, X: Any, y: Any) -> tuple[Array, Array, dict[str, Any]]:
        X, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        classes, indices = np.unique(y, return_inverse=True)
        if len(classes) == 1:
            raise ValueError(f"y must have at least 2 classes, got 1 class: {shown(classes.tolist()[0])}")
        if self.warm_start and hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y must have the classes of the last fit with warm_start=True: {self.classes_.tolist()}, "
                f"got {classes.tolist()}"
            )
        return X, np.eye(len(classes), dtype=np.float32)[indices], {"classes_": classes}

    def _targets_of(self, outputs: Array) -> Array:
        labels: Array = self.classes_[outputs.argmax(axis=-1)]
        return labels


class SKLearnRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model as a regressor of scikit-learn.

    Args:
        model: a compiled model, or a function that returns one. A model is cloned with fresh weights before each
            `fit`. A function is called as `model(X=X, y=y, **model_kwargs)`, with a last axis of 1 added to y if it
            has one axis only.
        warm_start: train `model` itself, and continue from its weights in each later `fit`.
        model_kwargs: arguments of the function `model`.
        fit_kwargs: arguments of `model.fit`, such as `epochs`.

    Attributes:
        model_: the trained model.
        history_: the History that `model.fit` returned.

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.wrappers import SKLearnRegressor
        >>> def build(X, y, units):
        ...     model = Sequential([layers.Input(X.shape[1:]), layers.GRU(units), layers.Dense(y.shape[1])])
        ...     model.compile("adam", "mse")
        ...     return model
        >>> regressor = SKLearnRegressor(build, model_kwargs={"units": 4}, fit_kwargs={"verbose": 0})
        >>> windows, following = np.ones((10, 24, 1)), np.ones((10, 3))
        >>> regressor.fit(windows, following).predict(windows).shape
        (10, 3)

    Source: keras.wrappers.SKLearnRegressor.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model as a transformer of scikit-learn: what it outputs are features for the next step of a pipeline.

    Args:
        model: a compiled model, or a function that returns one. A model is cloned with fresh weights before each
            `fit`. A function is called as `model(X=X, y=y, **model_kwargs)`, with a last axis of 1 added to y if it
            has one axis only.
        warm_start: train `model` itself, and continue from its weights in each later `fit`.
        model_kwargs: arguments of the function `model`.
        fit_kwargs: arguments of `model.fit`, such as `epochs`.

    Attributes:
        model_: the trained model.
        history_: the History that `model.fit` returned.

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.wrappers import SKLearnTransformer
        >>> model = Sequential([layers.Dense(2, kernel_initializer="ones", input_shape=(3,))])
        >>> model.compile("sgd", "mse")
        >>> transformer = SKLearnTransformer(model, fit_kwargs={"verbose": 0})
        >>> x = np.zeros((4, 3))
        >>> transformer.fit(x, np.zeros((4, 2))).transform(x).tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]

    Source: keras.wrappers.SKLearnTransformer.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: Any) -> Array:
        """Compute the outputs of the model.

        Args:
            X: inputs, shape (samples, features) or (samples, time, features).

        Returns:
            The outputs, shape (samples, ...).

        Raises:
            NotFittedError: before `fit`.
            ValueError: if X has another number of features than in `fit`.
        """
        return self._outputs(X)
