"""Descriptions and files of other versions of Keras: added and removed keys, changed names."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn

# A model as Keras 2.x describes it.
KERAS_2: dict[str, Any] = {
    "class_name": "Sequential",
    "config": {
        "name": "sequential",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {
                    "batch_input_shape": [None, 6, 3], "dtype": "float32", "sparse": False, "ragged": False,
                    "name": "lstm_input",
                },
            },
            {
                "class_name": "LSTM",
                "config": {
                    "name": "lstm", "trainable": True, "batch_input_shape": [None, 6, 3], "dtype": "float32",
                    "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False,
                    "unroll": False, "time_major": False, "units": 4, "activation": "tanh",
                    "recurrent_activation": "sigmoid", "use_bias": True,
                    "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
                    "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
                    "bias_initializer": {"class_name": "Zeros", "config": {}}, "unit_forget_bias": True,
                    "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
                    "recurrent_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
                    "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None,
                    "dropout": 0.0, "recurrent_dropout": 0.0, "implementation": 2,
                },
            },
            {
                "class_name": "Dense",
                "config": {
                    "name": "dense", "trainable": True, "dtype": "float32", "units": 1, "activation": "linear",
                    "use_bias": True,
                },
            },
        ],
    },
    "keras_version": "2.12.0",
    "backend": "tensorflow",
}  # fmt: skip


def test_a_model_of_keras_2() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = pyrnn.models.model_from_json(json.dumps(KERAS_2))
    assert model.input_shape == (None, 6, 3) and model.weights[0].shape == (3, 16)
    assert model.layers[0].kernel_regularizer.l2 == 0.01
    assert model.predict(np.ones((2, 6, 3)), verbose=0).shape == (2, 1)


def saved(tmp_path: Path) -> tuple[pyrnn.Sequential, dict[str, Any]]:
    model = pyrnn.Sequential([pyrnn.Input((6, 3)), pyrnn.layers.GRU(4), pyrnn.layers.Dense(1)])
    model.compile("adam", "mse")
    return model, json.loads(model.to_json())


def test_a_key_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    _, description = saved(tmp_path)
    description["config"]["layers"][1]["config"]["new_option"] = None
    assert pyrnn.models.model_from_json(json.dumps(description)).count_params() > 0


def test_a_key_that_says_something_is_named(tmp_path: Path) -> None:
    _, description = saved(tmp_path)
    description["config"]["layers"][1]["config"]["new_option"] = 3
    with pytest.warns(UserWarning, match="GRU has no argument 'new_option': new_option=3 in the file is ignored"):
        pyrnn.models.model_from_json(json.dumps(description))


def test_keys_that_are_missing_have_their_defaults(tmp_path: Path) -> None:
    _, description = saved(tmp_path)
    for key in ("seed", "zero_output_for_mask", "recurrent_initializer", "reset_after"):
        del description["config"]["layers"][1]["config"][key]
    for key in ("weighted_metrics", "jit_compile", "loss_weights"):
        del description["compile_config"][key]
    model = pyrnn.models.model_from_json(json.dumps(description))
    assert model.layers[0].reset_after and model.compiled


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: pyrnn.layers.LSTM(output_dim=3),
            "LSTM got 'output_dim', an argument of older Keras .* use units instead",
        ),
        (lambda: pyrnn.layers.Dense(3, init="zero"), "'init', an argument of older Keras versions: use kernel_init"),
        (lambda: pyrnn.layers.GRU(3, inner_activation="tanh"), "use recurrent_activation instead"),
        (lambda: pyrnn.layers.Conv1D(3, 2, border_mode="same"), "use padding instead"),
        (lambda: pyrnn.Sequential().fit(nb_epoch=3), r"fit\(\) got 'nb_epoch', .* use epochs instead"),
        (lambda: pyrnn.Sequential().compile(class_mode="binary"), r"compile\(\) got 'class_mode', .* use loss instead"),
    ],
)
def test_arguments_of_older_keras_versions(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_a_picture(rankdir: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plot_model draws with an optional package")
    model, _ = saved(tmp_path)
    options = dict.fromkeys(
        ("show_shapes", "show_dtype", "show_layer_names", "show_layer_activations", "show_trainable"), True
    )
    pyrnn.utils.plot_model(model, tmp_path / "m.png", rankdir=rankdir, dpi=60, **options)
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


class Halving(pyrnn.optimizers.schedules.LearningRateSchedule):
    """A user's own schedule."""

    def __init__(self, start: float, name: str | None = None) -> None:
        self.start, self.name = start, name

    def __call__(self, step: Any) -> Any:
        return np.float32(self.start * 0.5 ** float(step))

    def get_config(self) -> dict[str, Any]:
        return {"start": self.start, "name": self.name}


def test_custom_classes_come_back_from_every_place(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    model.compile(pyrnn.optimizers.SGD(Halving(0.1)), "mse")
    model.train_on_batch(np.ones((2, 6, 3)), np.ones((2, 1)))
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
        again = pyrnn.load_model(tmp_path / f"m.{ending}", custom_objects={"Halving": Halving})
        assert again.optimizer.learning_rate == model.optimizer.learning_rate == np.float32(0.05)
        with pytest.raises(
            ValueError,
            match=r"learning rate schedule 'Halving' is not part of pyrnn: pass custom_objects=.'Halving': Halving.",
        ):
            pyrnn.load_model(tmp_path / f"m.{ending}")


def test_an_optimizer_of_a_later_version(tmp_path: Path) -> None:
    _, description = saved(tmp_path)
    description["compile_config"]["optimizer"]["config"]["new_option"] = None
    assert pyrnn.models.model_from_json(json.dumps(description)).compiled


def largest_error(y_true: Any, y_pred: Any) -> Any:
    return np.abs(y_true - y_pred).max(axis=-1)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_custom_functions_come_back(ending: str, tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    x, y = np.ones((2, 6, 3)), np.zeros((2, 1))
    model.compile("adam", "mse", metrics=[largest_error])
    expected = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / f"m.{ending}")
    again = pyrnn.load_model(tmp_path / f"m.{ending}", custom_objects={"largest_error": largest_error})
    assert again.evaluate(x, y, verbose=0) == expected and again.metrics_names == model.metrics_names
    with pytest.raises(
        ValueError,
        match=r"metric is the function 'largest_error', .*: pass custom_objects=.'largest_error': largest_error.",
    ):
        pyrnn.load_model(tmp_path / f"m.{ending}")
