"""Initializers, regularizers and constraints against real Keras: values, statistics, gradients, configs both ways."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from tolerance import assert_close

import pyrnn
from pyrnn import constraints, initializers, regularizers

SHAPES = {"matrix": (6, 9), "tall": (9, 4), "square": (5, 5), "row": (1, 4), "zeros": (4, 3)}

CONSTRAINTS: dict[str, Any] = {
    "none": lambda M: M.Constraint(),
    "max-norm": lambda M: M.MaxNorm(),
    "max-norm-rows": lambda M: M.MaxNorm(0.5, axis=1),
    "max-norm-axes": lambda M: M.MaxNorm(0.5, axis=[0, 1]),
    "min-max": lambda M: M.MinMaxNorm(0.4, 0.8),
    "min-max-rate": lambda M: M.MinMaxNorm(0.4, 0.8, rate=0.3, axis=1),
    "non-neg": lambda M: M.NonNeg(),
    "unit": lambda M: M.UnitNorm(),
    "unit-rows": lambda M: M.UnitNorm(axis=1),
    "alias": lambda M: M.min_max_norm(0.1, 0.2),
}
REGULARIZERS: dict[str, Any] = {
    "l1": lambda M: M.L1(0.3),
    "l2": lambda M: M.L2(0.2),
    "l1-none": lambda M: M.L1(None),
    "l2-none": lambda M: M.l2(None),
    "l1l2": lambda M: M.L1L2(0.1, 0.2),
    "l1l2-l1": lambda M: M.l1_l2(l1=0.1),
    "l1l2-nothing": lambda M: M.L1L2(),
    "rows": lambda M: M.OrthogonalRegularizer(0.7),
    "columns": lambda M: M.orthogonal_regularizer(0.7, mode="columns"),
}
INITIALIZERS: dict[str, Any] = {
    "zeros": lambda M: M.Zeros(),
    "ones": lambda M: M.ones(),
    "constant": lambda M: M.Constant(0.7),
    "identity": lambda M: M.Identity(),
    "random-normal": lambda M: M.RandomNormal(0.5, 2.0, seed=1),
    "random-uniform": lambda M: M.RandomUniform(-0.3, 0.9, seed=2),
    "truncated-normal": lambda M: M.TruncatedNormal(1.0, 0.5, seed=3),
    "variance-scaling": lambda M: M.VarianceScaling(seed=4),
    "variance-normal": lambda M: M.VarianceScaling(2.0, "fan_out", "Normal", seed=5),
    "variance-untruncated": lambda M: M.VarianceScaling(0.5, "fan_avg", "untruncated_normal", seed=5),
    "variance-axes": lambda M: M.VarianceScaling(2.0, seed=6, input_axes=[1], output_axes=[0]),
    "glorot-uniform": lambda M: M.GlorotUniform(seed=7),
    "glorot-axes": lambda M: M.GlorotUniform(seed=7, input_axes=[0], output_axes=[0]),
    "glorot-normal": lambda M: M.glorot_normal(seed=8),
    "he-uniform": lambda M: M.HeUniform(seed=9),
    "he-normal": lambda M: M.HeNormal(seed=10),
    "lecun-uniform": lambda M: M.LecunUniform(seed=11),
    "lecun-normal": lambda M: M.LecunNormal(seed=12),
    "orthogonal": lambda M: M.Orthogonal(gain=1.5, seed=13),
}
# Keras's Identity forgets its gain when it is saved; here it is kept.
KEPT = {"identity": {"gain": 1.0}}


def weight(name: str) -> Any:
    value = np.random.default_rng(0).standard_normal(SHAPES[name]).astype("float32")
    return np.zeros_like(value) if name == "zeros" else value


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name: str, shape: str) -> None:
    theirs, ours = (CONSTRAINTS[name](module.constraints) for module in (keras, pyrnn))
    w = weight(shape)
    expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(w)))
    actual = ours(w.copy())
    assert actual.dtype == w.dtype
    assert_close(actual, expected, w.size)
    assert keras.constraints.serialize(theirs) == constraints.serialize(ours)
    assert type(constraints.get(keras.constraints.serialize(theirs))) is type(ours)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers(name: str, shape: str) -> None:
    theirs, ours = (REGULARIZERS[name](module.regularizers) for module in (keras, pyrnn))
    w = weight(shape)
    tensor = torch.tensor(w, requires_grad=True)
    penalty = theirs(tensor)
    if (name, shape) == ("rows", "row"):
        assert np.isnan(float(penalty)) and ours(w) == 0 and not ours.gradient(w).any()
        return
    assert_close(np.float32(ours(w)), np.float32(float(penalty)), w.size**2)
    gradient = ours.gradient(w)
    assert gradient.dtype == w.dtype and gradient.flags.c_contiguous
    if shape != "zeros" and penalty.requires_grad:
        penalty.backward()
        assert tensor.grad is not None
        assert_close(gradient, tensor.grad.numpy(), w.size**2)
    expected, actual = keras.regularizers.serialize(theirs), regularizers.serialize(ours)
    assert actual is not None
    # Keras keeps some factors as float32.
    assert {**expected, "config": 0} == {**actual, "config": 0}
    assert expected["config"].keys() == actual["config"].keys()
    for key, value in expected["config"].items():
        assert value == actual["config"][key] or np.float32(value) == np.float32(actual["config"][key])
    assert type(regularizers.get(expected)) is type(ours)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers_in_training(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 4, 3)).astype("float32")
    y = rng.random((6, 1)).astype("float32")
    models = []
    for module in (keras, pyrnn):
        penalties = {f"{part}_regularizer": REGULARIZERS[name](module.regularizers) for part in ("kernel", "recurrent")}
        model = module.Sequential(
            [module.Input((4, 3)), module.layers.SimpleRNN(5, **penalties), module.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        models.append(model)
    theirs, ours = models
    weights = [0.4 * rng.standard_normal(value.shape).astype("float32") for value in theirs.get_weights()]
    for model in models:
        model.set_weights(weights)
    for _ in range(6):
        expected, actual = theirs.train_on_batch(x, y), ours.train_on_batch(x, y)
        assert_close(np.float32(actual), np.float32(float(expected)), 600)
    for mine, value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, value, 600)


@pytest.mark.parametrize("shape", [(200, 300), (5, 40, 60)], ids=str)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name: str, shape: tuple[int, ...]) -> None:
    if name == "identity" and len(shape) > 2:
        pytest.skip("Identity makes matrices only")
    theirs, ours = (INITIALIZERS[name](module.initializers) for module in (keras, pyrnn))
    expected, actual = keras.ops.convert_to_numpy(theirs(shape)), ours(shape)
    assert actual.dtype == np.float32 and actual.shape == expected.shape
    assert ours(list(shape), dtype="float64").dtype == np.float64
    # Means of n draws lie within 5 standard errors; so do the spreads, and extremes of uniform draws.
    deviation, n = float(expected.std()), expected.size
    error = 5 * deviation / np.sqrt(n)
    assert abs(float(actual.mean() - expected.mean())) <= 2 * error + 1e-7
    assert abs(float(actual.std()) - deviation) <= 2 * error + 1e-7
    if "uniform" in name:
        assert abs(float(actual.max() - expected.max())) < 0.01 * deviation
        assert abs(float(actual.min() - expected.min())) < 0.01 * deviation
    if name == "orthogonal":
        flat = actual.reshape(-1, shape[-1])
        product = flat @ flat.T if len(flat) <= shape[-1] else flat.T @ flat
        assert_close(product, 1.5**2 * np.eye(len(product)), n)
    assert (ours(shape) == actual).all()
    described = keras.initializers.serialize(theirs)
    assert initializers.serialize(ours) == {**described, "config": {**described["config"], **KEPT.get(name, {})}}
    assert type(initializers.get(described)) is type(ours)
    assert (ours.clone()(shape) == actual).all()
    assert type(keras.initializers.get(initializers.serialize(ours))) is type(theirs)


def test_every_name_of_keras_is_known() -> None:
    from keras.src import constraints as c
    from keras.src import initializers as i
    from keras.src import regularizers as r

    for registry, ours in ((c, constraints), (i, initializers), (r, regularizers)):
        for name in registry.ALL_OBJECTS_DICT:
            if name.lower().startswith("stft") or name.lower() in ("initializer", "regularizer"):
                continue  # the one is of use for spectrograms only, the others are bases
            assert ours.get(name) is not None, name
            assert hasattr(ours, name) or not hasattr(getattr(keras, registry.__name__.split(".")[-1]), name), name


def test_functions_and_arrays() -> None:
    def half_each(shape: Any, dtype: Any = None) -> Any:
        return np.full(shape, 0.5, dtype)

    def clip(w: Any) -> Any:
        return np.clip(w, -0.1, 0.1)

    kernel = np.random.default_rng(0).standard_normal((3, 2)).astype("float32")
    options = {"kernel_initializer": kernel, "bias_initializer": half_each, "kernel_constraint": clip}
    model = pyrnn.Sequential([pyrnn.Input((3,)), pyrnn.layers.Dense(2, **options)])
    assert (model.get_weights()[0] == kernel).all() and (model.get_weights()[1] == 0.5).all()
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))
    assert np.abs(model.get_weights()[0]).max() <= np.float32(0.1)
    assert initializers.serialize(half_each) == keras.initializers.serialize(half_each)
    assert constraints.serialize(clip) == keras.constraints.serialize(clip)
    for module, function in ((initializers, half_each), (constraints, clip)):
        with pytest.raises(ValueError, match=f"function '{function.__name__}'"):
            module.get(module.serialize(function))
    with pytest.raises(TypeError, match="must have a gradient"):
        regularizers.get(lambda w: np.abs(w).sum())
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(3, 2\)"):
        pyrnn.Sequential([pyrnn.Input((3,)), pyrnn.layers.Dense(3, kernel_initializer=kernel)])
