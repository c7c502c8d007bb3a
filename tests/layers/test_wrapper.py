"""`Wrapper`, and inputs that are symbols already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, ops

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


@pyrnn.utils.register_keras_serializable("wrapper")
class Residual(layers.Wrapper):
    def call(self, x: Any, mask: Any = None) -> Any:
        y = x + self.layer(x)
        return y if mask is None else y * ops.cast(ops.expand_dims(mask, -1), self.compute_dtype)


@pytest.mark.parametrize("inner", [layers.Dense(3), layers.GRU(3, return_sequences=True), layers.BatchNormalization()])
def test_a_wrapper_trains_and_saves_its_layer(inner: Any, tmp_path: Path) -> None:
    inner = type(inner).from_config(inner.get_config())
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), Residual(inner, activity_regularizer="l2"), layers.Dense(1)])
    assert len(model.layers[0].weights) == len(inner.weights)
    model.compile("adam", "mse")
    before = inner.get_weights()
    model.fit(X, X[..., :1], verbose=0)
    assert not np.array_equal(before[0], inner.get_weights()[0])
    assert len(model.layers[0].losses) == 1
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    described = layers.serialize(model.layers[0])
    assert Residual.from_config(described["config"], {}).layer.name == inner.name


def test_time_distributed_is_a_wrapper_and_passes_the_mask_of_a_step_to_a_call() -> None:
    outer = layers.TimeDistributed(Residual(layers.Dense(3)))
    assert isinstance(outer, layers.Wrapper)
    mask = np.array([[True, False, True, True, False]] * 4)
    with_mask = layers.TimeDistributed(Residual(layers.Dense(2)))
    with pytest.raises(ValueError, match="broadcast"):
        with_mask(X)
    y, masked = outer(X), outer(X, mask=mask)
    np.testing.assert_array_equal(masked[mask], y[mask])
    assert not masked[~mask].any()


def test_what_is_no_layer_is_rejected() -> None:
    for call, message in (
        (lambda: layers.Wrapper("dense"), "layer of Wrapper must be a layer, got 'dense'"),
        (lambda: Residual(layers.Dense(1), dtype="float64"), "dtype of Residual must be that of its layer, float32"),
        (lambda: layers.Wrapper(layers.Dense(1))(X), "Wrapper must define call"),
    ):
        with pytest.raises((TypeError, ValueError, NotImplementedError), match=message):
            call()


def test_a_symbol_may_become_an_input() -> None:
    x = pyrnn.Input((5, 3))
    hidden = layers.GRU(4)(x)
    assert pyrnn.Input(tensor=hidden) is hidden
    head = pyrnn.Model(hidden, layers.Dense(2)(hidden))
    assert head.input_shape == (None, 4) and len(head.layers) == 2
    assert head.predict(np.zeros((3, 4)), verbose=0).shape == (3, 2)
    x = pyrnn.Input((3,), batch_size=2)
    layer = layers.InputLayer(shape=(3,), batch_size=2, dtype="float32", sparse=False, input_tensor=x)
    assert layer.output is x and layer.batch_shape == (2, 3)
    for wrong, message in (
        ({"shape": (4,)}, r"shape must be that of input_tensor, \(3,\), or left out, got \(4,\)"),
        ({"batch_shape": [None, 3]}, r"batch_shape must be that of input_tensor, \(2, 3\)"),
        ({"batch_size": 5}, "batch_size must be that of input_tensor, 2, or left out, got 5"),
        ({"dtype": "float64"}, "dtype must be that of input_tensor, float32"),
        ({"input_tensor": np.zeros(3)}, "input_tensor must be a symbol that Input or a layer returned"),
    ):
        with pytest.raises(ValueError, match=message):
            layers.InputLayer(**{"input_tensor": x, **wrong})
    with pytest.warns(UserWarning, match="input_shape of InputLayer is deprecated: pass shape="):
        assert layers.InputLayer(input_shape=(3,)).batch_shape == (None, 3)
