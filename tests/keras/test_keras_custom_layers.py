"""Custom layers with `call` in models: outputs, training and files are those of Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import custom_classes
import keras
import numpy as np
import pytest
from twins import check_twins

import pyrnn

RNG = np.random.default_rng(3)
A, B = (RNG.normal(size=(6, 4, 3)).astype("float32") for _ in range(2))
A[:, 2:] = 0
TERMS = 400


def merged(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    return k.Model([a, b], k.layers.Dense(1)(cls()([k.layers.Dense(3)(a), b])))


def shared(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    layer = cls()
    return k.Model([a, b], layer((layer([a, b]), a)))


def keyed(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    return k.Model([a, b], cls()({"a": a, "b": k.layers.Dense(3)(b)}))


def named(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    return k.Model([a, b], cls()(k.layers.Dense(3)(a), value=b, factor=0.5))


def split(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    outputs = cls()(k.layers.Dense(3)(k.layers.Add()([a, b])))
    first = k.layers.Concatenate()([outputs["mean"], outputs["rest"][0]])
    return k.Model([a, b], k.layers.Add()([k.layers.Dense(3)(first), k.layers.GRU(3)(outputs["rest"][1][0])]))


def masked(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    mask = k.layers.Masking()
    return k.Model([a, b], k.layers.Dense(2)(cls()([mask(a), mask(b)])))


def masked_by_name(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    return k.Model([a, b], k.layers.LSTM(2)(cls()(k.layers.Masking()(a), k.layers.Dense(3)(b))))


def single(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    return k.Model([a, b], k.layers.Dense(1)(cls()(k.layers.Add()([a, b]))))


def single_masked(k: Any, cls: Any) -> Any:
    a, b = k.Input((4, 3), name="a"), k.Input((4, 3), name="b")
    mask = k.layers.Masking()
    return k.Model([a, b], k.layers.Dense(1)(cls()(k.layers.Add()([mask(a), mask(b)]))))


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "a list": (custom_classes.merge, merged),
    "a layer called twice": (custom_classes.merge, shared),
    "a dict": (custom_classes.by_key, keyed),
    "arguments by position and name": (custom_classes.by_name, named),
    "several outputs": (custom_classes.several_outputs, split),
    "masks of a list": (custom_classes.masked_mean, masked),
    "masks by name": (custom_classes.masks_by_name, masked_by_name),
    "layers, a model and custom layers in call": (custom_classes.block, single),
    "super().call of Dense": (custom_classes.own_dense, single),
    "super().call of LSTM": (custom_classes.own_lstm, single_masked),
    "a wrapper": (custom_classes.wrapper, single),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_training_and_files_are_those_of_keras(case: str, tmp_path: Path) -> None:
    make, graph = CASES[case]
    classes = {k: make(k) for k in (keras, pyrnn)}
    theirs, ours = graph(keras, classes[keras]), graph(pyrnn, classes[pyrnn])
    assert [type(layer).__name__ for layer in ours.layers] == [type(layer).__name__ for layer in theirs.layers]
    scopes = {k: {cls.__name__: cls} for k, cls in classes.items()}
    check_twins(theirs, ours, {"a": A, "b": B}, scopes, tmp_path, TERMS, epochs=3)
