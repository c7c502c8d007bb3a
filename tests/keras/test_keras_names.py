"""Every public name of Keras's modules is here or raises an error that explains, and docs/guide/keras.md says which."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import keras
import pytest
from names import explained

import pyrnn

TEXT = (Path(__file__).parent.parent.parent / "docs/guide/keras.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `keras\.?([\w.]*)`\n(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section or "keras")
def test_names(section: str) -> None:
    path = f".{section}" if section else ""
    theirs = importlib.import_module(f"keras{path}")
    public = {
        name
        for name in dir(theirs)
        if not name.startswith("_") and (section == "datasets" or not inspect.ismodule(getattr(theirs, name)))
    }
    rows = re.findall(r"^\| (`.*?`) \| (same|differs|not here)", SECTIONS[section], re.MULTILINE)
    listed = {name: kind for names, kind in rows for name in re.findall(r"`([\w.]+)`", names)}
    assert public <= listed.keys(), f"docs/guide/keras.md lacks {sorted(public - listed.keys())}"
    for name in public:
        try:
            here = hasattr(importlib.import_module(f"pyrnn{path}"), name)
        except ImportError:
            here = False
        assert here == (listed[name] != "not here"), f"{name} is {'' if here else 'not '}here, the table says otherwise"


def test_sections() -> None:
    assert {"", "layers", "losses", "metrics", "optimizers", "callbacks", "utils"} <= SECTIONS.keys()
    assert keras.__version__.split(".")[0] == "3"


def modules(root: ModuleType, path: str = "") -> Iterator[tuple[str, ModuleType]]:
    """The public modules of Keras with their paths below `root`."""
    yield path, root
    for name, value in vars(root).items():
        hidden = name.startswith("_") or name in ("src", "legacy")
        if not hidden and inspect.ismodule(value) and value.__name__ == f"{root.__name__}.{name}":
            yield from modules(value, f"{path}.{name}".lstrip("."))


# The names of `keras` and those of `tf.keras`, which keeps more of Keras 2.
MODULES = [*modules(keras), *modules(importlib.import_module("keras._tf_keras.keras"))]


@pytest.mark.parametrize(("path", "module"), MODULES, ids=[f"{m.__name__}" for _, m in MODULES])
def test_names_of_modules_are_here_or_explained(path: str, module: ModuleType) -> None:
    parent = f"pyrnn.{path}".rstrip(".")
    try:
        here = importlib.import_module(parent)
    except ImportError as error:
        assert re.fullmatch(r"pyrnn[\w.]* has no \w+: .+; .+", str(error))
        return
    for name in dir(module):
        if name.startswith("_") or hasattr(here, name):
            continue
        assert explained(partial(exec, f"from {parent} import {name}"), ImportError, parent), (path, name)
        if path != "backend":  # read in every operation; `__getattr__` would slow it down
            assert explained(partial(getattr, here, name), AttributeError, parent), (path, name)


# Names that Keras 1 and 2 had and Keras 3 does not, as scripts import them.
OLDER: dict[str, str] = {
    "pyrnn": "estimator experimental",
    "pyrnn.backend": "function get_session learning_phase placeholder set_learning_phase set_session",
    "pyrnn.callbacks": "BaseLogger experimental",
    "pyrnn.constraints": "RadialConstraint maxnorm nonneg radial_constraint unitnorm",
    "pyrnn.initializers": "normal one uniform zero",
    "pyrnn.layers": """AbstractRNNCell AtrousConvolution1D ConvLSTM2DCell ConvRecurrent2D CuDNNGRU CuDNNLSTM
        Deconvolution2D DenseFeatures Highway LocallyConnected1D LocallyConnected2D MaxoutDense Merge ParametricSoftplus
        SReLU SyncBatchNormalization ThresholdedReLU TimeDistributedDense experimental merge""",
    "pyrnn.losses": "Reduction cosine_proximity kullback_leibler_divergence logcosh mae mape mse msle",
    "pyrnn.metrics": "CosineProximity MeanRelativeError MeanTensor cosine_proximity mae mse",
    "pyrnn.models": "Graph model_from_config model_from_yaml",
    "pyrnn.optimizers": "TFOptimizer adam_v2 experimental gradient_descent_v2 legacy",
    "pyrnn.preprocessing": "image sequence text",
    "pyrnn.preprocessing.sequence": "TimeseriesGenerator make_sampling_table skipgrams",
    "pyrnn.preprocessing.text": "Tokenizer hashing_trick one_hot text_to_word_sequence tokenizer_from_json",
    "pyrnn.regularizers": "l1 l1_l2 l1l2 l2",
    "pyrnn.utils": """GeneratorEnqueuer HDF5Matrix OrderedEnqueuer SequenceEnqueuer SidecarEvaluator
        multi_gpu_model np_utils print_summary""",
}


@pytest.mark.parametrize("module", OLDER)
def test_names_of_older_versions_are_here_or_explained(module: str) -> None:
    here = importlib.import_module(module)
    for name in OLDER[module].split():
        if not hasattr(here, name):
            assert explained(partial(exec, f"from {module} import {name}"), ImportError, module), name


OLDER_ATTRIBUTES = """add_update fit_generator get_input_at input_mask predict_classes predict_generator predict_proba
    reset_states sample_weights state_updates targets to_yaml total_loss updates uses_learning_phase"""


def test_attributes_of_older_models_are_here_or_explained() -> None:
    made = pyrnn.Sequential([pyrnn.Input((3, 2)), pyrnn.layers.LSTM(2)])
    for name in OLDER_ATTRIBUTES.split():
        if not hasattr(made, name):
            assert explained(partial(getattr, made, name), AttributeError, "Sequential"), name
