"""Every optimizer with every option against real Keras: losses, weights and variables over steps, files both ways."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

SAMPLES, TIME, FEATURES, UNITS, STEPS = 6, 4, 3, 7, 8
# Terms summed on the way from a weight to its value after the last step.
TERMS = SAMPLES * TIME * UNITS * STEPS

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda M, **k: M.SGD(0.05, **k),
    "momentum": lambda M, **k: M.SGD(0.05, momentum=0.9, **k),
    "nesterov": lambda M, **k: M.SGD(0.05, momentum=0.9, nesterov=True, **k),
    "rmsprop": lambda M, **k: M.RMSprop(0.01, **k),
    "rmsprop-centered": lambda M, **k: M.RMSprop(0.01, momentum=0.5, centered=True, epsilon=1e-3, **k),
    "adam": lambda M, **k: M.Adam(0.02, **k),
    "amsgrad": lambda M, **k: M.Adam(0.02, amsgrad=True, **k),
    "adamw": lambda M, **k: M.AdamW(0.02, **k),
    "adamax": lambda M, **k: M.Adamax(0.02, **k),
    "nadam": lambda M, **k: M.Nadam(0.02, **k),
    "adagrad": lambda M, **k: M.Adagrad(0.1, **k),
    "adagrad-start": lambda M, **k: M.Adagrad(0.5, initial_accumulator_value=0.5, epsilon=1e-3, **k),
    "adadelta": lambda M, **k: M.Adadelta(1.0, rho=0.9, epsilon=1e-4, **k),
    "adafactor": lambda M, **k: M.Adafactor(0.05, **k),
    "adafactor-clip": lambda M, **k: M.Adafactor(
        0.05, beta_2_decay=-0.6, epsilon_1=1e-6, epsilon_2=0.1, clip_threshold=0.5, relative_step=False, **k
    ),
    "ftrl": lambda M, **k: M.Ftrl(0.1, **k),
    "ftrl-all": lambda M, **k: M.Ftrl(
        0.1,
        learning_rate_power=-0.7,
        initial_accumulator_value=0.3,
        l1_regularization_strength=0.01,
        l2_regularization_strength=0.02,
        l2_shrinkage_regularization_strength=0.03,
        beta=0.1,
        **k,
    ),
    "lion": lambda M, **k: M.Lion(0.01, **k),
    "lamb": lambda M, **k: M.Lamb(0.02, **k),
    "muon": lambda M, **k: M.Muon(0.02, **k),
    "muon-plain": lambda M, **k: M.Muon(
        0.02, exclude_layers=["dense"], adam_lr_ratio=0.5, nesterov=False, rms_rate=None, adam_weight_decay=None, **k
    ),
    "schedule-free": lambda M, **k: M.ScheduleFreeAdamW(0.02, warmup_steps=3, **k),
}
# Keras's backends disagree on the steps of this one: those that assign in place (PyTorch, TensorFlow) mix the weights
# with the new z where the formula, JAX and NumPy take the old one. tests/training/test_optimizers.py checks it by the
# formula.
TRAINED = [name for name in OPTIMIZERS if name != "schedule-free"]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.05},
    "weight_decay": {"weight_decay": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema-overwrite": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "all": {
        "clipnorm": 0.2,
        "weight_decay": 0.05,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    },
}
SCHEDULES: dict[str, Any] = {
    "exponential": lambda S: S.ExponentialDecay(0.1, 7, 0.9),
    "exponential-staircase": lambda S: S.ExponentialDecay(0.1, 7, 0.9, staircase=True),
    "inverse-time": lambda S: S.InverseTimeDecay(0.1, 3, 0.5),
    "inverse-time-staircase": lambda S: S.InverseTimeDecay(0.1, 3, 0.5, staircase=True),
    "piecewise": lambda S: S.PiecewiseConstantDecay([3, 5, 20], [0.1, 0.05, 0.02, 0.01]),
    "polynomial": lambda S: S.PolynomialDecay(0.1, 11),
    "polynomial-power": lambda S: S.PolynomialDecay(0.1, 11, 0.01, power=0.5),
    "polynomial-cycle": lambda S: S.PolynomialDecay(0.1, 11, 0.01, power=2.0, cycle=True),
    "cosine": lambda S: S.CosineDecay(0.1, 13, alpha=0.1),
    "cosine-warm-up": lambda S: S.CosineDecay(0.01, 13, warmup_target=0.1, warmup_steps=5),
    "cosine-no-warm-up-steps": lambda S: S.CosineDecay(0.01, 13, warmup_target=0.1),
    "restarts": lambda S: S.CosineDecayRestarts(0.1, 6),
    "restarts-equal": lambda S: S.CosineDecayRestarts(0.1, 6, t_mul=1.0, m_mul=0.8, alpha=0.1),
    "restarts-long": lambda S: S.CosineDecayRestarts(0.1, 5, t_mul=1.5, m_mul=0.9, alpha=0.01),
}


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, TIME, FEATURES)).astype("float32")
    return x, rng.random((SAMPLES, 1)).astype("float32")


def make_pair(make: Any, **layer: Any) -> tuple[Any, Any]:
    """The same model in Keras and here, with the same weights and names."""
    pair = []
    for module in (keras, pyrnn):
        layers = module.layers
        stack = [layers.SimpleRNN(UNITS, name="rnn", **layer), layers.Dense(1, name="dense")]
        model = module.Sequential([module.Input((TIME, FEATURES)), *stack], name="model")
        model.compile(make(module.optimizers), "mse")
        pair.append(model)
    theirs, ours = pair
    # The same at each run; biases are not zero, so that their decay shows.
    rng = np.random.default_rng(1)
    weights = [0.4 * rng.standard_normal(value.shape).astype("float32") for value in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def plain(name: str) -> str:
    """Without the model's name, which Keras leaves out after reading a file, and the number of a nameless variable."""
    return re.sub(r"^variable_\d+$", "variable", name.removeprefix("model_"))


def compare(theirs: Any, ours: Any) -> None:
    for weight, value in zip(ours.weights, theirs.get_weights(), strict=True):
        assert_close(weight.numpy(), value, TERMS, weight.path)
    actual = ours.optimizer.named_variables()
    assert [plain(name) for name, _ in actual] == [plain(variable.name) for variable in theirs.optimizer.variables]
    for (name, array), variable in zip(actual, theirs.optimizer.variables, strict=True):
        value = keras.ops.convert_to_numpy(variable)
        assert array.shape == value.shape, name
        if value.dtype.kind == "i":
            assert (array == value).all(), name
        else:
            assert array.dtype == value.dtype, name
            assert_close(array, value, TERMS, name)


def train(theirs: Any, ours: Any, data: tuple[Any, Any], steps: int) -> None:
    for step in range(steps):
        expected, actual = float(theirs.train_on_batch(*data)), float(ours.train_on_batch(*data))
        assert_close(np.float32(actual), np.float32(expected), TERMS, f"loss of step {step}")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", TRAINED)
def test_steps(name: str, option: str, data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(lambda M: OPTIMIZERS[name](M, **OPTIONS[option]))
    before = ours.get_weights()
    train(theirs, ours, data, STEPS)
    compare(theirs, ours)
    assert int(theirs.optimizer.iterations) == ours.optimizer.iterations
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(before, ours.get_weights(), strict=True))
    theirs.optimizer.finalize_variable_values(theirs.trainable_variables)
    ours.optimizer.finalize_variable_values()
    compare(theirs, ours)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_configs_both_ways(name: str) -> None:
    theirs, ours = (OPTIMIZERS[name](module.optimizers, **OPTIONS["all"]) for module in (keras, pyrnn))
    expected, actual = theirs.get_config(), ours.get_config()
    assert expected.keys() == actual.keys()
    assert {**expected, "name": ""} == {**actual, "name": ""}
    assert pyrnn.optimizers.get(keras.optimizers.serialize(theirs)).get_config() == expected
    assert keras.saving.deserialize_keras_object(pyrnn.optimizers.serialize(ours)).get_config() == actual
    assert type(pyrnn.optimizers.get(type(ours).__name__.upper())) is type(ours)


@pytest.mark.parametrize("option", ["plain", "all"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_files_both_ways(name: str, option: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(lambda M: OPTIMIZERS[name](M, **OPTIONS[option]))
    train(theirs, ours, data, 3 if name in TRAINED else 1)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    read_by_keras = keras.models.load_model(tmp_path / "ours.keras")
    read_by_us = pyrnn.load_model(tmp_path / "theirs.keras")
    compare(read_by_keras, read_by_us)
    train(read_by_keras, read_by_us, data, 3 if name in TRAINED else 0)
    compare(read_by_keras, read_by_us)


@pytest.mark.parametrize("name", ["sgd", "adamw", "nadam", "muon"])
@pytest.mark.parametrize(
    "rule", [{"var_names": ["bias"]}, {"var_list": [1, 3]}, {"var_names": ["^ker", "bi"]}], ids=str
)
def test_exclusions_from_weight_decay(name: str, rule: dict[str, Any], data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(lambda M: OPTIMIZERS[name](M, weight_decay=0.5))
    for model in (theirs, ours):
        weights = model.trainable_weights
        model.optimizer.exclude_from_weight_decay(
            **{key: [weights[i] for i in value] if key == "var_list" else value for key, value in rule.items()}
        )
    train(theirs, ours, data, STEPS)
    compare(theirs, ours)


@pytest.mark.parametrize("name", ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"])
@pytest.mark.parametrize("option", ["plain", "ema-overwrite", "accumulation"])
def test_constraints_in_training(name: str, option: str, data: tuple[Any, Any]) -> None:
    theirs, ours = make_pair(
        lambda M: OPTIMIZERS["adam"](M, **OPTIONS[option]), kernel_constraint=name, recurrent_constraint=name
    )
    train(theirs, ours, data, STEPS)
    compare(theirs, ours)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    theirs, ours = (SCHEDULES[name](module.optimizers.schedules) for module in (keras, pyrnn))
    steps = [*range(120), 1000]
    expected = [float(theirs(keras.ops.convert_to_tensor(step, "int32"))) for step in steps]
    actual = np.array([ours(step) for step in steps])
    assert actual.dtype == np.float32
    assert np.ptp(actual) > 0.01
    assert_close(actual, np.float32(expected), 1)
    assert_close(ours(np.array(steps)), actual, 1)
    assert theirs.get_config() == ours.get_config()
    assert keras.optimizers.schedules.serialize(theirs) == pyrnn.optimizers.schedules.serialize(ours)
    again = pyrnn.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(theirs))
    assert again(17) == ours(17)


@pytest.mark.parametrize("option", ["plain", "weight_decay", "accumulation", "all"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_training_by_a_schedule(name: str, option: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    # Steps linear in the gradient: Adam's would magnify the rounding of gradients near 0 by the rate over their size.
    theirs, ours = make_pair(lambda M: M.SGD(SCHEDULES[name](M.schedules), momentum=0.5, **OPTIONS[option]))
    for _ in range(2):
        train(theirs, ours, data, 3)
        compare(theirs, ours)
        assert_close(np.float32(ours.optimizer.learning_rate), np.float32(theirs.optimizer.learning_rate), 1)
    assert theirs.optimizer.get_config()["learning_rate"] == ours.optimizer.get_config()["learning_rate"]
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    read_by_keras = keras.models.load_model(tmp_path / "ours.keras")
    read_by_us = pyrnn.load_model(tmp_path / "theirs.keras")
    train(read_by_keras, read_by_us, data, 3)
    compare(read_by_keras, read_by_us)


@pytest.mark.parametrize("name", ["adam", "adafactor", "muon"])
def test_functions_as_learning_rate(name: str, data: tuple[Any, Any]) -> None:
    def make(module: Any) -> Any:
        optimizer = OPTIMIZERS[name](module)
        optimizer.learning_rate = lambda: 0.03
        return optimizer

    theirs, ours = make_pair(make)
    train(theirs, ours, data, STEPS)
    compare(theirs, ours)


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_that_the_caller_computed(name: str) -> None:
    """`apply_gradients` and `apply` next to Keras: weights, variables and their names."""
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (3,), (2, 4, 3)]
    starts = [rng.normal(size=shape).astype("float32") for shape in shapes]
    steps = [[rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(STEPS)]
    theirs, ours = OPTIMIZERS[name](keras.optimizers), OPTIMIZERS[name](pyrnn.optimizers)
    their_weights = [keras.Variable(start, name=f"kernel_{i}") for i, start in enumerate(starts)]
    layer = pyrnn.layers.Layer()
    our_weights = [layer.add_weight(shape=start.shape, name=f"kernel_{i}") for i, start in enumerate(starts)]
    for weight, start in zip(our_weights, starts, strict=True):
        weight.assign(start)
    for number, gradients in enumerate(steps):
        tensors = [keras.ops.convert_to_tensor(each) for each in gradients]
        if number % 2:
            theirs.apply(tensors)
            ours.apply(gradients)
        else:
            theirs.apply_gradients(zip(tensors, their_weights, strict=True))
            ours.apply_gradients(zip(gradients, our_weights, strict=True))
    for their, our in zip(their_weights, our_weights, strict=True):
        assert_close(our.numpy(), their.numpy(), TERMS)
    assert len(ours.variables) == len(theirs.variables)
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        assert our.shape == tuple(their.shape)
        assert_close(np.asarray(our.numpy(), "float32"), their.numpy(), TERMS)
