"""The losses of a model with several outputs: which outputs each is of, its weight, and its name in the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.data.arrays import Arrays
from pyrnn.head_metrics import Output
from pyrnn.losses.base import Loss
from pyrnn.losses.structured import StructuredLoss
from pyrnn.output_names import OutputNames, is_nested
from pyrnn.structures import leaves, packed
from pyrnn.validation import WrongKey

Array = NDArray[Any]
Gradients = list[Array | None]


class LossPart:
    """The losses of one output, or of a structure of several outputs, with their weights.

    Attributes:
        name: in the logs, before "_loss".
        numbers: of the outputs.
        value: the sum of the losses of the last batch, without their weights.

    Args:
        name: in the logs, before "_loss".
        numbers: the numbers of the outputs, in their structure.
        losses: the losses, each with its weight.

    Raises:
        TypeError: for a loss of one output where there are several.
    """

    def __init__(self, name: str, numbers: Any, losses: Sequence[tuple[Loss, float]]) -> None:
        self.name, self.numbers, self.value = name, leaves(numbers), 0.0
        self._output = numbers if isinstance(numbers, int) else None
        self.losses: list[tuple[Any, float]] = [
            (loss if self._output is not None else StructuredLoss(loss, numbers), weight) for loss, weight in losses
        ]

    def value_and_gradient(
        self, y: Sequence[Any], y_pred: Sequence[Array], sample_weight: Any, mask: Sequence[Any], gradients: Gradients
    ) -> float:
        """Return the weighted losses of a batch, and add their gradients to those of the outputs.

        Args:
            y: targets (B, ...) of each output of the model, None where it has none.
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) or (B, T) of each output, one array for all of them, or None.
            mask: mask (B, T) of each output, or None.
            gradients: the gradient of each output, None where there is none yet.
        """
        self.value, total, i = 0.0, 0.0, self._output
        for loss, factor in self.losses:
            if i is not None:
                value, gradient = loss.value_and_gradient(y[i], y_pred[i], of_output(sample_weight, i), mask[i])
                _add(gradients, i, gradient, factor)
            else:
                value, slopes = loss.value_and_gradient(*self._arrays(y, y_pred), self._weight(sample_weight))
                for number, slope in zip(self.numbers, slopes, strict=True):
                    if slope is not None:
                        _add(gradients, number, slope, factor)
            self.value += value
            total += value * factor
        return total

    def total(self, y: Sequence[Any], y_pred: Sequence[Array], sample_weight: Any, mask: Sequence[Any]) -> float:
        """Return the weighted losses of a batch.

        Args:
            y: targets (B, ...) of each output of the model, None where it has none.
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) or (B, T) of each output, one array for all of them, or None.
            mask: mask (B, T) of each output, or None.
        """
        self.value, total, i = 0.0, 0.0, self._output
        for loss, factor in self.losses:
            if i is not None:
                value = loss.value(y[i], y_pred[i], of_output(sample_weight, i), mask[i])
            else:
                value = loss.value(*self._arrays(y, y_pred), self._weight(sample_weight))
            self.value += value
            total += value * factor
        return total

    def _arrays(self, y: Sequence[Any], y_pred: Sequence[Array]) -> tuple[list[Any], list[Array]]:
        """The targets and outputs of a structure, with a last axis of 1 that targets lack."""
        outputs = [y_pred[number] for number in self.numbers]
        return [Output(None, y[n], each).y for n, each in zip(self.numbers, outputs, strict=True)], outputs

    def _weight(self, sample_weight: Any) -> Array | None:
        if type(sample_weight) is not Arrays:
            weight: Array | None = sample_weight
            return weight
        weights = [sample_weight[number] for number in self.numbers]
        if all(each is None for each in weights):
            return None
        first = weights[0]
        if any(each is not first and not np.array_equal(each, first) for each in weights):
            raise ValueError(
                f"sample_weight must be the same for all outputs of the loss {self.name!r}, which is one for "
                f"{len(weights)} of them: pass one array"
            )
        return np.asarray(first)


class Entry:
    """A loss in the argument of `compile`, with the outputs that it is of.

    Attributes:
        path: the keys and positions that lead to the outputs.
        numbers: the numbers of the outputs, in their structure.
        loss: what the user passed.
        weight: its factor, None for 1.
    """

    def __init__(self, path: tuple[Any, ...], numbers: Any, loss: Any, weight: Any) -> None:
        self.path, self.numbers, self.loss, self.weight = path, numbers, loss, weight


def nested_entries(outputs: OutputNames, loss: Any, loss_weights: Any) -> list[Entry]:
    """Find the outputs of each loss in nested lists, tuples and dicts, by Keras's rules.

    Along the structure of the outputs, a list or tuple where the outputs are something else has an entry for each loss
    of all these outputs; with as many losses as outputs it has one for each of them. What is no list, tuple or dict is
    a loss of all outputs at its place.

    Args:
        outputs: the outputs of the model.
        loss: the argument of `compile`.
        loss_weights: in the structure of `loss`, or a list of as many numbers as there are losses, or None.

    Returns:
        The losses in the order in which they are found.

    Raises:
        ValueError: if the structures do not fit; also a KeyError where a key has no output.
    """
    numbers = packed(outputs.structure, list(range(len(outputs.names))))
    factors: Any = [None] * _count(loss)
    if loss_weights is not None:
        factors = leaves(loss_weights)
        if len(factors) != _count(loss):
            raise ValueError(
                f"loss_weights must have one number for each of the {_count(loss)} entries of loss, got {len(factors)}"
            )
    weighted = _paired(loss, iter(factors))
    entries: list[Entry] = []
    _walk(numbers, weighted, (), entries)
    return entries


def _walk(numbers: Any, loss: Any, path: tuple[Any, ...], entries: list[Entry]) -> None:
    if isinstance(loss, _Weighted):
        if loss.loss is not None:
            entries.append(Entry(path, numbers, loss.loss, loss.weight))
        return
    if isinstance(loss, list | tuple):
        if len(loss) == len(leaves(numbers)) and all(isinstance(each, _Weighted) for each in loss):
            loss = packed(numbers, list(loss))
            if isinstance(loss, _Weighted):
                return _walk(numbers, loss, path, entries)
        elif not isinstance(numbers, type(loss)):
            for each in loss:
                _walk(numbers, each, path, entries)
            return
    if not isinstance(numbers, Mapping if isinstance(loss, Mapping) else list | tuple):
        raise WrongKey(_rule(path, numbers, loss))
    pairs = loss.items() if isinstance(loss, Mapping) else enumerate(loss)
    for key, each in pairs:
        is_there = key in numbers if isinstance(loss, Mapping) else key < len(numbers)
        if not is_there:
            raise WrongKey(_rule((*path, key), None, each))
        _walk(numbers[key], each, (*path, key), entries)


def _rule(path: tuple[Any, ...], numbers: Any, loss: Any) -> str:
    where = "".join(f"[{key!r}]" for key in path)
    if numbers is None:
        return f"loss must have the structure of the outputs, got loss{where}, where there is no output"
    what = "one array" if isinstance(numbers, int) else f"a {type(numbers).__name__}"
    return f"loss{where} must have the structure of the outputs, which are {what} there, got a {type(loss).__name__}"


class _Weighted:
    def __init__(self, loss: Any, weight: Any) -> None:
        self.loss, self.weight = loss, weight


def _paired(loss: Any, weights: Any) -> Any:
    """Return the structure of losses with each in a pair with its weight; weights come in the order of `leaves`."""
    if not is_nested(loss):
        return _Weighted(loss, next(weights))
    if isinstance(loss, Mapping):
        pairs = {key: _paired(loss[key], weights) for key in sorted(loss)}
        return {key: pairs[key] for key in loss}
    parts = [_paired(each, weights) for each in loss]
    return type(loss)(*parts) if hasattr(loss, "_fields") else type(loss)(parts)


def _count(loss: Any) -> int:
    if not is_nested(loss):
        return 1
    return sum(map(_count, loss.values() if isinstance(loss, Mapping) else loss))


def _add(gradients: Gradients, number: int, gradient: Array, factor: float) -> None:
    if factor != 1:
        gradient = gradient * gradient.dtype.type(factor)
    before = gradients[number]
    gradients[number] = gradient if before is None else before + gradient


def of_output(sample_weight: Any, number: int) -> Array | None:
    """Return the weights of an output.

    Args:
        sample_weight: `Arrays`, one array for all outputs, or None.
        number: the number of the output.
    """
    weight: Array | None = sample_weight[number] if type(sample_weight) is Arrays else sample_weight
    return weight
