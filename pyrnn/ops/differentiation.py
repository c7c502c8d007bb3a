"""Gradients of functions made of operations, by the package autograd."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.data.arrays import as_array
from pyrnn.results import Tensor

Array = NDArray[Any]


class Differentiated(NamedTuple):
    """A function that has run and can be differentiated.

    Args:
        outputs: what it returned, a list of arrays.
        backward: function of a gradient for each output (None is 0) that returns one for each input, None where the
            input has integers or no output depends on it.
    """

    outputs: list[Array]
    backward: Callable[[Sequence[Array | None]], list[Array | None]]


def is_traced(value: Any) -> bool:
    """Return whether autograd traces a value.

    Args:
        value: any object.

    Returns:
        True for the arrays and tuples of autograd.
    """
    return type(value).__module__.startswith("autograd.")


def untraced(value: Any) -> Any:
    """Return the array behind what autograd traces.

    Args:
        value: a traced array, or anything else.

    Returns:
        The array; anything else as it is.
    """
    while is_traced(value):
        value = value._value
    return value


def measured(name: str, value: Any) -> Array:
    """Return what a metric reads as an array, also if autograd traces it.

    Args:
        name: the argument's name, for messages.
        value: array, number or list.

    Returns:
        An array of numbers.

    Raises:
        TypeError, ValueError: if it is no array of numbers.
    """
    return as_array(name, value if type(value) is np.ndarray else untraced(value))


def with_gradient(function: Callable[[Array], tuple[Any, Callable[[Any], Array]]], x: Any) -> Any:
    """Run a function whose gradient is known on an array that autograd traces.

    Args:
        function: function of an array that returns its value, and a function that turns the gradient of the value
            into that of the array.
        x: the traced array.

    Returns:
        The traced value.
    """
    from autograd.extend import defvjp, primitive

    saved: list[Callable[[Any], Array]] = []

    def run(array: Array) -> Any:
        value, backward = function(array)
        saved.append(backward)
        return np.asarray(value)

    traced = primitive(run)
    defvjp(traced, lambda value, array: lambda gradient: saved[-1](gradient))
    return traced(x)


def as_list(outputs: Any) -> list[Any]:
    """Return the outputs of a function as a list.

    Args:
        outputs: an array, or a list or tuple of arrays.

    Returns:
        The list.
    """
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


@functools.cache
def teach_tensors() -> None:
    """Let autograd trace `Tensor`s, which scripts have as constants."""
    from autograd.core import VSpace
    from autograd.numpy.numpy_boxes import ArrayBox
    from autograd.numpy.numpy_vspaces import ArrayVSpace

    ArrayBox.register(Tensor)
    VSpace.register(Tensor, ArrayVSpace)


@functools.cache
def _node_class() -> Any:
    """The class of autograd's records of calls, which also record the dtype of the result."""
    teach_tensors()
    from autograd.core import VJPNode
    from autograd.tracer import notrace_primitives

    class Node(VJPNode):  # type: ignore[misc]  # autograd has no types
        __slots__ = ("dtype",)

        def __init__(self, value: Any, *call: Any) -> None:
            super().__init__(value, *call)
            self.dtype = getattr(value, "dtype", None)

        def initialize_root(self, dtype: Any) -> None:
            super().initialize_root()
            self.dtype = dtype

    notrace_primitives[Node] = notrace_primitives[VJPNode]  # comparisons and the like, which it does not record
    return Node


class _Ends:
    """A node above all outputs, at which the walk through the recorded calls begins."""

    def __init__(self, parents: list[Any]) -> None:
        self.parents = parents


def differentiate(function: Callable[..., Any], inputs: Sequence[Array], owner: str) -> Differentiated:
    """Run a function of arrays so that it can be differentiated.

    autograd records the calls and differentiates each. Its `make_vjp` takes one argument and returns one result; a
    tuple of several costs an array of zeros for each of them, so this walks through the recorded calls itself, and
    keeps the dtype of the arrays.

    Args:
        function: function of the inputs, made of operations, that returns an array or a list of arrays.
        inputs: its arguments; those that hold floats get a gradient.
        owner: what it is part of, for messages.

    Returns:
        The outputs, and the function that computes the gradients.

    Raises:
        ImportError: without the package autograd.
        ValueError: if the function does what autograd cannot differentiate.

    Source: `make_vjp` and `backward_pass` of autograd, autograd/core.py.
    """
    try:
        from autograd.core import add_outgrads
        from autograd.tracer import isbox, new_box, toposort, trace_stack
    except ImportError:
        raise ImportError(f"{owner} is differentiated by the package autograd: pip install autograd") from None
    new_root = _node_class().new_root
    roots = [new_root(each.dtype) if each.dtype.kind == "f" else None for each in inputs]
    try:
        with trace_stack.new_trace() as trace:
            boxes = [
                each if root is None else new_box(each, trace, root) for each, root in zip(inputs, roots, strict=True)
            ]
            results = as_list(function(*boxes))
    except (NotImplementedError, AttributeError) as error:
        raise ValueError(f"autograd cannot differentiate {owner}: {error}") from error
    nodes = [each._node if isbox(each) else None for each in results]
    outputs = [np.asarray(each._value if isbox(each) else each) for each in results]

    def backward(d_outputs: Sequence[Array | None]) -> list[Array | None]:
        slopes: dict[Any, Any] = {}
        for dy, node, y in zip(d_outputs, nodes, outputs, strict=True):
            if dy is not None and node is not None and y.dtype.kind == "f":
                slopes[node] = add_outgrads(slopes.get(node), np.asarray(dy, y.dtype))
        ends = _Ends(list(slopes))
        of_roots: dict[Any, Any] = {}
        try:
            for node in toposort(ends):
                if node is ends:
                    continue
                slope = slopes.pop(node)
                if not node.parents:
                    of_roots[node] = slope[0]
                for parent, part in zip(node.parents, node.vjp(slope[0]), strict=True):
                    if type(part) is np.ndarray and part.dtype != parent.dtype:
                        part = part.astype(parent.dtype)  # many of autograd's derivatives are float64
                    slopes[parent] = add_outgrads(slopes.get(parent), part)
        except NotImplementedError as error:
            raise ValueError(f"autograd cannot differentiate {owner}: {error}") from error
        return [
            np.ascontiguousarray(of_roots[root], each.dtype).reshape(each.shape) if root in of_roots else None
            for root, each in zip(roots, inputs, strict=True)
        ]

    return Differentiated(outputs, backward)
