"""Functions that likelihoods need: the gamma function's logarithm and its derivative, and quantiles of Student's t and
of the negative binomial distribution. In float64, on arrays of any shape.

Source: Abramowitz and Stegun 1964, 6.1.41, 6.3.18; Press et al. 2007, Numerical Recipes, section 6.4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# The asymptotic series are exact to 1e-13 from here on.
ASYMPTOTIC_FROM = 10
_LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
_DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132)
_TINY = 1e-300
_FRACTION_STEPS = 200
_FRACTION_ACCURACY = 1e-12
_BISECTIONS = 60
_MOST_FREEDOM = 1e4  # more is a normal distribution to 1e-4
_TABLE_ROWS = 2000
_LEVEL_DIGITS = 12


def log_gamma(x: Array) -> Array:
    """Return the logarithm of the gamma function.

    Args:
        x: Positive numbers.

    Returns:
        An array in the shape of x.
    """
    shifted, product = _shift(x, np.ones_like(x, dtype=np.float64), lambda total, each: total * each)
    inverse = 1 / shifted
    series = _series(_LOG_GAMMA, inverse * inverse) * inverse
    value = (shifted - 0.5) * np.log(shifted) - shifted + 0.5 * math.log(2 * math.pi) + series
    return np.asarray(value - np.log(product))


def digamma(x: Array) -> Array:
    """Return the derivative of `log_gamma`.

    Args:
        x: Positive numbers.

    Returns:
        An array in the shape of x.
    """
    shifted, total = _shift(x, np.zeros_like(x, dtype=np.float64), lambda total, each: total + 1 / each)
    square = 1 / (shifted * shifted)
    return np.asarray(np.log(shifted) - 0.5 / shifted + _series(_DIGAMMA, square) * square - total)


def _shift(x: Array, total: Array, add: Callable[[Array, Array], Array]) -> tuple[Array, Array]:
    """Raise x by whole numbers to at least ASYMPTOTIC_FROM, and collect the values on the way."""
    x = np.array(x, np.float64)
    for _ in range(ASYMPTOTIC_FROM):
        small = x < ASYMPTOTIC_FROM
        if not small.any():
            break
        total = np.where(small, add(total, x), total)
        x = np.where(small, x + 1, x)
    return x, total


def _series(coefficients: tuple[float, ...], x: Array) -> Array:
    value = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def beta_ratio(a: Array, b: Array, x: Array) -> Array:
    """Return the regularized incomplete beta function I_x(a, b).

    Args:
        a: Positive numbers.
        b: Positive numbers of the same shape.
        x: Numbers from 0 to 1 of the same shape.

    Returns:
        Numbers from 0 to 1.
    """
    a, b, x = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (a, b, x)))
    swap = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    with np.errstate(divide="ignore"):
        front = np.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * np.log(x) + b * np.log1p(-x)) / a
    value = np.where(x > 0, front * _fraction(a, b, np.clip(x, 0, 1)), 0.0)
    return np.asarray(np.where(swap, 1 - value, value))


def _fraction(a: Array, b: Array, x: Array) -> Array:
    """Lentz's evaluation of the continued fraction of the incomplete beta function."""
    c = np.ones_like(x)
    d = 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _FRACTION_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            change = d * c
            value = value * change
        if np.abs(change - 1).max(initial=0) < _FRACTION_ACCURACY:
            break
    return value


def _nonzero(x: Array) -> Array:
    return np.where(np.abs(x) < _TINY, _TINY, x)


def student_quantile(level: float, freedom: Array) -> Array:
    """Return a quantile of Student's t distribution, to 1e-6, by interpolation in 1 / freedom.

    Args:
        level: A number between 0 and 1.
        freedom: Degrees of freedom, at least 2.

    Returns:
        An array in the shape of `freedom`.
    """
    inverse, sizes = _student_table(round(min(level, 1 - level), _LEVEL_DIGITS))
    size = np.interp(1 / np.asarray(freedom, np.float64), inverse, sizes)
    return np.asarray(size if level > 0.5 else -size)


@functools.cache
def _student_table(tail: float) -> tuple[Array, Array]:
    """1 / freedom, ascending, and the distance of the quantile from 0."""
    inverse = np.linspace(1 / _MOST_FREEDOM, 0.5, _TABLE_ROWS)
    if tail == 0.5:
        return inverse, np.zeros_like(inverse)
    freedom = 1 / inverse
    # P(|T| > t) = I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t^2), which grows with x.
    low, high = np.zeros_like(freedom), np.ones_like(freedom)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = beta_ratio(freedom / 2, np.full_like(freedom, 0.5), middle) < 2 * tail
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    x = (low + high) / 2
    return inverse, np.sqrt(freedom * (1 - x) / x)


def count_quantile(level: float, mean: Array, shape: Array) -> Array:
    """Return a quantile of the negative binomial distribution: the smallest count whose probability reaches the level.

    Args:
        level: A number between 0 and 1.
        mean: Positive means.
        shape: Positive numbers r of the same shape; the variance is mean + mean^2 / r.

    Returns:
        Whole numbers in float64, in the shape of `mean`.
    """
    mean, shape = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(shape, np.float64))
    chance = shape / (shape + mean)

    def reached(count: Array) -> Array:
        return np.asarray(beta_ratio(shape, count + 1, chance) >= level)

    high = np.ceil(mean + 1)
    while not (done := reached(high)).all():
        high = np.where(done, high, 2 * high)
    low = np.full_like(high, -1.0)  # not reached
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = reached(np.maximum(middle, 0)) & (middle >= 0)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)
