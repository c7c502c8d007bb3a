"""What must be the same in all processes, and the error that says what is not."""

from __future__ import annotations

import json
import os
import platform
import sys
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn import backend
from pyrnn.structures import leaves


def of_process(shards: int) -> dict[str, Any]:
    """Return what must be the same in all processes from the start.

    Args:
        shards: number of shards.
    """
    compiled = backend.current_backend() == "core"
    return {
        "shards": shards,
        "pyrnn": sys.modules["pyrnn"].__version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "instruction set": backend.isa() if compiled else "none",
        "script": _script(),
    }


def of_training(model: Any, batch: Any) -> dict[str, Any]:
    """Return what must be the same in all processes at the first step of a training.

    Args:
        model: the model, compiled and built.
        batch: the first batch.
    """
    run = model._run
    layers = [(type(layer).__name__, [weight.shape for weight in layer.weights]) for layer in model.layers]
    described = model._compiled.describe()
    return {
        "layers": _crc(repr(layers).encode()),
        "loss, metrics and optimizer": _crc(json.dumps(described, sort_keys=True, default=str).encode()),
        "weights": _crc(*(weight.array for weight in model.weights)),
        "epochs and steps": None if run is None else [run.hooks.params.get(name) for name in ("epochs", "steps")],
        "data": None if run is None else run.batches.describe(),
        "shape of the first batch": [np.shape(array) for array in leaves(tuple(batch)) if array is not None],
        "first batch": _crc(*(array for array in leaves(tuple(batch)) if array is not None)),
    }


def check(facts: Sequence[Mapping[str, Any]]) -> None:
    """Compare the processes with the first one.

    Args:
        facts: what `of_process` or `of_training` returned in each process.

    Raises:
        ValueError: if something differs.
    """
    for name, expected in facts[0].items():
        different = {rank: each[name] for rank, each in enumerate(facts) if each[name] != expected}
        if different:
            rank, value = next(iter(different.items()))
            shown = "" if isinstance(expected, _Crc) else f": {value} and {expected}"
            raise ValueError(
                f"all processes must have the same {name}, but process {rank} has another than process 0{shown}"
            )


class _Crc(int):
    """A checksum, which says nothing to a reader."""


def _crc(*contents: Any) -> _Crc:
    value = 0
    for content in contents:
        value = zlib.crc32(content.tobytes() if isinstance(content, np.ndarray) else content, value)
    return _Crc(value)


def _script() -> _Crc:
    """Return a checksum of the script that the user started; 0 where there is none."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path is None or not os.path.isfile(path):
        return _Crc(0)
    with open(path, "rb") as file:
        return _crc(file.read())
