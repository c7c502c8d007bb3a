"""Layers on x of another rank and length than they were built for, as in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyrnn import layers

BUILT = (None, 5, 3)
OTHERS = [(4, 3), (4, 7, 3), (4, 2, 5, 3)]
NORMALIZING: dict[str, Any] = {
    "LayerNormalization": lambda: layers.LayerNormalization(dtype="float64"),
    "rms_scaling": lambda: layers.LayerNormalization(rms_scaling=True, dtype="float64"),
    "RMSNormalization": lambda: layers.RMSNormalization(dtype="float64"),
    "UnitNormalization": lambda: layers.UnitNormalization(dtype="float64"),
    "Dense": lambda: layers.Dense(2, dtype="float64"),
}


@pytest.mark.parametrize("shape", OTHERS, ids=str)
@pytest.mark.parametrize("name", NORMALIZING)
def test_values_and_gradients_do_not_depend_on_the_rank(name: str, shape: tuple[int, ...]) -> None:
    layer = NORMALIZING[name]()
    layer.build(BUILT)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x, dy = rng.normal(size=shape), rng.normal(size=layer.compute_output_shape(shape))
    y = layer(x, training=True)
    dx = layer.backward(dy)
    gradients = [weight.gradient.copy() for weight in layer.trainable_weights]
    rows = layer(x.reshape(1, -1, 3), training=True)
    np.testing.assert_allclose(y, np.asarray(rows).reshape(y.shape), rtol=1e-10)
    d_rows = layer.backward(dy.reshape(1, -1, dy.shape[-1]))
    np.testing.assert_allclose(dx, d_rows.reshape(shape), rtol=1e-8, atol=1e-12)
    for gradient, weight in zip(gradients, layer.trainable_weights, strict=True):
        np.testing.assert_allclose(gradient, weight.gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["LayerNormalization", "RMSNormalization"])
def test_the_features_stay_those_it_was_built_for(name: str) -> None:
    layer = NORMALIZING[name]()
    layer.build(BUILT)
    for shape in ((4, 4), (4, 5, 2), (3,)):
        with pytest.raises(ValueError, match="expects x of a shape like"):
            layer(np.ones(shape))
    layer = layers.LayerNormalization(axis=[1, 2])
    layer.build(BUILT)
    with pytest.raises(ValueError, match=r"expects x of a shape like \(None, 5, 3\), got \(4, 3\)"):
        layer(np.ones((4, 3)))
