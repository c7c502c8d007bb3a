"""The state of a metric: numbers and arrays that count like arrays and are written by every operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.ops.differentiation import measured
from pyrnn.rules import Unchecked
from pyrnn.typing import Name

Array = NDArray[Any]


class Variable(NDArrayOperatorsMixin):
    """A number or array of a metric's state.

    Operators and NumPy functions treat a variable as its array; `assign`, `variable[...] = value` and operators in
    place write it.

    Example:
        >>> import numpy as np
        >>> from pyrnn import metrics
        >>> seen = metrics.Metric().add_variable((2,), "zeros", name="seen")
        >>> seen += np.ones(2)
        >>> seen[0] *= 5
        >>> (2 * seen).tolist()
        [10.0, 2.0]
    """

    __hash__ = object.__hash__

    @checked
    def __init__(
        self,
        value: Annotated[Array, Unchecked(allowed="list negative zero fraction huge array true")],
        name: Name,
        owner: Annotated[Any, Unchecked(allowed="none")] = None,
    ) -> None:
        self.value, self.name, self.owner = value, name, owner

    @property
    def path(self) -> str:
        """The name of the metric, and that of the variable."""
        return self.name if self.owner is None else f"{self.owner.name}/{self.name}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    @property
    def dtype(self) -> str:
        """Name of the value's dtype."""
        return str(self.value.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.value.size

    @checked
    def assign(self, value: Annotated[Any, Unchecked(allowed="list negative zero fraction huge array true")]) -> Array:
        """Overwrite the value.

        Args:
            value: One number for all elements, or an array of the variable's shape.

        Returns:
            A copy of the value.

        Raises:
            TypeError: If it does not hold numbers.
            ValueError: If its shape differs, or it has fractions and the variable holds integers.
        """
        array = measured("value", value)
        if array.ndim and array.shape != self.shape:
            raise ValueError(f"variable {self.name!r} has shape {self.shape}, got an array of shape {array.shape}")
        self.value = np.array(np.broadcast_to(self._cast(array), self.shape))
        return self.value.copy()

    def assign_add(self, value: Any) -> Array:
        """Add to the value, and return a copy of it."""
        return self.assign(self.value + np.asarray(value))

    def assign_sub(self, value: Any) -> Array:
        """Subtract from the value, and return a copy of it."""
        return self.assign(self.value - np.asarray(value))

    def _cast(self, array: Array) -> Array:
        """The array in the variable's dtype, which must hold it."""
        kind = self.value.dtype
        with np.errstate(invalid="ignore"):
            cast = array.astype(kind)
        if kind.kind in "iub" and (cast != array).any():
            raise ValueError(f"variable {self.name!r} of dtype {kind} cannot hold {array[cast != array].flat[0]}")
        return cast

    def numpy(self) -> Array:
        """A copy of the value."""
        return self.value.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.value, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple[Any, ...] = (), **options: Any) -> Any:
        arrays = [_array(each) for each in inputs]
        options = {name: _array(each) for name, each in options.items()}
        if method == "at":  # writes its first argument
            ufunc.at(*arrays, **options)
            inputs[0].assign(arrays[0])
            return None
        if not out:
            return getattr(ufunc, method)(*arrays, **options)
        if "where" in options:
            results = getattr(ufunc, method)(*arrays, out=tuple(map(_array, out)), **options)
        else:
            results = getattr(ufunc, method)(*arrays, **options)
        for target, result in zip(out, results if isinstance(results, tuple) else (results,), strict=True):
            if isinstance(target, Variable):
                target.assign(result)
            elif target is not None:
                target[...] = result
        return out[0] if len(out) == 1 else out

    def __getitem__(self, key: Any) -> Any:
        return self.numpy()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        array = self.numpy()
        array[key] = self._cast(measured("value", value))
        self.value = array

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.value.item(), digits)

    def __format__(self, form: str) -> str:
        return format(self.value[()], form)

    def __repr__(self) -> str:
        return f"<Variable name={self.name}, shape={self.shape}, dtype={self.dtype}, value={self.value}>"


class FieldVariable(Variable):
    """A field of a metric that is a number or array, as a variable: reading and writing it are those of the field."""

    @checked
    def __init__(self, owner: Annotated[Any, Unchecked()], name: Name) -> None:
        self.owner, self.name = owner, name

    @property
    def value(self) -> Array:
        """The field as an array."""
        return np.asarray(getattr(self.owner, self.name), np.float64)

    @value.setter
    def value(self, value: Array) -> None:
        setattr(self.owner, self.name, value if value.ndim else float(value))


def _array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Variable) else value
