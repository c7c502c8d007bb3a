"""A model one time step at a time: what arrives is answered at once, and the states stay inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.data.batches import as_array, as_float
from pyrnn.layers import Layer
from pyrnn.validation import positive_int, shown

Array = NDArray[Any]


class Stream:
    """A stack of layers with the weights that it has now; made by `model.stream(batch_size, on_nan)`.

    `step(x)` takes the next time step of every row, x (batch, features), or (features,) where batch is 1, and returns
    the model's output for it, (batch, units), which equals `predict` on all steps so far, to rounding. The array
    returned is the stream's own: it is read-only and the next step overwrites it.

    A reading that is NaN or infinite would stay in the states until `reset`. `on_nan` says what happens to it:

    - "pass": nothing is checked, which is fastest;
    - "raise": `step` raises a ValueError and leaves all states as they were;
    - "hold": the last finite reading of the same row and feature takes its place; without one, `step` raises.

    Raises:
        ValueError: if a layer needs more than the present step (Conv1D, pooling, Bidirectional, go_backwards, masks).

    Example:
        >>> import numpy as np
        >>> from pyrnn import Sequential, layers
        >>> model = Sequential([layers.LSTM(4, input_shape=(5, 3)), layers.Dense(1)])
        >>> x = np.ones((1, 5, 3), "float32")
        >>> stream = model.stream()
        >>> steps = [float(stream.step(x[:, t])[0, 0]) for t in range(5)]
        >>> bool(np.isclose(steps[-1], model.predict(x, verbose=0)[0, 0], rtol=1e-5))
        True
        >>> stream = model.stream(on_nan="hold")
        >>> y = stream.step(x[:, 0]).copy()
        >>> bool(np.isfinite(stream.step([1.0, np.nan, 1.0])).all())
        True
    """

    step: Callable[[Any], Array]

    def __init__(
        self, layers: Iterable[Layer], features: int, batch_size: int, dtype: str, on_nan: str = "pass"
    ) -> None:
        self.batch_size = positive_int("batch_size", batch_size)
        self.dtype = dtype
        kind = backend.Stream32 if dtype == "float32" else backend.Stream64
        self._core = kind(self.batch_size, features)
        for layer in layers:
            layer.stream_into(self._core)
        self._holds = on_nan == "hold"
        self._held: Array | None = None  # the last readings, (batch, features); NaN where there is none yet
        self.step = self._core.step if on_nan == "pass" else self._finite_step

    def _finite_step(self, x: Any) -> Array:
        """`step` for readings that must be finite."""
        x = as_float("x", x, self.dtype)
        finite = np.isfinite(x)
        if not finite.all():
            x = self._without_gaps(x, finite)
        y: Array = self._core.step(x)
        if self._holds:
            self._held = x.reshape(self.batch_size, -1).copy()
        return y

    def _without_gaps(self, x: Array, finite: Array) -> Array:
        if self._holds and self._held is not None and self._held.size == x.size:
            x = np.where(finite, x, self._held.reshape(x.shape))
            finite = np.isfinite(x)
        if finite.all():
            return x
        at = [int(each) for each in np.argwhere(~finite)[0]]
        words = ", and no earlier reading is there to hold" if self._holds else ""
        raise ValueError(f"x must be finite, got {x[tuple(at)]} at {at}{words}; the states are as they were")

    def reset(self, rows: Any = None) -> None:
        """Zero the states of all rows, or of the rows of these numbers (a number or several).

        Raises:
            IndexError: if a row is none of the batch.
        """
        if rows is None:
            rows = range(self.batch_size)
        numbers = np.atleast_1d(as_array("rows", rows))
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise TypeError(f"rows must be a number of a row or a list of them, got {shown(rows)}")
        self._core.reset([int(row) for row in numbers])
        if self._held is not None:
            self._held[numbers] = np.nan

    @property
    def state(self) -> list[Array]:
        """Copies of the states, (batch, units) each, in the order of the layers: h, and c after it for an LSTM.

        Assigning a list of the same shapes sets them.
        """
        return list(self._core.states())

    @state.setter
    def state(self, states: Iterable[Any]) -> None:
        if not isinstance(states, list | tuple | np.ndarray):
            raise TypeError(f"state must be a list of arrays, got {shown(states)}")
        self._core.set_states([as_float("state", state, self.dtype) for state in states])
