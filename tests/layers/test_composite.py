"""Layers in custom layers: trained, saved, frozen and reset with the layer that holds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pyrnn
from layers.test_custom import X, Y
from pyrnn import layers, utils
from pyrnn.inner_layers import all_layers
from pyrnn.resume import random_state, set_random_state


class Block(layers.Layer):
    """Two layers in a row, and a factor."""

    builds = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.recurrent = layers.GRU(units, return_sequences=True, dtype=self.dtype)
        self.rest = [layers.Dropout(0.5, seed=0, dtype=self.dtype), layers.Dense(2, dtype=self.dtype)]

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(shape=(), name="factor", initializer="ones")
        if self.builds:
            self.recurrent.build(input_shape)
            self.rest[0].build((*input_shape[:2], self.units))
            self.rest[1].build((*input_shape[:2], self.units))

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        y = self.recurrent(x, training=training)
        for layer in self.rest:
            y = layer(y, training=training)
        if training:
            self.y = y
        return y * self.factor.array

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        self.factor.gradient[...] = (dy * self.y).sum()
        dy = dy * self.factor.array
        for layer in reversed(self.rest):
            dy = layer.backward(np.ascontiguousarray(dy))
        return self.recurrent.backward(dy, need_dx=need_dx)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class LazyBlock(Block):
    """The layers in it are built at its first call, as Keras does it too."""

    builds = False


@pytest.mark.parametrize("kind", [Block, LazyBlock])
def test_layers_in_a_layer_are_trained_saved_and_frozen(kind: type[Block], tmp_path: Any) -> None:
    def trained_model(*stack: layers.Layer) -> pyrnn.Sequential:
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), *stack, layers.SimpleRNN(1)])
        for weight in model.weights:
            weight.assign(np.linspace(-1, 1, weight.size).reshape(weight.shape) if weight.shape else 1.0)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, epochs=2, shuffle=False)
        return model

    model = trained_model(kind(4))
    block: Any = model.layers[0]
    plain = trained_model(layers.GRU(4, return_sequences=True), layers.Dropout(0.5, seed=0), layers.Dense(2))
    assert [weight.name for weight in block.weights] == [
        "factor",
        "kernel",
        "recurrent_kernel",
        "bias",
        "kernel",
        "bias",
    ]
    assert model.count_params() == plain.count_params() + 1 and block.count_params() == len(model.parameters()) - 4
    assert float(block.factor) != 1
    first = plain.layers[0].get_weights()[0]
    assert not np.array_equal(block.recurrent.kernel, np.linspace(-1, 1, first.size).reshape(first.shape))
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", custom_objects={kind.__name__: kind})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = pyrnn.Sequential([pyrnn.Input((5, 3)), kind(4), layers.SimpleRNN(1)])
    fresh.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(fresh.predict(X, verbose=0), model.predict(X, verbose=0))
    for frozen, count in ((block.rest[1], 2), (block.recurrent, 3), (block, 6)):
        frozen.trainable = False
        assert len(model.trainable_weights) == len(model.weights) - count
        before = [weight.numpy() for weight in frozen.weights]
        model.fit(X, Y, verbose=0)
        for weight, value in zip(frozen.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)
        frozen.trainable = True
    wrapped = layers.TimeDistributed(layers.TimeDistributed(kind(4)))
    wrapped.build((None, 2, 3, 5, 3))
    assert len(wrapped.weights) == len(wrapped.trainable_weights) == 6
    wrapped.layer.layer.rest[1].trainable = False
    assert len(wrapped.trainable_weights) == 4


def test_the_gradient_of_the_first_step_is_that_of_the_layers_in_a_row() -> None:
    def stepped(*stack: layers.Layer) -> list[np.ndarray]:
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), *stack, layers.SimpleRNN(1)])
        for weight in model.weights:
            weight.assign(np.linspace(-1, 1, weight.size).reshape(weight.shape) if weight.shape else 1.0)
        model.compile("sgd", "mse")
        model.train_on_batch(X, Y)
        return [weight for weight in model.get_weights() if weight.shape]

    plain = stepped(layers.GRU(4, return_sequences=True), layers.Dropout(0.5, seed=0), layers.Dense(2))
    for first, other in zip(stepped(Block(4)), plain, strict=True):
        np.testing.assert_array_equal(first, other)


def test_a_stateful_layer_in_a_layer_is_reset() -> None:
    class Keeping(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = {"gru": layers.GRU(2, stateful=True)}

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return self.inner["gru"](x)

    model = pyrnn.Sequential([pyrnn.Input(batch_shape=(4, 5, 3)), Keeping()])
    model.reset_states()
    y = model.predict(X, verbose=0)
    assert not np.array_equal(model.predict(X, verbose=0), y)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X, verbose=0), y)
    assert [path for path, _, _ in model.layers[0].variable_groups()] == [
        "inner/gru/cell/vars",
        "inner/gru/vars",
        "vars",
    ]


def test_a_custom_layer_is_built_once() -> None:
    """Even if two models share it: its weights are not created a second time."""

    class Scaled(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return x * self.scale.array

    layer = Scaled()
    models = [pyrnn.Sequential([pyrnn.Input((5, 3)), layer]) for _ in range(2)]
    assert [len(model.weights) for model in models] == [1, 1]
    assert models[0].weights[0] is models[1].weights[0] is layer.scale
    with pytest.raises(ValueError, match=r"Scaled expects x .*, got \(None, 5, 4\)"):
        layer.build((None, 5, 4))


def holding(value: Any) -> layers.Layer:
    class Holder(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="holder")
            self.inner = value

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return self.inner.forward(x)

    return Holder()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (lambda: pyrnn.Sequential(), TypeError, "'holder' (Holder) holds the model inner, whose weights would not"),
        (
            lambda: layers.Dense(2, dtype="float64"),
            ValueError,
            "'holder' (Holder) has dtype float32, layer 'dense' in it",
        ),
        (lambda: layers.Dense(2, activity_regularizer="l2"), ValueError, "give activity_regularizer to layer 'holder'"),
        (lambda: layers.Dense(2), ValueError, "build the layers it holds in build(input_shape)"),
    ],
)
def test_what_a_layer_may_not_hold(value: Callable[[], Any], error: type[Exception], message: str) -> None:
    pyrnn.utils.clear_session()
    with pytest.raises(error, match=re.escape(message)):
        holding(value()).build((None, 3))


class Late(layers.Layer):
    """Holds layers and generators in every way that declares them."""

    def __init__(self, **kwargs: Any) -> None:
        self.early = layers.Dense(1, name="early")
        super().__init__(**kwargs)
        self.blocks: list[Any] = []
        self.by_name = {"noise": layers.GaussianNoise(0.1, name="noise")}
        self.pair = (layers.Dense(2, name="first"), layers.Dense(2, name="second"))
        self.again = self.early
        self.removed = layers.Dense(1)
        self.sizes = [1, 2]
        self.draws, self.older = np.random.default_rng(0), np.random.RandomState(0)
        self.blocks.append(layers.LSTM(1, name="late"))
        del self.removed

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x


class Guarded(Late):
    """Has a `__setattr__` of its own."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)


class Recording(layers.Layer):
    """Does not hand assignments on to the base class."""

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)[name] = value


@pytest.mark.parametrize("kind", [Late, Guarded])
def test_assignment_declares_layers_and_generators(kind: type[Late]) -> None:
    layer = kind()
    paths = ["early", "blocks/lstm", "by_name/gaussian_noise", "pair/dense", "pair/dense_1"]
    assert [path for path, _ in layer.children()] == paths
    assert [child.name for _, child in layer.children()] == ["early", "late", "noise", "first", "second"]
    assert list(layer.generators()) == ["draws", "older"]
    assert [each.name for each in all_layers([layer, layer.early])] == [
        layer.name,
        *("early", "late", "noise", "first", "second"),
    ]


def test_a_setattr_that_does_not_call_the_base_class_declares_too() -> None:
    layer: Any = Recording()
    layer.inner = [layers.Dense(1, name="inner")]
    layer.draws = np.random.default_rng(0)
    assert [path for path, _ in layer.children()] == ["inner/dense"]
    assert list(layer.generators()) == ["draws"]


def test_streams_of_layers_in_a_dict_are_continued() -> None:
    layer = Late()
    owner = SimpleNamespace(layers=[layer])
    state = random_state(owner)
    noise: Any = layer.by_name["noise"]
    first = noise(np.zeros((2, 3)), training=True), layer.draws.random(), layer.older.random_sample()
    set_random_state(owner, state)
    again = noise(np.zeros((2, 3)), training=True), layer.draws.random(), layer.older.random_sample()
    np.testing.assert_array_equal(again[0], first[0])
    assert again[1:] == first[1:]


def test_built_in_layers_declare_what_they_hold() -> None:
    inner = layers.GRU(2, dropout=0.5, seed=1)
    cells = [layers.GRUCell(2, dropout=0.5), layers.GRUCell(2), layers.LSTMCell(2)]
    both, rnn = layers.Bidirectional(inner), layers.RNN(cells)
    assert [path for path, _ in both.children()] == ["forward_layer", "backward_layer"]
    assert [path for path, _ in rnn.children()] == ["cell"] * 4
    assert [path for path, _ in rnn.cell.children()] == ["cells/gru_cell", "cells/gru_cell_1", "cells/lstm_cell"]
    assert [layer for _, layer in cells[0].children()] == [cells[0].layer]
    assert list(inner.generators()) == list(cells[0].layer.generators()) == ["_rng"]
    assert layers.GRU(2).generators() == {} and layers.Dense(2).children() == []


class Wider(layers.Bidirectional):
    """A built-in layer that holds others, and one more."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.extra = layers.Dense(3, name="extra", dtype=self.dtype)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.extra.build((*input_shape[:-1], 4))

    def forward(self, x: Any, *, training: bool = False, mask: Any = None, initial_state: Any = None) -> Any:
        y = super().forward(x, training=training, mask=mask, initial_state=initial_state)
        return self.extra.forward(y, training=training)

    def backward(self, dy: Any, *more: Any, need_dx: bool = True) -> Any:
        return super().backward(self.extra.backward(dy), *more, need_dx=need_dx)


def test_a_subclass_of_a_built_in_layer_may_hold_more_layers() -> None:
    layer = Wider(layers.GRU(2, dtype="float64"))
    assert set(utils.check_gradients(layer, X.astype("float64"))) >= {"x", "extra/kernel", "extra/bias"}
    assert [path for path, _ in layer.children()] == ["forward_layer", "backward_layer", "extra"]
    assert [path for path, _, weights in layer.variable_groups() if weights] == [
        "forward_layer/cell/vars",
        "backward_layer/cell/vars",
        "extra/vars",
    ]
    assert len(layer.weights) == len(layer.trainable_weights) == 8
    layer.forward_layer.trainable = False
    assert len(layer.trainable_weights) == 5 and len(layer.non_trainable_weights) == 3
