"""The part of `tensorflow` next to `tf.keras` that scripts with recurrent models use.

Settings of devices, graphs and logs have nothing to change here: everything runs on the CPU, step by step.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

import pyrnn
from pyrnn import utils
from pyrnn.results import Tensor
from pyrnn.tensor_functions import NN, RANDOM, TENSORFLOW

_DTYPES = {
    name: np.dtype(name)
    for name in ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
}
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Accept a setting of TensorFlow's devices or graphs, which cannot change the results."""


def _no_devices(device_type: str | None = None) -> list[Any]:
    """Return the devices of this type: none, since there is no GPU, and the CPU needs no choice."""
    return []


def _function(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Return the function as it is: `tf.function` makes a function faster and changes nothing else."""
    return _function if function is None else function


def _device(name: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class _Settings:
    """`ConfigProto` and `Session` of TensorFlow 1: settings that have nothing to set here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take any settings."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, _Settings())
        return getattr(self, name)

    def __enter__(self) -> _Settings:
        return self

    def __exit__(self, *args: Any) -> None:
        """End the `with` block of a session."""


def _get_logger() -> logging.Logger:
    return logging.getLogger("tensorflow")


def _set_verbosity(level: int) -> None:
    _get_logger().setLevel(level)


def tensorflow_names(keras: ModuleType, root: str, version: str) -> dict[str, Mapping[str, Any]]:
    """Return the names of each module of TensorFlow, by path.

    Args:
        keras: The module that is `tensorflow.keras`.
        root: The name of TensorFlow.
        version: The version that scripts see.

    Returns:
        The names by path: "tensorflow" first, each module after its parent.
    """
    random = {
        "set_seed": utils.set_random_seed,
        **RANDOM,
    }
    threads = {"set_intra_op_parallelism_threads": pyrnn.set_num_threads, "set_inter_op_parallelism_threads": _nothing}
    devices = {
        **dict.fromkeys(("list_physical_devices", "list_logical_devices", "get_visible_devices"), _no_devices),
        **dict.fromkeys(("set_memory_growth", "set_visible_devices", "set_soft_device_placement"), _nothing),
    }
    logs = {"set_verbosity": _set_verbosity, **_LEVELS}
    settings = dict.fromkeys(("ConfigProto", "GPUOptions", "Session", "InteractiveSession"), _Settings)
    version_1 = {
        **settings,
        "get_default_graph": _nothing,
        "keras": keras,
        "set_random_seed": utils.set_random_seed,
        "reset_default_graph": utils.clear_session,
        **dict.fromkeys(("disable_v2_behavior", "disable_eager_execution", "enable_eager_execution"), _nothing),
    }
    registries = ("losses", "metrics", "optimizers", "initializers")
    top = {
        "__version__": version,
        "keras": keras,
        "Tensor": Tensor,
        "newaxis": None,
        "function": _function,
        "device": _device,
        "get_logger": _get_logger,
        "executing_eagerly": lambda: True,
        "set_random_seed": utils.set_random_seed,
        **{name: getattr(keras, name) for name in registries},
        **settings,
        **_DTYPES,
        **TENSORFLOW,
    }
    contents: dict[str, Mapping[str, Any]] = {
        "": top,
        ".random": random,
        ".math": TENSORFLOW,
        ".nn": NN,
        ".linalg": TENSORFLOW,
        ".dtypes": _DTYPES,
        ".logging": logs,
        ".version": {"VERSION": version},
        ".test": {"is_gpu_available": lambda *args, **kwargs: False, "gpu_device_name": lambda: "",
                  "is_built_with_cuda": lambda: False},
        ".config": {**devices, "run_functions_eagerly": _nothing},
        ".config.experimental": {**devices, "enable_op_determinism": _nothing},
        ".config.threading": threads,
        ".compat": {},
        ".compat.v1": version_1,
        ".compat.v1.logging": logs,
    }  # fmt: skip
    return {f"{root}{path}": names for path, names in contents.items()}
