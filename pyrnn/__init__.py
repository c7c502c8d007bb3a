"""pyrnn: recurrent networks with Keras 3's interface and numbers, on a small compiled core."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from pyrnn.explaining import Finder, missing

if TYPE_CHECKING:
    from pyrnn.backend import get_num_threads as get_num_threads
    from pyrnn.backend import set_num_threads as set_num_threads
    from pyrnn.initializers import Initializer as Initializer
    from pyrnn.layers import Input as Input
    from pyrnn.layers import InputSpec as InputSpec
    from pyrnn.layers import Layer as Layer
    from pyrnn.losses import Loss as Loss
    from pyrnn.metrics import Metric as Metric
    from pyrnn.models import Model as Model
    from pyrnn.models import Sequential as Sequential
    from pyrnn.models import load_model as load_model
    from pyrnn.optimizers import Optimizer as Optimizer
    from pyrnn.regularizers import Regularizer as Regularizer
    from pyrnn.variable import Variable as Variable

__version__ = "1.0.0"

_NAMES = {
    "Model": "pyrnn.models",
    "Sequential": "pyrnn.models",
    "load_model": "pyrnn.models",
    "Input": "pyrnn.layers",
    "InputSpec": "pyrnn.layers",
    "Initializer": "pyrnn.initializers",
    "Layer": "pyrnn.layers",
    "Loss": "pyrnn.losses",
    "Metric": "pyrnn.metrics",
    "Optimizer": "pyrnn.optimizers",
    "Regularizer": "pyrnn.regularizers",
    "Variable": "pyrnn.variable",
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
    "distributed",
    "export",
    "forecasting",
    "initializers",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "summary",
    "utils",
    "wrappers",
)

__all__ = [*_NAMES, "__version__"]

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
