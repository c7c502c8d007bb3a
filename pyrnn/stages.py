"""What a stream does at each step: stages of the core if it has the layer, otherwise of NumPy or of the layer itself.

A stage takes an array (batch, ...) and the mask (batch,) or None, and returns both for the next stage.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.layers import Layer
from pyrnn.layers.base import Shape

Array = NDArray[Any]
Mask = Array | None
Stage = Callable[[Array, Mask], tuple[Array, Mask]]


class Builder:
    """Collects the stages of a stack of layers; `Layer.stream_into` receives it.

    Attributes:
        batch: Rows of a step. shape: The shape of one row of the present step: () for ids, (features,) after most
        layers. time_axis: 1 while the next layer sees steps of a sequence; None after a recurrent layer without
        return_sequences,
            whose output is that of the sequence so far.
        masked: Whether the next layer may receive a mask.
    """

    def __init__(self, batch: int, shape: Shape, dtype: str) -> None:
        self.batch, self.shape, self.dtype, self.masked = batch, shape, dtype, False
        self.time_axis: int | None = 1
        self.stages: list[Stage] = []
        self.stateful: list[Any] = []  # parts with states(), set_states() and reset()
        self._core: Any = None  # the core's stream that the next layer may join

    @property
    def rank(self) -> int:
        """Axes of x as the next layer sees it."""
        return len(self._input_shape())

    def _input_shape(self) -> Shape:
        return (self.batch, 1, *self.shape) if self.time_axis else (self.batch, *self.shape)

    def add(self, layer: Layer) -> None:
        """Add a layer.

        Args:
            layer: The layer, built.

        Raises:
            ValueError: If it cannot run one time step at a time.
        """
        ends_mask = self.masked and self._ends_mask(layer)
        if self.time_axis is None and not layer.per_step:
            self.add_step(layer)
        else:
            layer.stream_into(self)
        if ends_mask:
            self._append(_without_mask)
            self.masked = False
        shape = layer.compute_output_shape(self._input_shape())
        if getattr(layer, "return_sequences", True) is False:
            self.time_axis = None
        elif self.time_axis and shape[1:2] != (1,):
            raise ValueError(f"layer {layer.name!r} has per_step=True but makes {shape} of {self._input_shape()}")
        self.shape = tuple(shape[2:] if self.time_axis else shape[1:])

    def _ends_mask(self, layer: Layer) -> bool:
        if layer.makes_mask or self.time_axis is None:  # it is asked at each step
            return False
        return layer.compute_mask(np.zeros(self._input_shape(), self.dtype), np.ones((self.batch, 1), bool)) is None

    def only_core(self) -> Any:
        """Return the core's stream if it runs all layers, else None."""
        return self._core if len(self.stages) == 1 else None

    # Layers of the core.

    def add_recurrent(self, cell: str, kernel: Array, recurrent_kernel: Array, bias: Array | None, activation: str,
                      recurrent_activation: str | None, zero_output_for_mask: bool = False) -> None:  # fmt: skip
        """Add a recurrence; if there may be a mask, masked rows keep their states."""
        weights = (cell, kernel, recurrent_kernel, bias, activation, recurrent_activation)
        if not self.masked:
            self._in_core(len(kernel)).add_recurrent(*weights)
            self._keep(self._core)
            return
        core = _new_core(self.dtype, self.batch, len(kernel))
        core.add_recurrent(*weights)
        self._append(MaskedStage(core, zero_output_for_mask))
        self._keep(core)

    def add_dense(self, kernel: Array, bias: Array | None, activation: str) -> None:
        """Add activation(x kernel + bias)."""
        self._in_core(len(kernel)).add_dense(kernel, bias, activation)

    def add_activation(self, activation: str) -> None:
        """Add an activation of the kernel."""
        self._in_core(self._features()).add_activation(activation)

    def add_layer_norm(self, gamma: Array | None, beta: Array | None, epsilon: float) -> None:
        """Add a layer normalization over the features."""
        self._in_core(self._features()).add_layer_norm(gamma, beta, epsilon)

    # Others.

    def add_step(self, layer: Layer) -> None:
        """Add a layer whose `forward` treats each step by itself, with its present weights and settings."""
        self._append((StepStage if self.time_axis else WholeStage)(copy.deepcopy(layer)))
        self.masked = self.masked or layer.makes_mask

    def add_affine(self, centre: Array | None, factor: Array | None, offset: Array | None) -> None:
        """Add (x - centre) * factor + offset, each broadcast with x (batch, ...)."""
        terms = [
            (function, np.array(value, self.dtype))
            for function, value in ((np.subtract, centre), (np.multiply, factor), (np.add, offset))
            if value is not None
        ]

        def affine(x: Array, mask: Mask) -> tuple[Array, Mask]:
            for function, value in terms:
                x = function(x, value)
            return x, mask

        self._append(affine)

    def add_ids(self, layer: Any) -> None:
        """Add an Embedding: ids (batch, ...) to rows of its table."""
        self._append(IdStage(copy.deepcopy(layer)))
        self.masked = layer.mask_zero

    def add_mask(self, value: float) -> None:
        """Add a Masking of rows (batch, features) whose features all equal `value`."""
        self._append(MaskStage(value))
        self.masked = True

    def add_window(self, layer: Layer, steps: int) -> None:
        """Add a layer that maps the present and the last `steps` steps to the next output; zeros precede the first."""
        stage = WindowStage(layer, np.zeros((self.batch, steps, *self.shape), self.dtype))
        self._append(stage)
        self.stateful.append(stage)

    def _append(self, stage: Stage) -> None:
        self.stages.append(stage)
        self._core = None

    def _keep(self, core: Any) -> None:
        if core not in self.stateful:
            self.stateful.append(core)

    def _features(self) -> int:
        return int(self.shape[-1])

    def _in_core(self, features: int) -> Any:
        if self._core is None:
            core = _new_core(self.dtype, self.batch, features)
            self._append(lambda x, mask: (core.step(x), mask))
            self._core = core
        return self._core


def _new_core(dtype: str, batch: int, features: int) -> Any:
    return (backend.Stream32 if dtype == "float32" else backend.Stream64)(batch, features)


def _without_mask(x: Array, mask: Mask) -> tuple[Array, Mask]:
    return x, None


class WholeStage:
    """A layer after the last time axis."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        y = self.layer.forward(x, training=False, mask=mask)
        return y, self.layer.compute_mask(x, mask) if mask is not None or self.layer.makes_mask else None


class StepStage:
    """A layer on sequences of one step."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        layer, sequence = self.layer, x[:, None]
        step_mask = None if mask is None else mask[:, None]
        y = layer.forward(sequence, training=False, mask=step_mask)
        if layer.makes_mask:
            step_mask = layer.compute_mask(sequence, step_mask)
            mask = None if step_mask is None else step_mask[:, 0]
        return y[:, 0], mask


class IdStage:
    """An Embedding."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        return self.layer.forward(x), self.layer.compute_mask(x)


class MaskStage:
    """A Masking."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        counts = (x != self.value).any(axis=-1)
        return x if counts.all() else np.where(counts[:, None], x, x.dtype.type(0)), counts


class MaskedStage:
    """A recurrence with a mask: masked rows keep their states and repeat their last output."""

    def __init__(self, core: Any, zero_output: bool) -> None:
        self.core, self.zero_output = core, zero_output

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        if mask is None or mask.all():
            return self.core.step(x), mask
        before, counts = self.core.states(), mask[:, None]
        y = self.core.step(x)
        self.core.set_states([np.where(counts, *pair) for pair in zip(self.core.states(), before, strict=True)])
        return np.where(counts, y, y.dtype.type(0) if self.zero_output else before[0]), mask


class WindowStage:
    """A layer over a window that ends with the present step; it stores the inputs before."""

    def __init__(self, layer: Layer, past: Array) -> None:
        self.layer, self.past = layer, past

    def __call__(self, x: Array, mask: Mask) -> tuple[Array, Mask]:
        window = np.concatenate([self.past, x[:, None]], axis=1)
        y = self.layer.forward(window, training=False)
        self.past = window[:, 1:]
        return y[:, 0], mask

    def states(self) -> list[Array]:
        """Return a copy of the stored inputs."""
        return [self.past.copy()]

    def set_states(self, states: Sequence[Array]) -> None:
        """Overwrite the stored inputs."""
        self.past = states[0].copy()

    def reset(self, rows: Sequence[int]) -> None:
        """Set the stored inputs of these rows to zero."""
        self.past = self.past.copy()
        self.past[list(rows)] = 0
