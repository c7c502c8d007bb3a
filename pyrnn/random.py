"""Random numbers under the names of keras.random, from NumPy's generators.

In `call` of a custom layer they are symbols, and each run of the layer draws new numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import config, rules, seeds
from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.ops.dispatch import OPERATIONS
from pyrnn.rules import Unchecked
from pyrnn.symbols import Drawn, Symbol, tracing
from pyrnn.typing import DtypeLike, Finite, Inputs, Name, NonNegative, Positive, Rate, Seed, ShapeLike, Size
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint", "shuffle",
    "truncated_normal", "uniform",
]  # fmt: skip


class SeedGenerator(np.random.Generator):
    """A stream of random numbers for the functions of this module, as their argument `seed`.

    In an attribute of a custom layer it is part of the layer: a resumed training continues it.

    Args:
        seed: an integer of at least 0, or None to derive one from `pyrnn.utils.set_random_seed`.
        name: accepted as in Keras; a stream has no name.

    Raises:
        TypeError, ValueError: if `seed` is not such an integer.

    Example:
        >>> from pyrnn import random
        >>> seed = random.SeedGenerator(1)
        >>> random.normal((2, 3), seed=seed).shape
        (2, 3)
    """

    @checked
    def __init__(self, seed: Seed | None = None, name: Name | None = None) -> None:
        super().__init__(np.random.PCG64(seeds.next_seed() if seed is None else seed))


class _IsSeed(rules.Rule):
    """An integer, or a generator of NumPy."""

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, np.random.Generator):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise WrongType(f"{argument} must be an integer, a SeedGenerator or None, got {shown(value)}")
            if value < 0:
                raise ValueError(f"{argument} must be at least 0, got {value}")


Integer = Annotated[int, rules.Whole(-(2**63), 2**63)]
SeedLike = Annotated[Any, _IsSeed()]


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
        generator = seed if isinstance(seed, np.random.Generator) else seeds.generator(seed)
        return np.asarray(draw(generator, sizes)).astype(kind)

    return numbers() if tracing.symbol_of is None else tracing.symbol_of(Drawn(sizes, kind, numbers))


@checked
def normal(
    shape: ShapeLike,
    mean: Finite = 0.0,
    stddev: NonNegative = 1.0,
    dtype: DtypeLike = None,
    seed: SeedLike | None = None,
) -> Any:
    """Draw from a normal distribution.

    Args:
        shape: shape of the result.
        mean: mean of the distribution.
        stddev: its standard deviation, at least 0.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    dtype: DtypeLike = None,
    seed: SeedLike | None = None,
) -> Any:
    """Draw from a normal distribution without the values that are more than two standard deviations from its mean.

    Args:
        shape: shape of the result.
        mean: mean of the distribution.
        stddev: standard deviation of the whole distribution, at least 0.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    shape: ShapeLike, minval: Finite = 0.0, maxval: Finite = 1.0, dtype: DtypeLike = None, seed: SeedLike | None = None
) -> Any:
    """Draw from a uniform distribution.

    Args:
        shape: shape of the result.
        minval: the smallest value.
        maxval: the end of the range, at least `minval`.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    dtype: Annotated[Any, Unchecked()] = "int32",
    seed: SeedLike | None = None,
) -> Any:
    """Draw integers.

    Args:
        shape: shape of the result.
        minval: the smallest value.
        maxval: the end of the range, which is not drawn, more than `minval`.
        dtype: dtype of the result.
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
def gamma(shape: ShapeLike, alpha: Positive, dtype: DtypeLike = None, seed: SeedLike | None = None) -> Any:
    """Draw from a gamma distribution.

    Args:
        shape: shape of the result.
        alpha: shape parameter of the distribution, above 0.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.gamma(alpha, size=sizes))


@checked
def beta(
    shape: ShapeLike, alpha: Positive, beta: Positive, dtype: DtypeLike = None, seed: SeedLike | None = None
) -> Any:
    """Draw from a beta distribution.

    Args:
        shape: shape of the result.
        alpha: first parameter of the distribution, above 0.
        beta: second parameter, above 0.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    shape: ShapeLike, counts: Size, probabilities: Rate, dtype: DtypeLike = None, seed: SeedLike | None = None
) -> Any:
    """Draw from a binomial distribution.

    Args:
        shape: shape of the result.
        counts: number of trials, at least 1.
        probabilities: probability of a success, from 0 to 1.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
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
    return _drawn(shape, dtype, seed, lambda generator, sizes: generator.binomial(counts, probabilities, sizes))


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
    dtype = inputs.dtype if str(inputs.dtype) in ("float32", "float64") else None
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


explain(__name__)
