"""`Symbol`: what a layer returns when it is called on symbolic inputs, and `Node`, the record of that call.

Symbols hold no numbers. A model follows their nodes from its outputs back to its inputs; `graph.py` does that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pyrnn.structures import leaves, mapped
from pyrnn.validation import WrongType

Shape = tuple[Any, ...]


class Tracing(threading.local):
    """What a thread knows while it runs a user's `call` on symbols."""

    # Returns the symbol of a weight or array that takes part in the call; None if no call is traced.
    symbol_of: Callable[[Any], Symbol] | None = None
    # Whether the graph is traced for training; layers in it that are called with the same value behave as usual.
    training: bool | None = None


tracing = Tracing()


@contextmanager
def untraced() -> Iterator[None]:
    """Within it, code is not part of the traced `call` around it: a layer is built, once."""
    before = tracing.symbol_of, tracing.training
    tracing.symbol_of = tracing.training = None
    try:
        yield
    finally:
        tracing.symbol_of, tracing.training = before


class Symbol:
    """An array that a model will compute.

    Args:
        shape: its shape, batch axis first; None where any size is allowed.
        dtype: "float32" or "float64".
        name: a name for messages, such as that of the layer.

    Example:
        >>> import pyrnn
        >>> x = pyrnn.Input((10, 3))
        >>> pyrnn.layers.LSTM(4)(x).shape
        (None, 4)
    """

    __slots__ = ("dtype", "index", "name", "node", "shape")

    # Keras's attributes of kinds of tensors.
    sparse = ragged = False
    node: Node
    index: int

    def __init__(self, shape: Shape, dtype: str, name: str) -> None:
        self.shape, self.dtype, self.name = shape, dtype, name

    @property
    def ndim(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<Symbol name={self.name}, shape={self.shape}, dtype={self.dtype}>"

    def _no_numbers(self, *_: Any, **__: Any) -> Any:
        raise WrongType(
            f"{self.name!r} is a symbol of shape {self.shape} without numbers: pass it to layers and ops, make "
            "a Model(inputs, outputs) of them, and call that on arrays; instead of `if` and loops over values use "
            "ops.where"
        )

    __array__ = __bool__ = __float__ = __int__ = __iter__ = __len__ = _no_numbers

    def __getitem__(self, key: Any) -> Any:
        return OPERATORS["get_item"](self, key)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """Record NumPy's functions, which `array * symbol` calls too, as the operations of their names."""
        operation = OPERATORS.get(ufunc.__name__) if method == "__call__" else None
        if operation is None or kwargs:
            raise TypeError(f"np.{ufunc.__name__} got {self!r}, which has no numbers: use pyrnn.ops")
        return operation(*args)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Record NumPy's functions as the operations of their names."""
        operation = OPERATORS.get(function.__name__)
        if operation is None:
            raise TypeError(f"np.{function.__name__} got {self!r}, which has no numbers: use pyrnn.ops")
        return operation(*args, **kwargs)

    @property
    def current(self) -> Symbol:
        """The symbol itself; of a weight that `call` has assigned to, the symbol of the new value."""
        return self

    @property
    def value(self) -> Symbol:
        """The present value: a weight is a symbol while `call` is traced, and its value too."""
        return self.current

    def assign(self, value: Any) -> Any:
        """Raise: only weights of the layer whose `call` is traced can be assigned to.

        Args:
            value: the new value.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self.name!r} is no weight of a layer whose call() is traced, and cannot be assigned to")

    assign_add = assign_sub = assign

    def numpy(self) -> Any:
        """Raise: a symbol has no numbers.

        Raises:
            TypeError: always.
        """
        self._no_numbers()


class WeightSymbol(Symbol):
    """A weight while `call` is traced. Each run of the graph ends with the assignments that `call` made.

    Args:
        shape: the shape of the weight.
        dtype: its dtype.
        name: its path.
    """

    __slots__ = ("_current",)

    def __init__(self, shape: Shape, dtype: str, name: str) -> None:
        super().__init__(shape, dtype, name)
        self._current: Symbol = self

    @property
    def current(self) -> Symbol:
        """The symbol of the value: what `call` has assigned, or the symbol itself."""
        return self._current

    def assign(self, value: Any) -> Symbol:
        """Assign to the weight at the end of each run of `call`; operations from here on read the new value.

        Args:
            value: a symbol, weight or array of the weight's shape.

        Returns:
            The symbol of the new value.

        Raises:
            TypeError: if `value` does not hold numbers.
            ValueError: if its shape differs.
        """
        shape = self.shape if isinstance(value, list | tuple) else tuple(getattr(value, "shape", ()))
        if shape == self.shape:
            new: Symbol = OPERATORS["cast"](OPERATORS["add"](value, OPERATORS["zeros_like"](self)), self.dtype)
            shape = new.shape
        if shape != self.shape:
            raise ValueError(f"weight {self.name!r} has shape {self.shape}, call() assigns {shape} to it")
        self._current = new
        return new

    def assign_add(self, value: Any) -> Symbol:
        """Add to the weight at the end of each run of `call`.

        Args:
            value: a symbol, weight or array of the weight's shape, or a number.

        Returns:
            The symbol of the new value.
        """
        return self.assign(OPERATORS["add"](self, value))

    def assign_sub(self, value: Any) -> Symbol:
        """Subtract from the weight at the end of each run of `call`.

        Args:
            value: a symbol, weight or array of the weight's shape, or a number.

        Returns:
            The symbol of the new value.
        """
        return self.assign(OPERATORS["subtract"](self, value))


class Drawn(NamedTuple):
    """Random numbers in a traced `call`, which each run draws anew.

    Args:
        shape: their shape.
        dtype: their dtype.
        draw: function without arguments that returns an array.
    """

    shape: Shape
    dtype: str
    draw: Callable[[], Any]


# The operations behind the operators of symbols, by name; `pyrnn.ops`, which is above, enters them.
OPERATORS: dict[str, Callable[..., Any]] = {}


def _add_operators() -> None:
    def binary(operation: str) -> Any:
        return lambda self, other: OPERATORS[operation](self, other)

    def reflected(operation: str) -> Any:
        return lambda self, other: OPERATORS[operation](other, self)

    arithmetic = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
        "mod": "mod", "pow": "power", "matmul": "matmul",
    }  # fmt: skip
    for name, operation in arithmetic.items():
        setattr(Symbol, f"__{name}__", binary(operation))
        setattr(Symbol, f"__r{name}__", reflected(operation))
    for name, operation in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
        setattr(Symbol, f"__{name}__", binary(operation))
    for name, operation in {"neg": "negative", "abs": "abs", "invert": "logical_not"}.items():
        setattr(Symbol, f"__{name}__", lambda self, operation=operation: OPERATORS[operation](self))


_add_operators()


class Node:
    """One call of a layer on symbols.

    Args:
        layer: the layer or model.
        args: positional arguments of the call, in which symbols may be nested.
        kwargs: keyword arguments of the call, likewise.
        inputs: the symbols that the layer reads, in the order of the arguments of its `forward`.
        outputs: the symbols that it returns.
        options: keyword arguments that `forward` gets, in addition to `training` and `mask`.
        masks: for the inputs, symbols that take the place of their masks, None for those that keep theirs; empty if
            the call was made without.
        training: whether the layer acts as in training in each run; None if that is up to the run.
    """

    __slots__ = ("args", "inputs", "kwargs", "layer", "masks", "options", "outputs", "training")

    def __init__(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        inputs: tuple[Symbol, ...],
        outputs: tuple[Symbol, ...],
        options: Mapping[str, Any] | None = None,
        masks: Sequence[Symbol | None] = (),
        training: bool | None = None,
    ) -> None:
        self.layer, self.inputs, self.outputs = layer, inputs, outputs
        # Copies of the structures: a script may add to a list after the call.
        self.args: tuple[Any, ...] = mapped(lambda leaf: leaf, tuple(args))
        self.kwargs: dict[str, Any] = mapped(lambda leaf: leaf, dict(kwargs))
        self.options, self.masks, self.training = dict(options or {}), tuple(masks), training
        for index, symbol in enumerate(outputs):
            symbol.node, symbol.index = self, index

    @property
    def read(self) -> tuple[Symbol, ...]:
        """The inputs, and the symbols that take the place of their masks."""
        return (*self.inputs, *(mask for mask in self.masks if mask is not None))

    def __repr__(self) -> str:
        return f"<Node layer={self.layer.name}>"


class OnlyCall:
    """`layer.input` and `layer.output`: the symbols of the only call of a layer on symbols.

    Args:
        side: "inputs" or "outputs".
    """

    def __init__(self, side: str) -> None:
        self.side = side

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if not layer.nodes and (model := layer.sequential()) is not None:
            model.connect_layers()
        if len(layer.nodes) != 1:
            reason, fix = "it was not called on symbols", "call it on what Input() returns"
            if layer.nodes:
                reason, fix = f"it was called on symbols {len(layer.nodes)} times", f"use layer.nodes[i].{self.side}"
            raise AttributeError(f"{type(layer).__name__} has no {self.side[:-1]}: {reason}; {fix}")
        symbols = getattr(layer.nodes[0], self.side)
        return list(symbols) if len(symbols) > 1 else symbols[0]


def connect(
    layer: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    inputs: Sequence[Symbol],
    options: Mapping[str, Any] | None = None,
    *,
    masks: Sequence[Symbol | None] = (),
    training: bool | None = None,
) -> Any:
    """Record the call of a layer on symbols; builds the layer at its first call.

    Args:
        layer: a layer or model.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        inputs: the symbols in them, in the order of the inputs of `forward`.
        options: keyword arguments that `forward` and `compute_output_shape` get at each run of this call.
        masks: for the inputs, symbols that take the place of their masks, None for those that keep theirs.
        training: whether the layer acts as in training in each run; None if that is up to the run.

    Returns:
        The symbol of the output, or a list of symbols if there are several, nested as their shapes are.

    Raises:
        TypeError: if its `compute_output_shape` returns a dict.
        ValueError: if the layer cannot read inputs of these shapes.
    """
    shape = layer.shape_of_inputs([symbol.shape for symbol in inputs])
    layer.fit_shape(shape)
    options = options or {}
    outputs: list[Symbol] = []

    def symbols(shapes: Any) -> Any:
        if isinstance(shapes, Mapping):
            raise TypeError(
                f"compute_output_shape of layer {layer.name!r}, which has no call, must return a shape or a list of "
                f"shapes, got a dict with the keys {sorted(shapes)}: a forward returns an array or a tuple of arrays"
            )
        if _are_several(shapes):
            return [symbols(each) for each in shapes]
        name = f"{layer.name}_{len(outputs)}" if outputs else layer.name
        outputs.append(Symbol(tuple(shapes), layer.dtype, name))
        return outputs[-1]

    result = symbols(layer.compute_output_shape(shape, **options))
    training = own_training(training)
    if training is not None:
        kwargs = {**kwargs, "training": training}
    layer.nodes.append(Node(layer, args, kwargs, tuple(inputs), tuple(outputs), options, masks, training))
    return result


def flat_shapes(shapes: Any) -> list[Shape]:
    """Return the shapes of the outputs of a layer as a flat list.

    Args:
        shapes: what `compute_output_shape` returns: a shape, or nested lists, tuples and dicts of shapes.

    Returns:
        One shape for each output, in the order of `leaves`.
    """
    if isinstance(shapes, Mapping):
        return [shape for key in sorted(shapes) for shape in flat_shapes(shapes[key])]
    return [shape for each in shapes for shape in flat_shapes(each)] if _are_several(shapes) else [tuple(shapes)]


def _are_several(shapes: Sequence[Any]) -> bool:
    return bool(shapes) and isinstance(shapes[0], list | tuple | Mapping)


def own_training(training: bool | None) -> bool | None:
    """Return whether a call on symbols acts as in training in each run, None if that is up to the run.

    Args:
        training: what the call was made with; in a traced `call`, the value it is traced with is no choice.

    Returns:
        True, False or None.
    """
    return None if training is None or bool(training) == tracing.training else bool(training)


def is_symbolic(*values: Any) -> bool:
    """Return whether any leaf of the values is a symbol.

    Args:
        *values: arrays, symbols and nested structures of them.

    Returns:
        True if there is a symbol.

    Raises:
        TypeError: if there are arrays as well.
    """
    flat = [leaf for value in values if value is not None for leaf in leaves_of(value)]
    symbols = sum(isinstance(leaf, Symbol) for leaf in flat)
    if symbols and symbols < len(flat):
        array = next(leaf for leaf in flat if not isinstance(leaf, Symbol))
        raise TypeError(f"a layer takes symbols or arrays, got both: {type(array).__name__} is not a symbol")
    return bool(symbols)


def leaves_of(value: Any) -> list[Any]:
    """Return the leaves of nested symbols; an array, or a list of numbers, is one leaf.

    Args:
        value: a symbol, an array, or a list, tuple or dict.

    Returns:
        A flat list.
    """
    if isinstance(value, Symbol):
        return [value]
    if isinstance(value, list | tuple | Mapping):
        flat = leaves(value)
        if any(isinstance(leaf, Symbol) for leaf in flat):
            return flat
    return [value]
