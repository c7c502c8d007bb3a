"""Scalers of series, with exact inverses: a model sees numbers around 0 or 1, whatever the units of a series are.

They follow scikit-learn's style, with two additions: rows have the number of their series (`group`), and what a scaler
takes from a window comes from `past`, so that nothing later than the window is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.forecasting.scaling import Array, Scaler, between, for_each
from pyrnn.typing import Size
from pyrnn.validation import WrongType, did_you_mean, shown

# A spread below this many units of rounding of the largest value is rounding, not spread.
ROUNDING = 10 * np.finfo(np.float64).eps


def _spread(numbers: Array) -> float:
    """The standard deviation, 1 if it is only rounding."""
    spread = float(numbers.std())
    return spread if spread > ROUNDING * float(np.abs(numbers).max()) else 1.0


def _quartile_range(numbers: Array) -> float:
    """The distance of the quartiles; the standard deviation if it is 0, as for sales of which most are 0."""
    low, high = np.quantile(numbers, [0.25, 0.75])
    return float(high - low) if high - low > ROUNDING * float(np.abs(numbers).max()) else _spread(numbers)


def _level(numbers: Array) -> float:
    """The mean size of the numbers, 1 if they are all 0."""
    return float(np.abs(numbers).mean()) or 1.0


class _Affine(Scaler):
    """A scaler that subtracts a number and divides by another, both of the series."""

    state_names = ("shift_", "scale_")
    shift_: Array  # (G, C)
    scale_: Array  # (G, C)

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        return (values - between(self.shift_[codes], values)) / between(self.scale_[codes], values)

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        return values * between(self.scale_[codes], values) + between(self.shift_[codes], values)


class StandardScaler(_Affine):
    """Subtract the mean of the series and divide by its standard deviation, or by 1 if it is constant.

    Example:
        >>> from pyrnn.forecasting import StandardScaler
        >>> StandardScaler().fit_transform(np.array([[1.0], [np.nan], [3.0]])).tolist()
        [[-1.0], [nan], [1.0]]
    """

    def _learn(self, rows: Array, codes: NDArray[np.int64]) -> None:
        self.shift_ = for_each(np.mean, rows, codes, 0.0)
        self.scale_ = for_each(_spread, rows, codes, 1.0)


class RobustScaler(_Affine):
    """Subtract the median of the series and divide by the distance of its quartiles, which outliers do not move.

    Where the quartiles are equal, the standard deviation takes the place of their distance.

    Example:
        >>> from pyrnn.forecasting import RobustScaler
        >>> RobustScaler().fit_transform(np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]])).ravel().tolist()
        [-1.0, -0.5, 0.0, 0.5, 498.5]
    """

    def _learn(self, rows: Array, codes: NDArray[np.int64]) -> None:
        self.shift_ = for_each(np.median, rows, codes, 0.0)
        self.scale_ = for_each(_quartile_range, rows, codes, 1.0)


class WindowMeanScaler(Scaler):
    """Divide by the mean size of the past of each window, so that windows of growing series look alike.

    Where the past is all 0 or missing, the mean size of the series in the rows of training takes its place.

    Source: Salinas et al., DeepAR, 2020 (section 3.3).

    Example:
        >>> from pyrnn.forecasting import WindowMeanScaler
        >>> scaler = WindowMeanScaler().fit(np.array([[4.0], [8.0]]))
        >>> scaler.transform(np.array([[[9.0]]]), past=np.array([[[2.0], [4.0]]])).tolist()
        [[[3.0]]]
    """

    state_names = ("level_",)
    level_: Array  # (G, C)

    def _learn(self, rows: Array, codes: NDArray[np.int64]) -> None:
        self.level_ = for_each(_level, rows, codes, 1.0)

    def _levels(self, values: Array, codes: NDArray[np.int64], past: Array) -> Array:
        """The level of each window, in a shape that broadcasts with its values."""
        present = ~np.isnan(past)
        total = np.where(present, np.abs(past), 0.0).sum(axis=1)
        mean = total / np.maximum(present.sum(axis=1), 1)
        return between(np.where(mean > 0, mean, self.level_[codes]), values)

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        if past is None and values.ndim != 3:
            raise ValueError(f"values must be windows of shape (N, T, {self.columns_}), got {values.shape}")
        return values / self._levels(values, codes, values if past is None else past)

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        if past is None:
            raise ValueError("past must be passed, since the scale of a window comes from it")
        return values * self._levels(values, codes, past)


class LogScaler(Scaler):
    """Take log(1 + value), which turns growth by a factor into growth by a sum. Values must be above -1.

    Example:
        >>> from pyrnn.forecasting import LogScaler
        >>> LogScaler().fit_transform(np.array([[0.0], [np.e - 1]])).tolist()
        [[0.0], [1.0]]
    """

    def _check_values(self, values: Array) -> None:
        super()._check_values(values)
        if (values <= -1).any():
            raise ValueError(f"values must be above -1 for log(1 + value), got {np.nanmin(values):g}")

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        return np.asarray(np.log1p(values))

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        return np.asarray(np.expm1(values))


class DifferenceScaler(Scaler):
    """Take the difference from the value `lag` rows before, which removes a trend, or a season of that length.

    The first `lag` rows of values without a past have the difference 0.

    Args:
        lag: Rows between the two values: 1 for a trend, the length of a season for a season.

    Raises:
        ValueError: If `lag` is below 1.

    Example:
        >>> from pyrnn.forecasting import DifferenceScaler
        >>> past, later = np.array([[[1.0], [4.0]]]), np.array([[[9.0], [16.0]]])
        >>> scaler = DifferenceScaler().fit(past[0])
        >>> scaler.transform(later, past=past).ravel().tolist()
        [5.0, 7.0]
        >>> scaler.inverse_transform([[[5.0], [7.0]]], past=past).ravel().tolist()
        [9.0, 16.0]
    """

    @checked
    def __init__(self, lag: Size = 1) -> None:
        self.lag = lag

    def get_config(self) -> dict[str, Any]:
        return {"lag": self.lag}

    def _ends(self, values: Array, past: Array) -> Array:
        """The last `lag` rows of the past, in a shape that joins with the values."""
        if past.shape[1] < self.lag:
            raise ValueError(f"past must have at least lag = {self.lag} rows, got {past.shape[1]}")
        ends = past[:, past.shape[1] - self.lag :]
        ends = ends.reshape(*ends.shape[:2], *(1,) * (values.ndim - 3), ends.shape[-1])
        return np.broadcast_to(ends, (len(values), self.lag, *values.shape[2:]))

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        if values.ndim < 3:
            raise ValueError(f"values must be windows of shape (N, T, {self.columns_}), got {values.shape}")
        if past is not None:
            joined = np.concatenate([self._ends(values, past), values], axis=1)
            return np.asarray(joined[:, self.lag :] - joined[:, : -self.lag])
        result = np.zeros_like(values)
        result[:, self.lag :] = values[:, self.lag :] - values[:, : -self.lag]
        return result

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        if past is None or values.ndim < 3:
            raise ValueError("past must be passed with windows of values, since their differences add up from it")
        result = np.concatenate([self._ends(values, past), values], axis=1)
        for step in range(self.lag, result.shape[1]):
            result[:, step] += result[:, step - self.lag]
        return np.asarray(result[:, self.lag :])


class ChainScaler(Scaler):
    """Several scalers, one after the other.

    Args:
        scalers: Scalers or their names, applied in this order.

    Raises:
        TypeError: If it is no list of these.

    Example:
        >>> from pyrnn.forecasting import ChainScaler
        >>> ChainScaler(["log", "standard"]).fit_transform(np.expm1(np.array([[1.0], [3.0]]))).tolist()
        [[-1.0], [1.0]]
    """

    def __init__(self, scalers: Sequence[str | Scaler]) -> None:
        if isinstance(scalers, str) or not isinstance(scalers, Sequence) or not scalers:
            raise WrongType(f"scalers must be a list of scalers or their names, got {shown(scalers)}")
        self.scalers = [get(scaler) for scaler in scalers]

    def get_config(self) -> dict[str, Any]:
        return {"scalers": [serialize(scaler) for scaler in self.scalers]}

    def get_state(self) -> dict[str, Array]:
        inner = [scaler.get_state() for scaler in self.scalers]
        return super().get_state() | {
            f"{number}.{name}": array for number, state in enumerate(inner) for name, array in state.items()
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        for number, scaler in enumerate(self.scalers):
            prefix = f"{number}."
            scaler.set_state({name[len(prefix) :]: each for name, each in state.items() if name.startswith(prefix)})

    def _learn(self, rows: Array, codes: NDArray[np.int64]) -> None:
        for scaler in self.scalers:
            scaler.fit(rows, codes)
            if not isinstance(scaler, WindowMeanScaler | DifferenceScaler):  # those scale windows, not rows
                rows = scaler.transform(rows, codes)

    def _pasts(self, codes: NDArray[np.int64], past: Array | None) -> list[Array | None]:
        """What each scaler has as its past."""
        pasts: list[Array | None] = [past]
        for scaler in self.scalers[:-1]:
            pasts.append(None if pasts[-1] is None else scaler.transform(pasts[-1], codes))
        return pasts

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        for scaler, before in zip(self.scalers, self._pasts(codes, past), strict=True):
            values = scaler.transform(values, codes, before)
        return values

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        pairs = list(zip(self.scalers, self._pasts(codes, past), strict=True))
        for scaler, before in reversed(pairs):
            values = scaler.inverse_transform(values, codes, before)
        return values


SCALERS: dict[str, type[Scaler]] = {
    "standard": StandardScaler,
    "robust": RobustScaler,
    "window_mean": WindowMeanScaler,
    "log": LogScaler,
    "difference": DifferenceScaler,
    "chain": ChainScaler,
}


def get(scaler: Any) -> Scaler:
    """Return the scaler that a name or a description means.

    Args:
        scaler: A scaler, one of the names 'standard', 'robust', 'window_mean', 'log' and 'difference', or what
            `serialize` returned.

    Returns:
        A scaler, which has learned nothing unless it was passed as such.

    Raises:
        TypeError, ValueError: If it is none of these.

    Example:
        >>> from pyrnn.forecasting import scalers
        >>> scalers.get({"name": "difference", "lag": 7}).get_config()
        {'lag': 7}
    """
    if isinstance(scaler, Scaler):
        return scaler
    config = dict(scaler) if isinstance(scaler, Mapping) else {"name": scaler}
    name = config.pop("name", None)
    if not isinstance(name, str) or name not in SCALERS or (name == "chain" and not config):
        hint = did_you_mean(name, SCALERS) if isinstance(name, str) else ""
        raise WrongType(
            f"scaler must be a scaler or one of {', '.join(map(repr, SCALERS))}, got {shown(scaler)} {hint}".rstrip()
        )
    return SCALERS[name](**config)


def serialize(scaler: Scaler) -> dict[str, Any]:
    """Return a description of a scaler that JSON can hold, without what it learned.

    Args:
        scaler: The scaler.

    Returns:
        Its name in `SCALERS` and the arguments of its constructor.

    Raises:
        ValueError: If its class is not in `SCALERS`.

    Example:
        >>> from pyrnn.forecasting import scalers
        >>> scalers.serialize(scalers.DifferenceScaler(7))
        {'name': 'difference', 'lag': 7}
    """
    for name, cls in SCALERS.items():
        if type(scaler) is cls:
            return {"name": name, **scaler.get_config()}
    raise ValueError(f"scaler must be of a class in SCALERS, got {type(scaler).__name__}: enter it there")
