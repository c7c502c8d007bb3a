"""AdaptiveAveragePooling1D and AdaptiveMaxPooling1D: as many output steps as asked for, at any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

X = np.random.default_rng(3).normal(size=(2, 7, 3)).astype(np.float32)
LAYERS = {"mean": layers.AdaptiveAveragePooling1D, "max": layers.AdaptiveMaxPooling1D}


@pytest.mark.parametrize("steps", [1, 3, 4, 6, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("kind", LAYERS)
def test_windows(kind: str, size: int, steps: int) -> None:
    x = X[:, :steps]
    expected = [
        getattr(x[:, int(np.floor(i * steps / size)) : int(np.ceil((i + 1) * steps / size))], kind)(axis=1)
        for i in range(size)
    ]
    np.testing.assert_allclose(LAYERS[kind](size)(x), np.stack(expected, axis=1), rtol=1e-6)


@pytest.mark.parametrize("kind", ["mean", "max"])
def test_windows_of_one_size_are_those_of_the_other_layers(kind: str) -> None:
    other = {"mean": layers.AveragePooling1D, "max": layers.MaxPooling1D}[kind]
    np.testing.assert_allclose(LAYERS[kind](3)(X[:, :6]), other(2)(X[:, :6]), rtol=1e-6)


def test_the_first_of_equal_steps_gets_the_gradient() -> None:
    layer: Any = layers.AdaptiveMaxPooling1D(2)
    layer(np.array([[[1.0], [2.0], [2.0], [0.0]]]), training=True)
    np.testing.assert_array_equal(layer.backward(np.array([[[3.0], [5.0]]], np.float32))[0, :, 0], [0, 3, 5, 0])


def test_a_model_of_any_length() -> None:
    model = pyrnn.Sequential([pyrnn.Input((None, 3)), layers.AdaptiveAveragePooling1D(4), layers.Flatten()])
    assert model.output_shape == (None, 12)
    for steps in (2, 7):
        assert model.predict(X[:, :steps], verbose=0).shape == (2, 12)


@pytest.mark.parametrize("kind", ["mean", "max"])
def test_errors(kind: str) -> None:
    with pytest.raises(ValueError, match="needs at least one step, got x of shape"):
        LAYERS[kind](2)(X[:, :0])
    with pytest.raises(ValueError, match="output_size must be"):
        LAYERS[kind](0)
