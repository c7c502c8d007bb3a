"""SimpleRNN over whole sequences, one step after another: h_t = act(x_t W + b + h_{t-1} U)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.activations import PREACTIVATION, apply, require, slope_times

Array = NDArray[Any]


def _check(
    cell: str, x: Array, kernel: Array, recurrent_kernel: Array, activation: str, initial_state: Sequence[Array] | None
) -> Array:
    """Refuse what does not fit; returns h_0 (B, H)."""
    if cell != "simple_rnn":
        raise ValueError(f"cell must be 'simple_rnn', got {cell!r}")
    require(activation)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"x must have shape (B, T, F), none of them 0, got {x.shape}")
    units = kernel.shape[1]
    for name, array, rule, shape in (
        ("kernel", kernel, "(features, units)", (x.shape[2], units)),
        ("recurrent_kernel", recurrent_kernel, "(units, units)", (units, units)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {rule} = {shape}, got {array.shape}")
    return np.zeros((len(x), units), x.dtype) if initial_state is None else initial_state[0]


def _walk(x: Array, mask: Array | None, input_scale: Array | None, go_backwards: bool) -> tuple[Array, Array | None]:
    """x and mask in the order in which the steps are taken, x scaled."""
    if input_scale is not None:
        x = x * input_scale[:, None, :]
    if not go_backwards:
        return x, mask
    return x[:, ::-1], None if mask is None else mask[:, ::-1]


def rnn_forward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    *,
    activation: str,
    initial_state: Sequence[Array] | None,
    mask: Array | None,
    input_scale: Array | None,
    state_scale: Array | None,
    go_backwards: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    training: bool,
    workspace: object,
    version: int | None,
) -> tuple[Array, tuple[Array, ...], tuple[Array, ...]]:
    h = _check(cell, x, kernel, recurrent_kernel, activation, initial_state)
    x, mask = _walk(x, mask, input_scale, go_backwards)
    states, outputs, preactivations = [], [], []
    for t in range(x.shape[1]):
        entering = h if state_scale is None else h * state_scale
        z = x[:, t] @ kernel + entering @ recurrent_kernel
        if bias is not None:
            z = z + bias
        new = apply(z, activation)
        keep = np.ones((len(h), 1), bool) if mask is None else mask[:, t, None]
        h = np.where(keep, new, h)
        states.append(h)
        outputs.append(np.where(keep, h, 0) if zero_output_for_mask else h)
        preactivations.append(z)
    output = np.stack(outputs, axis=1) if return_sequences else outputs[-1].copy()
    saved: tuple[Array, ...] = ()
    if training:
        saved = (np.stack(states, axis=1),)
        if activation in PREACTIVATION:
            saved += (np.stack(preactivations, axis=1),)
    return output.astype(x.dtype), (h.copy(),), saved


def rnn_backward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    saved: Sequence[Array],
    d_output: Array | None,
    *,
    activation: str,
    initial_state: Sequence[Array] | None,
    mask: Array | None,
    input_scale: Array | None,
    state_scale: Array | None,
    go_backwards: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    d_final_state: Sequence[Array | None] | None,
    d_kernel: Array,
    d_recurrent_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: object,
    version: int | None,
) -> tuple[Array | None, tuple[Array, ...]]:
    h_0 = _check(cell, x, kernel, recurrent_kernel, activation, initial_state)
    x, mask = _walk(x, mask, input_scale, go_backwards)
    states, steps = saved[0], x.shape[1]
    carried = np.zeros_like(h_0)
    if d_final_state is not None and d_final_state[0] is not None:
        carried = d_final_state[0].copy()
    for gradient in (d_kernel, d_recurrent_kernel, d_bias):
        if gradient is not None:
            gradient[...] = 0
    dx = np.zeros_like(x)
    for t in reversed(range(steps)):
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        dh = carried
        if d_output is not None and (return_sequences or t == steps - 1):
            d = d_output[:, t] if return_sequences else d_output
            dh = dh + (np.where(keep, d, 0) if zero_output_for_mask else d)
        da = slope_times(dh, states[:, t], saved[1][:, t] if len(saved) == 2 else None, activation)
        da = np.where(keep, da, 0)
        previous = states[:, t - 1] if t else h_0
        entering = previous if state_scale is None else previous * state_scale
        d_kernel += x[:, t].T @ da
        d_recurrent_kernel += entering.T @ da
        if d_bias is not None:
            d_bias += da.sum(axis=0)
        dx[:, t] = da @ kernel.T
        back = da @ recurrent_kernel.T
        carried = np.where(keep, 0, dh) + (back if state_scale is None else back * state_scale)
    if not need_dx:
        return None, (carried.astype(x.dtype),)
    if input_scale is not None:
        dx = dx * input_scale[:, None, :]
    return np.ascontiguousarray(dx[:, ::-1] if go_backwards else dx), (carried.astype(x.dtype),)
