"""`python -m pyrnn.keras_shim script.py ...` runs a Keras script on pyrnn, unchanged.

Within that process `keras`, `tensorflow.keras` and `tf_keras` are pyrnn; a line on stderr says so. Names of Keras that
pyrnn does not have fail at the line that uses them, with the reason and what to use instead (`pyrnn.absent`).
`install()` does the same in the calling process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyrnn
from pyrnn.explaining import explanation

# The versions that scripts see.
KERAS_VERSION, TENSORFLOW_VERSION = "3.15.1", "2.21.0"
ROOTS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
MODULES = (
    "activations", "callbacks", "config", "constraints", "initializers", "layers", "losses", "metrics", "models",
    "optimizers", "optimizers.schedules", "preprocessing", "preprocessing.sequence", "preprocessing.text",
    "regularizers", "saving", "utils",
)  # fmt: skip
# Modules of Keras 2 that are parts of one module here.
OLD_LAYERS = (
    "advanced_activations", "attention", "convolutional", "convolutional_recurrent", "core", "cudnn_recurrent",
    "embeddings", "local", "merge", "noise", "normalization", "pooling", "recurrent", "rnn", "wrappers",
)  # fmt: skip
OLD_UTILS = ("data_utils", "generic_utils", "io_utils", "layer_utils", "np_utils", "vis_utils")
OLD_MODULES = {
    **{f"layers.{name}": "layers" for name in OLD_LAYERS},
    **{f"utils.{name}": "utils" for name in OLD_UTILS},
    **dict.fromkeys(("engine", "engine.base_layer", "engine.topology"), "layers"),
    **dict.fromkeys(("engine.sequential", "engine.training"), "models"),
    "optimizers.legacy": "optimizers",
    "preprocessing.timeseries": "utils",
}
# What scripts use of `keras.backend`, by the module that has it here.
BACKEND = {
    "clear_session": "utils",
    **dict.fromkeys(("backend", "epsilon", "floatx", "image_data_format", "set_floatx"), "config"),
}


class _Alias(ModuleType):
    """A module with these names; for any other name it asks `fallback` or raises an error that explains."""

    def __init__(self, name: str, names: Mapping[str, Any], fallback: ModuleType | None = None) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(names)
        self._fallback = fallback

    def __getattr__(self, name: str) -> Any:
        if self._fallback is not None and not name.startswith("__"):
            with contextlib.suppress(AttributeError):
                return getattr(self._fallback, name)
        raise AttributeError(_no_counterpart(f"{self.__name__}.{name}"))


class _Finder:
    """The first finder: an import below Keras's names that is not mapped raises an error that explains."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return None, or raise for a name of Keras or TensorFlow."""
        if name.split(".")[0] in ("keras", "tf_keras", "tensorflow"):
            raise ImportError(_no_counterpart(name), name=name)
        return None


def _no_counterpart(path: str) -> str:
    """One sentence on a name of Keras or TensorFlow that is not mapped, such as keras.layers.Conv2D."""
    module, _, name = path.rpartition(".")
    root = max((root for root in ROOTS if f"{module}.".startswith(f"{root}.")), key=len, default="")
    owner = module.removeprefix(root).lstrip(".") or ("pyrnn" if root else "tensorflow")
    return explanation(owner, name, module) or f"{path} has no counterpart in pyrnn (see docs/guide/keras.md)"


def install() -> list[str]:
    """Map the names of Keras to pyrnn for this process.

    Returns:
        The roots that were mapped.

    Raises:
        RuntimeError: If real Keras or TensorFlow has already been imported.
    """
    loaded = [name for name in ("keras", "tf_keras", "tensorflow") if name in sys.modules]
    if loaded:
        raise RuntimeError(f"{loaded[0]} is already imported: call pyrnn.keras_shim.install() first")
    modules = {name: importlib.import_module(f"pyrnn.{name}") for name in MODULES}
    for old, new in OLD_MODULES.items():
        modules[old] = modules[new]
        parent, _, name = old.rpartition(".")
        if parent:
            vars(modules[parent]).setdefault(name, modules[new])  # from keras.utils import np_utils
    tops: dict[str, _Alias] = {}
    for root in ROOTS:
        top = _Alias(root, {"__version__": KERAS_VERSION, "Sequential": pyrnn.Sequential, "Input": pyrnn.Input}, pyrnn)
        top.__dict__.update({name: module for name, module in modules.items() if "." not in name})
        backend = {name: getattr(modules[module], name) for name, module in BACKEND.items()}
        top.__dict__["backend"] = sys.modules[f"{root}.backend"] = _Alias(f"{root}.backend", backend)
        tops[root] = sys.modules[root] = top
        for name, module in modules.items():
            sys.modules[f"{root}.{name}"] = module
    random = _Alias("tensorflow.random", {"set_seed": modules["utils"].set_random_seed})
    names = {"keras": tops["tensorflow.keras"], "random": random, "__version__": TENSORFLOW_VERSION}
    tensorflow = _Alias("tensorflow", names)
    sys.modules["tensorflow"], sys.modules["tensorflow.random"] = tensorflow, random
    sys.modules["tensorflow.python"] = _Alias("tensorflow.python", {"keras": tops["tensorflow.python.keras"]})
    sys.meta_path.insert(0, _Finder())
    return list(ROOTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The script and its arguments; by default those of the process.

    Returns:
        2 for wrong usage, otherwise 0.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0].startswith("-"):
        print("usage: python -m pyrnn.keras_shim script.py [arguments of the script]", file=sys.stderr)
        return 2
    script = arguments[0]
    if not os.path.isfile(script):
        print(f"pyrnn.keras_shim: there is no file {script!r}", file=sys.stderr)
        return 2
    roots = install()
    print(f"pyrnn.keras_shim: {script} runs with {', '.join(roots[:3])} = pyrnn {pyrnn.__version__}", file=sys.stderr)
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
