"""`Operation`: an operation of `pyrnn.ops` on symbols, as a layer of a graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from pyrnn import descriptions
from pyrnn.jsonable import from_plain
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.core import operation_config
from pyrnn.naming import auto_name, snake_case
from pyrnn.ops.differentiation import as_list
from pyrnn.ops.dispatch import Hooks, Limit, limited
from pyrnn.parameters import Weight
from pyrnn.structures import mapped
from pyrnn.symbols import Node, Symbol, tracing

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
    """One operation with its arguments, of which Keras fixes some when it makes the object: the options.

    Args:
        function: an operation of `pyrnn.ops`.
        options: these arguments.
        name: name of the layer, or None for a generated one.
    """

    merges = True
    is_operation = True

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any], name: str | None = None) -> None:
        super().__init__(name=name or _name(snake_case(operation_config.class_name(function.__name__))))
        self.function, self.options = function, options
        # Set by the call; each symbol in the arguments is a `Place`.
        self.args: Sequence[Any] = ()
        self.kwargs: Mapping[str, Any] = {}
        self.dtypes: Sequence[str] = ()
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the operation on symbols.

        Args:
            *args: positional arguments that are not options, in which symbols may be nested.
            **kwargs: keyword arguments, likewise.

        Returns:
            The symbol of the result, or a list of symbols.

        Raises:
            TypeError, ValueError: if the arguments do not fit.
        """
        if self.function.__name__ == "get_item" and len(args) == 2 and isinstance(args[1], list):
            args = (args[0], tuple(args[1]))  # JSON has no tuples
        symbols: list[Symbol] = []

        def placed(leaf: Any) -> Any:
            if isinstance(leaf, Weight) and tracing.symbol_of is not None:
                leaf = tracing.symbol_of(leaf)
            if isinstance(leaf, Symbol):
                symbols.append(leaf.current)
                return Place(len(symbols) - 1)
            return leaf

        arguments = operation_config.joined(self.function, args, kwargs, self.options)
        self.args = [mapped(placed, each) for each in arguments[0]]
        self.kwargs = {key: mapped(placed, each) for key, each in arguments[1].items()}
        self.dtypes = [symbol.dtype for symbol in symbols]
        self.dtype = "float64" if "float64" in self.dtypes and "float32" not in self.dtypes else "float32"
        specs, is_several = self.specs([symbol.shape for symbol in symbols])
        outputs = tuple(
            Symbol(shape, dtype, f"{self.name}_{index}" if index else self.name)
            for index, (shape, dtype) in enumerate(specs)
        )
        self.nodes.append(Node(self, tuple(args), kwargs, tuple(symbols), outputs))
        return list(outputs) if is_several else outputs[0]

    def take_dtype(self, dtype: str) -> None:
        super().take_dtype(dtype)
        self.dtypes = [dtype if each.startswith("float") else each for each in self.dtypes]

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
        if (rank := self._rank_of_result(shapes)) is not None:
            return [((None,) * rank, self.dtype)], False
        errors: list[Exception] = []
        for sizes in _trial_sizes(shapes, self.function.finds_sizes):  # type: ignore[attr-defined]  # a mark
            try:
                trials = [self._trial(shapes, each) for each in sizes]
                break
            except ValueError as error:
                errors.append(error)
        else:
            raise errors[0]
        if any(dtype.startswith(("int", "uint")) for dtype in self.dtypes):
            with suppress(ValueError):  # where sizes of the result depend on numbers, they are not known
                trials.append(self._trial(shapes, sizes[-1], whole=1))
        results = [as_list(each) for each in trials]
        if len(set(map(len, results))) > 1:
            raise ValueError(f"{self.function.__name__} needs an axis of inputs size, got shapes {list(shapes)}")
        specs = [
            (tuple(each[0] if len(set(each)) == 1 else None for each in zip(*map(np.shape, output), strict=True)),
             self.dtype if np.asarray(output[0]).dtype.kind == "f" else str(np.asarray(output[0]).dtype))
            for output in zip(*results, strict=True)
        ]  # fmt: skip
        return specs, isinstance(trials[0], list | tuple)

    def _rank_of_result(self, shapes: Sequence[Shape]) -> int | None:
        """The number of axes that `reshape` makes where its sizes are symbols; None if a trial finds the shape."""
        if self.function.__name__ != "reshape":
            return None
        newshape = self.args[1] if len(self.args) > 1 else self.kwargs.get("newshape")
        if isinstance(newshape, Place):
            shape = shapes[newshape.number]
            return shape[0] if shape else 1
        return len(newshape) if isinstance(newshape, list | tuple) and any(map(_is_place, newshape)) else None

    def _trial(self, shapes: Sequence[Shape], sizes: Sequence[int], whole: int = 0) -> Any:
        """Run the operation on zeros of these shapes, with `sizes` in the places of the unknown ones.

        Whole numbers are `whole`.
        """
        remaining = iter(sizes)
        inputs = [[next(remaining) if each is None else each for each in shape] for shape in shapes]
        Limit.active = True
        try:
            for each in inputs:
                limited(*each)
            arrays = [
                np.full(each, whole if np.dtype(dtype).kind in "iu" else 0, dtype)
                for each, dtype in zip(inputs, self.dtypes, strict=True)
            ]
            with np.errstate(all="ignore"):
                return self.compute(*arrays)
        except MemoryError as error:
            raise ValueError(f"ops.{self.function.__name__}() needs more memory than there is: {error}") from None
        finally:
            Limit.active = False

    @property
    def class_name(self) -> str:
        """The name of Keras's class."""
        return operation_config.class_name(self.function.__name__)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}

    def describe(self) -> dict[str, Any]:
        """Describe the operation as Keras does.

        Returns:
            A dict of plain values.
        """
        name = self.function.__name__
        return operation_config.describe(name, descriptions.plain(self.get_config(), f"an argument of ops.{name}()"))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Operation:
        """Make an operation of its description.

        Args:
            description: what `describe` or Keras returned.

        Returns:
            The operation, which has not been called yet.

        Raises:
            ValueError: if pyrnn does not have the operation or an argument of it.
        """
        function = operation_config.function_of(description)
        config = from_plain(description.get("config"))
        options = operation_config.options_of(function, config)
        return cls(function, options, config.get("name"))

    def compute_output_shape(self, input_shape: Any) -> Any:
        specs, is_several = self.specs(input_shape)
        return [shape for shape, _ in specs] if is_several else specs[0][0]

    def compute_mask(self, x: Any, mask: Any = None) -> None:
        """Return None: operations end a mask, as in Keras.

        Args:
            x: inputs (B, ...).
            mask: their masks (B, T).
        """


# Sizes of unknown axes: small ones, and ones that many numbers divide.
_PAIRS = ((2, 3), (12, 24))
_MOST_FIXED = 2


def _is_place(value: Any) -> bool:
    return isinstance(value, Place)


def _trial_sizes(shapes: Sequence[Shape], finds_sizes: bool) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Sizes of the unknown axes to run an operation with, twice: outputs depend on an axis if they differ.

    The first that an operation accepts count. They leave all axes free if that is possible, and fix one or two where
    those of several inputs must agree, or agree with an argument.

    Args:
        shapes: shapes of the inputs; None is an unknown size.
        finds_sizes: whether axes may be fixed.
    """
    count = sum(size is None for shape in shapes for size in shape)
    if not count:
        yield ((),)
        return
    for pair in _PAIRS:
        yield tuple((size,) * count for size in pair)
    if not finds_sizes:
        return
    candidates = sorted({*(size for shape in shapes for size in shape if size is not None), *range(1, 5)})
    for fixed in range(1, min(count, _MOST_FIXED) + 1):
        for axes in itertools.combinations(range(count), fixed):
            for values in itertools.product(candidates, repeat=fixed):
                at = dict(zip(axes, values, strict=True))
                yield tuple(tuple(at.get(axis, size) for axis in range(count)) for size in _PAIRS[0])


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
    called, named, options = operation_config.split(function, args, kwargs)
    if function.__name__ == "get_item" and isinstance(called[1], list):
        called[1] = np.asarray(called[1])  # x[[0, 1]] is not x[0, 1], and JSON has lists only
    return Operation(function, options)(*called, **named)


Hooks.on_symbols = record
