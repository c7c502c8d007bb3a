"""How bad input is worded: the sentences shared by every registry and public edge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

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


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """One sentence for a name that is not registered, with the closest known names."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(c) for c in close)}?" if close else f"known: {', '.join(names)}"
    return f"unknown {kind} {name!r}; {hint}"


def lookup(kind: str, name: object, registry: Mapping[str, T]) -> T:
    """The registered object called ``name``.

    Raises:
        TypeError: if ``name`` is no string.
        ValueError: if nothing of that name is registered; close matches are suggested.
    """
    if not isinstance(name, str):
        raise TypeError(f"{kind} must be a name or an object, got {name!r}")
    if name not in registry:
        raise ValueError(unknown_name(kind, name, registry))
    return registry[name]


def positive_int(argument: str, value: Any) -> int:
    """``value`` as an ``int`` of at least 1.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is 0 or negative.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument} must be a positive integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{argument} must be a positive integer, got {value}")
    return int(value)


def unexpected_arguments(owner: str, arguments: Mapping[str, Any], known: Iterable[str]) -> str:
    """One sentence for arguments that ``owner`` does not take; Keras's older names are answered with the new."""
    first = next(iter(arguments))
    if first in RENAMED:
        return f"{owner} got {first!r}, a name that Keras has given up: write {RENAMED[first]}"
    return f"{owner} got an unexpected keyword argument: {unknown_name('argument', first, known)}"
