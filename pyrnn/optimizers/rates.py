"""The learning rate of an optimizer and the number of its steps, as numbers that can be assigned to."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.validation import shown


class _Scalar:
    """What a variable of Keras has, for a number of an optimizer."""

    _optimizer: Any
    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    ndim = 0

    @property
    def path(self) -> str:
        """The name of the optimizer, and the name of the variable."""
        return f"{self._optimizer.name}/{self.name}"


class LearningRate(_Scalar, float):
    """Current step size of an optimizer: a number with the methods of Keras's variable.

    Like that variable it is rounded to float32, and compares with other numbers after rounding them too.

    Example:
        >>> from pyrnn.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.learning_rate.assign(0.25)
        0.25
        >>> optimizer.learning_rate.assign_sub(0.125)
        0.125
        >>> optimizer.learning_rate * 2
        0.25
        >>> SGD(0.01).learning_rate == 0.01
        True
    """

    name, dtype = "learning_rate", "float32"

    def __new__(cls, value: float, optimizer: Any) -> LearningRate:
        """The number `value`, of this optimizer."""
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: Any) -> Any:
        """Set the optimizer's learning rate, and return it.

        Raises:
            TypeError, ValueError: as `optimizer.learning_rate = value`.
        """
        self._optimizer.learning_rate = value
        return self._optimizer.learning_rate

    def assign_add(self, value: Any) -> Any:
        """Add to the optimizer's learning rate, and return it."""
        return self.assign(float(self._optimizer.learning_rate) + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract from the optimizer's learning rate, and return it."""
        return self.assign(float(self._optimizer.learning_rate) - value)

    def numpy(self) -> np.float32:
        """The number as a scalar of NumPy."""
        return np.float32(self)

    @property
    def value(self) -> np.float32:
        """The number as a scalar of NumPy, as `numpy()`."""
        return self.numpy()

    def __eq__(self, other: object) -> bool:
        return float.__eq__(self, _rounded(other))

    def __ne__(self, other: object) -> bool:
        return float.__ne__(self, _rounded(other))

    def __lt__(self, other: Any) -> bool:
        return float.__lt__(self, _rounded(other))

    def __le__(self, other: Any) -> bool:
        return float.__le__(self, _rounded(other))

    def __gt__(self, other: Any) -> bool:
        return float.__gt__(self, _rounded(other))

    def __ge__(self, other: Any) -> bool:
        return float.__ge__(self, _rounded(other))

    __hash__ = float.__hash__

    def __reduce__(self) -> Any:
        return float, (float(self),)


def _rounded(other: Any) -> Any:
    """A number rounded to float32; anything else as it is."""
    if not isinstance(other, float | int):
        return other
    with np.errstate(over="ignore"):
        try:
            return float(np.float32(other))
        except OverflowError:  # an int of more than 1024 bits
            return other


class Iterations(_Scalar, int):
    """Number of steps of an optimizer: a number with the methods of Keras's variable.

    Example:
        >>> from pyrnn.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.iterations.assign(10)
        10
        >>> optimizer.iterations + 1
        11
    """

    name, dtype = "iteration", "int64"

    def __new__(cls, value: int, optimizer: Any) -> Iterations:
        """The number `value`, of this optimizer."""
        count = super().__new__(cls, value)
        count._optimizer = optimizer
        return count

    def assign(self, value: Any) -> Any:
        """Set the optimizer's number of steps, and return it.

        Raises:
            ValueError: If `value` is not a whole number from 0 to 2**63.
        """
        array = np.asarray(value)
        if array.ndim or array.dtype.kind not in "iuf" or not 0 <= array < 2**63 or array != array // 1:
            raise ValueError(f"iterations must be a whole number of at least 0, got {shown(value)}")
        self._optimizer._iterations = int(array) * (self._optimizer.gradient_accumulation_steps or 1)
        return self._optimizer.iterations

    def assign_add(self, value: Any) -> Any:
        """Add to the optimizer's number of steps, and return it."""
        return self.assign(int(self._optimizer.iterations) + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract from the optimizer's number of steps, and return it."""
        return self.assign(int(self._optimizer.iterations) - value)

    def numpy(self) -> np.int64:
        """The number as a scalar of NumPy."""
        return np.int64(self)

    @property
    def value(self) -> np.int64:
        """The number as a scalar of NumPy, as `numpy()`."""
        return self.numpy()

    def __reduce__(self) -> Any:
        return int, (int(self),)
