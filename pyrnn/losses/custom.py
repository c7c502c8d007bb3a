"""A user's own loss: a function that returns value and gradient, or one in plain NumPy that autograd differentiates."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import registry
from pyrnn.arguments import checked, takes
from pyrnn.losses.base import Array, Loss, read_only
from pyrnn.validation import shown

# What NumPy and autograd say where a traced array is assigned to, or put into another one.
_ASSIGNMENTS = ("item assignment", "scalar index", "setting an array element")
_TRACED = "ArrayBox"  # autograd's array, in messages of functions that do not take it


def _traceable(function: Callable[..., Any], numpy: Any) -> Callable[..., Any]:
    """The same function with the module that it knows as NumPy exchanged for autograd's, where it is plain Python."""
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, types.FunctionType):
        return function
    names = {name: numpy if value is np else value for name, value in plain.__globals__.items()}
    copy = types.FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
    copy.__kwdefaults__ = plain.__kwdefaults__
    owner = getattr(function, "__self__", None)
    return copy if owner is None else types.MethodType(copy, owner)


def differentiate(function: Callable[..., Any], y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """(values, gradient of their sum by y_pred) of a function written in NumPy.

    Raises:
        ImportError: without the package autograd. ValueError: if it cannot differentiate the function.
    """
    try:
        import autograd.numpy as traced
        from autograd import make_vjp
    except ImportError:
        raise ImportError(
            "a loss in plain NumPy is differentiated by autograd: pip install 'pyrnn-core[autograd]', "
            "or let the function return (value, gradient)"
        ) from None
    run, name = _traceable(function, traced), getattr(function, "__name__", function)
    try:
        backward, values = make_vjp(lambda prediction: read_only(f"the loss {name!r}", run, y_true, prediction))(y_pred)
        gradient = backward(np.ones_like(values))
    except (TypeError, NotImplementedError, AttributeError, ValueError) as error:
        if any(words in str(error) for words in _ASSIGNMENTS):
            raise ValueError(
                f"autograd cannot differentiate the loss {name!r}, since it assigns to an array, as in y[i] = ...: "
                "make the array by np.where, np.stack or np.concatenate, or return (value, gradient)"
            ) from None
        if _TRACED in str(error):
            raise ValueError(
                f"autograd cannot differentiate the loss {name!r}, since it calls a loss of pyrnn or another function "
                "that is not NumPy's: write that in NumPy, or return (value, gradient), which "
                "MeanSquaredError().elements(y_true, y_pred) and the like give"
            ) from None
        if isinstance(error, ValueError):
            raise
        raise ValueError(
            f"autograd cannot differentiate the loss {name!r}: {error}; return (value, gradient)"
        ) from None
    return np.asarray(values, y_pred.dtype), np.asarray(gradient, y_pred.dtype)


class FunctionLoss(Loss):
    """A function of (y_true, y_pred) as a loss.

    It returns (value, gradient): one value a sample or a single one, and the derivative of their sum by y_pred, in
    the shape of y_pred; or the value alone, in NumPy, which autograd then differentiates (extra `autograd`).
    `pyrnn.utils.check_gradients` tells whether value and gradient belong together.
    """

    @checked()
    def __init__(self, fn: Callable[[Array, Array], Any], name: str | None = None) -> None:
        if not takes(fn, 2):
            raise TypeError(f"a loss must be a function of (y_true, y_pred), got {shown(fn)}")
        super().__init__(name or getattr(fn, "__name__", "loss"))
        registry.require_kind("loss", fn)
        if isinstance(fn, type) or not callable(fn):
            raise TypeError(f"fn must be a function of (y_true, y_pred), got {shown(fn)}")
        self.fn = fn

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        result = read_only(f"the loss {self.name!r}", self.fn, y_true, y_pred)
        value = result[0] if isinstance(result, tuple) and result else result
        if np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(f"the loss {self.name!r} must return numbers, got {shown(value)}")
        if not isinstance(result, tuple):
            return differentiate(self.fn, y_true, y_pred)
        if len(result) != 2 or np.shape(result[1]) != y_pred.shape:
            shapes = [np.shape(part) for part in result]
            raise ValueError(
                f"the loss {self.name!r} must return (value, gradient of shape {y_pred.shape}), got shapes {shapes}"
            )
        return np.asarray(result[0], y_pred.dtype), np.asarray(result[1], y_pred.dtype)

    def describe(self) -> dict[str, Any]:
        """Keras's description of a function, which a file names and `custom_objects` gives back."""
        return registry.describe_callable(self.fn)
