"""Layers that merge several inputs, compared with Keras's: numbers, gradients, masks, shapes, configs."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.backend import get_keras_mask, set_keras_mask
from tolerance import assert_close

from pyrnn import layers

ELEMENTWISE = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
SHAPES: list[list[tuple[int, ...]]] = [
    [(3, 4)] * 2,
    [(3, 6, 4), (3, 1, 4)],
    [(3, 6, 4), (3, 4)],
    [(3, 6, 1), (3, 6, 4)],
    [(3, 6, 4)] * 3,
    [(3, 6, 4), (3, 6, 4), (3, 1, 1)],
]
WHICH = list(itertools.product([False, True], repeat=2))
DOTS: list[tuple[Any, list[tuple[int, ...]]]] = [
    (1, [(3, 4), (3, 4)]),
    (-1, [(3, 4), (3, 4)]),
    (2, [(3, 6, 4), (3, 5, 4)]),
    ((1, 2), [(3, 4, 6), (3, 5, 4)]),
    ((1, 2), [(3, 4), (3, 5, 4)]),
    ([2, 1], [(3, 5, 4), (3, 4)]),
    ((-1, 1), [(3, 5, 2, 4), (3, 4, 3, 2)]),
    ((1, -1), [(3, 5, 2, 4), (3, 4, 3, 5)]),
]


def compare(name: str, options: dict[str, Any], shapes: list[tuple[int, ...]], masked: tuple[bool, ...] = ()) -> None:
    """Compare one layer; values are multiples of 0.5, so that Maximum and Minimum meet ties."""
    rng = np.random.default_rng(0)
    xs = [(np.round(2 * rng.normal(size=shape)) / 2).astype("float32") for shape in shapes]
    masks = [rng.random(shape[:2]) < 0.5 if has_mask else None for shape, has_mask in zip(shapes, masked, strict=False)]
    ours, theirs = getattr(layers, name)(**options), getattr(keras.layers, name)(**options)
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    for tensor, mask in zip(tensors, masks, strict=False):
        if mask is not None:
            set_keras_mask(tensor, torch.tensor(mask))
    y, expected = ours(xs, mask=masks or None, training=True), theirs(tensors)
    terms = 4 * y.size
    assert_close(y, expected.detach().numpy(), terms)
    mask = ours.compute_mask(xs, masks) if masks else None
    expected_mask = get_keras_mask(expected)
    assert (mask is None) == (expected_mask is None)
    assert mask is None or np.array_equal(mask, expected_mask.numpy())
    unknown = [(None, *shape[1:]) for shape in shapes]
    assert ours.compute_output_shape(unknown) == tuple(theirs.compute_output_shape(unknown))
    slope = rng.normal(size=y.shape).astype("float32")
    (expected * torch.tensor(slope)).sum().backward()
    for number, (gradient, tensor) in enumerate(zip(ours.backward(slope), tensors, strict=True)):
        assert_close(gradient, tensor.grad.numpy(), terms, f"gradient {number}")
    config, expected_config = ours.get_config(), theirs.get_config()
    assert {**config, "name": "", "dtype": ""} == {**expected_config, "name": "", "dtype": ""}


def cases(of_inputs: Any) -> list[tuple[str, Any]]:
    """Each layer with each entry; Subtract takes two inputs only."""
    return [(name, each) for name in ELEMENTWISE for each in of_inputs if name != "Subtract" or len(each) == 2]


@pytest.mark.parametrize(("name", "shapes"), cases(SHAPES), ids=str)
def test_elementwise(name: str, shapes: list[tuple[int, ...]]) -> None:
    compare(name, {}, shapes)


@pytest.mark.parametrize(("name", "masked"), cases([*WHICH, *itertools.product([False, True], repeat=3)]), ids=str)
def test_masks(name: str, masked: tuple[bool, ...]) -> None:
    compare(name, {}, [(3, 6, 4)] * len(masked), masked)


@pytest.mark.parametrize("masked", WHICH)
@pytest.mark.parametrize("axis", [-1, 1, 2, -2])
def test_concatenate(axis: int, masked: tuple[bool, ...]) -> None:
    shapes = [(3, 6, 4), (3, 2, 4) if axis in (1, -2) else (3, 6, 2)]
    compare("Concatenate", {"axis": axis}, shapes, masked)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("axes", "shapes"), DOTS, ids=str)
def test_dot(axes: Any, shapes: list[tuple[int, ...]], normalize: bool) -> None:
    compare("Dot", {"axes": axes, "normalize": normalize}, shapes)


@pytest.mark.parametrize(
    ("name", "options", "shapes"),
    [
        ("Add", {}, [(3, 4), (3, 5)]),
        ("Multiply", {}, [(3, 4), (2, 4)]),
        ("Subtract", {}, [(3, 4)] * 3),
        ("Concatenate", {}, [(3, 4, 2), (3, 5, 2)]),
        ("Concatenate", {"axis": 1}, [(3, 4, 2), (3, 5)]),
        ("Dot", {"axes": 1}, [(3, 4), (3, 5)]),
        ("Dot", {"axes": 1}, [(3, 4)] * 3),
    ],
)
def test_both_reject(name: str, options: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    for library in (layers, keras.layers):
        with pytest.raises(ValueError):
            getattr(library, name)(**options)([np.ones(shape, "float32") for shape in shapes])
