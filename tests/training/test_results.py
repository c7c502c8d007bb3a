"""Results with the method `numpy`, and results that are plain arrays and floats."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses, metrics, ops

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
Y = X[:, 0, :1]


def model() -> pyrnn.Sequential:
    made = pyrnn.Sequential([pyrnn.Input((5, 3)), layers.GRU(2, activity_regularizer="l2"), layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["mae", metrics.F1Score(name="f1", threshold=0.5)])
    return made


class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return [x * 2, x]


def measured(metric: Any) -> Any:
    metric.update_state(Y, Y + 1)
    return metric


class Largest(metrics.Metric):
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest = np.float64(np.max(y_pred))

    def result(self) -> Any:
        return {"largest": self.largest, "plain": 1.0}


RESULTS: dict[str, Any] = {
    "model": lambda: model()(X),
    "layer": lambda: layers.LSTM(2)(X),
    "merged": lambda: layers.add([X, X]),
    "attention": lambda: layers.MultiHeadAttention(1, 2)(X, X),
    "states": lambda: layers.LSTM(2, return_state=True)(X)[2],
    "call": lambda: Doubled()(X)[0],
    "loss": lambda: losses.MeanSquaredError()(Y, Y + 1),
    "values": lambda: losses.Huber(reduction="none")(Y, Y + 1),
    "function": lambda: losses.mean_squared_error(Y, Y + 1),
    "metric": lambda: measured(metrics.RootMeanSquaredError()).result(),
    "call of a metric": lambda: metrics.MeanSquaredError()(Y, Y + 1),
    "array of a metric": lambda: measured(metrics.F1Score(threshold=0.5)).result(),
    "custom metric": lambda: measured(Largest()).result()["largest"],
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_have_the_method_numpy(case: str) -> None:
    result = RESULTS[case]()
    plain = result.numpy()
    assert type(plain) in (np.ndarray, np.float32)
    np.testing.assert_allclose(plain, result, rtol=1e-6)
    for same in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert type(same) in (np.ndarray, float) and np.array_equal(same, result)
        assert repr(result) == repr(same)
    if isinstance(result, float):
        assert json.loads(json.dumps(result)) == result


def test_what_reads_results_gets_plain_arrays() -> None:
    seen: list[Any] = []

    class Noting(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            seen.append(type(x))
            return layers.Identity()(x)

    y = layers.LSTM(3, return_sequences=True)(X)
    assert type(Noting().forward(np.asarray(y))) is np.ndarray  # a call within another layer
    noting = Noting()
    noting(y)
    model()(y)
    made = model()
    made.fit(y, made(X), verbose=0)
    assert type(ops.square(y)) is np.ndarray and set(seen) == {np.ndarray}


def test_predictions_logs_and_weights_are_plain() -> None:
    made = model()
    seen: list[Any] = []
    callback = pyrnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.extend(logs.values()))
    history = made.fit(X, Y, verbose=0, callbacks=[callback]).history
    assert type(made.predict(X, verbose=0)) is type(made.predict_on_batch(X)) is np.ndarray
    assert made.predict(X, verbose=0).flags.c_contiguous and made.predict(X, verbose=0).base is None
    values = [*made.evaluate(X, Y, verbose=0), *made.train_on_batch(X, Y), *made.test_on_batch(X, Y), *seen]
    values += [value for each in history.values() for value in each]
    assert {type(value) for value in values} <= {float, np.ndarray}

    class Custom(pyrnn.Sequential):
        def predict_step(self, data: Any) -> Any:
            return super().predict_step(data)

    custom = Custom([pyrnn.Input((5, 3)), layers.GRU(2)])
    assert type(custom.predict(X, verbose=0)) is np.ndarray
