"""Fuzz targets of functional models in files: configs whose calls, names and numbers were changed."""

from __future__ import annotations

import functools
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import pyrnn
from fuzz.profiles import fuzz
from fuzz.test_readers import changed_json, entries, read, refused, zipped
from pyrnn import Input, Model, Sequential, layers


@functools.cache
def graph() -> Any:
    """A model with branches, a shared layer, initial states and nested models."""
    x, first = Input((5, 3), name="x"), Input((5, 3), name="first")
    inner = Model(first, layers.Dense(3, name="dense")(first), name="inner")
    encoded, *states = layers.LSTM(3, return_state=True, name="encoder")(inner(inner(x)))
    decoded = layers.LSTM(3, name="decoder")(x, initial_state=states)
    joined = layers.Concatenate(name="join")([encoded, decoded])
    return Model(x, Sequential([layers.Dense(2), layers.Dense(1)], name="tail")(joined))


@functools.cache
def good() -> bytes:
    """A `.keras` file of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        graph().save(path)
        return path.read_bytes()


NAMES = ("x", "inner", "encoder", "decoder", "join", "tail", "dense", "", 3)


def rewired(draw: Any, description: Any) -> Any:
    """Return a description with one or two symbols from elsewhere."""
    description = json.loads(json.dumps(description))
    config = description["config"]
    places: list[Any] = [config["input_layers"], config["output_layers"]]

    def collect(node: Any) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            collect(value)
        if isinstance(node, dict) and "keras_history" in node:
            places.append(node["keras_history"])

    collect(config["layers"])
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places))
        place[:] = draw(st.sampled_from(NAMES)), draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
    return description


def changed(draw: Any, description: Any) -> Any:
    return (rewired if draw(st.booleans()) else changed_json)(draw, description)


@fuzz
def test_configs(draw: Any) -> None:
    text = json.dumps(changed(draw, graph().describe()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(lambda: pyrnn.models.model_from_json(text))


@fuzz
def test_files(draw: Any) -> None:
    parts = entries(good())
    parts["config.json"] = json.dumps(changed(draw, json.loads(parts["config.json"]))).encode()
    read(zipped(parts), ".keras")
