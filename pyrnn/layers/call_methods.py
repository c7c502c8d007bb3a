"""The methods of custom layers with `call`: they run the graph that `call` was traced to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn import overriding
from pyrnn.data.arrays import as_array, as_float
from pyrnn.layers import custom
from pyrnn.layers.call_arguments import ONE, Arguments, Shape, at_places, read, read_shapes, shapes_for, signature_of
from pyrnn.layers.holder import Holder
from pyrnn.layers.inner_calls import as_symbols
from pyrnn.layers.tracing import Source, Trace, trace_of
from pyrnn.plan import acts_as_in_training
from pyrnn.results import as_result
from pyrnn.structures import leaves, mapped, packed
from pyrnn.symbols import Node, Symbol, flat_shapes, is_symbolic, own_training, tracing
from pyrnn.validation import shown

Array = np.ndarray[Any, Any]
# What is added to sizes that were too small for a trial.
_LONGER = 62


def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Convert and check the inputs, build the layer at first use, and run `call`.

    Args:
        *args: positional arguments of `call`: arrays or symbols, in lists, tuples and dicts if there are several.
        **kwargs: its keyword arguments; also `training`, and `mask`, the mask of the first argument.

    Returns:
        What `call` returns, in the same structure.
    """
    parameters = signature_of(type(self).call).parameters
    training = kwargs.pop("training", None)
    if "training" in parameters:
        place = list(parameters).index("training")
        if place < len(args):
            training, args = args[place], (*args[:place], *args[place + 1 :])
    mask = kwargs.pop("mask", None)
    if any(isinstance(leaf, Symbol) for leaf in leaves(mask)):
        kwargs, mask = {**kwargs, "mask": mask}, None
    arguments, values = read(self, type(self).call, args, kwargs)
    if tracing.symbol_of is not None:
        values = as_symbols(values, self.dtype)
        kwargs, mask = {**kwargs, **({} if mask is None else {"mask": as_symbols(mask, self.dtype)})}, None
    if is_symbolic(values):
        return _connect(self, args, kwargs, arguments, values, own_training(training))
    if training is None and "training" in parameters:
        training = parameters["training"].default is True
    arrays = [_converted(self, each) for each in values]
    prepare(self, arguments, [array.shape for array in arrays])
    arguments = arguments or ONE
    masks: list[Any] = [None] * len(arrays) if mask is None else _listed(self, arguments, mask, arrays)
    is_outer = not custom.is_in_pass()
    if is_outer:
        self._start_call(training)
    trace, outputs, _ = run_trace(self, arguments, arrays, masks, bool(training))
    if is_outer and self.activity_regularizer is not None:
        self._add_activity(outputs[0])
    y = packed(trace.structure, outputs)
    return as_result(y) if is_outer else y


def _converted(layer: Any, value: Any) -> Array:
    """An input as an array: floats of the layer's dtype; whole numbers and booleans stay."""
    array = as_array("x", value) if not isinstance(value, np.ndarray) else value
    if not isinstance(value, list | tuple) and array.dtype.kind in "biu":
        return np.ascontiguousarray(array).reshape(array.shape)
    return as_float("x", value, layer.dtype)


def _listed(layer: Any, arguments: Arguments, mask: Any, arrays: Sequence[Array]) -> list[Any]:
    """The mask of each input, from the masks of the first argument in its structure."""
    structure = next(iter(arguments.arrays(signature_of(type(layer).call)).values()))
    places = [place for place in leaves(structure) if place is not None]
    by_place = leaves(mask) if isinstance(structure, list | tuple | Mapping) and len(places) > 1 else [mask]
    if len(by_place) != len(places):
        raise ValueError(
            f"mask of layer {layer.name!r} must hold a mask for each of the {len(places)} arrays in its first "
            f"argument, got {shown(mask)}"
        )
    masks: list[Any] = [None] * len(arrays)
    for place, each in zip(places, by_place, strict=True):
        if each is not None:
            masks[place.number] = layer.checked_mask(each, arrays[place.number])
    return masks


def prepare(layer: Any, arguments: Arguments | None, shapes: Sequence[Shape]) -> None:
    """Build the layer at its first call, or check the shape of its only input."""
    if arguments is not None and not layer.merges:
        layer.merges = True
    _check_spec(layer, arguments or ONE, shapes)
    if layer.is_model:
        layer.build_call(arguments or ONE, shapes)
    elif not layer.built:
        args, kwargs = shapes_for(layer, type(layer).build, arguments or ONE, shapes)
        layer.build(*args, **kwargs)
    elif arguments is None:
        layer.check_input(shapes[0])


def _check_spec(
    layer: Any, arguments: Arguments, shapes: Sequence[Shape | None], dtypes: Sequence[str] | None = None
) -> None:
    """Check the first argument of a call against `input_spec`."""
    if vars(layer).get("_input_spec") is None:
        return
    places = next(iter(arguments.arrays(signature_of(type(layer).call)).values()), None)
    numbers = [None if place is None else place.number for place in leaves(places)]
    layer.check_spec(
        [None if number is None else shapes[number] for number in numbers],
        None if dtypes is None else ["" if number is None else dtypes[number] for number in numbers],
    )


def build_children(layer: Any, shapes: Sequence[Any], named_shapes: Mapping[str, Any]) -> None:
    """Build the layers in a layer by tracing its `call`, if its `build` left that to the first call.

    Args:
        layer: the layer.
        shapes: what `build` was called with.
        named_shapes: its keyword arguments.
    """
    if all(child.built for _, child in layer.children()):
        return
    arguments, flat = read_shapes(layer, type(layer).call, shapes, named_shapes)
    arguments = arguments or ONE
    try:
        signature_of(type(layer).call).bind(*arguments.args, **arguments.kwargs)
    except TypeError:  # `build` gets the shape of the first argument only: the call follows
        return
    specs(layer, arguments, flat, [layer.dtype] * len(flat))


def _connect(
    layer: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    arguments: Arguments | None,
    symbols: Sequence[Symbol],
    training: bool | None,
) -> Any:
    """Record a call on symbols; those of the outputs have the structure of what `call` returns."""
    prepare(layer, arguments, [symbol.shape for symbol in symbols])
    structure, outputs = _outputs(layer, arguments or ONE, symbols)
    options = {} if arguments is None else {"arguments": arguments}
    if training is not None:
        kwargs = {**kwargs, "training": training}
    node = Node(layer, args, kwargs, tuple(symbols), tuple(outputs), options, training=training)
    layer.nodes.append(node)
    return packed(structure, outputs)


def _outputs(layer: Any, arguments: Arguments, symbols: Sequence[Symbol]) -> tuple[Any, list[Symbol]]:
    """The structure of what `call` returns for symbols, and a symbol for each output."""
    shapes = [symbol.shape for symbol in symbols]
    if _finds_shapes(layer):
        structure, shaped = specs(layer, arguments, shapes, [symbol.dtype for symbol in symbols])
    else:
        structure = _stated(layer, arguments, shapes)
        shaped = [(shape, layer.dtype) for shape in flat_shapes(structure)]
        structure = _without_shapes(structure)
    return structure, [
        Symbol(shape, dtype, f"{layer.name}_{index}" if index else layer.name)
        for index, (shape, dtype) in enumerate(shaped)
    ]


def compute_output_spec(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Return symbols of the shapes and dtypes of what `call` returns, which belong to no model.

    Args:
        *args: positional arguments of `call`: symbols, in lists, tuples and dicts if there are several.
        **kwargs: its keyword arguments.

    Returns:
        A symbol for each output, in the structure of what `call` returns.
    """
    arguments, symbols = read(self, type(self).call, args, kwargs)
    if _finds_shapes(self):
        prepare(self, arguments, [symbol.shape for symbol in symbols])
    structure, outputs = _outputs(self, arguments or ONE, symbols)
    Source(self.name, *outputs)
    return packed(structure, outputs)


def specs(
    layer: Any, arguments: Arguments, shapes: Sequence[Shape], dtypes: Sequence[str]
) -> tuple[Any, list[tuple[Shape, str]]]:
    """The structure of the outputs, and their shapes and dtypes: traced for two sizes of each unknown axis."""

    def traced(size: int) -> Trace:
        trial = [tuple(size if each is None else each for each in shape) for shape in shapes]
        return _trial(layer, arguments, list(zip(trial, dtypes, strict=True)))

    unbuilt = [inner for inner in layer._with_inner() if not inner.built]
    size, other = custom.TRIALS
    if not any(None in shape for shape in shapes):
        first = last = traced(size)
    else:
        try:
            first, last = traced(size), traced(other)
        except ValueError as error:
            try:  # windows may need longer sequences
                first, last = traced(size + _LONGER), traced(other + _LONGER)
            except ValueError:
                raise ValueError(
                    f"{custom.named(layer)} fails where the unknown sizes of its inputs {list(shapes)} are {size} "
                    f"({error}): declare them, or define compute_output_shape"
                ) from error
    for inner in unbuilt:
        if vars(inner).get("states") is not None:
            inner.states = None  # of the rows of a trial: a stateful layer takes the number from the first data
    specs = [
        (tuple(a if a == b else None for a, b in zip(small.shape, large.shape, strict=True)), small.dtype)
        for small, large in zip(first.outputs, last.outputs, strict=True)
    ]
    return first.structure, specs


def _trial(layer: Any, arguments: Arguments, inputs: Sequence[tuple[Shape, str]]) -> Trace:
    """Trace `call` without masks, or with all of them if it needs them."""
    try:
        return trace_of(layer, arguments, inputs, [None] * len(inputs), False)
    except (TypeError, ValueError, AttributeError):
        if not any(name == "mask" or name.endswith("_mask") for name in signature_of(type(layer).call).parameters):
            raise
        try:
            return trace_of(layer, arguments, inputs, [shape[:2] for shape, _ in inputs], False)
        except (TypeError, ValueError, AttributeError):
            pass
        raise


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(size is None or isinstance(size, int | np.integer) for size in value)


def _without_shapes(shapes: Any) -> Any:
    """The structure of shapes with None in place of each."""
    if _is_shape(shapes):
        return None
    if isinstance(shapes, Mapping):
        return {key: _without_shapes(each) for key, each in shapes.items()}
    return type(shapes)(_without_shapes(each) for each in shapes)


def _stated(layer: Any, arguments: Arguments, shapes: Sequence[Shape]) -> Any:
    """What the `compute_output_shape` of the class returns for a call."""
    args, kwargs = shapes_for(layer, type(layer).compute_output_shape, arguments, shapes)
    return layer.compute_output_shape(*args, **kwargs)


def _finds_shapes(layer: Any) -> bool:
    """Return whether tracing finds the shapes of the outputs, since the class has no `compute_output_shape`."""
    method = type(layer).compute_output_shape
    return method is compute_output_shape or (layer.is_model and overriding.is_builtin_function(method))


def compute_output_shape(self: Any, *shapes: Any, **named: Any) -> Any:
    """Return the shapes of what `call` returns.

    Args:
        *shapes: the shape of each argument of `call`, batch axis first, or lists, tuples and dicts of them.
        **named: the same by name, with "_shape" after each.

    Returns:
        The shape of the output, or the structure of the shapes.
    """
    arguments, flat = read_shapes(self, type(self).call, shapes, named)
    prepare(self, arguments, flat)
    structure, shaped = specs(self, arguments or ONE, flat, [self.dtype] * len(flat))
    remaining = iter(shaped)
    return mapped(lambda _: next(remaining)[0], structure)


def output_shapes(self: Any, shapes: Sequence[Shape], arguments: Arguments = ONE) -> list[Shape]:
    """Return the shapes of the outputs of a recorded call for other shapes of the inputs.

    Args:
        shapes: a shape for each input, batch axis first.
        arguments: the arguments of the call.
    """
    if not _finds_shapes(self):
        return flat_shapes(_stated(self, arguments, shapes))
    return [shape for shape, _ in specs(self, arguments, shapes, [self.dtype] * len(shapes))[1]]


def run_trace(
    layer: Any, arguments: Arguments, xs: Sequence[Array], masks: Sequence[Any], training: bool
) -> tuple[Trace, list[Array], list[Any]]:
    """Run the graph of `call` for inputs of these shapes.

    Args:
        layer: the layer or model.
        arguments: the arguments of the call.
        xs: the inputs (B, ...); None for an optional input of the model that has no array.
        masks: a mask (B, T) for each of them, or None.
        training: whether a backward pass follows.

    Returns:
        The trace, the outputs, and the masks that the layers which made them give them.
    """
    input_shapes = [None if x is None else x.shape for x in xs]
    if None in input_shapes:
        missing = [number for number, x in enumerate(xs) if x is None]
        if len(missing) == len(xs):
            raise ValueError(f"layer {layer.name!r} must get an array for one of its inputs, all of them are None")
        arguments = arguments.without(missing)
        xs, masks = ([part for part, x in zip(parts, xs, strict=True) if x is not None] for parts in (xs, masks))
    inputs = [(x.shape, str(x.dtype)) for x in xs]
    shapes = [None if mask is None else mask.shape for mask in masks]
    _check_spec(layer, arguments, [x.shape for x in xs], [dtype for _, dtype in inputs])
    trace = trace_of(layer, arguments, inputs, shapes, acts_as_in_training(training))
    if not trace.is_checked and len(inputs) == 1 and not layer.is_model:
        custom.require_declared_shapes(layer, [x.shape for x in xs], [each.shape for each in trace.outputs], "call")
    trace.is_checked = True
    outputs, output_masks = trace.forward(xs, masks, training)
    if training:
        layer._tape.append((trace, input_shapes))
    return trace, outputs, output_masks


def forward(self: Any, *xs: Any, training: bool = False, mask: Any = None, arguments: Arguments = ONE) -> Any:
    """Run the graph of `call`.

    Args:
        *xs: the inputs (B, ...).
        training: whether a backward pass follows.
        mask: the mask (B, T) of the only input, or a list with one for each input; None if there is none.
        arguments: the arguments of the call.

    Returns:
        The output (B, ...), or a tuple of the outputs.
    """
    masks = list(mask) if isinstance(mask, list) else [mask, *[None] * (len(xs) - 1)]
    outputs = run_trace(self, arguments, xs, masks, training)[1]
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def backward(self: Any, *d_outputs: Any, need_dx: bool = True) -> Any:
    """Differentiate the graph.

    Args:
        *d_outputs: the gradients by the outputs (B, ...), None where there is none.
        need_dx: whether gradients by the inputs are needed.

    Returns:
        The gradient by the only input, or a tuple of them; None in place of each that is not needed.
    """
    trace, shapes = self._take_saved()
    passed = [number for number, shape in enumerate(shapes) if shape is not None]
    gradients: list[Any] = [None] * len(shapes)
    for number, gradient in zip(passed, trace.backward(d_outputs, len(passed)), strict=True):
        gradients[number] = gradient
    if not need_dx:
        gradients = [None] * len(shapes)
    elif len(shapes) == 1 and gradients[0] is None:  # no output depends on the input
        gradients = [np.zeros(shapes[0], self.dtype)]
    return gradients[0] if len(shapes) == 1 else tuple(gradients)


def run(
    self: Any, inputs: Sequence[Array], masks: Sequence[Any], training: bool, arguments: Arguments = ONE
) -> tuple[list[Array], list[Any]]:
    """Call `forward` and `compute_mask` with lists.

    Args:
        inputs: the inputs (B, ...).
        masks: a mask (B, T) for each of them, or None.
        training: whether a backward pass follows.
        arguments: the arguments of the call.

    Returns:
        A list of outputs and a list of their masks.
    """
    outputs = run_trace(self, arguments, inputs, masks, training)[1]
    arrays = arguments.arrays(signature_of(type(self).call))
    first = next(iter(arrays.values()))
    mask = at_places(arrays["mask"], inputs) if "mask" in arrays else at_places(first, masks)
    if not self.makes_mask and all(each is None for each in leaves(mask)):
        return outputs, [None] * len(outputs)
    output_masks = self.compute_mask(at_places(first, inputs), mask)
    listed = leaves(output_masks)[: len(outputs)]
    return outputs, [*listed, *[None] * (len(outputs) - len(listed))]


def plans(self: Any) -> list[Any]:
    """Return the plans of the graphs of `call`."""
    return [trace.plan for trace in vars(self).get("_traces", {}).values()]


def _discard_saved(self: Any) -> None:
    """Discard what passes without a backward saved, in the graphs too."""
    Holder._discard_saved(self)
    for trace in vars(self).get("_traces", {}).values():
        trace.plan.discard_saved()


def _skip_saved(self: Any) -> None:
    """Drop what the last pass saved, in its graph too."""
    trace, _ = self._take_saved()
    trace.plan.skip()


def install(cls: Any, root: Any, define: Callable[[type, str], Any]) -> None:
    """Give a custom class with `call` the methods that run it.

    Args:
        cls: the class.
        root: `Layer`.
        define: returns what a class defines under a name, or None.

    Raises:
        TypeError: if the class defines `forward` or `backward` too, or inherits them from a custom class.
    """
    if define(cls, "forward") is not None or define(cls, "backward") is not None:
        raise TypeError(f"{cls.__name__} defines call as well as forward or backward: define call, or the other two")
    base = next(each for each in cls.__mro__ if "forward" in vars(each))
    if not overriding.is_builtin_function(vars(base)["forward"]):
        raise TypeError(
            f"{cls.__name__} defines call, but {base.__name__} runs forward(): define forward and backward, or a Layer "
            f"that holds a {base.__name__} and calls it in call"
        )
    for method in _METHODS:
        setattr(cls, method.__name__, method)
    cls.is_traced = True
    # What a class of pyrnn says of its own forward does not hold for `call`.
    if overriding.is_builtin_function(cls.compute_output_shape):
        cls.compute_output_shape = compute_output_shape
    if overriding.is_builtin_function(cls.stream_into):
        cls.stream_into = root.stream_into
    if overriding.is_builtin(next(each for each in cls.__mro__ if "per_step" in vars(each))):
        cls.per_step = False


_METHODS = (__call__, forward, backward, run, output_shapes, plans, compute_output_spec, _discard_saved, _skip_saved)
