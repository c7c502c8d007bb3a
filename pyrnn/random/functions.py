"""The functions that draw random numbers, from NumPy's generators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import config, rules, seeds
from pyrnn.arguments import checked
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.random.seed_generator import SeedLike
from pyrnn.rules import Unchecked
from pyrnn.symbols import Drawn, Symbol, tracing
from pyrnn.typing import Finite, Inputs, NonNegative, Rate, ShapeLike, Size
from pyrnn.validation import shown

Array = NDArray[Any]

__all__ = [
    "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint", "shuffle",
    "truncated_normal", "uniform",
]  # fmt: skip


Integer = Annotated[int, rules.Whole(-(2**63), 2**63)]


class _InRange(rules.Numbers):
    """Numbers from `least` to `most`, or above `least`, in an array that broadcasts with the result."""

    def __init__(self, least: float, most: float = math.inf, *, above: bool = False, whole: bool = False) -> None:
        self.least, self.most, self.above, self.whole = least, most, above, whole

    def check(self, argument: str, value: Any) -> None:
        super().check(argument, value)
        array = np.asarray(value)
        if not ((array > self.least if self.above else array >= self.least) & (array <= self.most)).all():
            least = f"above {self.least}" if self.above else f"at least {self.least}"
            raise ValueError(
                f"{argument} must be {least if self.most == math.inf else f'from {self.least} to {self.most}'}, "
                f"got {shown(value)}"
            )
        if self.whole and (array != np.floor(array)).any():
            raise ValueError(f"{argument} must hold whole numbers, got {shown(value)}")


class _DtypeOf(rules.Dtype):
    """A dtype of some kinds of numbers, by NumPy's letters; None is the default."""

    def __init__(self, kinds: str, example: str) -> None:
        self.kinds, self.example = kinds, example

    def check(self, argument: str, value: Any) -> None:
        super().check(argument, value)
        if value is not None and not isinstance(value, Mapping) and np.dtype(value).kind not in self.kinds:
            raise ValueError(f"{argument} must be a dtype such as '{self.example}', got {shown(value)}")


Positives = Annotated[Any, _InRange(0, above=True)]
FloatDtype = Annotated[Any, _DtypeOf("f", "float32")]
IntegerDtype = Annotated[Any, _DtypeOf("iu", "int32")]


def _drawn(shape: Any, dtype: Any, seed: Any, draw: Callable[[np.random.Generator, tuple[int, ...]], Any]) -> Any:
    """An array of random numbers; in a traced call the symbol of arrays that each run draws."""
    sizes = tuple(shape)
    if not all(isinstance(size, int | np.integer) for size in sizes):
        raise ValueError(
            f"shape must hold sizes that are known, got {sizes}: draw random numbers in call of a custom layer, or use "
            "layers such as GaussianNoise"
        )
    kind = config.floatx() if dtype is None else str(np.dtype(dtype))

    def numbers() -> Array:
        return np.asarray(draw(seeds.generator(seed), sizes)).astype(kind)

    return numbers() if tracing.symbol_of is None else tracing.symbol_of(Drawn(sizes, kind, numbers))


@checked
def normal(
    shape: ShapeLike,
    mean: Finite = 0.0,
    stddev: NonNegative = 1.0,
    dtype: FloatDtype = None,
    seed: SeedLike | None = None,
) -> Any:
    """Draw from a normal distribution.

    Args:
        shape: shape of the result.
        mean: mean of the distribution.
        stddev: its standard deviation, at least 0.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.normal((2, 3)).shape
        (2, 3)
    """
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.normal(mean, stddev, sizes))


@checked
def truncated_normal(
    shape: ShapeLike,
    mean: Finite = 0.0,
    stddev: NonNegative = 1.0,
    dtype: FloatDtype = None,
    seed: SeedLike | None = None,
) -> Any:
    """Draw from a normal distribution without the values that are more than two standard deviations from its mean.

    Args:
        shape: shape of the result.
        mean: mean of the distribution.
        stddev: standard deviation of the whole distribution, at least 0.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> bool(abs(random.truncated_normal((100,))).max() <= 2)
        True
    """

    def draw(generator: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = generator.standard_normal(sizes)
        while (outside := np.abs(values) > 2).any():
            values = np.where(outside, generator.standard_normal(sizes), values)
        return mean + stddev * values

    return _drawn(shape, dtype, seed, draw)


@checked
def uniform(
    shape: ShapeLike, minval: Finite = 0.0, maxval: Finite = 1.0, dtype: FloatDtype = None, seed: SeedLike | None = None
) -> Any:
    """Draw from a uniform distribution.

    Args:
        shape: shape of the result.
        minval: the smallest value.
        maxval: the end of the range, at least `minval`.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.uniform((2, 3)).shape
        (2, 3)
    """
    if maxval < minval:
        raise ValueError(f"maxval must be at least minval = {minval}, got {maxval}")
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.uniform(minval, maxval, sizes))


@checked
def randint(
    shape: ShapeLike,
    minval: Integer,
    maxval: Integer,
    dtype: IntegerDtype = "int32",
    seed: SeedLike | None = None,
) -> Any:
    """Draw integers.

    Args:
        shape: shape of the result.
        minval: the smallest value.
        maxval: the end of the range, which is not drawn, more than `minval`.
        dtype: dtype of the result, of whole numbers.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.randint((2, 3), 0, 10).shape
        (2, 3)
    """
    if maxval <= minval:
        raise ValueError(f"maxval must be more than minval = {minval}, got {maxval}")
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.integers(minval, maxval, sizes))


@checked
def gamma(shape: ShapeLike, alpha: Positives, dtype: FloatDtype = None, seed: SeedLike | None = None) -> Any:
    """Draw from a gamma distribution.

    Args:
        shape: shape of the result.
        alpha: shape parameter of the distribution, above 0; a number, or an array that broadcasts to the shape.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.gamma((2, 3), 0.5).shape
        (2, 3)
    """
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.gamma(np.asarray(alpha), size=sizes))


@checked
def beta(
    shape: ShapeLike, alpha: Positives, beta: Positives, dtype: FloatDtype = None, seed: SeedLike | None = None
) -> Any:
    """Draw from a beta distribution.

    Args:
        shape: shape of the result.
        alpha: first parameter of the distribution, above 0; a number, or an array that broadcasts to the shape.
        beta: second parameter, likewise.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.beta((2, 3), 0.5, 2.0).shape
        (2, 3)
    """
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.beta(alpha, beta, sizes))


@checked
def binomial(
    shape: ShapeLike,
    counts: Annotated[Any, _InRange(0, whole=True)],
    probabilities: Annotated[Any, _InRange(0, 1)],
    dtype: FloatDtype = None,
    seed: SeedLike | None = None,
) -> Any:
    """Draw from a binomial distribution.

    Args:
        shape: shape of the result.
        counts: number of trials; a number, or an array that broadcasts to the shape.
        probabilities: probability of a success, from 0 to 1, likewise.
        dtype: dtype of floats, or None for the default of `pyrnn.config`.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (*shape).

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> from pyrnn import random
        >>> random.binomial((2, 3), 10, 0.5).shape
        (2, 3)
    """
    trials = np.asarray(counts).astype(np.int64)
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.binomial(trials, probabilities, sizes))


@checked
def categorical(
    logits: Inputs, num_samples: Size, dtype: Annotated[Any, Unchecked()] = "int32", seed: SeedLike | None = None
) -> Any:
    """Draw classes.

    Args:
        logits: unnormalized logarithms of the probabilities (B, classes).
        num_samples: number of draws for each row, at least 1.
        dtype: dtype of the result.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array (B, num_samples) of classes.

    Raises:
        TypeError, ValueError: if `logits` does not have two axes.

    Example:
        >>> import numpy as np
        >>> from pyrnn import random
        >>> random.categorical(np.zeros((2, 3)), 4).shape
        (2, 4)
    """
    logits = logits if isinstance(logits, Symbol) else np.asarray(logits)
    if len(logits.shape) != 2:
        raise ValueError(f"logits must have shape (batch, classes), got {tuple(logits.shape)}")
    rows, classes = logits.shape
    noise = _drawn((rows, num_samples, classes), None, seed, lambda generator, sizes: generator.gumbel(size=sizes))
    return OPERATIONS["cast"](
        OPERATIONS["argmax"](OPERATIONS["add"](OPERATIONS["expand_dims"](logits, 1), noise), axis=-1), dtype
    )


@checked
def dropout(inputs: Inputs, rate: Rate, noise_shape: ShapeLike | None = None, seed: SeedLike | None = None) -> Any:
    """Set values to 0 at random and divide the others by 1 - rate.

    Args:
        inputs: array (...).
        rate: probability with which a value is dropped, from 0 to 1.
        noise_shape: shape of the mask, which broadcasts with the inputs, or None for theirs.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array of the shape of the inputs.

    Raises:
        TypeError, ValueError: if an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from pyrnn import random
        >>> random.dropout(np.ones((2, 3)), 0.5).shape
        (2, 3)
    """
    inputs = inputs if isinstance(inputs, Symbol) else np.asarray(inputs)
    sizes = inputs.shape if noise_shape is None else noise_shape
    sizes = [size if wanted is None else wanted for size, wanted in zip(inputs.shape, sizes, strict=True)]
    scale = 0.0 if rate >= 1 else 1 / (1 - rate)
    dtype = inputs.dtype if np.dtype(inputs.dtype).kind == "f" else None
    return OPERATIONS["multiply"](
        inputs, _drawn(sizes, dtype, seed, lambda generator, shape: (generator.random(shape) >= rate) * scale)
    )


@checked
def shuffle(x: Inputs, axis: Annotated[int, Unchecked()] = 0, seed: SeedLike | None = None) -> Any:
    """Permute the entries of an array along an axis.

    Args:
        x: array (...).
        axis: the axis.
        seed: an integer, which gives the same numbers at each call, a `SeedGenerator`, or None for the stream of pyrnn.

    Returns:
        An array of the shape of x.

    Raises:
        TypeError, ValueError: if x does not have this axis.

    Example:
        >>> import numpy as np
        >>> from pyrnn import random
        >>> sorted(random.shuffle(np.arange(4)).tolist())
        [0, 1, 2, 3]
    """
    x = x if isinstance(x, Symbol) else np.asarray(x)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -len(x.shape) <= axis < len(x.shape):
        raise ValueError(f"axis must be one of the {len(x.shape)} axes of x, got {shown(axis)}")
    order = _drawn((x.shape[axis],), "int64", seed, lambda generator, sizes: generator.permutation(sizes[0]))
    return OPERATIONS["take"](x, order, axis=axis)
