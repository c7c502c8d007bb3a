"""`call` of custom layers: run once on symbols for each shape of the inputs, and then as a graph of layers.

Layers in the graph keep their kernels; the operations between them are differentiated by autograd.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyrnn.graph import Graph
from pyrnn.layers.holder import Holder
from pyrnn.ops.dispatch import Hooks
from pyrnn.parameters import Weight
from pyrnn.plan import Plan
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import Node, Symbol
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
        self.name, self._weights, self._trainable = name, [], True
        Node(self, (), {}, (), symbols)


class Trace:
    """The graph of a `call` for inputs of certain shapes.

    Args:
        layer: the custom layer.
        xs: its inputs, arrays.
        mask: the mask of the input, or None.
        training: whether `call` is traced for training.

    Raises:
        TypeError: if `call` returns anything but symbols.
    """

    def __init__(self, layer: Any, xs: Sequence[Any], mask: Any, training: bool) -> None:
        self.layer = layer
        self.weights: list[Weight] = []
        self._symbols: list[Symbol] = []
        inputs = [Symbol(x.shape, str(x.dtype), f"x_{i}" if i else "x") for i, x in enumerate(xs)]
        masks = [] if mask is None else [Symbol(mask.shape, "bool", "mask")]
        for symbol in inputs[1:]:
            Source(f"{layer.name}_{symbol.name}", symbol)
        Source(f"{layer.name}_x", inputs[0], *masks)
        accepted = inspect.signature(type(layer).call).parameters
        options = {"training": training, "mask": masks[0] if masks else None}
        options = {name: value for name, value in options.items() if name in accepted}
        with self._weights_as_symbols():
            outputs = layer.call(inputs if len(inputs) > 1 or layer.merges else inputs[0], **options)
        self.outputs = leaves(outputs)
        for leaf in self.outputs:
            if not isinstance(leaf, Symbol):
                raise TypeError(
                    f"call of layer {layer.name!r} ({type(layer).__name__}) must return what layers and ops made of "
                    f"its input, got {shown(leaf)}"
                )
        self.has_mask = bool(masks)
        graph = Graph([*inputs, *masks, *self._symbols], self.outputs)
        for node in graph.nodes:
            node.layer.nodes[:] = [each for each in node.layer.nodes if each is not node]
        inner = [each for each in graph.layers if not isinstance(each, Source)]
        self.plan = Plan(inner, graph)
        self._inner = inner

    def symbol_of(self, weight: Weight) -> Symbol:
        """Return the symbol that a weight is in the graph.

        Args:
            weight: a weight.
        """
        for candidate, symbol in zip(self.weights, self._symbols, strict=True):
            if candidate is weight:
                return symbol
        symbol = Symbol(weight.shape, weight.dtype, weight.path)
        Source(f"{weight.path}_{len(self.weights)}", symbol)
        self.weights.append(weight)
        self._symbols.append(symbol)
        return symbol

    @contextmanager
    def _weights_as_symbols(self) -> Iterator[None]:
        """Within it, the attributes of the layer that are weights are symbols."""
        attributes = vars(self.layer)
        before = {
            name: value
            for name, value in attributes.items()
            if name not in _RECORDS and any(isinstance(leaf, Weight) for leaf in leaves_of_attribute(value))
        }
        hook, Hooks.symbol_of_weight = Hooks.symbol_of_weight, self.symbol_of
        was_traced, Weight.traced = Weight.traced, True
        try:
            for name, value in before.items():
                attributes[name] = mapped(
                    lambda leaf: self.symbol_of(leaf) if isinstance(leaf, Weight) else leaf, value
                )
            yield
        finally:
            attributes.update(before)
            Hooks.symbol_of_weight, Weight.traced = hook, was_traced

    def forward(self, xs: Sequence[Any], mask: Any, training: bool) -> Any:
        """Run the graph.

        Args:
            xs: the inputs (B, ...).
            mask: the mask (B, T) of the input, or None.
            training: whether a backward pass follows.

        Returns:
            The output (B, ...), or a tuple of outputs.
        """
        plan = self.plan
        if plan.stale and training:
            plan.compile(self.layer.weights, self.layer.trainable_weights, self.layer.dtype)
        masks = [] if mask is None else [mask]
        inputs = [*xs, *masks, *(weight.array for weight in self.weights)]
        outputs, _ = plan.forward(inputs, training, [mask, *[None] * (len(inputs) - 1)])
        outputs = [np.asarray(y, self.layer.dtype) if y.dtype.kind != "f" else y for y in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def backward(self, d_outputs: Sequence[Any], count: int) -> list[Any]:
        """Write the gradients of the weights.

        Args:
            d_outputs: gradients of the outputs (B, ...).
            count: number of inputs of the layer.

        Returns:
            The gradients of the inputs.
        """
        gradients = self.plan.backward(d_outputs, need_dx=True)
        inner = {id(weight) for layer in self._inner for weight in layer.trainable_weights}
        of_weights = gradients[count + self.has_mask :]
        for weight, gradient in zip(self.weights, of_weights, strict=True):
            if id(weight) in inner:
                weight.gradient += 0 if gradient is None else gradient
            else:
                weight.gradient[...] = 0 if gradient is None else gradient
        return gradients[:count]


def leaves_of_attribute(value: Any) -> list[Any]:
    """Return what is in an attribute: the leaves of a list, tuple or dict with names as keys, or the value itself.

    Args:
        value: the value of the attribute.
    """
    try:
        return leaves(value)
    except TypeError:  # keys that cannot be sorted
        return []


def _trace(layer: Any, xs: Sequence[Any], mask: Any, training: bool) -> Trace:
    traces: dict[Any, Trace] = vars(layer).setdefault("_traces", {})
    key = (bool(training), None if mask is None else mask.shape, *((x.shape, x.dtype.char) for x in xs))
    trace = traces.get(key)
    if trace is None:
        trace = Trace(layer, xs, mask, bool(training))
        while len(traces) >= _MOST_TRACES:
            del traces[next(iter(traces))]
        traces[key] = trace
    return trace


def _forward(self: Any, *xs: Any, training: bool = False, mask: Any = None) -> Any:
    """Run `call` as the graph that it was traced to."""
    if isinstance(mask, list):
        mask = mask[0]
    trace = _trace(self, xs, mask, training)
    y = trace.forward(xs, mask, training)
    if training:
        self._tape.append((trace, [x.shape for x in xs]))
    return y


def _backward(self: Any, *d_outputs: Any, need_dx: bool = True) -> Any:
    """Differentiate the graph."""
    trace, shapes = self._take_saved()
    gradients = trace.backward(d_outputs, len(shapes))
    if not need_dx:
        gradients = [None] * len(shapes)
    elif len(shapes) == 1 and gradients[0] is None:  # no output depends on the input
        gradients = [np.zeros(shapes[0], self.dtype)]
    return gradients[0] if len(shapes) == 1 else tuple(gradients)


def _compute_output_shape(self: Any, input_shape: Any) -> Any:
    """Return the shapes of what `call` returns, traced for two sizes of each unknown axis."""
    if not self.built:
        self.build(input_shape)
    several = bool(input_shape) and isinstance(input_shape[0], list | tuple)
    shapes = list(input_shape) if several else [input_shape]
    trials = []
    for size in (2, 3) if any(None in shape for shape in shapes) else (2,):
        zeros = [np.zeros([size if each is None else each for each in shape], self.dtype) for shape in shapes]
        trials.append([symbol.shape for symbol in _trace(self, zeros, None, False).outputs])
    results = [
        tuple(size if size == other else None for size, other in zip(first, last, strict=True))
        for first, last in zip(trials[0], trials[-1], strict=True)
    ]
    return results if len(results) > 1 else results[0]


def _discard_saved(self: Any) -> None:
    """Discard what passes without a backward saved, in the graphs too."""
    Holder._discard_saved(self)
    for trace in vars(self).get("_traces", {}).values():
        trace.plan.discard_saved()


def install(cls: Any, root: Any, method: Callable[..., Any], define: Callable[[type, str], Any]) -> None:
    """Give a custom class with `call` the methods that run it.

    Args:
        cls: the class.
        root: `Layer`.
        method: its `call`.
        define: returns what a class defines under a name, or None.

    Raises:
        TypeError: if the class defines `forward` or `backward` too, or inherits them.
    """
    traced = getattr(cls.forward, "__module__", "") == __name__
    if define(cls, "forward") is not None or define(cls, "backward") is not None:
        raise TypeError(f"{cls.__name__} defines call as well as forward or backward: define call, or the other two")
    if cls.forward is not root.forward and not traced:
        base = next(each for each in cls.__mro__ if "forward" in vars(each)).__name__
        raise TypeError(
            f"{cls.__name__} defines call, but {base} runs forward(): define forward and backward, or a Layer that "
            f"holds a {base} and calls it in call"
        )
    cls.forward, cls.backward, cls._discard_saved = _forward, _backward, _discard_saved
    if cls.compute_output_shape is root.compute_output_shape:
        cls.compute_output_shape = _compute_output_shape
