"""Every argument of every public class and function rejects the bad values of its rule.

Each value raises a ValueError (also one of the wrong type, as in Keras), one sentence that names the argument. Modules
are walked, so that a new function needs no line here. Arguments of functions that are not `checked` meet all `SAMPLES`
but those in `LEGAL`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.arguments import checked, rules_of
from pyrnn.optimizers import schedules
from pyrnn.preprocessing.text import Tokenizer
from pyrnn.rules import ANYTHING, SAMPLES, Rule

# What is right for arguments without a rule: those of functions that are not `checked`.
LEGAL = {
    "none": "activation",
    "none array function": "identifier",
    "none text": "name",
    "zero huge": "seed",
    "list none nan infinite negative zero fraction huge true array": "x",
    ANYTHING: "cls input_shape",  # what is not registered has its own name; a built model keeps its shape, as in Keras
}
# What is right for one function only.
SPECIAL = {
    "layers.Conv1DTranspose.output_padding": "zero",  # of a stride of 1
    "activations.get.identifier": "none",
}
# What a message says for the name of an argument that is positional and unnamed in Keras's own errors.
ALSO_CALLED = {
    "name": ("activation", "loss"),
    "identifier": ("activation", "initializer", "regularizer", "constraint", "loss", "metric", "optimizer"),
    "config": (
        "activation",
        "initializer",
        "regularizer",
        "constraint",
        "loss",
        "metric",
        "optimizer",
        "layer",
        "learning",
    ),
}
MODULES = [
    "activations",
    "backend",
    "callbacks",
    "constraints",
    "data",
    "export",
    "initializers",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "optimizers.schedules",
    "preprocessing.sequence",
    "preprocessing.text",
    "regularizers",
    "saving",
    "summary",
    "utils",
]
# Made by the functions next to them, of arguments that these have checked.
INNER = [
    "callbacks.Hook",
    "data.ArrayBatches",
    "data.Arrays",
    "data.Batch",
    "data.Batches",
    "data.IteratorBatches",
    "data.LoaderBatches",
    "data.PyDatasetBatches",
    "data.RepeatedBatches",
    "data.TimeseriesDataset",
    "data.as_array",
    "data.as_batches",
    "data.is_array",
    "export.Report",
    "layers.Recurrent",
    "losses.FunctionLoss",
    "losses.match_ranks",
    "metrics.resolve",
    "models.Model",
    "optimizers.Optimizer",
    "summary.print_summary",
    "metrics.MeanMetricWrapper",
]


def _model() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.LSTM(2, input_shape=(3, 2)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


_INPUT = layers.Input((3,))
# Arguments without a default.
GIVEN: dict[str, Any] = {
    "activation": "tanh", "backup_dir": "backup", "boundaries": [1], "cell": layers.LSTMCell(3),
    "cells": [layers.LSTMCell(3)], "constraint": None, "count": 1, "data": np.arange(20.0), "dataset": np.arange(10.0),
    "decay_rate": 0.9, "decay_steps": 10, "dims": (1,), "filename": "log.csv", "filepath": "m.keras", "filters": 4,
    "first_decay_steps": 10, "fn": np.subtract, "function": np.sign, "identifier": "zeros",
    "initial_learning_rate": 0.1, "initializer": None, "input_dim": 5, "input_text": "a b", "axes": 1,
    "num_heads": 2, "key_dim": 3,
    "inputs": [np.ones((2, 3)), np.ones((2, 3))], "kernel_size": 2,
    "layer": layers.LSTM(3), "learning_rate_schedule": schedules.ExponentialDecay(0.1, 1, 0.1), "length": 3,
    "loss": None, "metric": None, "model": None, "n": 3, "name": "some", "num_classes": 3, "objects": {},
    "optimizer": pyrnn.optimizers.SGD(), "output_dim": 3, "output_size": 2, "precision": 0.5, "pool_size": 2,
    "rate": 0.5, "quantile": 0.5,
    "recall": 0.5, "regularizer": None, "scale": 2.0, "schedule": lambda epoch, rate: rate, "sensitivity": 0.5,
    "sequence_length": 3, "sequences": [[1], [2, 3]], "series": np.arange(9.0), "shape": (3,), "size": 1000,
    "specificity": 0.5, "stddev": 0.1, "target_class_ids": [0], "target_shape": (3,), "targets": np.arange(20.0),
    "text": "a b", "units": 3, "values": [0.1, 0.2], "x": np.arange(4),
    "y_true": np.array([1, 0]), "y_pred": np.array([[0.2, 0.8], [0.6, 0.4]]), "left_size": 0.5, "cls": layers.LSTM,
}  # fmt: skip
GIVEN_TO: dict[str, dict[str, Any]] = {
    "interop.from_torch": {"module": {}, "chain": [layers.Dropout(0.5)], "input_shape": (2,)},
    "interop.load_torch_state_dict": {
        "state_dict": pyrnn.interop.to_torch_state_dict(_model(), ["rnn", "fc"]),
        "names": ["rnn", "fc"],
    },
    **{
        name: {"path": "m.safetensors"}
        for name in ("export.to_safetensors", "interop.load_safetensors", "interop.read_safetensors")
    },
    **{name: {"path": "m.onnx"} for name in ("export.to_onnx", "interop.from_onnx")},
    "backend.use_backend": {"name": "core"},
    "export.to_c": {"path": "model.c"},
    "export.report": {"x": np.ones((2, 3, 2))},
    **{
        f"metrics.{name}": {"y_true": np.eye(2)}
        for name in (
            "binary_accuracy",
            "categorical_accuracy",
            "concordance_correlation",
            "pearson_correlation",
            "top_k_categorical_accuracy",
        )
    },
    "layers.EinsumDense": {"equation": "ab,bc->ac", "output_shape": 3},
    "layers.Input": {"shape": (3,)},
    "models.Functional": {"inputs": _INPUT, "outputs": layers.Dense(2)(_INPUT)},
    "utils.check_gradients": {"tested": layers.Dense(2), "x": np.ones((2, 3))},
    "layers.InputLayer": {"shape": (3,)},
    "layers.deserialize": {"config": layers.serialize(layers.Dense(3))},
    "losses.MASE": {"scale": 2.0},
    "metrics.MASE": {"scale": 2.0},
    "losses.deserialize": {"name": "mse"},
    "losses.get": {"identifier": "mse"},
    "metrics.deserialize": {"config": "mse"},
    "metrics.get": {"identifier": "mse"},
    "optimizers.deserialize": {"config": pyrnn.optimizers.serialize(pyrnn.optimizers.SGD())},
    "optimizers.get": {"identifier": "sgd"},
    "optimizers.schedules.deserialize": {"config": schedules.serialize(schedules.ExponentialDecay(0.1, 1, 0.1))},
    "activations.deserialize": {"name": "tanh"},
    "activations.get": {"identifier": "tanh"},
    "activations.threshold": {"threshold": 0.5, "default_value": 0.0},
    "activations.serialize": {"activation": pyrnn.activations.get("tanh")},
    "regularizers.get": {"identifier": "l2"},
    "constraints.get": {"identifier": "non_neg"},
    "preprocessing.text.tokenizer_from_json": {"json_string": Tokenizer().to_json()},
    "preprocessing.sequence.timeseries_generator_from_json": {
        "json_string": pyrnn.preprocessing.sequence.TimeseriesGenerator([1, 2, 3], [1, 2, 3], 1).to_json()
    },
    "utils.set_random_seed": {"seed": 3},
    "saving.serialize_keras_object": {"obj": 1},
    "saving.deserialize_keras_object": {"config": 1},
    "saving.save_weights": {"filepath": "m.weights.h5"},
    "saving.load_weights": {"filepath": "m.weights.h5"},
    "data.split_dataset": {"left_size": 0.5},
}


def _public() -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for module_name in MODULES:
        module = importlib.import_module(f"pyrnn.{module_name}")
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", names):
            value = getattr(module, name)
            if name.startswith("_") or not callable(value) or id(value) in seen or f"{module_name}.{name}" in INNER:
                continue
            seen.add(id(value))
            if module_name == "backend" and name in pyrnn.backend.OPERATIONS:
                continue  # tests/fuzz
            yield f"{module_name}.{name}", value


PUBLIC = dict(_public())
LEGAL_OF: dict[str, set[str]] = {}
for _samples, _names in LEGAL.items():
    for _name in _names.split():
        LEGAL_OF.setdefault(_name, set()).update(_samples.split())


def _rule(function: Any, argument: str) -> Rule | None:
    """The rule of an argument; of a class, in the constructor that names it."""
    constructors = (
        [vars(base).get("__init__") for base in inspect.getmro(function)] if inspect.isclass(function) else []
    )
    functions = [each for each in [*constructors, function] if inspect.isfunction(inspect.unwrap(each))]
    return next((rules[argument] for rules in map(rules_of, functions) if argument in rules), None)


def _bad_values(name: str, function: Any, argument: inspect.Parameter) -> dict[str, Any]:
    rule, key = _rule(function, argument.name), f"{name}.{argument.name}"
    legal = SPECIAL[key].split() if key in SPECIAL else LEGAL_OF.get(argument.name, ()) if rule is None else ()
    values = SAMPLES if rule is None else rule.bad_values()
    return {label: value for label, value in values.items() if label not in legal and value is not argument.default}


def _arguments(function: Any) -> list[inspect.Parameter]:
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in inspect.signature(function).parameters.values() if each.kind not in hidden]


def _checked() -> Iterator[tuple[str, Any]]:
    """Every `@checked` function of the package."""
    wrapper = checked(lambda: None).__code__  # all of them share it
    for module in pkgutil.walk_packages(pyrnn.__path__, "pyrnn."):
        if module.name.endswith("__main__"):
            continue
        scope = vars(importlib.import_module(module.name))
        classes = [value for value in scope.values() if inspect.isclass(value) and value.__module__ == module.name]
        for owner, names in [("", scope), *((f"{each.__name__}.", vars(each)) for each in classes)]:
            for name, value in names.items():
                if getattr(value, "__code__", None) is wrapper and value.__module__ == module.name:
                    yield f"{module.name}.{owner}{name}", value


CHECKED = dict(_checked())


def test_checked_functions_are_discovered() -> None:
    assert len(CHECKED) > 200
    assert "pyrnn.layers.recurrent.layers.LSTM.__init__" in CHECKED


@pytest.mark.parametrize("name", CHECKED)
def test_every_argument_of_a_checked_function_has_a_rule(name: str) -> None:
    assert not [argument for argument, rule in rules_of(CHECKED[name]).items() if rule is None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    _model().save(folder / "m.keras")
    _model().save_weights(folder / "m.weights.h5")
    pyrnn.export.to_safetensors(_model(), folder / "m.safetensors")
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch, any_thread_count: None) -> None:
    monkeypatch.chdir(files)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument(name: str, folder: None, recwarn: pytest.WarningsRecorder) -> None:
    function, failures = PUBLIC[name], []
    arguments = _arguments(function)
    model = _model()
    options = {each.name: GIVEN[each.name] for each in arguments if each.default is each.empty and each.name in GIVEN}
    options |= {"model": model} if "model" in options else {}
    options |= {"json_string": model.to_json()} if "json_string" in [each.name for each in arguments] else {}
    options |= GIVEN_TO.get(name, {})
    with contextlib.suppress(ImportError):  # plot_model needs a package; its arguments are checked before
        function(**options)
    for each in arguments:
        for label, value in _bad_values(name, function, each).items():
            called = (each.name, *ALSO_CALLED.get(each.name, ()))
            try:
                function(**{**options, each.name: value})
                failures.append(f"{each.name}={label} was taken")
            except ValueError as error:
                message = str(error)
                if len(message.splitlines()) != 1 or not any(word in message for word in called):
                    failures.append(f"{each.name}={label}: {type(error).__name__}: {message}")
            except Exception as error:
                failures.append(f"{each.name}={label}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
    assert np.isfinite(model.get_weights()[0]).all()


X, Y = np.ones((6, 3, 2), np.float32), np.ones((6, 1), np.float32)
# Methods of a model with right arguments.
METHODS: dict[str, dict[str, Any]] = {
    "add": {"layer": layers.Dense(2)},
    "build": {"input_shape": (None, 3, 2)},
    "compile": {"optimizer": "adam", "loss": "mse"},
    "compute_output_shape": {"input_shape": (None, 3, 2)},
    "evaluate": {"x": X, "y": Y, "verbose": 0},
    "fit": {"x": X, "y": Y, "verbose": 0},
    "get_layer": {"index": 0},
    "load_weights": {"filepath": "m.weights.h5"},
    "predict": {"x": X, "verbose": 0},
    "predict_on_batch": {"x": X},
    "save": {"filepath": "m.keras"},
    "save_weights": {"filepath": "m.weights.h5"},
    "set_weights": {"weights": [np.zeros(s, np.float32) for s in ((2, 8), (2, 8), (8,), (2, 1), (1,))]},
    "stream": {"batch_size": 2},
    "summary": {},
    "test_on_batch": {"x": X, "y": Y},
    "train_on_batch": {"x": X, "y": Y},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_leave_the_model_as_it_was(
    method: str, folder: None, recwarn: pytest.WarningsRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pyrnn.Sequential([layers.LSTM(2, stateful=True, batch_input_shape=(6, 3, 2)), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=6, verbose=0)
    stateful, options, failures = model.layers[0], METHODS[method], []

    def state() -> list[bytes]:
        assert model.optimizer is not None
        values = [*model.get_weights(), *(value for _, value in model.optimizer.named_variables()), *stateful.states]
        return [np.asarray(value).tobytes() for value in values]

    before = state()
    for each in _arguments(getattr(model, method)):
        for label, value in _bad_values(f"{method}", getattr(pyrnn.Sequential, method), each).items():
            called = f"{method}({each.name}={label})"
            try:
                getattr(model, method)(**{**options, each.name: value})
                failures.append(f"{called} was taken")
                before = state()
            except (TypeError, ValueError) as error:
                message = str(error)
                if len(message.splitlines()) != 1 or each.name not in message:
                    failures.append(f"{called}: {type(error).__name__}: {message}")
            except Exception as error:
                failures.append(f"{called}: {type(error).__name__}: {error}")
            if state() != before:
                failures.append(f"{called} changed the model")
                before = state()
    assert not failures, "\n".join(failures)
    model.fit(X, Y, batch_size=6, verbose=0)
