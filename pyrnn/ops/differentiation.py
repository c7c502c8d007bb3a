"""Gradients of functions made of operations, by the package autograd."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Differentiated(NamedTuple):
    """A function that has run and can be differentiated.

    Args:
        outputs: what it returned, a list of arrays.
        backward: function of a gradient for each output (None is 0) that returns one for each input, None where the
            input has integers.
    """

    outputs: list[Array]
    backward: Callable[[Sequence[Array | None]], list[Array | None]]


def as_list(outputs: Any) -> list[Any]:
    """Return the outputs of a function as a list.

    Args:
        outputs: an array, or a list or tuple of arrays.

    Returns:
        The list.
    """
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def differentiate(function: Callable[..., Any], inputs: Sequence[Array], owner: str) -> Differentiated:
    """Run a function of arrays so that it can be differentiated.

    Args:
        function: function of the inputs, made of operations, that returns an array or a list of arrays.
        inputs: its arguments; those that hold floats get a gradient.
        owner: what it is part of, for messages.

    Returns:
        The outputs, and the function that computes the gradients.

    Raises:
        ImportError: without the package autograd.
        ValueError: if the function does what autograd cannot differentiate.
    """
    try:
        from autograd import make_vjp
        from autograd.builtins import tuple as join
    except ImportError:
        raise ImportError(f"{owner} is differentiated by the package autograd: pip install autograd") from None
    floats = [index for index, each in enumerate(inputs) if each.dtype.kind == "f"]

    def run(traced: Any) -> Any:
        arguments = list(inputs)
        for place, index in enumerate(floats):
            arguments[index] = traced[place]
        return join(as_list(function(*arguments)))

    try:
        with warnings.catch_warnings():  # comparisons, floor and the like have the gradient 0
            warnings.filterwarnings("ignore", "Output seems independent of input")
            pull_back, outputs = make_vjp(run)(tuple(inputs[index] for index in floats))
    except (NotImplementedError, AttributeError) as error:
        raise ValueError(f"autograd cannot differentiate {owner}: {error}") from error
    outputs = [np.asarray(each) for each in outputs]

    def backward(d_outputs: Sequence[Array | None]) -> list[Array | None]:
        filled = [
            np.zeros_like(y) if dy is None or y.dtype.kind != "f" else np.asarray(dy, y.dtype)
            for dy, y in zip(d_outputs, outputs, strict=True)
        ]
        try:
            slopes = pull_back(tuple(filled))
        except NotImplementedError as error:
            raise ValueError(f"autograd cannot differentiate {owner}: {error}") from error
        gradients: list[Array | None] = [None] * len(inputs)
        for index, slope in zip(floats, slopes, strict=True):
            gradients[index] = np.ascontiguousarray(slope, inputs[index].dtype).reshape(inputs[index].shape)
        return gradients

    return Differentiated(outputs, backward)
