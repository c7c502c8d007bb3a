"""Behaviour outside the layer contract: ids, moving statistics, custom functions, masks, states, error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import config, layers, ops
from pyrnn.layers.recurrent import bidirectional

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 4)).astype("float32")


def square(x: Any) -> Any:
    return x * x


def doubled(x: Any, y: Any, dy: Any) -> Any:
    return 2 * x * dy


def mask_of(x: Any, mask: Any) -> Any:
    return x[..., 0] > 0


@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "float32", "float64"])
def test_embedding_accepts_ids_of_any_dtype(kind: str) -> None:
    layer = layers.Embedding(5, 3, mask_zero=True)
    ids = np.array([[0, 4, 1], [2, 2, 0]])
    y = layer(ids.astype(kind))
    np.testing.assert_array_equal(y, layer.embeddings.numpy()[ids])
    np.testing.assert_array_equal(layer.compute_mask(ids.astype(kind)), ids != 0)


def test_embedding_adds_up_the_rows_of_one_id() -> None:
    layer = layers.Embedding(5, 3)
    ids = np.array([[0, 4, 1], [4, 4, 0]])
    y = layer(ids, training=True)
    dy = RNG.normal(size=y.shape).astype("float32")
    layer.backward(dy, need_dx=False)
    expected = np.zeros((5, 3))
    np.add.at(expected, ids, dy)
    assert_close(layer.embeddings.gradient, expected, ids.size, "gradient")


def test_weights_that_do_not_depend_on_x_are_built_without_a_shape() -> None:
    layer = layers.Embedding(5, 3)
    layer.build()
    table = layer.get_weights()[0]
    np.testing.assert_array_equal(layer(np.array([[1, 4]])), table[None, [1, 4]])

    class Shift(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.shift = self.add_weight(shape=(), initializer="ones")

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return x + self.shift.array

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            self.shift.gradient[...] = dy.sum()
            return dy

    shift = Shift()
    shift.build(None)
    assert shift.built and len(shift.weights) == 1
    np.testing.assert_array_equal(shift(np.zeros((2, 3))), np.ones((2, 3)))
    assert len(shift.weights) == 1
    with pytest.raises(ValueError, match="input_shape must be a tuple of sizes, got None"):
        layers.Dense(2).build(None)


def test_layers_without_weights_are_built_from_the_start() -> None:
    assert layers.Dropout(0.5).built and layers.Reshape((2, 3)).built and layers.Add().built
    assert not layers.Dense(2).built and not layers.TimeDistributed(layers.Dropout(0.5)).built

    class Later(layers.Dropout):
        def build(self, input_shape: Any) -> None:
            self.size = input_shape[-1]

    later = Later(0.5)
    assert not later.built
    later(X)
    assert later.built and later.size == 4


def test_add_weight_has_the_order_of_keras() -> None:
    layer = layers.Layer()
    assert layer.add_weight((3, 4), "zeros", "float64").dtype == "float64"
    count = layer.add_weight(dtype="int32", trainable=False)
    assert (count.shape, count.dtype, int(count)) == ((), "int32", 0)
    assert not layer.add_weight(shape=(2,), dtype="bool", trainable=False).numpy().any()
    with pytest.raises(ValueError, match=r"shape must be a tuple of sizes, got 'scale': write add_weight\(name="):
        layer.add_weight("scale")
    with pytest.raises(ValueError, match="multiple values for argument 'shape'"):
        layer.add_weight((2,), shape=(2,))  # type: ignore[misc]
    with pytest.raises(ValueError, match="a weight of dtype int32 must have trainable=False"):
        layer.add_weight(shape=(2,), dtype="int32")


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization", "Normalization"])
@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 5, 4)])
def test_normalization_along_the_last_axis_takes_any_rank(kind: str, shape: tuple[int, ...]) -> None:
    """x of another rank is as one sequence of the rank that the layer was built for."""
    layer = getattr(layers, kind)(axis=-1, dtype="float64")
    layer.build((None, 6, 4))
    for weight in layer.weights:
        weight.assign(RNG.uniform(1.0, 2.0, weight.shape))
    x, dy = RNG.normal(size=(2, *shape))
    flat = (1, -1, 4)
    np.testing.assert_allclose(layer.forward(x, training=True), layer.forward(x.reshape(flat)).reshape(shape))
    dx = layer.backward(dy)
    gradients = [weight.gradient.copy() for weight in layer.trainable_weights]
    layer.forward(x.reshape(flat), training=True)
    np.testing.assert_allclose(dx, layer.backward(dy.reshape(flat)).reshape(shape))
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(weight.gradient, gradient)
    with pytest.raises(ValueError, match="expects x of a shape like"):
        layer(np.zeros((2, 3)))
    from_start = getattr(layers, kind)(axis=1)
    from_start.build((None, 4, 6))
    with pytest.raises(ValueError, match="expects x of a shape like"):
        from_start(np.zeros((2, 4)))


def test_masks_of_more_and_of_single_axes() -> None:
    x = np.ones((4, 5, 3), np.float32)
    distributed = layers.TimeDistributed(layers.Dense(2))
    np.testing.assert_array_equal(distributed(x, mask=np.ones((4, 5, 2))), distributed(x))
    with pytest.raises(ValueError, match=r"leading axes \(batch, time\) = \(4, 5\), got shape \(4, 6, 2\)"):
        distributed(x, mask=np.ones((4, 6, 2)))
    cube, steps = RNG.normal(size=(2, 3, 4, 5)), np.array([[True, False, True], [True, True, False]])
    wide, narrow = (layers.BatchNormalization(dtype="float64") for _ in range(2))
    y = wide(cube, training=True, mask=np.repeat(steps[:, :, None], 4, 2))
    np.testing.assert_array_equal(narrow(cube, training=True, mask=steps[:, :, None]), y)


def test_kernels_of_attention_count_the_inputs_of_all_heads() -> None:
    """Keras 3.15 names the axes of the kernels (F, heads, key_dim) and (heads, key_dim, F)."""
    layer = layers.MultiHeadAttention(8, 16, kernel_initializer="lecun_normal")
    layer.build((None, 10, 32), (None, 10, 32), None)
    assert abs(layer.query_dense.kernel.numpy().std() * 32**0.5 - 1) < 0.1
    assert abs(layer.output_dense.kernel.numpy().std() * 128**0.5 - 1) < 0.1
    assert layer.get_config()["kernel_initializer"]["config"]["seed"] is None
    assert layer.compute_output_shape((7, 4, 32), (7, 2, 32), None) == (7, 4, 32)


def test_call_makes_penalties_and_no_weights() -> None:
    class Twice(layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    class Late(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * self.add_weight(shape=(), name="late")

    layer = Twice(activity_regularizer="l1")
    for _ in range(2):  # each call starts anew
        layer(np.ones((4, 3)))
        np.testing.assert_allclose(layer.losses, [0.01 * 2 * 3], rtol=1e-6)
    with pytest.raises(ValueError, match=r"'late\w*' \(Late\) creates a weight in call\(\)"):
        Late()(X)
    assert layers.Activation("relu").built and not layers.Activation(layers.PReLU()).built


def test_attention_along_one_axis_of_a_single_sample() -> None:
    x = RNG.normal(size=(1, 5, 3, 8))
    layer = layers.MultiHeadAttention(2, 4, attention_axes=1, dtype="float64")
    y = layer(x, x, use_causal_mask=True, training=True)
    layer.backward(np.ones(y.shape))
    gradient = layer.query_dense.kernel.gradient.copy()
    rows = layers.MultiHeadAttention(2, 4, dtype="float64")
    rows.build((None, 5, 8), (None, 5, 8))
    rows.set_weights(layer.get_weights())
    series = x[0].swapaxes(0, 1)
    np.testing.assert_allclose(rows(series, series, use_causal_mask=True, training=True), y[0].swapaxes(0, 1))
    rows.backward(np.ones((3, 5, 8)))
    np.testing.assert_allclose(rows.query_dense.kernel.gradient, gradient)


def test_masks_and_states_by_position() -> None:
    mask, state = np.array([[True] * 6, [True, False] * 3, [False] * 5 + [True]]), np.ones((3, 2), np.float32)
    pooling, gru = layers.GlobalAveragePooling1D(), layers.GRU(2)
    np.testing.assert_array_equal(pooling(X, mask), pooling(X, mask=mask))
    np.testing.assert_array_equal(gru(X, state, mask), gru(X, initial_state=state, mask=mask))
    x = pyrnn.Input((6, 4))
    start = pyrnn.Input((2,))
    model = pyrnn.Model([x, start], gru(x, start))
    np.testing.assert_array_equal(model.predict([X, state], verbose=0), gru(X, state))
    for call in (
        lambda: gru(X, state, mask, mask),
        lambda: gru(X, state, initial_state=state),
        lambda: layers.Dropout(0.5)(X, True),
        lambda: pooling(X, True),
    ):
        with pytest.raises(ValueError, match="by position, each once, and with training= by name"):
            call()


def test_channels_first_goes_with_masks_and_not_with_streams() -> None:
    mask = np.array([[True] * 6, [True, False] * 3, [False] * 5 + [True]])
    first, last = (layers.GlobalAveragePooling1D(data_format=f"channels_{end}") for end in ("first", "last"))
    np.testing.assert_array_equal(first(X.swapaxes(1, 2), mask), last(X, mask))
    layer = layers.Conv1D(2, 1, data_format="channels_first", input_shape=(4, 6))
    model = pyrnn.Sequential([layer])
    assert layers.Conv1D.from_config(layer.get_config()).data_format == "channels_first"
    with pytest.raises(ValueError, match=r"expects x of shape \(batch, channels, time\) = \(None, 4, 6\)"):
        layer(np.zeros((2, 6, 4)))
    with pytest.raises(ValueError, match="channels_first"):
        model.stream()


def test_implementation_0_of_keras_2_is_2() -> None:
    for kind in (layers.LSTM, layers.GRU):
        layer, older = kind(3), kind(3, implementation=0)
        y = layer(X)
        older.build(X.shape)
        older.set_weights(layer.get_weights())
        np.testing.assert_array_equal(older(X), y)


def test_embedding_with_weights() -> None:
    table = RNG.normal(size=(5, 3)).astype("float32")
    for value in (table, [table]):
        layer = layers.Embedding(5, 3, weights=value)
        np.testing.assert_array_equal(layer.get_weights()[0], table)
    model = pyrnn.Sequential([layers.Embedding(5, 3, weights=table, input_length=4), layers.Flatten()])
    assert model.output_shape == (None, 12)
    np.testing.assert_array_equal(model.predict(np.full((1, 4), 2), verbose=0)[0, :3], table[2])


def test_moving_statistics() -> None:
    layer = layers.BatchNormalization(momentum=0.75)
    layer(X, training=True)
    assert_close(layer.moving_mean.numpy(), 0.25 * X.mean((0, 1)), X.size, "mean")
    assert_close(layer.moving_variance.numpy(), 0.75 + 0.25 * X.var((0, 1)), X.size, "variance")
    saved = layer.get_weights()
    layer(X)
    layer.trainable = False
    y = layer(X, training=True)
    np.testing.assert_array_equal(y, layer(X))
    for before, after in zip(saved, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    layer.trainable = True
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]


def test_renorm_corrects_batches_by_moving_statistics() -> None:
    """Within the limits the output is that of inference with the renorm statistics; r and d have no gradient."""
    options: dict[str, Any] = {"momentum": 0.75, "dtype": "float64", "moving_mean_initializer": "ones"}
    layer = layers.BatchNormalization(renorm=True, renorm_momentum=0.5, **options)
    x, dy = RNG.normal(1, 2, size=(2, 3, 6, 4))
    mean, stddev = x.mean((0, 1)), np.sqrt(x.var((0, 1)) + layer.epsilon)
    y = layer(x, training=True)
    np.testing.assert_allclose(y, x - 1)  # from a mean and a deviation of 1
    np.testing.assert_allclose(layer.renorm_mean.numpy(), (1 + mean) / 2)
    np.testing.assert_allclose(layer.renorm_stddev.numpy(), (1 + stddev) / 2)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.75 + 0.25 * mean)
    np.testing.assert_allclose(layer.moving_stddev.numpy(), 0.75 + 0.25 * stddev)
    np.testing.assert_allclose(layer.moving_variance.numpy(), layer.moving_stddev.numpy() ** 2 - layer.epsilon)

    plain = layers.BatchNormalization(**options)
    plain(x, training=True)
    expected = plain.backward(dy)
    result = layer.backward(dy)
    assert result is not None and expected is not None
    np.testing.assert_allclose(result, expected * stddev)  # r is the batch's deviation over 1
    np.testing.assert_allclose(layer.gamma.gradient, (dy * y).sum((0, 1)))

    cut = layers.BatchNormalization(renorm=True, renorm_clipping={"rmax": 1.25, "rmin": 0.8, "dmax": 0.125}, **options)
    r, d = np.clip(stddev, 0.8, 1.25), np.clip(mean - 1, -0.125, 0.125)
    np.testing.assert_allclose(cut(x, training=True), (x - mean) / stddev * r + d)


def test_masked_steps_do_not_count_in_moments() -> None:
    mask = np.array([[True] * 4 + [False] * 2] * 3)
    whole, part = layers.BatchNormalization(), layers.BatchNormalization()
    y, z = whole(X, training=True, mask=mask), part(np.ascontiguousarray(X[:, :4]), training=True)
    assert_close(y[:, :4], z, X.size, "output")
    assert_close(whole.moving_variance.numpy(), part.moving_variance.numpy(), X.size, "variance")


def test_softmax_leaves_masked_values_out() -> None:
    layer = layers.Softmax()
    mask = np.array([True, True, False, True])
    y = layer(X, mask=mask, training=True)
    assert (y[..., 2] == 0).all()
    assert_close(y[..., mask], layers.Softmax()(X[..., mask]), X.size, "output")
    dx = layer.backward(np.ones_like(X) * X)
    assert dx is not None and (dx[..., 2] == 0).all()


def test_functions_are_saved_by_name(tmp_path: Path) -> None:
    def stack() -> list[Any]:
        return [layers.Dense(4, input_shape=(6, 4)), layers.Lambda(square, gradient=doubled), layers.LSTM(2)]

    model = pyrnn.Sequential(stack())
    model.compile("sgd", "mse")
    model.fit(X, np.ones((3, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = pyrnn.load_model(tmp_path / "model.keras", custom_objects={"square": square, "doubled": doubled})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.train_on_batch(X, np.ones((3, 2))) == model.train_on_batch(X, np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"function of this Lambda is the function 'square', .*custom_objects=."):
        pyrnn.load_model(tmp_path / "model.keras", custom_objects={"doubled": doubled})
    with pytest.raises(ValueError, match="gradient of this Lambda is the function 'doubled'"):
        pyrnn.load_model(tmp_path / "model.keras", custom_objects={"square": square})
    unnamed = pyrnn.Sequential([layers.Lambda(lambda x: x, input_shape=(4,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="must be a function with a name or an object with get_config to be saved"):
        unnamed.save(tmp_path / "unnamed.keras")
    assert not (tmp_path / "unnamed.keras").exists()


def test_a_function_needs_no_gradient_of_its_own() -> None:
    first = pyrnn.Sequential([layers.Lambda(square, input_shape=(4,)), layers.Dense(1)])
    behind = pyrnn.Sequential([layers.Dense(4, input_shape=(4,)), layers.Lambda(square), layers.Dense(1)])
    for model in (first, behind):
        model.compile("sgd", "mse")
        model.fit(X[:, 0], np.ones(3), verbose=0)
    assert behind.predict(X[:, 0], verbose=0).shape == (3, 1)


def test_shapes_and_masks_of_functions() -> None:
    layer = layers.Lambda(lambda x: np.concatenate([x, x[..., :1]], axis=-1), mask=mask_of)
    assert layer.compute_output_shape((None, None, 4)) == (None, None, 5)
    assert layers.Lambda(square, output_shape=lambda shape: (*shape, 7)).compute_output_shape((None, 2)) == (None, 2, 7)
    np.testing.assert_array_equal(layer.compute_mask(X), X[..., 0] > 0)

    def described(x: Any, mask: Any, training: bool, factor: float) -> Any:
        return x * (factor if training and mask is None else 0)

    scaled = layers.Lambda(described, arguments={"factor": 3.0})
    np.testing.assert_array_equal(scaled(X, training=True), 3 * X)
    np.testing.assert_array_equal(scaled(X), 0 * X)


def sums_of_pairs(x: Any) -> Any:
    return ops.add(x[::2], x[1::2])


def in_pairs(x: Any, y: Any, dy: Any) -> Any:
    return np.repeat(dy, 2, axis=0)


@pytest.mark.parametrize("gradient", [None, in_pairs])
def test_functions_may_return_other_rows(gradient: Any) -> None:
    """The rows of a batch may become fewer and more; the gradients are those of one function that keeps them."""

    def twice(x: Any) -> Any:
        return ops.repeat(x, 2, axis=0)

    def model(*functions: layers.Layer) -> Any:
        built = pyrnn.Sequential([pyrnn.Input((4,)), layers.Dense(3, "tanh"), *functions, layers.Dense(2)])
        built.compile("sgd", "mse")
        return built

    x, y = X.reshape(18, 4), RNG.normal(size=(18, 2))
    parts = model(layers.Lambda(sums_of_pairs, gradient=gradient), layers.Lambda(twice))
    whole = model(layers.Lambda(lambda x: twice(sums_of_pairs(x))))
    whole.set_weights(parts.get_weights())
    for _ in range(3):
        np.testing.assert_allclose(parts.train_on_batch(x, y), whole.train_on_batch(x, y), rtol=1e-6)
    for part, expected in zip(parts.get_weights(), whole.get_weights(), strict=True):
        assert_close(part, expected, x.size, "weights")
    first = model(layers.Lambda(lambda x: x[:1]))
    assert first.output_shape == (1, 2) and first.predict(x, batch_size=6, verbose=0).shape == (3, 2)
    with pytest.raises(ValueError, match=r"y_true must have the shape of y_pred, \(1, 2\), got \(18, 2\)"):
        first.train_on_batch(x, y)


def test_adapt_sees_batches_as_one_data_set() -> None:
    data = RNG.normal(50, 3, (40, 4))
    whole, parts, back = layers.Normalization(), layers.Normalization(), layers.Normalization(invert=True)
    for layer in (whole, back):
        layer.adapt(data)
    parts.adapt((batch, None) for batch in np.split(data, [7, 20]))
    for first, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        assert_close(first.astype("float32"), other, data.size, "moments")
    x = data.astype("float32")
    y = whole(x)
    assert abs(y.mean()) < 1e-5 and abs(y.std() - 1) < 1e-5
    assert_close(back(y), x, data.size, "inverse")


@pytest.mark.parametrize("merge_mode", ["concat", None])
def test_bidirectional_returns_and_accepts_both_states(merge_mode: str | None) -> None:
    layer = layers.Bidirectional(layers.LSTM(5, return_sequences=True, return_state=True), merge_mode=merge_mode)
    x = RNG.normal(size=(3, 6, 4)).astype("float32")
    start = list(RNG.normal(size=(4, 3, 5)).astype("float32"))
    *outputs, h, c, backward_h, backward_c = layer(x, initial_state=start)
    first = layer.forward_layer(x, initial_state=start[:2])
    other = layer.backward_layer(x, initial_state=start[2:])
    expected = [first[0], other[0][:, ::-1]]
    expected = expected if merge_mode is None else [np.concatenate(expected, -1)]
    for actual, right in zip(
        [*outputs, h, c, backward_h, backward_c], [*expected, *first[1:], *other[1:]], strict=True
    ):
        np.testing.assert_array_equal(actual, right)
    shapes = layer.compute_output_shape((3, 6, 4))
    assert list(shapes) == [each.shape for each in (*outputs, h, c, backward_h, backward_c)]
    mask = np.ones((3, 6), bool)
    assert layer.compute_mask(x, mask) == [mask] * len(outputs) + [None] * 4
    with pytest.raises(TypeError, match="initial_state must be a list of 4 arrays"):
        layer(x, initial_state=start[:2])


def test_bidirectional_without_a_merge_is_trained_by_two_gradients() -> None:
    apart, joined = (
        layers.Bidirectional(layers.GRU(5, return_sequences=True), merge_mode=mode) for mode in (None, "concat")
    )
    joined.build(X.shape)
    apart.build(X.shape)
    apart.set_weights(joined.get_weights())
    first, other = apart(X, training=True)
    np.testing.assert_array_equal(joined(X, training=True), np.concatenate([first, other], -1))
    dy = RNG.normal(size=(2, *first.shape)).astype("float32")
    dx, expected = apart.backward(*dy), joined.backward(np.concatenate(list(dy), -1))
    assert dx is not None and expected is not None
    np.testing.assert_array_equal(dx, expected)
    for actual, right in zip(apart.weights, joined.weights, strict=True):
        np.testing.assert_array_equal(actual.gradient, right.gradient)


@pytest.mark.usefixtures("any_thread_count")
def test_large_bidirectional_layers_run_both_directions_at_once() -> None:
    """With the same bits as one direction after the other."""
    layer = layers.Bidirectional(layers.GRU(64, return_sequences=True))
    x = RNG.normal(size=(2, 600, 32)).astype("float32")
    layer.build(x.shape)
    assert x.shape[0] * x.shape[1] * layer.forward_layer.count_params() > bidirectional._MUCH_WORK
    results = []
    for threads in (1, 2):
        pyrnn.set_num_threads(threads)
        y = layer(x, training=True)
        results.append([y, layer.backward(y), *(weight.gradient.copy() for weight in layer.weights)])
    for first, other in zip(*results, strict=True):
        np.testing.assert_array_equal(first, other)


def test_bidirectional_freezes_and_takes_weights() -> None:
    first = layers.Bidirectional(layers.SimpleRNN(3, stateful=True), batch_input_shape=(3, 6, 4))
    first.build(X.shape)
    again = layers.Bidirectional(
        layers.SimpleRNN(3, stateful=True, batch_input_shape=(3, 6, 4)), weights=first.get_weights(), trainable=False
    )
    model = pyrnn.Sequential([again])
    assert model.input_shape == (3, 6, 4) and not again.trainable_weights
    y = again(X)
    np.testing.assert_array_equal(y, first(X))
    assert not np.array_equal(again(X), y)
    again.reset_state()
    np.testing.assert_array_equal(again(X), y)
    with pytest.raises(ValueError, match="must agree in units, got 3 and 4"):
        layers.Bidirectional(layers.SimpleRNN(3), backward_layer=layers.SimpleRNN(4, go_backwards=True))


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "too large": (lambda: layers.Embedding(5, 3)([[5]]), ValueError, "ids from 0 to 4 .*, got 5"),
    "negative": (lambda: layers.Embedding(5, 3)([[-1]]), ValueError, "got -1"),
    "nan": (lambda: layers.Embedding(5, 3)([[np.nan]]), ValueError, "got nan"),
    "fraction": (lambda: layers.Embedding(5, 3)([[0.5]]), ValueError, "whole numbers, got 0.5"),
    "words": (lambda: layers.Embedding(5, 3)([["a"]]), TypeError, "must hold numbers, got dtype"),
    "rounded": (
        lambda: layers.Embedding(2**25, 1)(np.array([2**24], np.float32)), ValueError, "cannot tell ids as large",
    ),
    "input_dim": (lambda: layers.Embedding(0, 3), ValueError, "input_dim must be a positive integer"),
    "lora": (lambda: layers.Embedding(2, 3, lora_rank=2), ValueError, "lora_rank must be left out, got 2"),
    "axis": (lambda: layers.LayerNormalization(axis=3).build((2, 3)), ValueError, "axis must name different axes"),
    "twice": (lambda: layers.LayerNormalization(axis=[1, -1]).build((2, 3)), ValueError, "different axes"),
    "float axis": (lambda: layers.LayerNormalization(axis=0.5), TypeError, "axis must be an integer or a list"),
    "unknown size": (lambda: layers.BatchNormalization().build((2, None)), ValueError, "must know the size of x"),
    "other size": (lambda: both(layers.BatchNormalization(), (2, 3), (2, 4)), ValueError, "of a shape like"),
    "other rank": (lambda: both(layers.PReLU(), (2, 3), (2, 3, 3)), ValueError, "of a shape like"),
    "mask": (
        lambda: layers.BatchNormalization()(X, mask=np.ones(3), training=True), ValueError, "one axis less than x",
    ),
    "synchronized": (lambda: layers.BatchNormalization(synchronized=True), ValueError, "synchronized"),
    "renorm": (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"a": 1}), ValueError, "with keys rmax"),
    "rmax": (
        lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmax": 1, "rmin": 2}),
        ValueError,
        "rmax of renorm_clipping must be at least rmin",
    ),
    "dmax": (
        lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1}),
        ValueError,
        "dmax of renorm_clipping must be at least 0",
    ),
    "streamed axis": (
        lambda: pyrnn.Sequential([layers.BatchNormalization(axis=1, input_shape=(6, 4))]).stream(1),
        ValueError,
        "cannot run one time step at a time: it normalizes along axis 1, which is time",
    ),
    "name": (lambda: layers.Dense(2, name="a/b"), ValueError, "name must be a non-empty string without '/'"),
    "input_length": (lambda: layers.Dense(2, input_length=3), ValueError, "input_length without input_dim"),
    "size of an input": (lambda: layers.Dense(2, input_shape=(-1,)), ValueError, "sizes of at least 0 or None"),
    "no weights": (lambda: layers.Dense(2).count_params(), ValueError, "has no weights yet"),
    "no backward": (lambda: layers.Layer().backward(X), NotImplementedError, r"must define backward\(dy, need_dx\)"),
    "groups": (lambda: layers.GroupNormalization(3).build((2, 4)), ValueError, "multiple of groups = 3, got 4"),
    "slope": (lambda: layers.LeakyReLU(-1), ValueError, "negative_slope must be a number of at least 0, got -1"),
    "max_value": (lambda: layers.ReLU(-1), ValueError, "max_value must be a number of at least 0"),
    "shared_axes": (lambda: layers.PReLU(shared_axes=0).build((2, 3)), ValueError, "not hold the batch axis"),
    "softmax mask": (lambda: layers.Softmax()(X, mask=np.ones(5)), ValueError, "mask of Softmax must fit x"),
    "all dropped": (lambda: layers.GaussianDropout(1), ValueError, "rate must be less than 1"),
    "noise_shape": (lambda: layers.AlphaDropout(0.5, noise_shape=(1,))(X, training=True), ValueError, "3 axes of x"),
    "stddev": (lambda: layers.GaussianNoise(2), ValueError, "stddev must be a number from 0 to 1"),
    "dims": (lambda: layers.Permute((1, 3)), ValueError, "dims must hold each of 1 to 2 once"),
    "permute": (lambda: layers.Permute((2, 1))(X[0]), ValueError, "expects x with 3 axes"),
    "padding": (lambda: layers.ZeroPadding1D((1, 2, 3)), ValueError, "padding must be an integer of at least 0 or two"),
    "cropping": (lambda: layers.Cropping1D((3, 3))(X), ValueError, "leave at least one of the 6 steps"),
    "mean alone": (lambda: layers.Normalization(mean=1.0), ValueError, "mean and variance must be given together"),
    "given": (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), ValueError, "from its arguments: leave"),
    "no data": (lambda: layers.Normalization().adapt([]), ValueError, "at least one sample"),
    "a number": (lambda: layers.Normalization().adapt(iter([42])), TypeError, "arrays with a batch axis, got 42"),
    "causal": (lambda: layers.DepthwiseConv1D(2, padding="causal"), ValueError, "unknown padding 'causal'"),
    "depth_multiplier": (lambda: layers.SeparableConv1D(3, 2, depth_multiplier=0), ValueError, "depth_multiplier must"),
    "filters": (lambda: layers.SeparableConv1D(0, 2), ValueError, "filters must be a positive integer, got 0"),
    "data_format": (
        lambda: layers.DepthwiseConv1D(2, data_format="channels"),
        ValueError,
        "data_format must be 'channels_last' or 'channels_first'",
    ),
    "few steps": (
        lambda: layers.SeparableConv1D(3, 4, dilation_rate=2)(X), ValueError, "at least 7 steps, got 6",
    ),
    "fewer steps": (
        lambda: both(layers.DepthwiseConv1D(4), (2, 6, 3), (2, 3, 3)), ValueError, "at least 4 steps, got 3",
    ),
    "no steps": (lambda: layers.DepthwiseConv1D(4, padding="same")(X[:, :0]), ValueError, "at least 1 steps, got 0"),
    "no steps to grow": (lambda: layers.Conv1DTranspose(3, 4)(X[:, :0]), ValueError, "at least 1 step, got 0"),
    "output_padding": (
        lambda: layers.Conv1DTranspose(3, 4, strides=2, output_padding=2),
        ValueError,
        "output_padding must be at least 0 and less than strides=2, got 2",
    ),
    "output_padding's kind": (
        lambda: layers.Conv1DTranspose(3, 4, output_padding=0.5), TypeError, "output_padding must be None or an",
    ),
    "nothing left": (
        lambda: layers.Conv1DTranspose(3, 4, padding="same", output_padding=0)(X[:, :1]),
        ValueError,
        "must have at least 1 step, got 0 from 1 steps with output_padding=0",
    ),
    "strides and dilation": (
        lambda: layers.Conv1DTranspose(3, 4, strides=2, dilation_rate=2), ValueError, "must be 1, got 2 and 2",
    ),
    "function": (lambda: layers.Lambda(3), TypeError, "function must be a function"),
    "bytecode": (
        lambda: layers.Lambda.from_config({"function": {"class_name": "__lambda__", "config": {}}}),
        ValueError,
        "saved as Python code, which is never run",
    ),
}  # fmt: skip


def both(layer: layers.Layer, *shapes: tuple[int, ...]) -> None:
    for shape in shapes:
        layer(np.ones(shape))


@pytest.mark.parametrize("name", REFUSED)
def test_error_messages(name: str) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_a_mask_follows_a_buffer_that_is_refilled() -> None:
    """A generator may yield the same array repeatedly: steps masked in one batch must not stay masked in the next."""
    buffer = np.zeros((2, 4, 8), np.float32)
    buffer[:, 0] = 1
    model = pyrnn.Sequential([pyrnn.Input((4, 8)), layers.Masking(), layers.SimpleRNN(3), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(buffer, np.ones((2, 1)))
    buffer[:] = np.random.default_rng(0).normal(size=buffer.shape)
    np.testing.assert_array_equal(model.predict_on_batch(buffer), model.predict_on_batch(buffer.copy()))


def test_floatx() -> None:
    config.set_floatx("float64")
    try:
        assert layers.Dense(2).dtype == layers.Input((3,)).dtype == "float64"
        assert layers.Dense(2, dtype="float32").dtype == "float32"
        with pytest.raises(ValueError, match="value must be 'float32' or 'float64'"):
            config.set_floatx("float16")
    finally:
        config.set_floatx("float32")
    assert layers.Dense(2).dtype == "float32" and config.is_op_determinism_enabled()


def test_the_default_data_format() -> None:
    """Layers keep the format that they were created with, also in a config."""
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    last = layers.Conv1D(4, 2)
    config.set_image_data_format("channels_first")
    try:
        assert config.image_data_format() == "channels_first" and last.data_format == "channels_last"
        first = layers.Conv1D(4, 2)
        assert layers.Conv1D.from_config(last.get_config()).data_format == "channels_last"
    finally:
        config.set_image_data_format("channels_last")
    outputs = last(x)
    first.build((None, 3, 6))
    first.set_weights(last.get_weights())
    np.testing.assert_array_equal(first(np.ascontiguousarray(x.swapaxes(1, 2))), outputs.swapaxes(1, 2))
    with pytest.raises(ValueError, match="data_format must be 'channels_last' or 'channels_first', got 'channels'"):
        config.set_image_data_format("channels")
