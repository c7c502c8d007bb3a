"""pyrnn: recurrent networks with Keras 3's interface and numbers, on a small compiled core."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrnn.backend import get_num_threads, set_num_threads
    from pyrnn.initializers import Initializer
    from pyrnn.layers import Input, Layer
    from pyrnn.losses import Loss
    from pyrnn.metrics import Metric
    from pyrnn.models import Sequential, load_model
    from pyrnn.optimizers import Optimizer
    from pyrnn.regularizers import Regularizer

__version__ = "0.1.0"

_NAMES = {
    "Sequential": "pyrnn.models",
    "load_model": "pyrnn.models",
    "Input": "pyrnn.layers",
    "Initializer": "pyrnn.initializers",
    "Layer": "pyrnn.layers",
    "Loss": "pyrnn.losses",
    "Metric": "pyrnn.metrics",
    "Optimizer": "pyrnn.optimizers",
    "Regularizer": "pyrnn.regularizers",
    "set_num_threads": "pyrnn.backend",
    "get_num_threads": "pyrnn.backend",
}
_SUBMODULES = (
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "data",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "saving",
    "summary",
    "utils",
)

__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "__version__",
    "get_num_threads",
    "load_model",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    """Import names and submodules at first use."""
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"pyrnn.{name}")
    else:
        raise AttributeError(f"module 'pyrnn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_SUBMODULES})
