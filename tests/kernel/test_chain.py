"""A chain of the core computes what the operations of its layers compute, to the bit, and what the reference does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerance import assert_close

from kernel.checks import DTYPES, assert_same_bits
from pyrnn import _core, reference
from pyrnn.reference.recurrent import CELLS

Array = NDArray[Any]
B, T, F = 5, 7, 3
KINDS = {"float32": "Chain32", "float64": "Chain64"}


class Recurrent:
    """The arrays and options of a recurrent layer in a chain."""

    def __init__(self, cell: str, features: int, units: int, **options: Any) -> None:
        gates = CELLS[cell].gates
        bias_shape = (2, gates * units) if cell == "gru" else (gates * units,)
        self.cell, self.shapes = cell, [(features, gates * units), (units, gates * units), bias_shape]
        self.options = {
            "activation": "tanh", "recurrent_activation": None if gates == 1 else "sigmoid", "go_backwards": False,
            "return_sequences": False, **options,
        }  # fmt: skip

    def add(self, chain: Any, weights: list[Array], gradients: list[Array]) -> None:
        chain.add_recurrent(
            self.cell, *weights, **self.options, workspace=_core.Workspace(),
            **dict(zip(("d_kernel", "d_recurrent_kernel", "d_bias"), gradients, strict=True)),
        )  # fmt: skip

    def run(self, module: Any, x: Array, weights: list[Array], gradients: list[Array]) -> Any:
        workspace = module.Workspace()
        rest = {
            "initial_state": None, "mask": None, "input_scale": None, "state_scale": None, "checkpoint_steps": None,
            "zero_output_for_mask": False, "workspace": workspace, "version": None, **self.options,
        }  # fmt: skip
        y, _, saved = module.rnn_forward(self.cell, x, *weights, training=True, **rest)

        def back(dy: Array, need_dx: bool) -> Any:
            return module.rnn_backward(
                self.cell, x, *weights, saved=saved, d_output=dy, d_final_state=None, d_kernel=gradients[0],
                d_recurrent_kernel=gradients[1], d_bias=gradients[2], need_dx=need_dx, **rest,
            )[0]  # fmt: skip

        return y, back


class Dense:
    """The arrays and options of a dense layer in a chain."""

    def __init__(self, features: int, units: int, activation: str = "linear") -> None:
        self.shapes: list[tuple[int, ...]] = [(features, units), (units,)]
        self.activation = activation

    def add(self, chain: Any, weights: list[Array], gradients: list[Array]) -> None:
        chain.add_dense(*weights, self.activation, *gradients, _core.Workspace())

    def run(self, module: Any, x: Array, weights: list[Array], gradients: list[Array]) -> Any:
        workspace = module.Workspace()
        y, saved = module.dense_forward(x, *weights, self.activation, True, workspace, None)
        return y, lambda dy, need_dx: module.dense_backward(
            x, weights[0], saved, dy, self.activation, *gradients, need_dx, workspace, None
        )


STACKS: dict[str, list[Any]] = {
    "simple_rnn": [Recurrent("simple_rnn", F, 4), Dense(4, 1)],
    "lstm": [Recurrent("lstm", F, 17, recurrent_activation="hard_sigmoid"), Dense(17, 2, "gelu")],
    "gru": [Recurrent("gru", F, 16, go_backwards=True, activation="gelu"), Dense(16, 3)],
    "gru_reset_before": [Recurrent("gru_reset_before", F, 5, return_sequences=True)],
    "stack": [
        Recurrent("lstm", F, 6, return_sequences=True), Dense(6, 4, "relu"),
        Recurrent("gru", 4, 5, return_sequences=True), Recurrent("simple_rnn", 5, 8), Dense(8, 1),
    ],
    "steps": [Recurrent("simple_rnn", F, 6, return_sequences=True), Dense(6, 2)],
    "dense": [Dense(F, 4, "tanh"), Dense(4, 2, "softmax")],
}  # fmt: skip


def arrays_of(stack: list[Any], dtype: str, seed: int = 0) -> tuple[list[list[Array]], list[list[Array]]]:
    rng = np.random.default_rng(seed)
    weights = [[(0.5 * rng.normal(size=shape)).astype(dtype) for shape in layer.shapes] for layer in stack]
    return weights, [[np.full_like(each, np.nan) for each in of_layer] for of_layer in weights]


def data_of(stack: list[Any], dtype: str, batch: int = B) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(batch, T, F)).astype(dtype)
    last = stack[-1]
    units = last.shapes[0][1] if isinstance(last, Dense) else last.shapes[1][0]
    ends = [each.options["return_sequences"] for each in stack if isinstance(each, Recurrent)]
    return x, rng.normal(size=(batch, T, units) if all(ends) else (batch, units)).astype(dtype)


def chain_of(module: Any, stack: list[Any], weights: list[list[Array]], gradients: list[list[Array]]) -> Any:
    chain = getattr(module, KINDS[str(weights[0][0].dtype)])()
    for layer, arrays, d_arrays in zip(stack, weights, gradients, strict=True):
        layer.add(chain, arrays, d_arrays)
    return chain


def chained(module: Any, stack: list[Any], dtype: str, batch: int = B, calls: int = 1) -> dict[str, Array]:
    """Error, output and gradients of a chain."""
    weights, gradients = arrays_of(stack, dtype)
    chain = chain_of(module, stack, weights, gradients)
    x, y = data_of(stack, dtype, batch)
    for _ in range(calls):
        error, y_pred = chain.squared_error(x, y)
    return {"error": np.array(error), "y": y_pred} | named(gradients)


def in_turn(module: Any, stack: list[Any], dtype: str, batch: int = B) -> dict[str, Array]:
    """The same, by the operations of each layer."""
    weights, gradients = arrays_of(stack, dtype)
    x, y = data_of(stack, dtype, batch)
    backs: list[Callable[[Array, bool], Any]] = []
    for layer, arrays, d_arrays in zip(stack, weights, gradients, strict=True):
        x, back = layer.run(module, x, arrays, d_arrays)
        backs.append(back)
    error, dy = module.squared_error(y, x)
    for number in range(len(stack) - 1, -1, -1):
        dy = backs[number](dy, number > 0)
    return {"error": np.array(error), "y": x} | named(gradients)


def named(gradients: list[list[Array]]) -> dict[str, Array]:
    return {f"{i}/{j}": each for i, of_layer in enumerate(gradients) for j, each in enumerate(of_layer)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STACKS)
def test_same_bits_as_the_operations(name: str, dtype: str) -> None:
    for batch in (1, B, 40):
        assert_same_bits(in_turn(_core, STACKS[name], dtype, batch), chained(_core, STACKS[name], dtype, batch))


@pytest.mark.parametrize("name", STACKS)
def test_same_numbers_as_the_reference(name: str) -> None:
    actual, expected = (chained(module, STACKS[name], "float64") for module in (_core, reference))
    for key, value in expected.items():
        assert_close(actual[key], value, 2 * B * T * 20, key)
    assert_same_bits(in_turn(reference, STACKS[name], "float64"), expected)


@pytest.mark.parametrize("name", STACKS)
def test_calls_do_not_depend_on_each_other(name: str) -> None:
    assert_same_bits(chained(_core, STACKS[name], "float32"), chained(_core, STACKS[name], "float32", calls=3))


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("name", STACKS)
def test_same_bits_at_any_number_of_threads(name: str) -> None:
    _core.set_num_threads(1)
    expected = chained(_core, STACKS[name], "float32", batch=96)
    for count in (2, 3, 8, 16, 64):
        _core.set_num_threads(count)
        assert_same_bits(expected, chained(_core, STACKS[name], "float32", batch=96))


def test_weights_are_read_at_each_call() -> None:
    stack = STACKS["lstm"]
    weights, gradients = arrays_of(stack, "float32")
    chain = chain_of(_core, stack, weights, gradients)
    x, y = data_of(stack, "float32")
    chain.squared_error(x, y)
    for layer in weights:
        for array in layer:
            array *= -0.5
    error, _ = chain.squared_error(x, y)
    fresh_gradients = arrays_of(stack, "float32")[1]
    assert chain_of(_core, stack, weights, fresh_gradients).squared_error(x, y)[0] == error
    assert_same_bits(named(fresh_gradients), named(gradients))


def test_outputs_are_not_overwritten() -> None:
    stack = STACKS["steps"]
    weights, gradients = arrays_of(stack, "float32")
    chain = chain_of(_core, stack, weights, gradients)
    x, y = data_of(stack, "float32")
    first = chain.squared_error(x, y)[1]
    before = first.copy()
    chain.squared_error(2 * x, y)
    assert first.tobytes() == before.tobytes()


def linear(module: Any) -> Any:
    chain = module.Chain32()
    kernel = np.ones((F, 2), np.float32)
    chain.add_dense(kernel, None, "linear", np.zeros_like(kernel), None, _core.Workspace())
    return chain


@pytest.mark.parametrize("module", [_core, reference])
def test_nothing_is_computed_for_other_targets(module: Any) -> None:
    chain, x = linear(module), np.ones((B, F), np.float32)
    good = np.ones((B, 2), np.float32)
    assert chain.squared_error(x, good) is not None
    for y in (good.astype("float64"), good[:, :1], good[:2], good.ravel(), good.tolist(), good.astype(int), None):
        assert chain.squared_error(x, y) is None
    assert chain.squared_error(x.astype("float64"), good) is None
    assert chain.squared_error(x, np.ones((2, B), np.float32).T) is None
    assert chain.squared_error(np.ones((F, B), np.float32).T, good) is None


def test_errors() -> None:
    x, y = np.ones((B, F), np.float32), np.ones((B, 2), np.float32)
    with pytest.raises(ValueError, match="the chain has no layers"):
        _core.Chain32().squared_error(x, y)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, F\) or \(B, F\), got \(15,\)"):
        linear(_core).squared_error(x.ravel(), y)
    with pytest.raises(ValueError, match="a layer with weights for 3 features got 4"):
        linear(_core).squared_error(np.ones((B, 4), np.float32), y)
    with pytest.raises(ValueError, match="the batch size of x must be at least 1, got 0"):
        linear(_core).squared_error(x[:0], y)
    with pytest.raises(TypeError, match="x must be a numpy array, got list"):
        linear(_core).squared_error(x.tolist(), y)
    chain, kernel, workspace = _core.Chain32(), np.ones((F, 2), np.float32), _core.Workspace()
    with pytest.raises(ValueError, match="d_bias must be None where bias is, and only there"):
        chain.add_dense(kernel, None, "linear", kernel.copy(), np.zeros(2, np.float32), workspace)
    with pytest.raises(ValueError, match=r"d_kernel must have shape of kernel = \(3, 2\), got \(2, 2\)"):
        chain.add_dense(kernel, None, "linear", kernel[:2].copy(), None, workspace)
    frozen = kernel.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="d_kernel must be writable"):
        chain.add_dense(kernel, None, "linear", frozen, None, workspace)
    with pytest.raises(ValueError, match="the chain has no layers"):  # none of them was added
        chain.squared_error(x, y)
    recurrent = STACKS["simple_rnn"][0]
    weights, gradients = arrays_of([recurrent], "float32")
    recurrent.add(chain, weights[0], gradients[0])
    with pytest.raises(ValueError, match=r"a recurrent layer needs an input \(batch, time, features\)"):
        chain.squared_error(x, y)
    with pytest.raises(TypeError, match="kernel must be float64"):
        recurrent.add(_core.Chain64(), weights[0], gradients[0])
    with pytest.raises(TypeError, match=r"__init__\(\) must be called"):
        _core.Chain32.__new__(_core.Chain32).squared_error(x, y)


@pytest.mark.threads
def test_one_call_at_a_time() -> None:
    stack = [Recurrent("lstm", F, 40, return_sequences=True), Dense(40, 1)]
    weights, gradients = arrays_of(stack, "float32")
    chain = chain_of(_core, stack, weights, gradients)
    x, y = data_of(stack, "float32", 64)
    error, y_pred = chain.squared_error(x, y)
    results: list[Any] = []

    def run() -> None:
        results.extend(chain.squared_error(x, y) for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [each for each in results if each is not None]
    assert len(results) == 80 and done
    assert all(each[0] == error and each[1].tobytes() == y_pred.tobytes() for each in done)
