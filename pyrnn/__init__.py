"""pyrnn: recurrent networks with Keras 3's interface and numbers, on a small compiled core."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from pyrnn.explaining import Finder, missing

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

if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)


def __getattr__(name: str) -> Any:
    """Import names and submodules at first use."""
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"pyrnn.{name}")
    else:
        raise missing(__name__, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_SUBMODULES})
