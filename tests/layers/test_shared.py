"""Layers that belong to several models, which all train, save and load the same numbers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from pyrnn import layers, seeds
from pyrnn.layers import GRU, Dense, Input
from pyrnn.models import Sequential, load_model
from pyrnn.parameters import ParameterVector, Weight

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5, 3)).astype(np.float32)
Y1, Y3 = (RNG.normal(size=(8, n)).astype(np.float32) for n in (1, 3))


def pair(optimizer: str = "adam") -> tuple[Sequential, Sequential]:
    """Return two models on one GRU, whose heads have 1 and 3 outputs."""
    seeds.set_random_seed(0)
    shared = GRU(4, kernel_regularizer="l2")
    a = Sequential([Input((5, 3)), shared, Dense(1)])
    b = Sequential([Input((5, 3)), shared, Dense(3)])
    a.compile(optimizer, "mse")
    b.compile(optimizer, "mse")
    return a, b


def separate(a: Sequential, b: Sequential) -> tuple[Sequential, Sequential]:
    """Return the same two models without shared arrays; the test copies weights between them."""
    copies = tuple(Sequential.from_config(model.get_config()) for model in (a, b))
    for copy, model in zip(copies, (a, b), strict=True):
        copy.set_weights(model.get_weights())
        assert model.optimizer is not None
        copy.compile(type(model.optimizer).__name__, "mse")
    return copies[0], copies[1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adafactor", "muon", "lamb"])
def test_models_train_the_same_numbers_in_turns(optimizer: str) -> None:
    """Each step of either model equals a step of a separate model with the same weights."""
    a, b = pair(optimizer)
    own_a, own_b = separate(a, b)
    for step in range(6):
        model, separate_model, y = (a, own_a, Y1) if step % 3 else (b, own_b, Y3)
        separate_model.layers[0].set_weights(a.layers[0].get_weights())
        assert model.train_on_batch(X, y) == separate_model.train_on_batch(X, y)
        for left, right in zip(model.get_weights(), separate_model.get_weights(), strict=True):
            assert left.tobytes() == right.tobytes()
        for other, y_other in ((a, Y1), (b, Y3)):
            other.evaluate(X, y_other, verbose=0)
            other.predict(X, verbose=0)
    assert a.layers[0] is b.layers[0]


ACTIONS = {
    "evaluate": lambda b, path: b.evaluate(X, Y3, verbose=0),
    "predict": lambda b, path: b.predict(X, verbose=0),
    "fit": lambda b, path: b.fit(X, Y3, verbose=0),
    "save": lambda b, path: b.save(path / "b.keras"),
    "load": lambda b, path: (b.save_weights(path / "b.weights.h5"), b.load_weights(path / "b.weights.h5")),
    "compile": lambda b, path: b.compile("rmsprop", "mae"),
    "freeze and thaw": lambda b, path: (setattr(b, "trainable", False), setattr(b, "trainable", True)),
    "pop and add": lambda b, path: (b.pop(), b.add(Dense(3)), b.train_on_batch(X, Y3)),
    "parameters": lambda b, path: b.parameters(),
    "summary": lambda b, path: b.summary(print_fn=lambda line: None),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_one_model_does_leaves_the_other_training(action: str, tmp_path: Path) -> None:
    a, b = pair()
    a.fit(X, Y1, epochs=2, verbose=0)
    assert a.optimizer is not None
    ACTIONS[action](b, tmp_path)
    before = a.get_weights()
    steps = a.optimizer.iterations
    a.fit(X, Y1, verbose=0)
    assert a.optimizer.iterations == steps + 1
    for old, new in zip(before, a.get_weights(), strict=True):
        assert not np.array_equal(old, new)
    assert all(np.array_equal(p, q) for p, q in zip(a.layers[0].get_weights(), b.layers[0].get_weights(), strict=True))
    independent = Sequential.from_config(a.get_config())
    independent.set_weights(a.get_weights())
    assert independent.predict(X, verbose=0).tobytes() == a.predict(X, verbose=0).tobytes()


def test_each_model_keeps_its_optimizer_slots() -> None:
    a, b = pair("adam")
    a.train_on_batch(X, Y1)
    assert a.optimizer is not None and b.optimizer is not None
    slots = [value.copy() for _, value in a.optimizer.named_variables()]
    b.train_on_batch(X, Y3)
    for saved, (name, value) in zip(slots, a.optimizer.named_variables(), strict=True):
        assert saved.tobytes() == value.tobytes(), name


def test_models_saved_apart_hold_the_shared_numbers(tmp_path: Path) -> None:
    a, b = pair()
    a.fit(X, Y1, verbose=0)
    b.fit(X, Y3, verbose=0)
    a.fit(X, Y1, verbose=0)
    for name, model in (("a", a), ("b", b)):
        model.save(tmp_path / f"{name}.keras")
        loaded = load_model(tmp_path / f"{name}.keras")
        assert loaded.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
        y = Y1 if model is a else Y3
        copy = Sequential.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        assert loaded.train_on_batch(X, y) == pytest.approx(copy_loss(copy, y))


def copy_loss(model: Sequential, y: np.ndarray) -> float:
    model.compile("sgd", "mse")
    return float(model.evaluate(X, y, verbose=0))


def test_transfer_learning_with_a_frozen_base() -> None:
    """`Sequential(old.layers[:-1] + [Dense(3)])`, the way people do it."""
    old = Sequential([Input((5, 3)), GRU(4), Dense(1)])
    old.compile("adam", "mse")
    old.fit(X, Y1, verbose=0)
    new = Sequential([*old.layers[:-1], Dense(3)])
    new.layers[0].trainable = False
    new.compile("adam", "mse")
    new.build((None, 5, 3))
    base, head = new.layers[0].get_weights(), new.layers[1].get_weights()
    new.fit(X, Y3, epochs=3, verbose=0)
    assert all(np.array_equal(p, q) for p, q in zip(base, new.layers[0].get_weights(), strict=True))
    assert not np.array_equal(head[0], new.layers[1].get_weights()[0])
    new.layers[0].trainable = True
    old.fit(X, Y1, verbose=0)
    assert not np.array_equal(base[0], new.layers[0].get_weights()[0])


def test_weights_keep_the_path_of_the_first_model() -> None:
    a, b = pair()
    paths = [weight.path for weight in a.layers[0].weights]
    assert all(path.startswith(f"{a.name}/{a.layers[0].name}/") and path.count(a.name) == 1 for path in paths)
    assert [weight.path for weight in b.layers[1].weights] == [
        f"{b.name}/{b.layers[1].name}/{n}" for n in ("kernel", "bias")
    ]


def test_a_layer_reads_what_either_model_feeds_it() -> None:
    """A layer built by one model accepts any shape that it can read in another, and stays correct in the first."""
    conv = layers.Conv1D(2, 3, padding="same")
    a = Sequential([Input((5, 3)), conv])
    expected = a.predict(X, verbose=0)
    b = Sequential([Input((9, 3)), conv, layers.Flatten(), Dense(1)])
    assert b.output_shape == (None, 1) and a.output_shape == (None, 5, 2)
    assert a.predict(X, verbose=0).tobytes() == expected.tobytes()
    assert Sequential.from_config(a.get_config()).output_shape == (None, 5, 2)
    with pytest.raises(ValueError, match="3"):
        Sequential([Input((5, 4)), conv])


def test_vectors_take_weights_back_with_the_values_they_have() -> None:
    weights = [Weight((2, 2), "a"), Weight((3,), "b"), Weight((), "c")]
    vectors = [ParameterVector(weights), ParameterVector(weights[1:]), ParameterVector(weights[::-1])]
    for number, vector in enumerate(itertools.chain(vectors, vectors[::-1])):
        vector.reclaim()
        vector.values[...] = number
        vector.gradients[...] = -number
        assert all((weight.array == number).all() and (weight.gradient == -number).all() for weight in vector.weights)
        versions = [weight.version for weight in weights]
        vector.reclaim()  # nothing to do
        assert versions == [weight.version for weight in weights]
