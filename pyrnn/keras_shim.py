"""`python -m pyrnn.keras_shim script.py ...` runs a Keras script on pyrnn, unchanged.

Within that process `keras`, `tensorflow.keras` and `tf_keras` are pyrnn; a line on stderr says so. Names of Keras that
pyrnn does not have can be imported. They fail at the line that calls them, derives from them or takes an attribute of
them, with the reason and what to use instead (`pyrnn.absent`). `install()` does the same in the calling process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyrnn
from pyrnn import keras_files, older_arguments
from pyrnn.arguments import translators
from pyrnn.explaining import ABSENT, explanation
from pyrnn.placeholders import AbsentModule, Placeholder
from pyrnn.tensor_functions import BACKEND
from pyrnn.tensorflow_names import tensorflow_names

# The versions that scripts see.
KERAS_VERSION, TENSORFLOW_VERSION = "3.15.1", "2.21.0"
ROOTS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
MODULES = (
    "activations", "callbacks", "config", "constraints", "datasets", "initializers", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "optimizers.schedules", "preprocessing", "preprocessing.sequence",
    "preprocessing.text", "random", "regularizers", "saving", "utils", "utils.legacy", "wrappers",
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
    **dict.fromkeys(("engine", "engine.base_layer", "engine.input_layer", "engine.topology"), "layers"),
    **dict.fromkeys(("engine.functional", "engine.sequential", "engine.training"), "models"),
    "legacy": "layers",
    "objectives": "losses",
    "legacy.layers": "layers",
    "optimizers.legacy": "optimizers",
    "preprocessing.timeseries": "utils",
    "wrappers.scikit_learn": "wrappers",
    "src": "",  # where Keras 3 keeps its code
    **{f"src.{name}": name for name in MODULES},
}
# Names that scripts find and pyrnn lacks.
_REPLACED: dict[str, Mapping[str, Any]] = {
    "datasets": {"imdb": keras_files.Imdb, "mnist": keras_files.Mnist},
    "layers": older_arguments.LAYERS,
    "utils": {"get_file": keras_files.get_file},
    **older_arguments.RENAMED_FUNCTIONS,
}
_FROM_PREPROCESSING = ("sequence", "text")
_NO_TENSORFLOW = "tensorboard.compat.notf"


class _Alias(ModuleType):
    """A module of Keras or TensorFlow: these names, those of the module `counterpart`, and placeholders for the rest.

    A name that Keras does not have either raises an error.
    """

    def __init__(self, name: str, names: Mapping[str, Any], counterpart: ModuleType | None = None) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(names)
        self._counterpart = counterpart
        if counterpart is not None:
            absent = (each for owner in _owners(name)[:2] for each in ABSENT.get(owner, {}))
            public = (each for each in dir(counterpart) if not each.startswith("_"))
            self.__all__ = sorted({*names, *public, *absent})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with contextlib.suppress(AttributeError):
            value = getattr(self._counterpart, name)
            setattr(self, name, value)
            return value
        path = f"{self.__name__}.{name}"
        is_older = len(_owners(self.__name__)) > 1  # a module of Keras 2 with names of its own
        if sentence := _explained(path) or (_no_counterpart(path) if is_older else ""):
            return Placeholder(path, sentence)
        raise AttributeError(_no_counterpart(path))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._counterpart)})


class _Finder:
    """The first finder: it finds modules of Keras and TensorFlow that pyrnn lacks, whose names are placeholders."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the module that is absent, or None for a name that is not Keras's.

        Raises:
            ImportError: For a module that Keras does not have either.
        """
        if name.split(".")[0] not in ("keras", "tf_keras", "tensorflow"):
            return None
        parent = sys.modules.get(name.rpartition(".")[0])
        sentence = parent.__doc__ if isinstance(parent, AbsentModule) else _explained(name)
        if not sentence:
            raise ImportError(_no_counterpart(name), name=name)
        return ModuleSpec(name, _Loader(sentence), is_package=True)


class _Loader(Loader):
    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return AbsentModule(spec.name, self.sentence)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is complete."""


def _explained(path: str) -> str:
    """Why pyrnn lacks a name of Keras or TensorFlow, such as keras.layers.Conv2D; empty if Keras lacks it too."""
    module, _, name = path.rpartition(".")
    return next((sentence for each in _owners(module) if (sentence := explanation(each, name, module))), "")


def _owners(module: str) -> tuple[str, ...]:
    """What the table of absent names calls a module of Keras or TensorFlow, and modules here with its names."""
    root = max((root for root in ROOTS if f"{module}.".startswith(f"{root}.")), key=len, default="")
    if not root:
        return ("tensorflow",)
    owner = module.removeprefix(root).lstrip(".") or "pyrnn"
    return (owner, OLD_MODULES[owner], "pyrnn") if owner in OLD_MODULES else (owner,)


def _no_counterpart(path: str) -> str:
    return f"{path} has no counterpart in pyrnn (see docs/guide/keras.md)"


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
    tops = {root: _keras(root) for root in ROOTS}
    for name in ("", *(f".{name}" for name in _FROM_PREPROCESSING)):
        sys.modules.setdefault(f"keras_preprocessing{name}", sys.modules[f"keras.preprocessing{name}"])
    names = tensorflow_names(tops["tensorflow.keras"], "tensorflow", TENSORFLOW_VERSION)
    for path, contents in {"tensorflow.python": {"keras": tops["tensorflow.python.keras"]}, **names}.items():
        _register(path, _Alias(path, contents))
    _register("tensorflow.keras", tops["tensorflow.keras"])
    for root in ROOTS:
        for name, data in _REPLACED["datasets"].items():
            sys.modules[f"{root}.datasets.{name}"] = data
    # TensorBoard takes a module of this name as the word that it must not use TensorFlow.
    sys.modules[_NO_TENSORFLOW] = ModuleType(_NO_TENSORFLOW)
    sys.meta_path.insert(0, _Finder())
    translators.append(older_arguments.translate)
    return list(ROOTS)


def _keras(root: str) -> _Alias:
    """Make `keras` and its modules under this name."""
    names = {"__version__": KERAS_VERSION, "version": lambda: KERAS_VERSION, "Sequential": pyrnn.Sequential,
             "Input": pyrnn.Input}  # fmt: skip
    top = _Alias(root, names, pyrnn)
    sys.modules[root] = top
    for path in sorted({*MODULES, *OLD_MODULES, "backend"}):
        if path == "backend":
            alias = _Alias(f"{root}.{path}", BACKEND)
        else:
            counterpart = importlib.import_module(f"pyrnn.{OLD_MODULES.get(path, path)}".rstrip("."))
            alias = _Alias(f"{root}.{path}", _REPLACED.get(OLD_MODULES.get(path, path), {}), counterpart)
        _register(f"{root}.{path}", alias)
    return top


def _register(path: str, module: ModuleType) -> None:
    """Enter a module where imports find it, and in its parent."""
    sys.modules[path] = module
    parent, _, name = path.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], name, module)


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
