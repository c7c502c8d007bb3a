"""Losses, metrics, layers, models, streams and the objects they use, called with every kind of bad data.

What holds no numbers is a TypeError, what is ragged a ValueError, in one sentence with the argument's name. Numbers of
a wrong shape raise such an error too, or fit after all by Keras's rules of broadcasting.
After an error, weights, states and the running values of metrics have the same bits as before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses, metrics

NO_NUMBERS: dict[str, Any] = {
    "object": object(),
    "none": None,
    "dict": {},
    "text": "no such\nthing",
    "empty": "",
    "bytes": b"12",
    "function": lambda: None,
    "complex": np.ones((4, 3), np.complex64),
    "texts": np.array([["1", "2", "3"]] * 4),
    "objects": np.full((4, 3), None),
    "dates": np.zeros((4, 3), "M8[D]"),
}
RAGGED = [[1.0, 2.0], [3.0]]
NUMBERS: dict[str, Any] = {
    "number": 1.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "huge": 2**63,
    "true": True,
    "list": [],
    "no-axis": np.float32(2),
    "one-axis": np.ones(4),
    "no-row": np.ones((0, 3)),
    "no-column": np.ones((4, 0)),
    "fewer-rows": np.ones((3, 3)),
    "more-columns": np.ones((4, 5)),
    "three-axes": np.ones((4, 3, 2)),
    "three-axes-of-one": np.ones((4, 3, 1)),
    "halves": np.full((4, 3), 0.5, np.float16),
    "whole": np.ones((4, 3), np.int8),
    "flags": np.ones((4, 3), bool),
    "all-nan": np.full((4, 3), np.nan),
    "huge-whole": np.full((4, 3), 2**64 - 1, np.uint64),
}


def complaint(call: Callable[[], Any], name: str, value: Any, label: str, others: tuple[str, ...] = ()) -> str | None:
    """Return what is wrong with the error of `call` for a bad value of the argument `name`; None if nothing is."""
    try:
        call()
    except (TypeError, ValueError) as error:
        message = str(error)
        if label in NO_NUMBERS and not isinstance(error, TypeError):
            return f"{name}={label}: {type(error).__name__}, not TypeError: {message}"
        if len(message.splitlines()) != 1 or not any(each in message for each in (name, *others)):
            return f"{name}={label}: {type(error).__name__}: {message}"
    except Exception as error:
        return f"{name}={label}: {type(error).__name__}: {error}"
    else:
        if label not in NUMBERS:
            return f"{name}={label} was taken"
    return None


BAD = {**NO_NUMBERS, "ragged": RAGGED, **NUMBERS}
PAIR = ("y_true", "y_pred")
TRIPLE = (*PAIR, "sample_weight")  # where two do not fit, either may be named
TRUE, PRED = np.eye(4, 3), np.full((4, 3), 1 / 3, np.float32)
CLASSES = np.array([0, 2, 1, 0])


def data_for(name: str) -> dict[str, Any]:
    """Return valid data for a loss or metric of this name."""
    lowered = name.lower().replace("_", "")
    if lowered == "gaussiannll":
        return {"y_true": TRUE, "y_pred": np.ones((4, 6), np.float32)}
    is_sparse = "sparse" in lowered or lowered in ("circle", "categoricalgeneralizedcrossentropy")
    return {"y_true": CLASSES if is_sparse else TRUE, "y_pred": PRED}


FUNCTIONS = losses.FUNCTIONS | {
    name: function
    for name, function in vars(metrics).items()
    if inspect.isfunction(function) and {"y_true", "y_pred"} <= inspect.signature(function).parameters.keys()
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_losses_and_metrics(name: str, recwarn: pytest.WarningsRecorder) -> None:
    function, right = functools.partial(FUNCTIONS[name], **OPTIONS.get(name, {})), data_for(name)
    function(**right)
    complaints = [
        complaint(lambda arguments={**right, argument: value}: function(**arguments), argument, value, label, PAIR)  # type: ignore[misc]
        for argument in PAIR
        for label, value in BAD.items()
    ]
    assert not any(complaints), "\n".join(filter(None, complaints))


@pytest.mark.parametrize("kind", losses.CLASSES, ids=lambda kind: kind.__name__)
def test_losses(kind: type[losses.Loss], recwarn: pytest.WarningsRecorder) -> None:
    loss = kind(**OPTIONS.get(kind.__name__, {}))
    right: dict[str, Any] = {**data_for(kind.__name__), "sample_weight": np.ones(4)}
    assert np.isfinite(loss(**right))
    complaints = [
        complaint(lambda arguments={**right, argument: value}: loss(**arguments), argument, value, label, TRIPLE)  # type: ignore[misc]
        for argument in right
        for label, value in BAD.items()
        if (argument, label) != ("sample_weight", "none")
    ]
    assert not any(complaints), "\n".join(filter(None, complaints))


NEEDED = {"IoU": (3, [0]), "MeanIoU": (3,), "OneHotIoU": (3, [0]), "OneHotMeanIoU": (3,)} | dict.fromkeys(
    ("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)
)
OPTIONS = {"MASE": {"scale": 2.0}, "mase": {"scale": 2.0}}
METRICS: dict[str, Callable[[], metrics.Metric]] = {
    kind.__name__: (lambda kind=kind: kind(*NEEDED.get(kind.__name__, ()), **OPTIONS.get(kind.__name__, {})))  # type: ignore[misc]
    for kind in metrics.CLASSES
} | {
    "AUC-multi-label": lambda: metrics.AUC(multi_label=True),
    "AUC-label-weights": lambda: metrics.AUC(label_weights=[1.0, 2.0, 3.0]),
    "Precision-top-k": lambda: metrics.Precision(top_k=2, class_id=1),
    "a custom function": lambda: metrics.MeanMetricWrapper(losses.FUNCTIONS["mean_squared_error"]),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_keep_their_state(name: str, recwarn: pytest.WarningsRecorder) -> None:
    metric = METRICS[name]()
    right: dict[str, Any] = {**data_for(name), "sample_weight": np.ones(4)}
    if isinstance(metric, metrics.Mean):
        right = {"values": PRED[:, 0], "sample_weight": np.ones(4)}
    elif "IoU" in name and "OneHot" not in name:
        right |= {"y_true": CLASSES % 2, "y_pred": CLASSES % 2}
    complaints = []

    def state() -> str:
        return repr(metric.get_state())

    for first in (False, True):  # also before the first batch
        if first:
            metric.update_state(**right)
        for argument in right:
            for label, value in BAD.items():
                if (argument, label) == ("sample_weight", "none"):
                    continue
                before, saved = state(), metric.get_state()
                arguments = {**right, argument: value}
                what = complaint(
                    lambda arguments=arguments: metric.update_state(**arguments), argument, value, label, TRIPLE
                )  # type: ignore[misc]
                complaints.append(what)
                refused = True
                try:
                    metric.set_state(saved)
                    metric.update_state(**arguments)
                    refused = False
                except (TypeError, ValueError):
                    pass
                except Exception as error:
                    complaints.append(f"{argument}={label}: {type(error).__name__}: {error}")
                if refused and state() != before:
                    complaints.append(f"{argument}={label} changed the metric")
                metric.set_state(saved)
    assert not any(complaints), "\n".join(filter(None, complaints))
    metric.result()


# Layers.

# What layers need, by the name of the argument; those that need another value have it below.
ARGUMENTS: dict[str, Any] = {
    "activation": "tanh", "cell": layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)]),
    "axes": -1, "cells": [layers.LSTMCell(3), layers.GRUCell(2)], "dims": (2, 1), "filters": 2, "function": np.sign,
    "equation": "...c,cd->...d",
    "groups": 1, "gradient": lambda x, y, dy: dy, "input_dim": 9, "kernel_size": 2, "key_dim": 3, "num_heads": 2,
    "layer": layers.Dense(2), "n": 2,
    "output_dim": 3, "output_shape": 2, "output_size": 2,
    "pool_size": 2, "rate": 0.5, "scale": 2.0, "stddev": 0.5, "target_shape": (-1,), "units": 3,
}  # fmt: skip
# Those of them that have defaults which do not suit the small arrays here.
SMALLER = ("gradient", "groups", "pool_size", "rate", "stddev")
NEEDED_BY: dict[str, dict[str, Any]] = {"Bidirectional": {"layer": layers.LSTM(3)}, "LSTM": {"stateful": True}}
NOT_CALLED = ("Input", "InputLayer", "Layer", "Recurrent", "Wrapper")
KINDS = {
    name: kind
    for name, kind in vars(layers).items()
    if inspect.isclass(kind) and issubclass(kind, layers.Layer) and name == kind.__name__ and name not in NOT_CALLED
}
SHAPES = ((4, 3, 2), (4, 3), (4, 3, 2, 2))


def called(name: str) -> tuple[layers.Layer, dict[str, Any]]:
    """Return a layer that has run once, and valid arguments of its call."""
    kind: Any = KINDS[name]
    needed = {
        argument: ARGUMENTS[argument]
        for argument, parameter in inspect.signature(kind).parameters.items()
        if argument in SMALLER or (argument in ARGUMENTS and parameter.default is parameter.empty)
    } | NEEDED_BY.get(name, {})
    failures = []
    taken = inspect.signature(kind.__call__).parameters
    for shape in SHAPES:
        layer, x = kind(**needed), np.ones(shape, np.int64 if name == "Embedding" else np.float32)
        inputs = {argument: x for argument in ("query", "value") if argument in taken}
        inputs = inputs or {"x": [x, x] if kind.merges else x}
        try:
            layer(**inputs)
        except ValueError as error:
            failures.append(str(error))
            continue
        right = {argument: None for argument in taken if argument in ("mask", "states", "initial_state")}
        return layer, {**inputs, **right, "training": False}
    raise AssertionError(f"{name} took none of {SHAPES}: {failures}")


@pytest.mark.parametrize("name", KINDS)
def test_layers_keep_their_weights_and_states(name: str, recwarn: pytest.WarningsRecorder) -> None:
    layer, right = called(name)

    def state() -> list[bytes]:
        arrays = [*layer.get_weights(), *(getattr(layer, "states", None) or [])]
        return [np.asarray(each).tobytes() for each in arrays]

    before, complaints = state(), []
    for argument in right:
        for label, value in BAD.items():
            if right[argument] is None and label == "none":
                continue
            arguments = {**right, argument: value}
            refused = False

            def call(arguments: dict[str, Any] = arguments) -> None:
                nonlocal refused
                refused = True
                layer(**arguments)
                refused = False

            if argument == "training" and label == "none":  # leaves it to the model
                continue
            if argument == "training" and label != "true":  # also numbers but 0 and 1
                with pytest.raises(TypeError, match="training must be True or False"):
                    layer(**arguments)
                continue
            named = "inputs" if layer.merges and argument in ("x", "query", "value") else argument
            complaints.append(complaint(call, named, value, label))
            if refused and state() != before:
                complaints.append(f"{argument}={label} changed the layer")
            before = state()
    assert not any(complaints), "\n".join(filter(None, complaints))
    layer(**right)


# Models and streams.


def trained() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 5, 3)), np.ones((4, 2)), verbose=0)
    return model


def bits(model: pyrnn.Sequential) -> list[bytes]:
    assert model.optimizer is not None
    values = [*model.get_weights(), *(value for _, value in model.optimizer.named_variables())]
    return [np.asarray(value).tobytes() for value in values]


def test_a_model_that_is_called() -> None:
    model = trained()
    before = bits(model)
    complaints = [complaint(lambda value=value: model(value), "x", value, label) for label, value in BAD.items()]  # type: ignore[misc]
    assert not any(complaints), "\n".join(filter(None, complaints))
    with pytest.raises(TypeError, match="training must be True or False"):
        model(np.ones((4, 5, 3)), training="yes")  # type: ignore[arg-type]
    assert bits(model) == before


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_streams_keep_their_states(batch: int) -> None:
    model = trained()
    stream = model.stream(batch)
    stream.step(np.ones((batch, 3)))
    before, complaints = [state.tobytes() for state in stream.state], []

    def set_state(value: Any) -> None:
        stream.state = value

    # A reset accepts rows of the batch; any other row raises an IndexError.
    rows = {label: value for label, value in BAD.items() if label not in ("none", "list", "one-axis", "negative")}
    for argument, call, values in (
        ("x", stream.step, {label: value for label, value in BAD.items() if label != "fewer-rows"}),
        ("rows", stream.reset, rows),
        ("state", set_state, BAD),
    ):
        for label, value in values.items():
            saved = stream.state
            try:
                what = complaint(lambda call=call, value=value: call(value), argument, value, label)  # type: ignore[misc]
            except IndexError:
                what = None if argument == "rows" else f"{argument}={label}: IndexError"
            complaints.append(what)
            if [state.tobytes() for state in stream.state] != before:
                complaints.append(f"{argument}={label} changed the states")
            stream.state = saved
    assert not any(complaints), "\n".join(filter(None, complaints))
    for wrong in (batch, -1, [0, batch], 2**62):
        with pytest.raises(IndexError, match="rows must lie in"):
            stream.reset(wrong)
    assert [state.tobytes() for state in stream.state] == before
    with pytest.raises(ValueError, match="state must hold 2 array"):
        stream.state = [np.zeros((batch, 4))] * 3
    with pytest.raises(ValueError, match="state must have shape"):
        stream.state = [np.zeros((batch, 4)), np.zeros((batch, 5))]
    assert [state.tobytes() for state in stream.state] == before


VALIDATION: dict[str, tuple[Any, str]] = {
    "y of fewer columns": ((np.ones((4, 5, 3)), np.ones((4, 3))), "y_true must have the shape of y_pred"),
    "y of fewer rows": ((np.ones((4, 5, 3)), np.ones((3, 2))), "y must have one row"),
    "y of more axes": ((np.ones((4, 5, 3)), np.ones((4, 2, 2))), "y_true must have the shape of y_pred"),
    "no y": ((np.ones((4, 5, 3)),), "y is missing"),
    "x of fewer features": ((np.ones((4, 5, 2)), np.ones((4, 2))), "expects x of shape"),
    "weights of another shape": ((np.ones((4, 5, 3)), np.ones((4, 2)), np.ones((4, 7))), "sample_weight"),
    "four parts": ((1, 2, 3, 4), "must be"),
}


@pytest.mark.parametrize("steps", [None, 1])
@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("name", VALIDATION)
def test_validation_data_are_checked_before_the_first_step(name: str, built: bool, steps: int | None) -> None:
    data, message = VALIDATION[name]
    model = trained()
    if not built:
        model = pyrnn.Sequential([layers.LSTM(4), layers.Dense(2)])
        model.compile("adam", "mse")
    begun: list[str] = []

    class Begun(pyrnn.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            begun.append("training")

    before = bits(model)
    with pytest.raises((TypeError, ValueError), match="validation_data") as caught:
        model.fit(np.ones((4, 5, 3)), np.ones((4, 2)), validation_data=data, validation_steps=steps,
                  callbacks=[Begun()], verbose=0)  # fmt: skip
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert not begun
    if built:
        assert bits(model) == before


def test_validation_data_of_sequences_and_classes() -> None:
    """Valid data pass: another number of steps, class numbers, states that need a batch size."""
    model = pyrnn.Sequential([layers.LSTM(4, return_sequences=True), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.ones((4, 5, 3)), np.ones((4, 5), int)
    model.fit(x, y, validation_data=(np.ones((3, 7, 3)), np.ones((3, 7, 1), int)), verbose=0)
    with pytest.raises(ValueError, match=r"validation_data: y_true must hold .*shape \(3, 7\), got \(3, 5\)"):
        model.fit(x, y, validation_data=(np.ones((3, 7, 3)), np.ones((3, 5), int)), verbose=0)
    model = pyrnn.Sequential([layers.LSTM(4, stateful=True, batch_input_shape=(2, 5, 3)), layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(x, np.ones((4, 1)), batch_size=2, validation_data=(x, np.ones((4, 1))), verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


# Objects that layers and optimizers use, called directly.

WEIGHTS = {name: value for name, value in BAD.items() if name in NO_NUMBERS or name == "ragged"}
CALLABLES: dict[str, tuple[Callable[..., Any], str, dict[str, Any], dict[str, Any]]] = {
    **{
        f"constraints.{kind.__name__}": (kind(), "w", {"w": PRED}, WEIGHTS)
        for kind in (
            pyrnn.constraints.MaxNorm,
            pyrnn.constraints.MinMaxNorm,
            pyrnn.constraints.NonNeg,
            pyrnn.constraints.UnitNorm,
        )
    },
    **{
        f"regularizers.{kind.__name__}": (kind(), "w", {"w": PRED}, WEIGHTS)
        for kind in (
            pyrnn.regularizers.L1,
            pyrnn.regularizers.L2,
            pyrnn.regularizers.L1L2,
            pyrnn.regularizers.OrthogonalRegularizer,
        )
    },
    **{
        f"gradient of {kind.__name__}": (kind().gradient, "w", {"w": PRED}, WEIGHTS)
        for kind in (pyrnn.regularizers.L1L2, pyrnn.regularizers.OrthogonalRegularizer)
    },
    "schedules.ExponentialDecay": (
        pyrnn.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), "step", {"step": 3}, WEIGHTS,
    ),
    "schedules.CosineDecay": (pyrnn.optimizers.schedules.CosineDecay(0.1, 10), "step", {"step": 3}, WEIGHTS),
    "schedules.PiecewiseConstantDecay": (
        pyrnn.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2, 0.3]), "step", {"step": 3}, WEIGHTS,
    ),
    "CallbackList.append": (
        pyrnn.callbacks.CallbackList().append, "callback", {"callback": pyrnn.callbacks.Callback()}, BAD,
    ),
    "Optimizer.exclude_from_weight_decay": (
        pyrnn.optimizers.AdamW().exclude_from_weight_decay, "var_names", {"var_names": ["bias"]},
        {name: value for name, value in BAD.items() if name not in ("none", "list")},
    ),
    "Normalization.adapt": (layers.Normalization().adapt, "data", {"data": np.ones((4, 3))}, WEIGHTS),
    "Tokenizer.fit_on_texts": (
        pyrnn.preprocessing.text.Tokenizer().fit_on_texts, "texts", {"texts": ["a b"]},
        {name: BAD[name] for name in ("object", "none", "text", "function", "number", "ragged", "complex")},
    ),
    "Tokenizer.fit_on_sequences": (
        pyrnn.preprocessing.text.Tokenizer().fit_on_sequences, "sequences", {"sequences": [[1, 2]]},
        {name: BAD[name] for name in ("object", "none", "text", "function", "number", "ragged", "complex", "all-nan")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLABLES)
def test_objects_that_are_called(name: str, recwarn: pytest.WarningsRecorder) -> None:
    call, argument, right, values = CALLABLES[name]
    call(**right)
    for label, value in values.items():
        with pytest.raises((TypeError, ValueError), match=argument) as caught:
            call(**{**right, argument: value})
        assert len(str(caught.value).splitlines()) == 1, label


INITIALIZERS = [
    kind
    for kind in vars(pyrnn.initializers).values()
    if inspect.isclass(kind) and issubclass(kind, pyrnn.initializers.Initializer)
    if kind is not pyrnn.initializers.Initializer and not kind.__name__.startswith("_")
]


@pytest.mark.parametrize("kind", INITIALIZERS, ids=lambda kind: kind.__name__)
def test_shapes_that_initializers_refuse(kind: type[pyrnn.initializers.Initializer]) -> None:
    initializer = kind()
    assert initializer((3, 3)).shape == (3, 3)
    for value in (None, object(), "ab", {}, (3, -1), (3, 1.5), (True, 3), [[3], [3]], -1, 1.5, 2**63):
        with pytest.raises((TypeError, ValueError), match="shape"):
            initializer(value)
    with pytest.raises(TypeError, match="dtype"):
        initializer((3, 3), dtype="no such")


def test_a_tokenizer_that_raises_has_learned_nothing() -> None:
    tokenizer = pyrnn.preprocessing.text.Tokenizer()
    tokenizer.fit_on_texts(["a b", "b"])
    before = tokenizer.to_json()
    for wrong in (["c", 3], "c d", None, ["c", [1, "d"]]):
        with pytest.raises(TypeError, match="texts must"):
            tokenizer.fit_on_texts(wrong)  # type: ignore[arg-type]
    for sequences in ([[1], ["a"]], [[1], [-1]], [[1], 2], "12"):
        with pytest.raises((TypeError, ValueError), match="sequences must"):
            tokenizer.fit_on_sequences(sequences)  # type: ignore[arg-type]
    assert tokenizer.to_json() == before


def test_files_of_save_model_hold_the_random_streams_where_asked(tmp_path: Any) -> None:
    model = trained()
    pyrnn.models.save_model(model, tmp_path / "with.keras", include_rng=True)
    pyrnn.models.save_model(model, tmp_path / "without.keras")
    expected = np.random.random(3)  # the stream that is kept
    pyrnn.load_model(tmp_path / "without.keras")
    assert (np.random.random(3) != expected).all()
    pyrnn.load_model(tmp_path / "with.keras")
    assert (np.random.random(3) == expected).all()
