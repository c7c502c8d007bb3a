"""The variables of an optimizer as objects with the methods of Keras's variables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

Array = NDArray[Any]


class Slot(NDArrayOperatorsMixin):
    """An array that an optimizer keeps between steps, such as a momentum.

    Operators and NumPy functions treat it as its array; `assign` and operators in place write it.

    Args:
        name: its name in files.
        path: the name of the optimizer, and its name.
        array: the values (...), a view of the optimizer's vector.

    Example:
        >>> import numpy as np, pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), use_bias=False)])
        >>> model.compile(pyrnn.optimizers.Adam(), "mse")
        >>> loss = model.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
        >>> momentum = model.optimizer.variables[2]
        >>> momentum.assign(np.zeros((2, 1))).tolist()
        [[0.0], [0.0]]
    """

    __hash__ = object.__hash__

    def __init__(self, name: str, path: str, array: Array) -> None:
        self.name, self.path, self._array = name, path, array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self._array.shape

    @property
    def dtype(self) -> str:
        """Name of the values' dtype."""
        return str(self._array.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def value(self) -> Array:
        """A copy of the values, as `numpy()`."""
        return self._array.copy()

    def numpy(self) -> Array:
        """Return a copy of the values.

        Returns:
            An array in the shape of the variable.
        """
        return self._array.copy()

    def assign(self, value: Any) -> Array:
        """Overwrite the values.

        Args:
            value: an array of the same shape.

        Returns:
            A copy of the values.

        Raises:
            ValueError: if the shape differs.
        """
        new = np.asarray(value)
        if new.shape != self.shape:
            raise ValueError(f"variable {self.name!r} has shape {self.shape}, got an array of shape {new.shape}")
        self._array[...] = new
        return self._array.copy()

    def assign_add(self, value: Any) -> Array:
        """Add to the values, and return a copy of them."""
        return self.assign(self._array + np.asarray(value))

    def assign_sub(self, value: Any) -> Array:
        """Subtract from the values, and return a copy of them."""
        return self.assign(self._array - np.asarray(value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._array, dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple[Any, ...] = (), **options: Any) -> Any:
        arrays = [each._array if isinstance(each, Slot) else each for each in inputs]
        if out:
            options["out"] = tuple(each._array if isinstance(each, Slot) else each for each in out)
        result = getattr(ufunc, method)(*arrays, **options)
        return out[0] if len(out) == 1 else result

    def __repr__(self) -> str:
        return f"<Slot path={self.path}, shape={self.shape}, dtype={self.dtype}>"
