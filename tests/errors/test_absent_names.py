"""Names that Keras has and pyrnn lacks raise errors that say why; all other names behave normally."""

from __future__ import annotations

import copy
import doctest
import importlib
import importlib.util
import inspect
import pickle
import pydoc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, constraints, explaining, initializers, layers, losses, metrics, optimizers, parameters
from pyrnn.absent import FAMILIES

KINDS: dict[str, type] = {
    "model": pyrnn.Sequential,
    "layer": layers.Layer,
    "cell": layers.LSTMCell,
    "optimizer": optimizers.Optimizer,
    "loss": losses.Loss,
    "metric": metrics.Metric,
    "callback": callbacks.Callback,
    "weight": parameters.Weight,
}
MODULES = [owner for owner in explaining.ABSENT if owner not in KINDS and owner != "tensorflow"]
EXPLAINED = r"has no \w+: .+; .+"


def model() -> pyrnn.Sequential:
    made = pyrnn.Sequential([pyrnn.Input((5, 3)), layers.LSTM(2), layers.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    return made


@pytest.mark.parametrize("owner", MODULES)
def test_imports(owner: str) -> None:
    """`from module import name` raises an ImportError; a name that is here has no entry in the table."""
    module = "pyrnn" if owner == "pyrnn" else f"pyrnn.{owner}"
    for name, (reason, instead) in explaining.ABSENT[owner].items():
        with pytest.raises(ImportError) as caught:
            exec(f"from {module} import {name}")
        assert str(caught.value) == f"{module} has no {name}: {reason}; {instead}"


@pytest.mark.parametrize("owner", [owner for owner in MODULES if owner != "backend"])
def test_attributes_of_modules(owner: str) -> None:
    module = importlib.import_module("pyrnn" if owner == "pyrnn" else f"pyrnn.{owner}")
    for name in explaining.ABSENT[owner]:
        assert not hasattr(module, name) and getattr(module, name, 3) == 3 and name not in dir(module)
        with pytest.raises(AttributeError, match=EXPLAINED):
            getattr(module, name)


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_of_classes(kind: str) -> None:
    """A name is explained unless a subclass has it, and then the subclass wins."""
    cls = KINDS[kind]
    for name in explaining.ABSENT[kind]:
        assert not hasattr(cls, name), name
        with pytest.raises(AttributeError, match=f"^{cls.__name__} {EXPLAINED}"):
            getattr(cls, name)


@pytest.mark.parametrize(
    ("get", "message"),
    [
        (lambda: layers.ConvLSTM2D, "pyrnn.layers has no ConvLSTM2D: convolutions over images inside the recurrence"),
        (lambda: losses.CTC, "pyrnn.losses has no CTC: losses over alignments are not implemented; label every step"),
        (lambda: pyrnn.Quantizer, "pyrnn has no Quantizer: weights are float32 or float64; leave it out"),
        (
            lambda: model().export,
            "Sequential has no export: models run in Python; use model.save(path), model.stream(), or",
        ),
        (lambda: model().quantize, "Sequential has no quantize: weights are float32 or float64; leave it out"),
        (lambda: model().train_function, "Sequential has no train_function: fit, evaluate and predict run their own"),
        (lambda: model().to_yaml, "Sequential has no to_yaml: Keras dropped it; use to_json"),
        (lambda: layers.LSTM(2).enable_lora, "LSTM has no enable_lora: adapters (LoRA) are not implemented; freeze"),
        (lambda: optimizers.Adam().minimize, "Adam has no minimize: the model writes all gradients into one vector"),
    ],
)
def test_messages(get: Callable[[], Any], message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        get()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("module", ["applications", "mixed_precision", "distribution", "applications.vgg16"])
def test_modules(module: str) -> None:
    """Modules that are absent explain, also when something is imported from them."""
    for statement in (f"import pyrnn.{module}", f"from pyrnn.{module} import anything"):
        with pytest.raises(ImportError, match=f"^pyrnn {EXPLAINED}"):
            exec(statement)
    with pytest.raises(ImportError):
        importlib.util.find_spec(f"pyrnn.{module}")


STRINGS: list[tuple[Callable[[], Any], str]] = [
    (lambda: model().compile("adam", "ctc"), "pyrnn.losses has no ctc: losses over alignments are not implemented"),
    (lambda: losses.as_loss("cosine_proximity"), "pyrnn.losses has no cosine_proximity: Keras renamed it; use"),
    (lambda: optimizers.get("LossScaleOptimizer"), "pyrnn.optimizers has no LossScaleOptimizer: weights are"),
    (lambda: constraints.get("unitnorm"), "pyrnn.constraints has no unitnorm: Keras renamed it; use max_norm"),
    (lambda: initializers.get("STFT"), "pyrnn.initializers has no STFT: it works on sound"),
    (
        lambda: layers.deserialize({"class_name": "GroupQueryAttention", "config": {}}),
        "pyrnn.layers has no GroupQueryAttention: heads do not share keys and values; use MultiHeadAttention",
    ),
]


@pytest.mark.parametrize(("call", "message"), STRINGS)
def test_names_as_strings(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_a_typing_mistake_is_no_name_of_keras() -> None:
    """Python's usual error, with the closest name if there is one."""
    with pytest.raises(AttributeError, match=r"^module 'pyrnn.layers' has no attribute 'LSMT'") as caught:
        layers.LSMT  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("LSMT", layers)
    with pytest.raises(AttributeError, match=r"^module 'pyrnn' has no attribute 'Sequentail'"):
        pyrnn.Sequentail  # noqa: B018
    with pytest.raises(AttributeError, match=r"object has no attribute 'exprot'"):
        model().exprot  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match=r"cannot import name 'LSMT' from 'pyrnn.layers'"):
        exec("from pyrnn.layers import LSMT")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'pyrnn.layrs'"):
        importlib.import_module("pyrnn.layrs")
    assert importlib.util.find_spec("pyrnn.layrs") is None


def test_objects_are_as_before() -> None:
    """`hasattr`, `getattr`, `dir`, copies, pickles, `help` and `doctest` work on models, layers and the rest."""
    made = model()
    made.fit(np.zeros((2, 5, 3)), np.zeros((2, 1)), verbose=0)
    objects = [made, *made.layers, *made.weights, made.optimizer, made.loss, *made.metrics, made.history]
    for thing in objects:
        assert all(hasattr(thing, name) for name in dir(thing) if not name.startswith("__"))
        assert not hasattr(thing, "no_such_name") and getattr(thing, "quantize", 3) == 3
        text = pydoc.plain(pydoc.render_doc(type(thing)))
        assert "Not in pyrnn: " in text
        for again in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert type(again) is type(thing)
    for owner in MODULES:
        if owner != "pyrnn":
            module = importlib.import_module(f"pyrnn.{owner}")
            assert pydoc.render_doc(module) and inspect.getmembers(module)
            assert doctest.DocTestFinder().find(module) is not None


def test_a_subclass_may_have_such_a_name() -> None:
    class Counted(layers.Dense):
        """A layer with attributes that Keras's layers have too."""

        @property
        def path(self) -> str:
            return "here"

    layer = Counted(2)
    layer.input = 3
    assert (layer.path, layer.input) == ("here", 3)
    assert {"path", "input"} <= set(dir(layer)) and "enable_lora" not in dir(layer)
    assert copy.deepcopy(layer).input == 3


def test_the_finder_is_there_once() -> None:
    """It is the last finder, so that it sees only imports that fail."""
    assert sys.meta_path.count(explaining.Finder) == 1
    importlib.reload(pyrnn)
    assert sys.meta_path.count(explaining.Finder) == 1


def test_the_table() -> None:
    for owners, families in FAMILIES.items():
        names = [name for family in families for name in family[0].split()]
        assert len(names) == len(set(names)), owners
        for _, reason, instead in families:
            assert not reason.endswith((".", ";")) and not instead.endswith((".", ";"))
