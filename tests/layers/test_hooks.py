"""Methods of layers that a subclass defines: called, or rejected when the class is created."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from layers.test_custom import X, trained
from pyrnn import layers

BASES: dict[str, tuple[type, Any]] = {
    "Layer": (layers.Layer, layers.custom.NEVER_CALLED),
    "Dense": (layers.Dense, layers.custom.NEVER_CALLED),
    "LSTM": (layers.LSTM, layers.custom.NEVER_CALLED_RECURRENT),
    "RNN": (layers.RNN, layers.custom.NEVER_CALLED_RECURRENT),
    "Bidirectional": (layers.Bidirectional, layers.custom.NEVER_CALLED_RECURRENT),
    "LSTMCell": (layers.LSTMCell, layers.custom.NEVER_CALLED_CELL),
    "StackedRNNCells": (layers.StackedRNNCells, layers.custom.NEVER_CALLED_CELL),
}
HOOKS = [(base, name) for base, (_, names) in BASES.items() for name in names]


@pytest.mark.parametrize(("base", "name"), HOOKS)
def test_hooks_that_are_never_called_are_rejected(base: str, name: str) -> None:
    message = rf"^Mine defines {name}, which pyrnn never calls: \w"
    with pytest.raises(TypeError, match=message):
        type("Mine", (BASES[base][0],), {name: lambda self, *_: None})
    mixin = type("Mixin", (), {name: lambda self, *_: None})
    with pytest.raises(TypeError, match=message):
        type("Mine", (mixin, BASES[base][0]), {})


def test_a_cell_of_pyrnn_with_another_step_is_rejected_with_advice() -> None:
    with pytest.raises(TypeError, match=r"RNN runs the cells of pyrnn.*derive from Layer and define state_size"):

        class Mine(layers.LSTMCell):
            def call(self, x: Any, states: Any) -> Any:
                raise NotImplementedError


def test_forward_without_its_backward_is_rejected() -> None:
    def double(self: Any, x: Any, **options: Any) -> Any:
        return 2 * layers.Dense.forward(self, x, **options)

    message = r"overrides forward but not backward, so Dense\.backward would give the gradient of Dense\.forward"
    with pytest.raises(TypeError, match=message):
        type("Double", (layers.Dense,), {"forward": double})
    with pytest.raises(TypeError, match=message):
        type("Double", (type("Mixin", (), {"forward": double}), layers.Dense), {})
    kind = type("Double", (layers.Dense,), {"forward": double, "backward": layers.Dense.backward})
    with pytest.raises(TypeError, match=r"so Double\.backward would"):
        type("Quadruple", (kind,), {"forward": double})
    np.testing.assert_allclose(kind(2, kernel_initializer="ones")(X), 2 * X.sum(-1, keepdims=True) * [1, 1], rtol=1e-6)
    # Nothing to train: no backward needed. A gradient alone may be changed.
    type("Plain", (layers.Layer,), {"forward": lambda self, x, **_: x})
    type("Reversed", (layers.Dense,), {"backward": lambda self, dy, **_: -layers.Dense.backward(self, dy)})


def test_methods_of_mixins_count() -> None:
    class Halved:
        def build(self, input_shape: Any) -> None:
            self.built_for = input_shape

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return (x / 2).T.copy().T

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return dy.astype("float64") / 2

    class Half(Halved, layers.Layer):
        pass

    assert Half()(X).flags.c_contiguous
    assert Half().compute_output_shape((None, 2)) == (None, 2)
    trained(Half(), dtype="float32")


def test_a_custom_mask_is_computed_and_passed_on() -> None:
    class EverySecond(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return x

        def compute_mask(self, x: Any, mask: Any = None) -> Any:
            assert mask is None
            return np.broadcast_to(np.arange(x.shape[1]) % 2 == 0, x.shape[:2])

    gru = layers.GRU(3)
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), EverySecond(), gru])
    np.testing.assert_allclose(model.predict(X, verbose=0), gru(np.ascontiguousarray(X[:, ::2])), rtol=1e-6)
    wrong = type("Wrong", (layers.Layer,), {"forward": lambda self, x, **_: x, "compute_mask": lambda *_: "a"})
    with pytest.raises(
        TypeError, match=r"compute_mask of layer 'wrong' \(Wrong\) must return an array or None, got 'a'"
    ):
        pyrnn.Sequential([pyrnn.Input((5, 3)), wrong(name="wrong")]).predict(X, verbose=0)


@pytest.mark.parametrize("name", ["reset_state", "reset_states"])
def test_either_name_of_a_reset_is_the_hook(name: str) -> None:
    calls = []
    kind = type("Noting", (layers.LSTM,), {name: lambda self: calls.append(name)})
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), kind(2)])
    model.reset_states()
    model.reset_state()
    model.layers[0].reset_state()
    model.layers[0].reset_states()
    assert calls == [name] * 4


def test_an_own_forward_does_not_stream_as_the_layer_it_derives_from() -> None:
    class Double(layers.Dense):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return 2 * super().forward(x, training=training)

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return super().backward(2 * dy, need_dx=need_dx)

    model = pyrnn.Sequential([pyrnn.Input((5, 3)), Double(2)])
    with pytest.raises(ValueError, match="cannot run one time step at a time"):
        model.stream()
