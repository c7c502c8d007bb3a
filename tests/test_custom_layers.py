"""Layers that users write: arrays of any kind, shapes, masks, and which methods a subclass may define."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
Y = X[:, 0, :1]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    raw = raw.view(array.dtype) if array.dtype.itemsize == 1 else np.frombuffer(raw.data, array.dtype)
    moved = raw.reshape(array.shape)
    moved[...] = array
    return moved


# The same numbers in another form.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "view": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "float64": lambda a: a.astype("float64"),
    "float32": lambda a: a.astype("float32"),
    "read-only": read_only,
    "misaligned": misaligned,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
    "its argument": lambda a: a,
}


def passing(form: Callable[[np.ndarray], Any], base: type[layers.Layer] = layers.Layer) -> type[layers.Layer]:
    """A layer that hands on its input in another form, both ways."""

    class Passing(base):  # type: ignore[valid-type, misc]
        supports_masking = True

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return form(x)

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return form(dy) if need_dx else None

    return Passing


def trained(*middle: layers.Layer, dtype: str) -> list[np.ndarray]:
    pyrnn.utils.set_random_seed(0)
    model = pyrnn.Sequential(
        [
            pyrnn.Input((5, 3)),
            layers.GRU(4, return_sequences=True, dtype=dtype),
            *middle,
            layers.Conv1D(3, 2, dtype=dtype),
            layers.LayerNormalization(dtype=dtype),
            layers.LSTM(3, dtype=dtype),
            layers.Dense(1, dtype=dtype),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, batch_size=2, epochs=2)
    return [*model.get_weights(), model.predict(X, verbose=0)]


WRAPPED: dict[str, Callable[[Any, str], layers.Layer]] = {
    "layer": lambda form, dtype: passing(form)(dtype=dtype),
    "time distributed": lambda form, dtype: layers.TimeDistributed(passing(form)(dtype=dtype)),
    "lambda": lambda form, dtype: layers.Lambda(form, gradient=lambda x, y, dy: form(dy), dtype=dtype),
}


@pytest.mark.parametrize(
    ("form", "dtype"),
    [(form, dtype) for form in FORMS for dtype in ("float32", "float64") if (form, dtype) != ("float32", "float64")],
)
@pytest.mark.parametrize("place", WRAPPED)
def test_a_layer_may_return_any_array(place: str, form: str, dtype: str) -> None:
    expected = trained(dtype=dtype)
    for one, other in zip(trained(WRAPPED[place](FORMS[form], dtype), dtype=dtype), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_a_recurrent_layer_may_return_any_array(form: str) -> None:
    """A subclass of a recurrent layer by itself, with its states, and in Bidirectional."""
    change = FORMS[form]

    class Formed(layers.GRU):
        def forward(self, x: Any, **options: Any) -> Any:
            y = super().forward(x, **options)
            return tuple(map(change, y)) if isinstance(y, tuple) else change(y)

        def backward(self, dy: Any, **options: Any) -> Any:
            dx = super().backward(dy, **options)
            return None if dx is None else change(dx)

    def outputs(kind: type[layers.GRU]) -> list[np.ndarray]:
        pyrnn.utils.set_random_seed(0)
        both = layers.Bidirectional(kind(2, return_sequences=True))
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), kind(4, return_sequences=True), both, layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(X, np.repeat(Y[:, None], 5, axis=1), verbose=0)
        layer = kind(3, return_state=True)
        return [*model.get_weights(), *layer(X)]

    for one, other in zip(outputs(Formed), outputs(layers.GRU), strict=True):
        assert type(one) is np.ndarray and one.dtype == np.float32
        np.testing.assert_array_equal(one, other)


class Last(layers.Layer):
    """The last step, as a view."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        if training:
            self.shape = x.shape
        return x[:, -1]

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        dx = np.zeros(self.shape)
        dx[:, -1] = dy
        return dx


def test_a_view_of_the_last_step_trains_as_the_layer_s_last_output() -> None:
    def fitted(*stack: layers.Layer) -> list[np.ndarray]:
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([pyrnn.Input((None, 3)), *stack, layers.Dense(1)])
        assert model.output_shape == (None, 1)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, validation_data=(X, Y))
        return [*model.get_weights(), model.predict(X, verbose=0)]

    last = fitted(layers.LSTM(4, return_sequences=True), Last())
    for one, other in zip(last, fitted(layers.LSTM(4)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_output_shapes_are_those_of_a_trial() -> None:
    class Pairs(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight(shape=(input_shape[-1],), name="factor", initializer="ones")

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return (x * self.factor.array).reshape(len(x), -1, 2 * x.shape[-1])

    assert Pairs().compute_output_shape((None, 6, 3)) == (None, 3, 6)
    assert Pairs().compute_output_shape((7, 6, 3)) == (7, 3, 6)
    assert Last().compute_output_shape((None, None, 3)) == (None, 3)
    with pytest.raises(ValueError, match=r"'pairs_9' \(Pairs\) fails on zeros of shape .*: define compute_"):
        Pairs(name="pairs_9").compute_output_shape((None, None, 3))

    class Fixed(layers.Dense):
        """What a subclass of another layer inherits stays."""

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            raise AssertionError("not called for a shape")

        backward = layers.Dense.backward

    assert Fixed(2).compute_output_shape((None, 3)) == (None, 2)


def returning(value: Any, method: str) -> Callable[[], Any]:
    def call() -> None:
        kind = passing(lambda x: x)

        class Bad(kind):  # type: ignore[valid-type, misc]
            backward = kind.backward  # type: ignore[attr-defined]

            def compute_output_shape(self, input_shape: Any) -> Any:
                return input_shape

        def replaced(self: Any, array: Any, **_: Any) -> Any:
            return value(array) if callable(value) else value

        made = type("Bad", (Bad,), {"forward": kind.forward, "backward": kind.backward, method: replaced})  # type: ignore[attr-defined]
        trained(made(name="bad"), dtype="float32")

    return call


def spoil(x: np.ndarray) -> np.ndarray:
    x += 1
    return x


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (returning(None, "forward"), TypeError, "forward of layer 'bad' (Bad) must return an array of numbers, got"),
        (returning([["a"]], "forward"), TypeError, "must return an array of numbers, got [['a']]"),
        (returning(lambda x: (x, x), "forward"), TypeError, "must return an array of numbers, got (array"),
        (returning(None, "backward"), TypeError, "backward of layer 'bad' (Bad) must return an array of"),
        (returning(lambda x: x[:, :1], "backward"), ValueError, "dx of the shape of x, (2, 5, 4), got (2, 1, 4)"),
        (returning(spoil, "forward"), ValueError, "'bad' (Bad) changes its argument in place: write x = x + 1"),
        (returning(spoil, "backward"), ValueError, "'bad' (Bad) changes its argument in place"),
        (lambda: layers.Lambda(spoil)(X), ValueError, "spoil of layer 'lambda' (Lambda) changes its argument in place"),
        (lambda: layers.Lambda(lambda x: "a")(X), TypeError, "function of layer 'lambda' (Lambda) must return"),
    ],
)  # fmt: skip
def test_what_a_layer_may_not_return(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    pyrnn.utils.clear_session()
    before = X.copy()
    with pytest.raises(error, match=re.escape(words)):
        call()
    np.testing.assert_array_equal(X, before)


def test_a_gradient_that_is_assigned_counts_as_one_that_is_written() -> None:
    class Scale(layers.Layer):
        assigns = False

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            self.x = x
            return x * self.scale.array

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            gradient = (dy * self.x).sum(axis=(0, 1))
            if self.assigns:
                self.scale.gradient = gradient
            else:
                self.scale.gradient[...] = gradient
            return dy * self.scale.array

    class Assigning(Scale):
        assigns = True

    def fitted(kind: type[Scale]) -> list[np.ndarray]:
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), kind(), layers.SimpleRNN(1)])
        model.compile("adam", "mse")
        model.fit(X, Y, verbose=0, epochs=3)
        return model.get_weights()

    written = fitted(Scale)
    assert not np.array_equal(written[0], np.ones(3))
    for one, other in zip(fitted(Assigning), written, strict=True):
        np.testing.assert_array_equal(one, other)


# Hooks of Keras: what is never called is rejected when the class is created.

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
    words = rf"^Mine defines {name}, which pyrnn never calls: \w"
    with pytest.raises(TypeError, match=words):
        type("Mine", (BASES[base][0],), {name: lambda self, *_: None})
    mixin = type("Mixin", (), {name: lambda self, *_: None})
    with pytest.raises(TypeError, match=words):
        type("Mine", (mixin, BASES[base][0]), {})


def test_a_cell_of_the_user_s_is_rejected_with_what_to_write() -> None:
    with pytest.raises(TypeError, match="RNN runs SimpleRNNCell, LSTMCell and GRUCell in the kernel"):

        class MinimalRNNCell(layers.Layer):
            state_size = 3

            def call(self, x: Any, states: Any) -> Any:
                raise NotImplementedError


def test_forward_without_its_backward_is_rejected() -> None:
    def double(self: Any, x: Any, **options: Any) -> Any:
        return 2 * layers.Dense.forward(self, x, **options)

    words = r"overrides forward but not backward, so Dense\.backward would give the gradient of Dense\.forward"
    with pytest.raises(TypeError, match=words):
        type("Double", (layers.Dense,), {"forward": double})
    with pytest.raises(TypeError, match=words):
        type("Double", (type("Mixin", (), {"forward": double}), layers.Dense), {})
    kind = type("Double", (layers.Dense,), {"forward": double, "backward": layers.Dense.backward})
    with pytest.raises(TypeError, match=r"so Double\.backward would"):
        type("Quadruple", (kind,), {"forward": double})
    np.testing.assert_allclose(kind(2, kernel_initializer="ones")(X), 2 * X.sum(-1, keepdims=True) * [1, 1], rtol=1e-6)
    # Nothing to train: no backward needed. A gradient alone may be changed.
    type("Plain", (layers.Layer,), {"forward": lambda self, x, **_: x})
    type("Reversed", (layers.Dense,), {"backward": lambda self, dy, **_: -layers.Dense.backward(self, dy)})


def test_a_mixin_s_methods_count() -> None:
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


def test_a_mask_of_the_user_s_is_made_and_handed_on() -> None:
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


# Layers in layers.


class Block(layers.Layer):
    """Two layers in a row, and a factor of its own."""

    builds = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.recurrent = layers.GRU(units, return_sequences=True, dtype=self.dtype)
        self.rest = [layers.Dropout(0.5, seed=0, dtype=self.dtype), layers.Dense(2, dtype=self.dtype)]

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(shape=(), name="factor", initializer="ones")
        if self.builds:
            self.recurrent.build(input_shape)
            self.rest[0].build((*input_shape[:2], self.units))
            self.rest[1].build((*input_shape[:2], self.units))

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        y = self.recurrent(x, training=training)
        for layer in self.rest:
            y = layer(y, training=training)
        if training:
            self.y = y
        return y * self.factor.array

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        self.factor.gradient[...] = (dy * self.y).sum()
        dy = dy * self.factor.array
        for layer in reversed(self.rest):
            dy = layer.backward(np.ascontiguousarray(dy))
        return self.recurrent.backward(dy, need_dx=need_dx)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class LazyBlock(Block):
    """The layers in it are built at its first call, as Keras does it too."""

    builds = False


@pytest.mark.parametrize("kind", [Block, LazyBlock])
def test_layers_in_a_layer_are_trained_saved_and_frozen(kind: type[Block], tmp_path: Any) -> None:
    def trained_model(*stack: layers.Layer) -> pyrnn.Sequential:
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), *stack, layers.SimpleRNN(1)])
        for weight in model.weights:
            weight.assign(np.linspace(-1, 1, weight.size).reshape(weight.shape) if weight.shape else 1.0)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, epochs=2, shuffle=False)
        return model

    model = trained_model(kind(4))
    block: Any = model.layers[0]
    plain = trained_model(layers.GRU(4, return_sequences=True), layers.Dropout(0.5, seed=0), layers.Dense(2))
    assert [weight.name for weight in block.weights] == [
        "factor",
        "kernel",
        "recurrent_kernel",
        "bias",
        "kernel",
        "bias",
    ]
    assert model.count_params() == plain.count_params() + 1 and block.count_params() == len(model.parameters()) - 4
    assert float(block.factor) != 1
    first = plain.layers[0].get_weights()[0]
    assert not np.array_equal(block.recurrent.kernel, np.linspace(-1, 1, first.size).reshape(first.shape))
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", custom_objects={kind.__name__: kind})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = pyrnn.Sequential([pyrnn.Input((5, 3)), kind(4), layers.SimpleRNN(1)])
    fresh.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(fresh.predict(X, verbose=0), model.predict(X, verbose=0))
    for frozen, count in ((block.rest[1], 2), (block.recurrent, 3), (block, 6)):
        frozen.trainable = False
        assert len(model.trainable_weights) == len(model.weights) - count
        before = [weight.numpy() for weight in frozen.weights]
        model.fit(X, Y, verbose=0)
        for weight, value in zip(frozen.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)
        frozen.trainable = True
    wrapped = layers.TimeDistributed(layers.TimeDistributed(kind(4)))
    wrapped.build((None, 2, 3, 5, 3))
    assert len(wrapped.weights) == len(wrapped.trainable_weights) == 6
    wrapped.layer.layer.rest[1].trainable = False
    assert len(wrapped.trainable_weights) == 4


def test_the_gradient_of_the_first_step_is_that_of_the_layers_in_a_row() -> None:
    def stepped(*stack: layers.Layer) -> list[np.ndarray]:
        model = pyrnn.Sequential([pyrnn.Input((5, 3)), *stack, layers.SimpleRNN(1)])
        for weight in model.weights:
            weight.assign(np.linspace(-1, 1, weight.size).reshape(weight.shape) if weight.shape else 1.0)
        model.compile("sgd", "mse")
        model.train_on_batch(X, Y)
        return [weight for weight in model.get_weights() if weight.shape]

    plain = stepped(layers.GRU(4, return_sequences=True), layers.Dropout(0.5, seed=0), layers.Dense(2))
    for one, other in zip(stepped(Block(4)), plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stateful_layer_in_a_layer_is_reset() -> None:
    class Keeping(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = {"gru": layers.GRU(2, stateful=True)}

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return self.inner["gru"](x)

    model = pyrnn.Sequential([pyrnn.Input(batch_shape=(4, 5, 3)), Keeping()])
    model.reset_states()
    y = model.predict(X, verbose=0)
    assert not np.array_equal(model.predict(X, verbose=0), y)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X, verbose=0), y)
    assert [path for path, _, _ in model.layers[0].variable_groups()] == [
        "inner/gru/cell/vars",
        "inner/gru/vars",
        "vars",
    ]


def test_a_layer_of_the_user_s_is_built_once() -> None:
    """Also where two models share it: its weights are not made a second time."""

    class Scaled(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return x * self.scale.array

    layer = Scaled()
    models = [pyrnn.Sequential([pyrnn.Input((5, 3)), layer]) for _ in range(2)]
    assert [len(model.weights) for model in models] == [1, 1]
    assert models[0].weights[0] is models[1].weights[0] is layer.scale
    with pytest.raises(ValueError, match=r"Scaled expects x .*, got \(None, 5, 4\)"):
        layer.build((None, 5, 4))


def holding(value: Any) -> layers.Layer:
    class Holder(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="holder")
            self.inner = value

        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            return self.inner.forward(x)

    return Holder()


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (lambda: pyrnn.Sequential(), TypeError, "'holder' (Holder) holds the model inner, whose weights would not"),
        (
            lambda: layers.Dense(2, dtype="float64"),
            ValueError,
            "'holder' (Holder) has dtype float32, layer 'dense' in it",
        ),
        (lambda: layers.Dense(2, activity_regularizer="l2"), ValueError, "give activity_regularizer to layer 'holder'"),
        (lambda: layers.Dense(2), ValueError, "build the layers it holds in build(input_shape)"),
    ],
)
def test_what_a_layer_may_not_hold(value: Callable[[], Any], error: type[Exception], words: str) -> None:
    pyrnn.utils.clear_session()
    with pytest.raises(error, match=re.escape(words)):
        holding(value()).build((None, 3))
