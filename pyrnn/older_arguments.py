"""Arguments and layers of Keras 1 and 2 in the names of today, for scripts that run through the shim.

Each gives a warning.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pyrnn import constraints, layers, regularizers
from pyrnn.optimizers.schedules import InverseTimeDecay
from pyrnn.validation import RENAMED, warn

# Arguments whose values have another meaning under the new name.
_CHANGED = {
    "class_mode", "consume_less", "nb_val_samples", "nb_worker", "sample_weight_mode", "samples_per_epoch",
    "show_accuracy",
}  # fmt: skip
# Arguments that say nothing today.
_DROPPED = {
    "class_mode", "consume_less", "max_q_size", "max_queue_size", "nb_worker", "pickle_safe", "sample_weight_mode",
    "show_accuracy", "use_multiprocessing", "workers",
}  # fmt: skip
_NAMES = {"lr": "learning_rate"} | {old: new for old, new in RENAMED.items() if old not in _CHANGED}
# Names of initializers in Keras 1.
_INITIALIZERS = {"uniform": "random_uniform", "normal": "random_normal", "one": "ones", "zero": "zeros"}


def _older(name: str, make: Callable[..., Any], instead: str, **renamed: str) -> Callable[..., Any]:
    """A constructor of an older name, which gives a warning."""

    def layer(*args: Any, **kwargs: Any) -> Any:
        warn(f"the layer {name} of older Keras versions is {instead}")
        return make(*args, **{renamed.get(argument, argument): value for argument, value in kwargs.items()})

    layer.__name__ = name
    return layer


def _thresholded(theta: float = 1.0, **kwargs: Any) -> layers.ReLU:
    return layers.ReLU(threshold=theta, **kwargs)


# Layers of Keras 1 and 2 that are now another layer, or that layer with an argument.
LAYERS = {
    "CuDNNLSTM": _older("CuDNNLSTM", layers.LSTM, "LSTM"),
    "CuDNNGRU": _older("CuDNNGRU", layers.GRU, "GRU"),
    "ThresholdedReLU": _older("ThresholdedReLU", _thresholded, "ReLU(threshold=theta)"),
    "TimeDistributedDense": _older("TimeDistributedDense", layers.Dense, "Dense"),
    "AtrousConvolution1D": _older(
        "AtrousConvolution1D", layers.Conv1D, "Conv1D(dilation_rate=...)", atrous_rate="dilation_rate"
    ),
}


# Functions of Keras 1 and 2 under their names, by module.
RENAMED_FUNCTIONS: dict[str, Mapping[str, Any]] = {
    "constraints": {
        "maxnorm": constraints.MaxNorm,
        "nonneg": constraints.NonNeg,
        "unitnorm": constraints.UnitNorm,
    },
    "regularizers": {"l1l2": regularizers.l1_l2},
}


def translate(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """Translate the arguments of a call.

    Args:
        function: The function or constructor.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        (args, kwargs) in the names of today; None if no argument has an older name.
    """
    parameters = inspect.signature(function).parameters
    kwargs, changed = dict(kwargs), False
    for old in [name for name in kwargs if name in _NAMES and name not in parameters]:
        if (new := _NAMES[old]) in parameters and new not in kwargs:
            value = kwargs.pop(old)
            kwargs[new] = _INITIALIZERS.get(value, value) if new.endswith("initializer") else value
            warn(f"the argument {old!r} of older Keras versions is read as {new!r}")
            changed = True
    for old in [name for name in kwargs if name in _DROPPED and name not in parameters]:
        del kwargs[old]
        warn(f"the argument {old!r} of older Keras versions is left out")
        changed = True
    if "decay" in kwargs and "decay" not in parameters and "learning_rate" in parameters:
        args, kwargs = _with_decay(list(parameters), parameters["learning_rate"].default, args, kwargs)
        changed = True
    return (args, kwargs) if changed else None


def _with_decay(names: list[str], default: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Turn `decay` into a schedule of the learning rate: lr / (1 + decay * iterations), as in Keras 2."""
    decay, place = kwargs.pop("decay"), names.index("learning_rate")
    warn("the argument 'decay' of older Keras versions is read as the schedule InverseTimeDecay of 'learning_rate'")
    if not decay:
        return args, kwargs
    rate = args[place] if len(args) > place else kwargs.get("learning_rate", default)
    schedule = InverseTimeDecay(rate, 1, decay)
    if len(args) > place:
        return (*args[:place], schedule, *args[place + 1 :]), kwargs
    return args, {**kwargs, "learning_rate": schedule}
