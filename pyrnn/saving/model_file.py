"""Keras 3's `.keras` file: a zip of metadata.json, config.json and model.weights.h5."""

from __future__ import annotations

import datetime
import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

from pyrnn.models import Sequential
from pyrnn.saving.atomic import replace_file
from pyrnn.saving.weights_file import read_weights, weights_bytes

ENDING = ".keras"
# The version of Keras whose format is written.
FORMAT_VERSION = "3.15.1"
# Larger entries are refused before anything is unpacked.
LARGEST_JSON, LARGEST_WEIGHTS = 1 << 26, 1 << 34


def save_model(model: Sequential, filepath: str | os.PathLike[str]) -> None:
    """Write architecture, compile state, weights and optimizer state to a file whose name ends in `.keras`."""
    path = os.fspath(filepath)
    if not path.endswith(ENDING):
        raise ValueError(f"filepath must end in {ENDING!r}, got {path!r}")
    if not model.built:
        raise ValueError("the model must be built before it can be saved: give it an input shape or train it")
    config: dict[str, Any] = {
        "module": "keras",
        "class_name": "Sequential",
        "config": model.get_config(),
        "registered_name": None,
        "build_config": {"input_shape": model.input_shape},
    }
    if (compiled := model.get_compile_config()) is not None:
        config["compile_config"] = compiled
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": FORMAT_VERSION, "date_saved": saved}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights_bytes(model, with_optimizer=True))
    replace_file(path, buffer.getvalue())


def _entry(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    size = archive.getinfo(name).file_size
    if size > largest:
        raise ValueError(f"{name} claims {size} bytes, more than the {largest} allowed")
    return archive.read(name)


def load_model(
    filepath: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Sequential:
    """Read a `.keras` file that `save_model` or Keras wrote; no code in it is ever run.

    Raises:
        ValueError: if the file is damaged or holds what pyrnn has not.
    """
    path = os.fspath(filepath)
    source = repr(path)
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(_entry(archive, "config.json", LARGEST_JSON))
            weights = _entry(archive, "model.weights.h5", LARGEST_WEIGHTS)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError) as error:
        raise ValueError(f"{source} is damaged or no .keras file: {error}") from None
    if (
        not isinstance(config, dict)
        or config.get("class_name") != "Sequential"
        or not isinstance(config.get("config"), dict)
    ):
        found = config.get("class_name") if isinstance(config, dict) else config
        raise ValueError(f"{source} must hold a Sequential model, got {found!r}")
    model = Sequential.from_config(config["config"], custom_objects)
    if not model.built and config.get("build_config"):
        model.build(config["build_config"]["input_shape"])
    described = config.get("compile_config") if compile else None
    if described:
        model.compile(
            optimizer=described["optimizer"],
            loss=described.get("loss"),
            metrics=described.get("metrics"),
            weighted_metrics=described.get("weighted_metrics"),
        )
    read_weights(model, weights, source, with_optimizer=bool(described))
    return model
