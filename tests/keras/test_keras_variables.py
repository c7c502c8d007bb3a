"""Attributes that scripts read: as in real Keras."""

from __future__ import annotations

import keras
import numpy as np

import pyrnn


def test_moments_of_normalization_are_kerass() -> None:
    data = np.random.default_rng(0).normal(3, 2, (50, 4, 3))
    for axis in (-1, None, (1, 2)):
        theirs, ours = keras.layers.Normalization(axis=axis), pyrnn.layers.Normalization(axis=axis)
        theirs.adapt(data)
        ours.adapt(data)
        for name in ("mean", "variance"):
            expected = keras.ops.convert_to_numpy(getattr(theirs, name))
            value = getattr(ours, name)
            assert value.shape == expected.shape
            np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_variables_are_kerass() -> None:
    theirs, ours = (
        package.Sequential(
            [
                package.Input((5, 3)),
                package.layers.LSTM(2),
                package.layers.BatchNormalization(),
                package.layers.Dense(1),
            ]
        )
        for package in (keras, pyrnn)
    )
    for name in ("variables", "trainable_variables", "non_trainable_variables"):
        # Keras counts the states of random generators too.
        shapes = [
            [tuple(each.shape) for each in getattr(model, name) if each.name != "seed_generator_state"]
            for model in (ours, theirs)
        ]
        assert shapes[0] == shapes[1]


def test_numbers_of_optimizers_compare_as_kerass() -> None:
    for package in (keras, pyrnn):
        optimizer = package.optimizers.SGD(0.01)
        rate = optimizer.learning_rate
        for true in (rate == 0.01, rate <= 0.01, rate >= 0.01, rate != 0.02, rate < 0.02, rate > 0.005):
            assert bool(true), package
        for false in (rate != 0.01, rate < 0.01, rate > 0.01, rate == 0.02):
            assert not bool(false), package
        optimizer.iterations.assign(3)
        optimizer.iterations.assign_sub(1)
        assert bool(optimizer.iterations == 2) and bool(optimizer.iterations < 3), package


def test_assigning_returns_the_value_as_in_keras() -> None:
    for package in (keras, pyrnn):
        layer = package.layers.Dense(2)
        layer.build((None, 3))
        for value, expected in (
            (layer.kernel.assign(np.full((3, 2), 2.0)), 2),
            (layer.kernel.assign_add(np.full((3, 2), 3.0)), 5),
            (layer.kernel.assign_sub(np.full((3, 2), 1.0)), 4),
        ):
            value = keras.ops.convert_to_numpy(value)
            assert value.dtype == np.float32 and np.array_equal(value, np.full((3, 2), expected)), package


def test_input_specs_are_kerass() -> None:
    shapes = [(2, 5, 3), (2, 5), (2, 5, 1), (5,), (2, 4, 3)]
    for options in (
        {"ndim": 3}, {"min_ndim": 3}, {"max_ndim": 2}, {"axes": {-1: 3}}, {"shape": (None, 5, 3)},
        {"shape": (None, 5, 1), "allow_last_axis_squeeze": True}, {"dtype": "float64"},
    ):  # fmt: skip
        accepted = []
        for package in (keras, pyrnn):
            assert repr(package.InputSpec(**options)) == repr(keras.layers.InputSpec(**options))
            accepted.append([])
            # With allow_last_axis_squeeze Keras compares the first axes only; the number of axes is left out here.
            for shape in [(2, 5), (2, 5, 1), (2, 4, 1)] if "allow_last_axis_squeeze" in options else shapes:
                layer = package.layers.Identity() if package is keras else package.layers.Activation("linear")
                layer.input_spec = package.layers.InputSpec(**options)
                try:
                    layer(np.zeros(shape, "float32"))
                except ValueError:
                    accepted[-1].append(False)
                else:
                    accepted[-1].append(True)
        assert accepted[0] == accepted[1], options
