"""Rules for custom layers: methods that they must not define, arrays that they return, layers that they hold."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn.data.arrays import Array, as_float
from pyrnn.explaining import ModelNames
from pyrnn.overriding import is_builtin_function
from pyrnn.structures import mapped
from pyrnn.symbols import Shape, flat_shapes
from pyrnn.validation import WrongType, shown

_FORWARD = "define forward(x, *, training=False, mask=None) and backward(dy, *, need_dx=True), in NumPy"
_WEIGHTS = "models, optimizers and files read what add_weight() made; freeze a weight with add_weight(trainable=False)"
_DTYPE = "pass dtype='float32' or 'float64' to the layer"
_SHAPE = "define compute_output_shape(input_shape)"

NEVER_CALLED = {
    "_build": "define build(input_shape)",
    "__call__": f"models call forward(); {_FORWARD}",
    "stateless_call": _FORWARD,
    "symbolic_call": _SHAPE,
    "compute_output_spec": _SHAPE,
    "convolution_op": _FORWARD,
    "rematerialized_call": "pass checkpoint_steps= to a recurrent layer to save memory",
    "compute_dtype": _DTYPE,
    "variable_dtype": _DTYPE,
    "dtype_policy": _DTYPE,
    "quantize": "there is no quantization",
    "quantized_build": "there is no quantization",
    "variable_serialization_spec": "there is no quantization",
    "quantized_call": "there is no quantization",
    "get_build_config": "a loaded layer is built by build(input_shape)",
    "build_from_config": "a loaded layer is built by build(input_shape)",
    "weights": _WEIGHTS,
    "trainable_weights": _WEIGHTS,
    "non_trainable_weights": _WEIGHTS,
    "variables": _WEIGHTS,
    "trainable_variables": _WEIGHTS,
    "non_trainable_variables": _WEIGHTS,
    "losses": "call add_loss() in call or forward",
    "add_loss": "call add_loss() in call or forward",
    "metrics": "pass metrics= to compile()",
    "add_metric": "pass metrics= to compile()",
}
_CELL = (
    "RNN runs the cells of pyrnn.layers in the kernel, over all steps at once; derive from Layer and define state_size "
    "and call(inputs, states) for another recurrence"
)
_CELL_HOOKS = (
    "state_size", "output_size", "get_initial_state", "call", "__call__", "forward", "backward", "get_dropout_mask",
    "get_recurrent_dropout_mask", "reset_dropout_mask", "reset_recurrent_dropout_mask",
)  # fmt: skip
NEVER_CALLED_CELL = {**NEVER_CALLED, **dict.fromkeys(_CELL_HOOKS, _CELL)}
NEVER_CALLED_RECURRENT = NEVER_CALLED | dict.fromkeys(
    ("inner_loop", "get_initial_state"),
    "the kernel runs all steps at once; pass initial_state when you call the layer, or override forward and backward",
)


class _Pass(threading.local):
    """Counts, for each thread, the functions of users that are running."""

    depth = 0


_pass = _Pass()


def is_in_pass() -> bool:
    """Return whether a custom layer or model is running, to whose pass a call of a layer belongs."""
    return _pass.depth > 0


def passing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `forward_pass` of a custom model, so that it starts with empty tapes and may call a layer several times.

    Args:
        method: the `forward_pass` that a class defines.

    Returns:
        The method to put in its place.
    """

    @functools.wraps(method)
    def forward_pass(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("training"):
            self._plan.discard_saved()
        _pass.depth += 1
        try:
            return method(self, x, *args, **kwargs)
        finally:
            _pass.depth -= 1

    return forward_pass


# Two values for an unknown size: where the outputs differ, their size depends on it.
TRIALS = (2, 3)


def trial_shape(layer: Any, run: Callable[..., Array], input_shape: Any, instead: str) -> Any:
    """Find the shape of a layer's output by running it on zeros.

    Args:
        layer: the layer, for its dtype and for messages.
        run: the function of x, or of several inputs, that returns the output.
        input_shape: the shape of x, or a list with one for each input; None is an unknown size.
        instead: what to write to do without the trial, for the message.

    Returns:
        The shape of the output, with None for sizes that depend on an unknown one.

    Raises:
        ValueError: if `run` fails on zeros.
    """
    shapes = []
    of_inputs = input_shape if isinstance(input_shape, list) else [tuple(input_shape)]
    for trial in TRIALS if any(None in shape for shape in of_inputs) else TRIALS[:1]:
        zeros = [np.zeros([trial if size is None else size for size in shape], layer.dtype) for shape in of_inputs]
        try:
            shapes.append(run(*zeros).shape)
        except Exception as error:
            shown_shape = ", ".join(map(str, of_inputs))
            raise ValueError(f"{named(layer)} fails on zeros of shape {shown_shape} ({error}): {instead}") from error
    return tuple(first if first == last else None for first, last in zip(shapes[0], shapes[-1], strict=True))


def run(layer: Any, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of the user with read-only views of its arrays: the layers before and after it need them too.

    Args:
        layer: the layer that has the function, for messages.
        function: the function.
        *arguments: its arguments; arrays among them become read-only.
        **options: its keyword arguments.

    Returns:
        What the function returns.

    Raises:
        ValueError: if it changes an array in place.
    """
    _pass.depth += 1
    try:
        return function(*(_read_only(each) for each in arguments), **options)
    except ValueError as error:
        if "read-only" in str(error):
            raise ValueError(
                f"{getattr(function, '__name__', 'function')} of {named(layer)} changes its argument in place: "
                "write x = x + 1 instead of x += 1, or copy it first"
            ) from error
        raise
    finally:
        _pass.depth -= 1


def _read_only(value: Any) -> Any:
    if isinstance(value, list | tuple | Mapping):
        return mapped(_read_only, value)
    if not isinstance(value, np.ndarray):
        return value
    array = value.view()
    array.flags.writeable = False
    return array


def converted(layer: Any, method: str, value: Any) -> Array:
    """Convert what a method of a custom layer returned.

    Args:
        layer: the layer, for its dtype and for messages.
        method: name of the method, for messages.
        value: a view, a list or an array of any dtype.

    Returns:
        A C-contiguous array of the layer's dtype.

    Raises:
        TypeError: if `value` does not hold numbers.
    """
    try:
        if value is None or isinstance(value, tuple):
            raise TypeError
        return as_float(f"the value of {method}", value, layer.dtype)
    except (TypeError, ValueError):
        raise WrongType(f"{method} of {named(layer)} must return an array of numbers, got {shown(value)}") from None


def named(layer: Any) -> str:
    """Return what messages call a layer: its name and class."""
    return f"layer {layer.name!r} ({type(layer).__name__})"


def finish(layer: Any, input_shape: tuple[Any, ...] | None) -> None:
    """Check the layers in a custom layer that was built; a trial on zeros builds those that its `forward` builds.

    Args:
        layer: the custom layer.
        input_shape: the shape of x that it was built for, or None if `build` was called without one.

    Raises:
        TypeError: if it holds a model.
        ValueError: if a layer in it has another dtype or an activity_regularizer, or the trial fails.
    """
    owner = named(layer)
    for value in layer.containers():
        layer.track(value)
    for name in layer._declared:
        if isinstance(vars(layer).get(name), ModelNames) and not layer.is_traced:
            raise TypeError(f"{owner} holds the model {name}, whose weights would not be trained: hold its layers")
    children = [child for _, child in layer.children()]
    for child in children:
        if child.dtype != layer.dtype:
            raise ValueError(f"{owner} has dtype {layer.dtype}, layer {child.name!r} in it {child.dtype}")
        if child.activity_regularizer is not None and not layer.is_traced:
            raise ValueError(f"give activity_regularizer to {owner}, not to layer {child.name!r} in it")
    runs = not layer.is_traced and not is_builtin_function(type(layer).forward)
    if input_shape is not None and runs and not all(child.built for child in children):
        trial_shape(layer, layer.forward, input_shape, "build the layers it holds in build(input_shape)")


def require_declared_shapes(layer: Any, shapes: Sequence[Shape], returned: Sequence[Shape], method: str) -> None:
    """Compare the shapes that a method returned with those of the layer's own `compute_output_shape`.

    Args:
        layer: the layer.
        shapes: the shapes of its inputs.
        returned: the shapes of its outputs.
        method: the method that returned them.

    Raises:
        ValueError: if they differ.
    """
    if is_builtin_function(type(layer).compute_output_shape):
        return
    declared = flat_shapes(layer.compute_output_shape(layer.shape_of_inputs(list(shapes))))
    if len(declared) != len(returned) or not all(map(_agree, declared, returned)):
        raise ValueError(
            f"{method} of {named(layer)} must return the shape of compute_output_shape, "
            f"{', '.join(map(str, declared))}, got {', '.join(map(str, returned))}"
        )


def _agree(declared: Shape, shape: Shape) -> bool:
    return len(declared) == len(shape) and all(a is None or a == b for a, b in zip(declared, shape, strict=True))
