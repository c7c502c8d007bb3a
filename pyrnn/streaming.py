"""A model one time step at a time: each step is answered at once, and the states stay inside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.data.arrays import as_array, as_float
from pyrnn.layers import Layer
from pyrnn.layers.base import Shape
from pyrnn.rules import LARGEST_COUNT, Whole
from pyrnn.stages import Builder
from pyrnn.validation import WrongType, positive_int, shown

Array = NDArray[Any]
_number_of_row = Whole(-LARGEST_COUNT, LARGEST_COUNT)


class Stream:
    """A stack of layers with its present weights; `model.stream(batch_size, on_nan)` creates it.

    `step(x)` takes the next time step of every row and returns the model's output for it, (batch, units). The output
    equals `predict` on all steps so far, to rounding. x has shape (batch, features), or (features,) if batch is 1. For
    a model that begins with an `Embedding` x holds ids of shape (batch,), or one id if batch is 1. The returned array
    belongs to the caller: later steps do not change it.

    Recurrent layers, Dense, Embedding, Masking, causal Conv1D, and all layers that treat each step by itself can be
    streamed: activations, normalizations over features (BatchNormalization with its moving moments), Rescaling, dropout
    and noise (which do nothing), TimeDistributed around any layer. Masked rows keep their states, as in `predict`. A
    custom layer sets `per_step = True` in its class if its `forward` treats each step by itself.

    A reading that is NaN or infinite would stay in the states until `reset`. `on_nan` says what happens to it:

    - "pass": nothing is checked, which is fastest;
    - "raise": `step` raises a ValueError and the states do not change;
    - "hold": the last finite reading of the same row and feature takes its place; without one, `step` raises.

    Args:
        layers: The layers, built.
        input_shape: The shape of x, batch and time axis first.
        batch_size: Rows of a step, at least 1.
        dtype: "float32" or "float64", of the layers.
        on_nan: "pass", "raise" or "hold".

    Raises:
        ValueError: If the model has no time axis, or a layer needs more than the steps so far (Bidirectional,
            go_backwards, pooling, convolutions that are not causal) or changes their number.

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

        A model of characters, which begins with ids:

        >>> model = Sequential([layers.Embedding(30, 8, input_length=5), layers.GRU(16), layers.Dense(30, "softmax")])
        >>> model.stream().step(7).shape
        (1, 30)
    """

    step: Callable[[Any], Array]

    def __init__(
        self, layers: Sequence[Layer], input_shape: Shape, batch_size: int, dtype: str, on_nan: str = "pass"
    ) -> None:
        self.batch_size = positive_int("batch_size", batch_size)
        self.dtype = dtype
        self._reads_ids = bool(layers) and layers[0].reads_ids
        if len(input_shape) < (2 if self._reads_ids else 3):
            raise ValueError(
                f"stream() needs a model of sequences, with a time axis, got one for inputs of shape {input_shape}: "
                "use predict_on_batch"
            )
        self._shape = input_shape[2:]
        if None in self._shape:
            raise ValueError(
                f"stream() needs a fixed number of features, got a model for inputs of shape {input_shape}"
            )
        builder = Builder(self.batch_size, self._shape, dtype)
        for layer in layers:
            builder.add(layer)
        self._stages, self._stateful = builder.stages, builder.stateful
        self._lock = threading.RLock()  # threads that share a stream take turns
        self._holds = on_nan == "hold"
        self._held: Array | None = None  # the last readings, (batch, features); NaN where there is none yet
        self._core = core = builder.only_core()
        self._run = self._run_stages if core is None else core.step
        self.step = self._run if on_nan == "pass" else self._finite_step

    @property
    def core(self) -> Any:
        """The stream of the core, or of the reference, if it runs all layers; else None."""
        return self._core

    def _run_stages(self, x: Any) -> Array:
        array = self._converted(x)
        with self._lock:
            y, mask = array, None
            for stage in self._stages:
                y, mask = stage(y, mask)
        # A custom layer may return its argument or an array that it holds.
        return y.copy() if np.may_share_memory(y, array) or not y.flags.writeable else y

    def _converted(self, x: Any) -> Array:
        """Return x as an array (batch, ...) of the model's dtype, or of ids.

        Raises:
            TypeError, ValueError: If it holds no numbers or has another shape.
        """
        array = as_array("x", x) if self._reads_ids else as_float("x", x, self.dtype)
        if array.dtype.kind == "b":
            raise WrongType(f"x must hold ids, got dtype {array.dtype}")
        shape = (self.batch_size, *self._shape)
        if array.shape == shape:
            return array
        if self.batch_size == 1 and array.shape == self._shape:
            return array[None]
        axes = {0: "(batch,)", 1: "(batch, features)"}.get(len(self._shape), "(batch, ...)")
        raise ValueError(f"x must have shape {axes} = {shape}, got {array.shape}")

    def _finite_step(self, x: Any) -> Array:
        """`step` for readings that must be finite."""
        array = self._converted(x)
        finite = np.isfinite(array)
        if not finite.all():
            array = self._without_gaps(array, finite, array.ndim - np.ndim(x))
        y = self._run(array)
        if self._holds:
            self._held = np.array(array, "float64" if self._reads_ids else self.dtype)
        return y

    def _without_gaps(self, x: Array, finite: Array, added_axes: int) -> Array:
        if self._holds and self._held is not None:
            x = np.where(finite, x, self._held)
            finite = np.isfinite(x)
        if finite.all():
            return x
        place = tuple(int(each) for each in np.argwhere(~finite)[0])
        at = list(place[added_axes:])
        reason = ", and there is no earlier reading to hold" if self._holds else ""
        raise ValueError(f"x must be finite, got {x[place]} at {at}{reason}; the states are unchanged")

    def reset(self, rows: Any = None) -> None:
        """Set the states to zero, of all rows or of some.

        Args:
            rows: A row or a list of rows, from 0; None for all.

        Raises:
            TypeError: If rows are not integers.
            IndexError: If a row is out of range.
        """
        if rows is None:
            rows = range(self.batch_size)
        numbers = np.atleast_1d(as_array("rows", rows))
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise WrongType(f"rows must be an integer or a list of integers, got {shown(rows)}")
        for row in numbers:
            _number_of_row.check("rows", row)
            if not 0 <= row < self.batch_size:
                raise IndexError(f"rows must lie in 0..{self.batch_size - 1}, got {row}")
        with self._lock:
            for part in self._stateful:
                part.reset([int(row) for row in numbers])
            if self._held is not None:
                self._held[numbers] = np.nan

    @property
    def state(self) -> list[Array]:
        """Copies of the states in the order of the layers; assign a list of the same shapes to set them.

        A recurrent layer has h (batch, units), and an LSTM also c; a causal convolution has the last inputs that its
        kernel reaches back to, (batch, steps, channels).
        """
        with self._lock:
            return [state for part in self._stateful for state in part.states()]

    @state.setter
    def state(self, states: Any) -> None:
        if not isinstance(states, list | tuple | np.ndarray):
            raise WrongType(f"state must be a list of arrays, got {shown(states)}")
        arrays = [as_float("state", state, self.dtype) for state in states]
        with self._lock:
            shapes = [[state.shape for state in part.states()] for part in self._stateful]
            count = sum(map(len, shapes))
            if len(arrays) != count:
                raise ValueError(f"state must hold {count} array(s), got {len(arrays)}")
            for array, shape in zip(arrays, (shape for each in shapes for shape in each), strict=True):
                if array.shape != shape:
                    raise ValueError(f"state must have shape (batch, units) = {shape}, got {array.shape}")
            for part, of_part in zip(self._stateful, shapes, strict=True):
                part.set_states(arrays[: len(of_part)])
                del arrays[: len(of_part)]
