"""Subclasses of functional models in files: which come back as their own class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Input, Model, Sequential, layers, models

X = np.random.default_rng(0).normal(size=(4, 3))


class Plain(Model):
    """As `Model`, with a method of its own."""


class OwnGraph(Model):
    """Its constructor takes no graph."""

    def __init__(self, units: int = 2) -> None:
        x = Input((3,))
        super().__init__(inputs=x, outputs=layers.Dense(units)(x))
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


class Extended(Model):
    """Its config holds that of `Model` too; its constructor takes no `trainable`."""

    def __init__(self, units: int = 2, name: Any = None) -> None:
        x = Input((3,))
        super().__init__(x, layers.Dense(units)(x), name=name)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class WithoutConfig(Model):
    def __init__(self, units: int) -> None:
        x = Input((3,))
        super().__init__(x, layers.Dense(units)(x))


class Chain(Sequential):
    def __init__(self, units: int) -> None:
        super().__init__([Input((3,)), layers.Dense(units)])


def plain() -> Any:
    x = Input((3,))
    return Plain(x, layers.Dense(5)(x))


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "plain": (plain, "Plain"),
    "a graph of its own": (lambda: OwnGraph(5), "OwnGraph"),
    "a larger config": (lambda: Extended(5, name="tail"), "Extended"),
    "no config": (lambda: WithoutConfig(5), "Functional"),
    "a chain": (lambda: Chain(5), "Sequential"),
}
CUSTOM = {cls.__name__: cls for cls in (Plain, OwnGraph, Extended, WithoutConfig, Chain)}


@pytest.mark.parametrize("where", ["keras", "h5", "json", "inside"])
@pytest.mark.parametrize("case", MODELS)
def test_the_class_comes_back_where_it_can_be_made_again(case: str, where: str, tmp_path: Path) -> None:
    make, kind = MODELS[case]
    model = make()
    y = model.predict(X, verbose=0)
    path = tmp_path / f"model.{where if where == 'h5' else 'keras'}"
    if where == "json":
        copy = models.model_from_json(model.to_json(), CUSTOM)
        copy.set_weights(model.get_weights())
    elif where == "inside":
        x = Input((3,))
        Model(x, model(x)).save(path)
        copy = models.load_model(path, CUSTOM).layers[1]
    else:
        model.save(path)
        copy = models.load_model(path, CUSTOM)
    assert type(copy).__name__ == kind
    np.testing.assert_array_equal(copy.predict(X, verbose=0), y)


def test_name_and_trainable_come_back(tmp_path: Path) -> None:
    model = Extended(5, name="tail")
    model.trainable = False
    model.save(tmp_path / "model.keras")
    copy = models.load_model(tmp_path / "model.keras", CUSTOM)
    assert copy.name == "tail" and copy.units == 5 and not copy.trainable


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    plain().save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="'Plain' is not part of pyrnn: pass custom_objects"):
        models.load_model(tmp_path / "model.keras")
