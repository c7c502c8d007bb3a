"""A training step of layers that run one after the other: each layer's operations in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.convolution import dense_backward, dense_forward
from pyrnn.reference.losses import squared_error
from pyrnn.reference.recurrent import rnn_backward, rnn_forward

Array = NDArray[Any]
# Runs a layer forward; returns the output, and what runs it backward from the gradient and whether dx is needed.
Run = Callable[[Array], tuple[Array, Callable[[Array, bool], Array | None]]]


class Chain:
    """The common part of `Chain32` and `Chain64`; `_core.pyi` describes the methods."""

    dtype: str

    def __init__(self) -> None:
        self._layers: list[Run] = []

    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
        go_backwards: bool,
        return_sequences: bool,
        d_kernel: Array,
        d_recurrent_kernel: Array,
        d_bias: Array | None,
        workspace: object,
    ) -> None:
        weights = kernel, recurrent_kernel, bias
        options: dict[str, Any] = dict.fromkeys(
            ("initial_state", "mask", "input_scale", "state_scale", "checkpoint_steps", "workspace", "version")
        )
        options |= {"activation": activation, "recurrent_activation": recurrent_activation}
        options |= {"go_backwards": go_backwards, "return_sequences": return_sequences, "zero_output_for_mask": False}

        def run(x: Array) -> tuple[Array, Callable[[Array, bool], Array | None]]:
            y, _, saved = rnn_forward(cell, x, *weights, training=True, **options)

            def back(dy: Array, need_dx: bool) -> Array | None:
                return rnn_backward(
                    cell, x, *weights, saved, dy, d_final_state=None, d_kernel=d_kernel,
                    d_recurrent_kernel=d_recurrent_kernel, d_bias=d_bias, need_dx=need_dx, **options,
                )[0]  # fmt: skip

            return y, back

        self._layers.append(run)

    def add_dense(
        self,
        kernel: Array,
        bias: Array | None,
        activation: str,
        d_kernel: Array,
        d_bias: Array | None,
        workspace: object,
    ) -> None:
        def run(x: Array) -> tuple[Array, Callable[[Array, bool], Array | None]]:
            y, saved = dense_forward(x, kernel, bias, activation, True, None, None)
            return y, lambda dy, need_dx: dense_backward(
                x, kernel, saved, dy, activation, d_kernel, d_bias, need_dx, None, None
            )

        self._layers.append(run)

    def squared_error(self, x: Array, y: Array) -> tuple[float, Array] | None:
        if not self._layers:
            raise ValueError("the chain has no layers")
        backwards = []
        y_pred = x
        for run in self._layers:
            y_pred, back = run(y_pred)
            backwards.append(back)
        if not all(isinstance(each, np.ndarray) and each.dtype == self.dtype for each in (x, y)):
            return None
        if y.shape != y_pred.shape or not (x.flags.c_contiguous and y.flags.c_contiguous):
            return None
        error, dy = squared_error(y, y_pred)
        for number in range(len(backwards) - 1, -1, -1):
            dx = backwards[number](dy, number > 0)
            if dx is not None:
                dy = dx
        return error, y_pred


class Chain32(Chain):
    """In float32."""

    dtype = "float32"


class Chain64(Chain):
    """In float64."""

    dtype = "float64"
