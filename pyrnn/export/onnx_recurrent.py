"""Recurrent layers as ONNX's RNN, LSTM and GRU: one node per layer, and one for both directions of a Bidirectional.

The nodes have `layout=0`, (T, B, F), since onnxruntime lacks the other layout. A mask becomes a length: the steps that
count are moved to the front of each row, `sequence_lens` tells the node how many there are, and outputs are put back
to their steps. So any mask is computed as pyrnn does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyrnn.export.onnx_graph import Array, CannotExport, Graph, Value
from pyrnn.interop.onnx_cell_activations import OF_CELLS

_OPERATORS = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}
# The gates of pyrnn in the order of ONNX: i, o, f, c of i, f, c, o; z, r, h are in place.
_ORDERS = {"simple_rnn": (0,), "lstm": (0, 3, 1, 2)}
_IN_PLACE = (0, 1, 2)
STATE_NAMES = ("h", "c")


class Masked(NamedTuple):
    """The steps of a sequence that count.

    Args:
        mask: Name of the mask (B, T).
        counts: Name of the number of steps that count up to each step, (B, T).
        lengths: Name of their number in each row, 32-bit integers (B,).
        order: Name of the steps that count and then the others, (B, T).
    """

    mask: str
    counts: str
    lengths: str
    order: str


def masked(graph: Graph, mask: str) -> Masked:
    """Add what a recurrent node needs to know of a mask.

    Args:
        graph: The graph.
        mask: Name of the mask, booleans (B, T).

    Returns:
        The names.
    """
    whole = graph.cast(mask, "int64")
    counts = graph.add("CumSum", whole, graph.integers(1))
    lengths = graph.cast(graph.add("ReduceSum", whole, graph.integers([1]), keepdims=0), "int32")
    time = graph.sizes_of(mask, 1, 2)
    steps = graph.add("Range", graph.integers(0), graph.squeeze(time, 0), graph.integers(1))
    # Keys fall from step to step, and those of the steps that count are above all others.
    key = graph.add("Sub", graph.add("Mul", whole, time), steps)
    _, order = graph.add("TopK", key, time, count=2, axis=1, largest=1, sorted=1)
    return Masked(mask, str(counts), lengths, str(order))


def _gathered(graph: Graph, x: str, steps: str, width: int) -> str:
    """The steps (B, N) of x (B, T, width): (B, N, width)."""
    sizes = graph.add("Concat", graph.sizes_of(steps, 0, 2), graph.integers([width]), axis=0)
    wide = graph.add("Expand", graph.unsqueeze(steps, 2), sizes)
    return str(graph.add("GatherElements", x, wide, axis=1))


def weights_of(layer: Any) -> tuple[Array, Array, Array]:
    """Return the weights of a layer as ONNX has them.

    Args:
        layer: A SimpleRNN, LSTM or GRU.

    Returns:
        W (G * H, F), R (G * H, H) and B (2 * G * H,), the gates in ONNX's order.
    """
    units, gates = layer.units, layer.gates
    columns = np.concatenate(
        [np.arange(gate * units, (gate + 1) * units) for gate in _ORDERS.get(layer.cell, _IN_PLACE)]
    )
    kernel, recurrent = (
        np.ascontiguousarray(each.array[:, columns].T) for each in (layer.kernel, layer.recurrent_kernel)
    )
    bias = np.zeros((2, gates * units), np.float32)
    if layer.bias is not None:
        stored = layer.bias.array
        bias[: 2 if stored.ndim == 2 else 1] = stored.reshape(-1, gates * units)[:, columns]
    return kernel, recurrent, bias.reshape(-1)


def _activations(layer: Any) -> dict[str, list[Any]]:
    """The activations of a direction: those of the gates, of the candidate and of the output."""
    for argument in ("activation", "recurrent_activation"):
        if getattr(layer, f"_{argument}_function", None) is not None:
            raise CannotExport(f"its {argument} is a function or a layer, which ONNX's recurrent operators do not take")
    inner, gate = layer._activation, layer._recurrent_activation
    names = {"RNN": [inner], "GRU": [gate, inner], "LSTM": [gate, inner, inner]}[_OPERATORS[layer.cell]]
    unknown = [name for name in names if name not in OF_CELLS]
    if unknown:
        raise CannotExport(
            f"ONNX's recurrent operators do not have the activation {unknown[0]!r}; they have {', '.join(OF_CELLS)}"
        )
    chosen = [OF_CELLS[name] for name in names]
    return {
        "activations": [each.name for each in chosen],
        "activation_alpha": [each.alpha for each in chosen if each.alpha is not None],
        "activation_beta": [each.beta for each in chosen if each.beta is not None],
    }


def check(layer: Any) -> None:
    """Raise if no recurrent operator of ONNX computes the layer.

    Args:
        layer: A layer that runs a cell.

    Raises:
        CannotExport: With the reason.
    """
    if getattr(layer, "cell", None) not in _OPERATORS or getattr(layer, "_has_own_steps", False):
        raise CannotExport(f"ONNX has no recurrent operator for {type(layer).__name__}")
    _activations(layer)


class Run(NamedTuple):
    """What a node computes.

    Args:
        sequences: Names of the outputs of all steps (B, T, H), one per direction, in the order of the steps.
        both: Name of both directions side by side, (B, T, 2 * H), None for one direction.
        states: Names of the final states (B, H) of each direction: [[h, c], ...].
        last: Name of the last outputs of both directions side by side, (B, 2 * H), or of one, (B, H); each is the
            first of its states, but 0 where no step counts.
    """

    sequences: list[str]
    both: str | None
    states: list[list[str]]
    last: str


def run(graph: Graph, layers: Sequence[Any], x: Value, initial: Sequence[Sequence[str]] | None, direction: str) -> Run:
    """Add one node.

    Args:
        graph: The graph.
        layers: The layer, or both layers of a Bidirectional.
        x: The input (B, T, F); its mask counts.
        initial: Names of the initial states (B, H) of each direction, or None for zeros.
        direction: "forward", "reverse" or "bidirectional".

    Returns:
        The names of what it computes.
    """
    for each in layers:
        check(each)
    first = layers[0]
    units, count = first.units, len(layers)
    steps = None if x.mask is None else masked(graph, x.mask)
    source = x.name if steps is None else _gathered(graph, x.name, steps.order, x.shape[2])
    parts = [weights_of(each) for each in layers]
    inputs = [
        graph.transpose(source, (1, 0, 2)),
        *(graph.constant(np.stack(each)) for each in zip(*parts, strict=True)),
    ]
    inputs.append("" if steps is None else steps.lengths)
    if initial is not None:
        for starts in zip(*initial, strict=True):
            wide = [graph.unsqueeze(each, 0) for each in starts]
            inputs.append(wide[0] if count == 1 else graph.add("Concat", *wide, axis=0))
    while not inputs[-1]:
        inputs.pop()
    attributes: dict[str, Any] = {"hidden_size": units, "direction": direction}
    for each in layers:
        for key, values in _activations(each).items():
            attributes[key] = [*attributes.get(key, []), *values]
    attributes = {key: value for key, value in attributes.items() if value != []}
    if _OPERATORS[first.cell] == "GRU":
        attributes["linear_before_reset"] = int(first.cell == "gru")
    y, *finals = graph.add(_OPERATORS[first.cell], *inputs, count=1 + first.state_count, **attributes)
    states: list[list[str]] = [[] for _ in layers]
    for final in finals:
        split = [final] if count == 1 else graph.add("Split", final, count=2, axis=0, num_outputs=2)
        for into, each in zip(states, split, strict=True):
            into.append(graph.squeeze(each, 0))
    side_by_side = graph.reshape(graph.transpose(y, (2, 0, 1, 3)), (0, 0, count * units))
    last = graph.reshape(graph.transpose(finals[0], (1, 0, 2)), (0, count * units))
    if steps is not None:
        # The last outputs from y: OpenVINO computes final states without the lengths where nothing reads y.
        ends = []
        started = graph.add("Greater", graph.unsqueeze(steps.lengths, 1), graph.constant(0, np.int32))
        for n in range(count):
            whole = _last(graph, side_by_side, steps, count * units, direction == "reverse" or n == 1)
            end = whole if count == 1 else graph.cut(whole, 1, n * units, (n + 1) * units)
            # Where no step counts the output is 0 and the state the initial one.
            ends.append(graph.where(started, end, graph.constant(0.0)))
            states[n][0] = ends[n] if initial is None else graph.where(started, end, initial[n][0])
        last = ends[0] if count == 1 else str(graph.add("Concat", *ends, axis=1))
        side_by_side = _put_back(graph, side_by_side, steps, count * units, first.zero_output_for_mask)
    if count == 1:
        return Run([side_by_side], None, states, last)
    return Run(_halves(graph, side_by_side, units), side_by_side, states, last)


def _halves(graph: Graph, y: str, units: int) -> list[str]:
    """Both directions of (B, T, 2 * H)."""
    return [graph.cut(y, 2, half * units, (half + 1) * units) for half in range(2)]


def _last(graph: Graph, y: str, steps: Masked, width: int, is_reverse: bool) -> str:
    """The output of the step that is computed last, (B, width)."""
    if is_reverse:
        return graph.squeeze(graph.cut(y, 1, 0, 1), 1)
    place = graph.add("Sub", graph.unsqueeze(graph.cast(steps.lengths, "int64"), 1), graph.integers(1))
    return graph.squeeze(_gathered(graph, y, graph.add("Max", place, graph.integers(0)), width), 1)


def _put_back(graph: Graph, y: str, steps: Masked, width: int, zero_output: bool) -> str:
    """Put outputs of the steps that count to their steps; others repeat the last one, or are 0."""
    place = graph.add("Max", graph.add("Sub", steps.counts, graph.integers(1)), graph.integers(0))
    wide = _gathered(graph, y, place, width)
    has_output = steps.mask if zero_output else graph.add("Greater", steps.counts, graph.integers(0))
    return graph.where(graph.unsqueeze(has_output, 2), wide, graph.constant(0.0))
