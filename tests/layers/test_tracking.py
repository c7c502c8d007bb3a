"""What a layer or metric tracks in its attributes: variables, seed generators, metrics."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import initializers, layers, metrics, ops, random
from pyrnn.resume import check_random_state, random_state, set_random_state

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = X[:, :1]


@pyrnn.utils.register_keras_serializable("tracking")
class Scaled(layers.Layer):
    """Variables assigned before the constructor of the base class, to an attribute, and in a list and a dict."""

    def __init__(self, **kwargs: Any) -> None:
        self.first = pyrnn.Variable([1.0, 2.0, 3.0], name="first")
        super().__init__(**kwargs)
        self.factor = pyrnn.Variable("ones", shape=(), name="factor")
        self.more = [pyrnn.Variable(0.0, name="offset"), {"count": pyrnn.Variable(3, name="count")}]
        self.seeds = [random.SeedGenerator(1), random.SeedGenerator(2)]
        self.loss = metrics.MeanSquaredError(name="error")

    def call(self, x: Any, training: bool = False) -> Any:
        x = x * self.first * self.factor + self.more[0]
        return x + random.normal(x.shape, stddev=1e-6, seed=self.seeds[0]) if training else x


def test_variables_in_attributes_are_weights() -> None:
    layer = Scaled()
    assert layer.first is layer.weights[0] and len(layer.weights) == 4
    assert [weight.trainable for weight in layer.weights] == [True, True, True, False]
    assert [*layer.weights, layer.seeds[0].state, layer.seeds[1].state] == layer.variables
    assert [id(each) for each in layer.non_trainable_variables] == [id(each) for each in layer.variables[3:]]
    assert layer.metrics == [layer.loss] and layer.metrics_variables == layer.loss.variables
    outer = layers.TimeDistributed(layer)
    assert len(outer.variables) == 6 and outer.metrics == [layer.loss] and outer._layers == [layer]
    layer.factor = 2.0
    assert isinstance(layer.factor, pyrnn.Variable) and float(layer.factor) == 2


def test_variables_are_trained_saved_and_copied(tmp_path: Path) -> None:
    model = pyrnn.Sequential([pyrnn.Input((3,)), Scaled(), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, batch_size=4, verbose=0)
    for old, new in zip(before[:3], model.get_weights()[:3], strict=True):
        assert not np.array_equal(old, new)
    layer = model.layers[0]
    assert layer.seeds[0].state.numpy().tolist() == [1, 2] and layer.seeds[1].state.numpy().tolist() == [2, 0]
    model.save(tmp_path / "m.keras")
    for again in (pyrnn.load_model(tmp_path / "m.keras"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [weight.name for weight in again.weights] == [weight.name for weight in model.weights]
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_resumed_training_continues_seed_generators() -> None:
    model = pyrnn.Sequential([pyrnn.Input((3,)), Scaled()])
    seed = model.layers[0].seeds[1]
    state = random_state(model)
    drawn = random.normal((4,), seed=seed)
    check_random_state(model, state)
    set_random_state(model, state)
    np.testing.assert_array_equal(random.normal((4,), seed=seed), drawn)
    state["layers"][0]["streams"]["seeds/1"]["first"] = -1
    with pytest.raises(ValueError, match="be an integer from 0 to 4294967295"):
        check_random_state(model, state)


def test_a_seed_generator_counts_its_uses_and_is_made_again_from_its_config() -> None:
    seed = random.SeedGenerator(7, name="mine")
    assert (seed.state.dtype, seed.state.path) == ("uint32", "mine/seed_generator_state")
    first = random.normal((3,), seed=seed)
    assert seed.state.numpy().tolist() == [7, 1]
    assert seed.next(ordered=False).tolist() == [7, 1] and seed.state.numpy().tolist() == [43096, 10774]
    again = pyrnn.saving.deserialize_keras_object(pyrnn.saving.serialize_keras_object(seed))
    assert again.get_config() == {"seed": 7, "name": "mine"}
    np.testing.assert_array_equal(random.normal((3,), seed=again), first)
    for wrong in (-1, 2**32, "x", 0.5):
        with pytest.raises(ValueError, match="seed must be"):
            random.SeedGenerator(wrong)  # type: ignore[arg-type]


def test_initializers_take_seed_generators() -> None:
    for kind in (initializers.RandomNormal, initializers.GlorotUniform, initializers.Orthogonal):
        values = kind(seed=random.SeedGenerator(3))
        first, second = values((3, 3)), values((3, 3))
        assert not np.array_equal(first, second)
        again = initializers.deserialize(initializers.serialize(values))
        np.testing.assert_array_equal(again((3, 3)), first)  # it starts anew


def test_a_metric_tracks_variables() -> None:
    class Largest(metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="largest")
            self.most = pyrnn.Variable(0.0, name="most")
            self.others = {"a": [pyrnn.Variable(1.0), pyrnn.Variable(2.0)]}

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.most.assign(np.maximum(self.most, np.abs(y_pred).max()))

        def result(self) -> Any:
            return self.most

    metric = Largest()
    assert len(metric.variables) == 3
    metric.update_state(X, X)
    state, value = metric.get_state(), float(metric.result())
    assert value == np.abs(X).max()
    metric.reset_state()
    assert [float(each) for each in metric.variables] == [0, 0, 0]
    metric.set_state(state)
    assert float(metric.result()) == value
    model = pyrnn.Sequential([pyrnn.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    assert model.fit(X, Y, verbose=0).history["largest"][0] > 0


def test_trainable_of_a_layer_is_that_of_its_layers_and_weights() -> None:
    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Scaled()

        def call(self, x: Any) -> Any:
            return self.inner(x)

    outer = Outer()
    outer.trainable = False
    assert not outer.inner.trainable and not outer.inner.first.trainable and not outer.trainable_weights
    outer.trainable = True
    assert outer.inner.trainable and len(outer.trainable_weights) == 3  # a count stays as it is


def test_wrong_arguments_of_a_variable_are_explained() -> None:
    for call, message in (
        (lambda: pyrnn.Variable("ones"), "shape must be a tuple of sizes where initializer is one of"),
        (lambda: pyrnn.Variable([1.0], shape=(2,)), r"shape must be that of the values of initializer, \(1,\), got"),
        (lambda: pyrnn.Variable(1.0, dtype="datetime64"), "dtype must be that of numbers, got datetime64"),
        (lambda: pyrnn.Variable([None]), "initializer must hold numbers"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


def test_random_functions_take_arrays_of_parameters_and_check_dtypes() -> None:
    alpha = np.array([0.5, 5.0], np.float32)
    assert random.gamma((1000, 2), alpha, seed=1).mean(axis=0) == pytest.approx(alpha, rel=0.2)
    assert random.beta((1000, 2), alpha, [1.0, 1.0], seed=1).shape == (1000, 2)
    assert random.binomial((2,), [10.0, 1e6], 0.5, seed=1)[1] > 1e5
    assert random.dropout(np.ones(3, np.float16), 0.5).dtype == np.float16
    for call, message in (
        (lambda: random.gamma((2,), [1.0, 0.0]), r"alpha must be above 0, got \[1.0, 0.0\]"),
        (lambda: random.binomial((2,), -1, 0.5), "counts must be at least 0, got -1"),
        (lambda: random.binomial((2,), 1.5, 0.5), "counts must hold whole numbers, got 1.5"),
        (lambda: random.binomial((2,), 1, 1.5), "probabilities must be from 0 to 1, got 1.5"),
        (lambda: random.uniform((2,), dtype="int32"), "dtype must be a dtype such as 'float32', got 'int32'"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), "dtype must be a dtype such as 'int32', got 'float32'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert ops.shape(random.normal((2, 3), seed=np.random.default_rng(0))) == (2, 3)
