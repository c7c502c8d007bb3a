"""Models from PyTorch: a module, or a chain of modules and layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import layers, models
from pyrnn.arguments import checked
from pyrnn.interop.torch_modules import Module, features, made
from pyrnn.interop.torch_weights import as_array, load_torch_state_dict
from pyrnn.layers.holder import Holder
from pyrnn.rules import ListOf, Optional, Rule, Unchecked, Whole
from pyrnn.symbols import Symbol
from pyrnn.typing import Name
from pyrnn.validation import WrongType, shown

__all__ = ["from_torch"]

# What a chain says after a recurrent module of which only the end is read.
_LAST_STEPS = ("[:, -1]", "[-1]", "h_n")
_AFTER_RECURRENT = "write it after the name of a recurrent module"


class _Entry(Rule):
    """An entry of a chain."""

    allowed = "text"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, str | Symbol) and not issubclass(type(value), Holder):
            raise WrongType(f"{argument} must hold names of modules and layers of pyrnn, got {shown(value)}")


class _Chain:
    """A Sequential in the making.

    Args:
        dtype: Dtype of the layers.
        shape: Shape of a sample of the input, or None.
        name: Name of the model, or None.
    """

    def __init__(self, dtype: str, shape: Sequence[int | None] | None, name: str | None) -> None:
        self.model = models.Sequential(name=name)
        self.dtype = dtype
        self._has_input = False
        self._read: set[str] = set()  # names of modules
        self.names: list[str] = []  # of the modules whose weights the layers have
        self._is_swapped = False  # whether the layers have (B, T, C) where PyTorch has (B, C, T)
        self._time_first: str | None = None  # a module that reads (T, B, F)
        self._batch_first: str | None = None  # one that reads (B, T, F)
        if shape is not None:
            self.begin(shape)

    def begin(self, shape: Sequence[int | None]) -> None:
        """Add the input, whose shape is that of PyTorch."""
        if self._is_swapped and len(shape) > 1:
            shape = (shape[1], shape[0], *shape[2:])
        self.model.add(layers.Input(tuple(shape), dtype=self.dtype))
        self._has_input = True

    def swap(self) -> None:
        """Exchange time and channels, as `transpose(1, 2)` does; without a layer, until one needs the other order."""
        if self._time_first:
            raise ValueError(
                f"module {self._time_first!r} has batch_first=False: PyTorch would swap batch and channels"
            )
        self._is_swapped = not self._is_swapped

    def _order(self, channels_first: bool) -> None:
        if self._is_swapped != channels_first:
            self.model.add(layers.Permute((2, 1), dtype=self.dtype))
            self._is_swapped = channels_first

    def add(self, layer: Any) -> None:
        """Add a layer of the user, whose name is that of its module."""
        if isinstance(layer, Symbol):
            self.model.add(layer)
            self._has_input = True
            return
        if isinstance(layer, layers.Permute) and layer.dims == (2, 1):
            self.swap()
            return
        self._order(False)
        self.model.add(layer)
        if not self.model.built:
            raise ValueError(f"layer {layer.name!r} of the chain comes first: pass input_shape")
        self._has_input = True
        if layer.weights:
            self.names.append(layer.name)

    def add_module(self, module: Module, last: str | None) -> None:
        """Add the layers of a module; `last` says how its last step is read."""
        if not self._has_input:
            shape = features(module)
            if shape is None:
                raise module.cannot("it comes first and does not say what it reads: pass input_shape")
            self.begin(shape)
        if module.name in self._read and module.module.state_dict():
            raise module.cannot("the chain has it twice, and layers of a Sequential do not share weights")
        self._read.add(module.name)
        rank = len(self.model.output_shape)
        layers_of_it, order = made(module, last is not None, self.dtype, rank)
        self._check_order(module, order)
        if last is not None:
            self._check_last(module, order, last)
        if order == "channels first":
            self._order(True)
        elif order != "any":
            self._order(False)
        is_trained = module.trains
        for layer, name in layers_of_it:
            self.model.add(layer)
            if layer.weights:
                self.names.append(name)
                layer.trainable = is_trained

    def _check_order(self, module: Module, order: str) -> None:
        first = getattr(module.module, "batch_first", None)
        if first is True:
            self._batch_first = module.name
        elif first is False:
            self._time_first = module.name
        if self._time_first is not None and self._batch_first is not None:
            raise module.cannot("all recurrent modules of a chain must have the same batch_first")
        if first is False and self._is_swapped:
            raise module.cannot("after channels and time it must have batch_first=True, or a Permute((2, 1)) before it")
        if self._time_first is not None and (order == "channels first" or module.kind == "Flatten"):
            raise module.cannot("next to a module with batch_first=False it would mix the samples of a batch")

    def _check_last(self, module: Module, order: str, last: str) -> None:
        if order != "time" or not hasattr(module.module, "hidden_size"):
            raise module.cannot(f"it has no {last!r}: {_AFTER_RECURRENT}")
        first = getattr(module.module, "batch_first", None)
        if (last == "[:, -1]" and first is False) or (last == "[-1]" and first):
            right = "[-1]" if first is False else "[:, -1]"
            raise module.cannot(f"with batch_first={first} its last step is {right!r}, got {last!r}")
        if last != "h_n" and getattr(module.module, "bidirectional", False):
            raise module.cannot(
                f"it is bidirectional, and in {last!r} its backward direction has read one step: write 'h_n' for the "
                "last states of both, or write no selection for all steps"
            )

    def finished(self) -> Any:
        """The model, whose output has PyTorch's order of axes."""
        self._order(False)
        return self.model


def _named(module: Module) -> Iterator[Module]:
    """A module, or the modules in a Sequential."""
    if module.kind != "Sequential":
        yield module
        return
    for name, _ in module.module.named_children():
        yield from _named(module.child(name))


@checked
def from_torch(
    module: Annotated[Any, Unchecked(allowed="dict")],
    chain: Annotated[Sequence[Any], ListOf(_Entry())] | None = None,
    *,
    input_shape: Annotated[Sequence[int | None], ListOf(Optional(Whole(1)))] | None = None,
    name: Name | None = None,
) -> Any:
    """Return a model that computes what a module of PyTorch computes, with its weights.

    It reads RNN, LSTM, GRU and their cells, Linear, Conv1d, Embedding, BatchNorm1d, LayerNorm, Dropout, Flatten,
    Identity and activations, on their own, in an `nn.Sequential`, or in a described chain. A recurrent module passes on
    the outputs of all steps. A cell becomes the layer that runs it over a sequence. The model reads (batch, time,
    features) whatever `batch_first` is; axes of a Conv1d are (batch, channels, time), as in PyTorch, and layers that
    exchange them are added where they are needed. The initial states are zeros.

    Args:
        module: A module, or a `state_dict` of arrays or tensors by name. Nothing is unpickled, and PyTorch is not
            imported.
        chain: What `forward` does, in order, for a module of a custom class or a `state_dict`. A list of names of
            modules, each followed by "[:, -1]" (or "[-1]" without `batch_first`) or "h_n" if only its last step or last
            state is read; layers of pyrnn for everything else, such as `Permute((2, 1))` for `x.transpose(1, 2)`. With
            a `state_dict` it is a list of layers of pyrnn alone, whose names are those of the modules; "lstm.l0" and
            "lstm.l1" are the layers of a module `lstm`.
        input_shape: Shape of a sample, batch axis left out; by default that of the first module, with any number of
            steps.
        name: Name of the model.

    Returns:
        A `Sequential`. The names of its layers are those of the modules, so that `to_torch_state_dict` returns the
        `state_dict` again.

    Raises:
        TypeError: If `module` is neither, or an entry of the chain is something else.
        ValueError: If a module cannot be imported; the message names it and the reason.

    Example:
        >>> import numpy as np
        >>> import pyrnn
        >>> from pyrnn import layers
        >>> arrays = {"fc.weight": np.array([[1.0, 2.0]], "float32"), "fc.bias": np.zeros(1, "float32")}
        >>> model = pyrnn.interop.from_torch(arrays, [layers.Input((2,)), layers.Dense(1, name="fc")])
        >>> model(np.array([[3.0, 4.0]]))
        array([[11.]], dtype=float32)
    """
    if not isinstance(module, Mapping) and not hasattr(module, "state_dict"):
        raise WrongType(f"module must be a module of PyTorch or a state_dict of arrays, got {shown(module)}")
    if isinstance(module, Mapping):
        return _from_arrays(module, chain, input_shape, name)
    root = Module(module, "")
    state_dict = {key: as_array(key, value) for key, value in module.state_dict().items()}
    floats = [array.dtype for array in state_dict.values() if array.dtype.kind == "f"]
    dtype = str(np.result_type(np.float32, *floats))
    entries: list[Any] = list(_named(root)) if chain is None else list(chain)
    result = _Chain(dtype, input_shape, name)
    for index, entry in enumerate(entries):
        following = entries[index + 1] if index + 1 < len(entries) else None
        last = following if isinstance(following, str) and following in _LAST_STEPS else None
        if isinstance(entry, str) and entry in _LAST_STEPS:
            before = entries[index - 1] if index else None
            if not isinstance(before, str) or before in _LAST_STEPS:
                raise ValueError(f"chain has {entry!r} in place {index}: {_AFTER_RECURRENT}")
        elif isinstance(entry, str | Module):
            parts = list(_named(root.child(entry))) if isinstance(entry, str) else [entry]
            for part in parts:
                result.add_module(part, last if part is parts[-1] else None)
        else:
            result.add(entry)
    model = result.finished()
    if not model.layers:
        raise ValueError("chain must hold at least one module or layer, got none")
    load_torch_state_dict(model, state_dict, result.names)
    return model


def _from_arrays(
    state_dict: Mapping[str, Any],
    chain: Sequence[Any] | None,
    input_shape: Sequence[int | None] | None,
    name: str | None,
) -> Any:
    """The model of a state_dict and a chain of layers with the names of its modules."""
    if chain is None or any(isinstance(entry, str) for entry in chain):
        raise ValueError(
            f"chain must be a list of layers of pyrnn where module is a state_dict, got {shown(chain)}: "
            "arrays do not say what forward does"
        )
    inputs = [] if input_shape is None else [layers.Input(tuple(input_shape))]
    model = models.Sequential([*inputs, *chain], name=name)
    if not model.built:
        raise ValueError("chain must begin with an Input where no input_shape is passed")
    load_torch_state_dict(model, state_dict)
    return model
