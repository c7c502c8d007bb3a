"""The variables of a model as nested dicts: what they hold, what fits, and what changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers


def model_of() -> Any:
    x = pyrnn.Input((3,), name="x")
    model = pyrnn.Model(x, layers.BatchNormalization(name="norm")(layers.Dense(2, name="out")(x)))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


def test_a_tree_holds_all_variables_and_goes_back() -> None:
    model = model_of()
    tree = model.get_state_tree()
    assert tree["trainable_variables"]["out"]["kernel"].shape == (3, 2)
    assert set(tree["non_trainable_variables"]["norm"]) == {"moving_mean", "moving_variance"}
    assert set(tree["metrics_variables"]) == {"loss", "mae"}
    name = model.optimizer.name
    assert int(tree["optimizer_variables"][name]["iteration"]) == 1
    tree["trainable_variables"]["out"]["kernel"][...] = 7  # a copy
    other = model_of()
    assert not np.any(model.get_layer("out").kernel == 7)
    other.set_state_tree({**model.get_state_tree("numpy_array"), "optimizer_variables": {}})
    assert all(map(np.array_equal, other.get_weights(), model.get_weights()))
    other.set_state_tree({"trainable_variables": tree["trainable_variables"]})
    assert np.all(other.get_layer("out").kernel == 7)


@pytest.mark.parametrize(
    ("tree", "kind", "message"),
    [
        ({"weights": {}}, ValueError, "must have the keys 'trainable_variables'.*got 'weights'"),
        ({"trainable_variables": {"out": {"scale": 1}}}, ValueError, "has no variable of the model at 'out/scale'"),
        ({"trainable_variables": {"out": {"bias": [1, 2, 3]}}}, ValueError, r"shape \(2,\) at 'out/bias', got \(3,\)"),
        ({"trainable_variables": {"out": {"bias": ["a", "b"]}}}, TypeError, "must hold numbers"),
        ({"trainable_variables": 3}, TypeError, "must be a dict, got 3"),
    ],
)
def test_a_tree_that_does_not_fit_changes_nothing(tree: Any, kind: type[Exception], message: str) -> None:
    model = model_of()
    before = model.get_weights()
    fitting = {"trainable_variables": {"out": {"kernel": np.zeros((3, 2))}}}
    with pytest.raises(kind, match=message):
        model.set_state_tree({"non_trainable_variables": {"norm": {"moving_mean": [5, 5]}}, **fitting, **tree})
    assert all(map(np.array_equal, before, model.get_weights()))


def test_variables_with_one_path_are_an_error() -> None:
    class Twice(pyrnn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = layers.Dense(1, name="same"), layers.Dense(1, name="same")

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    model = Twice()
    model(np.ones((2, 3)))
    with pytest.raises(ValueError, match="must have different paths"):
        model.get_state_tree()
