"""Arrays of numbers out of what users pass: arrays of any library, tables, nested lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules
from pyrnn.data.objects import NUMERIC, numbers_of
from pyrnn.validation import WrongType

Array = NDArray[Any]


class Arrays(tuple[Any, ...]):
    """The arrays of several inputs or outputs, in the order of the model's inputs or outputs.

    An entry of targets or weights is None for an output that has none.

    Example:
        >>> import numpy as np
        >>> from pyrnn.data import Arrays
        >>> Arrays([np.zeros((4, 2)), np.zeros((4, 3))]).shape
        ((4, 2), (4, 3))
    """

    __slots__ = ()

    @property
    def shape(self) -> tuple[tuple[int, ...] | None, ...]:
        """The shape of each array, None where there is none."""
        return tuple(None if array is None else array.shape for array in self)

    def each(self, function: Callable[[Array], Array]) -> Arrays:
        """Return the results of a function of one array.

        Args:
            function: Called with each array.

        Returns:
            The results; None stays None.
        """
        return Arrays(None if array is None else function(array) for array in self)


def is_array(value: Any) -> bool:
    """Return whether a value is data as a whole: an array of any library, a table, or nested lists of numbers.

    Args:
        value: Any object.

    Returns:
        True for arrays, tables and sequences; False for generators, loaders and other iterables.

    Example:
        >>> from pyrnn.data import is_array
        >>> is_array([[1, 2], [3, 4]]), is_array(iter([1]))
        (True, False)
    """
    return isinstance(value, Sequence) or hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def as_array(name: str, value: Any) -> Array:
    """Convert a value to an array of numbers, of whatever dtype.

    Args:
        name: The argument's name, for error messages.
        value: An array of any library, a table of pandas, nested lists, or a number.

    Returns:
        A NumPy array of floats, integers or booleans. Objects that are numbers or booleans become float64 or int64.

    Raises:
        TypeError: If it holds anything but numbers.
        ValueError: If its rows have different lengths.

    Example:
        >>> from pyrnn.data import as_array
        >>> as_array("x", [[1, 2.5], [3, 4]]).dtype
        dtype('float64')
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        plain: Array = value
        return plain
    if hasattr(value, "detach"):  # a PyTorch tensor, which may have gradients or be on a GPU
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, RuntimeError) as error:
        raise WrongType(f"{name} must hold numbers: {error}") from None
    except ValueError:
        raise ValueError(f"{name} must be one array; its rows have different lengths") from None
    return array if array.dtype.kind in NUMERIC else numbers_of(name, value, array)


class _Readable(rules.Rule):
    """What `as_array` reads, NaN and infinity too."""

    allowed = f"list {rules.NUMBERS} true array"

    def check(self, argument: str, value: Any) -> None:
        as_array(argument, value)


Data = Annotated[Any, _Readable()]
_KINDS = {name: np.dtype(name) for name in ("float32", "float64")}
_FLOATS = tuple(_KINDS.values())


def is_float(value: Any, dtype: str) -> bool:
    """Whether a value is already an array as `as_float` returns it."""
    if type(value) is not np.ndarray or value.dtype != _KINDS[dtype]:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned


def are_alike(first: Array, second: Array) -> bool:
    """Whether two arrays have the same shape and dtype and are as `as_float` returns them."""
    dtype = first.dtype
    if first.shape != second.shape or dtype != second.dtype or dtype not in _FLOATS:
        return False
    flags, others = first.flags, second.flags
    return flags.c_contiguous and flags.aligned and others.c_contiguous and others.aligned


def as_float(name: str, value: Any, dtype: str, *, allow_integers: bool = False) -> Array:
    """Convert a value to a C-contiguous array of `dtype`; integers stay integers if `allow_integers`.

    Raises:
        TypeError, ValueError: As `as_array`.
    """
    if is_float(value, dtype):
        unchanged: Array = value
        return unchanged
    array = as_array(name, value)
    if allow_integers and array.dtype.kind in "iu":
        return np.ascontiguousarray(array)
    return np.require(array, dtype, ["C", "A"])


def as_column(value: Any, array: Array) -> Array:
    """The array of a pandas Series as a table of one column, as in Keras; any other array unchanged."""
    return array[:, None] if array.ndim == 1 and type(value).__name__ == "Series" else array
