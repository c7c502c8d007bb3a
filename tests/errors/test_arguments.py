"""Every argument of every public class and function meets a table of bad values.

Each value is refused by a TypeError or ValueError, one sentence that names the argument, or stands in `LEGAL`: what is
right for arguments of that name, here and in Keras. Arguments are found by walking the modules, so that a new one is
held to the table without a line here.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.optimizers import schedules
from pyrnn.preprocessing.text import Tokenizer

VALUES: dict[str, Any] = {
    "object": object(),
    "list": [],
    "dict": {},
    "text": "no such\nthing",
    "empty": "",
    "none": None,
    "nan": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "zero": 0,
    "one-and-a-half": 1.5,
    "huge": 2**63,
    "true": True,
    "array": np.ones((2, 2)),
    "no-arguments": lambda: None,
}
# What is right for an argument of a name; its default is so anyway.
LEGAL = {
    # Flags, which Keras's users also write as 0 and 1.
    "zero true": """
        add_history add_progbar amsgrad append apply_class_balancing by_name center centered char_level compile cycle
        delete_checkpoint double_checkpoint exclude_embeddings free_memory from_logits from_sorted_ids full go_backwards
        include_optimizer include_rng invert keepdims lower mask_zero multi_label nesterov overwrite raise_error
        relative_step
        remove_diagonal renorm reset_after restore_best_weights return_sequences return_state reverse rms_scaling
        safe_mode expand_nested show_dtype
        show_layer_activations show_layer_names show_shapes show_trainable
        save_best_only save_weights_only send_as_json shuffle skip_mismatch sparse_y_pred sparse_y_true staircase
        stateful swap_on_epoch synchronized unit_forget_bias unroll use_bias use_ema use_multiprocessing
        verbose write_graph write_images write_steps_per_second zero_output_for_mask""",
    "true": "trainable",
    # Shares: from 0 to 1, or below 1.
    "zero": """
        adam_beta_1 adam_beta_2 beta_1 beta_2 class_id dropout ema_momentum label_smoothing momentum precision rate
        recall recurrent_dropout renorm_momentum rho sensitivity specificity thresholds""",
    # Counts of steps, epochs and rows from 0.
    "zero huge": "patience seed",
    "huge": "save_freq",
    "none zero ": "rms_rate",
    "zero ": "cropping end_index maxlen padding start_index",
    "zero one-and-a-half huge": """
        adam_lr_ratio alpha decay_rate end_learning_rate epsilon epsilon_1 epsilon_2 factor gamma
        initial_accumulator_value initial_learning_rate l1_regularization_strength l2_regularization_strength
        l2_shrinkage_regularization_strength m_mul margin max_value min_delta min_lr min_value negative_slope power
        stddev warmup_steps warmup_target""",
    "none zero one-and-a-half huge": "adam_weight_decay l1 l2 weight_decay",
    "one-and-a-half huge": """
        clip_threshold clipnorm clipvalue decay_steps
        delta first_decay_steps global_clipnorm loss_scale_factor t_mul""",
    "negative zero one-and-a-half huge": """
        baseline beta_2_decay gain initial_value_threshold mask_value maxval mean minval muon_a muon_b muon_c
        threshold""",
    "zero one-and-a-half huge no-arguments": "learning_rate",  # a function without arguments gives it
    "infinite negative zero one-and-a-half huge": "order",  # of a norm
    "negative zero": "ignore_class learning_rate_power shared_axes",
    "negative": "groups",  # -1: as many as features
    "negative zero list none": "axis",
    # Names that are looked up; None is "linear" or none at all, an array an initializer's value.
    "none": "activation class_aggregation loss merge_mode metric recurrent_activation reduction regularizer use_cudnn",
    "none array": """
        alpha_initializer beta_initializer bias_initializer embeddings_initializer gamma_initializer kernel_initializer
        depthwise_initializer moving_mean_initializer moving_variance_initializer pointwise_initializer
        recurrent_initializer""",
    "none no-arguments": "constraint initializer",  # serialize: of a function the name is written
    "none array no-arguments": "identifier",
    "text": "name backup_dir filename filepath log_dir split to_file",
    "text empty": "field filters input_text monitor oov_token package path separator text",
    "dict": "arguments custom_objects headers module_objects renorm_clipping",
    "dict empty": "embeddings_metadata",
    "list": "dims exclude_layers label_weights noise_shape profile_batch target_shape",
    "list dict": "callbacks layers",  # anything empty
    "dict none": "dtype",  # Keras's description of a policy; the default where it is another
    "list dict array": "sequences",
    "list none array": "targets",
    "array": "data series",
    "list negative zero one-and-a-half huge array": "offset scale value weights",
    "no-arguments": "function gradient output_shape",  # called when the layer is, with what it then has
    "list negative zero one-and-a-half huge array no-arguments": "mask",
    "list none nan infinite negative zero one-and-a-half huge true array": "x",
}
# Where a name means something else, or what is right depends on the class.
SPECIAL = {
    "activations.deserialize.name": "none",
    "callbacks.CallbackList.model": " ".join(VALUES),  # it is only handed on
    "layers.Conv1DTranspose.output_padding": "zero",  # of a stride of 1
    "layers.Input.optional": "none",
    "layers.Input.shape": "list",
    "layers.InputLayer.optional": "none",
    "layers.InputLayer.shape": "list",
    "layers.Lambda.output_shape": "list no-arguments",
    "losses.Tversky.beta": "zero one-and-a-half huge",
    "metrics.FBetaScore.beta": "one-and-a-half huge",
    "losses.deserialize.name": "none no-arguments",
    "metrics.deserialize.config": "none no-arguments",
    "optimizers.Ftrl.beta": "zero one-and-a-half huge",
    "preprocessing.sequence.pad_sequences.value": "negative zero one-and-a-half true",
    "data.PyDataset.workers": "zero",
    "data.split_dataset.dataset": "array",
    "preprocessing.sequence.TimeseriesGenerator.workers": "zero",
    "utils.PyDataset.workers": "zero",
    "utils.Sequence.workers": "zero",
    "layers.PReLU.shared_axes": "negative zero list",
    "saving.get_registered_object.name": "text empty",
    "saving.CustomObjectScope.objects": "dict none",
    "saving.serialize_keras_object.obj": " ".join(name for name in VALUES if name not in ("object", "no-arguments")),
    "saving.deserialize_keras_object.config": " ".join(VALUES),  # what is no description comes back as it is
    "saving.get_registered_name.cls": " ".join(VALUES),  # what is not registered has its own name
    "activations.get.identifier": "none",
    "activations.serialize.activation": "none",
}
# What stands in a message for the name of an argument that is positional and unnamed in Keras's own errors.
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
    "initializers",
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
# Made by the functions beside them, of arguments that these have checked.
INNER = [
    "callbacks.Hook",
    "data.ArrayBatches",
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
    "layers.Recurrent",
    "losses.FunctionLoss",
    "losses.match_ranks",
    "metrics.resolve",
    "optimizers.Optimizer",
    "summary.print_summary",
    "metrics.MeanMetricWrapper",
]


def _model() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.LSTM(2, input_shape=(3, 2)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


# Arguments without a default.
GIVEN: dict[str, Any] = {
    "activation": "tanh", "backup_dir": "backup", "boundaries": [1], "cell": layers.LSTMCell(3),
    "cells": [layers.LSTMCell(3)], "constraint": None, "count": 1, "data": np.arange(20.0), "dataset": np.arange(10.0),
    "decay_rate": 0.9, "decay_steps": 10, "dims": (1,), "filename": "log.csv", "filepath": "m.keras", "filters": 4,
    "first_decay_steps": 10, "fn": np.subtract, "function": np.sign, "identifier": "zeros",
    "initial_learning_rate": 0.1, "initializer": None, "input_dim": 5, "input_text": "a b", "kernel_size": 2,
    "layer": layers.LSTM(3), "learning_rate_schedule": schedules.ExponentialDecay(0.1, 1, 0.1), "length": 3,
    "loss": None, "metric": None, "model": None, "n": 3, "name": "some", "num_classes": 3, "objects": {},
    "optimizer": pyrnn.optimizers.SGD(), "output_dim": 3, "precision": 0.5, "pool_size": 2, "quantile": 0.5,
    "rate": 0.5,
    "recall": 0.5, "regularizer": None, "scale": 2.0, "schedule": lambda epoch, rate: rate, "sensitivity": 0.5,
    "sequence_length": 3, "sequences": [[1], [2, 3]], "series": np.arange(9.0), "shape": (3,), "size": 1000,
    "specificity": 0.5, "stddev": 0.1, "target_class_ids": [0], "target_shape": (3,), "targets": np.arange(20.0),
    "text": "a b", "units": 3, "values": [0.1, 0.2], "x": np.arange(4),
    "y_true": np.array([1, 0]), "y_pred": np.array([[0.2, 0.8], [0.6, 0.4]]), "left_size": 0.5, "cls": layers.LSTM,
}  # fmt: skip
GIVEN_TO: dict[str, dict[str, Any]] = {
    "backend.use_backend": {"name": "core"},
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
    "layers.Input": {"shape": (3,)},
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
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name)
            if name.startswith("_") or not callable(value) or id(value) in seen or f"{module_name}.{name}" in INNER:
                continue
            seen.add(id(value))
            if module_name == "backend" and name in pyrnn.backend.OPERATIONS:
                continue  # tests/fuzz
            yield f"{module_name}.{name}", value


PUBLIC = dict(_public())
LEGAL_OF: dict[str, set[str]] = {}
LEGAL[" ".join(VALUES)] = (
    "y_true y_pred"  # of the functions of losses and metrics: data, which tests/errors/test_data.py looks at
)
for _values, _names in LEGAL.items():
    for _name in _names.split():
        LEGAL_OF.setdefault(_name, set()).update(_values.split())


def _arguments(function: Any) -> list[inspect.Parameter]:
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in inspect.signature(function).parameters.values() if each.kind not in hidden]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    _model().save(folder / "m.keras")
    _model().save_weights(folder / "m.weights.h5")
    return folder


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch, any_thread_count: None) -> None:
    monkeypatch.chdir(files)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument(name: str, folder: None, recwarn: pytest.WarningsRecorder) -> None:
    function, failures = PUBLIC[name], []
    arguments = _arguments(function)
    model = _model()
    given = {each.name: GIVEN[each.name] for each in arguments if each.default is each.empty and each.name in GIVEN}
    given |= {"model": model} if "model" in given else {}
    given |= {"json_string": model.to_json()} if "json_string" in [each.name for each in arguments] else {}
    given |= GIVEN_TO.get(name, {})
    with contextlib.suppress(ImportError):  # plot_model needs a package; its arguments are checked before
        function(**given)
    for each in arguments:
        legal = set(SPECIAL.get(f"{name}.{each.name}", "").split()) or LEGAL_OF.get(each.name, set())
        for label, value in VALUES.items():
            if value is each.default or label in legal:
                continue
            called = (each.name, *ALSO_CALLED.get(each.name, ()))
            try:
                function(**{**given, each.name: value})
                failures.append(f"{each.name}={label} was taken")
            except (TypeError, ValueError) as error:
                words = str(error)
                if len(words.splitlines()) != 1 or not any(word in words for word in called):
                    failures.append(f"{each.name}={label}: {type(error).__name__}: {words}")
            except Exception as error:
                failures.append(f"{each.name}={label}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
    assert np.isfinite(model.get_weights()[0]).all()


X, Y = np.ones((6, 3, 2), np.float32), np.ones((6, 1), np.float32)
# Methods of a model with the arguments that are right, beside what `LEGAL` says of the others.
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
METHOD_LEGAL = {
    "build.input_shape": " ".join(VALUES),  # a built model keeps its shape, as in Keras
    "compile.auto_scale_loss": "zero",
    "compile.jit_compile": "true zero",
    "compile.loss": "none no-arguments",  # a function of one's own is called in training
    "compile.loss_weights": "one-and-a-half negative zero huge list",
    "compile.metrics": "list dict",
    "compile.optimizer": "",
    "compile.run_eagerly": "true zero",
    "compile.weighted_metrics": "list dict",
    "evaluate.return_dict": "true zero",
    "evaluate.callbacks": "list dict",
    "fit.callbacks": "list dict",
    "fit.class_weight": "dict",
    "fit.epochs": "huge",
    "fit.initial_epoch": "huge",
    "fit.shuffle": "zero",
    "fit.steps_per_epoch": "huge",
    "fit.validation_freq": "list huge",
    "fit.validation_split": "zero",
    "fit.validation_steps": "huge",
    "get_layer.index": "zero negative",
    "predict.callbacks": "list dict",
    "predict.steps": "huge",
    "evaluate.steps": "huge",
    "summary.positions": "list",
    "test_on_batch.return_dict": "true zero",
    "train_on_batch.class_weight": "dict",
    "train_on_batch.return_dict": "true zero",
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_leave_the_model_as_it_was(
    method: str, folder: None, recwarn: pytest.WarningsRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pyrnn.Sequential([layers.LSTM(2, stateful=True, batch_input_shape=(6, 3, 2)), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=6, verbose=0)
    stateful, given, failures = model.layers[0], METHODS[method], []

    def state() -> list[bytes]:
        assert model.optimizer is not None
        values = [*model.get_weights(), *(value for _, value in model.optimizer.variables()), *stateful.states]
        return [np.asarray(value).tobytes() for value in values]

    before = state()
    for each in _arguments(getattr(model, method)):
        legal = set(METHOD_LEGAL.get(f"{method}.{each.name}", "").split()) or LEGAL_OF.get(each.name, set())
        for label, value in VALUES.items():
            if value is each.default or label in legal:
                continue
            called = f"{method}({each.name}={label})"
            try:
                getattr(model, method)(**{**given, each.name: value})
                failures.append(f"{called} was taken")
                before = state()
            except (TypeError, ValueError) as error:
                words = str(error)
                if len(words.splitlines()) != 1 or each.name not in words:
                    failures.append(f"{called}: {type(error).__name__}: {words}")
            except Exception as error:
                failures.append(f"{called}: {type(error).__name__}: {error}")
            if state() != before:
                failures.append(f"{called} changed the model")
                before = state()
    assert not failures, "\n".join(failures)
    model.fit(X, Y, batch_size=6, verbose=0)
