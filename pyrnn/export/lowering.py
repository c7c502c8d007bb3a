"""From a model to a `Program`: follows the calls of its layers, with shapes, masks and the axis of time.

What a kind of layer becomes is in `lower_layers` and `lower_recurrent`; a layer of no kind listed there is rejected by
name, before anything is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

from numpy.typing import NDArray

from pyrnn.export.program import (
    Affine,
    Fill,
    LoopBegin,
    LoopEnd,
    Move,
    Operation,
    Program,
    Value,
    vector_of,
)
from pyrnn.overriding import is_builtin
from pyrnn.regions import steps as steps_of
from pyrnn.stages import Builder

Array = NDArray[Any]
Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """What a layer receives and returns.

    Args:
        value: The numbers.
        shape: Shape of one sample, without the batch axis; the time axis of a stream has size 1.
        mask: Flags for the first axis, or None.
        is_step: Whether the first axis is the time of a stream.
    """

    value: Value
    shape: Shape
    mask: Value | None = None
    is_step: bool = False


class Lowering:
    """Collects the operations of a model.

    Args:
        stream: Whether the program runs one time step at a time.
        dtype: The model's dtype, in which a stream is checked.
    """

    # What a layer becomes, by its class; `register` fills it.
    rules: ClassVar[dict[type, Callable[[Lowering, Any, list[Tensor]], list[Tensor]]]] = {}

    def __init__(self, stream: bool, dtype: str) -> None:
        self.program = Program(stream)
        self.stream, self.dtype = stream, dtype
        self._loops = 0
        self._layer = ""

    # Models.

    def model(self, model: Any, tensors: list[Tensor]) -> list[Tensor]:
        """Lower a model or one that is a layer of another.

        Args:
            model: A Sequential, or a Model made of inputs and outputs.
            tensors: Its inputs.

        Returns:
            Its outputs.

        Raises:
            ValueError: If a layer cannot be exported.
        """
        self.check_class(model)
        graph = model.plan().graph
        if graph is None:
            for layer in model.layers:
                tensors = self.layer(layer, tensors)
            return tensors
        made = {id(symbol): tensor for symbol, tensor in zip(graph.inputs, tensors, strict=True)}
        for step in steps_of(graph):
            if step.training:
                self.reject(step.layer, "it is called with training=True")
            if any(mask is not None for mask in step.masks):
                self.reject(step.layer, "it is called with a mask")
            if any(value is not None and value is not False for value in step.options.values()):
                self.reject(step.layer, f"it is called with {', '.join(step.options)}")
            outputs = self.layer(step.layer, [made[id(symbol)] for symbol in step.inputs])
            made |= {id(symbol): tensor for symbol, tensor in zip(step.outputs, outputs, strict=True)}
        return [made[id(symbol)] for symbol in graph.outputs]

    def check_class(self, model: Any) -> None:
        """Raise a ValueError if a model is of a user's class, whose call may be a function of Python."""
        if not is_builtin(type(model)):
            raise ValueError(
                f"model {model.name!r} cannot be exported to C: its class {type(model).__name__} is custom"
            )

    def layer(self, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
        """Lower one call of a layer.

        Args:
            layer: The layer, built.
            tensors: Its inputs.

        Returns:
            Its outputs.

        Raises:
            ValueError: If it cannot be exported.
        """
        if getattr(layer, "is_model", False):
            return self.model(layer, tensors)
        rule = self.rules.get(type(layer))
        if rule is None:
            names = ", ".join(sorted(each.__name__ for each in self.rules))
            self.reject(layer, f"there is no C for it; there is for {names}")
        if len(tensors) == 1 and tensors[0].is_step:
            self.check_step(layer, tensors[0])
        self._layer = f"layer {layer.name!r} ({type(layer).__name__})"
        return rule(self, layer, tensors)

    def check_step(self, layer: Any, tensor: Tensor) -> None:
        """Raise a ValueError if a layer cannot run one time step at a time, as `Model.stream` would."""
        if tensor.value.kind == "ids":
            return
        builder = Builder(1, tensor.shape[1:], self.dtype)
        builder.masked = tensor.mask is not None
        try:
            builder.add(layer)
        except ValueError as error:
            raise ValueError(f"{error}: pass stream=False to export whole sequences") from error

    def reject(self, layer: Any, why: str) -> NoReturn:
        """Raise the error for a layer that cannot be exported.

        Args:
            layer: The layer.
            why: The reason, a clause.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"layer {layer.name!r} ({type(layer).__name__}) cannot be exported to C: {why}")

    # Values and operations.

    def add(self, operation: Operation) -> None:
        """Append an operation."""
        operation.layer = self._layer
        self.program.operations.append(operation)

    def buffer(self, shape: Shape | int, kind: str = "number", role: str = "buffer") -> Value:
        """Return a new value of a shape."""
        return Value(math.prod(shape) if isinstance(shape, tuple) else shape, kind, role)

    def output_shape(self, layer: Any, tensor: Tensor) -> Shape:
        """Return the shape of one sample of a layer's output."""
        return tuple(layer.compute_output_shape((1, *tensor.shape))[1:])

    def result(self, layer: Any, tensor: Tensor, value: Value, shape: Shape | None = None) -> list[Tensor]:
        """Return the one output of a layer, with the mask that the layer passes on.

        Args:
            layer: The layer.
            tensor: Its input.
            value: What was computed.
            shape: Its shape; that of the input by default.
        """
        mask = tensor.mask if layer.supports_masking else None
        return [Tensor(value, tensor.shape if shape is None else shape, mask, tensor.is_step)]

    def affine(
        self, tensor: Tensor, centre: Array | None = None, factor: Array | None = None, offset: Array | None = None
    ) -> Tensor:
        """Append (x - centre) * factor + offset, each broadcast with one sample, or None."""
        y = self.buffer(tensor.shape)
        vectors = [None if each is None else vector_of(each, tensor.shape) for each in (centre, factor, offset)]
        self.add(Affine(tensor.value, y, *vectors))
        return tensor._replace(value=y)

    def permute(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        """Return x with its axes in another order, as `numpy.transpose`."""
        if list(order) == list(range(len(tensor.shape))):
            return tensor
        strides = row_major(tensor.shape)
        shape = tuple(tensor.shape[axis] for axis in order)
        moved = tuple(axis for axis in order if tensor.shape[axis] > 1)
        if list(moved) == sorted(moved):  # only axes of size 1 move
            return tensor._replace(shape=shape)
        y = self.buffer(shape)
        self.add(Move(tensor.value, y, shape, tuple(strides[axis] for axis in order), row_major(shape)))
        return tensor._replace(value=y, shape=shape)

    def broadcast(self, tensor: Tensor, shape: Shape) -> Value:
        """Return x repeated along its axes of size 1 to a shape of as many axes."""
        if tensor.shape == shape:
            return tensor.value
        y = self.buffer(shape)
        strides = tuple(
            0 if size == 1 else stride for size, stride in zip(tensor.shape, row_major(tensor.shape), strict=True)
        )
        self.add(Move(tensor.value, y, shape, strides, row_major(shape)))
        return y

    def padded(self, tensor: Tensor, before: int, after: int) -> Tensor:
        """Return x (T, C) with steps of zeros before and after it."""
        if not before and not after:
            return tensor
        steps, channels = tensor.shape
        y = self.buffer((before + steps + after, channels))
        self.add(Fill(y, 0.0))
        self.add(Move(tensor.value, y, (steps * channels,), (1,), (1,), to=before * channels))
        return tensor._replace(value=y, shape=(before + steps + after, channels))

    def for_each(self, layer: Any, tensor: Tensor) -> Tensor:
        """Run a layer on each of the parts of x along its first axis."""
        count, *rest = tensor.shape
        part = Tensor(self.buffer(tuple(rest)), tuple(rest))
        self._loops += 1
        number = self._loops
        self.add(LoopBegin(tensor.value, part.value, count, number))
        (result,) = self.layer(layer, [part])
        y = self.buffer(count * result.value.size)
        self.add(LoopEnd(result.value, tensor.value, y, count, number))
        return tensor._replace(value=y, shape=(count, *result.shape))


def row_major(shape: Shape) -> tuple[int, ...]:
    """Return the strides of a contiguous array of a shape, in numbers."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def register(*kinds: type) -> Callable[[Any], Any]:
    """Return a decorator that enters a rule `f(lowering, layer, tensors) -> tensors` for classes of layers."""

    def enter(rule: Any) -> Any:
        Lowering.rules.update(dict.fromkeys(kinds, rule))
        return rule

    return enter
