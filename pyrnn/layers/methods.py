"""Wrappers of the methods of subclasses of `Layer`: they check shapes, convert results and run `build` once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn import overriding
from pyrnn.data.arrays import Array, as_array, is_float
from pyrnn.layers import attributes, call_methods
from pyrnn.layers.call_arguments import read_shapes, shapes_for
from pyrnn.layers.custom import converted, finish, named, require_declared_shapes, run, trial_shape
from pyrnn.layers.settings import standard_shape, standard_shapes
from pyrnn.symbols import untraced
from pyrnn.validation import WrongType, shown

Shape = tuple[Any, ...]


def prepare(cls: Any, root: Any) -> None:
    """Wrap the methods that a subclass of `Layer` defines.

    Args:
        cls: the new class.
        root: `Layer`, below which methods count as defined.

    Raises:
        TypeError: if a custom class defines a method that is never called, or `forward` without the `backward` that
            belongs to it.
    """
    attributes.guard_weights(cls)
    is_builtin = overriding.is_builtin(cls)
    if not is_builtin:
        _prepare_custom(cls, root)
    elif "compute_output_shape" in vars(cls):
        cls.compute_output_shape = _of_right_rank(cls.compute_output_shape)
    build = vars(cls).get("build") if is_builtin else overriding.new_in(cls, "build", root)
    if build is not None:
        cls.build = build_once(build, checks_first=is_builtin)


def build_once(build: Callable[..., None], checks_first: bool = True) -> Callable[..., None]:
    """Wrap a `build`, so that it checks the shape, runs once and marks the layer as built.

    It need not call `super().build(input_shape)`, as in Keras.

    Args:
        build: the method of a class.
        checks_first: whether `check_input` works before the layer is built; a custom one may need what `build` makes.

    Returns:
        The method to put in its place.
    """

    @functools.wraps(build)
    def wrapped(self: Any, *shapes: Any, **named_shapes: Any) -> None:
        shape, args, kwargs = _read(self, build, shapes, named_shapes)
        if shape is not None and (self.built or checks_first) and (len(args) == 1 and args[0] is shape):
            self.check_input(shape)
        if not self.built:
            try:
                with untraced():
                    build(self, *args, **kwargs)
            except BaseException:
                self.built = False
                raise
        self.build_shape, self.built = shape, True
        if type(self).build is wrapped and not overriding.is_builtin(type(self)):  # not called by that of a subclass
            finish(self, shape)
            if self.is_traced and shape is not None:
                call_methods.build_children(self, shapes, named_shapes)

    return wrapped


def _read(
    layer: Any, build: Callable[..., Any], shapes: tuple[Any, ...], named_shapes: Mapping[str, Any]
) -> tuple[Any, list[Any], Mapping[str, Any]]:
    """Return the shape of x, or the list of shapes of several inputs, and what `build` is called with.

    The shape is None if there is none: weights that do not depend on x may be made before it is known.
    """
    if not named_shapes and shapes in ((), (None,)) and (layer.reads_ids or not overriding.is_builtin(type(layer))):
        return None, [None], {}
    if not layer.is_traced:
        if named_shapes and not shapes:
            shapes = tuple(named_shapes.values())
        shape = _standard(layer, shapes[0] if shapes else None, shapes[1:])
        return shape, [shape], {}
    arguments, flat = read_shapes(layer, type(layer).call, shapes, named_shapes)
    if arguments is None:
        return flat[0], [flat[0]], {}
    return flat, *shapes_for(layer, build, arguments, flat)


def _standard(layer: Any, input_shape: Any, more: tuple[Any, ...]) -> Any:
    """Return a shape as a tuple; a list of tuples for a layer of several inputs, which may be separate arguments."""
    if layer.merges:
        rest = [shape for shape in more if shape is not None]
        return standard_shapes(type(layer).__name__, [input_shape, *rest] if more else input_shape)
    if more:
        raise TypeError(f"{type(layer).__name__} takes one input_shape, got {1 + len(more)}")
    return standard_shape("input_shape", input_shape)


def _prepare_custom(cls: Any, root: Any) -> None:
    """Check a custom class, and let it return arrays of any kind."""
    overriding.reject(cls, cls.never_called)
    if (method := overriding.new_in(cls, "call", root)) is not None:
        call_methods.install(cls, root, lambda owner, name: overriding.new_in(owner, name, root))
        overriding.join(cls, "reset_state", "reset_states")
        if cls.__setattr__ is object.__setattr__:
            cls.__setattr__ = attributes.declaring_setattr(attributes.guarded_setattr)
        _prepare_mask(cls, root)
        return
    overriding.require_partner(cls, "forward", "backward", root)
    overriding.join(cls, "reset_state", "reset_states")
    if cls.__setattr__ is object.__setattr__:
        cls.__setattr__ = attributes.guarded_setattr
    if (assign := overriding.new_in(cls, "__setattr__", root)) is not None:
        cls.__setattr__ = attributes.declaring_setattr(assign)
    if (method := overriding.new_in(cls, "forward", root)) is not None:
        cls.forward = _converting_forward(method)
        if overriding.new_in(cls, "stream_into", root) is None:  # the inherited one is another forward's
            cls.stream_into = root.stream_into
            cls.per_step = bool(overriding.new_in(cls, "per_step", root))
        if cls.compute_output_shape is root.compute_output_shape:
            cls.compute_output_shape = _shape_by_trial
    if (method := overriding.new_in(cls, "backward", root)) is not None:
        cls.backward = _converting_backward(method)
    _prepare_mask(cls, root)


def _prepare_mask(cls: Any, root: Any) -> None:
    if (method := overriding.new_in(cls, "compute_mask", root)) is not None:
        cls.compute_mask = _converting_mask(method)
        if "makes_mask" not in vars(cls):
            cls.makes_mask = True  # it may make one where there was none


def _shape_by_trial(self: Any, input_shape: tuple[Any, ...]) -> Any:
    """Return the shape of the output of `forward` for zeros; for classes that do not define it."""
    if not self.built:
        self.build(input_shape)
    return trial_shape(self, self.forward, input_shape, "define compute_output_shape(input_shape)")


def _converting_forward(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def forward(self: Any, *xs: Array, **kwargs: Any) -> Any:
        y = run(self, method, self, *xs, **kwargs)
        if kwargs.get("training") and type(self).forward is forward:
            self._tape.append([x.shape for x in xs])
        if isinstance(y, tuple) and hasattr(self, "return_state"):
            return tuple(converted(self, "forward", each) for each in y)
        array = y if is_float(y, self.dtype) else converted(self, "forward", y)
        if xs[0].shape != vars(self).get("_last_shape"):
            require_declared_shapes(self, [x.shape for x in xs], [array.shape], "forward")
            object.__setattr__(self, "_last_shape", xs[0].shape)
        return array

    forward.saves_shape = True  # type: ignore[attr-defined]  # a mark on the wrapper
    return forward


def _converting_backward(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def backward(self: Any, dy: Any, *args: Any, need_dx: bool = True, **kwargs: Any) -> Any:
        written = [(weight, weight.gradient) for weight in self._weights]
        saves_shape = type(self).backward is backward and getattr(type(self).forward, "saves_shape", False)
        shapes = self._tape.pop() if saves_shape and self._tape else None
        gradients = run(self, method, self, dy, *args, need_dx=need_dx, **kwargs)
        for weight, gradient in written:
            if weight.gradient is not gradient:  # `weight.gradient = ...` instead of `weight.gradient[...] = ...`
                gradient[...], weight.gradient = weight.gradient, gradient
        if self.merges:
            return _of_several_inputs(self, gradients, shapes) if need_dx else gradients
        dx, *d_states = gradients if isinstance(gradients, tuple) and hasattr(self, "return_state") else (gradients,)
        dx = _of_shape(self, dx, None if shapes is None else shapes[0]) if need_dx else None
        return (dx, *(converted(self, "backward", each) for each in d_states)) if d_states else dx

    return backward


def _of_shape(layer: Any, dx: Any, shape: Shape | None) -> Array:
    """The gradient by an input as an array of its shape."""
    array: Array = dx if is_float(dx, layer.dtype) else converted(layer, "backward", dx)
    if shape is not None and array.shape != shape:
        raise ValueError(f"backward of {named(layer)} must return dx of the shape of x, {shape}, got {array.shape}")
    return array


def _of_several_inputs(layer: Any, gradients: Any, shapes: list[Shape] | None) -> tuple[Array | None, ...]:
    """The gradients by several inputs as arrays, None where there is none."""
    if not isinstance(gradients, list | tuple) or (shapes is not None and len(gradients) != len(shapes)):
        count = "each input" if shapes is None else f"each of the {len(shapes)} inputs"
        raise ValueError(f"backward of {named(layer)} must return a gradient for {count}, got {shown(gradients)}")
    each_shape = [None] * len(gradients) if shapes is None else shapes
    return tuple(
        None if dx is None else _of_shape(layer, dx, shape) for dx, shape in zip(gradients, each_shape, strict=True)
    )


def _converting_mask(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def compute_mask(self: Any, x: Any, mask: Any = None) -> Any:
        made = method(self, x, mask)
        if made is None or isinstance(made, list | tuple | dict):  # of several outputs
            return made
        try:
            return np.ascontiguousarray(as_array("mask", made), dtype=bool)
        except (TypeError, ValueError):
            raise WrongType(f"compute_mask of {named(self)} must return an array or None, got {shown(made)}") from None

    return compute_mask


def _of_right_rank(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a `compute_output_shape`, so that it rejects shapes without the axes that the layer needs."""

    @functools.wraps(method)
    def compute_output_shape(self: Any, input_shape: Any, *more: Any, **options: Any) -> Any:
        shape = _standard(self, input_shape, more)
        if self.merges:
            self.check_input(shape)
            return method(self, shape, **options)
        if len(shape) < self.min_rank or (self.axes is not None and len(shape) != len(self.axes)):
            axes = f"({', '.join(self.axes)})" if self.axes is not None else f"with at least {self.min_rank} axes"
            raise ValueError(f"{type(self).__name__} expects x of shape {axes}, got {shape}")
        return method(self, shape)

    return compute_output_shape
