"""Initializers: the values they draw, their configs, and arrays and functions in their place."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from pyrnn import initializers, layers, registry
from pyrnn.utils import set_random_seed

# Arguments other than the defaults; the configs must hold them.
CASES: dict[str, dict[str, Any]] = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": 2.5},
    "Identity": {"gain": 3.0},
    "RandomUniform": {"minval": -1.0, "maxval": 2.0, "seed": 1},
    "RandomNormal": {"mean": 1.0, "stddev": 0.5, "seed": 2},
    "TruncatedNormal": {"mean": -1.0, "stddev": 0.5, "seed": 3},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal", "seed": 4},
    "GlorotUniform": {"seed": 5},
    "GlorotNormal": {"seed": 6},
    "HeUniform": {"seed": 7, "input_axes": [0], "output_axes": [1]},
    "HeNormal": {"seed": 8},
    "LecunUniform": {"seed": 9},
    "LecunNormal": {"seed": 10},
    "Orthogonal": {"gain": 2.0, "seed": 11},
}


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name: str) -> None:
    made = getattr(initializers, name)(**CASES[name])
    described = initializers.serialize(made)
    assert described is not None and described["config"].items() >= CASES[name].items()
    for again in (initializers.deserialize(described), made.clone()):
        assert type(again) is type(made) and again.get_config() == made.get_config()
        np.testing.assert_array_equal(again((6, 4)), made((6, 4)))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated_normal", "untruncated_normal"])
def test_variance_is_that_of_the_fan(mode: str, distribution: str) -> None:
    made = initializers.VarianceScaling(2.0, mode, distribution, seed=0)
    values = made((3, 40, 100), "float64")  # a window of three steps
    fan = {"fan_in": 120, "fan_out": 300, "fan_avg": 210}[mode]
    stddev = math.sqrt(2 / fan)
    assert values.std() == pytest.approx(stddev, rel=0.03) and abs(values.mean()) < 0.03 * stddev
    cut = {"uniform": math.sqrt(3), "untruncated_normal": math.inf}.get(distribution, 2 / made.TRUNCATED_STDDEV)
    largest = np.abs(values).max() / stddev
    assert largest <= cut and (largest > 0.95 * cut or cut == math.inf)


def test_fans_of_axes_and_of_vectors() -> None:
    limit = math.sqrt(3 / 80)
    for made, shape in (
        (initializers.LecunUniform(seed=0, input_axes=[0, 2], output_axes=[1]), (8, 500, 10)),
        (initializers.LecunUniform(seed=0), (80,)),  # each value is one input
    ):
        largest = np.abs(made(shape)).max()
        assert 0.9 * limit < largest <= limit


def test_matrices() -> None:
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    q = initializers.Orthogonal(3.0, seed=0)((2, 4, 3), "float64").reshape(8, 3)
    np.testing.assert_allclose(q.T @ q, 9 * np.eye(3), atol=1e-12)


def test_an_array_is_its_value() -> None:
    value = np.arange(6.0).reshape(2, 3)
    layer = layers.Dense(3, kernel_initializer=value)
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights()[0], value)
    with pytest.raises(ValueError, match=r"must have the weight's shape \(4, 3\), got \(2, 3\)"):
        layers.Dense(3, kernel_initializer=value).build((None, 4))


@registry.register_keras_serializable("initializers")
def halves(shape: Any, dtype: Any = None) -> Any:
    return np.full(shape, 0.5, dtype)


def test_custom_functions() -> None:
    assert initializers.get(halves) is halves
    described = initializers.serialize(halves)
    assert described is not None and initializers.get(described) is halves
    layer = layers.Dense.from_config(layers.Dense(2, kernel_initializer=halves).get_config())
    layer.build((None, 3))
    assert (layer.get_weights()[0] == 0.5).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda shape, dtype: np.ones(shape, dtype),
        lambda shape, dtype=None: np.ones(shape),
        lambda shape, **options: np.ones(shape),
        lambda shape, *, dtype: np.ones(shape, dtype),
        lambda *arguments, **options: np.ones(arguments[0]),
    ],
    ids=["both", "default", "options", "keyword", "anything"],
)
def test_a_function_takes_the_dtype_by_name(function: Any) -> None:
    """As Keras calls it: function(shape, dtype=...)."""
    layer = layers.Dense(2, kernel_initializer=function)
    layer.build((None, 3))
    assert np.array_equal(layer.kernel, np.ones((3, 2)))


@pytest.mark.parametrize("function", [lambda shape: shape, lambda shape, kind: shape, lambda *, shape, dtype: shape])
def test_functions_without_a_dtype_are_rejected_when_the_layer_is_made(function: Any) -> None:
    with pytest.raises(TypeError, match=r"kernel_initializer must be a function of \(shape, dtype=\.\.\.\), got"):
        layers.Dense(2, kernel_initializer=function)


def test_seeds() -> None:
    seeded, free = initializers.RandomNormal(seed=3), initializers.RandomNormal()
    np.testing.assert_array_equal(seeded((4,)), seeded((4,)))
    draws = []
    for _ in range(2):
        set_random_seed(1)
        draws.append([free((4,)), free((4,))])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(*draws[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.Identity()((2,)), "shape must have 2 axes for Identity"),
        (lambda: initializers.Orthogonal()((2,)), "shape must have at least 2 axes for Orthogonal"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode must be one of fan_in, fan_out, fan_avg"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "distribution must be one of truncated_normal"),
        (lambda: initializers.get("glorot_unifrom"), "did you mean 'glorot_uniform'"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_the_config_of_an_array_is_json() -> None:
    initializer = initializers.Constant(np.array([[1.5, 2.0]], np.float32))
    config = json.loads(json.dumps(initializer.get_config()))
    revived = initializers.Constant.from_config(config)
    np.testing.assert_array_equal(revived((3, 2)), initializer((3, 2)))
    assert revived.value.dtype == np.float32
    np.testing.assert_array_equal(initializers.Constant(2).from_config({"value": 2})((1,)), [2])
