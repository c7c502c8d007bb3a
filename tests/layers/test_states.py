"""Initial and final states of recurrent layers: their gradients, by finite differences in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn import layers, utils

BATCH, TIME, FEATURES, UNITS = 3, 5, 2, 3
CELLS: dict[str, Callable[..., layers.Layer]] = {
    "simple_rnn": lambda **options: layers.SimpleRNN(UNITS, **options),
    "lstm": lambda **options: layers.LSTM(UNITS, **options),
    "gru": lambda **options: layers.GRU(UNITS, **options),
    "gru_reset_before": lambda **options: layers.GRU(UNITS, reset_after=False, **options),
    "softsign": lambda **options: layers.GRU(UNITS, activation="softsign", recurrent_activation="tanh", **options),
    "cell": lambda **options: layers.RNN(layers.LSTMCell(UNITS, dtype="float64"), **options),
    "stack": lambda **options: layers.RNN(
        [layers.GRUCell(2, dtype="float64"), layers.LSTMCell(UNITS, dtype="float64")], **options
    ),
}
# For each row the steps that count: all, an end that does not, gaps, a start that does not, none.
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]], bool)


def flat(value: Any) -> list[np.ndarray]:
    return [each for part in value for each in flat(part)] if isinstance(value, tuple | list) else [value]


def check(layer: Any, mask: np.ndarray | None = None) -> None:
    """Compare all gradients of a layer that starts from states with finite differences."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, FEATURES))
    outputs = flat(layer(x))
    states = [rng.normal(size=shape) for shape in state_shapes(layer)]
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))

    def run(training: bool = False) -> list[np.ndarray]:
        return flat(layer.forward(x, training=training, mask=mask, initial_state=states))

    slopes = [rng.normal(size=output.shape) for output in outputs]
    run(training=True)
    dx, *d_states = layer.backward(*slopes)
    gradients = [weight.gradient.copy() for weight in layer.weights]
    run(training=True)
    without_dx, *same = layer.backward(*slopes, need_dx=False)
    assert without_dx is None
    assert len(d_states) == len(same) == len(states)
    for gradient, other in zip(d_states, same, strict=True):
        np.testing.assert_array_equal(gradient, other)

    def numeric(array: np.ndarray, touch: Callable[[], None] = lambda: None) -> np.ndarray:
        result = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            start, values = array[index], []
            for step in (1e-5, -1e-5):
                array[index] = start + step
                touch()
                values.append(sum(float((y * dy).sum()) for y, dy in zip(run(), slopes, strict=True)))
            array[index] = start
            touch()
            result[index] = (values[0] - values[1]) / 2e-5
        return result

    for gradient, state in zip(d_states, states, strict=True):
        np.testing.assert_allclose(gradient, numeric(state), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dx, numeric(x), rtol=1e-6, atol=1e-8)
    for gradient, weight in zip(gradients, layer.weights, strict=True):
        np.testing.assert_allclose(gradient, numeric(weight.array, weight.touch), rtol=1e-6, atol=1e-8)


def state_shapes(layer: Any) -> list[tuple[int, int]]:
    """The shapes of the initial states, which are those of the final ones."""
    if isinstance(layer, layers.Bidirectional):
        return [*state_shapes(layer.forward_layer), *state_shapes(layer.backward_layer)]
    if isinstance(layer, layers.RNN):
        return [(BATCH, size) for size in flat(layer.cell.state_size)]
    return [(BATCH, layer.units)] * layer.state_count


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize(("sequences", "state"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_initial_states(cell: str, sequences: bool, state: bool, go_backwards: bool, masked: bool) -> None:
    layer = CELLS[cell](
        return_sequences=sequences, return_state=state, go_backwards=go_backwards, dtype="float64",
        zero_output_for_mask=masked and sequences,
    )  # fmt: skip
    check(layer, MASK if masked else None)


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("cell", ["lstm", "gru", "stack"])
def test_gradients_by_the_states_of_both_directions(cell: str, merge_mode: str | None, masked: bool) -> None:
    inner = CELLS[cell](return_sequences=masked, return_state=True, dtype="float64")
    check(layers.Bidirectional(inner, merge_mode=merge_mode), MASK if masked else None)


@pytest.mark.parametrize("cell", CELLS)
def test_a_pass_without_initial_states_returns_dx_alone(cell: str) -> None:
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES))
    for options in ({}, {"stateful": True}):
        layer = CELLS[cell](dtype="float64", **options)
        for _ in range(2):
            y = layer(x, training=True)
            assert isinstance(layer.backward(np.ones_like(y)), np.ndarray)


def test_a_missing_gradient_by_a_final_state_is_0() -> None:
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES))
    layer = layers.LSTM(UNITS, return_state=True, dtype="float64")
    results = []
    for d_states in ([], [None, None], [np.zeros((BATCH, UNITS))] * 2, [None, np.zeros((BATCH, UNITS))]):
        y, *_ = layer(x, training=True)
        results.append(layer.backward(np.ones_like(y), *d_states))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


class Unrolled(layers.Layer):
    """A cell that a custom layer walks over time, one call per step."""

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        states = self.cell.get_initial_state(len(x))
        for step in range(x.shape[1]):
            y, states = self.cell(x[:, step], states, training=training)
        if training:
            self.shape = x.shape
        return y

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        dx, totals, d_states = np.zeros(self.shape), [0.0] * len(self.cell.weights), []
        for step in reversed(range(self.shape[1])):
            dx[:, step], *d_states = self.cell.backward(dy, *d_states)
            totals = [total + weight.gradient for total, weight in zip(totals, self.cell.weights, strict=True)]
            dy = np.zeros_like(dy)
        for weight, total in zip(self.cell.weights, totals, strict=True):
            weight.gradient[...] = total
        return dx


CELL_KINDS = {
    "simple_rnn": lambda: layers.SimpleRNNCell(UNITS, dtype="float64"),
    "lstm": lambda: layers.LSTMCell(UNITS, dtype="float64"),
    "gru": lambda: layers.GRUCell(UNITS, dtype="float64"),
    "stack": lambda: layers.StackedRNNCells([layers.GRUCell(2, dtype="float64"), layers.LSTMCell(2, dtype="float64")]),
}


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_a_custom_layer_may_walk_a_cell_over_time(kind: str) -> None:
    layer = Unrolled(CELL_KINDS[kind](), dtype="float64")
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES))
    assert len(utils.check_gradients(layer, x)) == len(layer.weights) + 1
    whole = layers.RNN(CELL_KINDS[kind](), dtype="float64")
    whole.build(x.shape)
    whole.set_weights(layer.get_weights())
    y, slopes = layer(x, training=True), np.random.default_rng(1).normal(size=(BATCH, whole.units))
    np.testing.assert_allclose(whole(x, training=True), y, rtol=1e-12)
    np.testing.assert_allclose(whole.backward(slopes), layer.backward(slopes), rtol=1e-9, atol=1e-12)
    for weight, other in zip(whole.weights, layer.weights, strict=True):
        np.testing.assert_allclose(weight.gradient, other.gradient, rtol=1e-9, atol=1e-12)


def test_a_custom_recurrent_layer_returns_the_gradients_by_its_states() -> None:
    class Doubled(layers.GRU):
        def forward(self, x: Any, **options: Any) -> Any:
            return 2 * super().forward(x, **options)

        def backward(self, dy: Any, *d_states: Any, **options: Any) -> Any:
            dx, d_initial = super().backward(2 * dy, *d_states, **options)
            return None if dx is None else dx.tolist(), d_initial.tolist()

    check(Doubled(UNITS, dtype="float64"))
