"""Plans: a model trains what its layers and weights say at each step, and a change reaches no other model."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn import Model, Sequential, callbacks, layers, regularizers
from pyrnn.parameters import Weight
from pyrnn.plan import Plan

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5, 3)).astype(np.float32)
Y = RNG.normal(size=(8, 2)).astype(np.float32)


class Holder(layers.Layer):
    """A user's layer that holds layers in an attribute, a list and a dict."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(3)
        self.several = [layers.Dense(3)]
        self.named = {"last": layers.Dense(3)}

    def build(self, input_shape: Any) -> None:
        for layer in self.all():
            layer.build((*input_shape[:-1], 3))

    def all(self) -> list[Any]:
        return [self.first, *self.several, *self.named.values()]

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        for layer in self.all():
            x = layer(x, training=training)
        return x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        for layer in reversed(self.all()):
            dy = layer.backward(dy)
        return dy if need_dx else None


def nested() -> Any:
    return layers.Bidirectional(layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True))


# What a model consists of below its last layer, and the layer in it that is frozen.
PLACES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the layer": (lambda: layers.LSTM(3, return_sequences=True), lambda layer: layer),
    "cell of RNN": (lambda: layers.RNN(layers.GRUCell(3), return_sequences=True), lambda layer: layer.cell),
    "stacked cell": (
        lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True),
        lambda layer: layer.cell.cells[1],
    ),
    "direction": (
        lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        lambda layer: layer.backward_layer,
    ),
    "cell of a direction": (nested, lambda layer: layer.forward_layer.cell.cells[0]),
    "layer of every step": (lambda: layers.TimeDistributed(layers.Dense(3)), lambda layer: layer.layer),
    "attribute": (Holder, lambda layer: layer.first),
    "list": (Holder, lambda layer: layer.several[0]),
    "dict": (Holder, lambda layer: layer.named["last"]),
}


def compiled(layer: Any) -> Sequential:
    model = Sequential([layers.Input((5, 3)), layer, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def changed_by(model: Sequential, step: Callable[[Sequential], Any]) -> set[str]:
    """The paths of the weights that a step changes."""
    before = [weight.numpy() for weight in model.weights]
    step(model)
    return {
        weight.path
        for weight, values in zip(model.weights, before, strict=True)
        if not np.array_equal(values, weight.numpy())
    }


def one_step(model: Sequential) -> None:
    model.train_on_batch(X, Y)


def paths(weights: list[Weight]) -> set[str]:
    return {weight.path for weight in weights}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", ["layer", "weights"])
def test_every_model_sees_what_is_frozen_at_its_next_step(place: str, what: str) -> None:
    make, inner = PLACES[place]
    shared = make()
    models = [compiled(shared), compiled(shared)]
    frozen = inner(shared)
    for model in models:
        assert changed_by(model, one_step) == paths(model.weights)
    targets = [frozen] if what == "layer" else frozen.weights
    for trainable in (False, True, False):
        for target in targets:
            target.trainable = trainable
        for model in models:
            expected = paths(model.weights) - (set() if trainable else paths(frozen.weights))
            assert changed_by(model, one_step) == expected


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("trained", [False, True])
def test_a_copy_sees_what_is_frozen(remake: Callable[[Any], Any], trained: bool) -> None:
    model = compiled(layers.LSTM(3, return_sequences=True))
    if trained:
        one_step(model)
    again = remake(model)
    one_step(again)
    again.layers[0].trainable = False
    assert changed_by(again, one_step) == paths(again.layers[-1].weights)
    again.layers[0].trainable = True
    assert changed_by(again, one_step) == paths(again.weights)


def test_a_layer_frozen_by_a_callback_keeps_its_weights() -> None:
    model = compiled(layers.LSTM(3, return_sequences=True))
    history = []

    def freeze(batch: int, logs: Any) -> None:
        history.append(model.layers[0].get_weights())
        model.layers[0].trainable = batch < 1

    hook = callbacks.LambdaCallback(on_train_batch_end=freeze)
    model.fit(np.tile(X, (4, 1, 1)), np.tile(Y, (4, 1)), batch_size=8, verbose=0, callbacks=[hook])
    first, second, third, fourth = (np.concatenate([w.ravel() for w in weights]) for weights in history)
    assert not np.array_equal(first, second)
    assert np.array_equal(second, third) and np.array_equal(third, fourth)


def test_a_model_that_is_frozen_trains_nothing() -> None:
    model = compiled(layers.LSTM(3, return_sequences=True))
    one_step(model)
    model.trainable = False
    assert changed_by(model, one_step) == set()
    model.trainable = True
    assert changed_by(model, one_step) == paths(model.weights)


def test_a_regularizer_set_between_steps_counts() -> None:
    model = compiled(layers.LSTM(3, return_sequences=True))
    plain = model.test_on_batch(X, Y)
    kernel = model.layers[0].kernel
    kernel.regularizer = regularizers.L2(0.5)
    penalty = 0.5 * float(np.square(kernel.array).sum())
    assert model.test_on_batch(X, Y) == pytest.approx(plain + penalty, rel=1e-6)
    kernel.regularizer = None
    assert model.test_on_batch(X, Y) == plain


def test_weights_that_a_layer_makes_at_a_later_forward_are_trained() -> None:
    class Late(layers.Layer):
        scales = 0

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            while len(self._weights) < self.scales:
                self.add_weight((), initializer="ones")
            self.x = x
            return x * np.prod([weight.array for weight in self._weights])

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            for weight in self._weights:
                weight.gradient[...] = (dy * self.x).sum()
            return dy

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    late = Late()
    model = compiled(late)
    for late.scales in (0, 1, 2):
        one_step(model)
        assert len(late.weights) == late.scales
        assert all(weight.array != 1 for weight in late.weights)


def test_a_layer_put_into_a_custom_layer_is_trained() -> None:
    model = compiled(Holder())
    one_step(model)
    model.layers[0].first = layers.Dense(3)
    before = model.layers[0].first
    one_step(model)
    assert before.built and np.any(before.bias.array)
    assert changed_by(model, one_step) == paths(model.weights)


@pytest.mark.parametrize("put", [lambda holder, layer: holder.several.append(layer),
                                 lambda holder, layer: holder.named.update(more=layer)])  # fmt: skip
def test_a_layer_added_to_a_list_of_a_custom_layer_is_trained(put: Callable[[Any, Any], Any]) -> None:
    holder = Holder()
    model = Sequential([layers.Input((5, 3)), holder, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    added = layers.Dense(3)
    added.build((None, 5, 3))
    put(holder, added)
    before = added.get_weights()[0]
    model.train_on_batch(X, Y)
    assert not np.array_equal(added.get_weights()[0], before)


def test_a_change_leaves_the_plans_of_other_models_alone() -> None:
    a, b = compiled(layers.GRU(3, return_sequences=True)), compiled(layers.GRU(3, return_sequences=True))
    one_step(a)
    one_step(b)
    b.layers[0].trainable = False
    b.layers[0].kernel.regularizer = regularizers.L1(0.1)
    compiled(layers.Dense(3))
    assert not a._plan.stale and b._plan.stale


def test_layers_do_not_keep_a_model_alive() -> None:
    shared = layers.GRU(3, return_sequences=True)
    for _ in range(3):
        one_step(compiled(shared))
    gc.collect()
    assert not shared._watchers and not shared.kernel._watchers


def test_a_model_that_freezes_a_layer_at_every_step_keeps_its_vectors() -> None:
    """As two networks that train against each other do."""
    model = compiled(layers.GRU(3, return_sequences=True))
    watchers = model.layers[0]._watchers
    for step in range(4):
        model.layers[0].trainable = step % 2 == 0
        one_step(model)
        assert len(watchers) == 1
    vector = model.parameters()
    model.layers[0].trainable = model.layers[0].trainable
    assert model.parameters() is vector


@pytest.mark.parametrize("step", [one_step, lambda model: model.test_on_batch(X, Y)], ids=["train", "evaluate"])
def test_a_step_fetches_the_plan_once(step: Callable[[Sequential], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled(layers.LSTM(3, return_sequences=True, kernel_regularizer="l2"))
    one_step(model)
    fetched = []
    plan = Sequential.plan
    monkeypatch.setattr(Sequential, "plan", lambda self: fetched.append(1) or plan(self))
    step(model)
    assert len(fetched) == 1


def test_a_compilation_that_a_signal_interrupts_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that raised within it, in the first step, left a model that could not be trained."""
    expected, model = compiled(layers.LSTM(3, return_sequences=True)), compiled(layers.LSTM(3, return_sequences=True))
    expected.set_weights(model.get_weights())

    def interrupted(plan: Plan, need_dx: bool) -> Any:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Plan, "_backward_calls", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one_step(model)
    one_step(model)
    one_step(expected)
    for actual, weight in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(actual, weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(4),
        lambda: layers.RNN([layers.GRUCell(4), layers.GRUCell(4)]),
        lambda: layers.Bidirectional(layers.SimpleRNN(4)),
    ],
    ids=["LSTM", "RNN", "Bidirectional"],
)
def test_initial_states_get_gradients_where_x_is_an_input(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only they are computed: the gradient by x is a matrix product that nobody reads."""
    decoder: Any = make()
    x, context = layers.Input((5, 3)), layers.Input((6,))
    states = [layers.Dense(4, name="first")(context), layers.Dense(4, name="second")(context)]
    model = Model([x, context], layers.Dense(2)(decoder(x, initial_state=states)))
    model.compile("sgd", "mse")
    wanted: list[bool] = []
    backward = decoder.backward
    monkeypatch.setattr(
        decoder, "backward", lambda *args, need_dx: wanted.append(need_dx) or backward(*args, need_dx=need_dx)
    )
    before = [layer.kernel.array.copy() for layer in (model.get_layer("first"), model.get_layer("second"))]
    model.train_on_batch([X, RNG.normal(size=(8, 6))], Y)
    assert wanted == [False]
    for layer, kernel in zip((model.get_layer("first"), model.get_layer("second")), before, strict=True):
        assert np.any(layer.kernel.array != kernel)
