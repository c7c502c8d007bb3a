"""`ConvolvedSteps`: the steps of an LSTM whose products are convolutions, which the core computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyrnn import backend
from pyrnn.layers.base import Array

__all__: list[str] = []  # made by ConvLSTM1D alone

GATES = 4  # i, f, c, o


class _Convolution:
    """A convolution with the kernels of all gates: of one array, or of one for each gate, which dropout has scaled.

    Args:
        **options: `strides`, `padding` and `dilation_rate`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {**options, "activation": "linear"}
        # The first packs the kernels of all gates, the others that of a gate.
        self._workspaces = [backend.Workspace() for _ in range(1 + GATES)]

    def _calls(self, arrays: Sequence[Array], kernel: Array, bias: Array | None, version: int) -> list[Any]:
        """The array, kernel and bias of each call, and its options."""
        count = len(arrays)
        workspaces = self._workspaces[:1] if count == 1 else self._workspaces[1:]
        kernels = [np.ascontiguousarray(each) for each in np.split(kernel, count, axis=-1)]
        biases = [None] * count if bias is None else np.split(bias, count)
        options = [{**self._options, "workspace": workspace, "version": version} for workspace in workspaces]
        return list(zip(arrays, kernels, biases, options, strict=True))

    def forward(
        self, arrays: Sequence[Array], kernel: Array, bias: Array | None, training: bool, version: int
    ) -> tuple[Array, list[Any]]:
        """Return z (rows, width, gates * filters), and what backward needs."""
        results = [
            backend.conv1d_forward(*call, training=training, **options)
            for *call, options in self._calls(arrays, kernel, bias, version)
        ]
        z = results[0][0] if len(results) == 1 else np.concatenate([y for y, _ in results], axis=-1)
        return z, [saved for _, saved in results]

    def backward(
        self, arrays: Sequence[Array], kernel: Array, bias: Array | None, saved: Sequence[Any], dz: Array,
        need_dx: bool, version: int,
    ) -> tuple[Array, Array | None, list[Any]]:  # fmt: skip
        """Return the gradients of kernel and bias, and that of each array, None unless `need_dx`."""
        calls = self._calls(arrays, kernel, bias, version)
        d_kernels, d_biases, d_arrays = [], [], []
        for (x, part, offset, options), of_forward, d in zip(
            calls, saved, np.split(dz, len(arrays), axis=-1), strict=True
        ):
            d_kernels.append(np.empty_like(part))
            d_biases.append(None if offset is None else np.empty_like(offset))
            options |= {"d_kernel": d_kernels[-1], "d_bias": d_biases[-1], "need_dx": need_dx}
            d_arrays.append(backend.conv1d_backward(x, part, of_forward, np.ascontiguousarray(d), **options))
        d_bias = None if bias is None else np.concatenate([each for each in d_biases if each is not None])
        return np.concatenate(d_kernels, axis=-1), d_bias, d_arrays


class _Step(NamedTuple):
    """What backward needs of a step: its number, and arrays (B, W, filters), those of the gates (4, B, W, filters)."""

    t: int
    entering: list[Array]
    saved: list[Any]
    z: Array
    gates: Array
    c_before: Array
    c: Array
    y: Array
    keep: Array | None


class ConvolvedSteps:
    """Runs all steps of a sequence, in the place of `rnn_forward` and `rnn_backward` of the core.

    Args:
        strides: places from one window of x to the next.
        padding: of x, "valid" or "same".
        dilation_rate: distance between the places of a window of x.
    """

    def __init__(self, strides: int, padding: str, dilation_rate: int) -> None:
        self._of_x = _Convolution(strides=strides, padding=padding, dilation_rate=dilation_rate)
        self._of_h = _Convolution(strides=1, padding="same", dilation_rate=1)

    def forward(
        self,
        cell: str,
        x: Array,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: Any,
        recurrent_activation: Any,
        initial_state: Sequence[Array] | None,
        mask: Array | None,
        input_scale: Array | None,
        state_scale: Array | None,
        go_backwards: bool,
        return_sequences: bool,
        zero_output_for_mask: bool,
        checkpoint_steps: int | None,
        training: bool,
        workspace: object,
        version: int,
    ) -> tuple[Array, tuple[Array, ...], tuple[Any, ...]]:
        """Run the layer, as `rnn_forward` of the core does a cell; the arguments are those of `rnn_forward`."""
        batch, time = x.shape[:2]
        if 0 in x.shape:
            raise ValueError(f"x must have shape (B, T, W, C), none of them 0, got {x.shape}")
        entering_x = _frames(x, mask, input_scale)
        by_x, saved_x = self._of_x.forward(entering_x, kernel, bias, training, version)
        by_x = by_x.reshape(batch, time, *by_x.shape[1:])
        zeros = np.zeros((*by_x[:, 0].shape[:2], len(recurrent_kernel[0])), x.dtype)
        states: tuple[Array, ...] = (zeros, zeros) if initial_state is None else tuple(initial_state)
        outputs: list[Array] = []
        steps: list[_Step] = []
        for t in reversed(range(time)) if go_backwards else range(time):
            entering = [states[0]] if state_scale is None else [states[0] * each for each in state_scale]
            by_h, saved_h = self._of_h.forward(entering, recurrent_kernel, None, training, version)
            z = _by_gate(by_x[:, t] + by_h)
            gates = np.concatenate(
                [
                    _apply(z[:2], recurrent_activation),
                    _apply(z[2:3], activation),
                    _apply(z[3:], recurrent_activation),
                ]
            )
            c = gates[1] * states[1] + gates[0] * gates[2]
            y = _apply(c, activation)
            new: tuple[Array, ...] = (gates[3] * y, c)
            keep = None if mask is None else mask[:, t, None, None]
            if training:
                steps.append(_Step(t, entering, saved_h, z, gates, states[1], c, y, keep))
            if keep is not None:
                new = tuple(np.where(keep, after, before) for after, before in zip(new, states, strict=True))
            states = new
            hidden = keep if zero_output_for_mask else None
            outputs.append(states[0] if hidden is None else np.where(hidden, states[0], x.dtype.type(0)))
            if not return_sequences:
                del outputs[:-1]
        output = np.stack(outputs, axis=1) if return_sequences else outputs[0]
        return output, states, (entering_x, saved_x, steps)

    def backward(
        self,
        cell: str,
        x: Array,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        saved: Sequence[Any],
        d_output: Array | None,
        activation: Any,
        recurrent_activation: Any,
        initial_state: Sequence[Array] | None,
        mask: Array | None,
        input_scale: Array | None,
        state_scale: Array | None,
        go_backwards: bool,
        return_sequences: bool,
        zero_output_for_mask: bool,
        checkpoint_steps: int | None,
        d_final_state: Sequence[Array | None] | None,
        d_kernel: Array,
        d_recurrent_kernel: Array,
        d_bias: Array | None,
        need_dx: bool,
        workspace: object,
        version: int,
    ) -> tuple[Array | None, tuple[Array, ...] | None]:
        """Write the gradients, as `rnn_backward` of the core does; the arguments are those of `rnn_backward`."""
        entering_x, saved_x, steps = saved
        batch, time = x.shape[:2]
        d_h, d_c = np.zeros_like(steps[0].c), np.zeros_like(steps[0].c)
        if d_final_state is not None:
            d_h, d_c = (d if final is None else d + final for d, final in zip((d_h, d_c), d_final_state, strict=True))
        d_by_x = np.empty((batch, time, d_h.shape[1], kernel.shape[-1]), x.dtype)
        d_recurrent_kernel[...] = 0
        for number, (t, entering, saved_h, z, gates, c_before, c, y, keep) in reversed(list(enumerate(steps))):
            if d_output is not None and (return_sequences or number == time - 1):
                d_step = d_output[:, number] if return_sequences else d_output
                d_h = d_h + (np.where(keep, d_step, 0) if zero_output_for_mask and keep is not None else d_step)
            d_c_new = d_c + _slope(d_h * gates[3], y, c, activation)
            dy = np.stack([d_c_new * gates[2], d_c_new * c_before, d_c_new * gates[0], d_h * y])
            dz = np.concatenate(
                [
                    _slope(dy[:2], gates[:2], z[:2], recurrent_activation),
                    _slope(dy[2:3], gates[2:3], z[2:3], activation),
                    _slope(dy[3:], gates[3:], z[3:], recurrent_activation),
                ]
            )
            if keep is not None:
                dz = np.where(keep, dz, dz.dtype.type(0))
            d_by_x[:, t] = d_by_h = _joined(dz)
            d_of_step, _, d_entering = self._of_h.backward(
                entering, recurrent_kernel, None, saved_h, d_by_h, True, version
            )
            d_recurrent_kernel += d_of_step
            d_before = _through(d_entering, state_scale)
            d_c_new = d_c_new * gates[1]
            if keep is not None:
                d_before, d_c_new = d_before + np.where(keep, 0, d_h), np.where(keep, d_c_new, d_c)
            d_h, d_c = d_before, d_c_new
        d_rows = d_by_x.reshape(batch * time, *d_by_x.shape[2:])
        d_kernel[...], d_of_bias, d_frames = self._of_x.backward(
            entering_x, kernel, bias, saved_x, d_rows, need_dx, version
        )
        if d_bias is not None:
            d_bias[...] = d_of_bias
        dx = None
        if need_dx:
            dx = _through(
                [each.reshape(x.shape) for each in d_frames], None if input_scale is None else input_scale[:, :, None]
            )
        return dx, None if initial_state is None else (d_h.astype(x.dtype, copy=False), d_c.astype(x.dtype, copy=False))


def _frames(x: Array, mask: Array | None, scale: Array | None) -> list[Array]:
    """The steps of x as rows (B * T, W, C): one array, or one for each gate. Masked steps are 0, as they may be NaN."""
    if mask is not None:
        x = np.where(mask[:, :, None, None], x, x.dtype.type(0))
    arrays = [x] if scale is None else [x * each[:, None] for each in scale]
    return [np.ascontiguousarray(each).reshape(-1, *x.shape[2:]) for each in arrays]


def _by_gate(z: Array) -> Array:
    """z (B, W, gates * filters) with the axis of gates first."""
    return np.ascontiguousarray(np.moveaxis(z.reshape(*z.shape[:2], GATES, -1), 2, 0))


def _joined(dz: Array) -> Array:
    """The gradient by z, with the gates first, in the order (B, W, gates * filters)."""
    return np.ascontiguousarray(np.moveaxis(dz, 0, 2)).reshape(*dz.shape[1:3], -1)


def _through(gradients: Sequence[Array], scale: Array | None) -> Array:
    """The gradient of an array before dropout scaled it for each gate."""
    if scale is None:
        return gradients[0]
    return np.asarray(sum(each * factor for each, factor in zip(gradients, scale, strict=True)))


def _apply(z: Array, activation: Any) -> Array:
    return np.asarray(
        backend.activation_forward(z, activation) if isinstance(activation, str) else activation.forward(z)
    )


def _slope(dy: Array, y: Array, z: Array, activation: Any) -> Array:
    if isinstance(activation, str):
        return backend.activation_backward(z, y, dy, activation)
    return np.asarray(activation.backward(dy, y, z))
