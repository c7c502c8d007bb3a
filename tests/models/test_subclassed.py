"""Subclasses of Model whose `call` says how their layers run."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, layers, ops

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(8, 5, 3)).astype(np.float32)
IDS = RANDOM.integers(0, 6, (8, 5)).astype(np.int32)
Y = RANDOM.normal(size=(8, 1)).astype(np.float32)


class Forecaster(Model):
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = layers.LSTM(units)
        self.dropout = layers.Dropout(0.5, seed=1)
        self.dense = layers.Dense(1)

    def call(self, x: Any, training: Any = None) -> Any:
        return self.dense(self.dropout(self.lstm(x), training=training))


class TwoOutputs(Model):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = layers.GRU(3, return_sequences=True)
        self.heads = {"p": layers.Dense(1), "q": layers.Dense(2)}

    def call(self, inputs: Any) -> Any:
        h = self.rnn(inputs["series"]) + inputs["bias"]
        return {"q": self.heads["q"](h), "p": self.heads["p"](h[:, -1])}


DATA = {"series": X, "bias": RANDOM.normal(size=(8, 1, 3)).astype(np.float32)}
TARGETS = {"p": Y, "q": RANDOM.normal(size=(8, 5, 2)).astype(np.float32)}


def functional_of(model: Any) -> Any:
    """A functional model with the layers of a `Forecaster`."""
    x = Input((None, 3))
    return Model(x, model.dense(model.dropout(model.lstm(x))))


def test_a_model_with_call_trains_like_a_functional_one() -> None:
    ours = Forecaster()
    ours(X)
    twin = copy.deepcopy(ours)
    functional = functional_of(twin)
    histories = []
    for model in (ours, functional):
        model.compile("adam", "mse", metrics=["mae"])
        histories.append(model.fit(X, Y, batch_size=3, epochs=3, shuffle=False, verbose=0).history)
    assert histories[0] == histories[1]
    for mine, other in zip(ours.get_weights(), functional.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(ours.predict(X, verbose=0), functional.predict(X, verbose=0))


def test_the_first_data_build_the_model() -> None:
    model = Forecaster()
    model.compile("sgd", "mse")
    assert not model.built and model.weights == []
    model.fit(X, Y, validation_split=0.25, verbose=0)
    assert model.built and len(model.weights) == 5
    for start in ("evaluate", "predict", "train_on_batch", "predict_on_batch"):
        model = Forecaster()
        model.compile("sgd", "mse")
        getattr(model, start)(X, *([Y] if start in ("evaluate", "train_on_batch") else []))
        assert model.built
    model = Forecaster()
    model.compile("sgd", "mse")
    model.fit((batch for batch in [(X, Y), (X[:3], Y[:3])]), steps_per_epoch=2, verbose=0)
    assert model.built


def test_build_takes_a_shape() -> None:
    model = Forecaster()
    model.build((None, 5, 3))
    assert model.built and model.count_params() == 133
    model = TwoOutputs()
    model.build({"series": (None, 5, 3), "bias": (None, 1, 3)})
    assert model.count_params() == 72 + 4 + 8
    with pytest.raises(ValueError, match="pass input_shape to build"):
        Forecaster().build()


def test_dicts_of_inputs_and_outputs() -> None:
    model = TwoOutputs()
    model.compile("adam", {"p": "mse", "q": "mae"}, metrics={"q": ["mse"]})
    history = model.fit(DATA, TARGETS, epochs=2, verbose=0).history
    assert list(history) == ["loss", "p_loss", "q_loss", "q_mse"]
    outputs = model.predict(DATA, batch_size=3, verbose=0)
    assert {name: y.shape for name, y in outputs.items()} == {"q": (8, 5, 2), "p": (8, 1)}
    direct = model(DATA)
    np.testing.assert_allclose(direct["q"], outputs["q"], rtol=1e-5)
    with pytest.raises(ValueError, match="'bias' is missing"):
        model.predict({"series": X}, verbose=0)


@pytest.mark.parametrize("way", ["m.keras", "pickle", "copy", "clone", "weights"])
@pytest.mark.parametrize("make", [Forecaster, TwoOutputs])
def test_models_come_back(make: Callable[[], Any], way: str, tmp_path: Path) -> None:
    x, y = (X, Y) if make is Forecaster else (DATA, TARGETS)
    model: Any = make()
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    if way == "m.keras":
        model.save(tmp_path / way)
        again = pyrnn.load_model(tmp_path / way, custom_objects={make.__name__: make})
    elif way in ("pickle", "copy"):
        again = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    else:
        again = pyrnn.models.clone_model(model) if way == "clone" else make()
        again.build(model.get_build_config()["input_shape"])
        if way == "weights":
            model.save_weights(tmp_path / "m.weights.h5")
            again.load_weights(tmp_path / "m.weights.h5")
            again.compile("adam", "mse")
        else:
            again.set_weights(model.get_weights())
    outputs = again.predict(x, verbose=0)
    for name in expected if isinstance(expected, dict) else [...]:
        np.testing.assert_array_equal(outputs[name], expected[name])
    if way in ("m.keras", "pickle", "copy"):
        model.fit(x, y, verbose=0, shuffle=False)
        again.fit(x, y, verbose=0, shuffle=False)
        if make is TwoOutputs:  # which draws no dropout
            for mine, other in zip(again.get_weights(), model.get_weights(), strict=True):
                np.testing.assert_array_equal(mine, other)


def test_a_config_of_arguments_makes_the_model_again(tmp_path: Path) -> None:
    model = Forecaster(units=6, name="six")
    model.build((None, 5, 3))
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", custom_objects={"Forecaster": Forecaster})
    assert again.name == "six" and again.lstm.units == 6


def test_lengths_and_batches_may_change() -> None:
    model = Forecaster()
    for shape in ((8, 5, 3), (3, 5, 3), (2, 9, 3)):
        assert model.predict(np.ones(shape, np.float32), verbose=0).shape == (shape[0], 1)


def test_a_model_with_call_is_a_layer_of_other_models() -> None:
    inner = Forecaster()
    x = Input((5, 3))
    outer = Model(x, layers.Dense(2)(inner(x)))
    chain = pyrnn.Sequential([Input((5, 3)), inner, outer.layers[-1]])
    np.testing.assert_array_equal(outer.predict(X, verbose=0), chain.predict(X, verbose=0))
    outer.compile("sgd", "mse")
    before = inner.get_weights()
    outer.train_on_batch(X, np.zeros((8, 2)))
    assert all(not np.array_equal(a, b) for a, b in zip(before, inner.get_weights(), strict=True))

    class Outer(Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.tail = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.tail(self.inner(x) + self.inner(x * 2))

    model = Outer()
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((8, 2)), verbose=0)
    assert len(model.trainable_weights) == 7


def test_gradients_of_a_model_that_calls_a_layer_twice() -> None:
    class Twice(Model):
        def __init__(self) -> None:
            super().__init__(dtype="float64")
            self.rnn = layers.GRU(3, return_sequences=True, dtype="float64")
            self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return ops.sum(self.rnn(self.rnn(x) * self.scale), axis=1)

    model = Twice()
    y = np.zeros((8, 3))
    model.compile(pyrnn.optimizers.SGD(1.0), "mse")
    model(X)
    before = model.get_weights()
    model.train_on_batch(X, y)
    gradients = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    for number, gradient in enumerate(gradients):
        index = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        losses = []
        for step in (1e-5, -1e-5):
            weights = [weight.copy() for weight in before]
            weights[number][index] += step
            model.set_weights(weights)
            losses.append(model.evaluate(X, y, verbose=0))
        np.testing.assert_allclose((losses[0] - losses[1]) / 2e-5, gradient[index], rtol=1e-4)


def test_masks_reach_the_loss() -> None:
    class Tagger(Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = layers.Embedding(6, 3, mask_zero=True)
            self.rnn = layers.GRU(4, return_sequences=True)
            self.out = layers.TimeDistributed(layers.Dense(2))

        def call(self, ids: Any) -> Any:
            return self.out(self.rnn(self.embedding(ids)))

    tagger = Tagger()
    tagger(IDS)
    x = Input((5,))
    functional = Model(x, tagger.out(tagger.rnn(tagger.embedding(x))))
    y = np.ones((8, 5, 2), np.float32)
    for model in (tagger, functional):
        model.compile("sgd", "mse", metrics=["mae"])
    assert tagger.evaluate(IDS, y, verbose=0) == functional.evaluate(IDS, y, verbose=0)


def test_whole_numbers_stay_whole() -> None:
    class OneHot(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, ids: Any) -> Any:
            return self.dense(ops.mean(ops.one_hot(ids, 6), axis=1))

    model = OneHot()
    model.compile("sgd", "mse")
    model.fit(IDS, Y, verbose=0)
    np.testing.assert_array_equal(model(IDS), model.predict(IDS, verbose=0))


def test_penalties_of_inner_layers_and_added_losses() -> None:
    class Penalised(Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layers.SimpleRNN(3, activity_regularizer="l2", recurrent_regularizer="l1")

        def call(self, x: Any) -> Any:
            h = self.rnn(x)
            self.add_loss(ops.mean(h))
            return h

    model = Penalised()
    model.compile("sgd", "mse")
    h = model(X)
    expected = [h.mean(), 0.01 * (h**2).sum() / 8, 0.01 * np.abs(model.rnn.recurrent_kernel.array).sum()]
    np.testing.assert_allclose(sorted(model.losses), sorted(expected), rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(X, np.zeros((8, 3)), verbose=0), (h**2).mean() + sum(expected), rtol=1e-5)


def test_a_frozen_layer_is_not_trained() -> None:
    model = Forecaster()
    model.lstm.trainable = False
    model.compile("sgd", "mse")
    model(X)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, False, True, True]
    model.trainable = False
    assert model.trainable_weights == []


def test_a_stateful_layer_takes_its_rows_from_the_first_data() -> None:
    class Stateful(Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layers.LSTM(3, stateful=True)

        def call(self, x: Any) -> Any:
            return self.rnn(x)

    model = Stateful()
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((8, 3)), batch_size=4, shuffle=False, verbose=0)
    assert model.rnn.states[0].shape == (4, 3)
    first, second = (model.predict(X[:4], verbose=0) for _ in range(2))
    assert not np.array_equal(first, second)
    model.reset_states()
    twin = layers.LSTM(3)
    twin.build(X.shape)
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(X[:4], verbose=0), twin(X[:4]))


def test_reports(tmp_path: Path) -> None:
    model = Forecaster()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "unbuilt" in lines[0]
    model(X)
    model.summary(print_fn=lines.append)
    assert "(None, 4)" in lines[1] and "133" in lines[1]
    pyrnn.utils.plot_model(model, str(tmp_path / "m.png"))
    assert (tmp_path / "m.png").stat().st_size > 1000


def test_a_base_class_with_call_and_its_subclasses() -> None:
    class Base(Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            return super().train_step((x, y * 0))

    class Child(Base):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    child = Child()
    child.compile("sgd", "mse")
    child.fit(X[:, 0], Y, verbose=0)
    x = Input((3,))
    functional = Base(x, layers.Dense(1)(x))
    functional.compile("sgd", "mse")
    functional.fit(X[:, 0], Y, verbose=0)
    assert isinstance(functional, pyrnn.models.Functional) and not isinstance(child, pyrnn.Sequential)


def test_graphs_may_be_made_in_the_constructor() -> None:
    class Inside(Model):
        def __init__(self, units: int) -> None:
            x = Input((5, 3))
            super().__init__(inputs=x, outputs=layers.LSTM(units)(x))
            self.units = units

    assert Inside(4).predict(X, verbose=0).shape == (8, 4)


class NoSuper(Model):
    def __init__(self) -> None:
        self.dense = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class Branching(Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(x) if x[0, 0] > 0 else x


class Changing(Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x: Any, training: Any = None) -> Any:
        return [self.dense(x), x] if training else self.dense(x)


class Constant(Model):
    def call(self, x: Any) -> Any:
        return 3


def fitted(model: Any) -> Any:
    model.compile("sgd", "mse")
    return model.fit(X[:, 0], Y, verbose=0)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: NoSuper(), r"must call super\(\).__init__\(\) before it assigns dense"),
        (lambda: fitted(Branching()), "ops.where"),
        (lambda: fitted(Changing()), "same structure each time"),
        (lambda: fitted(Constant()), "must return what layers and ops made of its input, got 3"),
        (lambda: Forecaster(3, layers=[]), "takes name, trainable and dtype, got layers"),
        (lambda: Forecaster().stream(), "must be built"),
        (lambda: Forecaster().save_weights("m.weights.h5"), "must be built"),
        (lambda: type("Chain", (pyrnn.Sequential,), {"call": lambda self, x: x}), "derive from pyrnn.Model"),
    ],
)
def test_errors(act: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        act()


def test_what_a_model_with_call_does_not_know() -> None:
    model = Forecaster()
    model(X)
    for name in ("input", "output", "inputs", "outputs", "input_shape", "output_shape"):
        assert not hasattr(model, name)
    with pytest.raises(ValueError, match="cannot run one time step at a time"):
        model.stream()
    with pytest.raises(TypeError, match="clone_function"):
        pyrnn.models.clone_model(model, clone_function=lambda layer: layer)


class InContainers(Model):
    """Layers in nested lists, tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [[layers.Dense(3), layers.Dense(3)], {"a": layers.Dense(3)}, 7]
        self.tail = (layers.GRU(3), [layers.Dense(1)])

    def call(self, x: Any) -> Any:
        for layer in (*self.blocks[0], self.blocks[1]["a"], self.tail[0], *self.tail[1]):
            x = layer(x)
        self.add_loss(0.5 * ops.mean(x * x))
        return x


def test_layers_in_nested_containers_and_losses_of_call() -> None:
    model = InContainers()
    x = np.ones((4, 5, 3), np.float32)
    y = model(x)
    assert len(model.layers) == 5 and len(model.trainable_weights) == 11
    np.testing.assert_allclose(model.losses, [0.5 * np.mean(y * y)], rtol=1e-5)
    paths = [path for path, _ in model.file_children()]
    assert paths[:3] == ["blocks/container/dense", "blocks/container/dense_1", "blocks/container_1/dense"]
    model.blocks.append([layers.Dense(2)])
    model.blocks.append(model.blocks)  # which contains itself
    assert len(model.layers) == 6
