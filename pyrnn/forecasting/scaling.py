"""The contract of scalers: what all of them do, and how they check and group their arguments."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.forecasting.panel import Panel
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]


class Scaler:
    """What all scalers do: learn from the rows of training, transform, and transform back.

    Subclasses define `_learn`, `_forward` and `_backward`, and list their arrays in `state_names`.

    Example:
        >>> from pyrnn.forecasting import StandardScaler
        >>> scaler = StandardScaler().fit(np.array([[1.0], [3.0], [10.0], [30.0]]), group=[0, 0, 1, 1])
        >>> scaled = scaler.transform(np.array([[3.0], [30.0]]), group=[0, 1])
        >>> scaled.tolist(), scaler.inverse_transform(scaled, group=[0, 1]).tolist()
        ([[1.0], [1.0]], [[3.0], [30.0]])
    """

    state_names: tuple[str, ...] = ()
    columns_: int
    groups_: int

    def fit(self, values: Any, group: Any = None) -> Any:
        """Learn from the rows of training.

        Args:
            values: Rows (R, C), one column for each target, with NaN for what is missing; or a `Panel`, whose targets
                are used.
            group: (R,) the number of the series of each row. By default there is one series; of a panel it is known.

        Returns:
            The scaler.

        Raises:
            TypeError, ValueError: For values of another shape, infinite values, or groups of another length.
        """
        if isinstance(values, Panel):
            inside = values.in_history
            values, group = values.target[inside], values.codes[inside]
        rows = _floats("values", values)
        if rows.ndim != 2 or not rows.size:
            raise ValueError(f"values must have shape (rows, columns), got {rows.shape}")
        codes = _codes(group, len(rows))
        self._check_values(rows)
        self.columns_, self.groups_ = rows.shape[1], int(codes.max()) + 1
        self._learn(rows.astype(np.float64), codes)
        return self

    def transform(self, values: Any, group: Any = None, past: Any = None) -> Array:
        """Scale values.

        Args:
            values: Rows (R, C), or windows (N, T, C) with any axes between time and columns; NaN stays NaN.
            group: (R,) or (N,) the number of the series of each row or window; by default all are of the first.
            past: (N, L, C) what was known before the windows, in original units: windows are scaled by it. By default
                `values` are the past themselves. Only scalers that look at windows use it.

        Returns:
            The scaled values, in the shape and dtype of `values`.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: For values or a past of the wrong shape, or a series that `fit` did not see.
        """
        numbers, codes, before = self._arguments(values, group, past)
        self._check_values(numbers)
        return self._forward(numbers.astype(np.float64), codes, before).astype(numbers.dtype)

    def inverse_transform(self, values: Any, group: Any = None, past: Any = None) -> Array:
        """Return scaled values in their original units.

        Args:
            values: What `transform` returned or a model forecasts, rows (R, C) or windows (N, T, C).
            group: (R,) or (N,) the number of the series of each row or window; by default all are of the first.
            past: (N, L, C) what `transform` received, in original units.

        Returns:
            The values in the shape and dtype of `values`.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: For values or a past of the wrong shape, a series that `fit` did not see, or a past that this
                scaler needs and did not receive.
        """
        numbers, codes, before = self._arguments(values, group, past)
        return self._backward(numbers.astype(np.float64), codes, before).astype(numbers.dtype)

    def fit_transform(self, values: Any, group: Any = None) -> Array:
        """Learn from rows and scale them.

        Args:
            values: Rows (R, C).
            group: (R,) the number of the series of each row.

        Returns:
            The scaled rows.
        """
        self.fit(values, group)
        return self.transform(values, group)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Returns:
            A dict that JSON can hold.
        """
        return {}

    def get_state(self) -> dict[str, Array]:
        """Return what `fit` learned, as arrays by name.

        Returns:
            A dict that `set_state` reads.

        Raises:
            RuntimeError: Before `fit`.
        """
        self._check_fitted()
        return {name: np.asarray(getattr(self, name)) for name in ("columns_", "groups_", *self.state_names)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `fit` learned.

        Args:
            state: What `get_state` returned.

        Raises:
            ValueError: If arrays are missing.
        """
        if lacking := [name for name in ("columns_", "groups_", *self.state_names) if name not in state]:
            raise ValueError(f"state must have the arrays {', '.join(lacking)}, got {', '.join(state) or 'none'}")
        self.columns_, self.groups_ = int(state["columns_"]), int(state["groups_"])
        for name in self.state_names:
            setattr(self, name, np.asarray(state[name], np.float64))

    def _check_fitted(self) -> None:
        if not hasattr(self, "columns_"):
            raise RuntimeError(f"{type(self).__name__} must learn before it is used: call fit first")

    def _check_values(self, values: Array) -> None:
        if np.isinf(values).any():
            raise ValueError("values must be finite or NaN, got an infinite one")

    def _arguments(self, values: Any, group: Any, past: Any) -> tuple[Array, NDArray[np.int64], Array | None]:
        """The checked arguments of a transform."""
        self._check_fitted()
        numbers = _floats("values", values)
        if numbers.ndim < 2 or numbers.shape[-1] != self.columns_:
            raise ValueError(f"values must have shape (rows, ..., {self.columns_}), got {numbers.shape}")
        codes = _codes(group, len(numbers))
        if len(codes) and codes.max() >= self.groups_:
            raise ValueError(f"group must be below {self.groups_}, the series that fit saw, got {codes.max()}")
        if past is None:
            return numbers, codes, None
        before = _floats("past", past).astype(np.float64)
        if before.ndim != 3 or len(before) != len(numbers) or before.shape[-1] != self.columns_:
            raise ValueError(f"past must have shape ({len(numbers)}, L, {self.columns_}), got {before.shape}")
        return numbers, codes, before

    def _learn(self, rows: Array, codes: NDArray[np.int64]) -> None:
        """Learn from rows (R, C) of the series with the numbers `codes`."""

    def _forward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        raise NotImplementedError

    def _backward(self, values: Array, codes: NDArray[np.int64], past: Array | None) -> Array:
        raise NotImplementedError


def _floats(argument: str, values: Any) -> Array:
    """The values as an array of floats."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise WrongType(f"{argument} must be an array of numbers, got {shown(values)}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _codes(group: Any, count: int) -> NDArray[np.int64]:
    """The numbers of the series."""
    if group is None:
        return np.zeros(count, np.int64)
    codes = np.asarray(group)
    if codes.shape != (count,) or codes.dtype.kind not in "iu" or (codes < 0).any():
        raise ValueError(f"group must hold {count} whole numbers, one for each of the values, got {shown(group)}")
    return codes.astype(np.int64)


def for_each(statistic: Any, rows: Array, codes: NDArray[np.int64], empty: float) -> Array:
    """(G, C) a statistic of the numbers in each column of each series; `empty` where there are none."""
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(codes.max() + 2))
    result = np.full((len(edges) - 1, rows.shape[1]), empty)
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        block = rows[order[first:last]]
        for column in range(rows.shape[1]):
            numbers = block[~np.isnan(block[:, column]), column]
            if len(numbers):
                result[number, column] = statistic(numbers)
    return result


def between(array: Array, values: Array) -> Array:
    """(N, C) or (N, 1, C) with axes of size 1, so that it broadcasts with `values` (N, ..., C)."""
    return array.reshape(len(array), *(1,) * (values.ndim - 2), array.shape[-1])
