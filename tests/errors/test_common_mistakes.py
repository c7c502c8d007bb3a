"""Mistakes in ordinary scripts: the message says what is wrong and what to write instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import constraints, initializers, layers, losses, metrics, optimizers
from pyrnn.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from pyrnn.utils import to_categorical

X, Y = np.ones((4, 3, 2), np.float32), np.ones((4, 1), np.float32)


def model(**options: Any) -> pyrnn.Sequential:
    made = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1, name="forecast")])
    made.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return made


# Arguments.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model().fit(X, Y, epoch=3), "fit() got an unknown argument 'epoch'; did you mean 'epochs'?"),
        (
            lambda: model().fit(X, Y, workers=2),
            "fit() got 'workers', an argument that pyrnn does not have: pass workers",
        ),
        (lambda: model().predict(X, use_multiprocessing=True), "pass workers and max_queue_size to the PyDataset"),
        (lambda: model().evaluate(X, Y, batchsize=3), "evaluate() got an unknown argument 'batchsize'; did you mean"),
        (lambda: model().compile("sgd", "mse", metric=["mae"]), "'metric'; did you mean 'metrics'"),
        (lambda: model().fit_generator([], nb_epoch=2), "fit_generator() got 'nb_epoch', an argument of older Keras"),
        (
            lambda: layers.LSTM(3, time_major=True),
            "LSTM got 'time_major', an argument that pyrnn does not have: transp",
        ),
        (lambda: layers.Dense(3, lora_rank=2), "lora_rank must be left out, got 2: adapters"),
        (
            lambda: layers.Embedding(3, 2, quantization_config="int8"),
            "quantization_config must be left out, got 'int8'",
        ),
        (lambda: layers.Input((3, 2), ragged=True), "ragged must be left out, got True: pad the sequences with"),
        (
            lambda: layers.BatchNormalization(synchronized=True),
            "synchronized must be left out, got True: training runs",
        ),
        (lambda: layers.Dense(3, unit=2), "Dense got an unknown argument 'unit'; did you mean 'units'?"),
        (lambda: optimizers.Adam(rate=1), "Adam got an unknown argument 'rate'; known: learning_rate, beta_1"),
        (lambda: losses.Huber(detla=1), "Huber got an unknown argument 'detla'; did you mean 'delta'?"),
        (lambda: metrics.AUC(curves="PR"), "AUC got an unknown argument 'curves'; did you mean 'curve'?"),
        (
            lambda: EarlyStopping(pateince=3),
            "EarlyStopping got an unknown argument 'pateince'; did you mean 'patience'",
        ),
        (lambda: to_categorical([1], classes=3), "to_categorical() got an unknown argument 'classes'; did you mean"),
    ],
)
def test_unknown_arguments(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert message in str(caught.value)
    assert "self" not in str(caught.value) and "'unknown" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Dense(), "Dense() missing 1 required positional argument: 'units'"),
        (
            lambda: optimizers.schedules.ExponentialDecay(0.1),
            "ExponentialDecay() missing 2 required positional argumen",
        ),
        (lambda: model().predict(), "predict() missing 1 required positional argument: 'x'"),
        (lambda: losses.naive_scale(1, 2, 3, 4), "naive_scale() takes from 1 to 3 positional arguments but 4 were"),
    ],
)
def test_arguments_that_are_missing(call: Callable[[], Any], message: str) -> None:
    """The message names the class or function that was called, not the base class that defines it."""
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_a_type_error_from_within_is_left_alone() -> None:
    def grows(epoch: int, rate: float) -> float:
        return rate + "1"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        model().fit(X, Y, callbacks=[LearningRateScheduler(grows)], verbose=0)
    assert caught.traceback[-1].name == "grows"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layers.Dense(2, kernel_constraint=lambda: 1),
            "must be a function of (weight), got the function <lambda>()",
        ),
        (lambda: LearningRateScheduler(lambda a, b, c: 1), "of 1 to 2 arguments, got the function <lambda>(a, b, c)"),
        (
            lambda: LambdaCallback(on_epoch_end=lambda epoch: 1),
            "a function of 2 arguments, got the function <lambda>(epoch)",
        ),
        (lambda: model().summary(print_fn=lambda: 1), "a function of 1 argument, got the function <lambda>()"),
        (lambda: layers.Bidirectional(layers.LSTM), "must be a recurrent layer, got the class LSTM"),
        (lambda: layers.Dense(object()), "units must be a positive integer, got <object object>"),
        (lambda: layers.Dense("a" * 200), f"units must be a positive integer, got '{'a' * 79}..."),
    ],
)
def test_what_was_received(call: Callable[[], Any], message: str) -> None:
    """Functions are shown with their arguments and classes by name; no address appears."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).endswith(message)


# Compile.


@pytest.mark.parametrize(
    "loss", ["mae", ["mae"], ("mae",), {"forecast": "mae"}, {"forecast": losses.MeanAbsoluteError()}], ids=str
)
@pytest.mark.parametrize("weight", [2.0, [2.0], {"forecast": 2.0}], ids=str)
@pytest.mark.parametrize("watched", [["mse"], ("mse",), [["mse"]], {"forecast": "mse"}, {"forecast": ["mse"]}], ids=str)
def test_forms_of_compile_for_one_output(loss: Any, weight: Any, watched: Any) -> None:
    """What Keras accepts per output may be a list with one entry or a dict with the last layer's name."""
    expected = model(loss="mae", loss_weights=2.0, metrics=["mse"]).evaluate(X, 3 * Y, verbose=0)
    made = model(loss=loss, loss_weights=weight, metrics=watched)
    made.set_weights([np.zeros_like(weight.numpy()) for weight in made.weights])
    assert made.evaluate(X, 3 * Y, verbose=0) == [6.0, 9.0] != expected
    again = pyrnn.models.model_from_json(made.to_json())
    assert again.metrics_names == made.metrics_names == ["loss", "mse"]
    weighted = model(weighted_metrics=watched)
    assert weighted.metrics_names == ["loss", "mse"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": {"dense": "mse"}},
            ["loss as a dict", "output is 'forecast'", "got {'dense': 'mse'}", "the entry itself"],
        ),
        ({"loss": {}}, ["loss as a dict", "output is 'forecast'"]),
        ({"loss": {"forecast": "mse", "other": "mse"}}, ["must have one entry", "'forecast'"]),
        ({"loss": ["mse", "mae"]}, ["loss must have one entry, since the model has one output, got 2: ['mse', 'mae']"]),
        ({"loss": []}, ["loss must have one entry, since the model has one output, got 0"]),
        ({"metrics": {"dense": "mae"}}, ["metrics as a dict", "output is 'forecast'"]),
        ({"weighted_metrics": {"dense": ["mae"]}}, ["weighted_metrics as a dict", "output is 'forecast'"]),
        ({"loss_weights": {"dense": 1.0}}, ["loss_weights as a dict", "output is 'forecast'"]),
        ({"loss_weights": [1.0, 2.0]}, ["loss_weights must have one entry, since the model has one output, got 2"]),
    ],
    ids=str,
)
def test_wrong_forms_of_compile(options: dict[str, Any], message: list[str]) -> None:
    made = model()
    before = made.get_compile_config()
    with pytest.raises(ValueError) as caught:
        made.compile("adam", **{"loss": "mse", **options})
    assert [each for each in message if each not in str(caught.value)] == []
    assert made.get_compile_config() == before


def test_a_loss_by_name_of_an_output_that_is_not_there_yet() -> None:
    with pytest.raises(ValueError, match="the model has no layers yet"):
        pyrnn.Sequential().compile("sgd", {"dense": "mse"})


# Functions and objects of users.


def broken(*result: Any) -> Callable[..., Any]:
    return lambda *arrays: result if len(result) > 1 else result[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: model(loss=lambda y: y),
            "a loss must be a function of (y_true, y_pred), got the function <lambda>(y)",
        ),
        (lambda: model(metrics=[lambda y: y]), "a metric must be a function of (y_true, y_pred), got the function"),
        (lambda: metrics.MeanMetricWrapper(3), "a metric must be a function of (y_true, y_pred), got 3"),
        (lambda: metrics.MeanMetricWrapper(lambda t, p: p, axis=1), "a function of (y_true, y_pred, axis), got"),
        (
            lambda: model(metrics=[broken("x")]).evaluate(X, Y, verbose=0),
            "the metric 'lambda' must return numbers, got 'x'",
        ),
        (lambda: model(loss=broken("x")).fit(X, Y, verbose=0), "the loss '<lambda>' must return numbers, got 'x'"),
        (lambda: model(loss=broken(None)).fit(X, Y, verbose=0), "the loss '<lambda>' must return numbers, got None"),
        (
            lambda: model(loss=broken(1.0, np.zeros(3))).fit(X, Y, verbose=0),
            "the loss '<lambda>' must return (value, gradient of shape (4, 1)), got shapes [(), (3,)]",
        ),
        (lambda: layers.Lambda(lambda: 3), "function must be a function of (x), got the function <lambda>()"),
        (lambda: layers.Lambda(None), "function must be a function of (x), got None"),
        (lambda: layers.Lambda(lambda x: x, arguments={"scale": 2}), "function must be a function of (x, scale), got"),
        (
            lambda: layers.Lambda(lambda x: x, gradient=lambda dy: dy),
            "gradient must be a function of (x, y, dy), got the function <lambda>(dy)",
        ),
        (
            lambda: layers.Dense(3, kernel_initializer=lambda shape, dtype: np.zeros(2)).build((None, 2)),
            "initializer of weight 'kernel' must return an array of its shape (2, 3), got (2,)",
        ),
        (
            lambda: layers.Dense(3, kernel_initializer=lambda shape, dtype: "a").build((None, 2)),
            "initializer of weight 'kernel' must return an array of its shape (2, 3), got ()",
        ),
        (
            lambda: initializers.Constant(np.zeros((3, 3)))((2, 4)),
            "value of Constant must fit the weight's shape (2, 4), got shape (3, 3)",
        ),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), "min_value must be at most max_value = 1.0, got 2.0"),
        (lambda: constraints.MaxNorm(axis="a"), "axis must be an integer or a list of integers, got 'a'"),
        (
            lambda: layers.Dense(3, kernel_regularizer=0.01),
            "name or an object of class Regularizer, got 0.01: write L2",
        ),
        (
            lambda: layers.Dense(3, activation=layers.ReLU),
            "must be a name such as 'relu', a function of an array or a layer, got the class ReLU",
        ),
        (
            lambda: layers.StackedRNNCells([layers.LSTMCell(2), 3]),
            "cells must be SimpleRNNCell, LSTMCell, GRUCell or a layer that defines state_size and",
        ),
        (lambda: layers.StackedRNNCells(3), "cells must be a list or tuple, got 3"),
        (lambda: layers.Reshape(6), "target_shape must be a list or tuple, got 6"),
        (lambda: pyrnn.Sequential(layers.Dense(1, name="d")), "got <Dense name=d, built=False>; write [layer]"),
        (lambda: pyrnn.Sequential.from_config({}), "config of a Sequential must hold a list of layers, got {}"),
        (lambda: pyrnn.Sequential.from_config(3), "config of a Sequential must hold a list of layers, got 3"),
        (lambda: model().fit(X, Y, callbacks=[EarlyStopping]), "got the class EarlyStopping: write EarlyStopping(...)"),
        (lambda: model(metrics={"mae"}), "metrics must be a list such as ['mae'], got {'mae'}"),
        (lambda: model().fit(3), "x must have one row per sample, got 3"),
        (lambda: model().fit("data.csv", Y), "x must hold numbers, got 'data.csv'"),
        (lambda: model().optimizer.build(3), "parameters must be those of a model, model.parameters(), got 3"),
        (
            lambda: model(optimizer=optimizers.SGD(lambda: "a")).fit(X, Y, verbose=0),
            "learning_rate must be a function that returns a number, got 'a'",
        ),
        (
            lambda: layers.PReLU(shared_axes=[5])(X),
            "shared_axes must name different axes of x of shape (4, 3, 2), got [5]",
        ),
        (
            lambda: ModelCheckpoint("m-{epoch.keras"),
            "filepath must be a format such as 'm-{epoch}.keras', got 'm-{epoch",
        ),
        (
            lambda: model().fit(X, Y, callbacks=[ModelCheckpoint("m-{epoch:s}.keras")], verbose=0),
            "filepath 'm-{epoch:s}.keras' cannot be filled in from the logs: Unknown format code 's'",
        ),
        (lambda: layers.Input(), "Input takes either shape or batch_shape, got neither"),
        (lambda: layers.Input((3,), batch_shape=(2, 3)), "either shape or batch_shape, got (3,) and (2, 3)"),
        (
            lambda: layers.Dense(2).build((3, None)),
            "Dense must know the number of features, got x of shape (3, None): s",
        ),
    ],
)
def test_mistakes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert message in str(caught.value)


def test_a_constraint_that_changes_the_shape() -> None:
    made = pyrnn.Sequential([pyrnn.Input((2,)), layers.Dense(3, kernel_constraint=lambda w: np.zeros(5), name="d")])
    made.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"constraint of weight '\w+/d/kernel' must return .* \(2, 3\), got \(5,\)"):
        made.fit(np.ones((2, 2)), np.ones((2, 3)), verbose=0)


# Callbacks.

MONITORING: dict[str, tuple[Callable[..., Callback], str]] = {
    "EarlyStopping": (EarlyStopping, "This epoch is not counted."),
    "ReduceLROnPlateau": (ReduceLROnPlateau, "The learning rate is not changed."),
    "ModelCheckpoint": (
        lambda monitor: ModelCheckpoint("m.keras", monitor, save_best_only=True),
        "The model is saved without a comparison.",
    ),
}


@pytest.mark.parametrize(
    ("monitor", "options", "hint"),
    [
        ("val_loss", {}, "not in the logs (loss, mae): pass validation_data or validation_split to fit. "),
        ("val_mse", {"validation_split": 0.5}, "did you mean 'val_mae' or 'val_loss'? "),
    ],
)
@pytest.mark.parametrize("name", MONITORING)
def test_a_missing_monitor(
    name: str, monitor: str, options: dict[str, Any], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every callback warns at the line that called `fit`, and says what to do."""
    monkeypatch.chdir(tmp_path)
    make, consequence = MONITORING[name]
    made = model(metrics=["mae"])
    with pytest.warns(UserWarning) as caught:
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        made.fit(X, Y, callbacks=[make(monitor)], verbose=0, **options)
    assert [(each.filename, each.lineno) for each in caught] == [(__file__, line)]
    message = str(caught[0].message)
    assert message.startswith(f"{name} monitors {monitor!r}, which is ") and message.endswith(consequence)
    assert hint in message


@pytest.mark.parametrize(("monitor", "hint"), [("maee", "did you mean 'mae'?"), ("harmony", "monitor one of these.")])
@pytest.mark.parametrize("name", MONITORING)
def test_a_missing_monitor_whose_name_tells_no_direction(
    name: str, monitor: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rule = re.escape(
        f"{name} monitors {monitor!r}, which is not in the logs (loss, mae): {hint} Nor does the name tell"
    )
    with pytest.raises(ValueError, match=rule):
        model(metrics=["mae"]).fit(X, Y, callbacks=[MONITORING[name][0](monitor)], verbose=0)
