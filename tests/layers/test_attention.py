"""Attention layers: values by hand, masks, call options, weights as outputs, models, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

RNG = np.random.default_rng(0)
QUERY, VALUE, KEY = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 2)), RNG.normal(size=(2, 5, 4))
VALUE_MASK = np.array([[True] * 3 + [False] * 2, [True] * 5])
QUERY_MASK = np.array([[True, True, False], [True, False, False]])


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def make(kind: str, **options: Any) -> Any:
    """One of the layers, with the same call for all of them: layer(query, value, key, ...)."""
    if kind == "MultiHeadAttention":
        return layers.MultiHeadAttention(2, 3, dtype="float64", seed=1, **options)
    layer = getattr(layers, kind)(dtype="float64", seed=1, **options)

    def call(query: Any, value: Any, key: Any, query_mask: Any = None, value_mask: Any = None, **more: Any) -> Any:
        mask = None if query_mask is None and value_mask is None else [query_mask, value_mask]
        return layer([query, value, key], mask=mask, **more)

    call.layer = layer  # type: ignore[attr-defined]
    return call


KINDS = ["Attention", "AdditiveAttention", "MultiHeadAttention"]


def test_dot_products() -> None:
    y, weights = layers.Attention(dtype="float64")([QUERY, VALUE, KEY], return_attention_scores=True)
    expected = softmax(QUERY @ KEY.swapaxes(1, 2))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    np.testing.assert_allclose(y, expected @ VALUE, rtol=1e-12)


def test_sums() -> None:
    layer = layers.AdditiveAttention(dtype="float64")
    y = layer([QUERY, VALUE, KEY])
    sums = np.tanh(QUERY[:, :, None] + KEY[:, None]) @ layer.scale.array
    np.testing.assert_allclose(y, softmax(sums) @ VALUE, rtol=1e-12)


def test_heads() -> None:
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    y, weights = layer(QUERY, VALUE, KEY, return_attention_scores=True)
    q, k, v = (
        np.einsum("btf,fnh->bnth", x, dense.kernel.array) + dense.bias.array[:, None]
        for x, dense in ((QUERY, layer.query_dense), (KEY, layer.key_dense), (VALUE, layer.value_dense))
    )
    expected = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(3))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    heads = np.einsum("bnth,nhf->btf", expected @ v, layer.output_dense.kernel.array)
    np.testing.assert_allclose(y, heads + layer.output_dense.bias.array, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_value_is_as_if_it_were_not_there(kind: str) -> None:
    layer = make(kind)
    y = layer(QUERY, VALUE, KEY, value_mask=VALUE_MASK)
    np.testing.assert_allclose(y[:1], layer(QUERY[:1], VALUE[:1, :3], KEY[:1, :3]), rtol=1e-9)
    np.testing.assert_allclose(y[1:], layer(QUERY[1:], VALUE[1:], KEY[1:]), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_causal_mask_hides_later_values(kind: str) -> None:
    layer = make(kind)
    y, weights = layer(QUERY, VALUE, KEY, use_causal_mask=True, return_attention_scores=True)
    for step in range(3):
        alone = layer(QUERY[:, step : step + 1], VALUE[:, : step + 1], KEY[:, : step + 1])
        np.testing.assert_allclose(y[:, step : step + 1], alone, rtol=1e-9)
    assert not np.triu(weights, 1).any()
    masked = layer(QUERY, VALUE, KEY, use_causal_mask=True, value_mask=VALUE_MASK)
    np.testing.assert_allclose(masked, y, rtol=1e-9)


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_the_output_of_a_masked_query_is_0(kind: str) -> None:
    layer = make(kind)
    y = layer(QUERY, VALUE, KEY, query_mask=QUERY_MASK, training=True)
    np.testing.assert_array_equal((y == 0).all(axis=-1), ~QUERY_MASK)
    d_query, _, _ = layer.layer.backward(np.ones_like(y))
    assert not d_query[~QUERY_MASK].any()
    assert layer.layer.compute_mask([QUERY, VALUE, KEY], [QUERY_MASK, None, None]) is QUERY_MASK


def test_a_query_that_reads_nothing() -> None:
    """As in Keras: the mean of all values, or weights of 0 where the weights are computed as such."""
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    nothing = np.zeros((3, 5), bool)
    y = layer(QUERY, VALUE, attention_mask=nothing)
    np.testing.assert_allclose(y, np.repeat(layer(QUERY, VALUE.mean(1, keepdims=True))[:, :1], 3, axis=1))
    y, weights = layer(QUERY, VALUE, attention_mask=nothing, return_attention_scores=True)
    assert not weights.any() and not y.any()


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 2, 3, 5), (1, 1, 5)])
def test_an_attention_mask_broadcasts(shape: tuple[int, ...]) -> None:
    layer = layers.MultiHeadAttention(2, 3, dtype="float64")
    mask = RNG.random(shape) < 0.6
    mask[..., 0] = True
    _, weights = layer(QUERY, VALUE, attention_mask=mask, return_attention_scores=True)
    wide = mask if len(shape) != 3 else mask[:, None]
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(wide, (2, 2, 3, 5)))


def test_a_window_and_several_axes() -> None:
    layer = layers.MultiHeadAttention(2, 3, sliding_window=2)
    _, weights = layer(QUERY, KEY, return_attention_scores=True)
    np.testing.assert_array_equal(weights[0, 0] > 0, np.abs(np.arange(3)[:, None] - np.arange(5)) < 2)
    x = RNG.normal(size=(2, 3, 4, 5))
    for axes, shape in ((None, (2, 2, 3, 4, 3, 4)), (1, (2, 4, 2, 3, 3)), (-2, (2, 3, 2, 4, 4))):
        layer = layers.MultiHeadAttention(2, 3, attention_axes=axes)
        y, weights = layer(x, x, return_attention_scores=True)
        assert (y.shape, weights.shape) == (x.shape, shape)
        assert layer.compute_output_shape([x.shape] * 3, return_attention_scores=True) == [x.shape, shape]


def test_read_axes_that_are_not_the_first() -> None:
    """Reading along one axis of several is like having the others in the batch."""
    x, slope = RNG.normal(size=(2, 2, 3, 4, 5))
    mask = np.tri(4, dtype=bool)
    wide = layers.MultiHeadAttention(2, 3, attention_axes=2, use_gate=True, dtype="float64")
    flat = layers.MultiHeadAttention(2, 3, use_gate=True, dtype="float64")
    wide(x, x), flat(x[:, 0], x[:, 0])
    flat.set_weights(wide.get_weights())
    options = {"attention_mask": mask, "training": True, "return_attention_scores": True}
    (y, weights), (flat_y, flat_weights) = wide(x, x, **options), flat(*[x.reshape(6, 4, 5)] * 2, **options)
    np.testing.assert_allclose(y, flat_y.reshape(y.shape), rtol=1e-9)
    np.testing.assert_allclose(weights, flat_weights.reshape(weights.shape), rtol=1e-9)
    gradients, flat_gradients = wide.backward(slope), flat.backward(slope.reshape(6, 4, 5))
    for gradient, other in zip(gradients, flat_gradients, strict=True):
        np.testing.assert_allclose(gradient, other.reshape(x.shape), rtol=1e-9)
    for weight, other in zip(wide.weights, flat.weights, strict=True):
        np.testing.assert_allclose(weight.gradient, other.gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_more_axes_in_front(kind: str) -> None:
    arrays = [np.stack([x, 2 * x], axis=1) for x in (QUERY, VALUE, KEY)]
    mask = np.stack([VALUE_MASK, VALUE_MASK], axis=1)
    layer = make(kind)
    y, weights = layer(*arrays, value_mask=mask, return_attention_scores=True)
    assert (y.shape, weights.shape) == ((2, 2, 3, 2), (2, 2, 3, 5))
    alone, its_weights = layer(*[x[:, 1] for x in arrays], value_mask=VALUE_MASK, return_attention_scores=True)
    np.testing.assert_allclose(y[:, 1], alone, rtol=1e-12)
    np.testing.assert_allclose(weights[:, 1], its_weights, rtol=1e-12)


@pytest.mark.parametrize("use_scale", [False, True])
@pytest.mark.parametrize("score_mode", ["dot", "concat"])
def test_gradients_of_scale_and_concat_weight(score_mode: str, use_scale: bool) -> None:
    """By finite differences, with dropout whose factors are drawn again from the same seed."""
    arrays, changes = [QUERY, VALUE, KEY], {"scale": 0.6, "concat_score_weight": 1.3}

    def built() -> Any:
        layer = layers.Attention(use_scale, score_mode, dropout=0.4, seed=3, dtype="float64")
        layer(arrays)
        for weight in layer.weights:
            weight.assign(changes[weight.name])
        return layer

    layer = built()
    slopes = [RNG.normal(size=each.shape) for each in layer(arrays, training=True, return_attention_scores=True)]
    layer.backward(*slopes)
    for number, weight in enumerate(layer.weights):
        losses = []
        for step in (1e-6, -1e-6):
            moved = built()
            moved.weights[number].assign(changes[weight.name] + step)
            outputs = moved(arrays, training=True, return_attention_scores=True)
            losses.append(sum(float(np.vdot(each, slope)) for each, slope in zip(outputs, slopes, strict=True)))
        expected = (losses[0] - losses[1]) / 2e-6
        assert float(weight.gradient) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    layer(arrays, training=True)
    assert layer.backward(slopes[0], need_dx=False) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_draws_from_the_seed(kind: str) -> None:
    first, second = make(kind, dropout=0.5), make(kind, dropout=0.5)
    plain = first(QUERY, VALUE, KEY)
    if kind == "MultiHeadAttention":
        second(QUERY, VALUE, KEY)
        second.set_weights(first.get_weights())
    else:
        second(QUERY, VALUE, KEY)
        second.layer.set_weights(first.layer.get_weights())
    dropped = first(QUERY, VALUE, KEY, training=True)
    np.testing.assert_array_equal(dropped, second(QUERY, VALUE, KEY, training=True))
    assert not np.allclose(dropped, plain)
    np.testing.assert_array_equal(first(QUERY, VALUE, KEY), plain)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_output_and_weights(kind: str, masked: bool) -> None:
    """With masks, and a loss of the weights as well as of the output, by finite differences."""
    call = make(kind)
    layer = getattr(call, "layer", call)
    masks = {"value_mask": VALUE_MASK} if masked else {}
    outputs = call(QUERY, VALUE, KEY, return_attention_scores=True, training=True, **masks)
    slopes = [RNG.normal(size=each.shape) for each in outputs]
    gradients = layer.backward(*slopes)
    arrays = [QUERY, VALUE, KEY]
    for number, gradient in enumerate(gradients):
        direction = RNG.normal(size=gradient.shape)
        losses = []
        for step in (1e-6, -1e-6):
            changed = [x + step * direction * (i == number) if i == number else x for i, x in enumerate(arrays)]
            moved = call(*changed, return_attention_scores=True, **masks)
            losses.append(sum(float(np.vdot(y, slope)) for y, slope in zip(moved, slopes, strict=True)))
        assert np.vdot(gradient, direction) == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6, abs=1e-8)
    call(QUERY, VALUE, KEY, return_attention_scores=True, training=True, **masks)
    assert layer.backward(None, slopes[1])[0] is not None
    call(QUERY, VALUE, KEY, training=True, **masks)
    assert layer.backward(slopes[0], need_dx=False) == (None, None, None)


def transformer() -> Any:
    """A block with a causal mask, residual connections and a mask of the input."""
    x = pyrnn.Input((6, 4))
    h = layers.Masking()(x)
    read = layers.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    h = layers.LayerNormalization()(layers.Add()([h, read]))
    return pyrnn.Model(x, layers.Dense(1)(layers.GRU(3)(h)))


def additive() -> Any:
    """An encoder and a decoder that reads its steps; the weights are an output that a layer uses."""
    x = pyrnn.Input((6, 4))
    steps, *states = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    decoded = layers.LSTM(4, return_sequences=True)(layers.Dense(3)(x), initial_state=states)
    read, weights = layers.AdditiveAttention()([decoded, steps], return_attention_scores=True)
    joined = layers.Concatenate()([decoded, read, weights])
    return pyrnn.Model(x, layers.Dense(1)(layers.Flatten()(joined)))


def masked_by_input() -> Any:
    """The attention mask is computed by a layer."""
    x = pyrnn.Input((6, 4))
    mask = layers.Dense(6, activation="relu", trainable=False)(x)
    read, weights = layers.MultiHeadAttention(2, 3)(x, x, key=x, attention_mask=mask, return_attention_scores=True)
    return pyrnn.Model(
        x, layers.Dense(1)(layers.Flatten()(layers.Concatenate()([read, layers.Reshape((6, 12))(weights)])))
    )


@pytest.mark.parametrize("make_model", [transformer, additive, masked_by_input], ids=lambda each: each.__name__)
def test_models(make_model: Any) -> None:
    """Gradients of every weight, in one random direction, by finite differences."""
    pyrnn.config.set_floatx("float64")
    try:
        pyrnn.utils.set_random_seed(0)
        model = make_model()
    finally:
        pyrnn.config.set_floatx("float32")
    x = RNG.normal(size=(3, 6, 4))
    x[0, 4:] = 0
    y, _ = model.forward_pass(x, training=True)
    dy = RNG.normal(size=y.shape)
    model.backward_pass(dy)
    for weight in model.trainable_weights:
        direction, before = RNG.normal(size=weight.shape), weight.numpy()
        expected = float(np.vdot(weight.gradient, direction))
        losses = []
        for step in (1e-6, -1e-6):
            weight.assign(before + step * direction)
            losses.append(float(np.vdot(model.forward_pass(x)[0], dy)))
        weight.assign(before)
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(expected, rel=1e-5, abs=1e-7), weight.path
    model.compile("adam", "mse")
    model.fit(x, x[:, 0, :1], epochs=2, verbose=0)


def test_calls_on_symbols_remember_their_options() -> None:
    query, value = pyrnn.Input((3, 4)), pyrnn.Input((5, 4))
    layer = layers.MultiHeadAttention(2, 3)
    y, weights = layer(query, value, return_attention_scores=True, use_causal_mask=True)
    assert (y.shape, weights.shape) == ((None, 3, 4), (None, 2, 3, 5))
    assert layer.nodes[0].kwargs == {"return_attention_scores": True, "use_causal_mask": True}
    assert layer.nodes[0].args == (query, value)
    assert layers.Attention()([query, value]).shape == (None, 3, 4)


def test_weights_are_named_as_in_keras() -> None:
    layer = layers.MultiHeadAttention(2, 3, use_gate=True, name="heads")
    layer.build((None, 3, 4), (None, 5, 2))
    names = ["query", "key", "gate", "value", "attention_output"]
    assert [weight.path for weight in layer.weights] == [f"heads/{n}/{w}" for n in names for w in ("kernel", "bias")]


ATTENTION = layers.MultiHeadAttention(2, 3, name="m")
ATTENTION(QUERY, VALUE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Attention()(QUERY), r"Attention must be called on a list of inputs, \[query, value\] or"),
        (
            lambda: layers.Attention()([QUERY]),
            r"list of 2 to 3 inputs, \[query, value\] or \[query, value, key\], got 1",
        ),
        (lambda: layers.Attention()([QUERY, VALUE]), "query and value of Attention must have as many features"),
        (lambda: layers.Attention()([QUERY, VALUE, KEY[:, :4]]), "value and key of Attention must have as many steps"),
        (lambda: layers.Attention()([QUERY[:, 0], KEY[:, 0]]), r"expects inputs \(batch, time, features\)"),
        (lambda: layers.Attention(score_mode="sum"), "score_mode must be 'dot' or 'concat', got 'sum'"),
        (lambda: layers.Attention(dropout=2), "dropout must be a number from 0 to 1"),
        (lambda: layers.Attention()([QUERY, KEY], mask=[QUERY_MASK, QUERY_MASK]), "mask must have the leading axes"),
        (lambda: layers.AdditiveAttention(score_mode="dot"), "score_mode"),
        (lambda: layers.AdditiveAttention().build([(None, 3, None), (None, 5, 4)]), "number of features of the query"),
        (lambda: layers.MultiHeadAttention(0, 3), "num_heads must be a positive integer, got 0"),
        (lambda: layers.MultiHeadAttention(2, 3, output_shape=(2, None)), "output_shape must hold sizes of at least 1"),
        (lambda: layers.MultiHeadAttention(2, 3, flash_attention=True), "flash_attention"),
        (lambda: layers.MultiHeadAttention(2, 3, activity_regularizer="l2"), "activity_regularizer"),
        (lambda: layers.MultiHeadAttention(2, 3, attention_axes=2)(QUERY, VALUE), "attention_axes must be axes of the"),
        (lambda: layers.MultiHeadAttention(2, 3)(QUERY, VALUE, KEY[:, :4]), "must have as many steps"),
        (lambda: layers.MultiHeadAttention(2, 3)(QUERY, VALUE[:, 0]), "query, value and key of shape"),
        (lambda: ATTENTION(QUERY, KEY), r"expects inputs with a value of shape \(2, 5, 2\), got \(2, 5, 4\)"),
        (
            lambda: ATTENTION(QUERY, VALUE, attention_mask=np.ones((2, 3, 4))),
            "attention_mask of layer 'm' must have sh",
        ),
        (lambda: ATTENTION(QUERY, VALUE, attention_mask="no"), "attention_mask must hold numbers"),
        (lambda: ATTENTION(QUERY, pyrnn.Input((5, 2))), "symbols or arrays, got both"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
