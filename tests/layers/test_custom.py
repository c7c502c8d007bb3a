"""Custom layers: arrays of any kind, shapes, masks, and the methods that a subclass may define."""

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
    """A layer that returns its input, and its gradient, in another form."""

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
    for first, other in zip(trained(WRAPPED[place](FORMS[form], dtype), dtype=dtype), expected, strict=True):
        np.testing.assert_array_equal(first, other)


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

    for first, other in zip(outputs(Formed), outputs(layers.GRU), strict=True):
        assert isinstance(first, np.ndarray) and first.dtype == np.float32
        np.testing.assert_array_equal(first, other)


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


def test_a_view_of_the_last_step_trains_like_the_last_output() -> None:
    def fitted(*stack: layers.Layer) -> list[np.ndarray]:
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([pyrnn.Input((None, 3)), *stack, layers.Dense(1)])
        assert model.output_shape == (None, 1)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, validation_data=(X, Y))
        return [*model.get_weights(), model.predict(X, verbose=0)]

    last = fitted(layers.LSTM(4, return_sequences=True), Last())
    for first, other in zip(last, fitted(layers.LSTM(4)), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-6, atol=1e-7)


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
        """A subclass of another layer keeps what it inherits."""

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
    ("call", "error", "message"),
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
def test_what_a_layer_may_not_return(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    pyrnn.utils.clear_session()
    before = X.copy()
    with pytest.raises(error, match=re.escape(message)):
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
    for first, other in zip(fitted(Assigning), written, strict=True):
        np.testing.assert_array_equal(first, other)
