"""Fuzz targets of functional models in files: configs whose calls, names and numbers were changed."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import h5py
from hypothesis import strategies as st

import pyrnn
from fuzz.profiles import fuzz
from fuzz.test_readers import BAD_VALUES, changed_h5, changed_json, entries, read, refused, zipped
from pyrnn import Input, Model, Sequential, layers, ops


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
def wide() -> Any:
    """Dicts of inputs and outputs, operations, attention, and a layer that is in the model and in one inside it."""
    x, static = Input((5, 3), name="x"), Input((4,), name="static")
    shared, first = layers.Dense(3, name="dense"), Input((None, 3), name="first")
    inner = Model(first, layers.GRU(3, return_sequences=True)(shared(first)), name="inner")
    y = layers.MultiHeadAttention(1, 2, name="encoder")(inner(x), shared(x))
    y = ops.pad(ops.tile(ops.repeat(y[:, 1:, :2], 2, axis=1), (1, 2, 1)), ((0, 0), (1, 0), (0, 0)))
    y = ops.concatenate([ops.mean(y, axis=1), layers.Dense(2, name="tail")(static)], axis=-1)
    z = ops.reshape(ops.where(y > 0, y, ops.clip(y * 2.0, -1.0, 1.0)), (-1, 2, 2))
    made = Model({"x": x, "static": static}, {"level": layers.Dense(1, name="join")(y), "path": z})
    made.compile("adam", {"level": "mse", "path": "mae"}, metrics={"level": ["mae"]})
    return made


MODELS = (graph, wide)


@functools.cache
def good(number: int, ending: str) -> bytes:
    """A file of one of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        MODELS[number]().save(path)
        return path.read_bytes()


NAMES = ("x", "inner", "encoder", "decoder", "join", "tail", "dense", "static", "mean", "", 3)
CLASSES = (
    "Add", "Dense", "GRU", "LSTM", "InputLayer", "Functional", "Sequential", "Concatenate", "Dot", "Attention",
    "Lambda", "TimeDistributed", "Bidirectional", "RNN", "Reshape", "Tile", "BroadcastTo", "OneHot", "Einsum",
    "GetItem", "Pad", "Embedding", "Wrapper", "Cast", "Matmul", "Split", "Diff", "Repeat", "EinsumDense", "Model",
)  # fmt: skip


def dicts(value: Any) -> list[Any]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict) else []) + [each for node in below for each in dicts(node)]


def rewired(draw: Any, description: Any) -> Any:
    """Return a description with one or two symbols from elsewhere."""
    description = json.loads(json.dumps(description))
    config = description["config"]
    places: list[Any] = [each["keras_history"] for each in dicts(config["layers"]) if "keras_history" in each]
    for ends in (config["input_layers"], config["output_layers"]):
        places += ends.values() if isinstance(ends, dict) else [ends] if isinstance(ends[0], str) else ends
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places))
        place[:] = draw(st.sampled_from(NAMES)), draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
    return description


def relabelled(draw: Any, description: Any) -> Any:
    """Return a description with one or two layers of another class, another name, or another call."""
    description = json.loads(json.dumps(description))
    objects = [each for each in dicts(description) if "inbound_nodes" in each]
    for _ in range(draw(st.integers(1, 2))):
        entry, other = draw(st.sampled_from(objects)), draw(st.sampled_from(objects))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            entry["class_name"] = draw(st.sampled_from(CLASSES))
        elif kind == 1:
            entry["name"] = entry["config"]["name"] = draw(st.sampled_from(NAMES))
        elif kind == 2:
            entry["inbound_nodes"] = json.loads(json.dumps(other["inbound_nodes"])) * draw(st.integers(1, 2))
        elif kind == 3:
            entry["config"] = json.loads(json.dumps(other["config"]))
        elif kind == 4:
            entry["shared_object_id"] = other["shared_object_id"] = draw(st.sampled_from([0, 1, "a", None]))
        elif entry["inbound_nodes"]:
            call = draw(st.sampled_from(entry["inbound_nodes"]))
            args = call["args"]  # a list, unless the other change of this description replaced it
            twice = args * 2 if isinstance(args, list) else [args, args]
            call[draw(st.sampled_from(["args", "kwargs"]))] = draw(
                st.sampled_from([[], {}, [[]], twice, {"axis": 1}, {"x": args}, *BAD_VALUES])
            )
    return description


def of_keras_2(description: Any) -> Any:
    """Return a description with calls in the form of Keras 2."""
    description = json.loads(json.dumps(description))
    for entry in dicts(description):
        if "inbound_nodes" in entry:
            entry["inbound_nodes"] = [
                [[*each["keras_history"], {}] for each in dicts(call["args"]) if "keras_history" in each]
                for call in entry["inbound_nodes"]
            ]
    return description


def changed(draw: Any, description: Any) -> Any:
    description = (rewired, changed_json, relabelled)[draw(st.integers(0, 2))](draw, description)
    if draw(st.integers(0, 3)) == 0:
        try:
            description = of_keras_2(description)
        except (KeyError, TypeError, ValueError):  # of what was changed before
            return description
        description = changed_json(draw, description) if draw(st.booleans()) else description
    return description


@fuzz
def test_configs(draw: Any) -> None:
    text = json.dumps(changed(draw, draw(st.sampled_from(MODELS))().describe()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(lambda: pyrnn.models.model_from_json(text))


@fuzz
def test_files(draw: Any) -> None:
    parts = entries(good(draw(st.integers(0, 1)), ".keras"))
    if draw(st.integers(0, 3)):
        parts["config.json"] = json.dumps(changed(draw, json.loads(parts["config.json"]))).encode()
    else:
        parts["model.weights.h5"] = changed_h5(draw, parts["model.weights.h5"])
    read(zipped(parts), ".keras")


@fuzz
def test_legacy_files(draw: Any) -> None:
    content = good(draw(st.integers(0, 1)), ".h5")
    if draw(st.integers(0, 3)):
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            file.attrs["model_config"] = json.dumps(changed(draw, json.loads(file.attrs["model_config"])))
        content = buffer.getvalue()
    else:
        content = changed_h5(draw, content)
    read(content, ".h5")
