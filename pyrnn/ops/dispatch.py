"""What all operations share: which kind of argument they got, conversions, errors and docstrings."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import config
from pyrnn.parameters import Weight
from pyrnn.symbols import Symbol, tracing
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
Function = Callable[..., Any]

# Every operation by its name; the layers that run them on symbols find them here.
OPERATIONS: dict[str, Function] = {}

_PLAIN, _WEIGHT, _TRACED, _SYMBOL, _NESTED = range(5)
_kinds: dict[type, int] = {}


# Numbers in an array of a graph, while it is made; a file may claim any size.
_MOST_NUMBERS = 1 << 28


class Limit:
    """Whether sizes of results are limited: while an operation is tried out for a graph."""

    active = False


def limited(*sizes: Any) -> None:
    """Reject a result that is too large for a graph, before there is memory for it.

    Args:
        *sizes: sizes of the result, the product of which counts.

    Raises:
        ValueError: if it has too many numbers.
    """
    if Limit.active and math.prod(int(size) for size in sizes) > _MOST_NUMBERS:
        raise ValueError(f"the result must have at most {_MOST_NUMBERS} numbers, got sizes {shown(sizes)}")


class Hooks:
    """Functions of the layers, which are above this package."""

    # Records an operation on symbols: (operation, args, kwargs) -> symbols.
    on_symbols: Function | None = None


_ARGUMENTS = {
    "x": "array (...), symbol or weight.",
    "y": "array (...) that broadcasts with x.",
    "x1": "array (...), symbol or weight.",
    "x2": "array (...) that broadcasts with x1.",
    "xs": "list of arrays.",
    "axis": "axis, or axes where several make sense; None means all of them.",
    "keepdims": "whether reduced axes stay, with size 1.",
    "condition": "array of booleans that broadcasts with x1 and x2.",
    "shape": "shape, a tuple of sizes.",
    "newshape": "new shape; one size may be -1 or None.",
    "dtype": "dtype of the result, or None for the default.",
    "name": "name of the operation in a model, or None.",
    "indices": "array of integers (...).",
    "axes": "axes, a list of integers, or None.",
    "x_min": "smallest value of the result.",
    "x_max": "largest value of the result.",
    "num_classes": "number of classes.",
    "repeats": "number of repetitions, or one number for each entry.",
    "shift": "number of places, or one for each axis.",
    "n": "number of rows, or of repetitions.",
    "m": "number of columns, or None for as many as rows.",
    "initial": "a value that takes part too, also where there are no others.",
    "endpoint": "whether `stop` is the last value.",
    "retstep": "whether to return the distance of two values too.",
    "sparse": "must be False.",
    "k": "the diagonal: 0 is the main one.",
    "ord": "order of the norm; None is the Euclidean norm.",
    "start": "first value, or first index of each axis.",
    "stop": "end of the range.",
    "step": "distance of two values.",
    "num": "number of values.",
    "subscripts": "the sum in Einstein's notation, such as 'bij,bjk->bik'.",
    "operands": "the arrays.",
    "value": "value of the entries.",
    "fill_value": "value of the entries.",
    "pad_width": "number of entries before and after each axis, as pairs.",
    "mode": "'constant', 'reflect' or 'symmetric'.",
    "constant_values": "value of the padding of mode 'constant'.",
    "decimals": "number of decimals.",
    "source": "places of the axes.",
    "destination": "new places of the axes.",
    "axis1": "first axis.",
    "axis2": "second axis.",
    "offset": "the diagonal: 0 is the main one.",
    "indices_or_sections": "number of equal sections, or the indices at which sections start.",
    "updates": "array of the values to write.",
    "start_indices": "first index of each axis.",
    "sorted": "whether the values are in descending order.",
    "key": "what is in the brackets of x[key]: integers, slices, None and Ellipsis.",
    "ddof": "number subtracted from the count of values.",
    "negative_slope": "slope for negative x.",
    "alpha": "value of -y for large negative x.",
    "approximate": "whether to use the formula with tanh.",
    "threshold": "where |x| is smaller, or x is not larger, the result is the default.",
    "default_value": "the result up to the threshold.",
    "epsilon": "smallest norm.",
    "order": "order of the norm.",
    "target": "array of labels (...).",
    "output": "array of predictions (..., classes).",
    "from_logits": "whether the predictions are logits.",
    "rtol": "relative tolerance.",
    "atol": "absolute tolerance.",
    "equal_nan": "whether NaNs are equal.",
}


def _kind(value: Any) -> int:
    kind = _kinds.get(type(value))
    if kind is None:
        cls = type(value)
        if issubclass(cls, Symbol):
            kind = _SYMBOL
        elif issubclass(cls, Weight):
            kind = _WEIGHT
        elif cls.__module__.startswith("autograd."):
            kind = _TRACED
        else:
            kind = _NESTED if issubclass(cls, list | tuple) else _PLAIN
        _kinds[cls] = kind
    return kind


def _largest_kind(values: Any) -> int:
    largest = _PLAIN
    for value in values:
        kind = _kind(value)
        if kind == _WEIGHT and tracing.symbol_of is not None:
            kind = _SYMBOL
        largest = max(largest, _largest_kind(value) if kind == _NESTED else kind)
    return largest


def traced_numpy() -> Any:
    """Return autograd's NumPy."""
    try:
        import autograd.numpy
    except ImportError:
        raise ImportError("operations are differentiated by the package autograd: pip install autograd") from None
    return autograd.numpy


def array(x: Any, floating: bool = False) -> Any:
    """Return x as an array: Python's numbers become float32 or int32, as in Keras; other dtypes stay.

    Args:
        x: array, weight, number, list of numbers, or an array that autograd traces.
        floating: whether integers and booleans become floats.

    Returns:
        An array, or the traced array.

    Raises:
        TypeError: if x does not hold numbers.
    """
    kind = _kind(x)
    if kind == _TRACED:
        return x
    if kind == _WEIGHT:
        return x.array
    if kind == _NESTED and _largest_kind(x) == _TRACED:
        return traced_numpy().array(x)
    result = np.asarray(x)
    if result.dtype.kind not in "biufc":
        raise WrongType(f"x must hold numbers, got {shown(x)}")
    if not isinstance(x, np.ndarray | np.generic) and not hasattr(x, "dtype"):
        if result.dtype == np.float64:
            result = result.astype(config.floatx())
        elif result.dtype == np.int64:
            result = result.astype(np.int32)
    if floating and result.dtype.kind in "biu":
        result = result.astype(config.floatx())
    return result


def pair(x1: Any, x2: Any, floating: bool = False) -> tuple[Any, Any]:
    """Return two arrays whose dtypes go together: floats win over integers, numbers take the dtype of the array.

    Args:
        x1: array or number.
        x2: array or number.
        floating: whether integers become floats.

    Returns:
        Both, converted.
    """
    scalars = [isinstance(x, bool | int | float) for x in (x1, x2)]
    arrays = [array(x, floating) for x in (x1, x2)]
    kinds = [each.dtype.kind for each in arrays]
    for index, other in ((0, 1), (1, 0)):
        is_weak = scalars[index] and not scalars[other] and (kinds[other] == "f" or kinds[index] in "biu")
        is_weak = is_weak and (kinds[other] != "b" or kinds[index] == "b")
        if is_weak or (kinds[index] in "biu" and kinds[other] == "f"):
            arrays[index] = arrays[index].astype(arrays[other].dtype)
    return arrays[0], arrays[1]


def _docstring(function: Function, name: str, summary: str, example: str, shape: str) -> str:
    arguments = [
        f"    {'*' * (parameter.kind is parameter.VAR_POSITIONAL)}{parameter.name}: {_ARGUMENTS[parameter.name]}"
        for parameter in list(inspect.signature(function).parameters.values())[1:]
    ]
    return "\n".join(
        (
            summary,
            "",
            "Args:",
            *arguments,
            "",
            "Returns:",
            "    An array; a symbol if an argument is a symbol. Several results are in a list or tuple.",
            "",
            "Raises:",
            "    TypeError, ValueError: if the arguments do not fit.",
            "",
            "Example:",
            "    >>> import numpy as np",
            "    >>> from pyrnn import ops",
            "    >>> x = np.ones((2, 3), np.float32)",
            f"    >>> {example or f'ops.{name}(x).shape'}",
            f"    {shape}",
        )
    )


def operation(
    summary: str,
    example: str = "",
    shape: str = "(2, 3)",
    name: str | None = None,
    *,
    finds_sizes: bool = True,
) -> Callable[[Function], Function]:
    """Make an operation of a function whose first argument is the module NumPy, or autograd's.

    Args:
        summary: first line of the docstring.
        example: an expression for the docstring, with `x (2, 3)`.
        shape: its value.
        name: name of the operation; by default that of the function.
        finds_sizes: whether an unknown size of a symbol may be taken to be one that the arguments allow.

    Returns:
        A decorator.
    """

    def decorate(function: Function) -> Function:
        title = name or function.__name__

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            largest = _largest_kind(args)
            if kwargs:
                largest = max(largest, _largest_kind(kwargs.values()))
            if largest == _SYMBOL:
                assert Hooks.on_symbols is not None
                return Hooks.on_symbols(call, args, kwargs)
            numpy = np if largest != _TRACED else traced_numpy()
            try:
                return function(numpy, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"ops.{title}(): {error}") from error
            except (ValueError, IndexError) as error:
                raise ValueError(f"ops.{title}(): {error}") from error

        signature = inspect.signature(function)
        call.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what inspect reads
            parameters=list(signature.parameters.values())[1:]
        )
        call.__name__ = call.__qualname__ = title
        call.__module__ = "pyrnn.ops"
        call.finds_sizes = finds_sizes  # type: ignore[attr-defined]  # a mark on the operation
        call.__doc__ = _docstring(function, title, summary, example, shape)
        del call.__wrapped__  # its first argument is not the user's
        OPERATIONS[title] = call
        return call

    return decorate
