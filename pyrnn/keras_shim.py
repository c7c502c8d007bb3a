"""`python -m pyrnn.keras_shim script.py ...` runs a Keras script on pyrnn, its text untouched.

Within that process `keras`, `tensorflow.keras` and `tf_keras` are pyrnn; a line on stderr says so. What Keras has and
pyrnn has not fails at the line that uses it, with a sentence. `install()` does the same for a process of your own.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyrnn

# The versions that scripts compare with.
KERAS_VERSION, TENSORFLOW_VERSION = "3.15.1", "2.21.0"
ROOTS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
MODULES = (
    "activations", "callbacks", "config", "constraints", "initializers", "layers", "losses", "metrics", "models",
    "optimizers", "optimizers.schedules", "preprocessing", "preprocessing.sequence", "preprocessing.text",
    "regularizers", "saving", "utils",
)  # fmt: skip
# Modules of Keras 2 that are parts of one module here.
OLD_LAYERS = (
    "convolutional", "core", "embeddings", "noise", "normalization", "pooling", "recurrent", "wrappers",
)  # fmt: skip
OLD_MODULES = {
    **{f"layers.{name}": "layers" for name in OLD_LAYERS},
    "utils.np_utils": "utils",
    "utils.data_utils": "utils",
    "optimizers.legacy": "optimizers",
    "preprocessing.timeseries": "utils",
}


class _Alias(ModuleType):
    """A module whose names are looked up elsewhere, and refused with a sentence where they are not there."""

    def __init__(self, name: str, names: dict[str, Any], fallback: ModuleType | None = None) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(names)
        self._fallback = fallback

    def __getattr__(self, name: str) -> Any:
        if self._fallback is not None and not name.startswith("__"):
            try:
                return getattr(self._fallback, name)
            except AttributeError:
                pass
        raise AttributeError(f"{self.__name__}.{name} has no counterpart in pyrnn (see docs/keras.md)")


class _Refusing:
    """Finds nothing below the mapped names, and says so."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.split(".")[0] in ("keras", "tf_keras", "tensorflow"):
            raise ModuleNotFoundError(f"{name} has no counterpart in pyrnn (see docs/keras.md)", name=name)
        return None


def _backend_module(name: str) -> _Alias:
    """What scripts use of `keras.backend`: settings that are true here."""
    from pyrnn import config
    from pyrnn.naming import clear_session

    functions: list[Callable[..., Any]] = [
        clear_session, config.floatx, config.set_floatx, config.epsilon, config.image_data_format, config.backend,
    ]  # fmt: skip
    return _Alias(name, {function.__name__: function for function in functions})


def install() -> list[str]:
    """Map the names of Keras to pyrnn for this process; returns the roots that were mapped.

    Raises:
        RuntimeError: if real Keras or TensorFlow has been imported already.
    """
    loaded = [name for name in ("keras", "tf_keras", "tensorflow") if name in sys.modules]
    if loaded:
        raise RuntimeError(f"{loaded[0]} is imported already: call pyrnn.keras_shim.install() before it")
    modules = {name: importlib.import_module(f"pyrnn.{name}") for name in MODULES}
    modules |= {old: modules[new] for old, new in OLD_MODULES.items()}
    tops: dict[str, _Alias] = {}
    for root in ROOTS:
        top = _Alias(root, {"__version__": KERAS_VERSION, "Sequential": pyrnn.Sequential, "Input": pyrnn.Input}, pyrnn)
        top.__dict__.update({name: module for name, module in modules.items() if "." not in name})
        top.__dict__["backend"] = sys.modules[f"{root}.backend"] = _backend_module(f"{root}.backend")
        tops[root] = sys.modules[root] = top
        for name, module in modules.items():
            sys.modules[f"{root}.{name}"] = module
    random = _Alias("tensorflow.random", {"set_seed": modules["utils"].set_random_seed})
    names = {"keras": tops["tensorflow.keras"], "random": random, "__version__": TENSORFLOW_VERSION}
    tensorflow = _Alias("tensorflow", names)
    sys.modules["tensorflow"], sys.modules["tensorflow.random"] = tensorflow, random
    sys.modules["tensorflow.python"] = _Alias("tensorflow.python", {"keras": tops["tensorflow.python.keras"]})
    sys.meta_path.insert(0, _Refusing())
    return list(ROOTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 2 for wrong usage, else what the script leaves."""
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
