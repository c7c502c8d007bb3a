"""A forecaster for AWS Lambda, or any other container, that needs NumPy and pyrnn alone.

`.keras` files need h5py. `pack` writes what a container reads without it: the layers as JSON and the weights as NumPy's
npz. The Dockerfile next to this file copies both into an image:

    python examples/container/handler.py model.keras
    docker build -f examples/container/Dockerfile -t forecaster .
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pyrnn

HERE = Path(__file__).parent


def pack(model: pyrnn.Model, folder: Path) -> None:
    """Write model.json and weights.npz.

    Args:
        model: A built model.
        folder: Where they go.
    """
    (folder / "model.json").write_text(model.to_json(), encoding="utf-8")
    np.savez(folder / "weights.npz", *model.get_weights())


@functools.cache
def load(folder: Path) -> pyrnn.Model:
    """Return the model that `pack` wrote; a container reads it at its first request."""
    model = pyrnn.models.model_from_json((folder / "model.json").read_text(encoding="utf-8"))
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        model.set_weights([arrays[name] for name in arrays.files])
    return model


def handler(event: dict[str, Any], context: Any = None, folder: Path = HERE) -> dict[str, Any]:
    """Answer a request.

    Args:
        event: {"series": (samples, steps, features)} as nested lists.
        context: That of AWS Lambda.
        folder: Where the files of `pack` are.

    Returns:
        {"forecast": the outputs of the model as nested lists}, or {"error": why the request is wrong}.
    """
    try:
        series = np.asarray(event.get("series", []), dtype="float32")
        return {"forecast": load(folder).predict(series, verbose=0).tolist()}
    except (TypeError, ValueError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    pack(pyrnn.load_model(sys.argv[1]), HERE)
