"""Random numbers: their ranges, seeds, and new ones in each run of a traced call."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from pyrnn import Input, Model, Sequential, layers, ops, random
from pyrnn.utils import set_random_seed

X = np.ones((4, 5, 3), np.float32)
# Draws many numbers, their range and their mean.
DRAWS: dict[str, tuple[Any, float, float, float]] = {
    "normal": (lambda seed: random.normal((4000,), 1.0, 2.0, seed=seed), -12, 12, 1),
    "truncated_normal": (lambda seed: random.truncated_normal((4000,), 1.0, 2.0, seed=seed), -3, 5, 1),
    "uniform": (lambda seed: random.uniform((4000,), 2.0, 4.0, seed=seed), 2, 4, 3),
    "randint": (lambda seed: random.randint((4000,), 2, 5, seed=seed), 2, 4, 3),
    "gamma": (lambda seed: random.gamma((4000,), 2.0, seed=seed), 0, 30, 2),
    "beta": (lambda seed: random.beta((4000,), 2.0, 2.0, seed=seed), 0, 1, 0.5),
    "binomial": (lambda seed: random.binomial((4000,), 10, 0.5, seed=seed), 0, 10, 5),
    "categorical": (lambda seed: random.categorical(np.log([[0.25, 0.5, 0.25]]), 4000, seed=seed), 0, 2, 1),
    "dropout": (lambda seed: random.dropout(np.ones(4000, np.float32), 0.5, seed=seed), 0, 2, 1),
    "shuffle": (lambda seed: random.shuffle(np.arange(4000.0), seed=seed), 0, 3999, 1999.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_numbers_follow_the_seed_and_are_in_range(name: str) -> None:
    draw, least, most, mean = DRAWS[name]
    first = draw(1)
    np.testing.assert_array_equal(draw(1), first)
    assert not np.array_equal(draw(2), first)
    assert least <= first.min() <= first.max() <= most
    assert first.mean() == pytest.approx(mean, abs=0.2)
    seed, again = random.SeedGenerator(3), random.SeedGenerator(3)
    values, others = draw(seed), draw(seed)
    assert not np.array_equal(values, others)
    np.testing.assert_array_equal(draw(again), values)
    set_random_seed(5)
    expected = draw(None)
    set_random_seed(5)
    np.testing.assert_array_equal(draw(None), expected)


class Sampling(layers.Layer):
    """Draws from the distribution whose mean and log variance it reads, as in variational autoencoders."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = random.SeedGenerator(1)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        noise = random.normal(ops.shape(mean), seed=self.seed)
        return mean + ops.exp(0.5 * log_variance) * noise


def test_each_run_draws_new_numbers() -> None:
    a, b = Input((3,)), Input((3,))
    model = Model([a, b], Sampling()([layers.Dense(3)(a), b]))
    x = [X[:, 0], X[:, 1]]
    assert not np.array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), twin.predict(x, verbose=0))
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.fit(x, X[:, 0], verbose=0)
    assert not np.array_equal(before, model.get_weights()[0])


def test_functions_of_symbols_are_traced() -> None:
    class Noisy(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            if training:
                x = random.dropout(x, 0.5, noise_shape=(None, 1, None))
            classes = random.categorical(x[:, 0], 2)
            return random.shuffle(x, axis=1) + ops.cast(ops.sum(classes), "float32") * 0

    layer = Noisy()
    np.testing.assert_array_equal(layer(X), X)
    y = layer(X, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[:, :1]).all()


def test_wrong_arguments_are_explained() -> None:
    for call, message in (
        (lambda: random.normal((2,), seed="x"), "seed must be an integer, a SeedGenerator or None, got 'x'"),
        (lambda: random.normal((2,), seed=-1), "seed must be at least 0, got -1"),
        (lambda: random.normal((None, 2)), "shape must hold sizes that are known"),
        (lambda: random.uniform((2,), 2.0, 1.0), "maxval must be at least minval = 2.0, got 1.0"),
        (lambda: random.randint((2,), 2, 2), "maxval must be more than minval = 2, got 2"),
        (lambda: random.randint((2,), 0.5, 2), "minval must be an integer of at least .*, got 0.5"),
        (lambda: random.categorical(np.ones(3), 2), r"logits must have shape \(batch, classes\), got \(3,\)"),
        (lambda: random.shuffle(np.ones(3), axis=1), "axis must be one of the 1 axes of x, got 1"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


def test_functions_of_numpy_are_operations_on_symbols() -> None:
    x = Input((5, 3))
    y = np.exp(x) * np.ones(3, np.float32) + np.float32(2) - np.mean(x, axis=1, keepdims=True)
    values = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    expected = np.exp(values) + 2 - values.mean(1, keepdims=True)
    np.testing.assert_allclose(Model(x, y).predict(values, verbose=0), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=r"np.spacing got <Symbol .*which has no numbers: use pyrnn.ops"):
        np.spacing(x)
    with pytest.raises(TypeError, match=r"np.sinc|np.partition got <Symbol .*which has no numbers: use pyrnn.ops"):
        np.partition(x, 2)


def test_a_weight_is_its_own_value_in_call() -> None:
    class Scaled(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return x * self.scale.value

    np.testing.assert_array_equal(Sequential([Input((5, 3)), Scaled()]).predict(X, verbose=0), X)
