"""Attributes of layers, models and optimizers that scripts read: variables, rates, counts, moments."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, optimizers


def compiled() -> pyrnn.Sequential:
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), layers.LSTM(2), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_variables_are_the_weights() -> None:
    model = compiled()
    model.layers[0].trainable = False
    for thing in (model, *model.layers):
        assert [*map(id, thing.variables)] == [*map(id, thing.weights)]
        assert [*map(id, thing.trainable_variables)] == [*map(id, thing.trainable_weights)]
        assert [*map(id, thing.non_trainable_variables)] == [*map(id, thing.non_trainable_weights)]
    assert (len(model.variables), len(model.trainable_variables), len(model.non_trainable_variables)) == (9, 4, 5)


def test_the_value_of_a_weight_is_a_copy() -> None:
    kernel = compiled().layers[-1].kernel
    value = kernel.value
    value[...] = 7
    assert kernel.ndim == 2 and not np.any(kernel.numpy() == 7)
    kernel.assign(value)
    assert np.array_equal(kernel.value, value)


def test_assigning_returns_the_value() -> None:
    """As in Keras, in the dtype of the variable; a copy."""
    model = compiled()
    model.train_on_batch(np.ones((4, 5, 3)), np.ones((4, 1)))
    assert model.optimizer is not None
    slot = next(each for each in model.optimizer.variables if each.ndim == 2)
    metric = pyrnn.metrics.Mean().variables[0]
    for variable in (model.layers[-1].kernel, slot, metric):
        ones = np.ones(variable.shape)
        for value, expected in (
            (variable.assign(2 * ones), 2), (variable.assign_add(3 * ones), 5), (variable.assign_sub(ones), 4),
        ):  # fmt: skip
            assert value.dtype == variable.dtype and value.shape == variable.shape
            assert np.all(value == expected)
        value[...] = 9
        assert np.all(np.asarray(variable) == 4)
        with pytest.raises(ValueError, match="shape"):
            variable.assign(np.ones((3, 2, 1)))
        assert np.all(np.asarray(variable) == 4)


def test_the_number_of_steps() -> None:
    model = compiled()
    model.train_on_batch(np.ones((4, 5, 3)), np.ones((4, 1)))
    assert model.optimizer is not None
    iterations: Any = model.optimizer.iterations
    assert iterations == 1 and iterations + 1 == 2 and f"{iterations}" == "1"
    assert iterations.numpy() == iterations.value == 1 and isinstance(iterations.numpy(), np.int64)
    assert iterations.assign_add(9) == 10 == model.optimizer.iterations
    assert model.optimizer.iterations.assign_sub(3) == 7 == model.optimizer.iterations
    model.optimizer.iterations = np.float32(4)
    assert model.optimizer.iterations == 4
    assert type(pickle.loads(pickle.dumps(iterations))) is type(copy.deepcopy(iterations)) is int
    for bad in (-1, 0.5, [1, 2], "3", None, float("nan")):
        with pytest.raises(ValueError, match="iterations must be a whole number of at least 0, got"):
            iterations.assign(bad)
    assert model.optimizer.iterations == 4
    gathering = optimizers.SGD(0.5, gradient_accumulation_steps=3)
    gathering.iterations.assign(2)
    assert gathering.iterations == 2


def test_the_learning_rate_has_a_value() -> None:
    rate = optimizers.SGD(0.5).learning_rate
    assert rate.value == rate.numpy() == 0.5 and isinstance(rate.value, np.float32)


def test_another_optimizer() -> None:
    model = compiled()
    model.optimizer = optimizers.SGD(0.5)
    before = [weight.value for weight in model.trainable_variables]
    model.train_on_batch(np.ones((4, 5, 3)), np.ones((4, 1)))
    for weight, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_allclose(weight, value - 0.5 * weight.gradient, rtol=1e-5, atol=1e-7)
    model.optimizer = "rmsprop"
    assert isinstance(model.optimizer, optimizers.RMSprop)
    with pytest.raises(TypeError, match="optimizer must be a name or an object, got None"):
        model.optimizer = None
    with pytest.raises(ValueError, match="unknown optimizer 'rmsprob'"):
        model.optimizer = "rmsprob"
    assert isinstance(model.optimizer, optimizers.RMSprop)


def test_an_optimizer_before_compile(tmp_path: Path) -> None:
    model = pyrnn.Sequential([pyrnn.Input((3,)), layers.Dense(1)])
    assert model.optimizer is None
    first = model.optimizer = optimizers.Adam(0.25)
    with pytest.raises(ValueError, match="unknown optimizer 'rmsprob'"):
        model.optimizer = "rmsprob"
    assert model.optimizer is first and not model.compiled
    with pytest.raises(ValueError, match="the model must be compiled before fit"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0)
    with pytest.raises(ValueError, match="is a metric: pass it in metrics"):
        model.compile("sgd", "mean")
    assert model.optimizer is first
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        assert pyrnn.load_model(tmp_path / name).optimizer is None
    assert pickle.loads(pickle.dumps(model)).optimizer.learning_rate == 0.25
    model.compile("sgd", "mse")
    assert isinstance(model.optimizer, optimizers.SGD)


def test_metrics_are_reset() -> None:
    model = compiled()
    model.train_on_batch(np.ones((4, 5, 3)), np.ones((4, 1)))
    assert model.metrics[0].result() > 0
    model.reset_metrics()
    assert [metric.result() for metric in model.metrics] == [0, 0]


def test_the_moments_of_normalization() -> None:
    layer = layers.Normalization()
    assert layer.mean is None and layer.variance is None
    layer.adapt(np.array([[0.0, 1.0], [2.0, 5.0]]))
    assert layer.mean is not None and layer.mean.tolist() == [[1.0, 3.0]]
    assert layer.variance is not None and layer.variance.tolist() == [[1.0, 4.0]]
    fixed = layers.Normalization(mean=[1.0, 2.0], variance=4.0 * np.ones(2))
    fixed.build((None, 2))
    assert fixed.mean is not None and fixed.mean.tolist() == [[1.0, 2.0]]


def test_classes_and_probabilities() -> None:
    model = pyrnn.Sequential([layers.Softmax(input_shape=(3,))])
    x = np.array([[1.0, 5.0, 2.0], [3.0, 0.0, 0.0]])
    assert model.predict_classes(x).tolist() == [1, 0]
    np.testing.assert_array_equal(model.predict_proba(x), model.predict(x, verbose=0))
    binary = pyrnn.Sequential([layers.Activation("sigmoid", input_shape=(1,))])
    assert binary.predict_classes(np.array([[1.0], [-1.0]])).tolist() == [[1], [0]]
