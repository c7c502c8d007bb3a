"""Every public attribute of Keras's objects is here or raises an error that explains."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import pytest
from layer_cases import CASES as LAYERS
from names import explained
from test_keras_layers import make
from test_keras_metrics import CASES as METRICS

import pyrnn
from pyrnn import losses, optimizers


def of_keras(thing: object) -> set[str]:
    """Public methods, properties and attributes for the arguments of an object of Keras, not those of PyTorch."""
    kinds = [kind for kind in type(thing).__mro__ if kind.__module__.startswith("keras.")]
    names = {name for kind in kinds if "torch" not in kind.__module__ for name in vars(kind)}
    arguments = {name for name in inspect.signature(type(thing)).parameters if name in vars(thing)}
    return {name for name in names | arguments if not name.startswith("_")}


def of_layer(name: str, library: Any) -> Any:
    case = LAYERS[name][0]
    layer = make(library, name, case)
    layer.build(case.shape)
    return layer


def model(library: Any) -> Any:
    made = library.Sequential([library.Input((5, 3)), library.layers.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    return made


def default(module: str, name: str, library: Any, **options: Any) -> Any:
    return getattr(getattr(library, module), name)(**options)


LOSSES = [kind for kind in losses.CLASSES if hasattr(keras.losses, kind.__name__)]
FACTORIES: dict[str, Callable[[Any], Any]] = {
    "model": model,
    "weight": lambda library: model(library).weights[0],
    **{f"layers.{name}": partial(of_layer, name) for name in LAYERS},
    **{
        f"layers.{name}": partial(default, "layers", name, units=2) for name in ("SimpleRNNCell", "LSTMCell", "GRUCell")
    },
    **{
        f"metrics.{name}": partial(default, "metrics", name, **options)
        for name, (options, _) in METRICS.items()
        if ":" not in name
    },
    **{f"losses.{kind.__name__}": partial(default, "losses", kind.__name__) for kind in LOSSES},
    **{f"optimizers.{kind.__name__}": partial(default, "optimizers", kind.__name__) for kind in optimizers.CLASSES},
    **{
        f"callbacks.{name}": partial(default, "callbacks", name, **options)
        for name, options in {
            "Callback": {},
            "EarlyStopping": {},
            "ModelCheckpoint": {"filepath": "m.keras"},
            "BackupAndRestore": {"backup_dir": "b"},
            "History": {},
            "ReduceLROnPlateau": {},
            "LearningRateScheduler": {"schedule": lambda epoch: 0.1},
            "CSVLogger": {"filename": "f"},
            "LambdaCallback": {},
            "ProgbarLogger": {},
            "RemoteMonitor": {},
            "SwapEMAWeights": {},
            "TerminateOnNaN": {},
        }.items()
    },
}


@pytest.mark.parametrize("kind", FACTORIES)
def test_attributes_of_objects_are_here_or_explained(kind: str) -> None:
    here = FACTORIES[kind](pyrnn)
    label = type(here).__name__
    silent = [
        name
        for name in sorted(of_keras(FACTORIES[kind](keras)))
        if not hasattr(here, name) and not explained(partial(getattr, here, name), AttributeError, label)
    ]
    assert silent == []
