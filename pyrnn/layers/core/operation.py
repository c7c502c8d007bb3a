"""`Operation`: an operation of `pyrnn.ops` on symbols, as a layer of a graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.naming import auto_name
from pyrnn.ops.differentiation import as_list
from pyrnn.ops.dispatch import OPERATIONS, Hooks
from pyrnn.parameters import Weight
from pyrnn.structures import mapped
from pyrnn.symbols import Node, Symbol, tracing
from pyrnn.validation import unknown_name

__all__: list[str] = []  # made by calls of operations alone


class Place(NamedTuple):
    """Where a symbol was among the arguments.

    Args:
        number: place of the symbol among the inputs.
    """

    number: int


_traced_names = itertools.count()


def _name(function: str) -> str:
    """The name of an operation; those inside a traced `call` use up no names of the model's layers."""
    return auto_name(function) if tracing.symbol_of is None else f"{function}_{next(_traced_names)}"


class Operation(Layer):
    """One operation with its arguments.

    Args:
        operation: an operation of `pyrnn.ops`, or its name.
        name: name of the layer, or None for a generated one.
        index_is_tuple: whether the second argument is a tuple, which JSON turns into a list: x[[0, 1]] is not x[0, 1].
    """

    merges = True
    is_operation = True

    def __init__(
        self, operation: Callable[..., Any] | str, name: str | None = None, index_is_tuple: bool = False
    ) -> None:
        function = OPERATIONS.get(operation) if isinstance(operation, str) else operation
        if function is None:
            raise ValueError(unknown_name("operation", operation, OPERATIONS))
        super().__init__(name=name or _name(function.__name__))
        self.function, self.index_is_tuple = function, index_is_tuple
        # Set by the call; each symbol in the arguments is a `Place`.
        self.args: Sequence[Any] = ()
        self.kwargs: Mapping[str, Any] = {}
        self.dtypes: Sequence[str] = ()
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the operation on symbols.

        Args:
            *args: positional arguments of the operation, in which symbols may be nested.
            **kwargs: keyword arguments, likewise.

        Returns:
            The symbol of the result, or a list of symbols.

        Raises:
            TypeError, ValueError: if the arguments do not fit.
        """
        if self.index_is_tuple and isinstance(args[1], list):
            args = (args[0], tuple(args[1]), *args[2:])
        symbols: list[Symbol] = []

        def placed(leaf: Any) -> Any:
            if isinstance(leaf, Weight) and tracing.symbol_of is not None:
                leaf = tracing.symbol_of(leaf)
            if isinstance(leaf, Symbol):
                symbols.append(leaf)
                return Place(len(symbols) - 1)
            return leaf

        self.args = [mapped(placed, each) for each in args]
        self.kwargs = {key: mapped(placed, each) for key, each in kwargs.items()}
        self.dtypes = [symbol.dtype for symbol in symbols]
        self.dtype = "float64" if "float64" in self.dtypes and "float32" not in self.dtypes else "float32"
        specs, is_several = self.specs([symbol.shape for symbol in symbols])
        outputs = tuple(
            Symbol(shape, dtype, f"{self.name}_{index}" if index else self.name)
            for index, (shape, dtype) in enumerate(specs)
        )
        self.nodes.append(Node(self, tuple(args), kwargs, tuple(symbols), outputs))
        return list(outputs) if is_several else outputs[0]

    def compute(self, *inputs: Any) -> Any:
        """Run the operation.

        Args:
            *inputs: the arrays at the places of the symbols.

        Returns:
            What the operation returns.
        """

        def filled(leaf: Any) -> Any:
            return inputs[leaf.number] if isinstance(leaf, Place) else leaf

        args = [_filled(filled, each) for each in self.args]
        return self.function(*args, **{key: _filled(filled, each) for key, each in self.kwargs.items()})

    def specs(self, shapes: Sequence[Shape]) -> tuple[list[tuple[Shape, str]], bool]:
        """Find shapes and dtypes of the outputs by running the operation on zeros, twice for unknown sizes.

        Args:
            shapes: shapes of the inputs; None is an unknown size.

        Returns:
            A pair (shape, dtype) for each output, and whether the operation returns several.
        """
        trials = []
        for size in (2, 3) if any(None in shape for shape in shapes) else (2,):
            zeros = [
                np.zeros([size if each is None else each for each in shape], dtype)
                for shape, dtype in zip(shapes, self.dtypes, strict=True)
            ]
            with np.errstate(all="ignore"):
                trials.append(self.compute(*zeros))
        first, last = as_list(trials[0]), as_list(trials[-1])
        if len(first) != len(last):
            raise ValueError(f"{self.function.__name__} needs an axis of known size, got shapes {list(shapes)}")
        specs = [
            (tuple(size if size == other else None for size, other in zip(np.shape(a), np.shape(b), strict=True)),
             self.dtype if np.asarray(a).dtype.kind == "f" else str(np.asarray(a).dtype))
            for a, b in zip(first, last, strict=True)
        ]  # fmt: skip
        return specs, isinstance(trials[0], list | tuple)

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "operation": self.function.__name__}
        is_tuple = self.function.__name__ == "get_item" and isinstance(self.args[1], tuple)
        return {**config, "index_is_tuple": True} if is_tuple else config

    def compute_output_shape(self, input_shape: Any) -> Any:
        specs, is_several = self.specs(input_shape)
        return [shape for shape, _ in specs] if is_several else specs[0][0]

    def compute_mask(self, x: Any, mask: Any = None) -> None:
        """Return None: operations end a mask, as in Keras.

        Args:
            x: inputs (B, ...).
            mask: their masks (B, T).
        """


def _filled(function: Callable[[Any], Any], structure: Any) -> Any:
    if isinstance(structure, Place):
        return function(structure)
    if isinstance(structure, list | tuple):
        return type(structure)(_filled(function, each) for each in structure)
    return structure


def record(function: Callable[..., Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record an operation on symbols.

    Args:
        function: the operation.
        args: its positional arguments, in which symbols may be nested.
        kwargs: its keyword arguments, likewise.

    Returns:
        The symbol of the result, or a list of symbols. Shapes are not recorded but returned.

    Raises:
        TypeError, ValueError: if the arguments do not fit.
    """
    if function.__name__ in ("shape", "ndim"):
        symbol = next(each for each in (*args, *kwargs.values()) if isinstance(each, Symbol))
        return symbol.shape if function.__name__ == "shape" else symbol.ndim
    return Operation(function)(*args, **kwargs)


Hooks.on_symbols = record
