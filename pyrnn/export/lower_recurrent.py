"""What recurrent layers and their wrappers become."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.export.lowering import Lowering, Tensor, register
from pyrnn.export.program import Affine, Combine, Move, Recurrence, Value
from pyrnn.layers.recurrent.base import Recurrent


def _check(lowering: Lowering, layer: Any, owner: Any) -> None:
    if layer._activation_function is not None or layer._recurrent_activation_function is not None:
        lowering.reject(owner, "its activation is a function of Python")
    if layer._has_own_steps:
        lowering.reject(owner, "its steps are a function of Python")
    if layer.stateful and not lowering.stream:
        lowering.reject(owner, "it is stateful, and each whole sequence starts from zeros: pass stream=True")


def _run(lowering: Lowering, layer: Any, x: Tensor, initial: list[Tensor], owner: Any) -> list[Tensor]:
    """Add a recurrent layer; returns its output and its states."""
    _check(lowering, layer, owner)
    keeps = x.is_step
    if initial and (keeps or x.mask is not None):
        why = "a stream keeps its states" if keeps else "a mask reaches it"
        lowering.reject(owner, f"it is called with initial_state, and {why}")
    steps, units = x.shape[0], layer.units
    states = [lowering.buffer(units, role="state" if keeps else "buffer") for _ in range(layer.state_count)]
    zero_output = layer.zero_output_for_mask and x.mask is not None
    aliases = not zero_output and (keeps or not layer.return_sequences)
    y = None if aliases else lowering.buffer((steps, units) if layer.return_sequences else units)
    cell = layer.cell.removesuffix("_reset_before")
    lowering.add(
        Recurrence(
            x.value, y, x.mask, states, [each.value for each in initial] or None, cell, steps,
            layer.kernel.array, layer.recurrent_kernel.array, None if layer.bias is None else layer.bias.array,
            layer._activation, layer._recurrent_activation or "linear",
            reverse=layer.go_backwards, last_only=not layer.return_sequences, zero_output=zero_output,
            reset_after=getattr(layer, "reset_after", False),
        )
    )  # fmt: skip
    output = Tensor(states[0] if y is None else y, (units,))
    if layer.return_sequences:
        output = Tensor(output.value, (steps, units), x.mask, keeps)
    return [output, *(Tensor(each, (units,)) for each in states)]


@register(layers.SimpleRNN, layers.LSTM, layers.GRU)
def recurrent(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """One layer; its initial states follow its input."""
    x, *initial = tensors
    results = _run(lowering, layer, x, initial, layer)
    return results if layer.return_state else results[:1]


@register(layers.RNN)
def cells(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """A stack of cells, which equals a stack of layers."""
    x, *initial = tensors
    states: list[Tensor] = []
    for each in layer._stack:
        if not isinstance(each, Recurrent):
            lowering.reject(layer, "its cell is a function of Python")
        x, *after = _run(lowering, each, x, initial[: each.state_count], layer)
        initial = initial[each.state_count :]
        states += after
    return [x, *states] if layer.return_state else [x]


@register(layers.Bidirectional)
def both_directions(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Two layers and the merge of their outputs."""
    x, *initial = tensors
    directions = (layer.forward_layer, layer.backward_layer)
    if not all(type(each) in (layers.SimpleRNN, layers.LSTM, layers.GRU) for each in directions):
        lowering.reject(layer, "its layers must be SimpleRNN, LSTM or GRU")
    half = len(initial) // 2
    forward, *states = _run(lowering, directions[0], x, initial[:half], layer)
    backward, *more = _run(lowering, directions[1], x, initial[half:], layer)
    units = directions[0].units
    if layer.return_sequences:
        steps = backward.shape[0]
        turned = lowering.buffer(backward.shape)
        strides, back = (-units, 1), (units, 1)
        lowering.add(Move(backward.value, turned, (steps, units), strides, back, start=(steps - 1) * units))
        backward = backward._replace(value=turned)
    ends = [*states, *more] if layer.return_state else []
    if layer.merge_mode is None:
        return [forward, backward, *ends]
    return [_merged(lowering, forward, backward, layer.merge_mode), *ends]


def _merged(lowering: Lowering, forward: Tensor, backward: Tensor, mode: str) -> Tensor:
    units = forward.shape[-1]
    rows = forward.value.size // units
    if mode == "concat":
        y: Value = lowering.buffer(2 * forward.value.size)
        for place, each in enumerate((forward, backward)):
            lowering.add(Move(each.value, y, (rows, units), (units, 1), (2 * units, 1), to=place * units))
        return forward._replace(value=y, shape=(*forward.shape[:-1], 2 * units))
    y = lowering.buffer(forward.value.size)
    lowering.add(Combine(forward.value, backward.value, y, "multiply" if mode == "mul" else "add"))
    if mode == "ave":
        mean = lowering.buffer(y.size)
        lowering.add(Affine(y, mean, None, np.full(1, 0.5, np.float32), None))
        y = mean
    return forward._replace(value=y)


@register(layers.TimeDistributed)
def each_step(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """The layer at each step: all of them at once where it goes along the last axis alone."""
    (x,) = tensors
    if type(layer.layer) in (layers.Dense, layers.Activation, layers.Dropout, layers.ReLU, layers.LeakyReLU):
        (y,) = lowering.layer(layer.layer, [x._replace(mask=None, is_step=False)])
    else:
        y = lowering.for_each(layer.layer, x._replace(mask=None))
    return [Tensor(y.value, y.shape, x.mask, x.is_step)]
