"""A loss that is a function: it returns value and gradient, or the value alone, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.function_rules import takes
from pyrnn.losses.alignment import Array
from pyrnn.losses.base import Lazy, Loss
from pyrnn.losses.differentiation import differentiate, read_only
from pyrnn.rules import Unchecked
from pyrnn.typing import Name
from pyrnn.validation import WrongType, shown

__all__ = ["FunctionLoss"]


class FunctionLoss(Loss):
    """A function of (y_true, y_pred) as a loss.

    The function returns (value, gradient): one value per sample or a single one, and the derivative of their sum with
    respect to y_pred, in the shape of y_pred. Or it returns the value alone, computed with NumPy, and the package
    autograd differentiates it (extra `autograd`). `pyrnn.utils.check_gradients` tests whether a gradient is right.

    Args:
        fn: The function. It may not change its arguments.
        name: Name of the loss; by default that of the function.

    Raises:
        TypeError: If `fn` is not a function of two arguments.

    Example:
        >>> def squared(y_true, y_pred):
        ...     error = y_pred - y_true
        ...     return (error**2).mean(axis=-1), 2 * error / error.shape[-1]
        >>> pyrnn.losses.FunctionLoss(squared)(np.array([[0.0, 1.0]]), np.array([[1.0, 3.0]]))
        2.5
    """

    @checked
    def __init__(self, fn: Annotated[Callable[[Array, Array], Any], Unchecked()], name: Name | None = None) -> None:
        if not takes(fn, 2):
            raise WrongType(f"a loss must be a function of (y_true, y_pred), got {shown(fn)}")
        super().__init__(name or getattr(fn, "__name__", "loss"))
        registry.require_kind("loss", fn)
        if isinstance(fn, type) or not callable(fn):
            raise WrongType(f"fn must be a function of (y_true, y_pred), got {shown(fn)}")
        self.fn = fn

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        result = read_only(f"the loss {self.name!r}", self.fn, y_true, y_pred)
        value = result[0] if isinstance(result, tuple) and result else result
        if np.asarray(value).dtype.kind not in "biuf":
            raise WrongType(f"the loss {self.name!r} must return numbers, got {shown(value)}")
        if not isinstance(result, tuple):
            return differentiate(self.fn, y_true, y_pred)
        if len(result) != 2 or np.shape(result[1]) != y_pred.shape:
            shapes = [np.shape(part) for part in result]
            raise ValueError(
                f"the loss {self.name!r} must return (value, gradient of shape {y_pred.shape}), got shapes {shapes}"
            )
        return np.asarray(result[0], y_pred.dtype), lambda: np.asarray(result[1], y_pred.dtype)

    def describe(self) -> dict[str, Any]:
        """Return Keras's description of the function, which a file stores and `custom_objects` turns back into it.

        Returns:
            A dictionary that `pyrnn.losses.get` accepts.
        """
        return registry.describe_callable(self.fn)
