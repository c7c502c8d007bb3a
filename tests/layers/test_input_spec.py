"""`InputSpec`: what layers and models say about their input, and what is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import InputSpec, layers, ops

X = np.zeros((2, 5, 3), np.float32)


class Pooled(layers.Layer):
    """As custom layers of Keras 2: it states its input in the constructor, and its features once it is built."""

    def __init__(self, spec: Any) -> None:
        super().__init__()
        self.input_spec = spec

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], 1))
        if isinstance(self.input_spec, InputSpec) and self.input_spec.ndim == 3 and self.input_spec.shape is None:
            self.input_spec = InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def call(self, x: Any) -> Any:
        return ops.sum(x, axis=1)


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ({"ndim": 2}, (2, 5, 3), "must have 2 axes, as its input_spec says, got shape (2, 5, 3)"),
        ({"min_ndim": 4}, (2, 5, 3), "must have at least 4 axes"),
        ({"max_ndim": 2}, (2, 5, 3), "must have at most 2 axes"),
        ({"axes": {-1: 4}}, (2, 5, 3), "must have size 4 along axis -1"),
        ({"axes": {3: 4}}, (2, 5, 3), "must have size 4 along axis 3"),
        ({"shape": (None, 4, 3)}, (2, 5, 3), "must have shape (None, 4, 3)"),
        ({"shape": (None, 4, 1), "allow_last_axis_squeeze": True}, (2, 5), "must have shape (None, 4, 1)"),
        ({"dtype": "int32"}, (2, 5, 3), "must have dtype int32, not float32"),
        ({"shape": (None, 5, 3), "dtype": "float32", "axes": {1: 5}}, (2, 5, 3), ""),
        ({"shape": (None, 5, 1), "allow_last_axis_squeeze": True}, (2, 5), ""),
        ({"shape": (None, 5), "allow_last_axis_squeeze": True}, (2, 5, 1), ""),
    ],
    ids=str,
)
def test_an_input_is_checked(spec: Any, shape: Any, message: str) -> None:
    for each in (InputSpec(**spec), [InputSpec(**spec)]):
        layer = Pooled(each)
        if not message:
            layer(np.zeros(shape, np.float32))
            continue
        with pytest.raises(ValueError) as caught:
            layer(np.zeros(shape, np.float32))
        assert message in str(caught.value) and "Pooled" in str(caught.value)


def test_sizes_are_checked_in_models_too() -> None:
    layer = Pooled(InputSpec(ndim=3))
    x = pyrnn.Input((None, 3))
    model = pyrnn.Model(x, layer(x))
    assert layer.input_spec.axes == {-1: 3}
    with pytest.raises(ValueError, match="must have size 3 along axis -1"):
        layer(pyrnn.Input((5, 4)))
    layer.input_spec = InputSpec(axes={1: 5})
    model.predict(X, verbose=0)
    with pytest.raises(ValueError, match="must have size 5 along axis 1"):
        model.predict(X[:, :4], verbose=0)
    model.input_spec = InputSpec(shape=(None, 4, 3))
    with pytest.raises(ValueError, match=r"the input of model '\w+' must have shape \(None, 4, 3\)"):
        model(X)


def test_several_inputs_have_several_specs() -> None:
    class Both(layers.Layer):
        input_spec = None

        def __init__(self) -> None:
            super().__init__()
            self.specs = {"a": InputSpec(ndim=2), "b": InputSpec(ndim=3, name="b")}

        def call(self, inputs: Any) -> Any:
            return inputs["a"][:, None] + inputs["b"]

    class Checked(Both):
        input_spec = layers.Layer.input_spec

        def __init__(self) -> None:
            super().__init__()
            self.input_spec = self.specs

    Both()({"a": X[:, 0], "b": X})
    layer = Checked()
    layer({"a": X[:, 0], "b": X})
    with pytest.raises(ValueError, match=r"b of layer 'checked' \(Checked\) must have 3 axes"):
        layer({"a": X[:, 0], "b": X[:, 0]})
    layer = Pooled([InputSpec(), InputSpec()])
    with pytest.raises(ValueError, match=r"reads 2 inputs, as its input_spec says, got 1"):
        layer(X)
    with pytest.raises(TypeError, match=r"input_spec of layer .* must hold InputSpecs, got 3"):
        Pooled(3)(X)


def test_built_in_layers_state_their_input() -> None:
    dense, lstm = layers.Dense(2), layers.LSTM(2)
    assert (dense.input_spec.min_ndim, dense.input_spec.axes, lstm.input_spec.ndim) == (2, {}, 3)
    dense.build((None, 3))
    assert dense.input_spec.axes == {-1: 3}
    assert layers.Add().input_spec is None and Pooled(None).input_spec is None
    dense.input_spec = InputSpec(ndim=2)
    with pytest.raises(ValueError, match=r"the input of layer 'dense\w*' \(Dense\) must have 2 axes"):
        dense(X)
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), lstm])
    assert [spec.shape for spec in model.input_spec] == [(None, 5, 3)]
    spec = InputSpec("float32", (None, 3), axes={-1: 3}, optional=True)
    assert repr(spec) == "InputSpec(dtype=float32, shape=(None, 3), ndim=2, axes={-1: 3})"
    assert repr(InputSpec.from_config(spec.get_config())) == repr(spec)
    with pytest.raises(ValueError, match="axes must be below the number of axes, 2, got"):
        InputSpec(ndim=2, axes={2: 3})
    with pytest.raises(TypeError, match="axes must be a dict with integers as keys"):
        InputSpec(axes={"a": 3})  # type: ignore[dict-item]
