"""Operations on symbols, and custom layers with `call`: values, gradients, errors."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.cases import CASES, IDS, Case
from pyrnn import Input, Model, Sequential, layers, ops
from pyrnn.models import clone_model, load_model, model_from_json
from pyrnn.ops.differentiation import as_list
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.structures import leaves, packed

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(6, 4, 3)).astype(np.float32)


def check_gradients(model: Any) -> None:
    """Compare the gradients of a float64 model with finite differences."""
    x = X.astype(np.float64)
    y, _ = model.forward_pass(x, training=True)
    weights = RANDOM.normal(size=y.shape)
    model.backward_pass(weights)
    for weight in model.trainable_weights:
        gradient, numeric = weight.gradient.copy(), np.zeros(weight.shape)
        for index in np.ndindex(weight.shape):
            value, sums = weight.array[index], []
            for step in (1e-5, -1e-5):
                weight.array[index] = value + step
                weight.touch()
                sums.append((weights * model.forward_pass(x)[0]).sum())
            weight.array[index] = value
            weight.touch()
            numeric[index] = (sums[0] - sums[1]) / 2e-5
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6, err_msg=weight.path)


class Attention(layers.Layer):
    """Weights steps by what an LSTM returns."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.lstm = layers.LSTM(units, return_sequences=True, dtype=kwargs.get("dtype"))

    def build(self, input_shape: Any) -> None:
        self.lstm.build(input_shape)
        self.query = self.add_weight(shape=(self.units, 1), name="query")
        self.scale = self.add_weight(shape=(), name="scale", initializer="ones")

    def call(self, x: Any, training: bool = False) -> Any:
        h = self.lstm(x, training=training)
        scores = ops.softmax(ops.exp(self.scale) * (ops.tanh(h) @ self.query), axis=1)
        return ops.sum(scores * h, axis=1)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_model_of_one_operation_computes_what_the_operation_does(case: Case) -> None:
    if case.name in ("shape", "ndim", "size", "where") or case.name.startswith("stop"):
        return
    flat = leaves(list(case.args))
    places = [i for i, leaf in enumerate(flat) if isinstance(leaf, np.ndarray) and leaf.dtype == np.float32]
    if not places:
        return
    symbols = [Input(batch_shape=flat[i].shape) for i in places]
    values = list(flat)
    for place, symbol in zip(places, symbols, strict=True):
        values[place] = symbol
    result = OPERATIONS[case.name](*packed(list(case.args), values), **case.kwargs)
    expected = as_list(OPERATIONS[case.name](*case.args, **case.kwargs))
    model = Model(symbols, result)
    outputs = model.forward(*(flat[i] for i in places))
    for output, value, symbol in zip(as_list(outputs), expected, model.outputs, strict=True):
        np.testing.assert_array_equal(output, value)
        assert output.shape == symbol.shape
        assert output.dtype == symbol.dtype


def test_operators_of_symbols_are_operations() -> None:
    x = Input((4, 3))
    y = -((2 * x + 1) / (x**2 + 3) - x[:, :1]) * abs(x) + ops.cast(x > 0, "float32") + 3 % (x * x + 1)
    expected = -((2 * X + 1) / (X**2 + 3) - X[:, :1]) * abs(X) + (X > 0) + 3 % (X * X + 1)
    assert y.shape == (None, 4, 3)
    np.testing.assert_allclose(Model(x, y).predict(X, verbose=0), expected, rtol=1e-5)


def test_operations_between_layers_are_trained() -> None:
    x = Input((4, 3), dtype="float64")
    hidden = layers.Dense(5, dtype="float64")(x)
    model = Model(x, layers.Dense(1, dtype="float64")((ops.tanh(hidden) + 2 * hidden)[:, -1]))
    check_gradients(model)


def test_the_gradients_of_call_are_those_of_finite_differences() -> None:
    model = Sequential(
        [Input((4, 3)), layers.Dense(3, dtype="float64"), Attention(4, dtype="float64"),
         layers.Dense(1, dtype="float64")]
    )  # fmt: skip
    check_gradients(model)


def test_weights_of_call_are_trained_and_copied() -> None:
    model = Sequential([Input((4, 3)), Attention(4), layers.Dense(1)])
    model.compile("adam", "mse")
    before = model.get_weights()
    losses = model.fit(X, X[:, 0, :1], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X, verbose=0), model.predict(X, verbose=0))
    longer = RANDOM.normal(size=(2, 9, 3)).astype(np.float32)
    assert model.predict(longer, verbose=0).shape == (2, 1)
    assert isinstance(pickle.dumps(model.layers[0].lstm), bytes)


def test_shapes_follow_unknown_sizes() -> None:
    assert Attention(4).compute_output_shape((None, None, 3)) == (None, 4)


def test_call_may_depend_on_training_and_on_sizes() -> None:
    class Halved(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            y = sum(x[:, step] for step in range(x.shape[1])) / x.shape[0]
            return y / 2 if training else y

    layer = Halved()
    np.testing.assert_allclose(layer(X), X.sum(1) / len(X), rtol=1e-5)
    np.testing.assert_allclose(layer(X[:2], training=True), X[:2].sum(1) / 4, rtol=1e-5)


def test_call_gets_the_mask() -> None:
    class Mean(layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            if mask is None:
                return ops.mean(x, axis=1)
            steps = ops.expand_dims(ops.cast(mask, "float32"), -1)
            return ops.sum(x * steps, axis=1) / ops.sum(steps, axis=1)

        def compute_mask(self, x: Any, mask: Any = None) -> None:
            return None

    padded = X.copy()
    padded[:, 2:] = 0
    model = Sequential([Input((4, 3)), layers.Masking(), Mean()])
    np.testing.assert_allclose(model.predict(padded, verbose=0), padded[:, :2].mean(1), rtol=1e-5)


def test_lambda_without_a_gradient_is_differentiated() -> None:
    model = Sequential(
        [Input((4, 3)), layers.Dense(3, dtype="float64"),
         layers.Lambda(lambda x: ops.relu(x) + np.exp(x)[:, :1], dtype="float64"), layers.Dense(1, dtype="float64")]
    )  # fmt: skip
    check_gradients(model)


def test_decisions_on_values_are_explained() -> None:
    class Branching(layers.Layer):
        def call(self, x: Any) -> Any:
            return x if ops.sum(x) > 0 else -x

    with pytest.raises(TypeError, match=r"symbol of shape \(\) without numbers.*instead of `if`.*use ops.where"):
        Branching()(X)


def test_call_must_return_symbols() -> None:
    class Constant(layers.Layer):
        def call(self, x: Any) -> Any:
            return 3.0

    with pytest.raises(TypeError, match=r"call of layer 'constant\w*' \(Constant\) must return what .* got 3\.0"):
        Constant()(X)


def test_call_and_forward_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="Both defines call as well as forward or backward"):

        class Both(layers.Layer):
            def call(self, x: Any) -> Any:
                return x

            def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
                return x

    class Doubling(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return 2 * x

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return 2 * dy

    with pytest.raises(TypeError, match=r"Mine defines call, but Doubling runs forward\(\)"):

        class Mine(Doubling):
            def call(self, x: Any) -> Any:
                return x


def test_losses_and_metrics_may_use_operations() -> None:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - y_pred), axis=-1)

    histories = []
    for criterion in (loss, "mse"):
        model = Sequential([Input((4, 3)), layers.Dense(2, kernel_initializer="ones")])
        model.compile("sgd", criterion, metrics=[lambda y_true, y_pred: ops.mean(ops.abs(y_true - y_pred))])
        histories.append(list(model.fit(X, X[..., :2], epochs=3, shuffle=False, verbose=0).history.values()))
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)


class TiesWeights(layers.Layer):
    """Reads the kernel of an inner layer, by an operator or by an operation."""

    def __init__(self, by_operator: bool) -> None:
        super().__init__()
        self.dense, self.by_operator = layers.Dense(3), by_operator

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)

    def call(self, x: Any) -> Any:
        kernel = self.dense.kernel * 2 if self.by_operator else ops.multiply(self.dense.kernel, 2)
        return ops.matmul(self.dense(x), kernel)


def test_arithmetic_on_a_weight_of_an_inner_layer_has_a_gradient_or_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"takes part in arithmetic of call\(\): write it with pyrnn.ops"):
        TiesWeights(by_operator=True)(X)
    layer = TiesWeights(by_operator=False)
    before = layer(X)
    layer.dense.kernel.assign(layer.dense.kernel * 2)
    np.testing.assert_allclose(layer(X), 4 * before, rtol=1e-5)


@pytest.mark.parametrize("remake", ["m.keras", "m.h5", "json", "clone", "pickle"])
def test_operations_come_back_from_files_and_copies(remake: str, tmp_path: Path) -> None:
    x = Input((4, 3))
    hidden = layers.Dense(3)(x)
    joined = ops.concatenate([hidden * 2.0, ops.add(ops.tanh(x), np.arange(3.0))], axis=-1)
    picked = ops.sum(joined[:, 1:, ::2], axis=(1,))
    model = Model(x, layers.Dense(1)(ops.where(picked > 0, picked, -picked)))
    if remake.startswith("m."):
        model.save(tmp_path / remake)
        again = load_model(tmp_path / remake)
    elif remake == "json":
        again = model_from_json(model.to_json())
    else:
        again = clone_model(model) if remake == "clone" else pickle.loads(pickle.dumps(model))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    again.compile("sgd", "mse")
    again.fit(X, np.zeros((6, 1)), verbose=0)


def test_an_operation_that_does_not_exist_is_not_read() -> None:
    model = Model(symbol := Input((3,)), ops.tanh(symbol))
    with pytest.raises(ValueError, match="unknown operation 'Tnah'; did you mean 'Tan"):
        model_from_json(model.to_json().replace('"class_name": "Tanh"', '"class_name": "Tnah"'))
    with pytest.raises(ValueError, match=r"ops\.tanh\(\) of pyrnn has no argument 'axis', got 1"):
        model_from_json(model.to_json().replace('"config": {"name": "tanh', '"config": {"axis": 1, "name": "tanh'))


@pytest.mark.parametrize(
    ("call", "shapes", "expected"),
    [
        (ops.add, [(None, 3), (2, None)], (2, 3)),
        (ops.maximum, [(None, 1), (5,)], (None, 5)),
        (ops.inner, [(None, 3), (2, None)], (None, 2)),
        (ops.matmul, [(None, 4), (None, 2)], (None, 2)),
        (lambda x: ops.split(x, 4)[0], [(None, 3)], (None, 3)),
        (lambda x: ops.reshape(x, (3, 2)), [(None, 3)], (3, 2)),
        (lambda x: ops.repeat(x, [1, 2], axis=0), [(None, 3)], (3, 3)),
        (lambda x: x[7], [(None, 3)], (3,)),
        (lambda x: ops.unstack(x, num=3, axis=1)[0], [(None, None)], (None,)),
    ],
)
def test_unknown_sizes_that_must_agree(call: Any, shapes: Any, expected: Any) -> None:
    symbols = [Input(batch_shape=shape) for shape in shapes]
    assert call(*symbols).shape == expected


def test_sizes_that_cannot_agree_are_errors() -> None:
    with pytest.raises(ValueError, match=r"ops\.add\(\): operands could not be broadcast"):
        ops.add(Input((3,)), Input((4,)))
