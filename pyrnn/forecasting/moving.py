"""One series as its rows arrive: arrays that move on by a row, and what direct networks read of them, without copies.

Letters as in `inputs`; M networks, U units, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.forecasting.history import History, Layout
from pyrnn.forecasting.inputs import LARGEST_INPUT, base_weights, level_and_scale_of_known, make_inputs
from pyrnn.forecasting.usual import CORRECTIONS, DECODER, ENCODER, LINEAR, SERIES
from pyrnn.models import Model

Array = NDArray[Any]
ROOM = 1024  # rows, at least, until all are moved to the front


class Sliding:
    """The last rows of an array that grows at its end.

    Args:
        rows: The first of them (n, ...), which are copied.

    Attributes:
        rows: (n, ...), a view of the last n rows.
    """

    def __init__(self, rows: Array) -> None:
        self._count, self._first = len(rows), 0
        self._memory = np.zeros((len(rows) + max(ROOM, len(rows)), *rows.shape[1:]), rows.dtype)
        self.rows = self._memory[: len(rows)]
        self.rows[...] = rows

    def push(self, row: Any) -> None:
        """Add a row and drop the first one.

        Args:
            row: The new row.
        """
        first, count = self._first + 1, self._count
        if first + count > len(self._memory):
            self._memory[: count - 1] = self._memory[first:]
            first = 0
        self._memory[first + count - 1] = row
        self._first, self.rows = first, self._memory[first : first + count]


class Window:
    """The window of one series at its last row.

    Args:
        history: The window, of one origin.
        layout: What the networks see.

    Attributes:
        base: (H,), what the networks correct, after `read`.
        scale: The unit of corrections, after `read`.
    """

    def __init__(self, history: History, layout: Layout) -> None:
        lookback, reach, ahead = layout.lookback, layout.reach, layout.horizon
        self._layout = layout
        self._static, self._numbers = history.static, history.numbers
        self._deviation, self._deviations = float(history.deviation[0]), history.deviation
        self._values, self._clock = Sliding(history.values[0, :reach]), Sliding(history.clock[0])
        self._past, self._future = Sliding(history.past[0, :lookback]), Sliding(history.future[0])
        self._unknown = int(np.isnan(self._values.rows).sum())
        inputs = make_inputs(history, layout)
        # Their columns of targets are written anew for each row; the others move on with the rows.
        self._encoded, self._decoded = Sliding(inputs.past[0, :lookback]), Sliding(inputs.future[0])
        self._encoded.rows[:, :3] = 0
        self._scaled = np.empty(reach, np.float32)
        steps, distances = reach + np.arange(ahead)[:, None], np.stack(layout.distances, axis=-1)
        self._lags = steps - distances  # (H, J)
        self._place = inputs.future[0, :, self._lags.shape[1] : self._lags.shape[1] + 2].copy()
        self._weights = base_weights(layout)
        self.base, self.scale = np.zeros(ahead), 1.0

    @property
    def is_known(self) -> bool:
        """Whether all targets of the window are known."""
        return not self._unknown

    def push(self, value: float, clock: Array, past: Array, future: Array) -> None:
        """Move on by a row.

        Args:
            value: The target of the new row, NaN if it is unknown.
            clock: (C,), the calendar of the new last row to forecast.
            past: (P,), past covariates of the new row, scaled.
            future: (Q,), what is known in advance of the new last row to forecast, scaled.
        """
        layout, lags = self._layout, self._lags.shape[1]
        self._unknown += (value != value) - int(np.isnan(self._values.rows[0]))
        self._values.push(value)
        self._clock.push(clock)
        encoded, decoded = self._encoded, self._decoded
        encoded.push(encoded.rows[-1])
        decoded.push(decoded.rows[-1])
        end = 3 + len(clock)
        encoded.rows[-1, 3:end] = self._clock.rows[layout.lookback - 1]
        decoded.rows[-1, lags + 2 : lags + 2 + len(clock)] = clock
        if len(past):
            self._past.push(past)
            encoded.rows[-1, end : end + len(past)] = past
        if len(future):
            self._future.push(future)
            end += len(past)
            encoded.rows[-1, end : end + len(future)] = self._future.rows[layout.reach - 1]

    def read(self) -> tuple[Array, Array, Array]:
        """Return what direct networks read: (1, L, F), (1, H, G) and (L,) float32. All targets must be known."""
        layout, values = self._layout, self._values.rows
        lookback, reach, count = layout.lookback, layout.reach, self._lags.shape[1]
        center, self.scale = level_and_scale_of_known(values, layout, self._deviation)
        exact = (values - center) / self.scale
        self.base = center + self.scale * (exact @ self._weights)
        change = exact[reach - lookback :] - exact[reach - lookback - layout.season : reach - layout.season]
        scaled, encoded, decoded = self._scaled, self._encoded.rows, self._decoded.rows
        np.minimum(exact, LARGEST_INPUT, out=exact)
        np.maximum(exact, -LARGEST_INPUT, out=scaled, casting="same_kind")
        recent = scaled[reach - lookback :]
        encoded[:, 0] = recent
        np.minimum(change, LARGEST_INPUT, out=change)
        np.maximum(change, -LARGEST_INPUT, out=encoded[:, 2], casting="same_kind")
        decoded[:, :count] = scaled[self._lags]
        decoded[:, count : count + 2] = self._place
        width = self._future.rows.shape[1]
        if width:
            future, first = self._future.rows, decoded.shape[1] - 3 * width
            decoded[:, first : first + width] = future[reach:]
            decoded[:, first + width : first + 2 * width] = future[self._lags[:, 0]]
            decoded[:, first + 2 * width :] = future[self._lags[:, : layout.lags]].mean(axis=1)
        return encoded[None], decoded[None], recent

    def history(self) -> History:
        """Return the window in the form from which `make_inputs` reads it."""
        ahead = self._layout.horizon
        past = self._past.rows
        return History(
            np.concatenate([self._values.rows, np.full(ahead, np.nan)])[None],
            self._clock.rows[None],
            np.concatenate([past, np.repeat(past[-1:], ahead, axis=0)])[None],
            self._future.rows[None],
            self._static,
            self._deviations,
            self._numbers,
        )


class Members:
    """Direct networks with "gru", "lstm" or "rnn" as model, for one window: four matrix products and two calls each.

    Their weights are copied. The vector of the series is the same for all rows, so that it goes into the biases.

    Args:
        networks: The networks.
        number: The number of the series.

    Raises:
        ValueError: If a network has another model.
    """

    def __init__(self, networks: list[Model], number: int) -> None:
        self._cells, kernels, biases, linear = [], [], [], []
        for network in networks:
            vectors = [each.get_weights()[0][number] for each in network.layers if each.name == SERIES]
            vector = vectors[0] if vectors else np.zeros(0, np.float32)
            self._cells.append([_Cell(network.get_layer(name), vector) for name in (ENCODER, DECODER)])
            kernel, bias = network.get_layer(CORRECTIONS).get_weights()
            kernels.append(kernel[: len(kernel) - len(vector)])
            biases.append(bias + vector @ kernel[len(kernel) - len(vector) :])
            linear.append(network.get_layer(LINEAR).get_weights()[0])
        self._kernel, self._bias = np.stack(kernels), np.stack(biases)[:, None]
        self._linear = np.concatenate(linear, axis=1)

    def raw(self, past: Array, future: Array, recent: Array) -> Array:
        """Return the raw outputs (M, H, O).

        Args:
            past: (1, L, F), what the encoder reads.
            future: (1, H, G), what the decoder reads.
            recent: (L,), the scaled targets.
        """
        read = [np.concatenate([decoder.run(future, encoder.states(past)), future], axis=-1)
                for encoder, decoder in self._cells]  # fmt: skip
        raw = np.asarray(np.concatenate(read) @ self._kernel + self._bias)
        raw += (recent @ self._linear).reshape(raw.shape)
        return raw


class _Cell:
    """A recurrent layer with its weights as they are now."""

    def __init__(self, layer: Any, vector: Array) -> None:
        kernel, recurrent_kernel, bias = (each.copy() for each in layer.get_weights())
        count = len(kernel) - len(vector)
        added = vector @ kernel[count:]
        if bias.ndim > 1:
            bias[0] += added
        else:
            bias += added
        self._weights = (np.ascontiguousarray(kernel[:count]), recurrent_kernel, bias)
        self._cell, self._activations = layer.cell, (layer._activation, layer._recurrent_activation)
        self._workspace = backend.Workspace()

    def states(self, x: Array) -> tuple[Array, ...]:
        """The states after all rows x (1, T, F)."""
        states: tuple[Array, ...] = self._forward(x, None, False)[1]
        return states

    def run(self, x: Array, states: tuple[Array, ...]) -> Array:
        """The outputs (1, T, U) from states on."""
        return np.asarray(self._forward(x, states, True)[0])

    def _forward(self, x: Array, states: tuple[Array, ...] | None, sequences: bool) -> Any:
        return backend.rnn_forward(
            self._cell, x, *self._weights, *self._activations, states, None, None, None, False, sequences, False, None,
            False, self._workspace, 1,
        )  # fmt: skip
