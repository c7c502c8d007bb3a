"""Losses of several outputs at once, and several losses of one output: numbers, gradients, names, files, errors."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers, ops

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 3)).astype("float32")
A, B = (RNG.normal(size=(6, 1)).astype("float32") for _ in range(2))
Pair = collections.namedtuple("Pair", ["a", "b"])


def both(y_true: Any, y_pred: Any) -> Any:
    """The mean square of the sum of the errors of two outputs."""
    (ta, tb), (pa, pb) = (each.values() if isinstance(each, dict) else each for each in (y_true, y_pred))
    return ops.mean(ops.square(pa - ta + pb - tb), axis=-1)


def close(actual: Any, expected: Any) -> None:
    assert_close(np.asarray(actual, np.float32), np.asarray(expected), terms=64)


def model_of(structure: Any) -> Any:
    x = pyrnn.Input((3,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)
    return pyrnn.Model(x, {"list": [a, b], "tuple": (a, b), "pair": Pair(a, b), "dict": {"a": a, "b": b}}[structure])


def targets(structure: str) -> Any:
    return {"list": [A, B], "tuple": (A, B), "pair": Pair(A, B), "dict": {"a": A, "b": B}}[structure]


@pytest.mark.parametrize("structure", ["tuple", "pair", "dict"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_two_outputs_adds_to_those_of_each(structure: str, weighted: bool) -> None:
    pyrnn.utils.set_random_seed(1)
    model = model_of(structure)
    each = {"dict": {"a": "mse", "b": "mae"}, "tuple": ("mse", "mae"), "pair": Pair("mse", "mae")}[structure]
    factors = {"dict": {"a": 2.0, "b": 3.0}, "tuple": (2.0, 3.0), "pair": Pair(2.0, 3.0)}[structure]
    rate = 0.1
    model.compile(pyrnn.optimizers.SGD(rate), [both, each], loss_weights=[5.0, factors] if weighted else None)
    kernels = [model.get_layer(name).kernel.numpy().astype(float) for name in "ab"]
    errors = [X @ kernel - y for kernel, y in zip(kernels, (A, B), strict=True)]
    plain = [np.mean((errors[0] + errors[1]) ** 2), np.mean(errors[0] ** 2), np.mean(abs(errors[1]))]
    scale = (5.0, 2.0, 3.0) if weighted else (1.0, 1.0, 1.0)
    logs = model.train_on_batch(X, targets(structure), return_dict=True)
    assert set(logs) == {"loss", "a_b_loss", "a_loss", "b_loss"}
    close([logs["a_b_loss"], logs["a_loss"], logs["b_loss"]], plain)
    close(logs["loss"], np.dot(scale, plain))
    shared = scale[0] * 2 * (errors[0] + errors[1])
    slopes = [shared + scale[1] * 2 * errors[0], shared + scale[2] * np.sign(errors[1])]
    for name, kernel, slope in zip("ab", kernels, slopes, strict=True):
        close(model.get_layer(name).kernel.numpy(), kernel - rate * X.T @ slope / 6)


def test_several_losses_of_one_output_are_added_and_logged_together() -> None:
    model = model_of("list")
    model.compile("sgd", ["mse", ["mse", "mae"]], loss_weights=[1.0, [1.0, 0.5]])
    a, b = model.predict(X, verbose=0)
    logs = model.evaluate(X, [A, B], verbose=0, return_dict=True)
    close(logs["a_loss"], np.mean((a - A) ** 2))
    close(logs["b_loss"], np.mean((b - B) ** 2) + np.mean(abs(b - B)))
    close(logs["loss"], logs["a_loss"] + np.mean((b - B) ** 2) + 0.5 * np.mean(abs(b - B)))


def test_sample_weights_reach_a_loss_of_two_outputs() -> None:
    weight = np.array([0, 1, 2, 0, 1, 2], "float32")
    model = model_of("tuple")
    model.compile("sgd", [both, (None, None)])
    a, b = model.predict(X, verbose=0)
    expected = np.mean(weight[:, None] * (a - A + b - B) ** 2)
    for passed in (weight, [weight, weight]):
        close(model.evaluate(X, (A, B), sample_weight=passed, verbose=0), expected)
    with pytest.raises(ValueError, match="sample_weight must be the same for all outputs of the loss 'a_b'"):
        model.evaluate(X, (A, B), sample_weight=[weight, 2 * weight], verbose=0)


def test_a_custom_loss_object_takes_a_structure() -> None:
    class Both(pyrnn.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return both(y_true, y_pred)

    model = model_of("dict")
    model.compile("sgd", [Both(reduction="sum"), {"a": None, "b": None}])
    y = model.predict(X, verbose=0)
    expected = np.sum((y["a"] - A + y["b"] - B) ** 2)
    close(model.evaluate(X, targets("dict"), verbose=0), expected)


def test_nested_outputs_have_losses_at_any_level() -> None:
    x = pyrnn.Input((3,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)
    model = pyrnn.Model(x, {"p": (a, b), "q": {"r": b}})
    model.compile("sgd", {"p": [both, (None, "mse")], "q": {"r": "mae"}})
    history = model.fit(X, {"p": (A, B), "q": {"r": B}}, verbose=0).history
    assert sorted(history) == ["loss", "p/b_loss", "p_loss", "q/r_loss"]


def test_nested_losses_go_through_files(tmp_path: Path) -> None:
    model = model_of("tuple")
    model.compile("sgd", [both, ("mse", "mae")], loss_weights=[0.5, (1.0, 2.0)])
    model.fit(X, (A, B), verbose=0)
    model.save(tmp_path / "m.keras")
    read = pyrnn.load_model(tmp_path / "m.keras", custom_objects={"both": both})
    assert read.evaluate(X, (A, B), verbose=0) == model.evaluate(X, (A, B), verbose=0)


@pytest.mark.parametrize(
    ("structure", "loss", "weights", "text"),
    [
        ("dict", [{"c": "mse"}, {"a": "mse"}], None, r"got loss\['c'\], where there is no output"),
        ("tuple", [both, {"a": "mse"}], None, "must have the structure of the outputs, which are a tuple there"),
        ("tuple", ["mse", ("mse", "mae")], None, "'mean_squared_error' is of one output"),
        ("tuple", [both, ("mse", "mae")], [1.0, 2.0], "one number for each of the 3 entries of loss, got 2"),
    ],
)
def test_structures_that_do_not_fit(structure: str, loss: Any, weights: Any, text: str) -> None:
    model = model_of(structure)
    with pytest.raises((TypeError, ValueError), match=text):
        model.compile("sgd", loss, loss_weights=weights)
    assert not model.compiled


def test_what_a_loss_of_two_outputs_may_return() -> None:
    model = model_of("tuple")
    model.compile("sgd", [lambda y, p: [p[0], p[1]], (None, None)])
    before = model.get_weights()
    with pytest.raises(TypeError, match="of several outputs must return one array"):
        model.fit(X, (A, B), verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_the_warning_of_a_loss_that_is_not_finite_names_the_outputs() -> None:
    model = model_of("tuple")
    model.compile("sgd", [lambda y, p: ops.log(-ops.abs(p[0] * p[1])), (None, None)])
    with pytest.warns(UserWarning, match="the loss of outputs 'a', 'b' is nan"), np.errstate(all="ignore"):
        model.evaluate(X, (A, B), verbose=0)
