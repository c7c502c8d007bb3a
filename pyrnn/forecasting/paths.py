"""Sample paths of a model that reads its own forecasts: all paths and all steps in one call of the core."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules, seeds
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_float
from pyrnn.typing import IS_MODEL, ArrayLike, Numbers, Seed, Size
from pyrnn.validation import shown

__all__ = ["sample_paths"]

Array = NDArray[Any]
AnyModel = Annotated[Any, IS_MODEL]
# What the model's outputs mean, and how many there are.
HEADS = {"point": 1, "gaussian": 2, "gaussian_spread": 2, "student": 3, "negative_binomial": 2}
HeadName = Annotated[str, rules.OneOf(*HEADS)]
Column = Annotated[int, rules.Whole(0)]


@checked
def sample_paths(
    model: AnyModel,
    x: ArrayLike,
    future: ArrayLike | None = None,
    *,
    horizon: Size,
    paths: Size = 100,
    head: HeadName = "gaussian",
    origin: Numbers = 0.0,
    unit: Numbers = 1.0,
    column: Column = 0,
    seed: Seed | None = None,
) -> Any:
    """Draw paths of the next steps of each series from a model that forecasts one step ahead.

    The model has read the rows of x. Each path draws the next value from the distribution that the model's outputs
    describe, feeds it back as the target of the next row, next to that row's covariates, and so on. The core runs all
    paths and steps in one call; 100 paths of 24 steps of two LSTM layers with 40 units take about a millisecond.

    With softplus(a) = log(1 + exp(a)), `origin` and `unit` of the series, and z a value as the model reads it, value =
    origin + unit * z, the outputs for each head are

    - "point": z, which is not random, so that all paths are equal;
    - "gaussian": the mean and the log variance of z, as in `pyrnn.losses.GaussianNLL`;
    - "gaussian_spread": the mean of z and its deviation softplus(a) + 0.001;
    - "student": the location of z, its scale softplus(a) + 0.001 and its degrees of freedom softplus(b) + 2;
    - "negative_binomial": log(mean / unit) of the count itself, clipped to -8..8, and a dispersion d = softplus(a) +
      0.001, so that the variance is mean + d * mean**2.

    Args:
        model: A built model that can be streamed and consists of SimpleRNN, LSTM, GRU, Dense, Activation and
            LayerNormalization alone, with the outputs of `head`.
        x: The rows up to now as the model reads them, shape (batch, time, features).
        future: The covariates of the rows after x, without the target and in the order of x, shape (batch, horizon - 1,
            features - 1). None if the model reads the target alone or horizon is 1.
        horizon: Steps ahead.
        paths: Paths of each series.
        head: What the model's outputs mean: "point", "gaussian", "gaussian_spread", "student" or "negative_binomial".
        origin, unit: What the model reads is (value - origin) / unit, a number or one for each series, shape (batch,).
        column: The column of x that holds the target.
        seed: 0 to 2**64 - 1. The numbers depend on it and on the numbers of series, path and step, not on threads or on
            how many paths there are. None draws one from the seed of the process.

    Returns:
        An array (batch, paths, horizon) of the model's dtype, in units of the series; NaN from a step on at which the
        model's output is not finite.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If a shape does not match, the model cannot be streamed or has layers that the core does not run, or
            `unit` is not positive.

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> from pyrnn.forecasting import sample_paths
        >>> model = Sequential([layers.LSTM(8, input_shape=(None, 1)), layers.Dense(2)])
        >>> model.compile("adam", "gaussian_nll")
        >>> sales = np.array([[12.0, 15.0, 11.0, 14.0]])
        >>> mean = sales.mean()
        >>> values = sample_paths(model, (sales / mean)[..., None], horizon=3, paths=200, unit=mean, seed=1)
        >>> values.shape
        (1, 200, 3)
        >>> np.quantile(values, [0.1, 0.5, 0.9], axis=1).shape
        (3, 1, 3)
    """
    array = as_float("x", x, model.dtype)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"x must have shape (batch, time, features) and hold at least one row, got {array.shape}")
    batch, steps, features = array.shape
    if column >= features:
        raise ValueError(f"column must be one of the {features} columns of x, from 0 on, got {column}")
    stream = model.stream(batch)
    if stream.core is None:
        raise ValueError(
            "model must consist of SimpleRNN, LSTM, GRU, Dense, Activation and LayerNormalization, which run in the "
            f"core, got layers {', '.join(type(each).__name__ for each in model.layers)}"
        )
    if model.output_shape[-1] != HEADS[head]:
        raise ValueError(
            f"model must have {HEADS[head]} output(s) for head={head!r}, got {model.output_shape[-1]}: end it with "
            f"Dense({HEADS[head]})"
        )
    inputs = _inputs(array, future, horizon, column)
    center, width = _per_series("origin", origin, batch, model.dtype), _per_series("unit", unit, batch, model.dtype)
    if not (width > 0).all():
        raise ValueError(f"unit must be positive, got {shown(unit)}")
    chosen = seeds.next_seed() if seed is None else seed
    if chosen >= 2**64:
        raise ValueError(f"seed must be at most 2**64 - 1, got {shown(seed)}")
    for t in range(steps - 1):
        stream.step(array[:, t])
    ahead = np.ones((batch, horizon), model.dtype)
    base, widths = center[:, None] * ahead, width[:, None] * ahead
    return stream.core.sample(inputs, center, width, None, base, widths, head, paths, column, signed_seed(chosen))


def signed_seed(seed: int) -> int:
    """Return the 64 bits of a seed as the signed integer that the core takes."""
    return seed - 2**64 if seed >= 2**63 else seed


def _inputs(x: Array, future: Any, horizon: int, column: int) -> Array:
    """What the model reads at each step ahead (batch, horizon, features): the last row of x, then the covariates."""
    batch, _, features = x.shape
    inputs = np.zeros((batch, horizon, features), x.dtype)
    inputs[:, 0] = x[:, -1]
    shape = (batch, horizon - 1, features - 1)
    if future is None:
        if horizon > 1 and features > 1:
            raise ValueError(
                f"future must hold covariates of shape (batch, horizon - 1, features - 1) = {shape}, got None"
            )
        return inputs
    covariates = as_float("future", future, x.dtype.name)
    if covariates.shape != shape:
        raise ValueError(
            f"future must have shape (batch, horizon - 1, features - 1) = {shape}, without the target, got "
            f"{covariates.shape}"
        )
    inputs[:, 1:, [i for i in range(features) if i != column]] = covariates
    return inputs


def _per_series(argument: str, value: Any, batch: int, dtype: str) -> Array:
    """One finite number for each series."""
    array = np.asarray(value)
    if array.shape not in ((), (1,), (batch,)):
        raise ValueError(f"{argument} must be a number or have shape (batch,) = ({batch},), got {array.shape}")
    return np.ascontiguousarray(np.broadcast_to(array, (batch,)), dtype)
