"""Custom layers whose `call` takes and returns several arrays, and calls other layers."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Input, Model, Sequential, layers, ops
from pyrnn.models import clone_model, load_model
from pyrnn.utils import custom_object_scope

RANDOM = np.random.default_rng(11)
A, B = (RANDOM.normal(size=(5, 4, 3)).astype(np.float32) for _ in range(2))


class Merge(layers.Layer):
    """Reads a list, tuple or dict of two arrays."""

    def build(self, input_shape: Any) -> None:
        self.shapes = input_shape
        first = input_shape["a"] if isinstance(input_shape, dict) else input_shape[0]
        self.scale = self.add_weight(shape=(first[-1],), name="scale")

    def call(self, inputs: Any) -> Any:
        a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
        return ops.tanh(a * self.scale) * b


class ByName(layers.Layer):
    """Reads arrays by position or name, and an option."""

    def build(self, query_shape: Any, value_shape: Any) -> None:
        self.shapes = query_shape, value_shape
        self.kernel = self.add_weight(shape=(query_shape[-1], value_shape[-1]), name="kernel")

    def call(self, query: Any, value: Any, factor: float = 1.0) -> Any:
        return (ops.matmul(query, self.kernel) + value) * factor


class Split(layers.Layer):
    """Returns arrays in nested structures."""

    def call(self, x: Any) -> Any:
        return {"mean": ops.mean(x, axis=1), "rest": (ops.max(x, axis=1), [x * 2])}


class Places(layers.Layer):
    """Calls an embedding on numbers of its own, and other layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        dtype = kwargs.get("dtype")
        self.places = layers.Embedding(9, 3, dtype=dtype)
        self.gru = layers.GRU(3, return_state=True, dtype=dtype)
        self.net = Sequential([layers.Dense(4, activation="tanh", dtype=dtype), layers.Dense(3, dtype=dtype)])
        self.split = Split(dtype=dtype)

    def call(self, x: Any, training: Any = None) -> Any:
        placed = x + self.places(ops.arange(x.shape[1]))
        y, state = self.gru(placed, initial_state=ops.ones((x.shape[0], 3)))
        outputs = self.split(self.net(placed), training=training)
        return outputs["mean"] * y + outputs["rest"][0] + state


def difference(model: Any, xs: list[Any], weight: Any) -> tuple[Any, Any]:
    """The gradient of a weight by `model`, and by finite differences."""
    y, _ = model.forward_pass(xs if len(xs) > 1 else xs[0], training=True)
    slopes = RANDOM.normal(size=y.shape)
    model.backward_pass(slopes)
    gradient, numeric = weight.gradient.copy(), np.zeros(weight.shape)
    for index in np.ndindex(weight.shape):
        value, sums = weight.array[index], []
        for step in (1e-5, -1e-5):
            weight.array[index] = value + step
            weight.touch()
            sums.append((slopes * model.forward_pass(xs if len(xs) > 1 else xs[0])[0]).sum())
        weight.array[index] = value
        weight.touch()
        numeric[index] = (sums[0] - sums[1]) / 2e-5
    return gradient, numeric


@pytest.mark.parametrize("inputs", [[A, B], (A, B), {"a": A, "b": B}], ids=["list", "tuple", "dict"])
def test_call_gets_the_structure_and_build_its_shapes(inputs: Any) -> None:
    layer = Merge()
    np.testing.assert_allclose(layer(inputs), np.tanh(A * layer.scale.array) * B, rtol=1e-5)
    shapes = {"a": A.shape, "b": B.shape} if isinstance(inputs, dict) else type(inputs)([A.shape, B.shape])
    assert layer.shapes == shapes
    assert layer.compute_output_shape(shapes) == A.shape


def test_arguments_are_found_by_name() -> None:
    layer = ByName()
    expected = layer(A, B)
    assert layer.shapes == (A.shape, B.shape)
    for outputs in (layer(A, value=B), layer(value=B, query=A), layer(A, B, factor=2.0) / 2):
        np.testing.assert_array_equal(outputs, expected)
    built = ByName()
    built.build(query_shape=(None, 4, 3), value_shape=(None, 4, 2))
    assert built.kernel.shape == (3, 2)
    assert built.compute_output_shape(query_shape=(None, 4, 3), value_shape=(None, 4, 2)) == (None, 4, 2)


def test_outputs_keep_their_structure() -> None:
    layer = Split()
    arrays, symbols = layer(A), layer(Input((4, 3)))
    np.testing.assert_allclose(arrays["mean"], A.mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(arrays["rest"][1][0], 2 * A)
    assert symbols["rest"][0].shape == (None, 3)
    assert symbols["rest"][1][0].shape == (None, 4, 3)
    assert layer.compute_output_shape((None, 4, 3)) == {"mean": (None, 3), "rest": ((None, 3), [(None, 4, 3)])}


def two_inputs(dtype: str = "float32") -> Any:
    a, b = Input((4, 3), name="a", dtype=dtype), Input((4, 3), name="b", dtype=dtype)
    merge, named = Merge(dtype=dtype), ByName(dtype=dtype)
    merged = merge([layers.Dense(3, dtype=dtype)(a), merge((a, b))])
    outputs = Split(dtype=dtype)(named(merged, value=b, factor=0.5))
    y = layers.Add(dtype=dtype)([outputs["mean"], layers.GRU(3, dtype=dtype)(outputs["rest"][1][0])])
    return Model([a, b], y)


@pytest.mark.parametrize("number", range(4))
def test_the_gradients_of_several_inputs_are_those_of_finite_differences(number: int) -> None:
    model = two_inputs("float64")
    weight = [each for each in model.trainable_weights if "gru" not in each.path][number]
    gradient, numeric = difference(model, [A.astype("float64"), B.astype("float64")], weight)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_the_gradients_of_layers_in_call_are_those_of_finite_differences() -> None:
    layer = Places(dtype="float64")
    model = Sequential([Input((4, 3)), layers.Dense(3, dtype="float64"), layer])
    assert len(layer.weights) == 8
    for weight in model.trainable_weights:
        gradient, numeric = difference(model, [A.astype("float64")], weight)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize("remake", ["file", "clone", "pickle", "copy"])
def test_models_of_such_layers_come_back(remake: str, tmp_path: Path) -> None:
    model = two_inputs()
    classes = {"Merge": Merge, "ByName": ByName, "Split": Split}
    with custom_object_scope(classes):
        if remake == "file":
            model.save(tmp_path / "m.keras")
            again = load_model(tmp_path / "m.keras")
        elif remake == "clone":
            again = clone_model(model)
        else:
            again = pickle.loads(pickle.dumps(model)) if remake == "pickle" else copy.deepcopy(model)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict([A, B], verbose=0), model.predict([A, B], verbose=0))
    again.compile("sgd", "mse")
    again.fit([A, B], A[:, 0], verbose=0)


def test_masks_reach_call_and_the_layers_in_it() -> None:
    seen = []

    class Masks(layers.Layer):
        def call(self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None) -> Any:
            seen.append((query_mask, value_mask))
            return query + value

        def compute_mask(self, query: Any, mask: Any = None) -> Any:
            return mask

    class Inner(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.gru = layers.GRU(2, kernel_initializer="ones", recurrent_initializer="zeros")

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.gru(ops.tanh(x), mask=mask)

        def compute_mask(self, x: Any, mask: Any = None) -> None:
            return None

    padded = A.copy()
    padded[:, 2:] = 0
    a, b = Input((4, 3)), Input((4, 3))
    model = Model([a, b], Inner()(Masks()(layers.Masking()(a), b)))
    got = model.predict([padded, B], verbose=0)
    assert [mask is not None for mask in seen[-1]] == [True, False]
    np.testing.assert_allclose(got, Inner()(padded[:, :2] + B[:, :2]), rtol=1e-5)
    np.testing.assert_allclose(Inner()(padded + B, mask=padded[..., 0] != 0), got, rtol=1e-5)


def test_a_weight_that_a_step_does_not_read_gets_the_gradient_0() -> None:
    class Sometimes(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.used, self.unused = (self.add_weight(shape=(3,), name=name) for name in ("used", "unused"))

        def call(self, x: Any) -> Any:
            return x * self.used if x.shape[0] > 3 else x * self.used * self.unused

    model = Sequential([Input((4, 3)), Sometimes()])
    model.compile("sgd", "mse")
    model.train_on_batch(A[:2], B[:2])
    before = model.layers[0].unused.numpy()
    model.train_on_batch(A, B)
    np.testing.assert_array_equal(model.layers[0].unused.numpy(), before)


def test_a_custom_layer_runs_on_each_step() -> None:
    class Square(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * x

    np.testing.assert_allclose(layers.TimeDistributed(Square())(A), A * A)


def test_a_merge_layer_may_get_a_forward_and_backward() -> None:
    class Difference(layers.Subtract):
        def forward(self, a: Any, b: Any, *, training: bool = False, mask: Any = None) -> Any:
            return 2 * (a - b)

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return 2 * dy, -2 * dy

    class Wrong(Difference):
        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return dy

    a, b = Input((4, 3)), Input((4, 3))
    dense = layers.Dense(3)
    model = Model([a, b], Difference()([dense(a), dense(b)]))
    model.compile("sgd", "mse")
    losses = model.fit([A, B], A - B, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model = Model([a, b], Wrong()([dense(a), dense(b)]))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must return a gradient for each of the 2 inputs"):
        model.train_on_batch([A, B], A)


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(
        TypeError, match=r"call\(query, value, factor\) of layer .* missing a required argument: 'value'"
    ):
        ByName()(A)
    with pytest.raises(TypeError, match="must hold arrays or other values, got both: 'x' is not an array"):
        Merge()([A, "x"])
    with pytest.raises(TypeError, match=r"\(Merge\) must be called on arrays, got"):
        Merge()("x")
    with pytest.raises(TypeError, match="symbols or arrays, got both"):
        Merge()([Input((4, 3)), A])
    with pytest.raises(ValueError, match="must hold a mask for each of the 2 arrays"):
        Merge()([A, B], mask=[A[..., 0] > 0])

    class Odd(layers.Layer):
        def build(self, query_shape: Any, rest_shape: Any) -> None:
            pass

        def call(self, query: Any, value: Any) -> Any:
            return query + value

    with pytest.raises(TypeError, match="must be an argument of call with '_shape' after it, got 'rest_shape'"):
        Odd()(A, B)


def product(xs: Any) -> Any:
    return ops.tanh(xs["a"]) * xs["b"] if isinstance(xs, dict) else ops.tanh(xs[0]) * xs[1]


def slopes(xs: Any, y: Any, dy: Any) -> Any:
    return [dy * (1 - np.tanh(xs[0]) ** 2) * xs[1], dy * np.tanh(xs[0])]


@pytest.mark.parametrize("gradient", [None, slopes], ids=["autograd", "gradient"])
def test_a_lambda_reads_several_arrays(gradient: Any) -> None:
    a, b = Input((4, 3), dtype="float64"), Input((4, 3), dtype="float64")
    dense = layers.Dense(3, dtype="float64")
    model = Model([a, b], layers.Lambda(product, gradient=gradient, dtype="float64")([dense(a), dense(b)]))
    x = [A.astype("float64"), B.astype("float64")]
    np.testing.assert_allclose(model.predict(x, verbose=0), np.tanh(dense(x[0])) * dense(x[1]))
    got, numeric = difference(model, x, dense.kernel)
    np.testing.assert_allclose(got, numeric, rtol=1e-4, atol=1e-6)


def test_lambdas_of_several_arrays_come_back(tmp_path: Path) -> None:
    a, b = Input((4, 3)), Input((4, 3))
    model = Model([a, b], layers.Lambda(product)({"b": b, "a": layers.Dense(3)(a)}))
    expected = model.predict([A, B], verbose=0)
    assert model.output_shape == (None, 4, 3)
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        again = load_model(tmp_path / name, custom_objects={"product": product})
        np.testing.assert_array_equal(again.predict([A, B], verbose=0), expected)


def test_a_lambda_of_several_arrays_gets_their_masks_and_explains_mistakes() -> None:
    layer = layers.Lambda(lambda xs, mask: xs[0] * (mask is not None and mask[0] is not None))
    np.testing.assert_array_equal(layer([A, B], mask=[A[..., 0] > 0, None]), A)
    np.testing.assert_array_equal(layer([A, B]), 0 * A)
    with pytest.raises(ValueError, match="must have one batch size"):
        layer([A, B[:2]])
    wrong = layers.Lambda(product, gradient=lambda xs, y, dy: dy)
    wrong([A, B], training=True)
    with pytest.raises(ValueError, match="must return an array for each of the 2 in x"):
        wrong.backward(A)
    with pytest.raises(ValueError, match="changes its argument in place"):
        layers.Lambda(lambda xs: np.add(xs[0], 1, out=xs[0]))([A, B])


def test_training_is_passed_by_position_name_or_default() -> None:
    class Halved(layers.Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            return x / 2 if training else x

    class Trained(layers.Layer):
        def call(self, x: Any, training: bool = True) -> Any:
            return x / 2 if training else x

    for y in (Halved()(A, True), Halved()(A, training=True), Halved()(x=A, training=True), Trained()(A)):
        np.testing.assert_array_equal(y, A / 2)
    for y in (Halved()(A), Halved()(A, False), Halved()(A, training=None), Trained()(A, training=False)):
        np.testing.assert_array_equal(y, A)


def test_whole_numbers_stay_whole() -> None:
    class Picked(layers.Layer):
        def call(self, x: Any, places: Any) -> Any:
            return ops.take(x, places, axis=1)

    np.testing.assert_array_equal(Picked()(A, np.array([1, 3])), A[:, [1, 3]])
    np.testing.assert_array_equal(Picked()(A.tolist(), places=np.array([0])), A[:, :1])


class Stated(layers.Layer):
    """States the shapes of its outputs, which zeros of unknown sizes would not show."""

    def call(self, x: Any) -> Any:
        return {"whole": ops.reshape(x, (-1, 12)), "sums": [ops.sum(x, axis=1), ops.sum(x, axis=2)]}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return {"whole": (input_shape[0], 12), "sums": [(input_shape[0], 3), (input_shape[0], input_shape[1])]}


def test_stated_shapes_are_those_of_the_symbols() -> None:
    layer = Stated()
    outputs = layer(Input((None, 3)))
    assert outputs["whole"].shape == (None, 12)
    assert [each.shape for each in outputs["sums"]] == [(None, 3), (None, None)]

    class Both(layers.Layer):
        def call(self, query: Any, value: Any) -> Any:
            return query @ value

        def compute_output_shape(self, query_shape: Any, value_shape: Any) -> Any:
            return (*query_shape[:-1], value_shape[-1])

    a, b = Input((4, 3)), Input((3, 2))
    model = Model([a, b], Both()(a, value=b))
    assert model.output_shape == (None, 4, 2)
    assert model.compute_output_shape([(7, 4, 3), (7, 3, 2)]) == (7, 4, 2)


class Heads(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wide, self.narrow = layers.Dense(5), layers.Dense(2)

    def call(self, x: Any) -> Any:
        return {"wide": self.wide(x), "narrow": [self.narrow(x)]}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return {"wide": (*input_shape[:-1], 5), "narrow": [(*input_shape[:-1], 2)]}


def test_stated_shapes_may_be_a_dict(capsys: Any) -> None:
    outputs = Heads()(A)
    assert outputs["wide"].shape == (*A.shape[:-1], 5) and outputs["narrow"][0].shape == (*A.shape[:-1], 2)
    x = Input((4, 3))
    model = Model(x, Heads()(x))
    assert model.output_shape == {"wide": (None, 4, 5), "narrow": [(None, 4, 2)]}
    assert model.predict(A, verbose=0)["wide"].shape == (*A.shape[:-1], 5)

    class Whole(Model):
        def __init__(self) -> None:
            super().__init__()
            self.heads = Heads()

        def call(self, x: Any) -> Any:
            return self.heads(x)

    whole = Whole()
    assert whole(A)["wide"].shape == (*A.shape[:-1], 5)
    for each in (model, whole):
        each.summary()
        assert "[(None, 4, 2), " in capsys.readouterr().out


def test_a_forward_returns_no_dict() -> None:
    class Pair(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return x, x

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return dy

        def compute_output_shape(self, input_shape: Any) -> Any:
            return {"a": input_shape, "b": input_shape}

    with pytest.raises(TypeError, match="must return a shape or a list of shapes, got a dict with the keys"):
        Pair()(Input((4,)))


def test_unknown_sizes_are_tried_and_explained() -> None:
    class Windows(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv1D(2, 5)

        def call(self, x: Any) -> Any:
            return self.conv(x)

    assert Windows()(Input((None, 3))).shape == (None, None, 2)

    class Tens(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.reshape(x, (x.shape[0], 10, -1))

    with pytest.raises(ValueError, match=r"fails where the unknown sizes of its inputs .* are 2 .*: declare them, or"):
        Tens()(Input((None, 3)))
    with pytest.raises(ValueError, match=r"ops.reshape\(\): cannot reshape"):
        Tens()(A[:, :3])


def test_call_may_rely_on_masks() -> None:
    class Counted(layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return ops.sum(x * ops.expand_dims(ops.cast(mask, "float32"), -1), axis=1)

        def compute_mask(self, x: Any, mask: Any = None) -> None:
            return None

    padded = A.copy()
    padded[:, 2:] = 0
    model = Model(x := Input((4, 3)), Counted()(layers.Masking()(x)))
    np.testing.assert_allclose(model.predict(padded, verbose=0), padded.sum(1), rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match="must hold numbers, got None"):
        Counted()(A)


def test_outputs_that_do_not_depend_on_x_pass_nothing_back() -> None:
    class Constant(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.value = self.add_weight(shape=(3,), name="value")

        def call(self, x: Any) -> Any:
            return ops.ones((x.shape[0], 3)) * self.value

    model = Sequential([Input((4, 3)), layers.Dense(3), Constant()])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.train_on_batch(A, A[:, 0])
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "message"),
    [
        ("abc", 2, None, "must have the form 'abc,cd->abd', got 'abc'"),
        ("...c,cd->d...", 2, None, "must have '...' on the same side of x and y"),
        ("aab,bc->ac", 2, None, "must have each letter once"),
        ("ab,bc->ad", 2, None, "must take the axes of y from x or the kernel"),
        ("ab,bc->ac", 2, "b", "bias_axes must be letters of y, 'ac', got 'b'"),
        ("ab,bc->ac", "2", None, "output_shape must be a size or a tuple of sizes and None, got '2'"),
        ("ab,bc->ac", 0, None, "output_shape must hold sizes of at least 1, got 0"),
        ("abcd,de->abce", (None, None, 2), None, "expects x with the axes of 'abcd,de->abce', got shape"),
        ("abc,cd->abd", 2, None, "must have a size for each axis of y"),
        ("abc,cd->abd", (5, 2), None, "must have the size 4 of x for axis 'b', got 5"),
    ],
)
def test_einsum_dense_explains_mistakes(equation: str, output_shape: Any, bias_axes: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)(A)


def test_einsum_dense_keeps_the_shape_of_its_kernel() -> None:
    layer = layers.EinsumDense("abc,bd->adc", (2, None))
    layer(A)
    with pytest.raises(ValueError, match=r"expects x for a kernel of shape \(4, 2\), got x of shape \(5, 3, 3\)"):
        layer(A[:, :3])
    with pytest.raises(ValueError, match="must know the sizes of the axes of its weights"):
        layers.EinsumDense("abc,bd->adc", (2, None)).build((None, None, 3))
