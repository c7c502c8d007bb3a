"""Recurrent layers over whole sequences, one step after another, as in the papers.

Each cell is a function for one step and one for its gradient. Weights are in Keras's layout. `x` and `h` of a step are
lists of one array for each gate, which differ only if dropout scales them separately. `checkpoint_steps`, which saves
memory and changes no result, is ignored like `workspace`: training saves every step here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.reference.activations import Activation, apply, require, slope_times

Array = NDArray[Any]
Each = list[Array]  # one array for each gate
Act = str | Activation  # by its name, or one that the kernel does not have


class Weights(NamedTuple):
    """Kernels and biases split by gate. `recurrent_bias` is used by cells with two rows of bias only."""

    kernel: Each
    recurrent_kernel: Each
    bias: Each
    recurrent_bias: Each


class Step(NamedTuple):
    """The states that a step computed, and what its gradient needs, by name."""

    states: tuple[Array, ...]
    saved: dict[str, Any]


class Gradient(NamedTuple):
    """dA of each gate where it reaches x W (and its bias) and h U, and what reaches the states without passing U."""

    da_x: Each
    da_h: Each
    direct: tuple[Array, ...]
    reset: Array | None = None  # multiplies h before U of the candidate
    d_reset: Array | None = None


def _affine(x: Each, h: Each, w: Weights, gate: int) -> Array:
    z: Array = x[gate] @ w.kernel[gate] + w.bias[gate] + h[gate] @ w.recurrent_kernel[gate]
    return z


def _simple_rnn(x: Each, h: Each, states: Sequence[Array], w: Weights, act: Act, rec: Act) -> Step:
    z = _affine(x, h, w, 0)
    new = apply(z, act)
    return Step((new,), {"z": z, "h": new})


def _simple_rnn_gradient(step: Step, states: Sequence[Array], d: Sequence[Array], act: Act, rec: Act) -> Gradient:
    da = [slope_times(d[0], step.saved["h"], step.saved["z"], act)]
    return Gradient(da, da, (np.zeros_like(d[0]),))


def _lstm(x: Each, h: Each, states: Sequence[Array], w: Weights, act: Act, rec: Act) -> Step:
    """i, f, o = rec(.), g = act(.), c = f c_{t-1} + i g, h = o act(c) (gates i, f, c, o in Keras's order)."""
    z = [_affine(x, h, w, gate) for gate in range(4)]
    i, f, g, o = apply(z[0], rec), apply(z[1], rec), apply(z[2], act), apply(z[3], rec)
    c = f * states[1] + i * g
    y = apply(c, act)
    return Step((o * y, c), {"z": z, "gates": (i, f, g, o), "y": y})


def _lstm_gradient(step: Step, states: Sequence[Array], d: Sequence[Array], act: Act, rec: Act) -> Gradient:
    (i, f, g, o), z, y, c = step.saved["gates"], step.saved["z"], step.saved["y"], step.states[1]
    dc = d[1] + slope_times(d[0] * o, y, c, act)
    da = [
        slope_times(dc * g, i, z[0], rec),
        slope_times(dc * states[1], f, z[1], rec),
        slope_times(dc * i, g, z[2], act),
        slope_times(d[0] * y, o, z[3], rec),
    ]
    return Gradient(da, da, (np.zeros_like(dc), dc * f))


def _gru(x: Each, h: Each, states: Sequence[Array], w: Weights, act: Act, rec: Act) -> Step:
    """z, r = rec(.), g = act(x W + b + r (h U + b')), h = z h_{t-1} + (1 - z) g (Keras's reset_after=True)."""
    az, ar = (_affine(x, h, w, gate) + w.recurrent_bias[gate] for gate in (0, 1))
    z, r = apply(az, rec), apply(ar, rec)
    q = h[2] @ w.recurrent_kernel[2] + w.recurrent_bias[2]
    ag = x[2] @ w.kernel[2] + w.bias[2] + r * q
    g = apply(ag, act)
    return Step((z * states[0] + (1 - z) * g,), {"a": (az, ar, ag), "gates": (z, r, g), "q": q})


def _gru_gradient(step: Step, states: Sequence[Array], d: Sequence[Array], act: Act, rec: Act) -> Gradient:
    (az, ar, ag), (z, r, g), q = step.saved["a"], step.saved["gates"], step.saved["q"]
    dg = slope_times(d[0] * (1 - z), g, ag, act)
    dz = slope_times(d[0] * (states[0] - g), z, az, rec)
    dr = slope_times(dg * q, r, ar, rec)
    return Gradient([dz, dr, dg], [dz, dr, dg * r], (d[0] * z,))


def _gru_reset_before(x: Each, h: Each, states: Sequence[Array], w: Weights, act: Act, rec: Act) -> Step:
    """As in the paper: g = act(x W + b + (r h_{t-1}) U) (Keras's reset_after=False)."""
    az, ar = (_affine(x, h, w, gate) for gate in (0, 1))
    z, r = apply(az, rec), apply(ar, rec)
    ag = x[2] @ w.kernel[2] + w.bias[2] + (r * h[2]) @ w.recurrent_kernel[2]
    g = apply(ag, act)
    saved = {"a": (az, ar, ag), "gates": (z, r, g), "u": w.recurrent_kernel[2], "h": h[2]}
    return Step((z * states[0] + (1 - z) * g,), saved)


def _gru_reset_before_gradient(step: Step, states: Sequence[Array], d: Sequence[Array], act: Act, rec: Act) -> Gradient:
    (az, ar, ag), (z, r, g) = step.saved["a"], step.saved["gates"]
    dg = slope_times(d[0] * (1 - z), g, ag, act)
    dz = slope_times(d[0] * (states[0] - g), z, az, rec)
    d_product = dg @ step.saved["u"].T
    dr = slope_times(d_product * step.saved["h"], r, ar, rec)
    return Gradient([dz, dr, dg], [dz, dr, dg], (d[0] * z,), reset=r, d_reset=d_product * r)


class Cell(NamedTuple):
    """A cell: its gates, states and rows of bias, and the functions for one step forward and backward."""

    gates: int
    states: int
    bias_rows: int
    step: Callable[[Each, Each, Sequence[Array], Weights, Act, Act], Step]
    gradient: Callable[[Step, Sequence[Array], Sequence[Array], Act, Act], Gradient]


CELLS = {
    "simple_rnn": Cell(1, 1, 1, _simple_rnn, _simple_rnn_gradient),
    "lstm": Cell(4, 2, 1, _lstm, _lstm_gradient),
    "gru": Cell(3, 1, 2, _gru, _gru_gradient),
    "gru_reset_before": Cell(3, 1, 1, _gru_reset_before, _gru_reset_before_gradient),
}


def _cell(name: str, x: Array, kernel: Array, recurrent_kernel: Array, act: Act, rec: Act | None) -> Cell:
    """Return the cell of this name, after checking that the arrays and activations fit it.

    Raises:
        TypeError, ValueError: If they do not.
    """
    if name not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(map(repr, CELLS))}, got {name!r}")
    cell = CELLS[name]
    require(act)
    if cell.gates == 1:
        if rec is not None:
            raise TypeError(f"recurrent_activation must be None for {name}")
    elif rec is None:
        raise TypeError(f"recurrent_activation must be a name for {name}")
    else:
        require(rec)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"x must have shape (B, T, F), none of them 0, got {x.shape}")
    units = kernel.shape[1] // cell.gates
    for what, array, shape in (
        ("kernel", kernel, (x.shape[2], cell.gates * units)),
        ("recurrent_kernel", recurrent_kernel, (units, cell.gates * units)),
    ):
        if array.shape != shape:
            raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
    return cell


def _weights(cell: Cell, kernel: Array, recurrent_kernel: Array, bias: Array | None) -> Weights:
    if bias is None:
        bias = np.zeros((cell.bias_rows, kernel.shape[1]), kernel.dtype)
    rows = bias.reshape(cell.bias_rows, -1)
    by_gate = [np.split(array, cell.gates, axis=-1) for array in (kernel, recurrent_kernel, rows[0], rows[-1])]
    return Weights(*by_gate)


def _scaled(array: Array, scale: Array | None, gates: int) -> Each:
    if scale is None:
        return [array] * gates
    return [array * scale] * gates if scale.ndim == 2 else [array * each for each in scale]


def _back(da: Each, weights: Each, scale: Array | None) -> Array:
    """Return the gradient of what entered the product, before dropout scaled it."""
    total: Array = sum(
        (d @ w.T) * (1 if scale is None else scale if scale.ndim == 2 else scale[gate])
        for gate, (d, w) in enumerate(zip(da, weights, strict=True))
    )  # type: ignore[assignment]  # sum() starts from the integer 0
    return total


def _start(cell: Cell, x: Array, units: int, initial_state: Sequence[Array] | None) -> tuple[Array, ...]:
    if initial_state is None:
        return tuple(np.zeros((len(x), units), x.dtype) for _ in range(cell.states))
    return tuple(initial_state)


def rnn_forward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    activation: Act,
    recurrent_activation: Act | None,
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
    version: int | None,
) -> tuple[Array, tuple[Array, ...], tuple[Any, ...]]:
    kind = _cell(cell, x, kernel, recurrent_kernel, activation, recurrent_activation)
    w = _weights(kind, kernel, recurrent_kernel, bias)
    states = _start(kind, x, len(recurrent_kernel), initial_state)
    outputs, steps = [], []
    for s in range(x.shape[1]):
        t = x.shape[1] - 1 - s if go_backwards else s
        entering = _scaled(x[:, t], input_scale, kind.gates), _scaled(states[0], state_scale, kind.gates)
        step = kind.step(*entering, states, w, activation, recurrent_activation or "")
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        steps.append((step, states, keep, entering))
        states = tuple(np.where(keep, new, old) for new, old in zip(step.states, states, strict=True))
        outputs.append(np.where(keep, states[0], 0) if zero_output_for_mask else states[0])
    output = np.stack(outputs, axis=1) if return_sequences else outputs[-1].copy()
    finals = tuple(state.astype(x.dtype) for state in states)
    return output.astype(x.dtype), finals, (w, steps) if training else ()


def rnn_backward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    saved: Sequence[Any],
    d_output: Array | None,
    activation: Act,
    recurrent_activation: Act | None,
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
    version: int | None,
) -> tuple[Array | None, tuple[Array, ...] | None]:
    kind = _cell(cell, x, kernel, recurrent_kernel, activation, recurrent_activation)
    w, steps = saved
    rec, candidate = recurrent_activation or "", kind.gates - 1
    d = [np.zeros((len(x), len(recurrent_kernel)), x.dtype) for _ in range(kind.states)]
    for state, d_final in enumerate(d_final_state or ()):
        if d_final is not None:
            d[state] = d[state] + d_final
    dw, du = ([np.zeros_like(part) for part in parts] for parts in (w.kernel, w.recurrent_kernel))
    db = np.zeros((kind.bias_rows, kernel.shape[1]), x.dtype)
    dx = np.zeros_like(x)
    for s in reversed(range(x.shape[1])):
        t = x.shape[1] - 1 - s if go_backwards else s
        step, states, keep, (entering_x, entering_h) = steps[s]
        if d_output is not None and (return_sequences or s == x.shape[1] - 1):
            out = d_output[:, s] if return_sequences else d_output
            d[0] = d[0] + (np.where(keep, out, 0) if zero_output_for_mask else out)
        gradient = kind.gradient(step, states, d, activation, rec)
        da_x, da_h = ([np.where(keep, da, 0) for da in each] for each in (gradient.da_x, gradient.da_h))
        for gate in range(kind.gates):
            dw[gate] += np.where(keep, entering_x[gate], 0).T @ da_x[gate]  # 0 times NaN would be NaN
            h = entering_h[gate]
            if gradient.reset is not None and gate == candidate:
                h = np.where(keep, gradient.reset * h, 0)
            du[gate] += h.T @ da_h[gate]
        db[0] += np.concatenate(da_x, axis=1).sum(axis=0)
        if kind.bias_rows == 2:
            db[1] += np.concatenate(da_h, axis=1).sum(axis=0)
        dx[:, t] = _back(da_x, w.kernel, input_scale)
        d = [np.where(keep, direct, old) for direct, old in zip(gradient.direct, d, strict=True)]
        if gradient.d_reset is None:
            d[0] = d[0] + _back(da_h, w.recurrent_kernel, state_scale)
        else:
            scale = 1 if state_scale is None else state_scale if state_scale.ndim == 2 else state_scale[candidate]
            through = None if state_scale is None else state_scale if state_scale.ndim == 2 else state_scale[:candidate]
            d[0] = d[0] + _back(da_h[:candidate], w.recurrent_kernel[:candidate], through)
            d[0] = d[0] + np.where(keep, gradient.d_reset * scale, 0)
    d_kernel[...] = np.concatenate(dw, axis=1)
    d_recurrent_kernel[...] = np.concatenate(du, axis=1)
    if d_bias is not None:
        d_bias[...] = db.reshape(d_bias.shape)
    d_initial = None if initial_state is None else tuple(each.astype(x.dtype) for each in d)
    return dx if need_dx else None, d_initial
