"""A layer used several times in one pass, and passes that have no backward: what forward saves is taken in order."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from layers.test_contract import ALL, Shapes, make, shapes_in, unknown_batch
from pyrnn import layers, utils
from pyrnn.inner_layers import all_layers

# Class name -> options that make a layer keep more from forward to backward than those of `ALL`.
MORE: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("AlphaDropout", {"rate": 0.5, "seed": 1}, (2, 4)),
    ("BatchNormalization", {"renorm": True}, (3, 4)),
    ("Dropout", {"rate": 0.5, "seed": 1}, (2, 4)),
    ("GaussianDropout", {"rate": 0.5, "seed": 1}, (2, 4)),
    ("GaussianNoise", {"stddev": 0.5, "seed": 1}, (2, 4)),
    ("SpatialDropout1D", {"rate": 0.5, "seed": 1}, (2, 3, 4)),
    *((kind, {"units": 3, "dropout": 0.5, "recurrent_dropout": 0.5, "seed": 1}, (2, 5, 4))
      for kind in ("SimpleRNN", "LSTM", "GRU")),
    *((kind, {"units": 3, "checkpoint_steps": 128}, (2, 300, 4)) for kind in ("SimpleRNN", "LSTM", "GRU")),
    *((kind, {"units": 20, "return_sequences": True}, (40, 7, 5)) for kind in ("SimpleRNN", "LSTM", "GRU")),
]  # fmt: skip


def arrays(name: str, arguments: dict[str, Any], shape: Shapes, dtype: str) -> Iterator[list[np.ndarray]]:
    """Inputs of one and two rows more than in `shape`."""
    rng = np.random.default_rng(0)
    for more in (1, 2):
        sizes = [(each[0] + more, *each[1:]) for each in shapes_in(shape)]
        xs = [
            rng.integers(0, arguments["input_dim"], size) if name == "Embedding" else rng.normal(size=size)
            for size in sizes
        ]
        yield [x.astype(dtype) for x in xs]


def mask_for(layer: layers.Layer, xs: list[np.ndarray]) -> Any:
    if layer.merges:
        return [one_mask(layer, x) for x in xs]
    return one_mask(layer, xs[0])


def one_mask(layer: layers.Layer, x: np.ndarray) -> np.ndarray | None:
    if x.ndim < 3 or not layer.supports_masking or isinstance(layer, layers.Softmax):
        return None
    steps = x.shape[2] if getattr(layer, "data_format", None) == "channels_first" else x.shape[1]
    mask = np.random.default_rng(1).random((len(x), steps)) < 0.7
    mask[:, 0] = True
    return mask


def gradients_of(layer: layers.Layer, dy: np.ndarray) -> list[np.ndarray]:
    dxs = layer.backward(dy)
    dxs = dxs if isinstance(dxs, tuple) else (dxs,)
    return [*dxs, *(weight.gradient.copy() for weight in layer.trainable_weights)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(("name", "arguments", "shape"), [*ALL, *MORE])
def test_a_layer_used_twice_has_the_gradients_of_two_layers(
    name: str, arguments: dict[str, Any], shape: Shapes, masked: bool, dtype: str
) -> None:
    layer = make(name, arguments, dtype)
    layer.build(unknown_batch(shape))
    rng = np.random.default_rng(2)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    inputs = list(arrays(name, arguments, shape, dtype))
    masks = [mask_for(layer, xs) if masked else None for xs in inputs]
    separate, outputs = [], []
    for xs, mask in zip(inputs, masks, strict=True):
        separate.append(
            copy.deepcopy(separate[-1] if separate else layer)
        )  # with the streams and moments it has by now
        outputs.append(separate[-1].forward(*xs, training=True, mask=mask))
    for xs, mask, y in zip(inputs, masks, outputs, strict=True):
        np.testing.assert_array_equal(layer.forward(*xs, training=True, mask=mask), y)
    slopes = [rng.normal(size=y.shape).astype(dtype) for y in outputs]
    for other, dy in reversed(list(zip(separate, slopes, strict=True))):
        for gradient, expected in zip(gradients_of(layer, dy), gradients_of(other, dy), strict=True):
            np.testing.assert_array_equal(gradient, expected)
    assert_nothing_is_saved(layer)
    layer.forward(*inputs[0], training=True)
    layer.backward(slopes[0], need_dx=False)
    assert_nothing_is_saved(layer)


def assert_nothing_is_saved(*stack: layers.Layer) -> None:
    assert [len(layer._tape) for layer in all_layers(stack)] == [0] * len(list(all_layers(stack)))


def test_a_backward_without_a_forward_raises() -> None:
    layer = layers.Dense(2, name="head")
    layer(np.ones((3, 4)), training=True)
    layer.backward(np.ones((3, 2), np.float32))
    with pytest.raises(RuntimeError, match=r"backward\(\) of layer 'head' \(Dense\) must come after forward\(x, tr"):
        layer.backward(np.ones((3, 2), np.float32))


X = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
Y = X[:, 0, :1]


def stack() -> list[layers.Layer]:
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True))
    return [both, layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), layers.Dropout(0.0), layers.Dense(1)]


def compiled(*more: layers.Layer) -> pyrnn.Sequential:
    utils.set_random_seed(0)
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), *stack(), *more])
    model.compile("adam", "mse")
    return model


class Failing(layers.Layer):
    """Hands on x, or fails on the way there or back."""

    fails: Any = ()

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if "forward" in self.fails and training:
            raise KeyboardInterrupt
        return x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        if "backward" in self.fails:
            raise KeyboardInterrupt
        return dy


@pytest.mark.parametrize("place", ["forward", "backward"])
def test_an_interrupted_step_leaves_nothing_for_the_next_one(place: str) -> None:
    expected, model = compiled(Failing()), compiled(Failing())
    for _ in range(2):
        expected.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    model.layers[-1].fails = place
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(X[:3], Y[:3])
    model.layers[-1].fails = ()
    model.train_on_batch(X, Y)
    for value, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
    assert_nothing_is_saved(*model.layers[:-1])


def test_calls_without_a_backward_keep_no_more_than_the_last_one() -> None:
    model = compiled()
    for _ in range(3):
        model(X, training=True)
        model.layers[0](X, training=True)
    sizes = [len(layer._tape) for layer in all_layers(model.layers)]
    assert max(sizes) == 1
    layer, expected = layers.LSTM(2), []
    for x in (X[:2], X):
        y = layer(x, training=True)
        expected = [layer.backward(np.ones_like(y)), *(weight.gradient.copy() for weight in layer.weights)]
    layer(X[:2], training=True)
    layer(X, training=True)
    for value, other in zip(gradients_of(layer, np.ones_like(y)), expected, strict=True):
        np.testing.assert_array_equal(value, other)


class Silent(layers.Dense):
    """Replaces the gradient, and so takes nothing of what Dense has saved."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return super().forward(x, training=training, mask=mask)

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return dy


def test_layers_that_backward_does_not_reach_do_not_pile_up() -> None:
    frozen = layers.Conv1D(3, 2, trainable=False)
    model = pyrnn.Sequential(
        [pyrnn.Input((5, 3)), layers.Dropout(0.1), frozen, layers.GRU(3), Silent(3), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, epochs=4, batch_size=2)
    assert_nothing_is_saved(*model.layers)


class Twice(layers.Layer):
    """dense(dense(x)), by call or by forward."""

    by_call = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, activation="tanh", dtype=self.dtype)

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if self.by_call:
            return self.dense(self.dense(x, training=training), training=training)
        return self.dense.forward(self.dense.forward(x, training=training), training=training)

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        dy = self.dense.backward(dy)
        upper = [weight.gradient.copy() for weight in self.dense.weights]
        dx = self.dense.backward(dy)
        for weight, gradient in zip(self.dense.weights, upper, strict=True):
            weight.gradient += gradient
        return dx


@pytest.mark.parametrize("by_call", [True, False])
def test_a_custom_layer_may_call_a_layer_twice(by_call: bool) -> None:
    layer = Twice(dtype="float64")
    layer.build((None, 3))
    layer.by_call = by_call
    assert set(utils.check_gradients(layer, np.random.default_rng(0).normal(size=(4, 3)))) == {"x", "kernel", "bias"}
    assert_nothing_is_saved(layer)


def test_a_custom_model_may_call_a_layer_twice() -> None:
    class Model(pyrnn.Sequential):
        def forward_pass(self, x: Any, *, training: bool = False) -> Any:
            for layer in (self.layers[0], *self.layers):
                x = layer(x, training=training)
            return x, None

        def backward_pass(self, dy: Any) -> None:
            for layer in reversed(self.layers):
                dy = layer.backward(dy)
            upper = [weight.gradient.copy() for weight in self.layers[0].weights]
            self.layers[0].backward(dy)
            for weight, gradient in zip(self.layers[0].weights, upper, strict=True):
                weight.gradient += gradient

    def stepped(kind: type[pyrnn.Sequential], *first: layers.Layer) -> list[np.ndarray]:
        utils.set_random_seed(0)
        model = kind([pyrnn.Input((3,)), *first, layers.Dense(1)])
        for weight in model.weights:
            weight.assign(np.linspace(-1, 1, weight.size).reshape(weight.shape))
        model.compile("sgd", "mse")
        model.train_on_batch(X[:, 0], Y)
        return model.get_weights()

    twice = Twice()
    for value, other in zip(
        stepped(Model, layers.Dense(3, activation="tanh")), stepped(pyrnn.Sequential, twice), strict=True
    ):
        np.testing.assert_allclose(value, other, rtol=1e-5)


class Scale(layers.Layer):
    """Multiplies by a weight; saves x on the tape."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.scale.assign(0.5)

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if training:
            self._tape.append(x)
        return x * self.scale.array

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        self.scale.gradient[...] = (dy * self._take_saved()).sum()
        return dy * self.scale.array


class Same(Scale):
    """Overrides `forward` and has the same `backward`."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return super().forward(x, training=training, mask=mask)

    backward = Scale.backward


class Replaced(Scale):
    """Saves on the tape itself."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if training:
            self._tape.append(x)
        return self.scale.array * x

    backward = Scale.backward


class Both(Scale):
    """Overrides both and calls those of the base class."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return super().forward(x, training=training, mask=mask)

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return super().backward(dy, need_dx=need_dx)


@pytest.mark.parametrize("kind", [Scale, Same, Replaced, Both])
def test_a_custom_layer_may_save_on_the_tape(kind: type[layers.Layer]) -> None:
    layer = kind(dtype="float64")
    layer.build((None, 3))
    first, second = np.random.default_rng(0).normal(size=(2, 4, 3))
    layer.forward(first, training=True)
    layer.forward(second[:2], training=True)
    for x in (second[:2], first):
        np.testing.assert_array_equal(layer.backward(np.ones_like(x)), np.full_like(x, 0.5))
        np.testing.assert_allclose(layer.scale.gradient, x.sum())
    assert_nothing_is_saved(layer)


@pytest.mark.parametrize("base", [layers.Dense, layers.GRU])
def test_a_subclass_may_override_backward_alone(base: Any) -> None:
    class Reversed(base):  # type: ignore[misc]
        def backward(self, dy: Any, *more: Any, need_dx: bool = True) -> Any:
            return super().backward(-dy, *more, need_dx=need_dx)

    plain, layer = base(2), Reversed(2)
    plain.build(X.shape)
    layer.build(X.shape)
    layer.set_weights(plain.get_weights())
    y = plain(X, training=True)
    np.testing.assert_array_equal(layer(X, training=True), y)
    np.testing.assert_array_equal(layer.backward(np.ones_like(y)), plain.backward(-np.ones_like(y)))
    assert_nothing_is_saved(layer)


def test_a_custom_model_may_call_a_layer_before_the_pass_of_sequential() -> None:
    """Also in the pass after one that was interrupted."""

    class Model(pyrnn.Sequential):
        def forward_pass(self, x: Any, *, training: bool = False) -> Any:
            return super().forward_pass(self.layers[0](x, training=training), training=training)

        def backward_pass(self, dy: Any) -> None:
            super().backward_pass(dy)
            assert [len(layer._tape) for layer in self.layers] == [1, 0, 0]

    model = Model([pyrnn.Input((3,)), layers.Dense(3), Failing(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for fails in ("", "forward", "", "backward", ""):
        model.layers[1].fails = fails
        if fails:
            with pytest.raises(KeyboardInterrupt):
                model.train_on_batch(X[:, 0], Y)
        else:
            model.train_on_batch(X[:, 0], Y)
