"""Results of models, layers, losses and metrics: arrays and numbers that also have the method `numpy` of tensors.

`fit`, `evaluate`, `predict` and the methods for one batch return plain arrays and floats, as in Keras.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn.structures import mapped

Array = NDArray[Any]


class Tensor(np.ndarray[Any, Any]):
    """An array with the method that tensors have. Whatever reads it converts it to a plain array; so do pickles.

    Example:
        >>> import numpy as np, pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
        >>> model(np.ones((1, 2))).numpy()
        array([[2.]], dtype=float32)
    """

    def numpy(self) -> Array:
        """Return the values.

        Returns:
            A plain array of the same shape.
        """
        return np.array(self)

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()

    def __deepcopy__(self, memo: Any) -> Array:  # type: ignore[override]  # a plain array
        return np.array(self)


class Number(float):
    """A number with what tensors have: `numpy()`, `dtype` and `shape`.

    Example:
        >>> import pyrnn
        >>> loss = pyrnn.losses.MeanSquaredError()([1.0], [3.0])
        >>> loss, loss.numpy()
        (4.0, np.float32(4.0))
    """

    # Those of `numpy()`.
    dtype: ClassVar[str] = "float32"
    shape: ClassVar[tuple[int, ...]] = ()

    def numpy(self) -> Any:
        """Return the number as a scalar of NumPy.

        Returns:
            A float32.
        """
        return np.float32(self)

    def __reduce__(self) -> Any:
        return float, (float(self),)


def as_result(value: Any) -> Any:
    """Return a result as users get it.

    Args:
        value: an array (...), a float, or a structure of them.

    Returns:
        The same values, as `Tensor` and `Number`; anything else as it is.
    """
    if type(value) is np.ndarray:
        return value.view(Tensor)
    if type(value) is float:
        return Number(value)
    if isinstance(value, np.floating):
        return Number(float(value))
    return mapped(as_result, value) if isinstance(value, list | tuple | dict) else value


def returning(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method so that it returns results as users get them.

    Args:
        method: the method.

    Returns:
        The method to put in its place.
    """

    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return as_result(method(*args, **kwargs))

    return wrapped
