"""A stack of layers one time step at a time: each layer's operation on a sequence of one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.activations import activation_forward
from pyrnn.reference.convolution import dense_forward
from pyrnn.reference.draws import DISTRIBUTIONS, Draws, drawn
from pyrnn.reference.recurrent import CELLS, rnn_forward

Array = NDArray[Any]


class Stream:
    """The common part of `Stream32` and `Stream64`; `_core.pyi` describes the methods."""

    dtype: str

    def __init__(self, batch: int, features: int) -> None:
        self.batch, self.features, self.width = batch, features, features
        self._stages: list[Callable[[Array], Array]] = []
        self._states: list[Array] = []

    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
    ) -> None:
        w, u, b = kernel.copy(), recurrent_kernel.copy(), None if bias is None else bias.copy()
        first, count, units = len(self._states), CELLS[cell].states, len(recurrent_kernel)
        self._states += [np.zeros((self.batch, units), self.dtype) for _ in range(count)]
        options: dict[str, Any] = {"activation": activation, "recurrent_activation": recurrent_activation}
        options |= dict.fromkeys(("mask", "input_scale", "state_scale", "checkpoint_steps", "workspace", "version"))
        options |= dict.fromkeys(("go_backwards", "return_sequences", "zero_output_for_mask", "training"), False)

        def run(x: Array) -> Array:
            held = self._states[first : first + count]
            y, states, _ = rnn_forward(cell, x[:, None], w, u, b, initial_state=held, **options)
            self._states[first : first + count] = states
            return y

        self._stages.append(run)
        self.width = units

    def add_dense(self, kernel: Array, bias: Array | None, activation: str) -> None:
        weights, shift = kernel.copy(), None if bias is None else bias.copy()
        options: dict[str, Any] = {"activation": activation, "training": False, "workspace": None, "version": None}
        self._stages.append(lambda x: dense_forward(x, weights, shift, **options)[0])
        self.width = kernel.shape[1]

    def add_activation(self, activation: str) -> None:
        self._stages.append(lambda x: activation_forward(x, activation))

    def add_layer_norm(self, gamma: Array | None, beta: Array | None, epsilon: float) -> None:
        factor, shift = (None if w is None else w.copy() for w in (gamma, beta))

        def run(x: Array) -> Array:
            centred = x - x.mean(axis=-1, keepdims=True)
            y = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon))
            y = y if factor is None else y * factor
            return np.asarray(y if shift is None else y + shift)

        self._stages.append(run)

    def step(self, x: Any) -> Array:
        y = np.asarray(x, self.dtype)
        if y.shape == (self.features,) and self.batch == 1:
            y = y[None]
        if y.shape != (self.batch, self.features):
            raise ValueError(f"x must have shape (batch, features) = {(self.batch, self.features)}, got {y.shape}")
        if not self._stages:
            raise ValueError("the stream has no layers")
        for stage in self._stages:
            y = stage(y)
        return y.copy()  # it may be a state

    def sample(
        self,
        inputs: Array,
        origin: Array,
        unit: Array,
        offset: Array | None,
        base: Array,
        width: Array,
        distribution: str,
        paths: int,
        column: int,
        seed: int,
    ) -> Array:
        steps = inputs.shape[1]
        if inputs.shape != (self.batch, steps, self.features):
            shape = (self.batch, steps, self.features)
            raise ValueError(f"inputs must have shape (batch, steps, features) = {shape}, got {inputs.shape}")
        if DISTRIBUTIONS[distribution] != self.width:
            raise ValueError(
                f"distribution {distribution} needs {DISTRIBUTIONS[distribution]} output(s) of the last layer, got "
                f"{self.width}"
            )
        before, values = self.states(), np.empty((self.batch, paths, steps), self.dtype)
        read = np.empty(self.batch)
        for path in range(paths):
            self.set_states(before)
            for step in range(steps):
                x = np.array(inputs[:, step])
                if step:
                    x[:, column] = read
                outputs = self.step(x) if offset is None else self.step(x) + offset[:, step]
                for b in range(self.batch):
                    # A float32 that overflows is infinite, as in C++.
                    with np.errstate(over="ignore", invalid="ignore"):
                        draws, at = Draws(seed & 2**64 - 1, b, path, step), (b, step)
                        value = drawn(distribution, outputs[b], float(base[at]), float(width[at]), draws)
                        values[b, path, step], read[b] = value, (value - float(origin[b])) / float(unit[b])
        self.set_states(before)
        return values

    def states(self) -> list[Array]:
        return [state.copy() for state in self._states]

    def set_states(self, states: Sequence[Array]) -> None:
        shapes, received = [state.shape for state in self._states], [state.shape for state in states]
        if shapes != received:
            raise ValueError(f"state must hold arrays of shapes {shapes}, got {received}")
        self._states = [state.copy() for state in states]

    def reset(self, rows: Sequence[int]) -> None:
        for row in rows:
            if not 0 <= row < self.batch:
                raise IndexError(f"rows must lie in 0..{self.batch - 1}, got {row}")
        for state in self._states:
            state[list(rows)] = 0


class Stream32(Stream):
    """A stream in float32."""

    dtype = "float32"


class Stream64(Stream):
    """A stream in float64."""

    dtype = "float64"
