"""Every argument that a constructor accepts survives a description, a file, JSON and a clone.

Classes and their arguments are discovered: every value of `VALUES` is passed for every argument of every class, and
what is accepted must compute the same when it is made again.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors.test_arguments import GIVEN

import pyrnn
from pyrnn import constraints, initializers, layers, losses, metrics, optimizers, regularizers, utils
from pyrnn.layers.recurrent.cells import Cell
from pyrnn.optimizers import schedules
from pyrnn.parameters import ParameterVector, Weight
from pyrnn.validation import shown

X = np.random.default_rng(0).random((2, 4, 3)).astype(np.float32)


def ramp(shape: Any, dtype: Any = None) -> Any:
    """An initializer."""
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape) / 10


def halve(weight: Any) -> Any:
    """A constraint, and a function for Lambda."""
    return weight / 2


def squares(y_true: Any, y_pred: Any) -> Any:
    """A loss with its gradient."""
    return ((y_pred - y_true) ** 2).mean(-1), 2 * (y_pred - y_true) / y_pred.shape[-1]


def largest(y_true: Any, y_pred: Any) -> Any:
    """A metric."""
    return np.abs(y_true - y_pred).max(-1)


def slow() -> float:
    """A learning rate."""
    return 0.125


class Table(initializers.Initializer):
    """Without get_config: its arguments are remembered."""

    def __init__(self, table: Any, *, times: Any = 1.0) -> None:
        self.table, self.times = table, times

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return np.resize(np.asarray(self.table) * self.times, shape).astype(dtype or "float32")


class Described:
    """An initializer and constraint that derives from nothing of pyrnn's."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def __call__(self, value: Any, dtype: Any = None) -> Any:
        return np.full(value, self.factor, dtype) if isinstance(value, tuple) else value * self.factor

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


class Cubic(regularizers.Regularizer):
    def __init__(self, factors: Any) -> None:
        self.factors = factors

    def __call__(self, w: Any) -> float:
        return float(np.sum(self.factors)) * float(np.abs(w).sum())

    def gradient(self, w: Any) -> Any:
        return float(np.sum(self.factors)) * np.sign(w)


class Clip(constraints.Constraint):
    def __init__(self, low: Any, high: Any = 1.0) -> None:
        self.low, self.high = low, high

    def __call__(self, w: Any) -> Any:
        return np.clip(w, self.low, self.high)


class Stairs(schedules.LearningRateSchedule):
    def __init__(self, values: Any) -> None:
        self.values = values

    def __call__(self, step: Any) -> Any:
        return np.asarray(self.values, np.float32)[min(int(step), len(self.values) - 1)]


CUSTOM: dict[str, Any] = {
    each.__name__: each
    for each in (
        ramp,
        halve,
        squares,
        largest,
        slow,
        Table,
        Described,
        Cubic,
        Clip,
        Stairs,
        np.float32,
        np.float64,
        initializers.Ones,
    )
}


def public(module: Any, base: type) -> dict[str, type]:
    """The classes of a module that can be made."""
    names = {name: getattr(module, name) for name in getattr(module, "__all__", dir(module))}
    return {
        cls.__name__: cls
        for cls in names.values()
        if isinstance(cls, type) and issubclass(cls, base) and cls is not base and not cls.__name__.startswith("_")
        and cls not in (losses.Elementwise, losses.Loss, metrics.MeanMetric, layers.Recurrent)
    }  # fmt: skip


KINDS: dict[str, tuple[Any, dict[str, type]]] = {
    "initializers": (initializers, public(initializers, initializers.Initializer)),
    "regularizers": (regularizers, public(regularizers, regularizers.Regularizer)),
    "constraints": (constraints, public(constraints, constraints.Constraint)),
    "losses": (losses, public(losses, losses.Loss)),
    "metrics": (metrics, public(metrics, metrics.Metric)),
    "optimizers": (optimizers, public(optimizers, optimizers.Optimizer)),
    "schedules": (schedules, public(schedules, schedules.LearningRateSchedule)),
    "layers": (layers, {cls.__name__: cls for cls in layers.REGISTRY.values()}),
}
# As in Keras: the first have no weights, the values of the others are in the weights.
NOT_WRITTEN = ["InputLayer.trainable", "SpatialDropout1D.trainable", "Embedding.weights", "Bidirectional.weights"]
CLASSES = [(kind, name) for kind, (_, classes) in KINDS.items() for name in classes]
# Arguments without a default.
REQUIRED = {**GIVEN, "fn": largest, "function": halve}


def required(cls: Any) -> dict[str, Any]:
    if cls is layers.InputLayer:
        return {"shape": (4, 3)}
    if cls is layers.EinsumDense:
        return {"equation": "...c,cd->...d", "output_shape": 5}
    if cls in (losses.MASE, metrics.MASE):
        return {"scale": 2.0}
    return {
        each.name: REQUIRED[each.name]
        for each in inspect.signature(cls).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }


def arguments(cls: Any) -> list[str]:
    if issubclass(cls, layers.Layer):
        return list(cls._known_arguments())
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in inspect.signature(cls).parameters.values() if each.kind not in hidden]


def objects() -> Iterator[tuple[str, Any]]:
    """An object of every class of the kinds that others take, and functions and custom objects."""
    for kind in ("initializers", "regularizers", "constraints", "schedules"):
        for name, cls in KINDS[kind][1].items():
            yield name, cls(**required(cls))
    yield from {
        "array initializer": initializers.Constant(np.arange(3.0)),
        "table": Table(np.float32([[0.1, 0.2], [0.3, 0.4]]), times=np.float32(0.3)),
        "described": Described(np.float32(0.1)),
        "cubic": Cubic(np.float32([0.1, 0.2])),
        "clip": Clip(np.float32(-0.1), high=0.7),
        "stairs": Stairs(np.float32([0.1, 0.05])),
        "decay with NumPy's numbers": schedules.CosineDecay(np.float32(0.1), np.int64(7), alpha=np.float64(0.1)),
    }.items()
    for function in (ramp, halve, squares, largest, slow):
        yield function.__name__, function
    yield "activation", pyrnn.activations.get("relu")
    yield "initializer class", initializers.Ones


NUMBERS: dict[str, Any] = {
    "float32": np.float32(0.3), "float64": np.float64(0.3), "float16": np.float16(0.3),
    "longdouble": np.longdouble(0.3),

    "int64": np.int64(2), "int32": np.int32(1), "uint8": np.uint8(3), "true": np.bool_(True), "false": np.bool_(False),
    "0-d float": np.array(0.7), "0-d int": np.array(2),
}  # fmt: skip
ARRAYS: dict[str, Any] = {
    "floats": np.float32([0.1, 0.2, 0.3]), "doubles": np.array([0.1, 0.5, 0.7]), "integers": np.array([1, 2]),
    "one integer": np.array([0]), "matrix": np.eye(3, 2, dtype=np.float32), "recurrent": np.float32(np.eye(3)),
    "flags": np.array([True, False]), "longdoubles": np.array([0.1, 0.2, 0.3], np.longdouble),
    "list of arrays": [np.ones((5, 3), np.float32)], "list of numbers": [np.float32(0.25), np.float64(0.5)],
    "list of integers": [np.int64(1), np.int32(2)], "tuple": (1, 2), "tuple of one": (1,), "list": [2, 1],
    "tuple of floats": (0.1, 0.2), "names": ("dense", "gru"), "nested": ((0.1, 0.2, 0.3),) * 5, "shape": (4, 3),
    "shape with None": (None, 3), "range": range(2),
}  # fmt: skip
OTHERS: dict[str, Any] = {
    "dtype": np.dtype("float32"), "dtype class": np.float32, "double": np.float64, "dtype name": "float64",
    "policy": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}, "registered_name": None},
    "numbered dict": {0: 0.5, 1: 2.0}, "array dict": {"scale": np.ones(3, np.float32), "axis": (0, 1)},
    "lambda": lambda *_: 0.1, "text": "text", "zeros": "zeros", "tanh": "tanh", "sum": "sum", "infinite": math.inf,
    "one": 1, "two": 2, "half": 0.5, "zero": 0, "minus": -1, "none": None, "flag": True, "no": False,
    "layer": layers.Dense(2, kernel_initializer=initializers.Constant(np.ones((3, 2)))),
    "recurrent layer": layers.GRU(3, kernel_initializer=Described(np.float32(0.1)), go_backwards=True),
    "cell": layers.GRUCell(3, bias_initializer=Table(np.arange(3.0))), "cells": [layers.LSTMCell(3)] * 2,
}  # fmt: skip
VALUES: dict[str, Any] = {**NUMBERS, **ARRAYS, **OTHERS, **dict(objects())}
# A file cannot hold these: saving or loading the model raises an error.
UNWRITABLE = {"lambda"}


class Failure(str):
    """The error of a call: a value that cannot be used before need not be usable afterwards."""


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result of a call as bytes, or its error."""
    try:
        with np.errstate(all="ignore"):
            value = call()
    except (TypeError, ValueError, IndexError, OverflowError, NotImplementedError, ZeroDivisionError) as error:
        return Failure(type(error).__name__)
    parts = value if isinstance(value, list | tuple) else [value]
    return [(np.asarray(each).dtype.str, np.shape(each), np.asarray(each).tobytes()) for each in parts]


def of_initializer(make: Callable[[], Any]) -> list[Any]:
    made = make()
    utils.set_random_seed(3)
    return [outcome(lambda shape=shape: made(shape)) for shape in ((3, 2), (3,), (3, 3))]


def of_regularizer(make: Callable[[], Any]) -> list[Any]:
    made = make()
    return [outcome(lambda: made(X[0])), outcome(lambda: made.gradient(X[0]))]


def of_constraint(make: Callable[[], Any]) -> list[Any]:
    made = make()
    return [outcome(lambda: made(X[0]))]


TARGETS = (X[0], np.array([[0], [1], [2], [1]]), np.array([0, 1, 2, 1]))


def of_loss(make: Callable[[], Any]) -> list[Any]:
    made = make()
    return [outcome(lambda true=true: made(true, X[0] / X[0].sum(-1, keepdims=True))) for true in TARGETS]


def of_metric(make: Callable[[], Any]) -> list[Any]:
    made = make()
    results = []
    for true in TARGETS:
        made.reset_state()
        results.append(outcome(lambda true=true: made.update_state(true, X[0]) or made.result()))
    return [made.name, *results]


def of_optimizer(make: Callable[[], Any]) -> list[Any]:
    made = make()
    weights = [Weight((4, 3), "kernel"), Weight((3,), "bias")]
    vector = ParameterVector(weights)
    vector.values[:] = np.linspace(-1, 1, len(vector))
    made.build(vector)

    def steps() -> Any:
        for _ in range(3):
            vector.gradients[:] = np.sin(np.arange(len(vector)))
            made.step()
        return vector.values, made.learning_rate

    return [made.name, outcome(steps)]


def of_schedule(make: Callable[[], Any]) -> list[Any]:
    made = make()
    return [outcome(lambda step=step: made(step)) for step in (0, 1, 5, 100)]


def of_layer(make: Callable[[], Any]) -> list[Any]:
    made = make()
    results = [made.name, made.trainable, made.dtype]
    for x in (X, X[0], (10 * X[:, :, 0] % 5).astype(int)):
        utils.set_random_seed(3)
        made = make()
        layer = layers.RNN(made) if isinstance(made, Cell | layers.StackedRNNCells) else made
        results.append(outcome(lambda x=x, layer=layer: [layer(x), *layer.get_weights()]))
        if not isinstance(results[-1], Failure):
            break
    return results


PROBES = dict(zip(KINDS, (of_initializer, of_regularizer, of_constraint, of_loss, of_metric, of_optimizer, of_schedule,
                          of_layer), strict=True))  # fmt: skip


def accepted(cls: Any, labels: Iterable[str] = VALUES) -> Iterator[tuple[str, Callable[[], Any]]]:
    """(argument=value, a function that makes the object) of each of these values that the constructor takes."""

    def maker(options: dict[str, Any]) -> Callable[[], Any]:
        def make() -> Any:
            utils.clear_session(free_memory=False)  # automatic names count from the start
            return cls(**copy.deepcopy(options))

        return make

    yield "nothing=", maker(required(cls))
    for argument in arguments(cls):
        for label in labels:
            if label == "policy" and argument != "dtype":
                continue  # everywhere else it is the name of a dtype
            make = maker({**required(cls), argument: VALUES[label]})
            try:
                make()
            except (TypeError, ValueError):
                continue
            yield f"{argument}={label}", make


def read(module: Any, text: str) -> Any:
    with pyrnn.saving.custom_object_scope(CUSTOM):
        result = module.deserialize(json.loads(text))
    return module.as_loss(result) if module is pyrnn.losses else result


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_what_is_accepted_comes_back(kind: str, name: str) -> None:
    module, classes = KINDS[kind]
    cls, probe, failures = classes[name], PROBES[kind], []
    read_again = functools.cache(lambda text: probe(lambda: read(module, text)))  # many values have one description
    for case, make in accepted(cls):
        argument, _, label = case.partition("=")
        try:
            text = json.dumps(module.serialize(make()))
            again = read(module, text)
        except Exception as error:
            if label not in UNWRITABLE or not isinstance(error, TypeError | ValueError):
                failures.append(f"{case}: {type(error).__name__}: {error}")
            continue
        if json.dumps(module.serialize(again)) != text:
            failures.append(f"{case}: {text} became {json.dumps(module.serialize(again))}")
        for before, after in zip(probe(make), read_again(text), strict=False):
            if before != after and not isinstance(before, Failure) and f"{name}.{argument}" not in NOT_WRITTEN:
                failures.append(f"{case}: {shown(before)} became {shown(after)}")
    assert not failures, "\n".join(failures)


# Of VALUES those that a file has to convert.
CONVERTED = [
    "float64", "int64", "floats", "matrix", "recurrent", "tuple", "array dict",
    "array initializer", "table", "described", "cubic", "clip", "stairs", "decay with NumPy's numbers", "ramp", "halve",
    "squares", "largest", "slow", "recurrent layer", "cell",
]  # fmt: skip


def model_with(kind: str, part: Any) -> pyrnn.Sequential | None:
    """Return a model of a layer, or compiled with a loss, metric, optimizer or schedule; None if that is impossible."""
    stack: list[Any] = [layers.Dense(3, activation="softmax", name="dense")]
    if kind == "layers":
        stack = [layers.RNN(part) if isinstance(part, Cell | layers.StackedRNNCells) else part]
    options: dict[str, Any] = {"optimizer": "sgd", "loss": "mse"}
    if kind == "schedules":
        options["optimizer"] = optimizers.SGD(part)
    elif kind != "layers":
        options.update(
            {kind.removesuffix("es" if kind == "losses" else "s"): part} if kind != "metrics" else {kind: [part]}
        )
    for shape in ((4, 3), (3,), (4,)):
        try:
            model = pyrnn.Sequential([layers.Input(shape, name="input"), *stack])
            model.predict(np.ones((2, *shape)), verbose=0)
        except (TypeError, ValueError, IndexError):
            continue
        model.compile(**options)
        return model
    return None


def copies(model: pyrnn.Sequential, folder: Path) -> Iterator[tuple[str, pyrnn.Sequential]]:
    """Return the model from each kind of file, from JSON and as a clone, with the weights of the original."""
    with pyrnn.saving.custom_object_scope(CUSTOM):
        for ending in ("keras", "h5"):
            model.save(folder / f"m.{ending}")
            yield ending, pyrnn.load_model(folder / f"m.{ending}")
        yield "json", pyrnn.models.model_from_json(model.to_json())
    yield "clone", pyrnn.models.clone_model(model)  # needs no names


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "name"), [case for case in CLASSES if case[0] not in ("initializers", "constraints", "regularizers")]
)
def test_a_model_of_it_comes_back(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    cls, failures = KINDS[kind][1][name], []
    for case, make in accepted(cls, CONVERTED):
        if case.partition("=")[0] in ("name", "dtype", "trainable"):
            continue
        model = model_with(kind, make())
        if model is None:
            continue
        x = np.random.default_rng(1).integers(0, 2, (2, *model.input_shape[1:])).astype(float)
        expected, config = model.predict(x, verbose=0), json.dumps(model.get_compile_config())
        try:
            for way, again in copies(model, tmp_path):
                again.set_weights(model.get_weights())
                if again.predict(x, verbose=0).tobytes() != expected.tobytes():
                    failures.append(f"{case}, {way}: other predictions")
                if json.dumps(again.get_compile_config()) != config:
                    failures.append(f"{case}, {way}: {config} became {json.dumps(again.get_compile_config())}")
        except Exception as error:
            failures.append(f"{case}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
