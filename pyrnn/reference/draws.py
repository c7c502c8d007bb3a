"""Counter-based random numbers, one at a time: the twin of csrc/runtime/random.hpp and csrc/runtime/distribution.hpp.

Every formula has the core's order of operations, in double precision. The sources are named there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Distributions by name, with the outputs of a model that each needs.
DISTRIBUTIONS = {"point": 1, "gaussian": 2, "gaussian_spread": 2, "student": 3, "negative_binomial": 2}

_WORD = 2**32 - 1
_LEAST_SPREAD, _LEAST_FREEDOM, _LARGEST_LOG_RATIO, _LEAST_DISPERSION = 1e-3, 2.0, 8.0, 1e-3


def philox(counter: Sequence[int], seed: int) -> list[int]:
    """Return the four words of 32 bits of a counter: Philox 4x32-10.

    Args:
        counter: Four words of 32 bits.
        seed: 64 bits.
    """
    key0, key1 = seed & _WORD, seed >> 32 & _WORD
    word = list(counter)
    for _ in range(10):
        a, b = 0xD2511F53 * word[0], 0xCD9E8D57 * word[2]
        word = [b >> 32 ^ word[1] ^ key0, b & _WORD, a >> 32 ^ word[3] ^ key1, a & _WORD]
        key0, key1 = key0 + 0x9E3779B9 & _WORD, key1 + 0xBB67AE85 & _WORD
    return word


class Draws:
    """The random numbers of one step of one path of one series.

    Args:
        seed: 64 bits.
        series, path, step: Numbers of 32 bits.
    """

    def __init__(self, seed: int, series: int, path: int, step: int) -> None:
        self._seed, self._counter, self._spare = seed, [step, path, series, 0], list[float]()

    def uniform(self) -> float:
        """Return a number between 0 and 1, both excluded."""
        if not self._spare:
            w = philox(self._counter, self._seed)
            self._counter[3] += 1
            self._spare = [((w[i + 1] << 32 | w[i]) >> 12) + 0.5 for i in (2, 0)]
        return self._spare.pop() * 2.0**-52

    def normal(self) -> float:
        """Return a number from the standard normal distribution."""
        radius = math.sqrt(-2 * math.log(self.uniform()))
        return radius * math.cos(6.283185307179586 * self.uniform())

    def gamma(self, a: float) -> float:
        """Return a number from the gamma distribution with shape a > 0 and scale 1."""
        if a < 1:
            drawn = self.gamma(a + 1)
            return float(drawn * self.uniform() ** (1 / a))
        d = a - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            x = self.normal()
            root = 1 + c * x
            if root <= 0:
                continue
            v = root * root * root
            if math.log(self.uniform()) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v

    def student(self, nu: float) -> float:
        """Return a number from Student's t distribution with nu > 0 degrees of freedom."""
        z = self.normal()
        return z / math.sqrt(self.gamma(nu / 2) / (nu / 2))

    def poisson(self, mean: float) -> float:
        """Return a count with this mean."""
        if mean < 10:
            p, k, u = math.exp(-mean), 0, self.uniform()
            while u > p and k < 1000:
                u -= p
                k += 1
                p *= mean / k
            return float(k)
        if mean > 1e12:
            return float(math.floor(mean + math.sqrt(mean) * self.normal()))
        return self._poisson_by_rejection(mean)

    def negative_binomial(self, mean: float, r: float) -> float:
        """Return a count with this mean and the variance mean + mean**2 / r."""
        drawn = self.gamma(r)
        return self.poisson(drawn * (mean / r))

    def _poisson_by_rejection(self, mean: float) -> float:
        b = 0.931 + 2.53 * math.sqrt(mean)
        a = -0.059 + 0.02483 * b
        inverse, quick = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
        while True:
            u, v = self.uniform() - 0.5, self.uniform()
            us = 0.5 - abs(u)
            k = float(math.floor((2 * a / us + b) * u + mean + 0.43))
            if us >= 0.07 and v <= quick:
                return k
            if k < 0 or (us < 0.013 and v > us):
                continue
            chance = k * math.log(mean) - mean - _log_factorial(k)
            if math.log(v) + math.log(inverse) - math.log(a / (us * us) + b) <= chance:
                return k


def _log_factorial(k: float) -> float:
    if k < 10:
        return math.log(math.factorial(int(k)))
    inverse = 1 / k
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    return (k + 0.5) * math.log(k) - k + 0.9189385332046727 + series


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def drawn(distribution: str, outputs: Sequence[float], base: float, unit: float, draws: Draws) -> float:
    """Return one value in units of the series, NaN if an output is not finite.

    Args:
        distribution: A name of `DISTRIBUTIONS`; `_core.pyi` says what the outputs of each mean.
        outputs: The outputs of the model.
        base, unit: The value is base + unit * z, where the outputs describe z, or a count whose mean is a multiple of
            unit.
        draws: The random numbers.
    """
    raw = [float(value) for value in outputs]
    if not all(map(math.isfinite, raw)):
        return math.nan
    if distribution == "gaussian":
        return base + unit * (raw[0] + math.exp(0.5 * raw[1]) * draws.normal())
    if distribution == "gaussian_spread":
        return base + unit * (raw[0] + (_softplus(raw[1]) + _LEAST_SPREAD) * draws.normal())
    if distribution == "student":
        spread, freedom = _softplus(raw[1]) + _LEAST_SPREAD, _softplus(raw[2]) + _LEAST_FREEDOM
        return base + unit * (raw[0] + spread * draws.student(freedom))
    if distribution == "negative_binomial":
        mean = unit * math.exp(min(max(raw[0], -_LARGEST_LOG_RATIO), _LARGEST_LOG_RATIO))
        return draws.negative_binomial(mean, 1 / (_softplus(raw[1]) + _LEAST_DISPERSION))
    return base + unit * raw[0]
