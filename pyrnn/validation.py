"""The wording of errors and warnings that several modules raise."""

from __future__ import annotations

import difflib
import inspect
import json
import operator
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pyrnn.explaining import explanation

T = TypeVar("T")
# Of one axis: no longer array fits into memory, and products of a few sizes fit into 64 bits.
LARGEST_SIZE = 2**31 - 1
_LONGEST_SHOWN = 80

# The module that has the names of a kind, to explain those that pyrnn does not have.
MODULE_OF = {
    "activation": "activations",
    "constraint": "constraints",
    "initializer": "initializers",
    "layer": "layers",
    "learning rate schedule": "optimizers.schedules",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "regularizer": "regularizers",
}
# The names of arguments in Keras 1 and 2, with those of today.
RENAMED = {
    "b_constraint": "bias_constraint", "b_regularizer": "bias_regularizer", "bias": "use_bias",
    "border_mode": "padding", "class_mode": "loss", "consume_less": "implementation",
    "dropout_U": "recurrent_dropout", "dropout_W": "dropout", "filter_length": "kernel_size",
    "forget_bias_init": "unit_forget_bias", "init": "kernel_initializer",
    "inner_activation": "recurrent_activation", "inner_init": "recurrent_initializer", "nb_epoch": "epochs",
    "nb_filter": "filters", "nb_val_samples": "validation_steps", "nb_worker": "workers", "output_dim": "units",
    "p": "rate", "pool_length": "pool_size", "sample_weight_mode": "sample_weight",
    "samples_per_epoch": "steps_per_epoch", "show_accuracy": "metrics=['accuracy'] of compile", "stride": "strides",
    "subsample_length": "strides", "U_constraint": "recurrent_constraint", "U_regularizer": "recurrent_regularizer",
    "W_constraint": "kernel_constraint", "W_regularizer": "kernel_regularizer",
}  # fmt: skip

# Arguments of Keras that pyrnn does not have, and what to do instead.
DROPPED = {
    **dict.fromkeys(
        ("workers", "max_queue_size", "use_multiprocessing", "pickle_safe", "max_q_size"),
        "pass workers and max_queue_size to the PyDataset, generators are read in the calling thread",
    ),
    "activity_regularizer": "put ActivityRegularization after the layer",
    "flash_attention": "attention always computes its weights",
    "autocast": "layers compute in their dtype",
    "time_major": "transpose x to (batch, time, features)",
    "target_tensors": "pass y to fit",
    "input_tensor": "pass arrays to fit and predict",
    "sparse": "pass dense arrays",
    "ragged": "pad the sequences with pyrnn.utils.pad_sequences and mask the padding",
    "optional": "every input of a model is required",
    "distribute": "training runs in one process",
    "synchronized": "training runs in one process",
    "lora_rank": "adapters (LoRA) are not available, set trainable=False on the layers to keep",
    "gptq_unpacked_column_size": "weights are not quantized",
    "lora_alpha": "adapters (LoRA) are not available, set trainable=False on the layers to keep",
    "quantization_config": "weights are float32 or float64",
}


class WrongType(TypeError, ValueError):
    """An argument of the wrong type: a TypeError, as usual in Python, and a ValueError, as in Keras."""


class WrongKey(ValueError, KeyError):
    """A key that names nothing: a ValueError, as in pyrnn, and a KeyError, as in Keras."""

    __str__ = ValueError.__str__  # that of a KeyError is quoted


class MissingFile(FileNotFoundError, ValueError):
    """A file that is not there: a FileNotFoundError, as usual in Python, and a ValueError, as in Keras."""


def shown(value: object) -> str:
    """Return a value as messages show it: on one short line, functions with their arguments, without addresses."""
    if isinstance(value, type):
        line = f"the class {value.__name__}"
    elif inspect.isfunction(value):
        line = f"the function {value.__name__}{inspect.signature(value)}"
    else:
        line = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(value).split()))
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}..."


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """Return a question that suggests the closest of the names, or '' if none is close."""
    close = difflib.get_close_matches(str(name), sorted(names), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> str:
    """Return the message for a name that is none of the choices. It suggests the closest of them."""
    module = MODULE_OF.get(kind, "")
    if text := explanation(module, str(name), f"pyrnn.{module}"):
        return text
    names = sorted(choices)
    hint = did_you_mean(name, names) or f"known: {', '.join(names)}"
    return f"unknown {kind} {shown(name)}; {hint}"


def lookup(kind: str, name: object, registry: Mapping[str, T]) -> T:
    """Return the object of a registry that has this name.

    Raises:
        TypeError: If `name` is not a string.
        ValueError: If the registry lacks it; the message suggests similar names.
    """
    if not isinstance(name, str):
        raise WrongType(f"{kind} must be a name or an object, got {shown(name)}")
    if name not in registry:
        raise ValueError(unknown_name(kind, name, registry))
    return registry[name]


def warn(message: str) -> None:
    """Issue a warning for the line outside pyrnn that led here, however many calls are in between."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] == "pyrnn":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def warn_of_ones(axis: object, shape: Sequence[int]) -> None:
    """Warn, as Keras does, of a softmax over one axis of x that has one value; several axes are not checked."""
    if isinstance(axis, int) and -len(shape) <= axis < len(shape) and shape[axis] == 1:
        warn(f"softmax over axis {axis}, which has size 1, is always 1: use sigmoid for a probability")


def positive_int(argument: str, value: Any) -> int:
    """Return a value as an `int` from 1 to LARGEST_SIZE.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is 0, negative or too large.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise WrongType(f"{argument} must be a positive integer, got {shown(value)}") from None
    if count < 1:
        raise ValueError(f"{argument} must be a positive integer, got {value}")
    if count > LARGEST_SIZE:
        raise ValueError(f"{argument} must be at most {LARGEST_SIZE}, got {value}")
    return count


def parsed(argument: str, text: Any) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: If `text` is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{argument} must be JSON text: {' '.join(str(error).split())}") from None


def described(argument: str, text: str, texts: Iterable[str]) -> dict[str, Any]:
    """Return the "config" in a JSON text, whose entries of these names must be strings.

    Raises:
        ValueError: If `text` is not JSON or has no such config.
    """
    description = parsed(argument, text)
    config = description.get("config") if isinstance(description, dict) else None
    if not isinstance(config, dict) or not all(isinstance(config.get(name), str) for name in texts):
        raise ValueError(f"{argument} must hold a config with {', '.join(texts)}, got {shown(text)}")
    return config


def not_built(purpose: str) -> str:
    """Return the message for what needs a built model."""
    return f"the model must be built before {purpose}: add an Input, or call it on data first"


def unsupported_value(argument: str, value: object) -> str:
    """Return the message for an argument of Keras that may only have its default."""
    return f"{argument} must be left out, got {shown(value)}: {DROPPED[argument]}"


def unexpected_arguments(owner: str, arguments: Mapping[str, Any], accepted: Iterable[str]) -> str:
    """Return the message for arguments that `owner` does not accept, with the new name of one from older versions."""
    first = next(iter(arguments))
    if first in RENAMED:
        return f"{owner} got {first!r}, an argument of older Keras versions: use {RENAMED[first]} instead"
    if first in DROPPED:
        return f"{owner} got {first!r}, an argument that pyrnn does not have: {DROPPED[first]}"
    names = list(accepted)
    hint = did_you_mean(first, names) or f"known: {', '.join(names)}"
    return f"{owner} got an unknown argument {first!r}; {hint}"
