"""Weights of layers under PyTorch's names and in its layout, and back.

The name of a layer is the name of its module. At the end of the name of a recurrent layer, ".l0", ".l1", ... is its
place in a module of several layers, and ".cell" says that the module is a cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers
from pyrnn.arguments import checked
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.parameters import Weight, assign_all
from pyrnn.rules import Dict, ListOf, Text
from pyrnn.typing import IS_MODEL
from pyrnn.validation import not_built, shown

__all__ = ["load_torch_state_dict", "to_torch_state_dict"]

Array = NDArray[Any]
Names = Annotated[Sequence[str], ListOf(Text())]
COUNTER = "num_batches_tracked"  # of a BatchNorm1d, which Keras does not count
_PLACE = re.compile(r"(?:(.*)\.)?(l\d+|cell)")


def as_array(name: str, value: Any) -> Array:
    """An array of a state_dict, from an array or a tensor of PyTorch; of less than 32 bits becomes float32.

    Raises:
        ValueError: If it holds no floating-point numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f" and not (array.dtype.kind in "iu" and name.endswith(COUNTER)):
        raise ValueError(f"{name!r} of the state_dict must hold floating-point numbers, got dtype {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _cannot(layer: Any, reason: str) -> ValueError:
    return ValueError(f"layer {layer.name!r} ({type(layer).__name__}) has no counterpart in PyTorch: {reason}")


def _require(layer: Any, attribute: str, *values: Any) -> None:
    value = getattr(layer, attribute)
    value = getattr(value, "__name__", value)
    if value not in values:
        raise _cannot(layer, f"{attribute} must be {' or '.join(map(repr, values))}, got {shown(value)}")


def _gates(array: Array, layer: Any) -> Array:
    """The gates of a GRU, along the first axis, in the other order: r, z, n or z, r, h. Others have the same order."""
    if not isinstance(layer, layers.GRU):
        return array
    first, second, third = np.split(array, 3)
    return np.concatenate([second, first, third])


def _check_recurrent(layer: Any) -> None:
    if not isinstance(layer, layers.SimpleRNN | layers.LSTM | layers.GRU):
        raise _cannot(layer, "it must be SimpleRNN, LSTM or GRU")
    if isinstance(layer, layers.SimpleRNN):
        _require(layer, "activation", "tanh", "relu")
    else:
        _require(layer, "activation", "tanh")
        _require(layer, "recurrent_activation", "sigmoid")
    if isinstance(layer, layers.GRU):
        _require(layer, "reset_after", True)


def _place(layer: Any, name: str) -> tuple[str, str]:
    """The name of a recurrent layer's module, and the end of the names of its weights."""
    match = _PLACE.fullmatch(name)
    if match is None:
        return name, "_l0"
    return match[1] or "", "" if match[2] == "cell" else f"_{match[2]}"


def _recurrent(layer: Any, end: str, value: Callable[[Weight], Array]) -> Iterator[tuple[str, Array]]:
    yield f"weight_ih{end}", _gates(value(layer.kernel).T, layer)
    yield f"weight_hh{end}", _gates(value(layer.recurrent_kernel).T, layer)
    if layer.bias is not None:
        bias = value(layer.bias)
        both = map(lambda each: _gates(each, layer), bias) if bias.ndim > 1 else (bias, np.zeros_like(bias))
        yield from zip((f"bias_ih{end}", f"bias_hh{end}"), both, strict=True)


def _recurrent_values(layer: Any, end: str, arrays: Mapping[str, Array]) -> Iterator[tuple[Weight, Array]]:
    yield layer.kernel, _gates(arrays[f"weight_ih{end}"], layer).T
    yield layer.recurrent_kernel, _gates(arrays[f"weight_hh{end}"], layer).T
    if layer.bias is not None:
        both = [_gates(arrays[f"{bias}{end}"], layer) for bias in ("bias_ih", "bias_hh")]
        yield layer.bias, np.stack(both) if layer.bias.ndim > 1 else both[0] + both[1]


def _directions(layer: Any, name: str) -> tuple[str, list[tuple[Any, str]]]:
    """The module of a recurrent layer, and its directions with the ends of the names of their weights."""
    if isinstance(layer, layers.Bidirectional):
        _require(layer, "merge_mode", "concat")
        both = [layer.forward_layer, layer.backward_layer]
    else:
        both = [layer]
    prefix, end = _place(layer, name)
    for each, backwards in zip(both, (False, True), strict=False):
        _check_recurrent(each)
        _require(each, "go_backwards", backwards)
    if len(both) > 1 and not end:
        raise _cannot(layer, "a cell has one direction")
    return prefix, [(each, f"{end}{reverse}") for each, reverse in zip(both, ("", "_reverse"), strict=False)]


def _plain(layer: Any) -> list[tuple[str, Weight, tuple[int, ...]]]:
    """Names, weights and the order of axes in PyTorch of a layer that is not recurrent."""
    if isinstance(layer, layers.Dense):
        both = [("weight", layer.kernel, (1, 0)), ("bias", layer.bias, (0,))]
    elif isinstance(layer, layers.Conv1D):
        both = [("weight", layer.kernel, (2, 1, 0)), ("bias", layer.bias, (0,))]
    elif isinstance(layer, layers.Embedding):
        both = [("weight", layer.embeddings, (0, 1))]
    elif isinstance(layer, layers.BatchNormalization | layers.LayerNormalization):
        if layer.gamma is None and layer.beta is not None:
            raise _cannot(layer, "scale must be True where center is")
        both = [("weight", layer.gamma, (0,)), ("bias", layer.beta, (0,))]
        if isinstance(layer, layers.BatchNormalization):
            _require(layer, "renorm", False)
            both += [("running_mean", layer.moving_mean, (0,)), ("running_var", layer.moving_variance, (0,))]
    else:
        raise _cannot(layer, "only recurrent layers, Dense, Conv1D, Embedding and normalizations have one")
    present = [(key, weight, axes) for key, weight, axes in both if weight is not None]
    if any(len(axes) != weight.ndim for _, weight, axes in present):
        raise _cannot(layer, "its weights must have one axis, got several")
    return present


def _joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


def _inner(layer: Any) -> Any:
    """The layer that has the weights: that inside a TimeDistributed."""
    return _inner(layer.layer) if isinstance(layer, layers.TimeDistributed) else layer


def _arrays(layer: Any, name: str, value: Callable[[Weight], Array]) -> dict[str, Array]:
    """The entries of a state_dict for one layer."""
    layer = _inner(layer)
    if isinstance(layer, Recurrent | layers.Bidirectional):
        prefix, directions = _directions(layer, name)
        entries = [entry for each, end in directions for entry in _recurrent(each, end, value)]
    else:
        prefix = name
        entries = [(key, value(weight).transpose(axes)) for key, weight, axes in _plain(layer)]
        if isinstance(layer, layers.BatchNormalization):
            entries.append((COUNTER, np.zeros((), np.int64)))
    return {_joined(prefix, key): np.array(each, order="C") for key, each in entries}


def _values(layer: Any, name: str, arrays: Mapping[str, Array]) -> list[tuple[Weight, Array]]:
    """The weights of a layer with their values from a state_dict, whose shapes were checked."""
    layer = _inner(layer)
    if isinstance(layer, Recurrent | layers.Bidirectional):
        prefix, directions = _directions(layer, name)
        below = {key.removeprefix(_joined(prefix, "")): each for key, each in arrays.items()}
        return [pair for each, end in directions for pair in _recurrent_values(each, end, below)]
    return [(weight, arrays[_joined(name, key)].transpose(np.argsort(axes))) for key, weight, axes in _plain(layer)]


def _named_layers(model: Any, names: Sequence[str] | None) -> list[tuple[Any, str]]:
    """The layers with weights, with the names of their modules."""
    if not model.built:
        raise ValueError(not_built("its weights have a counterpart in PyTorch"))
    weighted = [layer for layer in _flat(model) if layer.weights]
    if names is None:
        names = [layer.name for layer in weighted]
    if len(names) != len(weighted):
        raise ValueError(
            f"names must have an entry for each of the {len(weighted)} layers with weights, "
            f"{shown([layer.name for layer in weighted])}, got {len(names)}"
        )
    return list(zip(weighted, names, strict=True))


def _flat(model: Any) -> list[Any]:
    """The layers of a model and of the models in it, each once."""
    flat = [each for layer in model.layers for each in (_flat(layer) if layer.is_model else (layer,))]
    return list(dict.fromkeys(flat))


@checked
def to_torch_state_dict(model: Annotated[Any, IS_MODEL], names: Names | None = None) -> dict[str, Array]:
    """Return the weights of a model as a `state_dict` of PyTorch, for `module.load_state_dict`.

    Kernels are transposed, and the gates of a GRU are in the order r, z, n. PyTorch adds two biases in an RNN and an
    LSTM: `bias_ih` is the bias of the layer, `bias_hh` holds zeros. `num_batches_tracked` of a BatchNorm1d is 0.

    Args:
        model: A built model of SimpleRNN, LSTM, GRU with `reset_after`, Bidirectional layers that concatenate, Dense,
            Conv1D, Embedding, BatchNormalization and LayerNormalization, and of layers without weights.
        names: The name of the module of each layer with weights, by default the name of the layer. Recurrent layers
            that are layers 0, 1, ... of one module end in ".l0", ".l1", ...; without such an end it is layer 0. ".cell"
            at the end stands for a cell, and "" for a module on its own.

    Returns:
        A dict of arrays by name. They are copies; `torch.from_numpy` makes tensors of them.

    Raises:
        ValueError: If the model is not built, the number of names is wrong, or PyTorch has no counterpart of a layer.

    Example:
        >>> import pyrnn
        >>> from pyrnn import layers
        >>> stack = [layers.Input((None, 3)), layers.GRU(2, name="gru"), layers.Dense(1, name="fc")]
        >>> arrays = pyrnn.interop.to_torch_state_dict(pyrnn.Sequential(stack))
        >>> {name: array.shape for name, array in arrays.items() if "weight" in name}
        {'gru.weight_ih_l0': (6, 3), 'gru.weight_hh_l0': (6, 2), 'fc.weight': (1, 2)}
    """
    arrays: dict[str, Array] = {}
    for layer, name in _named_layers(model, names):
        entries = _arrays(layer, name, lambda weight: weight.array)
        if twice := arrays.keys() & entries.keys():
            raise ValueError(f"names must differ for each layer, got {min(twice)!r} twice")
        arrays |= entries
    return arrays


@checked
def load_torch_state_dict(
    model: Annotated[Any, IS_MODEL],
    state_dict: Annotated[Mapping[str, Any], Dict()],
    names: Names | None = None,
) -> None:
    """Load a `state_dict` of PyTorch into a model with the same layers. The inverse of `to_torch_state_dict`.

    The two biases of an RNN or LSTM are added. Nothing changes unless all arrays are there, with the right shapes.

    Args:
        model: A built model.
        state_dict: Arrays or tensors by name, as `module.state_dict()` or `read_safetensors` returns them.
        names: The name of the module of each layer with weights; see `to_torch_state_dict`.

    Raises:
        ValueError: If the model is not built, PyTorch has no counterpart of a layer, or the arrays do not fit.

    Example:
        >>> import numpy as np
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), name="fc")])
        >>> pyrnn.interop.load_torch_state_dict(model, {"fc.weight": np.ones((1, 2)), "fc.bias": np.zeros(1)})
        >>> model(np.array([[1.0, 2.0]]))
        array([[3.]], dtype=float32)
    """
    rest, pairs = dict(state_dict), []
    for layer, name in _named_layers(model, names):
        expected, arrays = _arrays(layer, name, lambda weight: weight.array), {}
        for key, array in expected.items():
            if key.endswith(COUNTER):
                rest.pop(key, None)
                continue
            if key not in rest:
                has = [each for each in state_dict if each.startswith(name.split(".l")[0])] or list(state_dict)
                raise ValueError(f"the state_dict lacks {key!r} for layer {layer.name!r}, it has {shown(has)}")
            arrays[key] = as_array(key, rest.pop(key))
            if arrays[key].shape != array.shape:
                raise ValueError(
                    f"{key!r} of the state_dict must have shape {array.shape} for layer {layer.name!r}, "
                    f"got {arrays[key].shape}"
                )
        pairs += _values(layer, name, arrays)
    if rest:
        raise ValueError(f"the state_dict holds {next(iter(rest))!r}, which no layer of model {model.name!r} reads")
    assign_all(pairs)
