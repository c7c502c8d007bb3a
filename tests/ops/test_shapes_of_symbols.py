"""Shapes of operations on symbols that depend on numbers, or on sizes that are not known."""

from __future__ import annotations

import numpy as np
import pytest

from pyrnn import Input, Model, ops


def test_sizes_that_depend_on_numbers_are_not_known() -> None:
    x = Input(batch_shape=(2, 4))
    start, sizes = Input(batch_shape=(2,), dtype="int32"), Input(batch_shape=(2,), dtype="int32")
    assert ops.slice(x, start, (-1, -1)).shape == (None, None)
    assert ops.slice(x, start, (1, 2)).shape == (1, 2)
    assert ops.reshape(x, sizes).shape == (None, None)
    assert ops.reshape(x, (None, Input(batch_shape=(), dtype="int32"))).shape == (None, None)
    assert ops.take(x, Input((2,), dtype="int32"), axis=1).shape == (2, None, 2)
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    model = Model([x, start, sizes], [ops.slice(x, start, (-1, -1)), ops.reshape(x, sizes)])
    part, whole = model([values, np.array([1, 2], np.int32), np.array([4, 2], np.int32)])
    np.testing.assert_array_equal(part, values[1:, 2:])
    np.testing.assert_array_equal(whole, values.reshape(4, 2))


def test_an_axis_of_unknown_size_is_not_squeezed() -> None:
    x = Input((1,))
    assert ops.squeeze(x).shape == ops.squeeze(x, axis=1).shape == (None,)
    with pytest.raises(ValueError, match="size not equal to one"):
        ops.squeeze(x, axis=0)


def test_arrays_are_joined_along_an_axis() -> None:
    for x in (np.ones((2, 3)), Input((3,))):
        with pytest.raises(ValueError, match=r"axis must be an integer, got None: join what ops.ravel returns"):
            ops.concatenate([x, x], axis=None)


def test_a_symbol_has_no_numbers() -> None:
    for read in (np.array, float, bool):
        with pytest.raises(ValueError, match="is a symbol of shape"):
            read(Input((2,)))


def test_moments_of_half_precision_do_not_overflow() -> None:
    x = np.array([-741.0, 353.2, 1099.0, -1807.0], np.float16)
    mean, variance = ops.moments(x, axes=[0])
    assert mean.dtype == variance.dtype == np.float16
    assert float(mean) == pytest.approx(x.astype(float).mean(), rel=1e-3)
    assert float(variance) == np.finfo(np.float16).max
