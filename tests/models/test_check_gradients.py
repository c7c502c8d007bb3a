"""`check_gradients` accepts correct gradients, including kinks and randomness, and names wrong ones."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses
from pyrnn.utils import check_gradients

RNG = np.random.default_rng(0)
TRUE, PRED = RNG.uniform(0.1, 0.9, (6, 4)), RNG.uniform(0.1, 0.9, (6, 4))
X = RNG.normal(size=(4, 5, 3))


def truth(kind: type[losses.Loss]) -> Any:
    if kind is losses.GaussianNLL:
        return TRUE[:, :2]
    is_classes = kind.target_rule.startswith("hold one class")
    return RNG.integers(0, 4, 6) if is_classes else TRUE


@pytest.mark.parametrize("kind", losses.CLASSES, ids=lambda kind: kind.__name__)
def test_losses_of_pyrnn_are_right(kind: type[losses.Loss]) -> None:
    pred = PRED / np.linalg.norm(PRED, axis=1, keepdims=True) if kind is losses.Circle else PRED
    loss = kind(scale=2.0) if kind is losses.MASE else kind()  # type: ignore[call-arg]
    for weight in (None, np.linspace(0.5, 1, 6)):
        if weight is None or loss.elements(truth(kind), pred)[0].ndim:
            assert 0 <= check_gradients(loss, truth(kind), pred, sample_weight=weight)["y_pred"] < 1e-6


LAYERS: dict[str, Callable[[str], layers.Layer]] = {
    "dense": lambda d: layers.Dense(4, "tanh", dtype=d),
    "relu": lambda d: layers.Dense(4, "relu", dtype=d),
    "lstm": lambda d: layers.LSTM(4, return_sequences=True, dtype=d),
    "gru-dropout": lambda d: layers.GRU(4, dropout=0.3, recurrent_dropout=0.3, dtype=d),
    "stateful": lambda d: layers.SimpleRNN(4, stateful=True, batch_size=4, dtype=d),
    "bidirectional": lambda d: layers.Bidirectional(layers.GRU(3, dtype=d), dtype=d),
    "conv": lambda d: layers.Conv1D(2, 2, dtype=d),
    "batch-norm": lambda d: layers.BatchNormalization(dtype=d),
    "dropout": lambda d: layers.Dropout(0.5, dtype=d),
    "max": lambda d: layers.GlobalMaxPooling1D(dtype=d),
    "frozen": lambda d: layers.Dense(2, trainable=False, dtype=d),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_pyrnn_are_right_and_stay_as_they_were(name: str, dtype: str) -> None:
    layer = LAYERS[name](dtype)
    layer.build(X.shape)
    before = [weight.tobytes() for weight in layer.get_weights()]
    state = np.random.get_state()[1].tobytes()  # type: ignore[union-attr]
    errors = check_gradients(layer, X)
    assert errors.keys() >= {"x"} and len(errors) == 1 + len(layer.trainable_weights)
    assert max(errors.values()) < {"float32": 1e-3, "float64": 1e-6}[dtype]
    assert [weight.tobytes() for weight in layer.get_weights()] == before
    assert np.random.get_state()[1].tobytes() == state  # type: ignore[union-attr]
    assert check_gradients(layer, X) == errors  # the same numbers each time


def test_ids_and_masks() -> None:
    assert check_gradients(layers.Embedding(9, 3), RNG.integers(0, 9, (4, 3))).keys() == {"embeddings"}
    mask = np.arange(5) < np.array([[5], [3], [0], [1]])
    assert max(check_gradients(layers.GRU(3, dtype="float64"), X, mask=mask).values()) < 1e-6


class Scale(layers.Layer):
    """y = scale * x**2 + shift, wrong in the way that `flaw` names."""

    def __init__(self, flaw: str = "", **options: Any) -> None:
        super().__init__(dtype="float64", **options)
        self.flaw = flaw

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), name="scale", initializer="ones")
        self.shift = self.add_weight((input_shape[-1],), name="shift", initializer="zeros")

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        self.x = x.copy()
        return self.scale.array * x**2 + self.shift.array

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        over = tuple(range(dy.ndim - 1))
        if self.flaw != "shift":
            self.shift.gradient[...] = dy.sum(axis=over)
        self.scale.gradient[...] = (dy * self.x**2).sum(axis=over) / (2 if self.flaw == "scale" else 1)
        dx = dy * self.scale.array * self.x * (1 if self.flaw == "x" else 2)
        if self.flaw == "one":
            dx[2, 3, 1] *= 1.01
        return dx


FLAWS: dict[str, str] = {
    "scale": r"the gradient of scale\w* by scale is wrong: .* at \[\d\], finite differences give",
    "shift": r"by shift is wrong: 0 at",
    "x": r"by x is wrong",
    "one": r"by x is wrong: .* at \[2, 3, 1\]",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_layer_that_is_wrong(flaw: str) -> None:
    assert max(check_gradients(Scale(), X).values()) < 1e-6
    layer = Scale(flaw)
    with pytest.raises(ValueError, match=FLAWS[flaw]):
        check_gradients(layer, X)
    assert layer.get_weights()[0].tolist() == [1, 1, 1]  # also after an error


def test_a_loss_that_is_wrong() -> None:
    def values(t: Any, p: Any) -> Any:
        return np.square(p - t).mean(axis=-1)

    right = lambda t, p: (values(t, p), (p - t) / 2)  # noqa: E731
    assert check_gradients(right, TRUE, PRED)["y_pred"] < 1e-6
    wrong: list[Any] = [
        lambda t, p: (values(t, p), p - t),
        lambda t, p: (values(t, p), (t - p) / 2),
        lambda t, p: (values(t, p), np.zeros_like(p)),
        lambda t, p: (values(t, p), np.full_like(p, np.nan)),
        lambda t, p: (values(t, p) + p.sum(), (p - t) / 2),
    ]
    for each in wrong:
        with pytest.raises(ValueError, match=r"of <lambda> by y_pred is wrong: .* at \[\d, \d\], finite differences"):
            check_gradients(each, TRUE, PRED)

    class Flawed(losses.MeanSquaredError):
        """Right without weights."""

        def weigh(self, gradient: Any, weights: Any) -> Any:
            return gradient

        def value_and_gradient(self, *arguments: Any) -> Any:
            return losses.Loss.value_and_gradient(self, *arguments)

    assert check_gradients(Flawed(), TRUE, PRED)["y_pred"] < 1e-6
    with pytest.raises(ValueError, match="by y_pred is wrong"):
        check_gradients(Flawed(), TRUE, PRED, sample_weight=np.linspace(0.5, 1, 6))
    nearly = lambda t, p: (values(t, p), (p - t) * 0.505)  # noqa: E731
    assert check_gradients(nearly, TRUE, PRED, tolerance=0.02)["y_pred"] == pytest.approx(0.01, rel=0.02)


def test_any_slope_at_a_kink_is_right() -> None:
    assert check_gradients("mae", TRUE, TRUE)["y_pred"] < 1e-6
    assert check_gradients(layers.ReLU(dtype="float64"), np.zeros((2, 3)))["x"] < 1e-6


def test_as_many_values_as_asked_for() -> None:
    calls = []

    def counted(t: Any, p: Any) -> Any:
        calls.append(1)
        return np.square(p - t).mean(axis=-1), (p - t) / 2

    check_gradients(counted, TRUE, PRED, count=5)
    assert len(calls) == 2 + 2 * 5


MIXED: dict[str, tuple[Callable[[], Any], str]] = {
    "neither": (lambda: check_gradients(3, TRUE, PRED), "tested must be a loss or a layer, got 3"),
    "none": (lambda: check_gradients(None, TRUE, PRED), "tested must be a loss or a layer, got None"),
    "model": (lambda: check_gradients(pyrnn.Sequential(), X), "tested must be a loss or a layer, got <Sequential"),
    "layer-and-weights": (
        lambda: check_gradients(layers.Dense(2), X, sample_weight=np.ones(4)),
        "y_pred and sample_weight must be left out for a layer",
    ),
    "states": (
        lambda: check_gradients(layers.LSTM(2, return_state=True), X),
        "tested must return one array, got tuple: remove return_state",
    ),
    "loss-and-mask": (lambda: check_gradients("mse", TRUE, PRED, mask=TRUE > 0), "y_pred, and no mask"),
    "loss-alone": (lambda: check_gradients("mse", TRUE), "a loss needs y_true and y_pred"),
}


@pytest.mark.parametrize("case", MIXED)
def test_arguments_of_the_other_kind(case: str) -> None:
    call, message = MIXED[case]
    with pytest.raises(TypeError, match=message):
        call()


def test_the_example_runs() -> None:
    assert doctest.testmod(importlib.import_module("pyrnn.utils.gradients")) == (0, 6)
