"""ONNX's RNN, LSTM and GRU as layers of pyrnn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers
from pyrnn.interop.onnx_cell_activations import OF_CELLS
from pyrnn.interop.onnx_file import Node
from pyrnn.interop.onnx_values import CannotImport, Filled, View, arranged, ops

Array = NDArray[Any]

_CELLS = {"RNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}
# ONNX's gates in pyrnn's order: i, f, c, o of i, o, f, c; z, r, h are in place.
_ORDERS = {"RNN": (0,), "LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2)}
_DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
_STATES = {"RNN": 1, "LSTM": 2, "GRU": 1}
# The default of the first and second number of ONNX's activations.
_ALPHAS = {"Affine": 1.0, "LeakyRelu": 0.01, "Elu": 1.0, "HardSigmoid": 0.2}
_BETAS = {"Affine": 0.0, "HardSigmoid": 0.5}
# The attributes that are read; others must be 0.
_READ = ("activations", "activation_alpha", "activation_beta", "direction", "hidden_size", "linear_before_reset")


def recurrent(node: Node, values: Mapping[str, Any], is_read: Any) -> list[Any]:
    """Convert a node.

    Args:
        node: The node.
        values: The values that it reads, by name.
        is_read: A function of a name, whether any node or output reads it.

    Returns:
        The values of its outputs: views, None in the place of those that are not read.

    Raises:
        CannotImport: If pyrnn has no layer for it.
    """
    kind = node.operator
    unknown = [name for name, value in node.attributes.items() if name not in _READ and value != 0]
    direction = node.attributes.get("direction", "forward")
    if unknown or direction not in ("forward", "reverse", "bidirectional"):
        name = unknown[0] if unknown else "direction"
        raise CannotImport(f"its attribute {name} is not supported, got {node.attributes[name]}")
    if node.input(4) or node.input(7):
        raise CannotImport("lengths of sequences and peepholes are not supported")
    count = 2 if direction == "bidirectional" else 1
    x = values[node.input(0)]
    if not isinstance(x, View) or len(x.axes) != 3 or x.axes[1] is None:
        raise CannotImport("its input must be an array (T, B, F)")
    source = arranged(x, (1, 0, 2))
    parts = _weights(node, values, count, source.shape[-1])
    functions = _activations(node, count)
    initial = [_initial(values.get(node.input(5 + n)), count) for n in range(_STATES[kind])]
    if any(each is None for each in initial) and any(each is not None for each in initial):
        raise CannotImport("only one of its two initial states is zero")
    reads = [bool(node.output(n)) and is_read(node.output(n)) for n in range(1 + _STATES[kind])]
    options: dict[str, Any] = {
        "units": values[node.input(2)].shape[-1],
        "return_sequences": reads[0],
        "return_state": (reads[0] and any(reads[1:])) or any(reads[2:]),
    }
    made = [
        _CELLS[kind](
            **options, **functions[n], use_bias=parts[n][2] is not None, **_of_gru(node), go_backwards=backwards
        )
        for n, backwards in enumerate([False, True] if count == 2 else [direction == "reverse"])
    ]
    layer = made[0] if count == 1 else layers.Bidirectional(made[0], backward_layer=made[1])
    starts: list[Any] = []
    if initial[0] is not None:
        starts = [state[n] for n in range(count) for state in initial if state is not None]
    results = layer(source, initial_state=starts) if starts else layer(source)
    layer.set_weights([weight for part in parts for weight in part if weight is not None])
    output, *states = results if isinstance(results, list | tuple) else [results]
    if reads[0] and direction == "reverse":
        output = ops.flip(output, axis=1)
    return _outputs(kind, count, output, states, reads, options["units"])


def _of_gru(node: Node) -> dict[str, Any]:
    return {"reset_after": bool(node.attributes.get("linear_before_reset", 0))} if node.operator == "GRU" else {}


def _weights(node: Node, values: Mapping[str, Any], count: int, features: int) -> list[list[Array | None]]:
    """Kernel, recurrent kernel and bias of each direction."""
    arrays = [values.get(node.input(n)) if node.input(n) else None for n in (1, 2, 3)]
    kernels, recurrent_kernels, biases = arrays
    if not all(isinstance(each, np.ndarray) for each in (kernels, recurrent_kernels)) or not (
        biases is None or isinstance(biases, np.ndarray)
    ):
        raise CannotImport("its weights must be constants")
    assert isinstance(kernels, np.ndarray) and isinstance(recurrent_kernels, np.ndarray)
    order = _ORDERS[node.operator]
    units = recurrent_kernels.shape[-1] if recurrent_kernels.ndim == 3 else 0
    width = len(order) * units
    shapes = [(count, width, features), (count, width, units), (count, 2 * width)]
    for array, shape, name in zip((kernels, recurrent_kernels, biases), shapes, "WRB", strict=True):
        if array is not None and (array.shape != shape or not units):
            raise CannotImport(f"{name} must have shape {shape}, got {array.shape}")
    if node.attributes.get("hidden_size", units) != units:
        raise CannotImport(f"hidden_size must be {units} for its weights, got {node.attributes['hidden_size']}")
    columns = np.concatenate([np.arange(gate * units, (gate + 1) * units) for gate in order])
    parts: list[list[Array | None]] = []
    for n in range(count):
        bias = None
        if biases is not None:
            pair = biases[n].reshape(2, width)[:, columns]
            bias = pair if _of_gru(node).get("reset_after") else pair[0] + pair[1]
        parts.append([kernels[n].T[:, columns], recurrent_kernels[n].T[:, columns], bias])
    return parts


def _activations(node: Node, count: int) -> list[dict[str, str]]:
    """The arguments `activation` and `recurrent_activation` of each direction."""
    defaults = _DEFAULTS[node.operator]
    names = node.attributes.get("activations", defaults * count)
    if len(names) != len(defaults) * count:
        raise CannotImport(f"it must have {len(defaults) * count} activations, got {names}")
    alphas, betas = (list(node.attributes.get(f"activation_{name}", [])) for name in ("alpha", "beta"))
    chosen = []
    for name in names:
        alpha = (alphas.pop(0) if alphas else _ALPHAS[name]) if name in _ALPHAS else None
        beta = (betas.pop(0) if betas else _BETAS[name]) if name in _BETAS else None
        chosen.append(_activation(name, alpha, beta))
    pairs = []
    for n in range(count):
        part = chosen[n * len(defaults) : (n + 1) * len(defaults)]
        if len(part) == 3 and part[1] != part[2]:
            raise CannotImport(
                f"an LSTM must have one activation for candidate and output, got {part[1]} and {part[2]}"
            )
        pairs.append({"activation": part[-1], **({"recurrent_activation": part[0]} if len(part) > 1 else {})})
    return pairs


def _activation(name: str, alpha: float | None, beta: float | None) -> str:
    for ours, cell in OF_CELLS.items():
        if cell.name.lower() == name.lower() and all(
            (a is None and b is None) or (a is not None and b is not None and abs(a - b) < 1e-6)
            for a, b in ((alpha, cell.alpha), (beta, cell.beta))
        ):
            return ours
    raise CannotImport(f"the activation {name} with alpha={alpha} and beta={beta} has no name here")


def _initial(value: Any, count: int) -> list[Any] | None:
    """The initial states (B, H) of each direction; None for zeros."""
    if value is None or (isinstance(value, Filled) and value.value == 0):
        return None
    if isinstance(value, np.ndarray) and not value.any():
        return None
    if not isinstance(value, View) or len(value.axes) != 3:
        raise CannotImport("its initial states must be zeros or computed from inputs")
    if value.axes[0] is None and count == 1:
        return [arranged(value, (None, 0, 1))]
    symbol = arranged(value, (1, 0, 2))
    if symbol.shape[1] != count:
        raise CannotImport(f"its initial states must be of {count} direction(s), got shape {symbol.shape}")
    return [symbol[:, n] for n in range(count)]


def _outputs(kind: str, count: int, output: Any, states: Sequence[Any], reads: Sequence[bool], units: int) -> list[Any]:
    """Y (T, D, B, H), Y_h and Y_c (D, B, H)."""
    y: list[Any] = []
    if not reads[0]:
        y.append(None)
    elif count == 1:
        y.append(View(output, (1, None, 0, 2)))
    else:
        y.append(View(layers.Reshape((-1, 2, units))(output), (1, 2, 0, 3)))
    for n in range(_STATES[kind]):
        if not reads[1 + n]:
            y.append(None)
        elif not states:  # the last output is h
            side = output if count == 1 else layers.Reshape((2, units))(output)
            y.append(View(side, (None, 0, 1) if count == 1 else (1, 0, 2)))
        elif count == 1:
            y.append(View(states[n], (None, 0, 1)))
        else:
            both = layers.Concatenate()([states[n], states[_STATES[kind] + n]])
            y.append(View(layers.Reshape((2, units))(both), (1, 0, 2)))
    return y
