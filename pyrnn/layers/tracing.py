"""The graph of a method that runs on symbols, once for each shape of its inputs: `call` of a custom layer.

Layers in the graph keep their kernels; the operations between them are differentiated by autograd.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyrnn.graph import Graph
from pyrnn.inner_layers import leaves_of_attribute
from pyrnn.layers.call_arguments import Arguments, at_places
from pyrnn.layers.holder import Holder
from pyrnn.layers.inherited import weights_read_by
from pyrnn.parameters import Weight, assign_all
from pyrnn.plan import Plan
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import Drawn, Node, Symbol, WeightSymbol, tracing
from pyrnn.validation import shown

# A layer keeps the graphs of at most this number of shapes of its inputs.
_MOST_TRACES = 64
_RECORDS = ("_weights", "_tape", "nodes", "_traces", "_declared", "_layers")


class Source(Holder):
    """What makes the symbols of the inputs and weights of a traced `call`.

    Args:
        name: its name.
        symbols: the symbols.
    """

    is_model = False

    def __init__(self, name: str, *symbols: Symbol) -> None:
        self.name, self._trainable = name, True
        Node(self, (), {}, (), symbols)


class Trace:
    """The graph of a method for inputs of certain shapes.

    Args:
        layer: the layer, whose weights become symbols.
        method: its `call`, or another method bound to it.
        arguments: the arguments of the call.
        inputs: a shape and a dtype for each input.
        masks: the shape of the mask of each input, or None where there is none.
        training: whether it is traced for training.

    Raises:
        TypeError: if the method returns anything but symbols.
    """

    # Whether the shapes of its outputs were compared with those that the layer declares.
    is_checked = False

    def __init__(
        self,
        layer: Any,
        method: Callable[..., Any],
        arguments: Arguments,
        inputs: Sequence[tuple[Any, str]],
        masks: Sequence[Any],
        training: bool,
    ) -> None:
        self.layer, self.training = layer, training
        # The weights and constants in the graph; their symbols follow those of the inputs and masks.
        self.sources: list[Any] = []
        self._symbols: list[Symbol] = []
        self._has_inputs = bool(inputs)
        xs = [Symbol(shape, dtype, f"x_{i}" if i else "x") for i, (shape, dtype) in enumerate(inputs)]
        mask_symbols = [
            None if shape is None else Symbol(shape, "bool", f"mask_{i}" if i else "mask")
            for i, shape in enumerate(masks)
        ]
        read = [*xs, *(symbol for symbol in mask_symbols if symbol is not None)]
        for symbol in read:
            Source(f"{layer.name}_{symbol.name}", symbol)
        args, kwargs = arguments.filled(xs)
        kwargs |= _masks_of(method, arguments, mask_symbols)
        if "training" in inspect.signature(method).parameters:
            kwargs["training"] = training
        with self._traced(), self._losses_of(layer) as losses:
            self.structure = self._symbols_in(method(*args, **kwargs))
        self.outputs, self.losses = leaves(self.structure), losses
        self._updates = [
            (weight, symbol.current)
            for weight, symbol in zip(self.sources, self._symbols, strict=True)
            if symbol.current is not symbol
        ]
        graph = Graph([*read, *self._symbols], [*self.outputs, *losses, *(new for _, new in self._updates)])
        for node in graph.nodes:
            node.layer.nodes[:] = [each for each in node.layer.nodes if each is not node]
        self._inner = [each for each in graph.layers if not isinstance(each, Source)]
        self._check_updates()
        self._unreached: list[Weight] = []
        self.plan = Plan(self._inner, graph)

    def _check_updates(self) -> None:
        """Reject an assignment to a weight that a layer in the graph reads itself: it would read the old value."""
        for weight, _ in self._updates:
            for inner in self._inner:
                if any(weight is each for each in weights_read_by(inner)):
                    raise TypeError(
                        f"call of layer {self.layer.name!r} ({type(self.layer).__name__}) must not assign to weight "
                        f"{weight.path!r}, which layer {inner.name!r} reads in the same call: compute with pyrnn.ops "
                        "in place of that layer"
                    )

    def _symbols_in(self, structure: Any) -> Any:
        """Check what the method returned; arrays next to symbols become symbols."""
        outputs = leaves(structure)
        has_symbols = not self._has_inputs or any(isinstance(leaf, Symbol | Weight) for leaf in outputs)
        for leaf in outputs:
            if not isinstance(leaf, Symbol | Weight) and not (has_symbols and isinstance(leaf, np.ndarray)):
                raise TypeError(
                    f"call of layer {self.layer.name!r} ({type(self.layer).__name__}) must return what layers and ops "
                    f"made of its input, got {shown(leaf)}"
                )
        return mapped(lambda leaf: (leaf if isinstance(leaf, Symbol) else self.symbol_of(leaf)).current, structure)

    def symbol_of(self, value: Any) -> Symbol:
        """Return the symbol that a weight or a constant is in the graph.

        Args:
            value: a weight or an array.
        """
        for candidate, symbol in zip(self.sources, self._symbols, strict=True):
            if candidate is value:
                return symbol
        name = value.path if isinstance(value, Weight) else "constant"
        kind = WeightSymbol if isinstance(value, Weight) else Symbol
        symbol = kind(value.shape, str(value.dtype), name)
        Source(f"{name}_{len(self.sources)}", symbol)
        self.sources.append(value)
        self._symbols.append(symbol)
        return symbol

    @contextmanager
    def _traced(self) -> Iterator[None]:
        """Within it, the attributes of the layer that are weights are symbols, and layers return symbols."""
        attributes = vars(self.layer)
        before = {
            name: value
            for name, value in attributes.items()
            if name not in _RECORDS and any(isinstance(leaf, Weight) for leaf in leaves_of_attribute(value))
        }
        before_this = tracing.symbol_of, tracing.training
        tracing.symbol_of, tracing.training = self.symbol_of, self.training
        try:
            for name, value in before.items():
                attributes[name] = mapped(
                    lambda leaf: self.symbol_of(leaf) if isinstance(leaf, Weight) else leaf, value
                )
            yield
        finally:
            attributes.update(before)
            tracing.symbol_of, tracing.training = before_this

    @contextmanager
    def _losses_of(self, layer: Any) -> Iterator[list[Symbol]]:
        """Within it, symbols that the layer adds to the loss are collected."""
        losses: list[Symbol] = []
        layer._traced_losses, before = losses, layer._traced_losses
        try:
            yield losses
        finally:
            layer._traced_losses = before

    def compile(self) -> None:
        """Derive what a training step needs from the layers as they are now."""
        self.plan.compile(self.layer.weights, self.layer.trainable_weights, self.layer.dtype)
        reached = {id(weight) for layer in self._inner for weight in layer.weights} | set(map(id, self.sources))
        self._unreached = [weight for weight in self.layer.trainable_weights if id(weight) not in reached]

    def forward(self, xs: Sequence[Any], masks: Sequence[Any], training: bool) -> tuple[list[Any], list[Any]]:
        """Run the graph.

        Args:
            xs: the inputs (B, ...).
            masks: the mask (B, T) of each input, or None where there is none.
            training: whether a backward pass follows.

        Returns:
            The outputs (B, ...), and the masks that the layers which made them give them.
        """
        if training and self.plan.stale:
            self.compile()
        values = [_value(each) for each in self.sources]
        if self._updates:  # which overwrite what backward needs
            values = [np.array(value) for value in values]
        inputs = [*xs, *(mask for mask in masks if mask is not None), *values]
        outputs, output_masks = self.plan.forward(inputs, training, [*masks, *[None] * (len(inputs) - len(masks))])
        if self.losses or self._updates:
            added = outputs[len(self.outputs) :]
            del outputs[len(self.outputs) :]
            self.layer.add_loss(added[: len(self.losses)])
            new = added[len(self.losses) :]
            assign_all([(weight, value) for (weight, _), value in zip(self._updates, new, strict=True)])
        outputs = [np.asarray(y, self.layer.dtype) if y.dtype.kind != "f" else y for y in outputs]
        return outputs, output_masks[: len(outputs)]

    def backward(self, d_outputs: Sequence[Any], count: int) -> list[Any]:
        """Write the gradients of the weights.

        Args:
            d_outputs: gradients of the outputs (B, ...), None where there is none.
            count: number of inputs of the method.

        Returns:
            The gradients of the inputs, None where there is none.
        """
        slopes = [np.full(loss.shape, self.layer.loss_factor, loss.dtype) for loss in self.losses]
        gradients = self.plan.backward([*d_outputs, *slopes, *[None] * len(self._updates)], need_dx=True)
        inner = {id(weight) for layer in self._inner for weight in layer.trainable_weights}
        first = len(gradients) - len(self.sources)
        for source, gradient in zip(self.sources, gradients[first:], strict=True):
            if not isinstance(source, Weight):
                continue
            if id(source) in inner:
                source.gradient += 0 if gradient is None else gradient
            else:
                source.gradient[...] = 0 if gradient is None else gradient
        for weight in self._unreached:
            weight.gradient[...] = 0
        return gradients[:count]


def _value(source: Any) -> Any:
    """The array of a weight, of random numbers, or of a constant."""
    if isinstance(source, Weight):
        return source.array
    return source.draw() if isinstance(source, Drawn) else source


def _masks_of(method: Callable[..., Any], arguments: Arguments, masks: Sequence[Any]) -> dict[str, Any]:
    """Return the masks that a method takes: `mask` for the only array, `name_mask` for each of several, as in Keras."""
    arrays = arguments.arrays(inspect.signature(method))
    several = len(arrays) > 1
    wanted = {f"{name}_mask" if several else "mask": places for name, places in arrays.items()}
    parameters = inspect.signature(method).parameters
    return {
        name: at_places(places, masks) for name, places in wanted.items() if name in parameters and name not in arrays
    }


def trace_of(
    layer: Any, arguments: Arguments, inputs: Sequence[tuple[Any, str]], masks: Sequence[Any], training: bool
) -> Trace:
    """Return the graph of `call` for inputs of certain shapes, which is made at the first call.

    Args:
        layer: the custom layer.
        arguments: the arguments of the call.
        inputs: a shape and a dtype for each input.
        masks: the shape of the mask of each input, or None where there is none.
        training: whether a backward pass follows.
    """
    traces: dict[Any, Trace] = vars(layer).setdefault("_traces", {})
    key = (arguments.key, training, *inputs, *masks)
    trace = traces.get(key)
    if trace is None:
        trace = Trace(layer, layer.call, arguments, inputs, masks, training)
        while len(traces) >= _MOST_TRACES:
            del traces[next(iter(traces))]
        traces[key] = trace
    return trace
