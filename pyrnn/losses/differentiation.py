"""Gradients of losses that are written in plain NumPy, by the package autograd."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.ops.differentiation import teach_tensors

Array = NDArray[Any]
# What NumPy and autograd say where a traced array is assigned to, or put into another one.
_ASSIGNMENTS = ("item assignment", "scalar index", "setting an array element")
_TRACED = "ArrayBox"  # autograd's array, in messages of functions that do not take it


def read_only(label: str, function: Callable[..., Any], y_true: Any, y_pred: Any) -> Any:
    """What a user's function makes of arrays that it cannot change: they are data and the outputs of the model.

    Raises:
        ValueError: if it assigns to one of them.
    """
    arrays = []
    for array in (y_true, y_pred):
        if isinstance(array, np.ndarray):  # autograd's trace of an array cannot be assigned to anyway
            array = array.view()
            array.flags.writeable = False
        arrays.append(array)
    try:
        return function(*arrays)
    except ValueError as error:
        if "read-only" in str(error):
            raise ValueError(
                f"{label} assigns to y_true or y_pred in place: work on a copy, y_pred = y_pred.copy()"
            ) from None
        raise


def traceable(function: Callable[..., Any], numpy: Any) -> Callable[..., Any]:
    """The same function with the module that it knows as NumPy exchanged for autograd's, where it is plain Python."""
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, types.FunctionType):
        return function
    names = {name: numpy if value is np else value for name, value in plain.__globals__.items()}
    copy = types.FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    copy.__kwdefaults__ = plain.__kwdefaults__
    owner = getattr(function, "__self__", None)
    return copy if owner is None else types.MethodType(copy, owner)


@contextlib.contextmanager
def _explained(name: Any) -> Iterator[None]:
    """Say in the user's terms what autograd says of a function that it cannot differentiate."""
    try:
        yield
    except (TypeError, NotImplementedError, AttributeError, ValueError) as error:
        if any(text in str(error) for text in _ASSIGNMENTS):
            raise ValueError(
                f"autograd cannot differentiate the loss {name!r}, since it assigns to an array, as in y[i] = ...: "
                "make the array by np.where, np.stack or np.concatenate, or return (value, gradient)"
            ) from None
        if _TRACED in str(error):
            raise ValueError(
                f"autograd cannot differentiate the loss {name!r}, since it calls a function that is not NumPy's, of "
                "pyrnn.ops or of pyrnn.losses: write that in NumPy, or return (value, gradient)"
            ) from None
        if isinstance(error, ValueError):
            raise
        raise ValueError(
            f"autograd cannot differentiate the loss {name!r}: {error}; return (value, gradient)"
        ) from None


def differentiate(function: Callable[..., Any], y_true: Array, y_pred: Array) -> tuple[Array, Callable[[], Array]]:
    """Trace a function written in NumPy.

    Args:
        function: a function of (y_true, y_pred) that returns one value per sample, or a single one.
        y_true: targets, shape (batch, ...).
        y_pred: outputs of the model, shape (batch, ...).

    Returns:
        (values, gradient): the values, and a function that computes the gradient of their sum by y_pred.

    Raises:
        ImportError: without the package autograd.
        ValueError: if it cannot differentiate the function.
    """
    try:
        import autograd.numpy as traced
        from autograd import make_vjp
    except ImportError:
        raise ImportError(
            "a loss in plain NumPy is differentiated by autograd: pip install 'pyrnn-core[autograd]', "
            "or let the function return (value, gradient)"
        ) from None
    teach_tensors()
    run, name = traceable(function, traced), getattr(function, "__name__", function)
    with _explained(name):
        backward, values = make_vjp(lambda prediction: read_only(f"the loss {name!r}", run, y_true, prediction))(y_pred)

    def gradient() -> Array:
        with _explained(name):
            slopes = backward(np.ones_like(values))
        return np.asarray(slopes, y_pred.dtype)

    return np.asarray(values, y_pred.dtype), gradient
