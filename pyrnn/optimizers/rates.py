"""The learning rate of an optimizer as a number that can be assigned to."""

from __future__ import annotations

from typing import Any

import numpy as np


class LearningRate(float):
    """Current step size of an optimizer: a number with the methods of Keras's variable.

    Example:
        >>> from pyrnn.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.learning_rate.assign(0.25)
        0.25
        >>> optimizer.learning_rate.assign_sub(0.125)
        0.125
        >>> optimizer.learning_rate * 2
        0.25
    """

    _optimizer: Any

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

    def __reduce__(self) -> Any:
        return float, (float(self),)
