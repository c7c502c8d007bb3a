"""Layers that merge several inputs: values, masks, gradients, calls on symbols, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

RNG = np.random.default_rng(0)
A, B = (np.array(rows, np.float32) for rows in ([[1, 5], [3, 2]], [[2, 4], [3, 7]]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", A + B),
        ("average", (A + B) / 2),
        ("maximum", [[2, 5], [3, 7]]),
        ("minimum", [[1, 4], [3, 2]]),
        ("multiply", A * B),
        ("subtract", A - B),
        ("concatenate", [[1, 5, 2, 4], [3, 2, 3, 7]]),
        ("dot", [[22], [23]]),
    ],
)
def test_function_forms(name: str, expected: Any) -> None:
    function = getattr(layers, name)
    np.testing.assert_array_equal(function([A, B]), np.asarray(expected, np.float32))
    symbols = pyrnn.Input((2,)), pyrnn.Input((2,))
    symbol = function(list(symbols), name="merged")
    assert (symbol.name, symbol.shape) == ("merged", (None, *np.shape(expected)[1:]))
    assert function([A, B], dtype="float64").dtype == "float64"


def test_inputs_of_fewer_axes_are_repeated_along_time() -> None:
    sequence, row = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4))
    np.testing.assert_array_equal(layers.Add(dtype="float64")([sequence, row]), sequence + row[:, None])
    layer = layers.Multiply(dtype="float64")
    assert layer.compute_output_shape([(None, None, 4), (None, 4)]) == (None, None, 4)
    layer([sequence, row], training=True)
    assert [dx.shape for dx in layer.backward(np.ones((2, 3, 4)))] == [(2, 3, 4), (2, 4)]


MASKS = [np.array([[True, True, False]]), np.array([[True, False, False]])]
X, Y = np.array([[[2.0], [3.0], [4.0]]]), np.array([[[5.0], [1.0], [6.0]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Multiply", [10, 3, 0]), ("Maximum", [5, 3, 4]), ("Minimum", [2, 3, 4]), ("Add", [7, 4, 10])],
)
def test_masked_steps(name: str, expected: list[int]) -> None:
    """Where one input is masked the other counts; a step that no input has is masked in the output."""
    layer = getattr(layers, name)()
    np.testing.assert_array_equal(layer([X, Y], mask=MASKS)[0, :, 0], expected)
    np.testing.assert_array_equal(layer.compute_mask([X, Y], MASKS), [[True, True, False]])
    assert layer.compute_mask([X, Y], [MASKS[0], None]) is None


def test_concatenate_joins_masks_along_time() -> None:
    layer = layers.Concatenate(axis=1)
    np.testing.assert_array_equal(layer.compute_mask([X, Y], MASKS), np.concatenate(MASKS, axis=1))
    np.testing.assert_array_equal(layer.compute_mask([X, Y], [MASKS[0], None])[0], [1, 1, 0, 1, 1, 1])
    last = layers.Concatenate()
    np.testing.assert_array_equal(last.compute_mask([X, Y], MASKS), [[True, True, False]])
    assert last.compute_mask([X, Y], [None, MASKS[1]]).all()
    assert last.compute_mask([X, Y], [None, None]) is None


def test_the_gradient_of_a_tie_is_shared() -> None:
    layer = layers.Maximum()
    layer([A, A], training=True)
    for gradient in layer.backward(np.ones_like(A)):
        np.testing.assert_array_equal(gradient, np.full_like(A, 0.5))


def residual(kind: str) -> pyrnn.Model:
    """A model of one input whose branches meet; one of them is masked."""
    pyrnn.utils.set_random_seed(0)
    x = pyrnn.Input((5, 3))
    masked = layers.Masking()(x)
    left, right = (
        layers.Dense(3, activation="tanh", dtype="float32")(masked),
        layers.GRU(3, return_sequences=True)(masked),
    )
    merged = getattr(layers, kind)(**({"axes": 2} if kind == "Dot" else {}))([left, right])
    return pyrnn.Model(x, layers.Dense(1)(layers.SimpleRNN(4)(layers.Add()([merged, merged]))))


@pytest.mark.parametrize("kind", ["Add", "Average", "Concatenate", "Dot", "Maximum", "Multiply", "Subtract"])
def test_branches_of_a_model_meet_in_a_layer(kind: str) -> None:
    model = residual(kind)
    x = RNG.normal(size=(4, 5, 3)).astype("float32")
    x[0, 3:] = 0
    y, _ = model.forward_pass(x, training=True)
    dy = RNG.normal(size=y.shape).astype("float32")
    model.backward_pass(dy)
    kernel = model.layers[2].weights[0]
    gradient = kernel.gradient[0, 0]
    losses = []
    for step in (1e-2, -1e-2):
        kernel[0, 0] += step
        losses.append(float((model(x) * dy).sum()))
        kernel[0, 0] -= step
    assert gradient == pytest.approx((losses[0] - losses[1]) / 2e-2, rel=2e-2, abs=1e-3)
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(x, x[:, 0, :1], epochs=2, verbose=0).history["loss"]).all()


def test_shapes_of_build_may_be_separate_arguments() -> None:
    layer = layers.Concatenate()
    layer.build((None, 2), (None, 3))
    assert layer.build_shape == [(None, 2), (None, 3)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Add()(A), r"Add must be called on a list of inputs, \[x, y, ...\], got"),
        (lambda: layers.Add()([]), "Add must be called on a list of inputs"),
        (lambda: layers.Add().build((None, 3)), "Add must be called on a list of inputs, got input_shape"),
        (lambda: layers.Add()([A, A[:1]]), "must have one batch size"),
        (lambda: layers.Add()([A, np.ones((2, 3))]), r"\(2, 2\), \(2, 3\) do not broadcast"),
        (lambda: layers.Add()([A, pyrnn.Input((2,))]), "symbols or arrays, got both"),
        (lambda: layers.Add()([A, A], mask=np.ones((2, 2))), "mask of Add must be a list"),
        (lambda: layers.Add()([A, A], mask=[None, np.ones(3)]), "mask must have the leading axes of its input"),
        (lambda: layers.Subtract()([A, A, A]), r"Subtract must be called on a list of 2 inputs, \[x, y\], got 3"),
        (lambda: layers.Concatenate(axis=2)([A, A]), "along axis 2, got shapes"),
        (lambda: layers.Concatenate(axis=1)([A[:1], X]), "same number of axes"),
        (lambda: layers.Concatenate()([X, X[:, :2]]), "same sizes along all axes but -1"),
        (lambda: layers.Dot(axes=0)([A, A]), "other than the batch axis"),
        (lambda: layers.Dot(axes=2)([A, A]), "axes of Dot must be axes of the inputs"),
        (lambda: layers.Dot(axes=(1, 1, 1)), "axes must be one axis or a list of two"),
        (lambda: layers.Dot(axes=1)([A, np.ones((2, 3))]), "same size along axes 1 and 1"),
        (lambda: layers.Dense(2)([pyrnn.Input((2,)), pyrnn.Input((2,))]), "reads one input, got 2"),
        (lambda: layers.Dense(2).build((None, 2), (None, 2)), "takes one input_shape, got 2"),
        (lambda: pyrnn.Sequential([pyrnn.Input((2,)), layers.Add()]), "Add must be called on a list of inputs"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


@pytest.mark.parametrize("name", ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"])
def test_masks_must_be_a_list_with_an_entry_for_each_input(name: str) -> None:
    layer = getattr(layers, name)()
    for inputs, masks, message in (
        ([X, Y], MASKS[0], "mask of .* must be a list"),
        (X, [None, None], "inputs of .* must be a list"),
        ([X, Y], [None], "one entry for each of the 2 inputs, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            layer.compute_mask(inputs, masks)
    assert layer.compute_mask(inputs=[X, Y], mask=[None, None]) is None
