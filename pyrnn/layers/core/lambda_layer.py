"""Lambda: a NumPy function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import registry, rules
from pyrnn.arguments import checked
from pyrnn.function_rules import Function, takes
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer
from pyrnn.layers.call_arguments import Place, at_places, is_array
from pyrnn.layers.merging.base import Merging
from pyrnn.layers.settings import standard_shape
from pyrnn.losses.differentiation import traceable
from pyrnn.ops.differentiation import differentiate
from pyrnn.ops.dispatch import traced_numpy
from pyrnn.rules import Dict, Either, Unchecked
from pyrnn.structures import leaves, packed
from pyrnn.validation import WrongType, shown

__all__ = ["Lambda"]


def _takes(function: Callable[..., Any], argument: str) -> bool:
    try:
        return argument in inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled functions may have no signature
        return False


def _check_signature(argument: str, function: Any, arrays: Sequence[str], named: Iterable[str]) -> None:
    if not (callable(function) and takes(function, len(arrays), named)):
        raise WrongType(f"{argument} must be a function of ({', '.join([*arrays, *named])}), got {shown(function)}")


def _in_structure(structure: Any, xs: Sequence[Any]) -> Any:
    """x: the only one of its arrays, or all of them in its structure."""
    return xs[0] if structure is None else at_places(structure, xs)


class Lambda(Merging):
    """Apply a function to an array, or to a list, tuple or dict of arrays: y = function(x, **arguments).

    If layers before this one are trained, autograd differentiates the function, which is made of NumPy's functions and
    `pyrnn.ops`; or `gradient(x, y, dy, **arguments)` returns dx. A function may carry it as its attribute `gradient`,
    which is then also found again when the model is loaded.

    Args:
        function: function of x that returns an array, usually (B, ...). It is called with `mask=` and `training=` if
            its signature has these names.
        output_shape: shape of the output without the batch axis, or a function of the input shape; None means that a
            trial run on zeros finds it.
        mask: mask of the output, an array or a function of (x, mask), or None.
        arguments: dict of keyword arguments for `function`.
        gradient: function of (x, y, dy) that returns dx, in the structure of x, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is not such a function.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> square = layers.Lambda(lambda x: x**2, gradient=lambda x, y, dy: 2 * x * dy)
        >>> square(np.array([[1.0, 3.0]]))
        array([[1., 9.]], dtype=float32)
    """

    merges = False  # True once it was called on several arrays
    makes_mask = True  # if mask is given
    call_order = ("mask",)
    not_streamed = "its function may look at all steps; TimeDistributed(Lambda(...)) runs it on each step"

    @checked
    def __init__(
        self,
        function: Annotated[Callable[..., Any], Unchecked(allowed="function")],
        output_shape: Annotated[Any, Unchecked(allowed="list function")] | None = None,
        mask: Annotated[Any, Either(rules.Numbers(), Function(0, 2))] | None = None,
        arguments: Annotated[Mapping[str, Any], Dict()] | None = None,
        gradient: Annotated[Callable[..., Any], Unchecked(allowed="function")] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(function, Layer):
            raise WrongType(f"function must be a function of an array; add {shown(function)} itself to the model")
        self.function = function
        self.arguments = dict(arguments or {})
        self._gradient = gradient
        self.mask = mask
        self.supports_masking = mask is not None
        self.output_shape = (
            output_shape if output_shape is None or callable(output_shape)
            else standard_shape("output_shape", output_shape)
        )  # fmt: skip
        self._expected = [name for name in ("mask", "training") if _takes(function, name)]
        _check_signature("function", function, ("x",), [*self.arguments, *self._expected])
        if gradient is not None:
            _check_signature("gradient", gradient, ("x", "y", "dy"), self.arguments)

    @property
    def gradient(self) -> Callable[..., Any] | None:
        """The function that gives dx: the argument, or the attribute of that name of `function`."""
        return self._gradient or getattr(self.function, "gradient", None)

    def check_input(self, shape: Any) -> None:
        """Check the shape of x, or of each array in it.

        Args:
            shape: the shape, or a list of shapes, batch axis first; None where any size is allowed.

        Raises:
            ValueError: if there is no batch axis, or the batch sizes differ.
        """
        check = Merging.check_input if self.merges else Layer.check_input
        check(self, shape)

    def compute_output_shape(self, input_shape: Any, structure: Any = None) -> Any:
        """Return the shape of the output.

        Args:
            input_shape: the shape of x, or a list of the shapes of the arrays in it, batch axis first; None where any
                size is allowed.
            structure: where the arrays are in x; None if x is one array.

        Returns:
            The shape in the same form.

        Raises:
            ValueError: if the function fails on zeros.
        """
        shapes = input_shape if self.merges else [tuple(input_shape)]
        if callable(self.output_shape):
            return tuple(self.output_shape(_in_structure(structure, shapes)))
        if self.output_shape is not None:
            return (shapes[0][0], *self.output_shape)
        return custom.trial_shape(
            self,
            lambda *xs: self._run(_in_structure(structure, xs), None, False),
            shapes,
            "give Lambda an output_shape",
        )

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        if self.mask is None:
            return super().compute_mask(x, mask)
        output_mask = self.mask(x, mask) if callable(self.mask) else self.mask
        return None if output_mask is None else np.ascontiguousarray(output_mask, dtype=bool)

    def __call__(self, x: Any, *more: Any, initial_state: Any = None, training: Any = None, mask: Any = None) -> Any:
        """Convert and check x, and run the function.

        Args:
            x: an array (B, ...) or a symbol, or a list, tuple or dict of them.
            *more: the mask by position, as in Keras.
            initial_state: must be None.
            training: whether to save what `backward` needs; see `Layer`.
            mask: the mask (B, T) of x, or masks in the structure of x.

        Returns:
            The output, or its symbol.

        Raises:
            TypeError, ValueError: if x does not hold numbers, or the function fails.
        """
        if not isinstance(x, list | tuple | Mapping) or not any(map(is_array, leaves(x))):
            return Layer.__call__(self, x, *more, initial_state=initial_state, training=training, mask=mask)
        self.merges = True
        mask = more[0] if more else mask
        inputs = leaves(x)
        structure = packed(x, [Place(number) for number in range(len(inputs))])
        return self._call_on(
            (x,), {}, inputs, None if mask is None else leaves(mask), training, {"structure": structure}
        )

    def forward(  # type: ignore[override]  # its only option is where the arrays are
        self, *xs: Array, training: bool = False, mask: Any = None, structure: Any = None
    ) -> Array:
        """Run the function.

        Args:
            *xs: x (B, ...), or the arrays in it.
            training: whether the pass is part of a training step.
            mask: the mask of x (B, T), or a list with one for each array.
            structure: where the arrays are in x; None if x is one array.

        Returns:
            The output.
        """
        x = _in_structure(structure, xs)
        mask = mask if structure is None or mask is None else at_places(structure, mask)
        y = self._run(x, mask, training)
        if training:
            extra = {"mask": mask, "training": training}
            self._tape.append((xs, structure, y, {name: extra[name] for name in self._expected}))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Any:
        xs, structure, y, extra = self._take_saved()
        if not need_dx:
            return None if structure is None else (None,) * len(xs)
        if self.gradient is None:
            run = traceable(self.function, traced_numpy())
            arguments = {**self.arguments, **extra}
            owner = f"layer {self.name!r}, a Lambda without gradient=,"
            slopes = differentiate(
                lambda *traced: run(_in_structure(structure, traced), **arguments), xs, owner
            ).backward([dy])
        else:
            x = _in_structure(structure, xs)
            result = custom.run(self, self.gradient, x, y, dy, **self.arguments)
            slopes = [result] if structure is None else leaves(result)
            if len(slopes) != len(xs):
                raise ValueError(
                    f"gradient of layer {self.name!r} must return an array for each of the {len(xs)} in x, "
                    f"got {shown(result)}"
                )
        gradients = tuple(self._of_shape(dx, x) for dx, x in zip(slopes, xs, strict=True))
        return gradients[0] if structure is None else gradients

    def _run(self, x: Any, mask: Any, training: bool) -> Array:
        extra = {name: value for name, value in (("mask", mask), ("training", training)) if name in self._expected}
        return custom.converted(self, "function", custom.run(self, self.function, x, **self.arguments, **extra))

    def _of_shape(self, dx: Any, x: Array) -> Array:
        """The gradient by an array, 0 if there is none."""
        gradient = np.zeros_like(x) if dx is None else custom.converted(self, "gradient", dx)
        if gradient.shape != x.shape:
            raise ValueError(
                f"gradient of layer {self.name!r} must have the shape of x, {x.shape}, got {gradient.shape}"
            )
        return gradient

    def _described(self, name: str, value: Any) -> Any:
        where = f"{name} of layer {self.name!r}"
        return registry.describe_callable(value, where) if callable(value) else registry.plain(value, where)

    def get_config(self) -> dict[str, Any]:
        function, gradient, output_shape, mask, arguments = (
            self._described(name, value)
            for name, value in (
                ("function", self.function), ("gradient", self._gradient), ("output_shape", self.output_shape),
                ("mask", self.mask), ("arguments", self.arguments),
            )
        )  # fmt: skip
        if gradient is not None:  # within the function's description, where Keras passes over it
            function = {**function, "gradient": gradient}
        config = {**super().get_config(), "function": function}
        optional = {"output_shape": output_shape, "mask": mask}
        return {
            **config,
            **{name: value for name, value in optional.items() if value is not None},
            "arguments": arguments,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Lambda:
        """Create a layer from the result of `get_config()`.

        Args:
            config: the dict; functions are stored by name.
            custom_objects: dict from names to functions, or None for registered ones only.

        Returns:
            A new layer.

        Raises:
            ValueError: if a function is not registered under its name, or was stored as code.
        """
        settings = dict(config)
        function = settings.get("function")
        if isinstance(function, Mapping) and "gradient" in function:
            settings["gradient"] = function["gradient"]
        with registry.custom_object_scope(custom_objects):
            for argument in ("function", "gradient", "output_shape", "mask", "arguments"):
                if argument in settings:
                    settings[argument] = registry.with_objects(settings[argument], f"{argument} of this Lambda")
        return cls(**settings)
