"""`RNN` of custom cells: values, gradients, copies and errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from pyrnn import Input, Model, Sequential, layers, ops
from pyrnn.models import clone_model

RANDOM = np.random.default_rng(12)
X = RANDOM.normal(size=(4, 5, 3))
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)


class Plain(layers.Layer):
    """The step of SimpleRNN without a bias."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")

    def call(self, inputs: Any, states: Any) -> Any:
        h = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent_kernel))
        return h, [h]


class Learned(layers.Layer):
    """Two states, a start that is learned, dropout, and a cell of the kernel inside."""

    def __init__(self, rate: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size, self.output_size = (2, 2), 4
        self.cell = layers.LSTMCell(2, dtype=kwargs.get("dtype"))
        self.dropout = layers.Dropout(rate, dtype=kwargs.get("dtype"), seed=1)

    def build(self, input_shape: Any) -> None:
        self.cell.build(input_shape)
        self.start = self.add_weight(shape=(2,), name="start", initializer="ones")

    def get_initial_state(self, batch_size: int) -> Any:
        return ops.ones((batch_size, 2)) * self.start, ops.zeros((batch_size, 2))

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        y, (h, c) = self.cell(self.dropout(inputs, training=training), states)
        return ops.concatenate([y, c * 2], axis=-1), (h, c)


@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
@pytest.mark.parametrize(
    "options",
    [{}, {"return_sequences": True}, {"go_backwards": True, "return_sequences": True},
     {"return_sequences": True, "zero_output_for_mask": True}],
    ids=["last", "sequences", "backwards", "zeros"],
)  # fmt: skip
@pytest.mark.parametrize("start", [False, True], ids=["zeros", "initial_state"])
def test_a_custom_cell_computes_what_the_kernel_does(options: dict[str, bool], mask: Any, start: bool) -> None:
    kernel = layers.SimpleRNN(3, use_bias=False, return_state=True, dtype="float64", **options)
    custom = layers.RNN(Plain(3, dtype="float64"), return_state=True, **options)
    kernel.build((None, 5, 3))
    custom.build((None, 5, 3))
    custom.set_weights(kernel.get_weights())
    states = {"initial_state": [RANDOM.normal(size=(4, 3))]} if start else {}
    results = []
    for layer in (kernel, custom):
        y, state = layer(X, mask=mask, training=True, **states)
        random = np.random.default_rng(1)
        gradients = layer.backward(random.normal(size=y.shape), random.normal(size=state.shape))
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        results.append([y, state, *gradients, *(weight.gradient.copy() for weight in layer.weights)])
    assert len(results[0]) == 5 + start
    if mask is not None and start:  # the kernel ends the gradient of outputs before the first step that counts
        results = [each[:2] for each in results]
        results = [[np.where(MASK.any(1, keepdims=True), each[1], 0)] for each in results]
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", [Plain(3, dtype="float64"), Learned(dtype="float64")], ids=["plain", "learned"])
def test_gradients_are_those_of_finite_differences(cell: Any) -> None:
    stack = layers.RNN([layers.GRUCell(3, dtype="float64"), cell, layers.LSTMCell(2, dtype="float64")])
    model = Sequential([Input((5, 3)), layers.Masking(dtype="float64"), stack])
    x = X * MASK[..., None]
    y, _ = model.forward_pass(x, training=True)
    slopes = RANDOM.normal(size=y.shape)
    model.backward_pass(slopes)
    for weight in cell.trainable_weights:
        gradient = weight.gradient.copy()
        for index in list(np.ndindex(weight.shape))[::3]:
            value, sums = weight.array[index], []
            for step in (1e-5, -1e-5):
                weight.array[index] = value + step
                weight.touch()
                sums.append((slopes * model.forward_pass(x)[0]).sum())
            weight.array[index] = value
            weight.touch()
            assert gradient[index] == pytest.approx((sums[0] - sums[1]) / 2e-5, rel=1e-4, abs=1e-7), weight.path


def test_states_go_from_layer_to_layer_and_have_gradients() -> None:
    x = Input((5, 3))
    y, *states = layers.RNN(Learned(), return_state=True)(x)
    again = layers.RNN(Learned(), return_sequences=True)(x, initial_state=states)
    model = Model(x, layers.Dense(1)(layers.Concatenate()([layers.GRU(2)(again), y])))
    model.compile("adam", "mse")
    losses = model.fit(X, X[:, 0, :1], epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_stateful_layer_continues_where_the_batch_before_ended() -> None:
    layer = layers.RNN(Plain(3), stateful=True, return_sequences=True)
    whole = layers.RNN(layer.cell, return_sequences=True)
    layer.build((4, 5, 3))
    x = X.astype(np.float32)
    expected = whole(np.concatenate([x, x], axis=1))
    np.testing.assert_allclose(np.concatenate([layer(x), layer(x)], axis=1), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="is stateful with batch size 4, got a batch of 2"):
        layer(x[:2])
    layer.reset_state()
    np.testing.assert_allclose(layer(x), expected[:, :5], rtol=1e-5)
    layer.reset_state([np.ones((4, 3))])
    np.testing.assert_array_equal(layer.states[0], np.ones((4, 3)))


def test_bidirectional_copies_a_custom_cell() -> None:
    model = Sequential([Input((5, 3)), layers.Bidirectional(layers.RNN(Plain(2), return_sequences=True))])
    x = X.astype(np.float32)
    y = model.predict(x, verbose=0)
    backward = model.layers[0].backward_layer
    np.testing.assert_allclose(y[..., 2:], backward(x)[:, ::-1], rtol=1e-5)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone_model(model)):
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(x, verbose=0), y)


def test_dropout_in_a_cell_acts_in_training_only() -> None:
    layer = layers.RNN(Learned(rate=0.5))
    x = X.astype(np.float32)
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.array_equal(layer(x, training=True), layer(x))


def test_a_cell_runs_one_step_by_itself() -> None:
    cell = layers.StackedRNNCells([Plain(3), layers.GRUCell(2)])
    x = X.astype(np.float32)
    y, states = cell(x[:, 0], cell.get_initial_state(4))
    again, _ = cell(x[:, 0])
    np.testing.assert_array_equal(y, again)
    assert [np.shape(state) for state in states[0]] == [(4, 3)]
    assert cell.output_size == 2


def test_wrong_cells_are_explained() -> None:
    class Cell(Plain):
        state_size: Any = None

        def __init__(self, size: Any, result: Any = None) -> None:
            super().__init__(3)
            self.state_size, self.result = size, result

        def call(self, inputs: Any, states: Any) -> Any:
            return self.result(inputs) if self.result else super().call(inputs, states)

    with pytest.raises(TypeError, match=r"state_size of layer .* must be an integer of at least 1, or a list .* got 0"):
        layers.RNN(Cell(0))
    with pytest.raises(TypeError, match=r"state_size of layer .* got 'x'"):
        layers.RNN(Cell("x"))
    with pytest.raises(ValueError, match=r"must return the output and the list of new states, of shapes \(4, 3\) and"):
        layers.RNN(Cell(3, result=lambda x: x))(X)
    with pytest.raises(ValueError, match=r"of shapes \(4, 3\) and \[\(4, 3\)\], got shapes \[\(4, 3\), \(4, 2\)\]"):
        layers.RNN(Cell(3, result=lambda x: (x, [x[:, :2]])))(X)
    with pytest.raises(
        TypeError, match=r"cell must be .* or a layer that defines state_size and call\(inputs, states\)"
    ):
        layers.RNN(layers.Dense(2))
    with pytest.raises(ValueError, match="checkpoint_steps must be None where a cell is a custom one"):
        layers.RNN(Plain(3), checkpoint_steps=4)
    with pytest.raises(ValueError, match="cannot run one time step at a time: its cell is a custom one"):
        Sequential([Input((5, 3)), layers.RNN(Plain(3))]).stream()
    layer = layers.RNN(Plain(3))
    layer.build((None, 5, 3))
    with pytest.raises(ValueError, match=r"initial_state must be arrays of shapes \[\(4, 3\)\], got"):
        layer(X, initial_state=[np.zeros((4, 2))])
    with pytest.raises(TypeError, match=r"without numbers.*use ops.where"):
        layers.RNN(Cell(3, result=lambda x: (x, [x]) if ops.sum(x) > 0 else (-x, [x])))(X)
