"""Losses: values compared with formulas, gradients with finite differences, weights, reductions, names."""

from __future__ import annotations

import inspect
import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import Sequential, layers, losses, metrics

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(6, 3)) + 2
PROBABILITIES = RNG.uniform(0.05, 0.95, size=(6, 3))
LABELS = RNG.integers(0, 2, size=(6, 3)).astype(float)
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0, 2]]
CLASSES = np.array([0, 2, 1, 1, 0, 2])


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def normalised(p: np.ndarray) -> np.ndarray:
    return p / p.sum(-1, keepdims=True)


def huber(error: np.ndarray, delta: float) -> np.ndarray:
    size = np.abs(error)
    return np.where(size <= delta, error**2 / 2, delta * size - delta**2 / 2)


# name -> (loss, y_true, y_pred, the values of each sample)
CASES: dict[str, tuple[Any, np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "mse": ("mse", NUMBERS, NUMBERS[::-1], lambda t, p: ((t - p) ** 2).mean(-1)),
    "mae": ("mean_absolute_error", NUMBERS, NUMBERS[::-1], lambda t, p: np.abs(t - p).mean(-1)),
    "mape": ("mape", NUMBERS, NUMBERS[::-1], lambda t, p: 100 * np.abs((t - p) / t).mean(-1)),
    "msle": ("MSLE", np.abs(NUMBERS), np.abs(NUMBERS[::-1]), lambda t, p: (np.log((t + 1) / (p + 1)) ** 2).mean(-1)),
    "huber": (losses.Huber(delta=0.7), NUMBERS, NUMBERS[::-1], lambda t, p: huber(t - p, 0.7).mean(-1)),
    "log_cosh": (losses.LogCosh(), NUMBERS, NUMBERS[::-1], lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    "bce": (
        "binary_crossentropy",
        LABELS,
        PROBABILITIES,
        lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1),
    ),
    "bce-logits-smoothed": (
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        LABELS,
        NUMBERS,
        lambda t, z: (np.log(1 + np.exp(z)) - (0.9 * t + 0.05) * z).mean(-1),
    ),
    "cce": ("categorical_crossentropy", ONE_HOT, PROBABILITIES, lambda t, p: -(t * np.log(normalised(p))).sum(-1)),
    "cce-logits-smoothed": (
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        ONE_HOT,
        NUMBERS,
        lambda t, z: -((0.7 * t + 0.1) * log_softmax(z)).sum(-1),
    ),
    "scce": (
        "sparse_categorical_crossentropy",
        CLASSES,
        PROBABILITIES,
        lambda t, p: -np.log(normalised(p))[np.arange(6), t],
    ),
    "scce-logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
        NUMBERS,
        lambda t, z: -log_softmax(z)[np.arange(6), t],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str) -> None:
    identifier, y_true, y_pred, formula = CASES[name]
    loss = losses.as_loss(identifier)
    assert loss is not None
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    assert_close(value, formula(y_true, y_pred).mean(), y_pred.size)
    for index in np.ndindex(y_pred.shape):
        around = []
        for step in (1e-6, -1e-6):
            moved = y_pred.copy()
            moved[index] += step
            around.append(formula(y_true, moved).mean())
        assert abs((around[0] - around[1]) / 2e-6 - gradient[index]) < 1e-7


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_weights_and_reductions(reduction: str) -> None:
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    values = ((NUMBERS - NUMBERS[::-1]) ** 2).mean(-1)
    expected = (values * weights).sum()
    expected /= {"sum_over_batch_size": 6, "sum": 1, "mean_with_sample_weight": weights.sum()}[reduction]
    loss = losses.MeanSquaredError(reduction=reduction)
    value, gradient = loss.value_and_gradient(NUMBERS, NUMBERS[::-1], weights)
    assert_close(value, expected, 18)
    assert_close(loss(NUMBERS, NUMBERS[::-1], weights), expected, 18)
    assert (gradient[0] == 0).all() and (gradient[5] != 0).all()


def test_no_reduction_gives_each_sample() -> None:
    loss = losses.MeanAbsoluteError(reduction="none")
    assert_close(loss(NUMBERS, NUMBERS[::-1]), np.abs(NUMBERS - NUMBERS[::-1]).mean(-1), 3)
    with pytest.raises(ValueError, match="reduction='none' gives no single value"):
        loss.value_and_gradient(NUMBERS, NUMBERS[::-1])


def test_masked_steps_do_not_count_in_the_mean() -> None:
    y_true, y_pred = RNG.normal(size=(2, 4, 1)), RNG.normal(size=(2, 4, 1))
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    value, gradient = losses.MeanSquaredError().value_and_gradient(y_true, y_pred, None, mask)
    assert_close(value, ((y_true - y_pred)[..., 0] ** 2)[mask].mean(), 8)
    assert (gradient[~mask] == 0).all()


def test_mape_at_zero_labels_is_limited_as_in_keras() -> None:
    value, _ = losses.MeanAbsolutePercentageError().value_and_gradient(np.zeros((1, 1)), np.full((1, 1), 1e-7))
    assert_close(value, 100.0, 1)


@pytest.mark.parametrize("name", sorted(losses.NAMES.keys() - {"mase", "MASE"}))  # which needs a scale
def test_names_and_configs(name: str) -> None:
    loss = losses.as_loss(name)
    assert loss is not None
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    if name in losses.FUNCTIONS:
        assert type(losses.as_loss(losses.FUNCTIONS[name])) is type(loss)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.as_loss("mean_square_error"), ValueError, "did you mean 'mean_squared_error'"),
        (lambda: losses.as_loss(3), TypeError, "loss must be"),
        (lambda: losses.Huber(reduction="median"), ValueError, "reduction must be one of"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), ValueError, "label_smoothing"),
        (
            lambda: losses.as_loss("mse").value_and_gradient(np.zeros((4, 3)), np.zeros((4, 2))),
            ValueError,
            "y_true must",
        ),
        (
            lambda: losses.as_loss("sparse_categorical_crossentropy").value_and_gradient(
                np.array([3]), np.ones((1, 3))
            ),
            ValueError,
            r"y_true must lie in 0..2, got 3..3",
        ),
        (
            lambda: losses.as_loss("mse").value_and_gradient(np.zeros((4, 1)), np.zeros((4, 1)), np.ones(3)),
            ValueError,
            "sample_weight must broadcast",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


NEW: dict[str, tuple[losses.Loss, np.ndarray, np.ndarray]] = {
    "zero-safe": (losses.ZeroSafeMAPE(), np.where(LABELS > 0, NUMBERS, 0), NUMBERS[::-1]),
    "smape": (losses.SymmetricMAPE(), NUMBERS, NUMBERS[::-1]),
    "quantile": (losses.Quantile(0.9), NUMBERS, NUMBERS[::-1]),
    "quantiles": (losses.Quantile([0.1, 0.5, 0.9]), NUMBERS[:, 0], NUMBERS[::-1]),
    "mase": (losses.MASE(scale=2.5), NUMBERS, NUMBERS[::-1]),
    "nll": (losses.GaussianNLL(full=True), NUMBERS, RNG.normal(size=(6, 6))),
    "circle": (losses.Circle(gamma=3.0), CLASSES, NUMBERS / np.linalg.norm(NUMBERS, axis=1, keepdims=True) * 0.9),
}


@pytest.mark.parametrize("case", NEW)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_the_others(case: str, weighted: bool) -> None:
    loss, y_true, y_pred = NEW[case]
    weight = np.linspace(0.5, 2, 6) if weighted else None
    gradient = loss.value_and_gradient(y_true, y_pred, weight)[1]
    for index in np.ndindex(y_pred.shape):
        values = []
        for step in (1e-6, -1e-6):
            moved = y_pred.copy()
            moved[index] += step
            values.append(loss(y_true, moved, weight))
        np.testing.assert_allclose(gradient[index], (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-7)
    again = losses.deserialize(losses.serialize(loss))
    assert again is not None and again.get_config() == loss.get_config()


def test_forecasters_losses_by_hand() -> None:
    true, pred = np.array([[100.0], [0.0], [50.0]]), np.array([[110.0], [7.0], [40.0]])
    assert losses.ZeroSafeMAPE()(true, pred) == pytest.approx((10 + 20) / 2)
    assert losses.SymmetricMAPE()(true, pred) == pytest.approx((200 * 10 / 210 + 200 + 200 * 10 / 90) / 3)
    assert losses.Quantile(0.9)(true, pred) == pytest.approx((0.1 * 10 + 0.1 * 7 + 0.9 * 10) / 3)
    scale = losses.naive_scale([1, 3, 2, 6, 5], seasonality=2)
    assert scale == pytest.approx((1 + 3 + 3) / 3)
    assert losses.MASE(scale=scale)(true, pred) == pytest.approx(9 / scale)
    both = np.concatenate([pred, np.log([[4.0], [1.0], [9.0]])], axis=1)
    expected = np.mean([(np.log(4) + 25) / 2, 49 / 2, (np.log(9) + 100 / 9) / 2])
    assert losses.GaussianNLL()(true, both) == pytest.approx(expected)


def pairs_mse(y_true: Any, y_pred: Any) -> Any:
    error = y_pred - y_true
    return (error**2).mean(axis=-1), 2 * error / error.shape[-1]


def traced_mse(y_true: Any, y_pred: Any) -> Any:
    return np.mean(np.square(y_pred - y_true), axis=-1)


class OwnLoss(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return np.mean(np.abs(y_pred - y_true) ** 2, axis=-1)


@pytest.mark.parametrize("custom", [pairs_mse, traced_mse, OwnLoss()], ids=["pairs", "autograd", "call"])
def test_a_users_loss(custom: Any) -> None:
    loss, mse = losses.as_loss(custom), losses.MeanSquaredError()
    assert loss is not None
    for weight in (None, np.linspace(1, 2, 6)):
        actual = loss.value_and_gradient(NUMBERS, NUMBERS[::-1], weight)
        expected = mse.value_and_gradient(NUMBERS, NUMBERS[::-1], weight)
        assert actual[0] == pytest.approx(expected[0])
        np.testing.assert_allclose(actual[1], expected[1], rtol=1e-12)


def in_place(y_true: Any, y_pred: Any) -> Any:
    y_pred[y_pred < 0] = 0
    return np.square(y_pred - y_true).mean(axis=-1), y_pred - y_true


def in_place_of_the_data(y_true: Any, y_pred: Any) -> Any:
    y_true -= y_true.mean()
    return np.square(y_pred - y_true).mean(axis=-1)


def of_a_copy(y_true: Any, y_pred: Any) -> Any:
    error = y_pred - y_true
    error *= 2  # an array of its own
    return np.mean(np.square(error), axis=-1)


def masked(y_true: Any, y_pred: Any) -> Any:
    error = y_pred - y_true
    error[error < 0] = 0
    return np.mean(error, axis=-1)


def filled(y_true: Any, y_pred: Any) -> Any:
    values = np.zeros(len(y_pred))
    for i in range(len(values)):
        values[i] = np.square(y_pred[i] - y_true[i]).sum()
    return values


class InPlace(losses.Loss):
    def elements(self, y_true: Any, y_pred: Any) -> Any:
        y_pred *= 2
        return y_pred.mean(axis=-1), np.ones_like(y_pred)


class InPlacePairs(losses.MeanSquaredError):
    def pairs(self, y_true: Any, y_pred: Any) -> Any:
        y_pred -= y_true
        return y_pred**2, 2 * y_pred


class InPlaceCall(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true += 1
        return np.mean(y_pred - y_true, axis=-1)


IN_PLACE: dict[str, tuple[Any, str]] = {
    "predictions": (in_place, r"'in_place' assigns to y_true or y_pred in place: work on a copy, y_pred = y_pred.copy"),
    "targets": (in_place_of_the_data, "'in_place_of_the_data' assigns to y_true or y_pred in place"),
    "elements": (InPlace(), "'InPlace' assigns to y_true or y_pred in place"),
    "pairs": (InPlacePairs(), "'InPlacePairs' assigns to y_true or y_pred in place"),
    "call": (InPlaceCall(), "'call' assigns to y_true or y_pred in place"),
    "masked": (masked, r"'masked', since it assigns to an array, as in y\[i\] = ...: make the array by np.where"),
    "filled": (filled, r"'filled', since it assigns to an array, .* or return \(value, gradient\)"),
}


@pytest.mark.parametrize("case", IN_PLACE)
def test_a_users_loss_that_assigns_in_place(case: str) -> None:
    """It would change the user's data, or outputs that layers need for their gradients."""
    loss, message = IN_PLACE[case]
    y_true, y_pred = NUMBERS.copy(), NUMBERS[::-1].copy()
    with pytest.raises(ValueError, match=message) as caught:
        losses.as_loss(loss).value_and_gradient(y_true, y_pred)  # type: ignore[union-attr]
    assert len(str(caught.value).splitlines()) == 1
    assert np.array_equal(y_true, NUMBERS) and np.array_equal(y_pred, NUMBERS[::-1])
    assert y_true.flags.writeable and y_pred.flags.writeable


def test_a_users_loss_may_change_arrays_of_its_own_and_raise_errors_of_its_own() -> None:
    value, _ = losses.as_loss(of_a_copy).value_and_gradient(NUMBERS, NUMBERS[::-1])  # type: ignore[union-attr]
    assert value == pytest.approx(4 * losses.MeanSquaredError()(NUMBERS, NUMBERS[::-1]))

    def refuses(y_true: Any, y_pred: Any) -> Any:
        raise ValueError("not today")

    with pytest.raises(ValueError, match=r"^not today$"):
        losses.as_loss(refuses).value_and_gradient(NUMBERS, NUMBERS)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "function",
    [
        lambda y_true, y_pred: math.sqrt(np.mean(np.square(y_true - y_pred))),
        lambda y_true, y_pred: float(np.mean(np.square(y_true - y_pred))),
    ],
    ids=["math", "float"],
)
def test_a_users_loss_that_calls_what_autograd_cannot_follow(function: Any) -> None:
    message = r"it calls a function that is not NumPy's.*or return \(value, gradient\)"
    with pytest.raises(ValueError, match=message) as caught:
        losses.as_loss(function).value_and_gradient(NUMBERS, NUMBERS[::-1])  # type: ignore[union-attr]
    assert "ArrayBox" not in str(caught.value)


METRICS = ["rmse", "RMSE", "root_mean_squared_error", "RootMeanSquaredError", metrics.RootMeanSquaredError()]


@pytest.mark.parametrize("metric", [*METRICS, "accuracy", "ce", "AUC", "r2_score", metrics.AUC, metrics.Precision()])
def test_a_metric_as_a_loss(metric: Any) -> None:
    with pytest.raises(ValueError, match="is a metric: pass it in metrics=") as caught:
        losses.as_loss(metric)
    assert ("loss='mse', its square" in str(caught.value)) == (metric in METRICS)


@pytest.mark.parametrize("name", ["crossentropy", "ce", "CE"])
@pytest.mark.parametrize(
    ("units", "y", "same"),
    [
        (1, [0, 1, 1, 0], "binary_crossentropy"),
        (3, [0, 1, 2, 0], "sparse_categorical_crossentropy"),
        (3, [[0], [1], [2], [0]], "sparse_categorical_crossentropy"),
        (3, np.eye(3)[[0, 1, 2, 0]].tolist(), "categorical_crossentropy"),
    ],
)
def test_crossentropy_takes_the_form_that_fits_the_shapes(
    name: str, units: int, y: Any, same: str, tmp_path: Path
) -> None:
    x, results = np.linspace(0, 1, 12).reshape(4, 3), []
    for loss in (name, same):
        pyrnn.utils.set_random_seed(0)
        activation = "sigmoid" if units == 1 else "softmax"
        model = pyrnn.Sequential([pyrnn.Input((3,)), pyrnn.layers.Dense(units, activation=activation)])
        model.compile("sgd", loss, metrics=["accuracy"])
        results.append(model.fit(x, np.array(y), epochs=2, verbose=0).history)
        model.save(tmp_path / "m.keras")
        results[-1]["loaded"] = pyrnn.load_model(tmp_path / "m.keras").evaluate(x, np.array(y), verbose=0)
    assert results[0] == results[1]


def test_a_users_loss_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"must return \(value, gradient of shape \(6, 3\)\)"):
        losses.as_loss(lambda t, p: (1.0, 2.0)).value_and_gradient(NUMBERS, NUMBERS)
    with pytest.raises(ValueError, match="autograd cannot differentiate"):
        losses.as_loss(lambda t, p: np.median(p)).value_and_gradient(NUMBERS, NUMBERS)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "mask": (
        lambda: losses.Dice(axis=(1, 2)).value_and_gradient(
            np.ones((2, 3, 1)), np.full((2, 3, 1), 0.5), None, np.ones((2, 3), bool)
        ),
        ValueError,
        r"mask must broadcast to the samples, shape \(2,\), got \(2, 3\)",
    ),
    "argument": (lambda: losses.mean_squared_error(NUMBERS, NUMBERS, delta=1), TypeError, "delta"),
    "reduction": (lambda: losses.huber(NUMBERS, NUMBERS, reduction="sum"), TypeError, "reduction"),
    "place": (lambda: losses.mean_squared_error(NUMBERS, NUMBERS, 1.0), TypeError, "too many positional"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused(case: str) -> None:
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()


def test_without_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autograd", None)
    loss = losses.as_loss(traced_mse)
    assert loss is not None
    with pytest.raises(ImportError, match=r"pip install 'pyrnn-core\[autograd\]'"):
        loss.value_and_gradient(NUMBERS, NUMBERS[::-1])


def test_custom_objects() -> None:
    result = losses.deserialize(
        {"class_name": "OwnLoss", "config": {}, "registered_name": "OwnLoss"}, custom_objects={"OwnLoss": OwnLoss}
    )
    assert type(result) is OwnLoss
    assert losses.deserialize("pairs_mse", {"pairs_mse": pairs_mse}) is pairs_mse


def test_get_returns_the_function_of_a_function_s_name() -> None:
    assert losses.get("mse") is losses.get(losses.mean_squared_error) is losses.mean_squared_error
    assert losses.deserialize(losses.serialize(losses.mean_squared_error)) is losses.mean_squared_error
    assert losses.get(pairs_mse) is pairs_mse and losses.get(None) is None
    loss = losses.FunctionLoss(pairs_mse)
    assert losses.get(loss) is loss


def test_a_loss_has_the_dtype_and_shape_of_its_array() -> None:
    loss = losses.MeanSquaredError()(NUMBERS, NUMBERS[::-1])
    assert (loss.dtype, loss.shape) == (str(loss.numpy().dtype), loss.numpy().shape) == ("float32", ())


def test_circle_with_references() -> None:
    labels, vectors = np.array([0, 1, 0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    same = losses.circle(labels, vectors, ref_labels=labels, ref_embeddings=vectors)
    np.testing.assert_array_equal(same, losses.circle(labels, vectors))
    more = losses.circle(labels, vectors, np.append(labels, 1), np.vstack([vectors, [[0.8, 0.6]]]))
    assert (more >= same).all() and (more > same).any()
    with pytest.raises(ValueError, match=r"ref_embeddings must have shape \(references, 2\).* got \(3, 1\)"):
        losses.circle(labels, vectors, ref_embeddings=vectors[:, :1])
    with pytest.raises(ValueError, match=r"ref_labels must hold one class number for each .* \(3,\), got \(2,\)"):
        losses.circle(labels, vectors, ref_labels=labels[:2])


def test_one_value_a_batch_with_weights() -> None:
    def whole(y_true: Any, y_pred: Any) -> Any:
        return np.square(y_pred - y_true).mean(), 2 * (y_pred - y_true) / y_pred.size

    loss, weight = losses.as_loss(whole), np.linspace(0, 2, 6)
    assert loss is not None
    plain, weighed = (
        loss.value_and_gradient(NUMBERS, NUMBERS[::-1], sample_weight) for sample_weight in (None, weight)
    )
    assert weighed[0] == pytest.approx(plain[0] * weight.mean())
    np.testing.assert_allclose(weighed[1], plain[1] * weight.mean(), rtol=1e-12)


class Scaled(losses.Elementwise):
    """A user's loss of pairs."""

    def pairs(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return 3 * (y_pred - y_true), np.full_like(y_pred, 3)


class Doubled(losses.MeanSquaredError):
    """A user's loss that extends what it inherits."""

    def elements(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        values, gradient = super().elements(y_true, y_pred)
        return 2 * values, 2 * gradient


class Halved(losses.MeanAbsoluteError):
    """A user's loss that extends the pairs that it inherits."""

    def pairs(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        values, slopes = super().pairs(y_true, y_pred)
        return values / 2, slopes / 2


class Called(losses.MeanAbsoluteError):
    """A user's loss that autograd differentiates."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return np.mean((y_true - y_pred) ** 4, axis=-1)


class CalledInstead(Doubled):
    """A user's `call` counts, not the `elements` that the class inherits."""

    call = Called.call


def with_gradient(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return np.abs(y_pred - y_true).sum(axis=-1), np.sign(y_pred - y_true)


CUSTOM: dict[str, Callable[[str], losses.Loss]] = {
    "pairs": lambda reduction: Scaled(reduction=reduction),
    "elements": lambda reduction: Doubled(reduction=reduction),
    "inherited pairs": lambda reduction: Halved(reduction=reduction),
    "call": lambda reduction: Called(reduction=reduction),
    "call instead of elements": lambda reduction: CalledInstead(reduction=reduction),
    "function": lambda reduction: losses.FunctionLoss(lambda t, p: np.log1p(np.square(p - t)).mean(-1)),
    "function with gradient": lambda reduction: losses.FunctionLoss(with_gradient),
}
BUILT_IN = {kind.__name__: lambda reduction, kind=kind: kind(reduction=reduction) for kind in losses.CLASSES}
BUILT_IN |= {
    "MASE": lambda reduction: losses.MASE(2.0, reduction=reduction),
    "Quantiles": lambda reduction: losses.Quantile([0.1, 0.5, 0.9], reduction=reduction),
    **{
        f"{kind.__name__} of logits": lambda reduction, kind=kind: kind(from_logits=True, reduction=reduction)
        for kind in losses.CLASSES
        if "from_logits" in inspect.signature(kind).parameters
    },
}


def batch_for(loss: losses.Loss, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and outputs that a loss accepts, of shape (5, 6) if it accepts any."""
    rng = np.random.default_rng(1)
    y_pred = rng.uniform(0.1, 0.9, (5, 3 if isinstance(loss, losses.Quantile) else 6)).astype(dtype)
    if loss.target_rule.startswith("hold one class"):
        return np.array([0, 3, 1, 1, 0]), y_pred
    shape = loss.target_shape(y_pred.shape) or y_pred.shape
    return rng.uniform(0.1, 0.9, shape).astype(dtype), y_pred


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("name", [*BUILT_IN, *CUSTOM])
def test_the_value_alone_has_the_same_bits(name: str, reduction: str, dtype: str) -> None:
    loss = (BUILT_IN | CUSTOM)[name](reduction)
    y_true, y_pred = batch_for(loss, dtype)
    weights, mask = np.array([1.0, 0.5, 0.0, 2.0, 1.5]), np.array([True, False, True, True, False])
    for sample_weight, masked in itertools.product((None, weights), (None, mask)):
        value, gradient = loss.value_and_gradient(y_true, y_pred, sample_weight, masked)
        assert loss.value(y_true, y_pred, sample_weight, masked) == value
        assert gradient.shape == y_pred.shape and gradient.dtype == y_pred.dtype
    values, gradient = loss.elements(loss.target(y_true, y_pred.shape), y_pred)
    assert loss.values(loss.target(y_true, y_pred.shape), y_pred).tobytes() == np.asarray(values).tobytes()
    assert gradient.shape == y_pred.shape


@pytest.mark.parametrize("name", BUILT_IN)
def test_evaluation_computes_no_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused squared error aside: the kernel writes its gradient in the same pass."""
    loss = BUILT_IN[name]("sum_over_batch_size")
    y_true, y_pred = batch_for(loss, "float32")
    computed = []
    lazy = type(loss).lazy_elements

    def counting(self: Any, y_true: Any, y_pred: Any) -> Any:
        values, gradient = lazy(self, y_true, y_pred)
        return values, lambda: computed.append(1) or gradient()

    monkeypatch.setattr(type(loss), "lazy_elements", counting)
    model = Sequential([layers.Input((6,)), layers.Dense(y_pred.shape[1], "sigmoid")])
    model.compile("sgd", loss)
    x, weights = np.ones((5, 6), np.float32), np.ones(5)
    model.evaluate(x, y_true, sample_weight=weights, verbose=0)
    assert not computed
    model.train_on_batch(x, y_true, sample_weight=weights)
    assert computed


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_users_loss_may_call_losses(name: str, reduction: str) -> None:
    loss = BUILT_IN[name](reduction)
    y_true, y_pred = batch_for(loss, "float64")
    plain = BUILT_IN[name]("sum" if reduction == "none" else reduction)

    def squared(y_true: Any, y_pred: Any) -> Any:
        values = np.sum(loss(y_true, y_pred))
        return values * values

    value, gradient = losses.as_loss(squared).value_and_gradient(y_true, y_pred)  # type: ignore[union-attr]
    part, slope = plain.value_and_gradient(y_true, y_pred)
    assert value == pytest.approx(part**2, rel=1e-5)
    np.testing.assert_allclose(gradient, 2 * part * slope, rtol=1e-4, atol=1e-5)


WEIGHTS = np.arange(6.0)


def test_losses_that_are_functions_take_part_in_a_users_loss() -> None:
    def both(y_true: Any, y_pred: Any) -> Any:
        weighted = losses.MeanSquaredError()(y_true, y_pred, sample_weight=WEIGHTS)
        return losses.mean_absolute_error(y_true, y_pred) + weighted

    y_true, y_pred = NUMBERS, NUMBERS[::-1].copy() + 0.1
    value, gradient = losses.as_loss(both).value_and_gradient(y_true, y_pred)  # type: ignore[union-attr]
    parts = [losses.MeanAbsoluteError(), losses.MeanSquaredError()]
    first = parts[0].value_and_gradient(y_true, y_pred)
    second = parts[1].value_and_gradient(y_true, y_pred, WEIGHTS)
    assert value == pytest.approx(first[0] + second[0])
    np.testing.assert_allclose(gradient, first[1] + second[1], rtol=1e-6)
    with pytest.raises(ValueError, match=r"y_true of the loss .* must be data"):
        losses.as_loss(lambda y_true, y_pred: losses.mean_squared_error(2 * y_pred, y_pred)).value_and_gradient(
            y_true, y_pred
        )  # type: ignore[union-attr]
