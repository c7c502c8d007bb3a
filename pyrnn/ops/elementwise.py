"""Arithmetic, comparison and elementary functions, entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.ops import primitives
from pyrnn.ops.dispatch import OPERATIONS, Function, array, operation, pair

# Functions of floats with NumPy's names, and what they compute.
_FLOAT = {
    "exp": "e to the power of x", "expm1": "exp(x) - 1", "exp2": "2 to the power of x",
    "log": "the natural logarithm", "log1p": "log(1 + x)", "log2": "the logarithm to base 2",
    "log10": "the logarithm to base 10", "sqrt": "the square root", "sin": "the sine", "cos": "the cosine",
    "tan": "the tangent", "sinh": "the hyperbolic sine", "cosh": "the hyperbolic cosine",
    "arctan": "the inverse of the tangent", "arcsinh": "the inverse of the hyperbolic sine",
    "deg2rad": "radians from degrees", "rad2deg": "degrees from radians", "sinc": "sin(pi x) / (pi x)",
}  # fmt: skip
_LIMITED = {
    "arcsin": ("the inverse of the sine", ""), "arccos": ("the inverse of the cosine", ""),
    "arccosh": ("the inverse of the hyperbolic cosine", ""),
    "arctanh": ("the inverse of the hyperbolic tangent", "ops.arctanh(0 * x).shape"),
}  # fmt: skip
_ANY = {
    "abs": "the absolute value", "square": "x * x", "negative": "-x", "sign": "-1, 0 or 1",
    "isnan": "whether entries are NaN", "isfinite": "whether entries are finite",
    "isinf": "whether entries are infinite", "logical_not": "whether entries are zero",
}  # fmt: skip
_ROUNDING = {"floor": "the next integer below", "ceil": "the next integer above"}
_BINARY = {
    "add": "x1 + x2", "subtract": "x1 - x2", "multiply": "x1 * x2", "maximum": "the larger entry",
    "minimum": "the smaller entry", "power": "x1 ** x2", "mod": "the remainder of x1 / x2, with the sign of x2",
    "floor_divide": "the integer part of x1 / x2", "equal": "x1 == x2", "not_equal": "x1 != x2",
    "greater": "x1 > x2", "greater_equal": "x1 >= x2", "less": "x1 < x2", "less_equal": "x1 <= x2",
    "logical_and": "whether both are true", "logical_or": "whether one is true",
    "logical_xor": "whether exactly one is true",
}  # fmt: skip
_BINARY_FLOAT = {
    "divide": "x1 / x2",
    "true_divide": "x1 / x2",
    "arctan2": "the angle of the point (x2, x1)",
    "logaddexp": "log(exp(x1) + exp(x2))",
}


def _unary(name: str, floating: bool) -> Function:
    def function(numpy: Any, x: Any) -> Any:
        return getattr(numpy, name)(array(x, floating))

    return function


def _binary(name: str, floating: bool) -> Function:
    def function(numpy: Any, x1: Any, x2: Any) -> Any:
        return getattr(numpy, name)(*pair(x1, x2, floating))

    return function


for _name, _what in {**_FLOAT, **_ROUNDING}.items():
    operation(f"Compute {_what}, in floats.", name=_name)(_unary(_name, True))
for _name, (_what, _example) in _LIMITED.items():
    operation(f"Compute {_what}, in floats.", _example, name=_name)(_unary(_name, True))
for _name, _what in _ANY.items():
    operation(f"Compute {_what}, entry by entry.", name=_name)(_unary(_name, False))
for _name, _what in _BINARY.items():
    operation(f"Compute {_what}, entry by entry.", f"ops.{_name}(x, x).shape", name=_name)(_binary(_name, False))
for _name, _what in _BINARY_FLOAT.items():
    operation(f"Compute {_what}, in floats.", f"ops.{_name}(x, x).shape", name=_name)(_binary(_name, True))
for _alias, _name in {"absolute": "abs", "mod": "mod"}.items():
    OPERATIONS[_alias] = OPERATIONS[_name]


@operation("Compute the integer part; whole numbers keep their dtype.")
def trunc(numpy: Any, x: Any) -> Any:
    x = array(x)
    return x if x.dtype.kind in "biu" else numpy.trunc(x)


@operation("Compute x1 / x2, and 0 where x2 is 0.", "ops.divide_no_nan(x, 0 * x).shape")
def divide_no_nan(numpy: Any, x1: Any, x2: Any) -> Any:
    numerator, denominator = pair(x1, x2, True)
    is_zero = denominator == 0
    return numpy.where(
        is_zero, np.zeros((), numerator.dtype), numerator / numpy.where(is_zero, 1 + 0 * denominator, denominator)
    )


@operation("Compute 1 / x, in floats.")
def reciprocal(numpy: Any, x: Any) -> Any:
    return 1 / array(x, True)


@operation("Compute 1 / sqrt(x), in floats.")
def rsqrt(numpy: Any, x: Any) -> Any:
    return 1 / numpy.sqrt(array(x, True))


@operation("Compute the cube root, in floats.")
def cbrt(numpy: Any, x: Any) -> Any:
    x = array(x, True)
    return numpy.sign(x) * numpy.power(numpy.abs(x), 1 / 3)


@operation("Round to a number of decimals; halves to the even neighbor.")
def round(numpy: Any, x: Any, decimals: Any = 0) -> Any:
    return numpy.round(array(x), decimals)


@operation("Limit x to the values between x_min and x_max.", "ops.clip(x, 0.0, 0.5).shape")
def clip(numpy: Any, x: Any, x_min: Any, x_max: Any) -> Any:
    x = array(x)
    if x.dtype.kind == "b":
        x = x.astype(np.int32)
    low, high = (pair(x, limit)[1] if isinstance(limit, int | float) else array(limit) for limit in (x_min, x_max))
    return numpy.clip(x, low, high).astype(x.dtype)


@operation("Choose x1 where the condition is true, else x2.", "ops.where(x > 0, x, 0.0).shape")
def where(numpy: Any, condition: Any, x1: Any = None, x2: Any = None) -> Any:
    condition = array(condition).astype(bool)
    if (x1 is None) != (x2 is None):
        raise ValueError("x1 and x2 must both be arrays, or both be left out")
    return numpy.where(condition) if x1 is None else numpy.where(condition, *pair(x1, x2))


_erf_of_numbers = np.frompyfunc(math.erf, 1, 1)


@operation("Compute the error function.")
def erf(numpy: Any, x: Any) -> Any:
    return primitives.function("erf", _erf, _erf_slope)(array(x, True))


def _erf(x: Any) -> Any:
    return np.asarray(_erf_of_numbers(x), x.dtype)


def _erf_slope(x: Any, y: Any, dy: Any) -> Any:
    return dy * (2 / math.sqrt(math.pi) * np.exp(-x * x)).astype(x.dtype)


@operation("Return whether all entries of x1 and x2 are close.", "ops.isclose(x, x).shape")
def isclose(numpy: Any, x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return np.isclose(*pair(x1, x2), rtol, atol, equal_nan)
