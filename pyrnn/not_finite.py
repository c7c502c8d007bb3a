"""Why a loss is not finite; searched for once, after it has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.data import Batch, Batches
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import ArrayBatches, RepeatedBatches
from pyrnn.several_heads import Heads

Array = NDArray[Any]
# Squares of larger numbers come near the end of float32.
LARGE = 1e15
GROWTH = "a smaller learning rate, clipnorm=1.0 in the optimizer, or x and y scaled to about -1..1 keep them small"
STOP = "callbacks.TerminateOnNaN() stops training at such a loss"


def explanation(model: Any, loss: float, y_pred: Any, batch: Batch, source: Batches | None, training: bool) -> str:
    """Return a sentence on a loss that is NaN or infinite: where, why and what to do.

    Args:
        model: The model; its running `fit`, if any, says which batch this is.
        loss: The loss.
        y_pred: The predictions (N, ...); `Arrays` of several outputs.
        batch: The batch.
        source: Where the batch comes from; None if the user passed it.
        training: False for evaluation.

    Returns:
        The sentence.
    """
    run, where, of = model._run, "", ""
    if run is not None and training:
        where = f" in epoch {run.epoch + 1}, batch {run.batch + 1}"
    elif run is not None:
        where, of = f" in the validation of epoch {run.epoch + 1}", " of validation_data"
    # Positions refer to the arrays that the user passed, if there are any.
    data = source.data if isinstance(source, ArrayBatches | RepeatedBatches) else batch
    head = model._compiled.head
    names = head.outputs.keys if isinstance(head, Heads) else []
    named = {f"{name}{of}": array for part in data._fields for name, array in _arrays(part, getattr(data, part), names)}
    culprit = head.not_finite() if isinstance(head, Heads) else None
    if culprit is not None:
        numbers, loss, loss_name = culprit.numbers, culprit.value, culprit.losses[0][0].name
        whose = f" of output{'s' if len(numbers) > 1 else ''} {', '.join(repr(names[number]) for number in numbers)}"
        y_pred = y_pred[numbers[0]] if len(numbers) == 1 else Arrays([y_pred[number] for number in numbers])
    else:
        whose, loss_name = "", getattr(model.loss, "name", "the loss")
    y_pred = np.concatenate([each.ravel() for each in y_pred]) if isinstance(y_pred, Arrays) else y_pred
    reason = _reason(model, loss_name, named, y_pred)
    return f"the loss{whose} is {loss}{where}: {reason}{'; ' + STOP if training else ''}"


def _arrays(part: str, data: Any, names: Sequence[str]) -> list[tuple[str, Array]]:
    """Return the arrays of a part of the data with what messages call them."""
    if not isinstance(data, Arrays):
        return [] if data is None else [(part, data)]
    keys: Sequence[Any] = range(len(data)) if part == "x" else names
    return [(f"{part}[{key!r}]", array) for key, array in zip(keys, data, strict=True) if array is not None]


def _reason(model: Any, loss_name: str, data: Mapping[str, Array], y_pred: Array) -> str:
    """What made the loss of these predictions NaN or infinite."""
    for name, array in data.items():
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            at = [int(each) for each in np.argwhere(~finite)[0]]
            count = array.size - int(np.count_nonzero(finite))
            return (
                f"{name} holds values that are not finite, {count} of {array.size}, the first is {array[tuple(at)]} "
                f"at {at}; fill such values or leave their samples out"
            )
    for weight in model.weights:
        if not np.isfinite(weight.array).all():
            return f"weight {weight.path!r} holds numbers that are not finite, because steps were too large; {GROWTH}"
    weights = max((_largest(weight.array) for weight in model.weights), default=0.0)
    sizes = {**{name: _largest(array) for name, array in data.items()}, "weights": weights}
    largest = ", ".join(f"{name} up to {size:.3g}" for name, size in sizes.items())
    if np.isfinite(y_pred).all() and max(_largest(y_pred), *sizes.values()) < LARGE:
        return (
            f"{loss_name!r} is not finite for predictions from {y_pred.min():.3g} to {y_pred.max():.3g}: "
            "look at its logarithms, roots and divisions"
        )
    return f"the numbers have grown too large ({largest}, predictions up to {_largest(y_pred):.3g}); {GROWTH}"


def _largest(array: Array) -> float:
    return float(np.abs(array.astype(np.float64)).max(initial=0))
