"""Clones of functional models and of `Sequential` that a user's functions take part in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyrnn import registry
from pyrnn.functional import Functional
from pyrnn.layers.core.input import Input, InputLayer
from pyrnn.layers.holder import Holder
from pyrnn.layers.serialization import deserialize, serialize
from pyrnn.sequential import Sequential
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import Symbol
from pyrnn.validation import WrongType, shown

CloneFunction = Callable[[Any], Any]
CallFunction = Callable[..., Any]


class Cloner:
    """Makes models of the same structure from layers that a user's function returns.

    Args:
        clone_function: returns the layer to use in place of a layer, or None to make layers again from their configs.
        call_function: calls a layer, `call_function(layer, *args, **kwargs)`, and returns the symbols that take the
            place of its outputs; or None.
        recursive: whether the layers of models within the model are cloned one by one, instead of these models.
    """

    def __init__(
        self, clone_function: CloneFunction | None, call_function: CallFunction | None, recursive: bool
    ) -> None:
        self._clone_function, self._call_function, self._recursive = clone_function, call_function, recursive
        self._clones: dict[int, Any] = {}

    def clone(self, model: Any, input_tensors: Any = None) -> Any:
        """Return the clone of a functional model or a `Sequential`, with fresh layers, not compiled.

        Args:
            model: the model.
            input_tensors: symbols in the structure of the model's inputs that the clone starts from, or None.

        Raises:
            TypeError: if a function does not return a layer, or symbols.
            ValueError: if `input_tensors` has another structure, or `call_function` is for functional models only.
        """
        for leaf in leaves(input_tensors):
            if leaf is not None and not isinstance(leaf, Symbol):
                raise WrongType(f"input_tensors must hold symbols, got {shown(leaf)}")
        if isinstance(model, Functional) and model.graph is not None:
            return self._functional(model, input_tensors)
        if not isinstance(model, Sequential):
            raise TypeError(
                f"clone_function, call_function, input_tensors and recursive are for Sequential and functional models, "
                f"got {shown(model)}"
            )
        if self._call_function is not None:
            raise ValueError("call_function is for functional models: a Sequential does not call its layers")
        return self._sequential(model, input_tensors)

    def _layer(self, layer: Any) -> Any:
        if id(layer) not in self._clones:
            self._clones[id(layer)] = self._new_layer(layer)
        return self._clones[id(layer)]

    def _new_layer(self, layer: Any) -> Any:
        if self._recursive and isinstance(layer, Functional | Sequential) and "call" not in layer.runs:
            inner = Cloner(
                self._clone_function,
                self._call_function if isinstance(layer, Functional) else None,
                recursive=True,
            )
            inner._clones = self._clones  # a layer may be in both models
            return inner.clone(layer)
        if self._clone_function is None or layer.is_operation:
            with registry.living_objects() as objects:
                description = serialize(layer)
            with registry.custom_object_scope(objects):
                return deserialize(description)
        clone = self._clone_function(layer)
        if not isinstance(clone, Holder):
            raise WrongType(f"clone_function must return a layer, got {shown(clone)} for layer {layer.name!r}")
        return clone

    def _sequential(self, model: Sequential, input_tensors: Any) -> Sequential:
        start: list[Any] = [] if model._input is None else [InputLayer.from_config(model._input.get_config())]
        if input_tensors is not None:
            symbols = leaves(input_tensors)
            if len(symbols) != 1:
                raise ValueError(f"input_tensors must be one symbol for a Sequential, got {shown(input_tensors)}")
            start = [_like(symbols[0])]
        return Sequential([*start, *map(self._layer, model.layers)], name=model.name, trainable=model.trainable)

    def _functional(self, model: Functional, input_tensors: Any) -> Any:
        graph = model._plan.graph
        assert graph is not None
        inputs = mapped(_like, model.input) if input_tensors is None else input_tensors
        if mapped(_no_leaf, inputs) != mapped(_no_leaf, model.input):
            raise ValueError(
                f"input_tensors must have the structure of the model's inputs, {shown(model.input)}, "
                f"got {shown(inputs)}"
            )
        symbols: dict[int, Symbol] = dict(zip(map(id, graph.inputs), leaves(inputs), strict=True))

        def new(leaf: Any) -> Any:
            return symbols[id(leaf)] if isinstance(leaf, Symbol) else leaf

        for node in graph.nodes:
            if all(id(symbol) in symbols for symbol in node.outputs):
                continue
            layer, args, kwargs = self._layer(node.layer), mapped(new, list(node.args)), mapped(new, dict(node.kwargs))
            if self._call_function is None:
                layer(*args, **kwargs)
                outputs: Any = layer.nodes[-1].outputs
            else:
                outputs = leaves(self._call_function(layer, *args, **kwargs))
            if len(outputs) != len(node.outputs) or not all(isinstance(each, Symbol) for each in outputs):
                raise WrongType(
                    f"call_function must return {len(node.outputs)} symbols in place of the outputs of layer "
                    f"{layer.name!r}, got {shown(outputs)}"
                )
            symbols.update(zip(map(id, node.outputs), outputs, strict=True))
        clone = type(model)(inputs, mapped(new, model.output), name=model.name)
        clone._trainable = model.trainable
        return clone


def _like(symbol: Symbol) -> Symbol:
    """A new input of the shape, dtype and name of a symbol."""
    return Input(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name)


def _no_leaf(leaf: Any) -> None:
    return None
