"""How bad input is worded: the sentences shared by every registry and public edge."""

from __future__ import annotations

import difflib
import json
import operator
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
# Of one axis; no array of more fits into memory, and products of a few still fit into 64 bits.
LARGEST_SIZE = 2**31 - 1
_LONGEST_SHOWN = 80

# What arguments were called in Keras 1 and 2.
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


def shown(value: object) -> str:
    """A value as it stands in a sentence: on one line, and not too long."""
    words = " ".join(repr(value).split())
    return words if len(words) <= _LONGEST_SHOWN else f"{words[:_LONGEST_SHOWN]}..."


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """One sentence for a name that is not registered, with the closest known names."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(c) for c in close)}?" if close else f"known: {', '.join(names)}"
    return f"unknown {kind} {shown(name)}; {hint}"


def lookup(kind: str, name: object, registry: Mapping[str, T]) -> T:
    """The registered object called ``name``.

    Raises:
        TypeError: if ``name`` is no string.
        ValueError: if nothing of that name is registered; close matches are suggested.
    """
    if not isinstance(name, str):
        raise TypeError(f"{kind} must be a name or an object, got {shown(name)}")
    if name not in registry:
        raise ValueError(unknown_name(kind, name, registry))
    return registry[name]


def positive_int(argument: str, value: Any) -> int:
    """``value`` as an ``int`` of at least 1 and at most LARGEST_SIZE.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is 0, negative or too large.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be a positive integer, got {shown(value)}") from None
    if count < 1:
        raise ValueError(f"{argument} must be a positive integer, got {value}")
    if count > LARGEST_SIZE:
        raise ValueError(f"{argument} must be at most {LARGEST_SIZE}, got {value}")
    return count


def parsed(argument: str, text: Any) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: if it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{argument} must be JSON text: {' '.join(str(error).split())}") from None


def described(argument: str, text: str, texts: Iterable[str]) -> dict[str, Any]:
    """The "config" of a JSON text, whose entries of these names must be texts.

    Raises:
        ValueError: if it is none.
    """
    found = parsed(argument, text)
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict) or not all(isinstance(config.get(name), str) for name in texts):
        raise ValueError(f"{argument} must hold a config with {', '.join(texts)}, got {shown(text)}")
    return config


def unexpected_arguments(owner: str, arguments: Mapping[str, Any], known: Iterable[str]) -> str:
    """One sentence for arguments that ``owner`` does not take; Keras's older names are answered with the new."""
    first = next(iter(arguments))
    if first in RENAMED:
        return f"{owner} got {first!r}, a name that Keras has given up: write {RENAMED[first]}"
    return f"{owner} got an unexpected keyword argument: {unknown_name('argument', first, known)}"
