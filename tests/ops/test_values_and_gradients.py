"""Operations on arrays: dtypes, and gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from ops.cases import CASES, IDS, Case, X
from pyrnn import ops
from pyrnn.ops.differentiation import as_list, differentiate
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.structures import leaves, packed

STEP = 1e-5


@pytest.mark.parametrize("case", [case for case in CASES if case.has_gradient])
def test_gradients_of_float32_are_computed_in_float32(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd import core

    flat = leaves(list(case.args))
    places = [i for i, leaf in enumerate(flat) if isinstance(leaf, np.ndarray) and leaf.dtype == np.float32]
    dtypes = []

    def recording(before: Any, part: Any) -> Any:
        dtypes.append(getattr(part, "dtype", np.dtype(np.float32)))
        return add(before, part)

    def function(*arrays: Any) -> Any:
        values = list(flat)
        for place, array in zip(places, arrays, strict=True):
            values[place] = array
        return OPERATIONS[case.name](*packed(list(case.args), values), **case.kwargs)

    add = core.add_outgrads
    monkeypatch.setattr(core, "add_outgrads", recording)
    result = differentiate(function, [flat[i] for i in places], "the case")
    result.backward([np.ones_like(y) if y.dtype.kind == "f" else None for y in result.outputs])
    assert dtypes and set(dtypes) == {np.dtype(np.float32)}


def test_every_operation_has_a_case() -> None:
    assert {case.name for case in CASES} == set(OPERATIONS)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_float32_stays_float32(case: Case) -> None:
    if case.name in ("shape", "ndim", "size"):
        return
    for result in as_list(OPERATIONS[case.name](*case.args, **case.kwargs)):
        assert result.dtype in (np.float32, np.int32, np.bool_)


@pytest.mark.parametrize("case", [case for case in CASES if case.has_gradient])
def test_gradients_are_those_of_finite_differences(case: Case) -> None:
    flat = leaves(list(case.args))
    places = [i for i, leaf in enumerate(flat) if isinstance(leaf, np.ndarray) and leaf.dtype == np.float32]
    inputs = [flat[i].astype(np.float64) for i in places]

    def function(*arrays: Any) -> Any:
        values = list(flat)
        for place, array in zip(places, arrays, strict=True):
            values[place] = array
        return OPERATIONS[case.name](*packed(list(case.args), values), **case.kwargs)

    result = differentiate(function, inputs, "the case")
    plain = as_list(function(*inputs))
    random = np.random.default_rng(0)
    weights = [random.normal(size=np.shape(y)) if y.dtype.kind == "f" else None for y in plain]
    for traced, expected in zip(result.outputs, plain, strict=True):
        np.testing.assert_allclose(traced, expected, rtol=1e-12, atol=1e-12)
    gradients = result.backward(weights)

    def total(arrays: list[Any]) -> float:
        outputs = as_list(function(*arrays))
        return float(sum((w * y).sum() for w, y in zip(weights, outputs, strict=True) if w is not None))

    for number, array in enumerate(inputs):
        numeric = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            shifted = [each.copy() for each in inputs]
            shifted[number][index] += STEP
            above = total(shifted)
            shifted[number][index] -= 2 * STEP
            numeric[index] = (above - total(shifted)) / (2 * STEP)
        np.testing.assert_allclose(gradients[number], numeric, rtol=1e-4, atol=1e-6)


def test_stop_gradient_passes_none() -> None:
    (gradient,) = differentiate(lambda x: ops.stop_gradient(x) * x, [X], "the case").backward([np.ones_like(X)])
    np.testing.assert_array_equal(gradient, X)


def test_where_with_a_condition_alone_gives_places() -> None:
    assert [list(each) for each in ops.where(np.array([0, 1, 1]))] == [[1, 2]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.exp("a"), TypeError, r"ops\.exp\(\): x must hold numbers, got 'a'"),
        (lambda: ops.matmul(X, X), ValueError, r"ops\.matmul\(\): "),
        (lambda: ops.reshape(X, (4,)), ValueError, r"ops\.reshape\(\): cannot reshape"),
        (lambda: ops.split(X, 2, axis=1), ValueError, r"axis 1 of size 3 has no 2 equal sections"),
        (lambda: ops.expand_dims(X, 5), ValueError, r"axis must be from -3 to 2, got 5"),
        (lambda: ops.stack([]), ValueError, r"xs must hold at least one array, got none"),
        (lambda: ops.unstack(X, num=5), ValueError, r"num must be the size of axis 0, 2, got 5"),
        (lambda: ops.where(X > 0, X), ValueError, r"x1 and x2 must both be arrays"),
        (lambda: ops.norm(X, ord=3), ValueError, r"ord must be None, a number.*got 3 for 2 axes"),
        (lambda: ops.norm(X[0], ord="nuc"), ValueError, r"ord must be None, a number.*got 'nuc' for 1 axes"),
        (lambda: ops.take(X, [0], axis=5), ValueError, r"ops\.take\(\): axis 5 is out of bounds"),
        (lambda: ops.take_along_axis(X, np.array([[0]]), axis=-3), ValueError, r"axis -3 is out of bounds"),
        (lambda: ops.normalize(X, order=0), ValueError, r"order must be an integer of at least 1, got 0"),
        (lambda: ops.reshape(X, (-2, 3)), ValueError, r"newshape must hold sizes of at least 0"),
        (lambda: ops.pad(X, 1, "reflect", 2.0), ValueError, r"constant_values must be left out with mode='reflect'"),
        (lambda: ops.one_hot([1], 3, sparse=True), ValueError, r"sparse must be False"),
        (lambda: ops.sum(X, axis=4), ValueError, r"ops\.sum\(\): axis 4 is out of bounds"),
        (lambda: ops.sum(X, axes=1), TypeError, r"axes"),
        (lambda: ops.take(X, [7], axis=1), ValueError, r"ops\.take\(\): index 7 is out of bounds"),
        (lambda: ops.sparse_categorical_crossentropy([0], X), ValueError, r"target must have shape \(2,\), got \(1,\)"),
    ],
)
def test_bad_arguments_give_one_clear_error(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_blocks_to_the_end_and_empty_axes() -> None:
    np.testing.assert_array_equal(ops.slice(X, (1, 1), (-1, 2)), X[1:, 1:])
    assert [part.shape for part in ops.split(X[:, :0], 2, axis=1)] == [(2, 0), (2, 0)]
    np.testing.assert_array_equal(ops.max(X[:, :0], axis=1, initial=2.0), [2, 2])
    assert ops.min(X[:, :0], initial=1, keepdims=True).shape == (1, 1)
    assert ops.linspace(0.0, 1.0, 0).shape == (0,)
    values, step = ops.linspace(0, 10, 5, retstep=True)
    assert step == 2.5 and values.dtype == np.float32
    assert ops.divide_no_nan(np.array([np.inf, np.nan]), np.array([0.0, 0.0])).tolist() == [0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ops.tile(x, (1, 2**31, 1)), lambda x: ops.repeat(x, 2**31, axis=1), lambda x: ops.one_hot(x, 2**31),
        lambda x: ops.pad(x, ((0, 0), (2**31, 0), (0, 0))), lambda x: ops.broadcast_to(x, (2**31, 2, 5, 3)),
        lambda x: ops.outer(*[ops.tile(x, (2**7, 2**7, 1))] * 2),
    ],
)  # fmt: skip
def test_symbols_of_absurd_sizes_take_no_memory(call: Any) -> None:
    """Files hold such numbers."""
    with pytest.raises(ValueError, match=r"at most 268435456 numbers|more memory"):
        call(pyrnn.Input(batch_shape=(2, 5, 3)))


def test_differences_end_where_nothing_is_left() -> None:
    assert ops.diff(X, n=2**40).shape == (2, 0)
    with pytest.raises(ValueError, match="n must be 0 or more, got -1"):
        ops.diff(X, n=-1)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32"])
def test_the_integer_part_of_whole_numbers_keeps_their_dtype(dtype: str) -> None:
    assert ops.trunc(np.array([0, 1], dtype)).dtype == dtype
